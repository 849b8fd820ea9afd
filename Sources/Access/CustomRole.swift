// Roles that administrators make: a list of rules, and the roles that they inherit from. Kept under `customRole` by name
// (docs/formats/access-v1.md).

public import Base
public import KeySpace
public import LMDB
internal import Synchronization

public struct CustomRole: Hashable, Sendable {
    public let name: String
    public let description: String?
    /// Built-in roles or custom ones: theirs are its own too, what they deny as well.
    public let inherits: [String]
    public let permissions: [String]
    public let updatedAt: Timestamp

    /// - Throws: `.invalid` for a name that a built-in role has, or that is none; for a permission that is none; for lists over their bounds.
    public init(name: String, description: String?, inherits: [String], permissions: [String], updatedAt: Timestamp) throws(ContexError) {
        try Self.check(name, field: "name")
        guard Role(rawValue: name) == nil else {
            throw .invalid(field: "name", kind: "value_error", message: "Value error, '\(name)' is a built-in role")
        }
        guard inherits.count <= AccessLimits.parentsPerRole else {
            throw .invalid(
                field: "inherits", kind: "too_long",
                message: "List should have at most \(AccessLimits.parentsPerRole) items after validation, not \(inherits.count)")
        }
        for parent in inherits { try Self.check(parent, field: "inherits") }
        _ = try PermissionRule.list(permissions)
        self.name = name
        self.description = description
        self.inherits = inherits
        self.permissions = permissions
        self.updatedAt = updatedAt
    }

    /// As it was stored, after it was checked: its permissions are read when somebody is to have them.
    private init(stored name: String, _ description: String?, _ inherits: [String], _ permissions: [String], _ updatedAt: Timestamp) {
        (self.name, self.description, self.inherits, self.permissions, self.updatedAt) = (name, description, inherits, permissions, updatedAt)
    }

    private static func check(_ name: String, field: String) throws(ContexError) {
        let isName = (1...AccessLimits.roleNameBytes).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            }
        guard isName else {
            throw .invalid(
                field: field, kind: "value_error",
                message: "Value error, a role has a name of 1 to \(AccessLimits.roleNameBytes) lower-case letters, digits, - and _, not '\(name.excerpt())'")
        }
    }

    // MARK: - Bytes

    public func write(to writer: inout ByteWriter) {
        writer.text(name)
        writer.bool(description != nil)
        if let description { writer.text(description) }
        writer.i64(updatedAt.rawValue)
        for list in [inherits, permissions] {
            writer.varint(UInt64(list.count))
            for text in list { writer.text(text) }
        }
    }

    /// - Throws: as `init`; `ByteError`
    public static func read(_ reader: inout ByteReader) throws -> CustomRole {
        let role = try readStored(&reader)
        return try CustomRole(
            name: role.name, description: role.description, inherits: role.inherits, permissions: role.permissions, updatedAt: role.updatedAt)
    }

    /// - Complexity: O(bytes). Reading the permissions would take some 40 microseconds each.
    static func readStored(_ reader: inout ByteReader) throws(ByteError) -> CustomRole {
        let name = try reader.text()
        let description = try reader.bool() ? try reader.text() : nil
        let updatedAt = Timestamp(rawValue: try reader.i64())
        var lists: [[String]] = []
        for limit in [AccessLimits.parentsPerRole, AccessLimits.permissionsPerHolder] {
            var list: [String] = []
            for _ in 0..<(try reader.count(limit: limit)) { list.append(try reader.text()) }
            lists.append(list)
        }
        return CustomRole(stored: name, description, lists[0], lists[1], updatedAt)
    }
}

extension Role {
    /// The role in the grammar: the matrix as data.
    public var rules: [String] {
        if self == .admin { return ["admin"] }
        return permissions.map { "project:*:\($0.resourceAndAction.resource):\($0.resourceAndAction.action)" }
    }
}

/// The custom roles of a tenant at one moment.
public struct RoleBook: Sendable {
    public let roles: [String: CustomRole]
    /// The rules of roles that were asked for: many hold one role.
    private let memo = Memo()

    private final class Memo: Sendable {
        let rules = Mutex<[String: [PermissionRule]]>([:])
    }

    private init(_ roles: [String: CustomRole]) { self.roles = roles }

    public init() { self.init([:]) }

    public init(_ view: borrowing TransactionView, scope: TenantScope) throws {
        self.init(Dictionary(try Self.all(view, scope: scope).map { ($0.name, $0) }) { $1 })
    }

    /// In the order of their names.
    public static func all(_ view: borrowing TransactionView, scope: TenantScope) throws -> [CustomRole] {
        var found: [CustomRole] = []
        try view.scanRecords(prefix: scope.registry.key(.customRole)) { _, payload in
            found.append(try read(Array(payload)))
            return .onward
        }
        return found
    }

    private static func read(_ bytes: [UInt8]) throws -> CustomRole {
        do {
            var reader = ByteReader(bytes)
            let role = try CustomRole.readStored(&reader)
            try reader.end()
            return role
        } catch {
            throw ContexError.damaged("The record of a role cannot be read (\(error)): run 'contex check'.")
        }
    }

    /// The rules of a role with those that it inherits, of a built-in one too; each once.
    /// - Throws: `.roleNotFound`; `.invalid` for a circle, or too many steps or rules.
    public func rules(of name: String) throws(ContexError) -> [PermissionRule] {
        if let known = memo.rules.withLock({ $0[name] }) { return known }
        var rules: [PermissionRule] = []
        for text in try texts(of: name) { rules.append(try PermissionRule(text)) }
        memo.rules.withLock { $0[name] = rules }
        return rules
    }

    /// The same as they are written, when each of them has been read before.
    /// - Throws: as `rules`, but for what is no rule.
    public func texts(of name: String) throws(ContexError) -> [String] {
        var gathering = Gathering()
        _ = try gather(name, path: [], &gathering)
        return gathering.texts
    }

    private struct Gathering {
        var texts: [String] = []
        var seen: Set<String> = []
        /// Of the roles that are done, how many steps are below them.
        var heights: [String: Int] = [:]
    }

    /// - Returns: the steps below.
    /// - Complexity: O(roles and rules below it): each role once, never deeper than `inheritanceDepth`.
    private func gather(_ name: String, path: [String], _ gathering: inout Gathering) throws(ContexError) -> Int {
        guard !path.contains(name) else {
            throw .invalid(
                field: "inherits", kind: "value_error",
                message: "Value error, the roles inherit in a circle: \((path + [name]).joined(separator: " -> "))")
        }
        let height: Int
        if let known = gathering.heights[name] {
            height = known
        } else {
            guard path.count < AccessLimits.inheritanceDepth else { throw Self.tooDeep(path) }
            let own: [String]
            var steps = 0
            if let role = roles[name] {
                for parent in role.inherits { steps = max(steps, 1 + (try gather(parent, path: path + [name], &gathering))) }
                own = role.permissions
            } else if let role = Role(rawValue: name) {
                own = role.rules
            } else {
                throw ContexError(.roleNotFound, "There is no role '\(name.excerpt())'")
            }
            for text in own where gathering.seen.insert(text).inserted { gathering.texts.append(text) }
            guard gathering.texts.count <= AccessLimits.rulesPerRole else { throw Self.tooMany(name) }
            height = steps
            gathering.heights[name] = height
        }
        guard path.count + height < AccessLimits.inheritanceDepth else { throw Self.tooDeep(path + [name]) }
        return height
    }

    private static func tooDeep(_ path: [String]) -> ContexError {
        .invalid(
            field: "inherits", kind: "value_error",
            message: "Value error, roles inherit over at most \(AccessLimits.inheritanceDepth - 1) steps: \(path.joined(separator: " -> "))")
    }

    private static func tooMany(_ name: String) -> ContexError {
        .invalid(
            field: "inherits", kind: "value_error",
            message: "Value error, the role '\(name.excerpt())' would have more than \(AccessLimits.rulesPerRole) rules with those that it inherits")
    }

    /// The roles that inherit from one, near or far.
    public func heirs(of name: String) -> [String] {
        roles.keys.filter { heir in
            guard heir != name else { return false }
            var (open, seen): ([String], Set<String>) = ([heir], [heir])
            while let next = open.popLast() {
                for parent in roles[next]?.inherits ?? [] where seen.insert(parent).inserted { open.append(parent) }
            }
            return seen.contains(name)
        }.sorted()
    }

    /// The same roles with one in its place, or without it.
    public func with(_ role: CustomRole?, named name: String) -> RoleBook {
        var roles = roles
        roles[name] = role
        return RoleBook(roles)
    }

    // MARK: - Changing

    static func key(_ name: String, _ scope: TenantScope) -> [UInt8] { scope.registry.key(.customRole, text: name) }

    /// - Throws: `.invalid` for a circle and what else the rules of inheritance refuse; `.roleNotFound` for a parent that is not there;
    ///   `.limited` for one role too many.
    public static func put(_ role: CustomRole, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        let book = try RoleBook(transaction.view, scope: scope)
        guard book.roles[role.name] != nil || book.roles.count < AccessLimits.rolesPerTenant else {
            throw ContexError(.limited, "There are as many roles as there may be (\(AccessLimits.rolesPerTenant)): remove one first.")
        }
        let next = book.with(role, named: role.name)
        for name in [role.name] + next.heirs(of: role.name) { _ = try next.texts(of: name) }
        var writer = ByteWriter(capacity: 256)
        role.write(to: &writer)
        try transaction.store(key(role.name, scope), writer.bytes)
    }

    /// - Throws: `.roleNotFound`; `.roleInUse` while others inherit from it. Whether somebody has it is for the caller to see to.
    public static func remove(_ name: String, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        let book = try RoleBook(transaction.view, scope: scope)
        guard book.roles[name] != nil else { throw ContexError(.roleNotFound, "There is no role '\(name.excerpt())'") }
        if let heir = book.heirs(of: name).first {
            throw ContexError(.roleInUse, "The role '\(heir)' inherits from '\(name)'")
        }
        try transaction.delete(key(name, scope))
    }
}
