internal import Archives
internal import ArgumentParser
internal import Assembly
internal import Base
internal import Content
internal import Maintenance

struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Back a data folder up beside its running server: all of it, or what has come since the backup before.",
        subcommands: [Make.self, List.self, Verify.self, Prune.self], defaultSubcommand: Make.self)

    /// Of the folder with the backups.
    struct Source: ParsableArguments {
        @Option(help: ArgumentHelp("The folder with the backups.", valueName: "folder"))
        var from: String

        @Flag(help: "Print the report as JSON.")
        var json = false
    }

    struct Make: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a backup (what 'contex backup' does without a word behind it).",
            discussion: """
                The first backup in a folder is a full one: one state of the store, while writes go on. Those after it are increments: the commands since \
                the backup before, for which the server must keep its journal (CONTEX_JOURNAL) for longer than the time between two backups. When it does \
                not reach back so far, the command ends with code 4 and says so; --full begins anew. A backup that is cut off is no backup, and the next one \
                removes what it left. API keys are of no use without the file 'pepper' of the data folder, which goes along with --with-secrets only.
                """)

        @OptionGroup var options: FolderOptions

        @Option(help: ArgumentHelp("The folder to put the backup into, made when it is not there. On another disk than the data.", valueName: "folder"))
        var to: String

        @Flag(help: "Make a full backup, also where an increment would do.")
        var full = false

        @OptionGroup var key: BackupKeyOptions

        @Flag(help: "Put the pepper of the API keys into the backup too; only with a key or passphrase.")
        var withSecrets = false

        @Option(help: ArgumentHelp(
            "Give up when the store's file has grown by so many MiB while a full backup reads it (default: as much as the store has, 1024 at least).",
            valueName: "MiB"))
        var growthMax: Int?

        func validate() throws {
            if let growthMax, !(1...(1 << 30)).contains(growthMax) { throw ValidationError("--growth-max is a number of MiB, 1 or more.") }
            if withSecrets, key.encryptKeyFile == nil, key.passphraseFile == nil {
                throw ValidationError("--with-secrets needs --encrypt-key-file or --passphrase-file: secrets are never written in the clear.")
            }
        }

        func run() throws {
            let outcome: Backup.Outcome
            do {
                var wanted = BackupOptions(writer: Version.current)
                wanted.isFull = full
                wanted.secret = try key.secret()
                wanted.withSecrets = withSecrets
                wanted.growthMax = growthMax.map { $0 << 20 }
                defer { Terminal.progress("") }
                outcome = try Backup.run(options.folder, to: to, wanted) {
                    Terminal.progress($0, of: $1, $2 ? "records" : "commands")
                } alarm: {
                    Terminal.progress("")
                    Terminal.complain($0)
                }
            } catch {
                throw CommandFailure(error)
            }
            switch outcome {
            case .upToDate(let entry):
                let position = entry.manifest.to.position
                if options.json {
                    Terminal.say(JSONPrinter.text(["made": .null, "last": .string(entry.name), "position": .string("\(position)")]))
                } else {
                    Terminal.say("nothing has changed since backup \(entry.name): the store is at position \(position)")
                }
            case .made(let report): say(report)
            }
        }

        private func say(_ report: Backup.Report) {
            let manifest = report.manifest
            if options.json {
                var object = BackupText.members(report.name, manifest)
                object.append(("reader_held_seconds", .double((report.heldSeconds * 1_000).rounded() / 1_000)))
                object.append(("file_grown_bytes", .integer(report.grownBytes)))
                Terminal.say(JSONPrinter.text(["made": .object(JSONObject(object))]))
                return
            }
            if !report.removed.isEmpty { Terminal.say("removed what an earlier backup had left: \(report.removed.joined(separator: ", "))") }
            let what = manifest.isFull ? "\(manifest.items) records" : "\(manifest.items) commands"
            Terminal.say(
                "made backup \(report.name): \(what), \(BackupText.size(manifest.plainBytes)) in \(BackupText.size(manifest.storedBytes)); "
                    + "position \(manifest.to.position), of \(manifest.to.time.iso8601)")
            if manifest.isFull {
                Terminal.say(
                    "the snapshot was held for \(BackupText.seconds(report.heldSeconds)) s, "
                        + "the store's file grew by \(BackupText.size(report.grownBytes)) meanwhile")
            }
            if manifest.link == nil { Terminal.say("the store keeps no journal (CONTEX_JOURNAL): the next backup will have to be a full one") }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the backups of a folder, and the moments that can be restored from them.",
            discussion: "Reads manifests only, and needs no key. Exit code 1 when one cannot be read.")

        @OptionGroup var source: Source

        func run() throws {
            let folder: BackupFolder
            do { folder = try BackupFolder(source.from) } catch { throw CommandFailure(error) }
            if source.json {
                let backups = folder.backups.map { JSONValue.object(JSONObject(BackupText.members($0.name, $0.manifest))) }
                Terminal.say(JSONPrinter.text([
                    "backups": .array(backups), "unfinished": .array(folder.unfinished.map(JSONValue.string)),
                    "damaged": .array(folder.damaged.map { .string($0.error.message) }),
                ]))
            } else {
                Terminal.say(folder.backups.isEmpty ? "no backups in \(source.from)" : Terminal.table(BackupText.rows(folder.backups)))
                for name in folder.unfinished { Terminal.say("\(name) is no backup: it is being made, or was when its process was killed") }
                for damaged in folder.damaged { Terminal.say(Terminal.clean(damaged.error.message)) }
            }
            if !folder.damaged.isEmpty { throw CommandFailure(.failed, "\(folder.damaged.count) backups in \(source.from) cannot be read") }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read every block of every backup of a folder, and prove that it is what was written.",
            discussion: """
                Sums, encryption, the seals and the order of records, the content hash of full backups, the links between the commands of increments, and \
                that each goes on from the one before. Exit code 1 when anything is wrong, a finding a line. To prove that a backup can be served, \
                restore it: 'contex restore' ends with the integrity check.
                """)

        @OptionGroup var source: Source
        @OptionGroup var key: BackupKeyOptions

        func run() throws {
            let report: BackupVerification.Report
            do {
                defer { Terminal.progress("") }
                report = try BackupVerification.run(source.from, secret: key.secret()) { Terminal.progress($1, of: $2, "items of \($0)") }
            } catch {
                throw CommandFailure(error)
            }
            if source.json {
                Terminal.say(JSONPrinter.text([
                    "findings": .array(report.findings.map(JSONValue.string)), "backups": .integer(report.backups),
                    "records": .integer(Int(clamping: report.records)), "commands": .integer(Int(clamping: report.commands)), "bytes": .integer(report.bytes),
                    "unfinished": .array(report.unfinished.map(JSONValue.string)),
                ]))
            } else {
                for finding in report.findings { Terminal.say(Terminal.clean(finding)) }
                let counts =
                    "\(report.backups) backups, \(report.records) records, \(report.commands) commands, \(BackupText.size(report.bytes))"
                Terminal.say(report.findings.isEmpty ? Terminal.paint("all is well", .green) + ": \(counts)" : "read: \(counts)")
            }
            if !report.findings.isEmpty { throw CommandFailure(.failed, "\(report.findings.count) findings in \(source.from)") }
        }
    }

    struct Prune: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove old backups of a folder: full ones, each with all the increments after it.",
            discussion: """
                Of the last so many days, weeks and months that have a state (of UTC, weeks begin on Monday) the newest state stays, with all that it needs; \
                the newest of all stays always. What cannot be read, or follows a backup that is not there, is left alone and named.
                """)

        @OptionGroup var source: Source

        @Option(help: ArgumentHelp("Days of which a state is kept.", valueName: "days"))
        var keepDaily = 7

        @Option(help: ArgumentHelp("Weeks of which a state is kept.", valueName: "weeks"))
        var keepWeekly = 5

        @Option(help: ArgumentHelp("Months of which a state is kept.", valueName: "months"))
        var keepMonthly = 12

        @Flag(help: "Only say what would be removed.")
        var dryRun = false

        func validate() throws {
            if min(keepDaily, keepWeekly, keepMonthly) < 0 { throw ValidationError("A number of days, weeks or months is 0 or more.") }
        }

        func run() throws {
            let report: BackupPruning.Report
            do {
                report = try BackupPruning.run(source.from, .init(daily: keepDaily, weekly: keepWeekly, monthly: keepMonthly), isDryRun: dryRun)
            } catch {
                throw CommandFailure(error)
            }
            if source.json {
                Terminal.say(JSONPrinter.text([
                    "removed": .array(report.removed.map(JSONValue.string)), "kept": .array(report.kept.map(JSONValue.string)),
                    "undecided": .array(report.undecided.map(JSONValue.string)), "freed_bytes": .integer(report.freedBytes), "dry_run": .bool(dryRun),
                ]))
                return
            }
            for name in report.removed { Terminal.say((dryRun ? "would remove " : "removed ") + name) }
            for name in report.undecided { Terminal.say("\(name) cannot be used, and is left: 'contex backup verify' says why") }
            Terminal.say("\(report.kept.count) backups stay, \(report.removed.count) \(dryRun ? "would go" : "went"), \(BackupText.size(report.freedBytes))")
        }
    }
}

/// How backups are printed.
enum BackupText {
    static func size(_ bytes: Int) -> String {
        var (value, unit) = (Double(bytes), 0)
        let units = ["bytes", "kB", "MB", "GB", "TB"]
        while value >= 1_000, unit < units.count - 1 {
            value /= 1_000
            unit += 1
        }
        return unit == 0 ? "\(bytes) bytes" : "\((value * 10).rounded() / 10) \(units[unit])"
    }

    static func seconds(_ seconds: Double) -> String { "\((seconds * 10).rounded() / 10)" }

    static func encryption(_ manifest: BackupManifest) -> String {
        switch manifest.encryption {
        case .none: "none"
        case .keyFile: "key_file"
        case .passphrase: "passphrase"
        }
    }

    static func members(_ name: String, _ manifest: BackupManifest) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = [
            ("name", .string(name)), ("kind", .string(manifest.isFull ? "full" : "increment")), ("id", .string(manifest.id.description)),
        ]
        switch manifest.content {
        case .full(let hash): members.append(("content_hash", .string("\(hash)")))
        case .increment(let follows, let from, _):
            members.append(("follows", .string(follows.description)))
            members.append(("from_position", .string("\(from.position)")))
            members.append(("from_time", .string(from.time.iso8601)))
        }
        return members + [
            ("position", .string("\(manifest.to.position)")), ("position_time", .string(manifest.to.time.iso8601)),
            ("taken_at", .string(manifest.taken.iso8601)), ("items", .integer(Int(clamping: manifest.items))), ("bytes", .integer(manifest.plainBytes)),
            ("stored_bytes", .integer(manifest.storedBytes)), ("encryption", .string(encryption(manifest))),
            ("has_secrets", .bool(manifest.secrets != nil)), ("has_journal", .bool(manifest.link != nil)), ("model", .string(manifest.model)),
            ("writer", .string(manifest.writer)),
        ]
    }

    static func rows(_ backups: [BackupFolder.Entry]) -> [[String]] {
        [["BACKUP", "POSITIONS", "STATES FROM", "UNTIL", "ITEMS", "SIZE", "ENCRYPTED"]]
            + backups.map { entry in
                let manifest = entry.manifest
                var (positions, from) = ("\(manifest.to.position)", manifest.to.time)
                if case .increment(_, let before, _) = manifest.content {
                    positions = "\(before.position.next) to \(manifest.to.position)"
                    from = before.time
                }
                return [
                    entry.name, positions, from.iso8601, manifest.taken.iso8601, "\(manifest.items)", size(manifest.storedBytes),
                    encryption(manifest) + (manifest.secrets == nil ? "" : ", with secrets"),
                ]
            }
    }
}
