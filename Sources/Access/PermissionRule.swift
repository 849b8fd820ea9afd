// One permission as people write it:
//
//     [!] scope : resource : action  *( ; condition )
//
//     project:my-app:data:publish            publish into one project
//     project:*:data:read;address=10.0.0.0/8 read in all of them, from one network
//     !project:payroll:*:*                   and nothing in this one, whatever else allows it
//     tenant:*:keys:list                     what is no project's
//     admin                                  everything
//
// docs/permissions.md is the grammar for readers. A rule is read once, when it is given or when keys are loaded; what is asked of it for every
// request is in `Grants`.

internal import Addresses
public import Base

/// Permissions as bits, in the order of `Permission.allCases`.
public struct PermissionSet: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ permission: Permission) { rawValue = permission.bit }
    public init(_ permissions: some Swift.Sequence<Permission>) { rawValue = permissions.reduce(0) { $0 | $1.bit } }

    public static let all = PermissionSet(Permission.allCases)
    public var permissions: [Permission] { Permission.allCases.filter { contains(PermissionSet($0)) } }
}

extension Permission {
    var bit: UInt32 {
        switch self {
        case .publishData: 1 << 0
        case .queryData: 1 << 1
        case .registerAgent: 1 << 2
        case .listAgents: 1 << 3
        case .deleteAgent: 1 << 4
        case .viewProjectData: 1 << 5
        case .viewProjectEvents: 1 << 6
        case .createAPIKey: 1 << 7
        case .listAPIKeys: 1 << 8
        case .revokeAPIKey: 1 << 9
        case .manageRoles: 1 << 10
        case .viewRateLimits: 1 << 11
        case .systemCleanup: 1 << 12
        }
    }

    /// Its name in the grammar.
    public var resourceAndAction: (resource: String, action: String) {
        switch self {
        case .publishData: ("data", "publish")
        case .queryData: ("data", "query")
        case .viewProjectData: ("data", "read")
        case .viewProjectEvents: ("events", "read")
        case .registerAgent: ("agents", "register")
        case .listAgents: ("agents", "list")
        case .deleteAgent: ("agents", "delete")
        case .createAPIKey: ("keys", "create")
        case .listAPIKeys: ("keys", "list")
        case .revokeAPIKey: ("keys", "revoke")
        case .manageRoles: ("roles", "manage")
        case .viewRateLimits: ("limits", "view")
        case .systemCleanup: ("system", "manage")
        }
    }

    /// What is no project's: without a project named, it must be allowed everywhere.
    public var isOfTenant: Bool {
        switch self {
        case .publishData, .queryData, .registerAgent, .listAgents, .deleteAgent, .viewProjectData, .viewProjectEvents: false
        case .createAPIKey, .listAPIKeys, .revokeAPIKey, .manageRoles, .viewRateLimits, .systemCleanup: true
        }
    }
}

public struct PermissionRule: Hashable, Sendable, CustomStringConvertible {
    /// As it was written, and as it is kept and shown.
    public let text: String
    public let isDeny: Bool
    /// nil: every project.
    public let project: String?
    /// Of `tenant:`; nil: whichever tenant holds it.
    public let tenant: String?
    public let permissions: PermissionSet
    public let conditions: RuleConditions

    public var description: String { text }

    /// - Parameter field: what a refusal names.
    /// - Throws: `.invalid` with the place and the reason.
    public init(_ text: String, field: String = "permissions") throws(ContexError) {
        func refuse(_ reason: String) -> ContexError {
            .invalid(field: field, kind: "value_error", message: "Value error, '\(text.excerpt())' is no permission: \(reason)")
        }
        guard text.utf8.count <= AccessLimits.permissionBytes else {
            throw refuse("it has \(text.utf8.count) bytes, and \(AccessLimits.permissionBytes) is the most")
        }
        guard text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F }) else { throw refuse("it has a space or a control character") }
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        var head = parts[0]
        isDeny = head.hasPrefix("!")
        if isDeny { head = head.dropFirst() }
        let words = head.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch (words.first, words.count) {
        case ("admin", 1), ("*", 1):
            (project, tenant, permissions) = (nil, nil, .all)
        case ("project", 3...4), ("tenant", 3...4):
            let name = words[1]
            guard !name.isEmpty else { throw refuse("the name of the \(words[0]) is empty; * means all of them") }
            guard name == "*" || !name.contains("*") else { throw refuse("* stands for a whole name and not for a part of one") }
            let named: String? = name == "*" ? nil : name
            if let named { do throws(ContexError) { _ = try Name(named, field: field) } catch { throw refuse(error.message) } }
            (project, tenant) = words[0] == "project" ? (named, nil) : (nil, named)
            guard let found = Self.permissions(words[2], words.count == 4 ? words[3] : nil) else {
                let known = Permission.allCases.map { "\($0.resourceAndAction.resource):\($0.resourceAndAction.action)" }.joined(separator: ", ")
                throw refuse("'\(words.dropFirst(2).joined(separator: ":").excerpt())' is none of \(known), RESOURCE:*, *:* or admin")
            }
            permissions = found
        default:
            throw refuse("it must be admin, project:NAME:RESOURCE:ACTION or tenant:NAME:RESOURCE:ACTION")
        }
        do throws(ContexError) {
            conditions = try RuleConditions(parts.dropFirst())
        } catch {
            throw refuse(error.message)
        }
        if !conditions.keys.isEmpty {
            guard PermissionSet([.publishData, .viewProjectData]).isSuperset(of: permissions) else {
                throw refuse("keys= is a condition of data:publish and data:read: what else is asked for names no key of data")
            }
        }
        self.text = text
    }

    private static func permissions(_ resource: String, _ action: String?) -> PermissionSet? {
        guard let action else { return resource == "admin" ? .all : nil }
        let found = Permission.allCases.filter {
            (resource == "*" || $0.resourceAndAction.resource == resource) && (action == "*" || $0.resourceAndAction.action == action)
        }
        return found.isEmpty ? nil : PermissionSet(found)
    }

    public static func == (a: Self, b: Self) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    public func hash(into hasher: inout Hasher) { for byte in text.utf8 { hasher.combine(byte) } }

    /// Reads a list.
    /// - Throws: `.invalid` for one that is too long, and as `init`.
    public static func list(_ texts: [String], field: String = "permissions") throws(ContexError) -> [PermissionRule] {
        guard texts.count <= AccessLimits.permissionsPerHolder else {
            throw .invalid(
                field: field, kind: "too_long",
                message: "List should have at most \(AccessLimits.permissionsPerHolder) items after validation, not \(texts.count)")
        }
        var rules: [PermissionRule] = []
        for text in texts { rules.append(try PermissionRule(text, field: field)) }
        return rules
    }
}
