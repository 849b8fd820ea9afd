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

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a whole data folder: every page, every seal, every index against its documents, the hash chain of every log.",
        discussion: """
            Works beside a running server. Records that are gone, or are older ones again, are noticed by sums that are kept of \
            them; a store of an earlier build has none until 'contex reindex --sums-only'. \
            Exit code 0: all is well; 1: something is wrong, a finding a line. With a damaged page \
            nothing but the pages is read. With --content-hash it reads pages and seals and nothing more.

            With --repair, and the server stopped, what can be made sound again is: the meta page that is good is taken, what is on pages that can be \
            read is saved, indexes are made anew from their documents, and what of the documents follows from the log is made again. The log, the \
            journal and the audit trail are copied and never changed. It works on a copy, which takes the store's place by one rename, and keeps the \
            file of before beside it. Exit code 0: all is well now; 1: something is wrong still, a finding a line.
            """)

    @OptionGroup var options: FolderOptions

    @Flag(help: "Print a hash over all that the store says instead: 64 digits, equal where the same commands were carried out in the same order.")
    var contentHash = false

    @Flag(help: "Make sound again what can be, while no server runs.")
    var repair = false

    @Option(help: ArgumentHelp("With --repair: the model folder (default: CONTEX_MODEL_DIR, else ./.models/all-MiniLM-L6-v2).", valueName: "folder"))
    var modelDir: String?

    func validate() throws {
        if repair, contentHash { throw ValidationError("--repair and --content-hash do not go together") }
        if modelDir != nil, !repair { throw ValidationError("--model-dir is for --repair") }
    }

    func run() async throws {
        if repair { return try await mend() }
        try contentHash ? printHash() : check()
    }

    private func mend() async throws {
        let report: Repair.Report
        do {
            // Threshold and mode decide whom an agent follows: taken from where the server takes them.
            var configuration = try ServerConfiguration(arguments: [], environment: ProcessInfo.processInfo.environment)
            if let dataDir = options.dataDir { configuration.dataFolder = dataDir }
            if let modelDir { configuration.modelFolder = modelDir }
            defer { Terminal.progress("") }
            report = try await Repairing.run(configuration) { step in
                switch step {
                case .checking(let what): Terminal.progress("checking " + Terminal.clean(what, atMost: 60))
                case .copying(let records): Terminal.progress("copying \(records) records")
                case .indexing(let done, let all): Terminal.progress(done, of: all, "nodes")
                case .linking(let done, let all): Terminal.progress(done, of: all, "vectors linked")
                }
            }
        } catch {
            throw CommandFailure(error)
        }
        let folder = options.folder
        if options.json {
            Terminal.say(
                JSONPrinter.text([
                    "found": .array(report.found.map(JSONValue.string)), "mended": .array(report.mended.map(JSONValue.string)),
                    "left": .array(report.left.map(JSONValue.string)), "records": .integer(report.records),
                    "kept": report.kept.map(JSONValue.string) ?? .null,
                ]))
        } else {
            for (title, lines) in [("found", report.found), ("mended", report.mended), ("left", report.left)] {
                for line in lines { Terminal.say("\(title): " + Terminal.clean(line)) }
            }
            if let kept = report.kept { Terminal.say("the file of before is \(kept): remove it when you are content") }
            if report.left.isEmpty { Terminal.say(Terminal.paint("all is well", .green) + (report.found.isEmpty ? ": nothing was to be mended" : "")) }
        }
        guard report.left.isEmpty else {
            throw CommandFailure(
                .failed, "\(report.left.count) findings in \(folder) that nothing is left to mend from: restore them from a backup (contex restore)"
                    + (report.kept == nil ? "; the store is as it was" : ""))
        }
    }

    private func printHash() throws {
        let hash: String
        do {
            defer { Terminal.progress("") }
            hash = try ContentHash.hex(directory: options.folder) { Terminal.progress($0, of: $1, "records") }
        } catch {
            throw CommandFailure(error)
        }
        Terminal.say(options.json ? JSONPrinter.text(["content_hash": .string(hash)]) : hash)
    }

    private func check() throws {
        let folder = options.folder
        let report: IntegrityCheck.Report
        do {
            defer { Terminal.progress("") }
            report = try IntegrityCheck.run(directory: folder) { Terminal.progress("checking " + Terminal.clean($0, atMost: 60)) }
        } catch {
            throw CommandFailure(error)
        }
        if options.json {
            Terminal.say(JSONPrinter.text(Self.object(report)))
        } else {
            for finding in report.findings { Terminal.say(Terminal.clean(finding)) }
            let counts =
                "\(report.values) values, \(report.projects) projects, \(report.events) events, \(report.documents) documents, "
                + "\(report.nodes) nodes, \(report.agents) agents"
            if report.values > 0, !report.keepsSums, report.findings.isEmpty {
                Terminal.say("no sums of records are kept here: one that is gone may go unnoticed ('contex reindex --sums-only' begins them)")
            }
            Terminal.say(report.findings.isEmpty ? Terminal.paint("all is well", .green) + ": \(counts)" : "read: \(counts)")
        }
        guard report.findings.isEmpty else {
            let more = report.findings.count >= IntegrityCheck.findingsMax ? " or more" : ""
            throw CommandFailure(.failed, "\(report.findings.count)\(more) findings in \(folder): keep a copy of it before anything else is tried")
        }
    }

    private static func object(_ report: IntegrityCheck.Report) -> JSONValue {
        [
            "findings": .array(report.findings.map(JSONValue.string)), "values": .integer(report.values), "projects": .integer(report.projects),
            "events": .integer(report.events), "documents": .integer(report.documents), "nodes": .integer(report.nodes),
            "agents": .integer(report.agents), "keeps_sums": .bool(report.keepsSums),
        ]
    }
}
