internal import ArgumentParser
internal import Base
internal import Content

struct DataCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Show what a project holds, or one of its keys: now, or as it was.",
        discussion: "Without a key: a node a line. With one: its data as it was published.")

    @Argument(help: "The project.") var project: String
    @Argument(help: "A key of the project.") var key: String?
    @Flag(help: "Only the keys.") var keys = false
    @Option(help: ArgumentHelp("A page of so many (1 to \(Limits.pageItems)) instead of all.", valueName: "count")) var limit: Int?
    @Option(help: "Goes on where a page ended: its cursor.") var cursor: String?
    @Option(help: ArgumentHelp("As the project was after this event, or at this ISO 8601 time.", valueName: "sequence|time")) var asOf: String?
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if key != nil, limit != nil || cursor != nil { throw ValidationError("--limit and --cursor are for listings: name no key") }
        if let limit, !(1...Limits.pageItems).contains(limit) { throw ValidationError("--limit must be from 1 to \(Limits.pageItems)") }
        if keys, key != nil { throw ValidationError("--keys lists all keys: name no key") }
    }

    func run() async throws {
        let moment = asOf.map { [("as_of", $0)] } ?? []
        let client = try options.client()
        if let key {
            let answer = try await client.get(["projects", project, "data", key], moment)
            if options.json {
                Terminal.say(JSONPrinter.text(answer))
            } else if let data = answer["data"], !data.isNull || answer["timestamp"]?.isNull == false {
                let lines = JSONPrinter.text(data, style: .pretty2).split(separator: "\n", omittingEmptySubsequences: false)
                Terminal.say(lines.map { Terminal.clean(String($0)) }.joined(separator: "\n"))
            } else {
                for node in answer["nodes"]?.arrayValue ?? [] { Self.show(node) }
            }
            return
        }
        let query = moment + (keys ? [("include_content", "false")] : [])
        let page = (limit.map { [("limit", String($0))] } ?? []) + (cursor.map { [("cursor", $0)] } ?? [])
        let path = ["projects", project, "data"]
        let answer = try await page.isEmpty ? client.getAll(path, query, list: keys ? "data_keys" : nil) : client.get(path, query + page)
        let nodes = answer["data"]?.arrayValue ?? answer.arrayValue ?? []
        if (answer["data_keys"]?.arrayValue ?? nodes).isEmpty { try await client.requireProject(project) }
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
        } else if keys {
            for key in answer["data_keys"]?.arrayValue ?? [] { Terminal.say(Terminal.clean(key.stringValue ?? "")) }
        } else {
            for node in nodes { Self.show(node) }
        }
        if !options.json, let next = answer["next_cursor"]?.stringValue { Terminal.say(Terminal.paint("more: --cursor \(Terminal.clean(next))", .dim)) }
    }

    private static func show(_ node: JSONValue) {
        Terminal.say(Terminal.paint(Terminal.clean(node["data_key"]?.stringValue ?? ""), .bold))
        Terminal.say("       " + Terminal.clean(node["description"]?.stringValue ?? "", atMost: 300))
    }
}
