internal import ArgumentParser
internal import Base
internal import Content

struct RetentionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retention", abstract: "How far back projects can be read: what holds, and letting go of what is older.",
        subcommands: [RetentionShow.self, RetentionSet.self, RetentionRun.self])
}

private enum RetentionText {
    static func say(_ answer: JSONValue) {
        let (rule, own) = (answer["retention_config"], answer["own_config"])
        func row(_ name: String, _ field: String) -> [String] {
            let isOwn = own?[field]?.integerValue != nil
            return [name, "\(rule?[field]?.integerValue ?? 0)", isOwn ? "the project's own" : "the server's"]
        }
        Terminal.say(
            Terminal.table([
                ["RULE", "VALUE (0: NO BOUND)", "WHOSE"], row("days of events", "events_ttl_days"), row("events", "max_events_per_project"),
                row("days of silence of agents", "agent_inactive_days"),
            ]))
        func time(_ field: String) -> String { Terminal.clean(answer[field]?.stringValue ?? "-") }
        Terminal.say(
            "\(answer["event_count"]?.integerValue ?? 0) events from \(time("oldest_event")) to \(time("newest_event")); the log begins after event "
                + "\(Terminal.clean(answer["horizon"]?.stringValue ?? "0")), \(answer["kept_events"]?.integerValue ?? 0) before it stay for what is live")
    }
}

struct RetentionShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "What a project's log holds, and by which rule it is trimmed.")

    @Argument(help: "The project.") var project: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(["admin", "retention", project])
        if options.json { Terminal.say(JSONPrinter.text(answer)) } else { RetentionText.say(answer) }
    }
}

struct RetentionSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Say by which rule a project is trimmed; what is not named is as the server has it.")

    @Argument(help: "The project.") var project: String
    @Option(help: ArgumentHelp("Days after which events go; 0: never.", valueName: "days")) var eventDays: Int?
    @Option(help: ArgumentHelp("Events that are kept, the newest; 0: all.", valueName: "count")) var events: Int?
    @Option(help: ArgumentHelp("Days after which an agent that nobody heard of is removed; 0: never.", valueName: "days")) var agentDays: Int?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let members: [(String, Int?)] = [
            ("events_ttl_days", eventDays), ("max_events_per_project", events), ("agent_inactive_days", agentDays),
        ]
        let body = JSONObject(members.map { ($0.0, $0.1.map { .integer($0) } ?? .null) })
        let answer = try await options.client().put(["admin", "retention", project], .object(body))
        if options.json { Terminal.say(JSONPrinter.text(answer)) } else { RetentionText.say(answer) }
    }
}

struct RetentionRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Trim the log of a project, or of all, as their rules say; of all also agents that nobody heard of.")

    @Argument(help: "The project; all without.") var project: String?
    @Flag(help: "Only say what would go.") var dryRun = false
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let path = ["admin", "cleanup"] + (project.map { [$0] } ?? [])
        let answer = try await options.client().post(path, dryRun ? [("dry_run", "true")] : [], .object(JSONObject()))
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let stats = answer["stats"]
        func number(_ name: String) -> Int { stats?[name]?.integerValue ?? stats?["total_" + name]?.integerValue ?? 0 }
        var text = "\(dryRun ? "would go" : "gone"): \(number("events_cleaned_by_age")) events by age, \(number("events_trimmed")) by count"
        if let agents = stats?["agents_cleaned"]?.integerValue { text += ", \(agents) agents" }
        Terminal.say(text)
    }
}
