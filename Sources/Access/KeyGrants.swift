// What an API key has beside its role and its terms: a custom role in the place of the built-in one, and a list of permissions that narrows what the
// role grants. Kept under `keyGrants` by key id, and only where there is something to keep.

public import Base
public import KeySpace
public import LMDB

public struct KeyGrants: Hashable, Sendable {
    public var customRole: String?
    public var permissions: [String]

    public init(customRole: String? = nil, permissions: [String] = []) {
        self.customRole = customRole
        self.permissions = permissions
    }

    public var isEmpty: Bool { customRole == nil && permissions.isEmpty }

    public func write(to writer: inout ByteWriter) {
        writer.bool(customRole != nil)
        if let customRole { writer.text(customRole) }
        writer.varint(UInt64(permissions.count))
        for permission in permissions { writer.text(permission) }
    }

    public static func read(_ reader: inout ByteReader) throws(ByteError) -> KeyGrants {
        var grants = KeyGrants()
        if try reader.bool() { grants.customRole = try reader.text() }
        for _ in 0..<(try reader.count(limit: AccessLimits.permissionsPerHolder)) { grants.permissions.append(try reader.text()) }
        return grants
    }
}

extension AccessRegistry {
    private static func grantsKey(_ id: KeyID, _ scope: TenantScope) -> [UInt8] { scope.registry.key(.keyGrants, id.rawValue) }

    /// - Throws: `.keyNotFound`; `.invalid` for a permission that is none; `.roleNotFound`
    public static func set(_ grants: KeyGrants, of id: KeyID, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        guard try key(id, transaction.view, scope: scope) != nil else { throw ContexError(.keyNotFound, "Key not found") }
        _ = try PermissionRule.list(grants.permissions)
        if let name = grants.customRole { _ = try RoleBook(transaction.view, scope: scope).texts(of: name) }
        guard !grants.isEmpty else {
            try transaction.delete(grantsKey(id, scope))
            return
        }
        var writer = ByteWriter(capacity: 128)
        grants.write(to: &writer)
        try transaction.store(grantsKey(id, scope), writer.bytes)
    }

    static func removeGrants(of id: KeyID, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        try transaction.delete(grantsKey(id, scope))
    }

    /// None for a key that has none, or is not there.
    public static func grants(of id: KeyID, _ view: borrowing TransactionView, scope: TenantScope) throws -> KeyGrants {
        try view.loadBytes(grantsKey(id, scope)).map { try decode($0) } ?? KeyGrants()
    }

    private static func decode(_ bytes: [UInt8]) throws -> KeyGrants {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let grants = try KeyGrants.read(&reader)
            try reader.end()
            return grants
        } catch {
            throw ContexError.damaged("The record of an API key's permissions cannot be read (\(error)): run 'contex check'.")
        }
    }

    /// Of every key that has some.
    public static func grantsByKey(_ view: borrowing TransactionView, scope: TenantScope) throws -> [KeyID: KeyGrants] {
        var found: [KeyID: KeyGrants] = [:]
        try view.scanRecords(prefix: scope.registry.key(.keyGrants)) { key, payload in
            found[KeyID(rawValue: UInt64(lastOf: Array(key)))] = try decode(Array(payload))
            return .onward
        }
        return found
    }

    /// Who has a custom role: keys and accounts, as people name them.
    public static func holders(ofRole name: String, _ view: borrowing TransactionView, scope: TenantScope) throws -> [String] {
        let keys = try grantsByKey(view, scope: scope).filter { $0.value.customRole == name }.map { "API key \($0.key)" }
        let accounts = try AccountRegistry.all(view, scope: scope).filter { $0.role == name }.map { "service account \($0.id)" }
        return keys.sorted() + accounts
    }
}
