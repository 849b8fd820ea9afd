internal import ArgumentParser
internal import Base
internal import Content

struct LimitsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limits", abstract: "How often keys may ask: what is set, and what is left.",
        subcommands: [LimitsList.self, LimitsStatus.self, LimitsSet.self, LimitsUnset.self])
}

/// Whose limit, and of what.
struct LimitSubject: ParsableArguments {
    @Option(help: ArgumentHelp("Of a key, by its id.", valueName: "key-id")) var key: String?
    @Option(help: "Of a project.") var project: String?
    @Flag(help: "Of everybody.") var everybody = false

    func validate() throws {
        guard [key != nil, project != nil, everybody].filter({ $0 }).count == 1 else {
            throw ValidationError("name one: --key, --project or --everybody")
        }
    }

    var members: [(String, String)] {
        if let key { return [("subject", "key"), ("id", key)] }
        if let project { return [("subject", "project"), ("id", project)] }
        return [("subject", "tenant")]
    }
}

struct LimitsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The server's own limits, and those that were set.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(["admin", "rate-limits", "rules"])
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        func limit(_ value: JSONValue?) -> String { value?.integerValue.map { "\($0) a minute" } ?? value?.stringValue ?? "-" }
        var rows = [["WHOSE", "CLASS", "LIMIT"]]
        for (name, value) in answer["defaults"]?.objectValue ?? JSONObject() { rows.append(["(the server's own)", name, limit(value)]) }
        for rule in answer["rules"]?.arrayValue ?? [] {
            let whose = (rule["subject"]?.stringValue ?? "") + (rule["id"]?.stringValue.map { " " + $0 } ?? "")
            rows.append([Terminal.clean(whose, atMost: 80), rule["class"]?.stringValue ?? "", limit(rule["limit"])])
        }
        Terminal.say(Terminal.table(rows))
        if answer["enabled"] != .bool(true) { Terminal.say("Limits are off: they hold while authentication is on, or with --rate-limit true.") }
    }
}

struct LimitsStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "What the key that asks has left.")

    @Option(help: "The project, for classes that count each project by itself.") var project: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(["rate-limit", "status"], project.map { [("project_id", $0)] } ?? [])
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let rows = (answer["limits"]?.objectValue ?? JSONObject()).map { name, value in
            [name, "\(value["remaining"]?.integerValue ?? 0)", "\(value["limit"]?.integerValue ?? 0)", Terminal.clean(value["reset_at"]?.stringValue ?? "")]
        }
        Terminal.say(Terminal.table([["CLASS", "LEFT", "OF", "ALL AGAIN AT"]] + rows))
    }
}

struct LimitsSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Set a limit; a key's goes before a project's, and that before everybody's.")

    @Argument(help: ArgumentHelp("publish, register, query, administration or other.", valueName: "class")) var rateClass: String
    @Argument(help: ArgumentHelp("Requests a minute, or unlimited.", valueName: "limit")) var limit: String
    @OptionGroup var subject: LimitSubject
    @OptionGroup var options: ClientOptions

    func run() async throws {
        var body = JSONObject(subject.members.map { ($0.0, .string($0.1)) })
        body["class"] = .string(rateClass)
        body["limit"] = Int(limit).map { .integer($0) } ?? .string(limit)
        let answer = try await options.client().put(["admin", "rate-limits", "rules"], .object(body))
        Terminal.say(options.json ? JSONPrinter.text(answer) : "set: \(Terminal.clean(rateClass)) \(Terminal.clean(limit))")
    }
}

struct LimitsUnset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "unset", abstract: "Take a limit back: the next wider one holds again.")

    @Argument(help: ArgumentHelp("publish, register, query, administration or other.", valueName: "class")) var rateClass: String
    @OptionGroup var subject: LimitSubject
    @OptionGroup var options: ClientOptions

    func run() async throws {
        _ = try await options.client().delete(["admin", "rate-limits", "rules"], subject.members + [("class", rateClass)])
        Terminal.say(options.json ? "{}" : "unset: \(Terminal.clean(rateClass))")
    }
}
