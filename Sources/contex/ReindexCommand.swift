internal import ArgumentParser
internal import Assembly
internal import Base
internal import Content
internal import Engine
internal import Maintenance

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

struct ReindexCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reindex",
        abstract: "Make every index of a data folder anew from its documents: for another embedding model, or to repair.",
        discussion: """
            The server must be stopped. Cut off, it goes on where it stopped when it is called again. Log, documents, keys and \
            registrations are not touched, and vectors that publishers brought are kept.

            With --sums-only no index is made: the store is checked, and its records, as they are, are taken for those that were written. So a store of an \
            earlier build gets the sums by which 'contex check' notices a record that is gone; so does one whose loss is accepted.
            """)

    @OptionGroup var options: FolderOptions

    @Option(help: ArgumentHelp("The model folder (default: CONTEX_MODEL_DIR, else ./.models/all-MiniLM-L6-v2).", valueName: "folder"))
    var modelDir: String?

    @Option(help: ArgumentHelp("Give the project of --project this analyser: english, simple or code.", valueName: "name"))
    var analyzer: String?

    @Option(help: ArgumentHelp("The project that --analyzer is for.", valueName: "project"))
    var project: String?

    @Flag(help: "Make no index: only begin the sums of records, or begin them again.")
    var sumsOnly = false

    func validate() throws {
        if sumsOnly, modelDir != nil || analyzer != nil { throw ValidationError("--sums-only makes no index, and takes no model or analyser") }
        if (analyzer == nil) != (project == nil) { throw ValidationError("--analyzer and --project go together") }
        if let analyzer, !ProjectSettings.analyzerNames.contains(analyzer) {
            throw ValidationError("--analyzer is one of \(ProjectSettings.analyzerNames.joined(separator: ", "))")
        }
    }

    func run() async throws { try await sumsOnly ? count() : reindex() }

    private func count() throws {
        let report: RecordCount.Report
        do {
            defer { Terminal.progress("") }
            report = try RecordCount.run(configuration: DatabaseConfiguration(directory: options.folder)) {
                Terminal.progress("checking " + Terminal.clean($0, atMost: 60))
            }
        } catch {
            throw CommandFailure(error)
        }
        if options.json {
            let object: JSONValue = ["records": .integer(report.records), "accepted": .array(report.accepted.map(JSONValue.string))]
            return Terminal.say(JSONPrinter.text(object))
        }
        for accepted in report.accepted { Terminal.say("accepted: " + Terminal.clean(accepted)) }
        Terminal.say("\(report.records) records are counted")
    }

    private func reindex() async throws {
        let report: Reindex.Report
        do {
            // Threshold and mode decide whom an agent follows: taken from where the server takes them.
            var configuration = try ServerConfiguration(arguments: [], environment: ProcessInfo.processInfo.environment)
            if let dataDir = options.dataDir { configuration.dataFolder = dataDir }
            if let modelDir { configuration.modelFolder = modelDir }
            var change: Reindex.AnalyzerChange?
            if let analyzer, let project { change = try .init(project: Name(project, field: "project"), analyzer: analyzer) }
            defer { Terminal.progress("") }
            report = try await Reindexing.run(configuration, change: change) { step, done, all in
                Terminal.progress(done, of: all, step == .indexing ? "nodes" : "vectors linked")
            }
        } catch {
            throw CommandFailure(error)
        }
        if options.json {
            let object: JSONValue = [
                "projects": .integer(report.projects), "nodes": .integer(report.nodes), "needs": .integer(report.needs),
                "own_vectors": .integer(report.ownVectors), "foreign_vectors": .integer(report.foreignVectors), "resumed": .bool(report.wasResumed),
            ]
            Terminal.say(JSONPrinter.text(object))
        } else {
            Terminal.say(
                "indexed \(report.nodes) nodes and \(report.needs) needs of \(report.projects) projects"
                    + (report.wasResumed ? ", from where an earlier run had stopped" : ""))
            if report.foreignVectors > 0 {
                Terminal.complainPlainly(
                    "\(report.foreignVectors) vectors of publishers have another dimension than the model: their texts were embedded instead. "
                        + "The log keeps them; publish new ones, or reindex with a model of their dimension")
            }
        }
    }
}
