// Which signs of a query are signs. A minus before a word excludes it in "jaguar -car"; in "git push -f rejected", "what does tar -xzf do" and "it
// works -mostly" it is part of what is asked about, and obeying it would take just the wanted text away. Nothing in the word itself tells
// them apart, so a bare sign counts only in a query that is nothing but keywords:
//
//     -word    at the end, after at least one keyword, nothing but exclusions and fields behind it; all of them, or none
//     +word    from the beginning on ("+disk space", "+disk +full"): before the first plus nobody adds anything to anything
//
// and the keywords are few, of letters and digits, no command, no option, no word that only sentences have, no half of a compound ("self
// -hosted"), without the marks of sentences, paths and code. Everywhere else signs need quotation marks: -"word" and +"word" always count,
// since that is how nobody writes.
//
// The lists need not be complete: a query that slips through and then finds nothing is answered by its words (Engine/Search). What a word
// in a list costs is that its exclusion must be written with quotation marks.

enum QueryProse {
    /// Keywords that a query with bare signs has at most.
    private static let keywordsMax = 8

    /// The items with the signs that count; what is none goes back to its word.
    static func settled(_ items: [QueryItem]) -> [QueryItem] {
        guard items.contains(where: { if case .word(_, let sign) = $0 { sign != .none } else { false } }) else { return items }
        let isKeywords = areKeywords(items)
        let options = isKeywords && names(topics, in: items) ? Self.options : surelyOptions
        // One that is none makes the others options too.
        let excludes = isKeywords && items.enumerated().allSatisfy { place, item in
            guard case .word(let word, .minus) = item else { return true }
            return isExcludable(word, options) && !(place > 0 && beginsCompound(items[place - 1]))
        }
        var settled = items
        let asks = items.firstIndex(where: asks) ?? items.endIndex
        // Of the exclusions those at the end.
        var endsHere = true
        for place in items.indices.reversed() {
            switch items[place] {
            case .field: break
            case .quoted(_, let sign): if sign != .minus { endsHere = false }
            case .word(let word, .minus):
                if !(excludes && endsHere && asks < place) {
                    settled[place] = .word("-" + word, .none)
                    endsHere = false
                }
            case .word: endsHere = false
            }
        }
        var begins = false
        if case .word(_, .plus)? = items.first { begins = true }
        for (place, item) in items.enumerated() {
            if case .word(let word, .plus) = item, !(begins && isKeywords && isDemandable(word)) { settled[place] = .word("+" + word, .none) }
        }
        return settled
    }

    /// Whether something is asked for.
    private static func asks(_ item: QueryItem) -> Bool {
        switch item {
        case .word(_, let sign), .quoted(_, let sign): sign != .minus
        case .field: false
        }
    }

    private static func areKeywords(_ items: [QueryItem]) -> Bool {
        var count = 0
        for item in items {
            if case .quoted(let text, .none) = item, text.contains(where: ".,;:?!".contains) { return false }
            guard case .word(let word, let sign) = item, sign != .minus else { continue }
            count += 1
            if count > keywordsMax || !isKeyword(word.utf8.last == UInt8(ascii: "*") ? word.dropLast() : word[...]) { return false }
        }
        return true
    }

    /// A word of letters, and perhaps digits behind them, that a list of keywords may have.
    private static func isKeyword(_ word: Substring) -> Bool {
        guard word.unicodeScalars.first?.properties.isAlphabetic == true, word.unicodeScalars.allSatisfy(isLetterOrDigit) else { return false }
        let lower = word.lowercased()
        return !commands.contains(lower) && !sentenceWords.contains(lower)
    }

    private static func names(_ list: Set<String>, in items: [QueryItem]) -> Bool {
        items.contains { if case .word(let word, let sign) = $0, sign != .minus { list.contains(word.lowercased()) } else { false } }
    }

    /// A word of letters alone, that can be spoken, and is no option of a program.
    private static func isExcludable(_ typed: String, _ options: Set<String>) -> Bool {
        let word = typed.utf8.last == UInt8(ascii: "*") ? String(typed.dropLast()) : typed
        let lower = word.lowercased()
        // Of the sentences of other scripts no list is here. Options in capitals (-Wall, -Xmx, -NoProfile) are not words as one writes them.
        guard word.utf8.count >= 3, word.allSatisfy({ $0.isASCII && $0.isLetter }), word.dropFirst().allSatisfy(\.isLowercase),
            lower.contains(where: "aeiouy".contains)
        else { return false }
        return !options.contains(lower) && !sentenceWords.contains(lower) && !compoundEnds.contains(lower)
    }

    /// Whether "-word" after this may be the rest of one word ("self -hosted").
    private static func beginsCompound(_ item: QueryItem) -> Bool {
        guard case .word(let word, .none) = item else { return false }
        return compoundStarts.contains(word.lowercased())
    }

    /// Not `+1`, `+x`, `+cc`.
    private static func isDemandable(_ word: String) -> Bool {
        word.unicodeScalars.first?.properties.isAlphabetic == true && (word.utf8.count >= 3)
    }

    private static func isLetterOrDigit(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isAlphabetic || scalar.properties.numericType != nil }

    private static func words(_ text: String) -> Set<String> { Set(text.split(whereSeparator: \.isWhitespace).map(String.init)) }

    /// What only sentences have: a query with one of these is no list of keywords.
    private static let sentenceWords = words(
        """
        a about above actually after again against ago all almost alone along already also although always am among an and another any anyone anything
        anyway are aren't around as at away back barely basically be because been before behind being below beside besides between both but by can can't
        cannot certainly clearly completely could couldn't definitely did didn't do does doesn't doing don't done down during each easily either else enough
        entirely especially even ever every everyone everything exactly few finally first for from fully generally get gets getting give given goes going
        gone got had hadn't hardly has hasn't have haven't having he hello hence her here hers hey hi him his hopefully how however i i'd i'll i'm i've if
        immediately in indeed instead into is isn't it it's its itself just keep keeps kind last lately least let let's like likely literally lol lots made
        mainly make makes many may maybe me merely might mine more most mostly much must my myself namely nearly need needs neither never no nobody none
        nope nor normally not nothing now nowhere obviously of off often oh ok okay on once one only onto or other others otherwise ought our ours out over
        own particularly partly perhaps please possibly pretty previously probably quickly quite rarely rather really recently regarding right roughly said
        same say says see seem seems seriously several shall she should shouldn't simply since slightly slowly so some somebody somehow someone something
        sometimes somewhat somewhere soon sorry still strongly such suddenly sure surely take tell than thank thanks that that's the their theirs them
        themselves then there there's therefore these they they're thing things this those though through throughout thus to today together tomorrow tonight
        too totally toward towards tried truly try trying twice typically under unfortunately unless until up upon us use used uses using usually very via
        was wasn't way we we're well went were weren't what what's when when's where where's whether which while who who's whole whom whose why why's will
        with within without won't would wouldn't wow yeah yes yesterday yet you you're your yours yourself
        """)

    /// Programs that people ask about by name. With one of these a minus is an option.
    private static let commands = words(
        """
        7z aa ab ack acpi adb adduser aircrack alembic ant apache2 apachectl apk apt aptitude arch argocd argument arguments aria2c asciidoctor at atop
        autoconf automake avahi awk aws az azure base64 basename bash bat bazel bc bcdedit bench bg bind blkid bower brew btop btrfs build buildah bun
        bundle bunzip2 bzip2 c++ cabal cal calibre cargo cat ccache cd cdparanoia celery certbot certutil cfdisk chattr chcon chgrp chkconfig chkdsk chmod
        choco chown chpasswd chroot chsh clang clear cli cmake cmd cmp comm command commands composer conan conda consul containerd convert cp cpan cpio
        cppcheck crictl cron crontab cryptsetup csplit ctags curl cut cvs cypher-shell dc dd deno df diff diff3 dig dir dirname diskpart diskutil dism dlv
        dmesg dmidecode dnf dnsmasq docker docker-compose dockerd doctl dos2unix dotnet doxygen dpkg drush du dvc ebtables echo ed egrep eject eksctl elinks
        emacs env envoy erl esbuild eslint etcd etcdctl ethtool eval ex exec exiftool exim expr fallocate fastboot fc fd fdisk ffmpeg ffplay ffprobe fg
        fgrep findmnt finger firebase firewalld fish flag flags flatpak flock fmt fping fsck ftp fuser fzf g++ gatsby gawk gcc gcloud gdb gem gen getent
        getfacl gh ghc ghostscript git gitk gitlab gksudo glab glances gobuster gofmt golangci gpasswd gpg gpg2 gradlew grep groff groupadd groups growisofs
        grub gs gsutil gulp gunicorn gunzip gvim gzip halt haproxy hashcat hdfs hdparm head helm hexdump hg hostname hostnamectl hping3 htop htpasswd httpd
        httpie hugo hwclock hydra iconv id ifconfig ifdown iftop ifup imagemagick init insmod install invoke iostat ip ipcalc ipconfig iperf iperf3 iptables
        irb iscsiadm isort istioctl iw iwconfig jar javac javadoc javap jcmd jest jmap jmeter john journalctl jq jshell jstack jstat k3s k6 k9s karma kexec
        keytool kill killall kinit knex kops kotlinc ksh kubeadm kubectl kubectx kubelet kustomize lame ldapsearch ldconfig ldd lerna less lftp ln locale
        locate logcat logger logrotate losetup ls lsattr lsblk lscpu lsmod lsof lspci lsusb lvcreate lvextend lvm lvs lynx lz4 m4 magick mailx make makepkg
        man markdown mc md5sum mdadm meson microk8s minicom minikube minio mitmproxy mkdir mkfifo mkfs mknod mkswap mktemp mocha modinfo modprobe mogrify
        mongod mongodump mongosh mount mpstat mpv msbuild msfconsole mtr multipass mutt mv mvn mypy mysqladmin mysqld mysqldump nano nasm nats nc ncat ncdu
        ncu net netcat netplan netsh netstat newman nextflow nfs nft ng ngrok nice nikto nix nl nm nmap nmcli nodemon nohup nomad npm npx nsenter nslookup
        ntpdate nuget numactl nuxt nvcc nvidia-smi nvim nvm objcopy objdump oc od openssl openvpn opkg option options osascript pacman pandoc parallel
        parameter parameters parted passwd patch pdflatex pdftotext perf pg_dump pg_restore pgbench pgrep phpunit pidof ping pip pip3 pipenv pipx pkg pkill
        pm2 pmap pnpm podman poetry popd postfix poweroff pr pre-commit printenv printf protoc ps psql pstree pulumi pushd pv pvcreate pwd pwsh pyenv pylint
        pytest python2 python3 qemu rabbitmqctl rake rar rbenv rclone read readelf readlink realpath reboot redis-cli redis-server reg regedit regsvr32
        renice reset resize2fs restic rev rg rm rmdir rmmod robocopy rollup rpm rspec rsync rubocop rustc rustup sadc sar sbt sc schtasks scp sdkmanager sed
        seq sestatus setfacl setsid sfc sftp sh sha256sum shell shellcheck shred shuf shutdown skaffold smbclient snap snapper snmpwalk socat solc sort sox
        spark-submit sqlcmd sqlite3 sqlmap sqlplus squid ss ssh ssh-add ssh-copy-id ssh-keygen sshd stat stdbuf steamcmd strace strip stty su subl sudo svn
        swapoff swapon swiftc switch sync sysctl syslog systemctl tac tail tailscale tar taskkill tasklist taskset tcpdump tcsh tee telnet terminal
        terraform terragrunt tftp timedatectl timeout tmux tofu tox tr traceroute tracert truss ts-node tsc tsx tty tune2fs udevadm ufw ulimit umask umount
        unalias uname unexpand uniq unlink unrar unshare unxz unzip uptime useradd userdel usermod uvicorn vagrant valgrind velero vercel vi vim virsh
        virtualenv visudo vite vlc vmstat w watch wc webpack wget whatis whereis which who whoami wine wireshark wmic wodim wrangler wsl xargs xcodebuild
        xcrun xdg-open xrandr xxd xz yacc yarn yay yes youtube-dl yt-dlp yum zcat zfs zgrep zip zipinfo zpool zsh zstd zypper
        """)

    /// What is a language or a product as well as a program: a minus may be an option.
    private static let topics = words(
        """
        airflow amplify ansible apache cassandra clojure cobol cuda cypress dart date django elasticsearch elixir erlang express find flask flutter fortran
        free go golang gradle grafana groovy hadoop haskell hive icinga influx ionic java javascript jenkins julia jupyter kafka kibana kotlin kubernetes
        laravel linux logstash lua mariadb matlab maven memcached mongo mongodb mysql nagios nest next nginx node numpy ocaml octave oracle pandas perl php
        postgres postgresql powershell prisma prometheus python pytorch r rabbitmq rails react redis ruby rust sass scala scheme selenium serverless sleep
        solr spark splunk sqlite storybook svelte swift tensorflow tomcat top touch tree truncate typescript unix varnish vault vue windows zookeeper
        """)

    /// Words that programs have as options with one minus: none of these is excluded beside a topic.
    private static let options = words(
        """
        abort accept ace acl action add alias align all allow alpha amend app append apply arch archive args ask async atime attach auth author auto aux
        auxw auxww avz avzp background backup bare base batch bench bind bits block body boot branch brief broadcast browser buffer build bulk bytes cache
        case cat cert chain channel charset chdir check class classpath clean clear client clobber clone close cluster cmd code codec color colour columns
        command comment commit compact compare compress concurrency config configure confirm connect console content context continue convert copy core
        count cover coverage cpu create credential current custom cwd daemon data database date deamon debug decode deep default define delete delimiter
        depth desc describe dest detach detail dev device diff digest dir directory disable disk display dist domain double down draft dry dump duration
        echo edit email empty enable encode encoding end engine entry env environment error eval even exact exclude exec execute exit expand expire explain
        export extended extension external extra fail fast fetch field fields file filename files filter find fix fixed flags flatten follow force
        foreground format forward frame free freq from full func gid global graceful graph grep group groups gui hard head header headers headless height
        help hidden history host hostname hosts hour http human icon identity idle ignore image images import iname include info inform inherit init inline
        inplace input insecure insert inspect install instance int interactive interface interval inverse invert ipv iso issuer itd jar java job jobs join
        json keep key keyout keys keystore kill label lah lang language large last latest layer layout lazy length level lib library like limit line lines
        link list listen live load local locale lock log logfile login long loop lossless mac machine mail main man manifest map mask match max maxdepth
        maximize mem memory merge message meta method min minimal mirror mixed mode module monitor mount mtime multi multiline mute name names namespace
        native net network new newer next nice no nocase node nodes nogui noheader none noout nopass noprofile normal notify now null number numeric offline
        offset old once one online only opaque open optimize option options order origin out outform output over override overwrite own owner package page
        pair parallel param parent parents partition pass passin passout passphrase password patch path pattern pause pem perm permission persist pid
        pidfile ping pipe plain plan platform plugin policy pool port post prefix preload preserve preset pretty preview print priority private probe
        process profile progress project prompt property protocol proxy prune pubkey public publish pull purge push quality query queue quick quiet quit
        race random range rate raw read readonly reboot rebuild receive recipient recreate recurse recursive redirect refresh regex region register reject
        reload remote remove rename render repair repeat replace replicas reply repo report request require reset resize resolution resolve resource restart
        restore resume retry return reuse reverse revert revision rewrite rfc role roles rollback root route rsa rule rules run runtime safe same sample san
        save scale scan schema scope screen script search secret section secure select self send separator sequence serial server service session set
        shallow shared shell short show shuffle sid sign signal silent simple single size skip sleep slow small snapshot socket soft solid sort source space
        sparse speed split sql stack stage staged standalone start startup stat state static stats status std stdin stdout step stop storage store strace
        stream strict string strip style subj submit suffix summary super suppress symbolic sync syntax system table tag tags tail target task tcp team temp
        template terminal test text theme thread threads time timeout timestamp title tls token top total touch trace track tree true truncate trust tty
        tulpn type udp uid unique unit unset untracked update upgrade upload uri url user username users utc utf value values var vars vcodec verbose verify
        version vertical video view virtual volume volumes wait warn watch web wide width window windows word workdir worker workers workspace wrap write
        xattr xml xvf yaml yes zone
        """)

    /// Those of them that hardly anybody means otherwise, whatever they stand beside.
    private static let surelyOptions = words(
        """
        all apply aux auxw auxww avx avz avzp classpath clean daemon debug delete detach dev dry dump empty exclude exec fix follow force foreground help
        human iname init inplace install interactive itd jar json lah lang maxdepth mtime name noconfirm nogui noprofile now output password perm port print
        prune query quiet recurse recursive run save shared show silent start static status stop sync tulpn type update upgrade user username vcodec verbose
        version wait watch write xvf yaml yes
        """)

    /// What may be the first part of a word whose hyphen has a space before it.
    private static let compoundStarts = words(
        """
        anti auto back bi built check co counter cross custom double e ex extra first fore full half hand hard high home ill in inter life like log long low
        micro mid mini multi near neo new non off old open over part post pre pro pseudo quasi re real right second self semi set short sign single start
        state sub super third top trans tri twin two ultra un under up user well wide year
        """)

    /// And the last.
    private static let compoundEnds = words(
        """
        actor actress aged area aware backed based born bound bred built called centric class compatible controlled correct dependent down driven driving
        drunk duty edge effective eyed facing fed fold footed found founded free friendly fuelled grade grained growing haired headed hearted held hosted
        impact intensive known laden led legged less level life line lived looking made max minded mini month off old only oriented out owned paced paid
        party past powered pro proof proven ready related resistant rich right risk round run running savvy scale sharing shot side sided sized skilled sold
        source specific speed standing state step storage story style sustaining tech term tested thinking through tier tight time to tolerant torn type
        ultra up used value wide wing winning wise worn worth written year
        """)
}
