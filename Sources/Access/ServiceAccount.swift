// Accounts of programs: a role, projects and scopes, keys of their own, and tokens that are asked for with these. One record each, with its keys in
// it (docs/formats/access-v1.md).

public import Base
public import Hashing
public import KeySpace
public import LMDB

/// An account's public name: 64 random bits, `sa_` and 16 hexadecimal digits on the wire.
public struct AccountID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    static let mark = "sa_"
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public init?(_ text: String) {
        guard text.hasPrefix(Self.mark), let number = KeyID(String(text.dropFirst(Self.mark.count))) else { return nil }
        rawValue = number.rawValue
    }

    public static func random() throws(ContexError) -> AccountID { AccountID(rawValue: try KeyID.random().rawValue) }

    public var text: String { Self.mark + KeyID(rawValue: rawValue).text }
    public var description: String { text }
}

/// What an account is for: a word for people, without a meaning here. The raw value stands in the store.
public enum AccountType: UInt8, CaseIterable, Sendable {
    case agent = 1, continuousIntegration = 2, integration = 3, `internal` = 4

    public var name: String {
        switch self {
        case .agent: "agent"
        case .continuousIntegration: "ci_cd"
        case .integration: "integration"
        case .internal: "internal"
        }
    }

    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }
}

/// A key of an account; its text is kept nowhere.
public struct AccountKey: Hashable, Sendable {
    public let keyID: KeyID
    /// HMAC-SHA-256 of the text under the pepper.
    public let hash: SHA256Digest
    public let pepper: PepperID
    public let createdAt: Timestamp
    public let expiresAt: Timestamp?
    public let description: String?

    public init(keyID: KeyID, hash: SHA256Digest, pepper: PepperID, createdAt: Timestamp, expiresAt: Timestamp?, description: String?) {
        self.keyID = keyID
        self.hash = hash
        self.pepper = pepper
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.description = description
    }
}

public struct ServiceAccount: Hashable, Sendable {
    public let id: AccountID
    public var name: String
    public var description: String?
    public let type: AccountType
    /// A built-in role or a custom one.
    public var role: String
    public var projects: [String]
    /// What of the role it may use; none: all of it.
    public var scopes: [String]
    public var keys: [AccountKey] = []
    public let createdAt: Timestamp
    public var updatedAt: Timestamp
    public var isActive = true
    /// How often it was switched off: a token of before is none of after.
    public var generation: UInt32 = 0
    public var rule: KeyRule

    public init(
        id: AccountID, name: String, description: String?, type: AccountType, role: String, projects: [String], scopes: [String], createdAt: Timestamp,
        rule: KeyRule
    ) {
        self.id = id
        self.name = name
        self.description = description
        self.type = type
        self.role = role
        self.projects = projects
        self.scopes = scopes
        self.createdAt = createdAt
        updatedAt = createdAt
        self.rule = rule
    }

    /// - Throws: `.invalid` naming the field.
    public func check() throws(ContexError) {
        func refuse(_ field: String, _ reason: String) -> ContexError { .invalid(field: field, kind: "value_error", message: "Value error, \(reason)") }
        guard (1...AccessLimits.accountNameScalars).contains(name.unicodeScalars.count), !name.unicodeScalars.contains("\0") else {
            throw refuse("name", "the name must have 1 to \(AccessLimits.accountNameScalars) characters, and no NUL")
        }
        guard description?.unicodeScalars.count ?? 0 <= AccessLimits.accountDescriptionScalars else {
            throw refuse("description", "the description may have \(AccessLimits.accountDescriptionScalars) characters at most")
        }
        guard projects.count <= AccessLimits.projectsPerRole else {
            throw refuse("allowed_projects", "\(AccessLimits.projectsPerRole) projects are the most, not \(projects.count)")
        }
        for project in projects { _ = try Name(project, field: "allowed_projects") }
        _ = try PermissionRule.list(scopes, field: "scopes")
        guard keys.count <= AccessLimits.keysPerAccount else {
            throw ContexError(.limited, "The account has as many keys as it may (\(AccessLimits.keysPerAccount)): delete one first.")
        }
    }

    // MARK: - Bytes

    public func write(to writer: inout ByteWriter) {
        writer.u64(id.rawValue)
        writer.u8(type.rawValue)
        writer.u8(rule.rawValue)
        writer.bool(isActive)
        writer.u32(generation)
        writer.i64(createdAt.rawValue)
        writer.i64(updatedAt.rawValue)
        writer.text(name)
        writer.bool(description != nil)
        if let description { writer.text(description) }
        writer.text(role)
        for list in [projects, scopes] {
            writer.varint(UInt64(list.count))
            for text in list { writer.text(text) }
        }
        writer.varint(UInt64(keys.count))
        for key in keys { key.write(to: &writer) }
    }

    public static func read(_ reader: inout ByteReader) throws(ByteError) -> ServiceAccount {
        let id = AccountID(rawValue: try reader.u64())
        guard let type = AccountType(rawValue: try reader.u8()), let rule = KeyRule(rawValue: try reader.u8()) else {
            throw .malformed(at: reader.offset)
        }
        let isActive = try reader.bool()
        let generation = try reader.u32()
        let (createdAt, updatedAt) = (Timestamp(rawValue: try reader.i64()), Timestamp(rawValue: try reader.i64()))
        let name = try reader.text()
        let description = try reader.bool() ? try reader.text() : nil
        let role = try reader.text()
        var projects: [String] = []
        for _ in 0..<(try reader.count(limit: AccessLimits.projectsPerRole)) { projects.append(try reader.text()) }
        var scopes: [String] = []
        for _ in 0..<(try reader.count(limit: AccessLimits.permissionsPerHolder)) { scopes.append(try reader.text()) }
        var account = ServiceAccount(
            id: id, name: name, description: description, type: type, role: role, projects: projects, scopes: scopes, createdAt: createdAt, rule: rule)
        for _ in 0..<(try reader.count(limit: AccessLimits.keysPerAccount)) { account.keys.append(try AccountKey.read(&reader)) }
        (account.isActive, account.generation, account.updatedAt) = (isActive, generation, updatedAt)
        return account
    }
}

extension AccountKey {
    public func write(to writer: inout ByteWriter) {
        writer.u64(keyID.rawValue)
        writer.raw(hash.bytes)
        writer.u64(pepper.rawValue)
        writer.i64(createdAt.rawValue)
        writer.bool(expiresAt != nil)
        if let expiresAt { writer.i64(expiresAt.rawValue) }
        writer.bool(description != nil)
        if let description { writer.text(description) }
    }

    public static func read(_ reader: inout ByteReader) throws(ByteError) -> AccountKey {
        AccountKey(
            keyID: KeyID(rawValue: try reader.u64()), hash: try reader.sha256(), pepper: PepperID(rawValue: try reader.u64()),
            createdAt: Timestamp(rawValue: try reader.i64()), expiresAt: try reader.bool() ? Timestamp(rawValue: try reader.i64()) : nil,
            description: try reader.bool() ? try reader.text() : nil)
    }
}

/// A key of an account at the one moment when its text is known.
public struct IssuedAccountKey: Sendable {
    public let text: String
    public let key: AccountKey

    /// - Throws: `.invalid` for a description that is too long; `.unavailable` without entropy.
    public init(pepper: Pepper, createdAt: Timestamp, expiresAt: Timestamp?, description: String?) throws(ContexError) {
        guard description?.unicodeScalars.count ?? 0 <= AccessLimits.accountDescriptionScalars else {
            throw .invalid(
                field: "description", kind: "value_error",
                message: "Value error, the description may have \(AccessLimits.accountDescriptionScalars) characters at most")
        }
        text = try APIKeyFormat.generate(mark: APIKeyFormat.accountMark)
        key = AccountKey(
            keyID: try .random(), hash: pepper.hash(text), pepper: pepper.id, createdAt: createdAt, expiresAt: expiresAt, description: description)
    }
}

/// The service accounts of a tenant.
public enum AccountRegistry {
    private static func key(_ id: AccountID, _ scope: TenantScope) -> [UInt8] { scope.registry.key(.serviceAccount, id.rawValue) }

    /// In the order in which they were made.
    public static func all(_ view: borrowing TransactionView, scope: TenantScope) throws -> [ServiceAccount] {
        var found: [ServiceAccount] = []
        try view.scanRecords(prefix: scope.registry.key(.serviceAccount)) { _, payload in
            found.append(try decode(Array(payload)))
            return .onward
        }
        return found.sorted { ($0.createdAt, $0.id.rawValue) < ($1.createdAt, $1.id.rawValue) }
    }

    public static func account(_ id: AccountID, _ view: borrowing TransactionView, scope: TenantScope) throws -> ServiceAccount? {
        try view.loadBytes(key(id, scope)).map(decode)
    }

    private static func decode(_ bytes: [UInt8]) throws -> ServiceAccount {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let account = try ServiceAccount.read(&reader)
            try reader.end()
            return account
        } catch {
            throw ContexError.damaged("The record of a service account cannot be read (\(error)): run 'contex check'.")
        }
    }

    /// Puts an account in the place of the one that it was.
    /// - Throws: `.limited` for one account too many.
    public static func store(_ account: ServiceAccount, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        try account.check()
        if try self.account(account.id, transaction.view, scope: scope) == nil {
            guard try all(transaction.view, scope: scope).count < AccessLimits.accountsPerTenant else {
                throw ContexError(.limited, "There are as many service accounts as there may be (\(AccessLimits.accountsPerTenant)): delete one first.")
            }
        }
        var writer = ByteWriter(capacity: 256)
        account.write(to: &writer)
        try transaction.store(key(account.id, scope), writer.bytes)
    }

    /// - Throws: `.accountNotFound`
    public static func remove(_ id: AccountID, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        guard try transaction.delete(key(id, scope)) else { throw missing(id.text) }
    }

    public static func missing(_ id: String) -> ContexError { ContexError(.accountNotFound, "Service account '\(id.excerpt())' not found") }
}

extension ServiceAccount {
    /// What it may do as it is.
    public func principal(in tenant: TenantID, roles: RoleBook) -> Principal {
        Principal(accountID: id, name: name, roleName: role, projects: projects, permissions: scopes, tenant: tenant, roles: roles)
    }
}
