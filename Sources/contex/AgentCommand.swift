internal import ArgumentParser
internal import Base
internal import Content

struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Register, list and remove agents.",
        subcommands: [AgentRegister.self, AgentList.self, AgentRemove.self])
}

struct AgentRegister: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register", abstract: "Register an agent with its needs.",
        discussion: """
            It gets the matching context at once, and every later publish that matches: on its channel of the Redis protocol, or at its \
            webhook. Registering an id again replaces it.
            """)

    @Argument(help: "The project.") var project: String
    @Argument(help: "The agent's id.") var agent: String
    @Option(
        name: [.customLong("need"), .customShort("n")], parsing: .singleValue,
        help: ArgumentHelp("A need in plain words; may be repeated.", valueName: "text"))
    var needs: [String] = []
    @Option(help: ArgumentHelp("Events after this one are sent as missed.", valueName: "sequence")) var since: UInt64 = 0
    @Option(help: ArgumentHelp("The channel (default: agent:<id>:updates).", valueName: "name")) var channel: String?
    @Option(help: ArgumentHelp("Tell the agent by HTTP requests to this address.", valueName: "url")) var webhook: String?
    @Option(help: ArgumentHelp("The secret that signs those requests.", valueName: "text")) var webhookSecret: String?
    @Option(help: ArgumentHelp("json, toon ...: the format of messages.", valueName: "format")) var responseFormat = "json"
    @Option(help: ArgumentHelp("Bound of the initial context in cl100k tokens (1000 to 128000; never over the server's).", valueName: "tokens"))
    var maxTokens: Int?
    @Option(help: "How much it counts that a match of the initial context says something new, 0 to 1.") var diversity: Double?
    @Option(help: ArgumentHelp("A document or node that comes first in it, whatever its similarity; may be repeated.", valueName: "key"))
    var pin: [String] = []
    @OptionGroup var options: ClientOptions

    func run() async throws {
        var body = JSONObject([
            ("agent_id", .string(agent)), ("project_id", .string(project)), ("data_needs", .array(needs.map(JSONValue.string))),
            ("last_seen_sequence", .string(String(since))), ("response_format", .string(responseFormat)),
        ])
        if let channel { body["notification_channel"] = .string(channel) }
        if let webhook {
            body["notification_method"] = "webhook"
            body["webhook_url"] = .string(webhook)
        }
        if let webhookSecret { body["webhook_secret"] = .string(webhookSecret) }
        if let maxTokens { body["max_tokens"] = .integer(maxTokens) }
        if let diversity { body["diversity"] = .double(diversity) }
        if !pin.isEmpty { body["pinned"] = .array(pin.map(JSONValue.string)) }
        let answer = try await options.client().post(["agents", "register"], .object(body))
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let channel = answer["notification_channel"]?.stringValue ?? ""
        Terminal.say("registered \(Terminal.clean(agent)) in \(Terminal.clean(project)), told " + (webhook ?? "on channel \(Terminal.clean(channel))"))
        for (need, count) in answer["matched_needs"]?.objectValue ?? JSONObject() {
            Terminal.say("  \(count.integerValue ?? 0) matches: \(Terminal.clean(need, atMost: 120))")
        }
    }
}

struct AgentList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List agents.")

    @Option(help: "Only the agents of this project.") var project: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().getAll(project.map { ["projects", $0, "agents"] } ?? ["agents"], list: "agents")
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
        } else {
            for agent in answer["agents"]?.arrayValue ?? [] { Terminal.say(Terminal.clean(agent.stringValue ?? "")) }
        }
    }
}

struct AgentRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Remove an agent.")

    @Argument(help: "The agent's id.") var agent: String
    @Option(help: "From this project; needed when several have an agent of this id.") var project: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let path = (project.map { ["projects", $0] } ?? []) + ["agents", agent]
        let client = try options.client()
        // The removal itself is content with an unknown id, as the original's; a person is not.
        _ = try await client.get(path)
        let answer = try await client.delete(path)
        Terminal.say(options.json ? JSONPrinter.text(answer) : "removed \(Terminal.clean(agent))")
    }
}
