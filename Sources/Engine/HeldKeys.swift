// The keys of a data folder, without a server: the way back in when authentication was switched on and no key is valid, and the way
// to confirm keys before anybody can use one.

public import Access
internal import Audit
public import Base
internal import KeySpace
internal import LMDB

/// A key with what it may do.
public struct HeldKey: Sendable {
    public let record: KeyRecord
    public let role: Role
    public let projects: ProjectScope

    static func all(_ tenant: TenantID, in view: borrowing TransactionView) throws -> [HeldKey] {
        try AccessRegistry.principals(view, scope: Database.registryScope(tenant)).map {
            HeldKey(record: $0.key, role: $0.principal.role, projects: $0.principal.projects)
        }
    }

    /// One line for a person.
    public var description: String {
        let place = projects.isAll ? "all projects" : projects.projects.joined(separator: ", ")
        return "\(record.keyID)  \(role.rawValue) of \(place)  made \(record.createdAt.iso8601)  '\(record.name)'"
    }
}

/// Whoever can write the data folder is its operator: no key is asked for.
public enum HeldKeys {
    /// Beside a server too.
    /// - Throws: `.notFound` when there is no store; `.damaged`.
    public static func list(directory: String, tenant: TenantID = .standard) throws -> [HeldKey] {
        let environment = try Database.openForReading(directory: directory)
        do {
            return try environment.read { view in
                guard try StoreFormat.verify(view) else { throw ContexError(.storeNotFound, "the store is empty") }
                return try HeldKey.all(tenant, in: view)
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }

    /// Makes keys valid that were made, or given their roles, while authentication was off: all of them or, when one is unknown, none.
    /// - Parameter ids: nil: every such key.
    /// - Returns: those that were not valid before.
    /// - Throws: `.notFound`; `.conflict` while a server runs; `.damaged`.
    public static func confirm(_ ids: [KeyID]?, directory: String, tenant: TenantID = .standard) throws -> [HeldKey] {
        let open = try list(directory: directory, tenant: tenant).filter { !$0.record.rule.isValid }
        try change(directory, tenant, (ids ?? open.map(\.record.keyID)).map { ($0, .confirm($0)) })
        return open.filter { ids?.contains($0.record.keyID) ?? true }
    }

    /// - Throws: as `confirm`.
    public static func revoke(_ ids: [KeyID], directory: String, tenant: TenantID = .standard) throws {
        try change(directory, tenant, ids.map { ($0, .revoke($0)) })
    }

    /// All of them in one transaction.
    private static func change(_ directory: String, _ tenant: TenantID, _ changes: [(id: KeyID, change: Command.ChangeKeys.Change)]) throws {
        let time = SystemClock().now()
        // Whether a server of this folder writes down what is done or not: that somebody was here, its trail says.
        let attribution = Attribution(
            actor: AuditActor(kind: .operator, id: "operator"), place: AuditPlace(requestID: "-", endpoint: "keys", method: "FOLDER"), action: "changeKeys",
            keptDays: Attribution.keptDaysMax)
        let commands = changes.map {
            attribution.of(.changeKeys(.init(tenant: tenant, change: $0.change, reach: .all, asker: .operator, time: time)))
        }
        try OfflineLog.apply(commands, directory: directory) { place, error in
            error.category == .notFound ? ContexError(.keyNotFound, "there is no key \(changes[place].id)") : error
        }
    }
}
