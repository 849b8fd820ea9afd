// Keys and roles of a tenant, four kinds of record:
//
//     apiKeyByID      key id                    -> what is known of the key
//     apiKeyByHash    HMAC of the key's text    -> key id
//     roleAssignment  key id                    -> role, projects
//     apiKeyTerms     key id                    -> until when and from where, the secret before a rotation; absent when there are none
//
// Every function takes the scope of any project of the tenant; the records lie at the tenant's own level.

public import Base
public import Hashing
public import KeySpace
public import LMDB

public enum AccessRegistry {
    // MARK: - Keys

    /// Stores a key that was issued before the transaction.
    /// - Throws: `.conflict` when the id or the text is taken, `.limited` when the tenant has as many keys as it may,
    ///   `.damaged` when a stored key has a place in the order of creation that none can follow.
    /// - Complexity: O(keys of the tenant).
    public static func create(_ record: KeyRecord, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        precondition(record.tenant == scope.tenant, "key of tenant \(record.tenant) in the scope of tenant \(scope.tenant)")
        let stored = try storedKeys(transaction.view, scope)
        guard stored.count < AccessLimits.keysPerTenant else {
            throw ContexError(.limited, "There are as many API keys as there may be (\(AccessLimits.keysPerTenant)): revoke one first.")
        }
        let byID = idKey(record.keyID, scope)
        let byHash = hashKey(record.hash, scope)
        guard try transaction.view.loadBytes(byID) == nil, try transaction.view.loadBytes(byHash) == nil else {
            throw ContexError(.conflict, "This API key exists already.")
        }
        let (order, overflow) = (stored.last?.order ?? 0).addingReportingOverflow(1)
        if overflow { throw ContexError.damaged("An API key has the last place that there can be in the order of creation: run 'contex check'.") }
        try transaction.store(byID, StoredKey(order: order, record: record).bytes)
        try index(record.hash, record.keyID, in: &transaction, scope)
    }

    private static func index(_ hash: SHA256Digest, _ id: KeyID, in transaction: inout WriteTransaction, _ scope: TenantScope) throws {
        var writer = ByteWriter(capacity: 8)
        writer.u64(id.rawValue)
        try transaction.store(hashKey(hash, scope), writer.bytes)
    }

    /// Puts the terms of a key in the place of those it had; the secret before a rotation stays as it is.
    /// - Throws: `.notFound`.
    public static func set(_ terms: KeyTerms, of id: KeyID, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        guard try key(id, transaction.view, scope: scope) != nil else { throw ContexError(.keyNotFound, "Key not found") }
        var terms = terms
        terms.former = try self.terms(of: id, transaction.view, scope: scope).former
        try store(terms, of: id, in: &transaction, scope)
    }

    private static func store(_ terms: KeyTerms, of id: KeyID, in transaction: inout WriteTransaction, _ scope: TenantScope) throws {
        if terms.isEmpty {
            try transaction.delete(termsKey(id, scope))
            return
        }
        var writer = ByteWriter(capacity: 64)
        terms.write(to: &writer)
        try transaction.store(termsKey(id, scope), writer.bytes)
    }

    /// Gives a key another text; the one it had stays valid for a while, the one before that no longer.
    /// - Parameters:
    ///   - issued: the new text's hash, prefix and pepper; nothing else of it is taken.
    ///   - until: how long the text before is valid still; nil: no longer.
    /// - Throws: `.notFound`; `.conflict` when the text is taken.
    public static func rotate(
        _ id: KeyID, to issued: KeyRecord, formerUntil until: Timestamp?, in transaction: inout WriteTransaction, scope: TenantScope
    ) throws {
        guard let stored = try storedKey(id, transaction.view, scope) else { throw ContexError(.keyNotFound, "Key not found") }
        guard try transaction.view.loadBytes(hashKey(issued.hash, scope)) == nil else { throw ContexError(.conflict, "This API key exists already.") }
        let before = stored.record
        var terms = try terms(of: id, transaction.view, scope: scope)
        if let former = terms.former { try transaction.delete(hashKey(former.hash, scope)) }
        terms.former = until.map { KeyTerms.Former(hash: before.hash, until: $0) }
        if until == nil { try transaction.delete(hashKey(before.hash, scope)) }
        let record = KeyRecord(
            keyID: id, name: before.name, prefix: issued.prefix, createdAt: before.createdAt, tenant: before.tenant, hash: issued.hash,
            pepper: issued.pepper, rule: before.rule)
        try transaction.store(idKey(id, scope), StoredKey(order: stored.order, record: record).bytes)
        try index(issued.hash, id, in: &transaction, scope)
        try store(terms, of: id, in: &transaction, scope)
    }

    /// None for a key that has none, or is not there.
    public static func terms(of id: KeyID, _ view: borrowing TransactionView, scope: TenantScope) throws -> KeyTerms {
        guard let bytes = try view.loadBytes(termsKey(id, scope)) else { return KeyTerms() }
        return try decoded("the terms of API key \(id)") { () throws(ByteError) in try readTerms(bytes) }
    }

    private static func readTerms(_ bytes: [UInt8]) throws(ByteError) -> KeyTerms {
        var reader = ByteReader(bytes)
        let terms = try KeyTerms.read(&reader)
        try reader.end()
        return terms
    }

    /// Notes under which rule a key is what it is from now on.
    /// - Throws: `.notFound`.
    public static func set(_ rule: KeyRule, of id: KeyID, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        guard let stored = try storedKey(id, transaction.view, scope) else { throw ContexError(.keyNotFound, "Key not found") }
        guard stored.record.rule != rule else { return }
        var record = stored.record
        record.rule = rule
        try transaction.store(idKey(id, scope), StoredKey(order: stored.order, record: record).bytes)
    }

    /// Makes a key valid that was made, or given its role, while authentication was off; of any other nothing changes.
    /// - Throws: `.notFound`.
    public static func confirm(_ id: KeyID, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        guard let record = try key(id, transaction.view, scope: scope) else { throw ContexError(.keyNotFound, "Key not found") }
        if !record.rule.isValid { try set(.confirmed, of: id, in: &transaction, scope: scope) }
    }

    /// Removes a key and the role it had.
    /// - Throws: `.notFound`.
    @discardableResult
    public static func revoke(_ id: KeyID, in transaction: inout WriteTransaction, scope: TenantScope) throws -> KeyRecord {
        guard let record = try key(id, transaction.view, scope: scope) else { throw ContexError(.keyNotFound, "Key not found") }
        try transaction.delete(idKey(id, scope))
        try transaction.delete(hashKey(record.hash, scope))
        if let former = try terms(of: id, transaction.view, scope: scope).former { try transaction.delete(hashKey(former.hash, scope)) }
        try transaction.delete(termsKey(id, scope))
        try transaction.delete(roleKey(id, scope))
        try removeGrants(of: id, in: &transaction, scope: scope)
        return record
    }

    /// All keys, in the order in which they were created.
    /// - Complexity: O(n log n).
    public static func keys(_ view: borrowing TransactionView, scope: TenantScope) throws -> [KeyRecord] {
        try storedKeys(view, scope).map(\.record)
    }

    public static func key(_ id: KeyID, _ view: borrowing TransactionView, scope: TenantScope) throws -> KeyRecord? {
        try storedKey(id, view, scope)?.record
    }

    /// The key whose text hashes to `hash` under its pepper.
    public static func find(hash: SHA256Digest, _ view: borrowing TransactionView, scope: TenantScope) throws -> KeyRecord? {
        guard let bytes = try view.loadBytes(hashKey(hash, scope)) else { return nil }
        let id = try decoded("the index of API keys") { () throws(ByteError) in try keyID(bytes) }
        guard let record = try key(id, view, scope: scope) else { throw missing(id) }
        if let former = try terms(of: id, view, scope: scope).former, ConstantTime.equal(former.hash, hash) { return record }
        guard ConstantTime.equal(record.hash, hash) else { throw missing(id) }
        return record
    }

    private static func missing(_ id: KeyID) -> ContexError {
        .damaged("The index of API keys names key \(id), which is not there or has another hash: run 'contex check'.")
    }

    // MARK: - Roles

    /// Gives a key its role, instead of the one it had.
    /// - Throws: `.notFound` for an unknown key, `.invalid` for a project list or name over the limits.
    public static func assign(_ assignment: RoleAssignment, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        let projects = assignment.projects.projects
        guard projects.count <= AccessLimits.projectsPerRole else {
            throw ContexError.invalid(
                field: "projects", kind: "too_long",
                message: "List should have at most \(AccessLimits.projectsPerRole) items after validation, not \(projects.count)")
        }
        for project in projects { _ = try Name(project, field: "projects") }
        guard try key(assignment.keyID, transaction.view, scope: scope) != nil else { throw ContexError(.keyNotFound, "Key not found") }
        try transaction.store(roleKey(assignment.keyID, scope), assignment.bytes)
    }

    /// Takes a key's role away: it counts as readonly again.
    /// - Throws: `.notFound` when nobody gave it one.
    public static func removeRole(of id: KeyID, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        guard try transaction.delete(roleKey(id, scope)) else { throw ContexError(.roleNotFound, "Role not found") }
    }

    /// The role that was given to a key, nil when none was (`RoleAssignment.unassigned` says what that means).
    public static func assignment(of id: KeyID, _ view: borrowing TransactionView, scope: TenantScope) throws -> RoleAssignment? {
        guard let bytes = try view.loadBytes(roleKey(id, scope)) else { return nil }
        return try decoded("the role of API key \(id)") { () throws(ByteError) in try RoleAssignment(keyID: id, bytes: bytes) }
    }

    /// All roles that were given, in the order in which their keys were created.
    public static func assignments(_ view: borrowing TransactionView, scope: TenantScope) throws -> [RoleAssignment] {
        let given = try assignmentsByKey(view, scope)
        return try storedKeys(view, scope).compactMap { given[$0.record.keyID] }
    }

    // MARK: - For the key ring and `contex check`

    /// A key with what it may do and under which terms.
    public typealias Holder = (key: KeyRecord, principal: Principal, terms: KeyTerms)

    /// Every key, in the order of creation.
    public static func principals(_ view: borrowing TransactionView, scope: TenantScope) throws -> [Holder] {
        let given = try assignmentsByKey(view, scope)
        let terms = try termsByKey(view, scope)
        let grants = try grantsByKey(view, scope: scope)
        let roles = try RoleBook(view, scope: scope)
        return try storedKeys(view, scope).map { stored in
            let key = stored.record
            let principal = principal(of: key, given[key.keyID], grants[key.keyID].map { ($0, roles) })
            return (key, principal, terms[key.keyID] ?? KeyTerms())
        }
    }

    /// One key; nil when it is not there.
    /// - Parameter roles: the tenant's, where they are at hand.
    /// - Complexity: O(log n); O(custom roles) for a key that has more than a built-in role.
    public static func principal(of id: KeyID, _ view: borrowing TransactionView, scope: TenantScope, roles: RoleBook? = nil) throws -> Holder? {
        guard let key = try key(id, view, scope: scope) else { return nil }
        let grants = try grants(of: id, view, scope: scope)
        let own = grants.isEmpty ? nil : (grants, try roles ?? RoleBook(view, scope: scope))
        return (key, principal(of: key, try assignment(of: id, view, scope: scope), own), try terms(of: id, view, scope: scope))
    }

    private static func principal(of key: KeyRecord, _ given: RoleAssignment?, _ own: (grants: KeyGrants, roles: RoleBook)?) -> Principal {
        let assignment = given ?? .unassigned(key.keyID)
        guard let own else {
            return Principal(keyID: key.keyID, name: key.name, role: assignment.role, projects: assignment.projects, tenant: key.tenant)
        }
        return Principal(
            keyID: key.keyID, name: key.name, roleName: own.grants.customRole ?? assignment.role.rawValue, projects: assignment.projects.projects,
            permissions: own.grants.permissions, tenant: key.tenant, roles: own.roles)
    }

    /// Whether some key may do everything everywhere and does not end by itself.
    /// - Parameter isValid: only keys that need no confirmation any more.
    /// - Complexity: O(keys with a role, up to the first such one)
    public static func hasAdministrator(isValid: Bool, _ view: borrowing TransactionView, scope: TenantScope) throws -> Bool {
        var isFound = false
        try view.scanRecords(prefix: scope.registry.key(.roleAssignment)) { key, payload in
            let id = KeyID(rawValue: UInt64(lastOf: key))
            let bytes = Array(payload)
            let assignment = try decoded("the role of API key \(id)") { () throws(ByteError) in try RoleAssignment(keyID: id, bytes: bytes) }
            guard assignment.role == .admin, let (record, principal, terms) = try principal(of: id, view, scope: scope) else { return .onward }
            guard principal.isAdministratorOfAll, terms.expiresAt == nil, !isValid || record.rule.isValid else { return .onward }
            isFound = true
            return .stop
        }
        return isFound
    }

    /// Every service account with what it may do, in the order of creation.
    public static func accounts(
        _ view: borrowing TransactionView, scope: TenantScope
    ) throws -> [(account: ServiceAccount, principal: Principal)] {
        let roles = try RoleBook(view, scope: scope)
        return try AccountRegistry.all(view, scope: scope).map { ($0, $0.principal(in: scope.tenant, roles: roles)) }
    }

    /// One account; nil when it is not there.
    public static func account(
        _ id: AccountID, _ view: borrowing TransactionView, scope: TenantScope
    ) throws -> (account: ServiceAccount, principal: Principal)? {
        guard let account = try AccountRegistry.account(id, view, scope: scope) else { return nil }
        return (account, account.principal(in: scope.tenant, roles: try RoleBook(view, scope: scope)))
    }

    /// What contradicts itself: each key in the index of hashes, each entry of the index and each role with its key.
    /// A broken seal throws.
    public static func problems(_ view: borrowing TransactionView, scope: TenantScope) throws -> [String] {
        var problems: [String] = []
        let stored = try storedKeys(view, scope)
        let records = Dictionary(uniqueKeysWithValues: stored.map { ($0.record.keyID, $0.record) })
        if Set(stored.map(\.order)).count != stored.count { problems.append("two API keys have one place in the order of creation") }

        let terms = try termsByKey(view, scope)
        for id in terms.keys where records[id] == nil { problems.append("there are terms of API key \(id), which is not there") }
        var indexed: Set<KeyID> = []
        var formers = terms.filter { $0.value.former != nil }
        try eachRecord(.apiKeyByHash, view, scope) { suffix, bytes in
            let id = try decoded("the index of API keys") { () throws(ByteError) in try keyID(bytes) }
            if records[id]?.hash.bytes == suffix {
                indexed.insert(id)
            } else if formers[id]?.former?.hash.bytes == suffix {
                formers[id] = nil
            } else {
                problems.append("the index of API keys has an entry for key \(id), which is not there or has another hash")
            }
        }
        for key in stored where !indexed.contains(key.record.keyID) {
            problems.append("API key \(key.record.keyID) is missing in the index by hash")
        }
        for id in formers.keys.sorted(by: { $0.rawValue < $1.rawValue }) where records[id] != nil {
            problems.append("the text that API key \(id) had before its rotation is missing in the index by hash")
        }
        for id in try assignmentsByKey(view, scope).keys where records[id] == nil {
            problems.append("there is a role for API key \(id), which is not there")
        }
        let roles = try RoleBook(view, scope: scope)
        func check(_ role: String, of holder: String) {
            do throws(ContexError) { _ = try roles.rules(of: role) } catch {
                problems.append("the role '\(role.excerpt())' of \(holder) cannot be used: \(error.message)")
            }
        }
        for (id, grants) in try grantsByKey(view, scope: scope).sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            if records[id] == nil { problems.append("there are permissions of API key \(id), which is not there") }
            if let role = grants.customRole { check(role, of: "API key \(id)") }
        }
        for account in try AccountRegistry.all(view, scope: scope) { check(account.role, of: "service account \(account.id)") }
        for name in roles.roles.keys.sorted() { check(name, of: "the tenant") }
        return problems
    }

    // MARK: - Records

    private static func idKey(_ id: KeyID, _ scope: TenantScope) -> [UInt8] { scope.registry.key(.apiKeyByID, id.rawValue) }
    private static func hashKey(_ hash: SHA256Digest, _ scope: TenantScope) -> [UInt8] {
        scope.registry.key(.apiKeyByHash, bytes: hash.bytes)
    }
    private static func termsKey(_ id: KeyID, _ scope: TenantScope) -> [UInt8] { scope.registry.key(.apiKeyTerms, id.rawValue) }
    private static func roleKey(_ id: KeyID, _ scope: TenantScope) -> [UInt8] { scope.registry.key(.roleAssignment, id.rawValue) }

    private static func keyID(_ bytes: some Collection<UInt8>) throws(ByteError) -> KeyID {
        var reader = ByteReader(Array(bytes))
        let id = KeyID(rawValue: try reader.u64())
        try reader.end()
        return id
    }

    private static func eachRecord(
        _ kind: KeyKind, _ view: borrowing TransactionView, _ scope: TenantScope,
        _ body: (_ suffix: [UInt8], _ payload: [UInt8]) throws -> Void
    ) throws {
        try view.scanRecords(prefix: scope.registry.key(kind)) { key, payload in
            try body(Array(key.dropFirst(TenantScope.prefixBytes)), Array(payload))
            return .onward
        }
    }

    private static func storedKey(_ id: KeyID, _ view: borrowing TransactionView, _ scope: TenantScope) throws -> StoredKey? {
        guard let bytes = try view.loadBytes(idKey(id, scope)) else { return nil }
        return try decoded("API key \(id)") { () throws(ByteError) in
            try StoredKey(keyID: id, tenant: scope.tenant, bytes: bytes)
        }
    }

    private static func storedKeys(_ view: borrowing TransactionView, _ scope: TenantScope) throws -> [StoredKey] {
        var stored: [StoredKey] = []
        try eachRecord(.apiKeyByID, view, scope) { suffix, bytes in
            stored.append(
                try decoded("an API key") { () throws(ByteError) in
                    try StoredKey(keyID: try keyID(suffix), tenant: scope.tenant, bytes: bytes)
                })
        }
        return stored.sorted { $0.order < $1.order }
    }

    private static func assignmentsByKey(_ view: borrowing TransactionView, _ scope: TenantScope) throws -> [KeyID: RoleAssignment] {
        var assignments: [KeyID: RoleAssignment] = [:]
        try eachRecord(.roleAssignment, view, scope) { suffix, bytes in
            let assignment = try decoded("the role of an API key") { () throws(ByteError) in
                try RoleAssignment(keyID: try keyID(suffix), bytes: bytes)
            }
            assignments[assignment.keyID] = assignment
        }
        return assignments
    }

    private static func termsByKey(_ view: borrowing TransactionView, _ scope: TenantScope) throws -> [KeyID: KeyTerms] {
        var found: [KeyID: KeyTerms] = [:]
        try eachRecord(.apiKeyTerms, view, scope) { suffix, bytes in
            let id = try decoded("the terms of an API key") { () throws(ByteError) in try keyID(suffix) }
            found[id] = try decoded("the terms of API key \(id)") { () throws(ByteError) in try readTerms(bytes) }
        }
        return found
    }

    private static func decoded<T>(_ record: String, _ body: () throws(ByteError) -> T) throws(ContexError) -> T {
        do throws(ByteError) {
            return try body()
        } catch {
            throw .damaged("The record of \(record) cannot be read (\(error)): run 'contex check'.")
        }
    }
}
