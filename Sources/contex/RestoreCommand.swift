internal import ArgumentParser
internal import Base
internal import Content
internal import Maintenance

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a data folder of backups: the newest state, or that of an earlier position or time.",
        discussion: """
            The folder must be new or empty; nothing is ever restored over a store. It is made under another name and gets its own at the end, after the \
            integrity check of 'contex check'; whatever is damaged or missing ends the command, and nothing is left. 'contex backup list' shows which \
            positions and times there are.
            """)

    @Option(help: ArgumentHelp("The folder with the backups.", valueName: "folder"))
    var from: String

    @Option(help: ArgumentHelp("The data folder to make.", valueName: "folder"))
    var dataDir: String

    @Option(help: ArgumentHelp("Restore the state after so many commands.", valueName: "position"))
    var toPosition: UInt64?

    @Option(help: ArgumentHelp("Restore the state at this time, for instance 2026-11-30T12:00:00Z.", valueName: "time"))
    var toTime: String?

    @OptionGroup var key: BackupKeyOptions

    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        if toPosition != nil, toTime != nil { throw ValidationError("Give a position or a time, not both.") }
        if let toTime, Timestamp(printed: toTime) == nil {
            throw ValidationError("'\(toTime)' is no time: write it like 2026-11-30T12:00:00Z or 2026-11-30T13:00:00+01:00.")
        }
    }

    private var moment: RestoreMoment {
        if let toPosition { return .position(Position(rawValue: toPosition)) }
        return toTime.flatMap { Timestamp(printed: $0) }.map(RestoreMoment.time) ?? .latest
    }

    func run() throws {
        let report: Restore.Report
        do {
            defer { Terminal.progress("") }
            report = try Restore.run(from: from, to: dataDir, moment, secret: key.secret()) { step, done, all in
                switch step {
                case .records: Terminal.progress(done, of: all, "records")
                case .commands: Terminal.progress(done, of: all, "commands")
                case .checking: Terminal.progress("checking")
                }
            }
        } catch {
            throw CommandFailure(error)
        }
        if json {
            Terminal.say(JSONPrinter.text([
                "backups": .array(report.backups.map(JSONValue.string)), "position": .string("\(report.position)"),
                "position_time": .string(report.time.iso8601), "records": .integer(Int(clamping: report.records)),
                "commands": .integer(Int(clamping: report.commands)), "projects": .integer(report.projects), "documents": .integer(report.documents),
                "content_hash": .string(report.contentHash), "has_pepper": .bool(report.hasPepper),
            ]))
            return
        }
        let commands = report.commands == 0 ? "" : " and \(report.commands) commands"
        Terminal.say(
            "restored \(report.records) records\(commands) of \(report.backups.count) backups: \(dataDir) is at position \(report.position), "
                + "of \(report.time.iso8601)")
        Terminal.say(Terminal.paint("all is well", .green) + ": \(report.projects) projects, \(report.documents) documents; content hash \(report.contentHash)")
        if report.hasKeys, !report.hasPepper {
            Terminal.say("its API keys open nothing without the pepper of the origin: put that file into \(dataDir) before it is served")
        }
    }
}
