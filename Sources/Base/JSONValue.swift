// The value that all formats meet in. Its parser and printer are Content's; it stands here because TOON, the stores and
// the edges speak it too.

/// A JSON value that keeps the order of keys and the exact text of numbers.
///
/// Nesting is bounded by whoever makes it (`Limits.nestingDepth`), so that recursion over it is safe.
public indirect enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    public static func integer(_ value: some BinaryInteger) -> JSONValue { .number(JSONNumber(value)) }
    public static func double(_ value: Double) -> JSONValue { .number(JSONNumber(value)) }
    public static func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(JSONObject(members.map { ($0.key, $0.value) }))
    }

    /// The member of an object, nil for anything else.
    public subscript(key: String) -> JSONValue? {
        if case .object(let object) = self { object[key] } else { nil }
    }
    public var stringValue: String? { if case .string(let s) = self { s } else { nil } }
    public var arrayValue: [JSONValue]? { if case .array(let a) = self { a } else { nil } }
    public var objectValue: JSONObject? { if case .object(let o) = self { o } else { nil } }
    public var boolValue: Bool? { if case .bool(let b) = self { b } else { nil } }
    public var integerValue: Int? { if case .number(let n) = self { n.integer } else { nil } }
    public var doubleValue: Double? { if case .number(let n) = self { n.double } else { nil } }
    public var isNull: Bool { if case .null = self { true } else { false } }
}

/// A number as its text: RFC 8259's grammar, so `1.0`, `1e2` and `100` stay three different texts.
public struct JSONNumber: Sendable, Hashable {
    public let text: String
    /// - Precondition: `text` follows the grammar; the parser has checked it.
    public init(uncheckedText text: String) { self.text = text }
    public init(_ value: some BinaryInteger) { text = String(value) }
    /// The shortest text that reads back as the same double; a whole number keeps `.0`, as Python prints it.
    public init(_ value: Double) {
        precondition(value.isFinite, "JSON has no \(value)")
        text = value.description
    }
    public var double: Double { Double(text) ?? .nan }
    /// The value when the text is that of an integer (no fraction, no exponent) that fits.
    public var integer: Int? { Int(text) }
}

/// Members in the order in which they came. A repeated key keeps its first place and takes the last value, as Python's
/// and JavaScript's parsers do. Look-up is linear up to 16 members, hashed above.
public struct JSONObject: Sendable, Equatable, RandomAccessCollection {
    public typealias Element = (key: String, value: JSONValue)
    private var members: [Element] = []
    private var places: [String: Int]? = nil
    private static let hashedAbove = 16

    public init() {}
    public init(_ members: [(String, JSONValue)]) { for (key, value) in members { self[key] = value } }

    public var startIndex: Int { 0 }
    public var endIndex: Int { members.count }
    public subscript(position: Int) -> Element { members[position] }
    public var keys: [String] { members.map(\.key) }

    private func place(_ key: String) -> Int? {
        if let places { return places[key] }
        return members.firstIndex { $0.key == key }
    }

    public subscript(key: String) -> JSONValue? {
        get { place(key).map { members[$0].value } }
        set {
            if let at = place(key) {
                if let newValue { members[at].value = newValue; return }
                members.remove(at: at)
                if places != nil { reindex() }
                return
            }
            guard let newValue else { return }
            members.append((key, newValue))
            if places != nil {
                places![key] = members.count - 1
            } else if members.count > Self.hashedAbove {
                reindex()
            }
        }
    }

    private mutating func reindex() {
        places = Dictionary(uniqueKeysWithValues: members.enumerated().map { ($1.key, $0) })
    }

    /// Equal members in equal order.
    public static func == (a: Self, b: Self) -> Bool {
        a.members.count == b.members.count && zip(a.members, b.members).allSatisfy { $0.key == $1.key && $0.value == $1.value }
    }
}
