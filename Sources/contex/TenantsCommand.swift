internal import ArgumentParser
internal import Base
internal import Content

struct TenantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tenants", abstract: "Tenants, what they may use and what they have used.",
        subcommands: [TenantsList.self, TenantsShow.self, TenantsCreate.self, TenantsUpdate.self, TenantsRemove.self, TenantsUsage.self])
}

/// Quotas that differ from the plan's.
struct QuotaOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A quota beside the plan's: max_projects=20; may be repeated.", valueName: "name=value")) var quota: [String] = []

    func object() throws(CommandFailure) -> JSONValue? {
        guard !quota.isEmpty else { return nil }
        var object = JSONObject()
        for text in quota {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw CommandFailure(.usage, "--quota '\(Terminal.clean(text, atMost: 60))' is no name=value") }
            object[parts[0]] = Int(parts[1]).map { .integer($0) } ?? ["true": .bool(true), "false": .bool(false)][parts[1]] ?? .string(parts[1])
        }
        return .object(object)
    }
}

extension ClientOptions {
    /// A tenant as a person reads it.
    fileprivate func tell(_ tenant: JSONValue) {
        if json { return Terminal.say(JSONPrinter.text(tenant)) }
        var rows: [[String]] = []
        for (name, value) in tenant.objectValue ?? JSONObject() where name != "quotas" {
            rows.append([name, Terminal.clean(value.stringValue ?? JSONPrinter.text(value), atMost: 200)])
        }
        for (name, value) in tenant["quotas"]?.objectValue ?? JSONObject() { rows.append([name, JSONPrinter.text(value)]) }
        Terminal.say(Terminal.table(rows))
    }
}

struct TenantsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The tenants, newest first.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let client = try options.client()
        var tenants: [JSONValue] = []
        while true {
            let page = try await client.get(["tenants"], [("limit", "1000"), ("offset", "\(tenants.count)")])["tenants"]?.arrayValue ?? []
            tenants += page
            if page.count < 1_000 { break }
        }
        if options.json { return Terminal.say(JSONPrinter.text(.array(tenants))) }
        let rows = tenants.map { tenant in
            [
                tenant["tenant_id"]?.stringValue ?? "", tenant["plan"]?.stringValue ?? "", tenant["is_active"]?.boolValue == true ? "active" : "inactive",
                Terminal.clean(tenant["created_at"]?.stringValue ?? ""), Terminal.clean(tenant["name"]?.stringValue ?? "", atMost: 60),
            ]
        }
        Terminal.say(Terminal.table([["TENANT", "PLAN", "STATE", "MADE", "NAME"]] + rows))
    }
}

struct TenantsShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "A tenant with its quotas.")

    @Argument(help: "The tenant's id.") var tenant: String
    @OptionGroup var options: ClientOptions

    func run() async throws { options.tell(try await options.client().get(["tenants", tenant])) }
}

struct TenantsCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a tenant; its first key is made with 'contex keys create --in-tenant <id>'.")

    @Argument(help: "What it is called: 3 to 64 of a-z, 0-9, - and _.") var tenant: String
    @Option(help: "Its name for people (default: its id).") var name: String?
    @Option(help: "free, starter, pro or enterprise.") var plan = "free"
    @Option(help: ArgumentHelp("Whom to write to.", valueName: "address")) var owner: String?
    @OptionGroup var quotas: QuotaOptions
    @OptionGroup var options: ClientOptions

    func run() async throws {
        var body = JSONObject([("tenant_id", .string(tenant)), ("name", .string(name ?? tenant)), ("plan", .string(plan))])
        if let owner { body["owner_email"] = .string(owner) }
        if let quotas = try quotas.object() { body["quotas"] = quotas }
        options.tell(try await options.client().post(["tenants"], .object(body)))
    }
}

struct TenantsUpdate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "update", abstract: "Change a tenant; another plan brings its quotas.")

    @Argument(help: "The tenant's id.") var tenant: String
    @Option(help: "Its name for people.") var name: String?
    @Option(help: "free, starter, pro or enterprise.") var plan: String?
    @Flag(help: "Switch it on again.") var activate = false
    @Flag(help: "Switch it off: its keys are refused (403), its data stays.") var deactivate = false
    @OptionGroup var quotas: QuotaOptions
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if activate, deactivate { throw ValidationError("--activate and --deactivate exclude each other") }
    }

    func run() async throws {
        var body = JSONObject()
        if let name { body["name"] = .string(name) }
        if let plan { body["plan"] = .string(plan) }
        if activate || deactivate { body["is_active"] = .bool(activate) }
        if let quotas = try quotas.object() { body["quotas"] = quotas }
        options.tell(try await options.client().patch(["tenants", tenant], .object(body)))
    }
}

struct TenantsRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Remove a tenant.")

    @Argument(help: "The tenant's id.") var tenant: String
    @Flag(help: "Also when it has projects or keys: all of it is erased and cannot be had back.") var force = false
    @OptionGroup var options: ClientOptions

    func run() async throws {
        _ = try await options.client().delete(["tenants", tenant], [("force", "\(force)")])
        Terminal.say(options.json ? "{}" : "removed: \(Terminal.clean(tenant))")
    }
}

struct TenantsUsage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "usage", abstract: "What a tenant has used of its quotas.")

    @Argument(help: "The tenant's id.") var tenant: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().get(["tenants", tenant, "usage"])
        if options.json { return Terminal.say(JSONPrinter.text(answer)) }
        func row(_ name: String, _ used: String, _ limit: String, _ percent: String?) -> [String] {
            let share = percent.flatMap { answer["usage_percentage"]?[$0]?.doubleValue }.map { "\($0) %" } ?? "-"
            return [name, answer["usage"]?[used].map { JSONPrinter.text($0) } ?? "-", answer["quotas"]?[limit].map { JSONPrinter.text($0) } ?? "-", share]
        }
        Terminal.say(
            Terminal.table([
                ["RESOURCE", "USED", "OF", "SHARE"], row("projects", "projects_count", "max_projects", "projects"),
                row("agents", "agents_count", "max_agents_per_project", nil), row("API keys", "api_keys_count", "max_api_keys", "api_keys"),
                row("events this month", "events_this_month", "max_events_per_month", "events"),
                row("storage, MB", "storage_used_mb", "max_storage_mb", "storage"),
            ]))
    }
}
