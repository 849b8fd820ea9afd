internal import ArgumentParser
internal import Base
internal import Content

struct AccountsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accounts", abstract: "Service accounts of a running server: make, list, switch off, their keys and tokens.",
        subcommands: [
            AccountsList.self, AccountsCreate.self, AccountsSwitch.self, AccountsDelete.self, AccountsKey.self, AccountsToken.self,
            AccountsRotateSigningKey.self,
        ])
}

struct AccountsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List service accounts.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(["service-accounts"], [("limit", "1000")])
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        func text(_ account: JSONValue, _ member: String) -> String { Terminal.clean(account[member]?.stringValue ?? "", atMost: 60) }
        let rows = (answer.arrayValue ?? []).map { account in
            let projects = (account["allowed_projects"]?.arrayValue ?? []).compactMap(\.stringValue)
            return [
                text(account, "account_id"), text(account, "role"), projects.isEmpty ? "all" : Terminal.clean(projects.joined(separator: ","), atMost: 40),
                "\(account["keys"]?.arrayValue?.count ?? 0)", account["is_active"]?.boolValue == false ? "OFF" : "active", text(account, "name"),
            ]
        }
        Terminal.say(Terminal.table([["ID", "ROLE", "PROJECTS", "KEYS", "STATE", "NAME"]] + rows))
    }
}

struct AccountsCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a service account; its first key is printed this once.",
        discussion: "The key alone goes to standard output, so that a script can keep it.")

    @Argument(help: "What people call it.") var name: String
    @Option(help: "A built-in role or a custom one.") var role = "readonly"
    @Option(name: .customLong("project"), help: "Where the role holds; more than one may be given; none: everywhere.") var projects: [String] = []
    @Option(name: .customLong("scope"), help: "A permission that narrows the role; more than one may be given.") var scopes: [String] = []
    @Option(help: "agent, ci_cd, integration or internal.") var type = "integration"
    @Option(help: "What it is for.") var description: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        var body = JSONObject([
            ("name", .string(name)), ("role", .string(role)), ("account_type", .string(type)),
            ("allowed_projects", .array(projects.map(JSONValue.string))), ("scopes", .array(scopes.map(JSONValue.string))),
        ])
        if let description { body["description"] = .string(description) }
        let answer = try await options.client().post(["service-accounts"], .object(body))
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        Terminal.complainPlainly("made: \(Terminal.clean(answer["account"]?["account_id"]?.stringValue ?? ""))")
        Terminal.say(answer["key"]?.stringValue ?? "")
    }
}

struct AccountsSwitch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "switch", abstract: "Switch an account off or on; its tokens of before are refused for ever.")

    @Argument(help: ArgumentHelp("The account's id.", valueName: "account-id")) var id: String
    @Argument(help: "on or off.") var state: String
    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard ["on", "off"].contains(state) else { throw ValidationError("on or off, not '\(Terminal.clean(state, atMost: 40))'") }
    }

    func run() async throws {
        let answer = try await options.client().patch(["service-accounts", id], ["is_active": .bool(state == "on")])
        Terminal.say(options.json ? JSONPrinter.text(answer) : "\(state): \(Terminal.clean(id, atMost: 60))")
    }
}

struct AccountsDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Delete an account, with its keys; its tokens are refused at once.")

    @Argument(help: ArgumentHelp("The account's id.", valueName: "account-id")) var id: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
        _ = try await options.client().delete(["service-accounts", id])
        Terminal.say(options.json ? "{}" : "deleted: \(Terminal.clean(id, atMost: 60))")
    }
}

struct AccountsKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Another key of an account, printed this once; or delete one.")

    @Argument(help: ArgumentHelp("The account's id.", valueName: "account-id")) var id: String
    @Option(help: ArgumentHelp("Delete this key instead.", valueName: "key-id")) var delete: String?
    @Option(help: "Days after which the new one is refused.") var expiresInDays: Int?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let client = try options.client()
        if let delete {
            _ = try await client.delete(["service-accounts", id, "keys", delete])
            Terminal.say(options.json ? "{}" : "deleted: \(Terminal.clean(delete, atMost: 60))")
            return
        }
        let body = JSONObject(expiresInDays.map { [("expires_in_days", .integer($0))] } ?? [])
        let answer = try await client.post(["service-accounts", id, "keys"], .object(body))
        Terminal.say(options.json ? JSONPrinter.text(answer) : answer["key"]?.stringValue ?? "")
    }
}

struct AccountsToken: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "A token for the account's key that is given as --api-key or in the environment.")

    @Option(help: "Seconds that it is valid: 60 to 86400.") var expiresIn = 3_600
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let client = try options.client()
        guard let key = client.apiKey else { throw CommandFailure(.usage, "a key of a service account is needed: --api-key or CONTEX_API_KEY") }
        let answer = try await client.post(["service-accounts", "token"], ["key": .string(key), "expires_in": .integer(expiresIn)])
        Terminal.say(options.json ? JSONPrinter.text(answer) : answer["access_token"]?.stringValue ?? "")
    }
}

struct AccountsRotateSigningKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-signing-key", abstract: "Sign tokens with another key; the present one is accepted until its last token has ended.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().post(["service-accounts", "signing-keys", "rotate"], [:])
        Terminal.say(options.json ? JSONPrinter.text(answer) : "signing with: \(Terminal.clean(answer["kid"]?.stringValue ?? ""))")
    }
}
