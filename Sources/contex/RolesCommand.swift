internal import ArgumentParser
internal import Base
internal import Content

struct RolesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roles", abstract: "Custom roles of a running server, permissions of keys, and why a call is allowed or refused.",
        subcommands: [RolesList.self, RolesSet.self, RolesDelete.self, RolesLimit.self, RolesExplain.self])
}

struct RolesList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List custom roles.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(["auth", "custom-roles"])
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        func list(_ role: JSONValue, _ member: String) -> String {
            Terminal.clean((role[member]?.arrayValue ?? []).compactMap(\.stringValue).joined(separator: " "), atMost: 100)
        }
        let rows = (answer.arrayValue ?? []).map { [Terminal.clean($0["name"]?.stringValue ?? ""), list($0, "inherits"), list($0, "permissions")] }
        Terminal.say(Terminal.table([["NAME", "INHERITS", "PERMISSIONS"]] + rows))
    }
}

struct RolesSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "set", abstract: "Make a custom role, or put another in its place.")

    @Argument(help: "The role's name.") var name: String
    @Argument(help: "Permissions, such as project:my-app:data:publish; ! before one denies.") var permissions: [String] = []
    @Option(name: .customLong("inherits"), help: "A role whose permissions are its own too; more than one may be given.") var inherits: [String] = []
    @Option(help: "What it is for.") var description: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let client = try options.client()
        var body = JSONObject([
            ("inherits", .array(inherits.map(JSONValue.string))), ("permissions", .array(permissions.map(JSONValue.string))),
        ])
        if let description { body["description"] = .string(description) }
        let known = try await client.get(["auth", "custom-roles"]).arrayValue ?? []
        let answer: JSONValue
        if known.contains(where: { $0["name"] == .string(name) }) {
            answer = try await client.patch(["auth", "custom-roles", name], .object(body))
        } else {
            body["name"] = .string(name)
            answer = try await client.post(["auth", "custom-roles"], .object(body))
        }
        Terminal.say(options.json ? JSONPrinter.text(answer) : "set: \(Terminal.clean(name))")
    }
}

struct RolesDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Remove a role that nobody has and none inherits from.")

    @Argument(help: "The role's name.") var name: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
        _ = try await options.client().delete(["auth", "custom-roles", name])
        Terminal.say(options.json ? "{}" : "deleted: \(Terminal.clean(name))")
    }
}

struct RolesLimit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limit", abstract: "Let a key use only so much of its role; without permissions: all of it again.")

    @Argument(help: ArgumentHelp("The key's id.", valueName: "key-id")) var key: String
    @Argument(help: "Permissions.") var permissions: [String] = []
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().put(
            ["auth", "keys", key, "permissions"], ["permissions": .array(permissions.map(JSONValue.string))])
        Terminal.say(options.json ? JSONPrinter.text(answer) : "set: \(permissions.count) permission(s) of \(Terminal.clean(key, atMost: 60))")
    }
}

struct RolesExplain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "explain", abstract: "Why a call would be allowed or refused.")

    @Argument(help: "publish_data, or as data:publish.") var permission: String
    @Option(help: "The project.") var project: String?
    @Option(help: "The key of the data.") var dataKey: String?
    @Option(help: "A key's or service account's id; the caller when not given.") var holder: String?
    @Option(help: "Where the call would come from.") var address: String?
    @Option(help: "When it would come (ISO 8601).") var time: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        var body = JSONObject([("permission", .string(permission))])
        for (name, value) in [("project_id", project), ("data_key", dataKey), ("holder", holder), ("address", address), ("time", time)] {
            if let value { body[name] = .string(value) }
        }
        let answer = try await options.client().post(["auth", "permissions", "explain"], .object(body))
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let verdict = answer["allowed"]?.boolValue == true ? "allowed" : "refused"
        Terminal.say("\(verdict): \(Terminal.clean(answer["explanation"]?.stringValue ?? "", atMost: 400))")
        for member in ["role_rules", "permission_rules"] {
            for rule in answer[member]?.arrayValue ?? [] {
                let applies = rule["applies"]?.boolValue.map { $0 ? "applies" : "does not apply" } ?? "depends on what is not known"
                Terminal.say("  \(rule["effect"]?.stringValue ?? "") \(Terminal.clean(rule["permission"]?.stringValue ?? "", atMost: 200)): \(applies)")
            }
        }
    }
}
