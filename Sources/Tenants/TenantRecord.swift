public import Base
internal import Content

/// What a tenant is called: 3 to 64 of a-z, 0-9, `-` and `_`, a letter or digit first. No capitals and nothing beyond ASCII, so that no two ids
/// look alike and every one can stand in a path, a header and a label.
public struct TenantName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// - Throws: `.invalid`
    public init(_ text: String, field: String = "tenant_id") throws(ContexError) {
        guard Self.isName(text) else {
            throw .invalid(
                field: field, kind: "value_error",
                message: "Value error, \(field) must be \(Limits.tenantIDCharacters.lowerBound) to \(Limits.tenantIDCharacters.upperBound) characters "
                    + "of a-z, 0-9, - and _, a letter or digit first")
        }
        self.text = text
    }

    public static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        func isPlain(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || byte &- 0x61 < 26 }
        guard Limits.tenantIDCharacters.contains(bytes.count), let first = bytes.first, isPlain(first) else { return false }
        return bytes.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }

    fileprivate init(known text: String) { self.text = text }

    /// The tenant of every request that names none, while there is only one.
    public static let standard = TenantName(known: "default")

    public var description: String { text }
    public static func < (a: Self, b: Self) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
}

/// What is known of a tenant.
public struct TenantRecord: Hashable, Sendable {
    /// In every key of the store. Never given twice.
    public let number: TenantID
    public let name: TenantName
    /// For people.
    public var title: String
    public var plan: Plan
    public var quotas: Quotas
    public var owner: String?
    /// A JSON object as text, and another one that nobody here reads.
    public var settings: String
    public var metadata: String
    public let createdAt: Timestamp
    public var updatedAt: Timestamp?
    public var isActive: Bool

    public init(
        number: TenantID, name: TenantName, title: String, plan: Plan, quotas: Quotas? = nil, owner: String? = nil, settings: String = "{}",
        metadata: String = "{}", createdAt: Timestamp, updatedAt: Timestamp? = nil, isActive: Bool = true
    ) {
        self.number = number
        self.name = name
        self.title = title
        self.plan = plan
        self.quotas = quotas ?? plan.quotas
        self.owner = owner
        self.settings = settings
        self.metadata = metadata
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.isActive = isActive
    }

    /// The tenant that is always there.
    public static func standard(at time: Timestamp) -> TenantRecord {
        TenantRecord(number: .standard, name: .standard, title: "Default", plan: .enterprise, createdAt: time)
    }

    // MARK: - Bytes

    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 128)
        write(to: &writer)
        return writer.bytes
    }

    private func write(to writer: inout ByteWriter) {
        writer.u32(number.rawValue)
        writer.text(name.text)
        writer.text(title)
        writer.u8(plan.rawValue)
        quotas.write(to: &writer)
        writer.bool(owner != nil)
        if let owner { writer.text(owner) }
        writer.text(settings)
        writer.text(metadata)
        writer.i64(createdAt.rawValue)
        writer.bool(updatedAt != nil)
        if let updatedAt { writer.i64(updatedAt.rawValue) }
        writer.bool(isActive)
    }

    /// - Throws: `.damaged`
    public init(bytes: [UInt8]) throws(ContexError) {
        do {
            var reader = ByteReader(bytes)
            let number = TenantID(rawValue: try reader.u32())
            let (name, title) = (try reader.text(), try reader.text())
            guard let plan = Plan(rawValue: try reader.u8()), number > .system, TenantName.isName(name) else {
                throw ByteError.malformed(at: reader.offset)
            }
            let quotas = try Quotas.read(&reader)
            let owner = try reader.bool() ? try reader.text() : nil
            let (settings, metadata) = (try reader.text(), try reader.text())
            let createdAt = Timestamp(rawValue: try reader.i64())
            let updatedAt = try reader.bool() ? Timestamp(rawValue: try reader.i64()) : nil
            self.init(
                number: number, name: TenantName(known: name), title: title, plan: plan, quotas: quotas, owner: owner, settings: settings,
                metadata: metadata, createdAt: createdAt, updatedAt: updatedAt, isActive: try reader.bool())
            try reader.end()
        } catch let error as ContexError {
            throw error
        } catch {
            throw ContexError.damaged("A tenant cannot be read (\(error)): run 'contex check'.")
        }
    }
}

/// What somebody says of a tenant that is to be: checked.
public struct TenantDraft: Hashable, Sendable {
    public let name: TenantName
    public let title: String
    public let plan: Plan
    public let quotas: Quotas
    public let owner: String?
    public let settings: String
    public let metadata: String

    /// - Throws: `.invalid`
    public init(
        name: String, title: String, plan: Plan = .free, quotas: JSONObject = JSONObject(), owner: String? = nil, settings: JSONObject = JSONObject(),
        metadata: JSONObject = JSONObject()
    ) throws(ContexError) {
        self.name = try TenantName(name)
        self.title = try TenantRules.title(title)
        self.plan = plan
        self.quotas = try plan.quotas.with(quotas)
        self.owner = try owner.map { (text) throws(ContexError) in try TenantRules.owner(text) }
        self.settings = try TenantRules.text(settings, field: "settings")
        self.metadata = try TenantRules.text(metadata, field: "metadata")
    }

    private init(name: TenantName, title: String, plan: Plan, quotas: Quotas, owner: String?, settings: String, metadata: String) {
        self.name = name
        self.title = title
        self.plan = plan
        self.quotas = quotas
        self.owner = owner
        self.settings = settings
        self.metadata = metadata
    }

    public func record(as number: TenantID, at time: Timestamp) -> TenantRecord {
        TenantRecord(
            number: number, name: name, title: title, plan: plan, quotas: quotas, owner: owner, settings: settings, metadata: metadata, createdAt: time)
    }

    public func write(to writer: inout ByteWriter) {
        writer.text(name.text)
        writer.text(title)
        writer.u8(plan.rawValue)
        quotas.write(to: &writer)
        writer.bool(owner != nil)
        if let owner { writer.text(owner) }
        writer.text(settings)
        writer.text(metadata)
    }

    public static func read(_ reader: inout ByteReader) throws -> TenantDraft {
        let (name, title) = (try TenantName(try reader.text()), try TenantRules.title(try reader.text()))
        guard let plan = Plan(rawValue: try reader.u8()) else { throw ByteError.malformed(at: reader.offset) }
        let quotas = try Quotas.read(&reader)
        let owner = try reader.bool() ? try TenantRules.owner(try reader.text()) : nil
        return TenantDraft(
            name: name, title: title, plan: plan, quotas: quotas, owner: owner, settings: try TenantRules.read(&reader),
            metadata: try TenantRules.read(&reader))
    }
}

/// What somebody changes of a tenant: checked. What it does not say stays.
public struct TenantPatch: Hashable, Sendable {
    public var title: String?
    /// Brings its quotas, unless there are some here.
    public var plan: Plan?
    /// Put over those of the new plan, or over those that the tenant has: a JSON object as text.
    public var quotas: String?
    /// Merged, member by member; null takes a member away (RFC 7396 on the first level): a JSON object as text.
    public var settings: String?
    public var isActive: Bool?

    /// - Throws: `.invalid`
    public init(title: String? = nil, plan: Plan? = nil, quotas: JSONObject? = nil, settings: JSONObject? = nil, isActive: Bool? = nil) throws(ContexError) {
        if let title { self.title = try TenantRules.title(title) }
        self.plan = plan
        if let quotas {
            _ = try Plan.free.quotas.with(quotas)
            self.quotas = try TenantRules.text(quotas, field: "quotas")
        }
        if let settings { self.settings = try TenantRules.text(settings, field: "settings") }
        self.isActive = isActive
    }

    /// The tenant as it is then.
    /// - Throws: `.invalid` when the merged settings are too large.
    public func applied(to tenant: TenantRecord, at time: Timestamp) throws -> TenantRecord {
        var tenant = tenant
        tenant.title = title ?? tenant.title
        if let plan { (tenant.plan, tenant.quotas) = (plan, plan.quotas) }
        if let quotas { tenant.quotas = try tenant.quotas.with(TenantRules.object(quotas)) }
        if let settings {
            var merged = try TenantRules.object(tenant.settings)
            for (name, value) in try TenantRules.object(settings) { merged[name] = value.isNull ? nil : value }
            tenant.settings = try TenantRules.text(merged, field: "settings")
        }
        tenant.isActive = isActive ?? tenant.isActive
        tenant.updatedAt = time
        return tenant
    }

    public func write(to writer: inout ByteWriter) {
        func optional<T>(_ value: T?, _ write: (inout ByteWriter, T) -> Void) {
            writer.bool(value != nil)
            if let value { write(&writer, value) }
        }
        optional(title) { $0.text($1) }
        optional(plan) { $0.u8($1.rawValue) }
        optional(quotas) { $0.text($1) }
        optional(settings) { $0.text($1) }
        optional(isActive) { $0.bool($1) }
    }

    public static func read(_ reader: inout ByteReader) throws -> TenantPatch {
        let title = try reader.bool() ? try reader.text() : nil
        var plan: Plan?
        if try reader.bool() {
            guard let known = Plan(rawValue: try reader.u8()) else { throw ByteError.malformed(at: reader.offset) }
            plan = known
        }
        let quotas = try reader.bool() ? try TenantRules.object(try reader.text()) : nil
        let settings = try reader.bool() ? try TenantRules.object(try reader.text()) : nil
        return try TenantPatch(title: title, plan: plan, quotas: quotas, settings: settings, isActive: try reader.bool() ? try reader.bool() : nil)
    }
}

/// What a tenant's texts may be.
enum TenantRules {
    static func title(_ text: String) throws(ContexError) -> String { try scalars(text, 1...Limits.tenantNameScalars, "name") }
    static func owner(_ text: String) throws(ContexError) -> String { try scalars(text, 1...Limits.tenantOwnerScalars, "owner_email") }

    private static func scalars(_ text: String, _ bounds: ClosedRange<Int>, _ field: String) throws(ContexError) -> String {
        let count = text.unicodeScalars.count
        guard bounds.contains(count), !text.unicodeScalars.contains("\0") else {
            throw .invalid(
                field: field, kind: count < bounds.lowerBound ? "string_too_short" : "string_too_long",
                message: "Value error, \(field) must have \(bounds.lowerBound) to \(bounds.upperBound) characters without NUL")
        }
        return text
    }

    static func text(_ object: JSONObject, field: String) throws(ContexError) -> String {
        let text = JSONPrinter.text(.object(object))
        guard text.utf8.count <= Limits.tenantSettingsBytes else {
            throw .invalid(field: field, kind: "too_long", message: "Value error, \(field) must be \(Limits.tenantSettingsBytes) bytes of JSON at most")
        }
        return text
    }

    /// - Throws: `.damaged` for a text that is no object.
    static func object(_ text: String) throws -> JSONObject {
        guard let object = try JSONParser.parse(Array(text.utf8)).objectValue else { throw ContexError.damaged("the settings of a tenant are no object") }
        return object
    }

    /// As it would be written.
    static func read(_ reader: inout ByteReader) throws -> String {
        let text = try reader.text()
        guard text.utf8.count <= Limits.tenantSettingsBytes, JSONPrinter.text(.object(try object(text))) == text else {
            throw ByteError.malformed(at: reader.offset)
        }
        return text
    }
}
