internal import Addresses
internal import ArgumentParser
internal import Base
internal import Content
internal import Search

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Register, list and remove agents, read what concerned them.",
        subcommands: [AgentRegister.self, AgentList.self, AgentInbox.self, AgentFeedback.self, AgentRemove.self])
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
    @Option(help: "From which similarity on a node matches a need, 0 to 1 (default: the server's).") var minSimilarity: Double?
    @Option(help: "hybrid, semantic or keyword: how the needs are scored (default: the server's).") var mode: SearchMode?
    @Option(help: ArgumentHelp("Only documents that pass can match: '{\"metadata.team\":\"core\"}'.", valueName: "json")) var filter: JSONOption?
    @Option(help: "Nodes of the initial context for each need (1 to \(Limits.topK); default: the server's).") var top: Int?
    @Option(help: ArgumentHelp("Events after this one are sent as missed.", valueName: "sequence")) var since: UInt64 = 0
    @Option(help: ArgumentHelp("The channel (default: agent:<id>:updates).", valueName: "name")) var channel: String?
    @Option(help: ArgumentHelp("Tell the agent by HTTP requests to this address.", valueName: "url")) var webhook: String?
    @Option(
        help: ArgumentHelp(
            "A file with the secret that signs those requests; - for standard input (default: CONTEX_WEBHOOK_SECRET). It is never printed.",
            valueName: "file"))
    var webhookSecretFile: String?
    @Option(help: ArgumentHelp("json, toon ...: the format of messages.", valueName: "format")) var responseFormat = "json"
    @Option(help: ArgumentHelp("Bound of the initial context in cl100k tokens (1000 to 128000; never over the server's).", valueName: "tokens"))
    var maxTokens: Int?
    @Option(help: "How much it counts that a match of the initial context says something new, 0 to 1.") var diversity: Double?
    @Option(help: ArgumentHelp("A document or node that comes first in it, whatever its similarity; may be repeated.", valueName: "key"))
    var pin: [String] = []
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if let minSimilarity, !(0...1).contains(minSimilarity) { throw ValidationError("--min-similarity must be from 0 to 1") }
        if let top, !(1...Limits.topK).contains(top) { throw ValidationError("--top must be from 1 to \(Limits.topK)") }
    }

    func run() async throws {
        var body = JSONObject([
            ("agent_id", .string(agent)), ("project_id", .string(project)), ("data_needs", .array(needs.map(JSONValue.string))),
            ("last_seen_sequence", .string(String(since))), ("response_format", .string(responseFormat)),
        ])
        if let minSimilarity { body["min_similarity"] = .double(minSimilarity) }
        if let mode { body["mode"] = .string(mode.rawValue) }
        if let filter { body["filter"] = .object(filter.object) }
        if let top { body["top_k"] = .integer(top) }
        if let channel { body["notification_channel"] = .string(channel) }
        if let webhook {
            body["notification_method"] = "webhook"
            body["webhook_url"] = .string(webhook)
        }
        if let secret = try secret() { body["webhook_secret"] = .string(secret) }
        if let maxTokens { body["max_tokens"] = .integer(maxTokens) }
        if let diversity { body["diversity"] = .double(diversity) }
        if !pin.isEmpty { body["pinned"] = .array(pin.map(JSONValue.string)) }
        let answer = try await options.client().post(["agents", "register"], .object(body))
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let channel = answer["notification_channel"]?.stringValue ?? ""
        let told = webhook.map { "at \(Self.place(of: $0))" } ?? "on channel \(Terminal.clean(channel))"
        Terminal.say("registered \(Terminal.clean(agent)) in \(Terminal.clean(project)), told \(told)")
        for (need, count) in answer["matched_needs"]?.objectValue ?? JSONObject() {
            Terminal.say("  \(count.integerValue ?? 0) matches: \(Terminal.clean(need, atMost: 120))")
        }
    }

    /// Not from an argument, which every process of the machine can read, nor with the line end that editors and `echo` add.
    private func secret() throws(CommandFailure) -> String? {
        if let webhookSecretFile {
            var text = try InputFile.text(of: webhookSecretFile)
            while text.last?.isNewline == true { text.removeLast() }
            guard !text.isEmpty else { throw CommandFailure(.failed, "\(InputFile.name(webhookSecretFile)) has no secret in it") }
            return text
        }
        return webhook == nil ? nil : ProcessInfo.processInfo.environment["CONTEX_WEBHOOK_SECRET"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Scheme and host: what else stands in a URL may be a password or a token.
    private static func place(of url: String) -> String {
        (try? WebAddress(url)).map { Terminal.clean($0.origin, atMost: 200) } ?? "its webhook"
    }
}

struct AgentList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List agents.")

    @Option(help: "Only the agents of this project.") var project: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let client = try options.client()
        let path = project.map { ["projects", $0, "agents"] } ?? ["agents"]
        guard case .object(var answer) = try await client.getAll(path, list: "registrations") else { return }
        let agents = answer["registrations"]?.arrayValue ?? []
        if let project, agents.isEmpty { try await client.requireProject(project) }
        if options.json {
            answer["agents"] = .array(agents.map { $0["agent_id"] ?? .null })
            Terminal.say(JSONPrinter.text(.object(answer)))
            return
        }
        let rows = agents.map { agent in
            [Terminal.clean(agent["agent_id"]?.stringValue ?? ""), Terminal.clean(agent["project_id"]?.stringValue ?? "")]
        }
        Terminal.say(Terminal.table([["AGENT", "PROJECT"]] + rows))
    }
}

struct AgentInbox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inbox", abstract: "What concerned an agent, oldest first.",
        discussion: "All that it has not acknowledged, or what came after a cursor. Nothing is acknowledged by reading.")

    @Argument(help: "The agent's id.") var agent: String
    @Option(help: "In this project; needed when several have an agent of this id.") var project: String?
    @Option(help: ArgumentHelp("Only what came after it: the cursor of an entry.", valueName: "cursor")) var after: String?
    @Option(help: "Entries at most (1 to \(Limits.inboxPageMax)).") var limit: Int = Limits.inboxPage
    @Flag(help: "Say how each need matched: its similarity when the agent was told, and what that was made of.") var explain = false
    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard (1...Limits.inboxPageMax).contains(limit) else { throw ValidationError("--limit must be from 1 to \(Limits.inboxPageMax)") }
    }

    func run() async throws {
        var query = [("limit", String(limit))]
        if let after { query.append(("cursor", after)) }
        if explain { query.append(("explain", "true")) }
        let answer = try await options.client().get((project.map { ["projects", $0] } ?? []) + ["agents", agent, "inbox"], query)
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        for entry in answer["entries"]?.arrayValue ?? [] {
            let words = ["cursor", "reason", "data_key"].map { Terminal.clean(entry[$0]?.stringValue ?? "") }
            Terminal.say(words.joined(separator: "  "))
            guard explain else {
                for need in entry["needs"]?.arrayValue ?? [] { Terminal.say("    \(Terminal.clean(need.stringValue ?? "", atMost: 120))") }
                continue
            }
            for match in entry["matches"]?.arrayValue ?? [] { Terminal.say(Self.line(match)) }
        }
        if answer["gap"] == .bool(true) { Terminal.say("older entries went unread: something was missed") }
        if answer["has_more"] == .bool(true) { Terminal.say("there are more after \(Terminal.clean(answer["cursor"]?.stringValue ?? ""))") }
    }

    /// A match in a line: the similarity and what it had to be, its parts, need and node.
    private static func line(_ match: JSONValue) -> String {
        func number(_ value: JSONValue?, _ steps: Double = 1_000) -> String { value?.doubleValue.map { "\(($0 * steps).rounded() / steps)" } ?? "-" }
        let explanation = match["explanation"]
        var parts = "    \(number(match["similarity"])) of \(number(match["min_similarity"])) \(match["mode"]?.stringValue ?? "")"
        parts += ", cosine \(number(explanation?["cosine"]))"
        if match["mode"] != "semantic" { parts += ", words \(number(explanation?["bm25"], 10)) of \(number(explanation?["ceiling"], 10))" }
        if let cut = explanation?["cut"] { parts += ", cut \(number(cut, 100))" }
        if let exact = explanation?["exact_word"]?.stringValue { parts += ", exact word \(Terminal.clean(exact))" }
        if let isUseful = match["useful"] { parts += isUseful == .bool(true) ? ", useful" : ", not useful" }
        let node = match["node_key"]?.stringValue.map { " (\(Terminal.clean($0, atMost: 80)))" } ?? ""
        return parts + ": \(Terminal.clean(match["need"]?.stringValue ?? "", atMost: 120))\(node)"
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
