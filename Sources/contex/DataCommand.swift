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
    @Option(help: ArgumentHelp("As the project was after this event, or at this ISO 8601 time.", valueName: "sequence|time")) var asOf: String?
    @OptionGroup var options: ClientOptions

    func validate() throws {
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
        let answer = try await client.getAll(
            ["projects", project, "data"], moment + (keys ? [("include_content", "false")] : []), list: keys ? "data_keys" : nil)
        if (answer["data_keys"]?.arrayValue ?? answer.arrayValue ?? []).isEmpty { try await client.requireProject(project) }
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
        } else if keys {
            for key in answer["data_keys"]?.arrayValue ?? [] { Terminal.say(Terminal.clean(key.stringValue ?? "")) }
        } else {
            for node in answer.arrayValue ?? [] { Self.show(node) }
        }
    }

    private static func show(_ node: JSONValue) {
        Terminal.say(Terminal.paint(Terminal.clean(node["data_key"]?.stringValue ?? ""), .bold))
        Terminal.say("       " + Terminal.clean(node["description"]?.stringValue ?? "", atMost: 300))
    }
}
