// What the name under which a file was published says about its format, when nobody says it otherwise: its last part, as people and
// programs name files. A name is a hint: what does not fit is read as what it is, and the publisher is told.

public enum KeyHint: Sendable, Equatable {
    case format(ContentFormat)
    /// A file of settings in one notation or another (`*.conf`): found out, but no prose and no Markdown, whose headings its comments are.
    case settings

    /// - Parameter name: of a file, or a key like one; what stands before the last slash is no part of it. Nil for most keys.
    public static func of(_ name: String) -> KeyHint? {
        let last = name.utf8.split(whereSeparator: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }).last.map { String(Substring($0)) } ?? ""
        return of(file: last.lowercased())
    }

    /// Behind the name of a file: what a program ships for somebody to copy, what was put aside.
    private static let additions: Set<Substring> = [
        "sample", "dist", "example", "orig", "bak", "default", "dpkg-dist", "dpkg-old", "ucf-dist", "rpmnew", "rpmsave",
    ]

    private static func of(file: String) -> KeyHint? {
        if let known = files[file] { return known }
        let parts = file.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count > 1, let ending = parts.last else { return nil }
        // Dockerfile.prod, .env.local, requirements-dev.txt
        if ["dockerfile", "containerfile", "makefile", "jenkinsfile"].contains(parts[0]) { return .format(.code) }
        if parts[0].isEmpty, parts[1] == "env" { return .format(.env) }
        if ending == "txt", parts[0].hasPrefix("requirements") || parts[0].hasPrefix("constraints") { return .format(.code) }
        if additions.contains(ending) { return of(file: parts.dropLast().joined(separator: ".")) }
        return endings[String(ending)]
    }

    private static func table(_ lists: [(KeyHint, String)]) -> [String: KeyHint] {
        var table: [String: KeyHint] = [:]
        for (hint, names) in lists {
            for name in names.split(whereSeparator: \.isWhitespace) { table[String(name)] = hint }
        }
        return table
    }

    private static let endings = table([
        (.format(.json), "json jsonc json5 ndjson jsonl geojson topojson ipynb har webmanifest avsc code-workspace jsonld"),
        (.format(.yaml), "yaml yml cff"),
        (.format(.toml), "toml"),
        (.format(.csv), "csv tsv tab psv"),
        (.format(.xml),
         """
         xml svg plist xsd xsl xslt rss atom kml gpx pom csproj vbproj fsproj vcxproj props targets xhtml wsdl resx storyboard xib xaml nuspec iml
         graphml tmx xliff xlf fxml opml musicxml dae entitlements
         """),
        (.format(.markdown), "md markdown mdown mkd mdx mdc qmd rmd"),
        (.format(.text), "txt text log out"),
        (.format(.ini),
         "ini cfg cnf inf reg desktop service socket timer mount automount target slice path network netdev link container volume repo editorconfig"),
        (.format(.properties), "properties"),
        (.format(.env), "env"),
        (.settings, "conf config cf rc rules list sources"),
        (.format(.code),
         """
         dockerfile containerfile mk make cmake gradle tf tfvars hcl nomad bzl bazel nix
         swift py pyi pyw js mjs cjs jsx ts mts cts tsx go rs c h cc cpp cxx hpp hh hxx m mm java kt kts scala sc groovy rb erb php pl pm sh bash zsh fish
         ksh ps1 psm1 bat cmd sql ddl cs fs vb lua r jl dart ex exs erl hrl hs ml mli clj cljs edn lisp el scm zig nim v sv vhd vhdl asm s proto graphql gql
         thrift css scss sass less vue svelte awk sed tcl f f90 pas sol wat diff patch jinja j2 hbs ejs tmpl tpl puml mmd dot vim cshtml razor
         bashrc postinst postrm preinst prerm triggers
         """),
    ])

    private static let files = table([
        (.format(.json), "composer.lock pipfile.lock flake.lock .babelrc .jshintrc .swcrc .prettierrc .eslintrc .stylelintrc"),
        (.format(.yaml), ".clang-format .clang-tidy .yamllint podfile.lock pubspec.lock"),
        (.format(.toml), "cargo.lock poetry.lock uv.lock pdm.lock pipfile"),
        (.format(.xml), "web.config app.config nuget.config packages.config"),
        (.format(.ini), ".gitconfig .gitmodules .editorconfig .npmrc .pypirc .pylintrc .flake8 .coveragerc .hgrc .wslconfig pip.conf"),
        (.format(.env), ".env"),
        (.settings, "mime.types inputrc hosts fstab sudoers crontab .htaccess .yarnrc .wgetrc .curlrc .inputrc .netrc .nanorc"),
        (.format(.code),
         """
         dockerfile containerfile makefile gnumakefile cmakelists.txt jenkinsfile vagrantfile gemfile gemfile.lock rakefile procfile brewfile podfile
         justfile caddyfile tiltfile build workspace sshd_config ssh_config nginx.conf go.mod go.sum yarn.lock codeowners .gitignore .dockerignore
         .npmignore .eslintignore .prettierignore .gitattributes .helmignore .bashrc .bash_profile .zshrc .profile .vimrc .tmux.conf .envrc
         """),
    ])
}
