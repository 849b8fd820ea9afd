public import Base

/// What changes of a service account; what is not named stays.
public struct AccountPatch: Hashable, Sendable {
    public var name: String?
    /// Outer nil: as it is; inner nil: none.
    public var description: String??
    public var role: String?
    public var projects: [String]?
    public var scopes: [String]?
    public var isActive: Bool?

    public init() {}

    /// Whether it can change what the account may do, or that it may do it.
    public var concernsRights: Bool { role != nil || projects != nil || scopes != nil || isActive == true }

    public func apply(to account: inout ServiceAccount) {
        if let name { account.name = name }
        if let description { account.description = description }
        if let role { account.role = role }
        if let projects { account.projects = projects }
        if let scopes { account.scopes = scopes }
        if let isActive { account.isActive = isActive }
    }

    /// For the audit trail.
    public var details: [(String, JSONValue)] {
        func list(_ texts: [String]) -> JSONValue { .array(texts.prefix(20).map { .string($0) }) }
        var details: [(String, JSONValue)] = []
        if let role { details.append(("role", .string(role))) }
        if let projects { details.append(("projects", list(projects))) }
        if let scopes { details.append(("scopes", list(scopes))) }
        if let isActive { details.append(("is_active", .bool(isActive))) }
        return details
    }

    // MARK: - Bytes

    public func write(to writer: inout ByteWriter) {
        var marks: UInt8 = 0
        for (place, isGiven) in [name != nil, description != nil, role != nil, projects != nil, scopes != nil, isActive != nil].enumerated() where isGiven {
            marks |= 1 << UInt8(place)
        }
        writer.u8(marks)
        if let name { writer.text(name) }
        if let description {
            writer.bool(description != nil)
            if let description { writer.text(description) }
        }
        if let role { writer.text(role) }
        for list in [projects, scopes] {
            guard let list else { continue }
            writer.varint(UInt64(list.count))
            for text in list { writer.text(text) }
        }
        if let isActive { writer.bool(isActive) }
    }

    public static func read(_ reader: inout ByteReader) throws(ByteError) -> AccountPatch {
        let marks = try reader.u8()
        guard marks < 1 << 6 else { throw .malformed(at: reader.offset - 1) }
        var patch = AccountPatch()
        if marks & 1 != 0 { patch.name = try reader.text() }
        if marks & 2 != 0 { patch.description = .some(try reader.bool() ? try reader.text() : nil) }
        if marks & 4 != 0 { patch.role = try reader.text() }
        func list(_ limit: Int) throws(ByteError) -> [String] {
            var texts: [String] = []
            for _ in 0..<(try reader.count(limit: limit)) { texts.append(try reader.text()) }
            return texts
        }
        if marks & 8 != 0 { patch.projects = try list(AccessLimits.projectsPerRole) }
        if marks & 16 != 0 { patch.scopes = try list(AccessLimits.permissionsPerHolder) }
        if marks & 32 != 0 { patch.isActive = try reader.bool() }
        return patch
    }
}
