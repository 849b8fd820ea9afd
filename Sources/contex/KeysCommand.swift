internal import Access
internal import ArgumentParser
internal import Base
internal import Content
internal import Engine

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "List, confirm and revoke API keys.",
        discussion: """
            Keys that were made, or given their roles, while authentication was off are not valid once it is on, until they are confirmed. \
            With --data-dir these commands work on a data folder whose server is stopped and ask for no key; else they ask a running server \
            with an administrator's key.
            """,
        subcommands: [KeysList.self, KeysConfirm.self, KeysRevoke.self])
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
