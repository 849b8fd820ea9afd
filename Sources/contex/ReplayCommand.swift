internal import ArgumentParser
internal import Assembly
internal import Base
internal import Content
internal import Maintenance

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Apply the journal of a data folder to another one: an empty folder, or a copy that the journal goes on from.",
        discussion: """
            The folder that is written to must not be served; the one that is read may be. The whole journal is verified first: when anything in it \
            is damaged, nothing is applied. No model is needed, since the commands carry what was computed.
            """)

    @Option(help: ArgumentHelp("The data folder whose journal is read (CONTEX_JOURNAL says for how long it is kept).", valueName: "folder"))
    var from: String

    @OptionGroup var options: FolderOptions

    func run() async throws {
        let report: Replay.Report
        do {
            var configuration = try ServerConfiguration(arguments: [], environment: ProcessInfo.processInfo.environment)
            configuration.dataFolder = options.folder
            defer { Terminal.progress("") }
            report = try await Replaying.run(from: from, to: configuration) { step, done, all in
                Terminal.progress(done, of: all, step == .verifying ? "entries verified" : "commands applied")
            }
        } catch {
            throw CommandFailure(error)
        }
        if options.json {
            let object: JSONValue = [
                "from": .string("\(report.from)"), "position": .string("\(report.to)"), "applied": .integer(report.applied),
                "position_time": .string(report.time.iso8601),
            ]
            Terminal.say(JSONPrinter.text(object))
        } else if report.applied == 0 {
            Terminal.say("nothing to apply: \(options.folder) is at position \(report.to)")
        } else {
            Terminal.say("applied \(report.applied) commands: \(options.folder) is at position \(report.to), of \(report.time.iso8601)")
        }
    }
}
