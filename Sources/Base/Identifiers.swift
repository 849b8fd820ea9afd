// Identifiers: a type of its own for every number and name that could be mixed up.

/// A tenant. Every key of the store begins with one; nothing reads or writes without it.
public struct TenantID: RawRepresentable, Hashable, Sendable, Comparable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// The records of the store itself: format version, registry of tenants.
    public static let system = TenantID(rawValue: 0)
    /// The tenant of every request that names none.
    public static let standard = TenantID(rawValue: 1)
}

/// A project within its tenant, numbered in the order in which projects first appeared.
public struct ProjectID: RawRepresentable, Hashable, Sendable, Comparable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// The records of the tenant itself: names of projects, API keys, roles.
    public static let tenantLevel = ProjectID(rawValue: 0)
}

/// A document (one published key) within its project. Never reused.
public struct DocumentID: RawRepresentable, Hashable, Sendable, Comparable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A node (one searchable part of a document) within its project. Never reused: a changed node gets a new number.
public struct NodeID: RawRepresentable, Hashable, Sendable, Comparable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The position of an event in its project's log: 1, 2, 3 ... without gaps; 0 means "before the first".
public struct Sequence: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public static let zero = Sequence(rawValue: 0)
    @inlinable public var next: Sequence { Sequence(rawValue: rawValue + 1) }
    public var description: String { String(rawValue) }
}

/// The place of a command among all that have changed the store, over all tenants and projects: 1, 2, 3 ... without gaps; 0 means "before the
/// first".
public struct Position: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public static let zero = Position(rawValue: 0)
    @inlinable public var next: Position { Position(rawValue: rawValue + 1) }
    public var description: String { String(rawValue) }
}

/// Microseconds since 1970-01-01T00:00:00Z. Taken once by whoever proposes a command, never inside apply.
public struct Timestamp: RawRepresentable, Hashable, Sendable, Comparable {
    public let rawValue: Int64
    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var seconds: Double { Double(rawValue) / 1_000_000 }
}

/// What a project, data key or agent may be called: any text of 1 to 255 Unicode scalars without NUL. No path can name the empty
/// text, so what is under it could be neither read nor deleted.
public struct Name: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// - Throws: `.invalid` naming `field` when the text is empty, over 255 scalars or holds NUL.
    public init(_ text: String, field: String) throws(ContexError) {
        guard !text.isEmpty else {
            throw .invalid(field: field, kind: "string_too_short", message: "String should have at least 1 character")
        }
        var count = 0
        for scalar in text.unicodeScalars {
            if scalar.value == 0 {
                throw .invalid(field: field, kind: "value_error", message: "Value error, \(field) must not contain NUL characters")
            }
            count += 1
            if count > Limits.nameScalars {
                throw .invalid(field: field, kind: "string_too_long", message: "String should have at most \(Limits.nameScalars) characters")
            }
        }
        self.text = text
    }

    /// For names read back from the store, which were checked on their way in.
    public init(stored text: String) { self.text = text }

    public var description: String { text }
    /// Order of UTF-8 bytes, which is the order of Unicode scalars and of the store's keys.
    public static func < (a: Self, b: Self) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
    public static func == (a: Self, b: Self) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    public func hash(into hasher: inout Hasher) { for byte in text.utf8 { hasher.combine(byte) } }
}
