internal import Access
internal import ArgumentParser
internal import Base
internal import Content
internal import Engine

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Make, list, rotate, confirm and revoke API keys.",
        discussion: """
            Keys that were made, or given their roles, while authentication was off are not valid once it is on, until they are confirmed. \
            With --data-dir these commands work on a data folder whose server is stopped and ask for no key; else they ask a running server \
            with an administrator's key.
            """,
        subcommands: [KeysList.self, KeysCreate.self, KeysRotate.self, KeysConfirm.self, KeysRevoke.self])
}

/// A data folder, or a server.
struct KeyPlace: ParsableArguments {
    @Option(help: ArgumentHelp("The data folder of a stopped server.", valueName: "folder")) var dataDir: String?
    @OptionGroup var client: ClientOptions

    func validate() throws {
        if dataDir != nil, client.server != nil || client.apiKey != nil { throw ValidationError("--data-dir goes without --server and --api-key") }
    }

    static func keyID(_ text: String) throws(CommandFailure) -> KeyID {
        guard let id = KeyID(text) else {
            throw CommandFailure(.usage, "'\(Terminal.clean(text, atMost: 60))' is no id of a key: 16 hexadecimal digits, as 'contex keys list' shows them")
        }
        return id
    }
}

struct KeysList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List API keys, without their texts; with --data-dir beside a running server too.")

    @OptionGroup var place: KeyPlace

    func run() async throws {
        let keys: [JSONValue]
        if let folder = place.dataDir {
            do {
                keys = try HeldKeys.list(directory: folder).map { key in
                    [
                        "key_id": .string(key.record.keyID.text), "name": .string(key.record.name), "prefix": .string(key.record.prefix),
                        "created_at": .string(key.record.createdAt.iso8601), "role": .string(key.role.rawValue),
                        "projects": .array(key.projects.projects.map(JSONValue.string)), "confirmed": .bool(key.record.rule.isValid),
                    ]
                }
            } catch {
                throw CommandFailure(error)
            }
        } else {
            let client = try place.client.client()
            let listed = try await client.get(["auth", "keys"]).arrayValue ?? []
            var roles: [String: JSONValue] = [:]
            for role in try await client.get(["auth", "roles"]).arrayValue ?? [] { roles[role["key_id"]?.stringValue ?? ""] = role }
            keys = listed.map { key in
                var members = key.objectValue ?? JSONObject()
                let role = roles[key["key_id"]?.stringValue ?? ""]
                members["role"] = role?["role"] ?? .string(Role.unassigned.rawValue)
                members["projects"] = role?["projects"] ?? .array([])
                if members["confirmed"] == nil { members["confirmed"] = .bool(true) }
                return .object(members)
            }
        }
        if place.client.json {
            Terminal.say(JSONPrinter.text(.array(keys)))
            return
        }
        func text(_ key: JSONValue, _ member: String) -> String { Terminal.clean(key[member]?.stringValue ?? "", atMost: 60) }
        let rows = keys.map { key in
            let projects = (key["projects"]?.arrayValue ?? []).compactMap(\.stringValue)
            return [
                text(key, "key_id"), text(key, "prefix") + "...", text(key, "role"),
                projects.isEmpty ? "all" : Terminal.clean(projects.joined(separator: ","), atMost: 40), String(text(key, "created_at").prefix(19)),
                key["confirmed"]?.boolValue == false ? "NOT CONFIRMED" : "valid", text(key, "name"),
            ]
        }
        Terminal.say(Terminal.table([["ID", "KEY", "ROLE", "PROJECTS", "MADE (UTC)", "STATE", "NAME"]] + rows))
    }
}

struct KeysCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a key; its text is printed this once.",
        discussion: "Without --role it may read. The key alone goes to standard output, so that a script can keep it.")

    @Argument(help: "What people call it.") var name: String
    @Option(help: ArgumentHelp("admin, publisher, consumer or readonly.", valueName: "role")) var role: String?
    @Option(name: .customLong("project"), help: ArgumentHelp("A project that the role is for; none: all.", valueName: "project")) var projects: [String] = []
    @Option(help: ArgumentHelp("Days after which it is refused.", valueName: "days")) var expiresInDays: Int?
    @Option(name: .customLong("address"), help: ArgumentHelp("A network (CIDR) or address that it is valid from; none: everywhere.", valueName: "network"))
    var addresses: [String] = []
    @Option(help: ArgumentHelp("What it is for.", valueName: "text")) var description: String?
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if role == nil, !projects.isEmpty { throw ValidationError("--project needs --role") }
    }

    func run() async throws {
        let client = try options.client()
        var query = [("name", name)]
        if let expiresInDays { query.append(("expires_in_days", String(expiresInDays))) }
        if !addresses.isEmpty { query.append(("allowed_addresses", addresses.joined(separator: ","))) }
        if let description { query.append(("description", description)) }
        let made = try await client.post(["auth", "keys"], query, [:])
        let id = made["key_id"]?.stringValue ?? ""
        if let role { try await give(role, to: id, client) }
        if options.json {
            Terminal.say(JSONPrinter.text(made))
        } else {
            Terminal.complainPlainly("key \(Terminal.clean(id)): keep its text, it is shown this once")
            Terminal.say(Terminal.clean(made["key"]?.stringValue ?? ""))
        }
    }
}

extension KeysCreate {
    private func give(_ role: String, to id: String, _ client: APIClient) async throws {
        do {
            _ = try await client.post(["auth", "roles"], [("key_id", id), ("role", role)], .array(projects.map(JSONValue.string)))
        } catch {
            // A key that is not what was asked for is worse than none.
            await KeysCreate.remove(id, client)
            throw error
        }
    }

    private static func remove(_ id: String, _ client: APIClient) async { _ = try? await client.delete(["auth", "keys", id]) }
}

struct KeysRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Give a key another text, printed this once; the present one stays valid for a while.")

    @Argument(help: "The key's id.") var id: String
    @Option(help: ArgumentHelp("For so many seconds the present text stays valid.", valueName: "seconds")) var overlapSeconds = 86_400
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let id = try KeyPlace.keyID(id)
        let answer = try await options.client().post(["auth", "keys", id.text, "rotate"], ["overlap_seconds": .integer(overlapSeconds)])
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
        } else {
            if let until = answer["former_valid_until"]?.stringValue { Terminal.complainPlainly("the former text is valid until \(Terminal.clean(until))") }
            Terminal.say(Terminal.clean(answer["key"]?.stringValue ?? ""))
        }
    }
}

struct KeysConfirm: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "confirm", abstract: "Make keys valid that were made, or given their roles, while authentication was off.")

    @Argument(help: "Ids of keys.") var ids: [String] = []
    @Flag(help: "Every such key.") var all = false
    @OptionGroup var place: KeyPlace

    func validate() throws {
        if all == !ids.isEmpty { throw ValidationError("name the keys to confirm, or say --all") }
    }

    func run() async throws {
        var confirmed: [String] = []
        if let folder = place.dataDir {
            var named: [KeyID] = []
            for id in ids { named.append(try KeyPlace.keyID(id)) }
            do {
                confirmed = try HeldKeys.confirm(all ? nil : named, directory: folder).map(\.record.keyID.text)
            } catch {
                throw CommandFailure(error)
            }
        } else {
            let client = try place.client.client()
            var wanted = ids
            if all {
                wanted = (try await client.get(["auth", "keys"]).arrayValue ?? []).filter { $0["confirmed"]?.boolValue == false }
                    .compactMap { $0["key_id"]?.stringValue }
            }
            for id in wanted {
                let id = try KeyPlace.keyID(id)
                _ = try await client.post(["auth", "keys", id.text, "confirm"], [:])
                confirmed.append(id.text)
            }
        }
        if place.client.json {
            Terminal.say(JSONPrinter.text(["confirmed": .array(confirmed.map(JSONValue.string))]))
        } else {
            Terminal.say(confirmed.isEmpty ? "nothing to confirm" : confirmed.map { "confirmed \($0)" }.joined(separator: "\n"))
        }
    }
}

struct KeysRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "revoke", abstract: "Revoke keys; they stop at once, and their roles go too.")

    @Argument(help: "Ids of keys.") var ids: [String]
    @OptionGroup var place: KeyPlace

    func run() async throws {
        var named: [KeyID] = []
        for id in ids { named.append(try KeyPlace.keyID(id)) }
        if let folder = place.dataDir {
            do {
                try HeldKeys.revoke(named, directory: folder)
            } catch {
                throw CommandFailure(error)
            }
        } else {
            let client = try place.client.client()
            for id in named { _ = try await client.delete(["auth", "keys", id.text]) }
        }
        let texts = named.map(\.text)
        if place.client.json {
            Terminal.say(JSONPrinter.text(["revoked": .array(texts.map(JSONValue.string))]))
        } else {
            Terminal.say(texts.map { "revoked \($0)" }.joined(separator: "\n"))
        }
    }
}
