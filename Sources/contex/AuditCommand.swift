internal import ArgumentParser
internal import Audit
internal import Base
internal import Content
internal import Maintenance

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Who changed what, and what was refused.",
        discussion: "list and export ask a running server with an administrator's key; verify reads a data folder, also beside its server.",
        subcommands: [AuditList.self, AuditExport.self, AuditVerify.self])
}

struct AuditFilter: ParsableArguments {
    @Option(help: ArgumentHelp("Only what this key did: its id, or anonymous.", valueName: "key-id")) var actor: String?
    @Option(help: ArgumentHelp("Only records of this type, such as data.published.", valueName: "type")) var type: String?
    @Option(help: "Only what concerns this project.") var project: String?
    @Option(help: ArgumentHelp("Only from this time on (ISO 8601).", valueName: "time")) var since: String?
    @Option(help: ArgumentHelp("Only before this time (ISO 8601).", valueName: "time")) var until: String?

    var query: [(String, String)] {
        [("actor_id", actor), ("event_type", type), ("project_id", project), ("start_time", since), ("end_time", until)].compactMap { name, value in
            value.map { (name, $0) }
        }
    }
}

struct AuditList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The newest records, newest first.")

    @OptionGroup var filter: AuditFilter
    @Option(help: "Records at most, 1,000 at the most.") var limit = 50
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(["audit", "events"], filter.query + [("limit", String(limit))])
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        func text(_ record: JSONValue, _ member: String) -> String { Terminal.clean(record[member]?.stringValue ?? "-", atMost: 60) }
        let rows = (answer["events"]?.arrayValue ?? []).map { record in
            [
                "\(record["sequence"]?.integerValue ?? 0)", String(text(record, "timestamp").prefix(19)), text(record, "event_type"), text(record, "result"),
                text(record, "actor_id"), text(record, "actor_ip"), text(record, "project_id"),
                record["resource_type"]?.stringValue == nil ? "-" : text(record, "resource_type") + "/" + text(record, "resource_id"),
            ]
        }
        Terminal.say(Terminal.table([["NUMBER", "TIME (UTC)", "TYPE", "RESULT", "ACTOR", "ADDRESS", "PROJECT", "RESOURCE"]] + rows))
    }
}

struct AuditExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "export", abstract: "All records as JSON lines, newest first.")

    @OptionGroup var filter: AuditFilter
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let client = try options.client()
        var before: Int?
        repeat {
            let page = before.map { [("before", String($0))] } ?? []
            let answer = try await client.get(["audit", "events"], filter.query + [("limit", "1000")] + page)
            for record in answer["events"]?.arrayValue ?? [] { Terminal.say(JSONPrinter.text(record)) }
            before = answer["next_before"]?.integerValue
        } while before != nil
    }
}

struct AuditVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Prove that no record was changed, left out or cut off.",
        discussion: """
            The chain shows what was changed or left out in the middle. That the end was cut off shows against what was kept elsewhere: the checkpoints \
            that the server signs (CONTEX_AUDIT_CHECKPOINTS, and its log), or the number and link of a record, as this command, GET /audit/verify \
            and each exported record print them.
            """)

    @OptionGroup var folder: FolderOptions
    @Option(help: ArgumentHelp("Checkpoints that the server has signed, a line each.", valueName: "file")) var checkpoints: String?
    @Option(help: ArgumentHelp("Whose signatures they must have: 64 hexadecimal digits.", valueName: "key")) var publicKey: String?
    @Option(help: ArgumentHelp("A record that there was, with --link.", valueName: "number")) var number: UInt64?
    @Option(help: ArgumentHelp("Its link: 64 hexadecimal digits.", valueName: "link")) var link: String?

    func validate() throws {
        guard (number == nil) == (link == nil) else { throw ValidationError("--number and --link go together") }
        guard publicKey == nil || checkpoints != nil else { throw ValidationError("--public-key goes with --checkpoints") }
    }

    func run() async throws {
        let state: AuditLog.State?
        var known = AuditVerification.Known()
        do {
            if let number, let link { known.add(number, link: link) }
            if let checkpoints {
                let text = try InputFile.text(of: checkpoints)
                try known.add(checkpoints: text, publicKey: publicKey)
            }
            state = try AuditVerification.run(directory: folder.folder, known: known)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(error)
        }
        if folder.json {
            Terminal.say(
                JSONPrinter.text([
                    "status": state == nil ? "empty" : "intact", "first": state.map { .integer(Int(clamping: $0.first)) } ?? .null,
                    "last": state.map { .integer(Int(clamping: $0.last)) } ?? .null, "link": state.map { .string($0.linkText) } ?? .null,
                    "checkpoints": .integer(known.checkpoints),
                ]))
        } else if let state {
            let signed = known.checkpoints > 0 ? ", \(known.checkpoints) signed checkpoints hold" : ""
            Terminal.say("intact: records \(state.first) to \(state.last), link of the last \(state.linkText)\(signed)")
        } else {
            Terminal.say("nothing was ever written down: audit is on while authentication is, or with --audit")
        }
    }
}
