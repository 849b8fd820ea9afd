internal import ArgumentParser
internal import Base
internal import Content
internal import Engine
internal import Journal
internal import Maintenance

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a data folder holds and what it costs: projects, records and bytes of each kind, the file.",
        discussion: "Works beside a running server, and without one.")

    @OptionGroup var options: FolderOptions

    func run() throws {
        let report: StoreReport
        do {
            report = try StoreReport.read(directory: options.folder)
        } catch {
            throw CommandFailure(error)
        }
        if options.json {
            Terminal.say(JSONPrinter.text(Self.object(report)))
            return
        }
        let projects = report.projects.map { project in
            [Terminal.clean(project.name.text, atMost: 60), "\(project.documents)", "\(project.nodes)", "\(project.agents)", "\(project.lastSequence)"]
        }
        Terminal.say(Terminal.table([["PROJECT", "DOCUMENTS", "NODES", "AGENTS", "EVENTS"]] + projects))
        if !report.tenants.isEmpty {
            Terminal.say("\n" + Terminal.table([["TENANT", "PROJECTS", "BYTES"]] + report.tenants.map { [$0.name, "\($0.projects)", "\($0.bytes)"] }))
        }
        let kinds = report.kinds.map { kind in
            [kind.name, "\(kind.records)", "\(kind.bytes)", "\(kind.diskBytes)", Self.perNode(kind.diskBytes, report)]
        }
        Terminal.say("\n" + Terminal.table([["KIND", "RECORDS", "BYTES", "ON DISK", "A NODE"]] + kinds))
        Terminal.say(
            "\nfile: \(report.fileBytes) bytes (\(Self.perNode(report.fileBytes, report)) a node): records \(report.recordBytes), "
                + "branches \(report.branchBytes), free for the next commits \(report.freeBytes)\n"
                + "\(report.depth) levels, commit \(report.lastTransaction), \(report.readers) reader slots used")
        let last = report.position
        Terminal.say(
            "position: \(last.position)" + (last.position > .zero ? " of \(last.time.iso8601)" : "")
                + (report.journal.map { ", journal from \($0.lowerBound) to \($0.upperBound)" } ?? ", no journal"))
    }

    /// Bytes for each node of the store; "-" when there is none.
    private static func perNode(_ bytes: Int, _ report: StoreReport) -> String {
        report.nodes == 0 ? "-" : "\((Double(bytes) / Double(report.nodes) * 10).rounded() / 10)"
    }

    private static func object(_ report: StoreReport) -> JSONValue {
        [
            "projects": .array(
                report.projects.map {
                    [
                        "project_id": .string($0.name.text), "documents": .integer($0.documents), "nodes": .integer($0.nodes),
                        "agents": .integer($0.agents), "last_sequence": .string("\($0.lastSequence)"),
                    ]
                }),
            "tenants": .array(
                report.tenants.map { ["tenant_id": .string($0.name), "projects": .integer($0.projects), "bytes": .integer($0.bytes)] }),
            "kinds": .array(
                report.kinds.map {
                    [
                        "kind": .string($0.name), "records": .integer($0.records), "bytes": .integer($0.bytes),
                        "disk_bytes": .integer($0.diskBytes),
                    ]
                }),
            "nodes": .integer(report.nodes), "file_bytes": .integer(report.fileBytes), "record_bytes": .integer(report.recordBytes),
            "branch_bytes": .integer(report.branchBytes), "free_bytes": .integer(report.freeBytes), "depth": .integer(report.depth),
            "last_commit": .integer(Int(report.lastTransaction)), "reader_slots": .integer(report.readers),
            "position": .string("\(report.position.position)"),
            "position_time": report.position.position > .zero ? .string(report.position.time.iso8601) : .null,
            "journal": report.journal.map { ["first": .string("\($0.lowerBound)"), "last": .string("\($0.upperBound)")] } ?? .null,
        ]
    }
}
