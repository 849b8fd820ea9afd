internal import ArgumentParser
internal import Base
internal import Content

struct WebhookCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "webhook", abstract: "List webhook endpoints; show, send again or remove what deliveries have given up.",
        subcommands: [WebhookList.self, WebhookDead.self, WebhookReplay.self, WebhookRemove.self])
}

/// Whose deliveries: an endpoint's or an agent's.
struct WebhookSubject: ParsableArguments {
    @Option(help: ArgumentHelp("An endpoint: whep_...", valueName: "id")) var endpoint: String?
    @Option(help: ArgumentHelp("An agent that is told by webhook, with --project.", valueName: "id")) var agent: String?
    @Option(help: "The agent's project.") var project: String?

    func validate() throws {
        guard (endpoint == nil) != (agent == nil) else { throw ValidationError("name one: --endpoint, or --agent with --project") }
        guard agent == nil || project != nil else { throw ValidationError("--agent needs --project") }
    }

    var path: [String] { (endpoint.map { ["webhooks", "endpoints", $0] } ?? ["projects", project ?? "", "agents", agent ?? ""]) + ["dead-letters"] }
}

struct WebhookList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List webhook endpoints.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(["webhooks", "endpoints"])
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let rows = (answer.arrayValue ?? []).map { endpoint in
            [
                Terminal.clean(endpoint["endpoint_id"]?.stringValue ?? ""), endpoint["is_active"] == .bool(true) ? "active" : "off",
                Terminal.clean(endpoint["name"]?.stringValue ?? "", atMost: 40), Terminal.clean(endpoint["url"]?.stringValue ?? "", atMost: 100),
            ]
        }
        Terminal.say(Terminal.table([["ENDPOINT", "STATE", "NAME", "URL"]] + rows))
    }
}

struct WebhookDead: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "dead", abstract: "What deliveries have given up, oldest first.")

    @OptionGroup var subject: WebhookSubject
    @Option(help: ArgumentHelp("Only those with a greater number.", valueName: "number")) var after: UInt64 = 0
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(subject.path, [("after", String(after))])
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let letters = answer["dead_letters"]?.arrayValue ?? []
        let rows = letters.map { letter in
            [
                Terminal.clean(letter["number"]?.stringValue ?? ""), Terminal.clean(letter["kind"]?.stringValue ?? ""),
                Terminal.clean(letter["sequence"]?.stringValue ?? letter["event"]?.stringValue ?? "-"), "\(letter["attempts"]?.integerValue ?? 0)",
                Terminal.clean(letter["time"]?.stringValue ?? ""), Terminal.clean(letter["reason"]?.stringValue ?? "", atMost: 100),
            ]
        }
        Terminal.say(Terminal.table([["NUMBER", "KIND", "OF", "TRIES", "TIME", "REASON"]] + rows))
        if answer["has_more"] == .bool(true) { Terminal.say("there are more: --after \(letters.last?["number"]?.stringValue ?? "0")") }
    }
}

struct WebhookReplay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Send dead letters again, each once; what fails again stays one.")

    @Argument(help: ArgumentHelp("Their numbers; none: all.", valueName: "number")) var numbers: [UInt64] = []
    @OptionGroup var subject: WebhookSubject
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().post(subject.path + ["replay"], WebhookRemove.body(numbers))
        Terminal.say(options.json ? JSONPrinter.text(answer) : "\(answer["count"]?.integerValue ?? 0) dead letters are sent again")
    }
}

struct WebhookRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Throw dead letters away.")

    @Argument(help: ArgumentHelp("Their numbers; none: all.", valueName: "number")) var numbers: [UInt64] = []
    @OptionGroup var subject: WebhookSubject
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().post(subject.path + ["remove"], Self.body(numbers))
        Terminal.say(options.json ? JSONPrinter.text(answer) : "removed \(answer["count"]?.integerValue ?? 0) dead letters")
    }

    static func body(_ numbers: [UInt64]) -> JSONValue { ["numbers": .array(numbers.map { .string(String($0)) })] }
}
