internal import ArgumentParser
internal import Base
internal import Content
internal import Maintenance

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a whole data folder: every page, every seal, every index against its documents, the hash chain of every log.",
        discussion: """
            Works beside a running server. Records that are gone, or are older ones again, are noticed by sums that are kept of \
            them; a store of an earlier build has none until 'contex reindex --sums-only'. \
            Exit code 0: all is well; 1: something is wrong, a finding a line. With a damaged page \
            nothing but the pages is read. With --content-hash it reads pages and seals and nothing more.
            """)

    @OptionGroup var options: FolderOptions

    @Flag(help: "Print a hash over all that the store says instead: 64 digits, equal where the same commands were carried out in the same order.")
    var contentHash = false

    func run() throws { try contentHash ? printHash() : check() }

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
