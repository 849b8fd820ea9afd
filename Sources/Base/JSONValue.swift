// The value that all formats meet in. Its parser and printer are Content's; it stands here because TOON, the stores and
// the edges speak it too.

/// A JSON value that keeps the order of keys and the exact text of numbers.
///
/// Nesting is bounded by whoever makes it (`Limits.nestingDepth`), so that recursion over it is safe.
///
/// 17 bytes, 24 in an array; texts and numbers of up to 15 bytes stand in them. (Not `indirect`: a box for each value was 48 more.)
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    public static func integer(_ value: some BinaryInteger) -> JSONValue { .number(JSONNumber(value)) }
    /// null for what JSON has no number for: a score that a damaged vector gave must not end the process that shows it.
    public static func double(_ value: Double) -> JSONValue { value.isFinite ? .number(JSONNumber(value)) : .null }
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

    /// Whether the value, printed, has more than about so many bytes.
    /// - Complexity: O(bytes), however large the value is.
    public func isLarger(than bytes: Int) -> Bool {
        var left = bytes
        return !fits(into: &left)
    }

    private func fits(into left: inout Int) -> Bool {
        switch self {
        case .null, .bool: left -= 4
        case .number(let number): left -= number.text.utf8.count
        case .string(let text): left -= text.utf8.count + 2
        case .array(let items):
            left -= items.count + 2
            for item in items {
                guard left >= 0, item.fits(into: &left) else { return false }
            }
        case .object(let members):
            left -= 2
            for (key, value) in members {
                left -= key.utf8.count + 4
                guard left >= 0, value.fits(into: &left) else { return false }
            }
        }
        return left >= 0
    }

    /// Equal values with equal text: `é` and `e` with a combining accent are two strings, `1.0` and `1` two numbers.
    public static func == (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): ExactText(a) == ExactText(b)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }
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
/// and JavaScript's parsers do. Keys are equal when their bytes are. Look-up is linear up to 16 members, hashed above.
public struct JSONObject: Sendable, Equatable, RandomAccessCollection {
    public typealias Element = (key: String, value: JSONValue)
    private var members: [Element] = []
    private var places: [ExactText: Int]? = nil
    private static let hashedAbove = 16

    public init() {}
    public init(_ members: [(String, JSONValue)]) { for (key, value) in members { self[key] = value } }

    public var startIndex: Int { 0 }
    public var endIndex: Int { members.count }
    public subscript(position: Int) -> Element { members[position] }
    public var keys: [String] { members.map(\.key) }

    private func place(_ key: String) -> Int? {
        let wanted = ExactText(key)
        if let places { return places[wanted] }
        return members.firstIndex { ExactText($0.key) == wanted }
    }

    /// The value of a key; nil set removes the member.
    /// - Complexity: O(1), O(n) to remove.
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
                places![ExactText(key)] = members.count - 1
            } else if members.count > Self.hashedAbove {
                reindex()
            }
        }
    }

    private mutating func reindex() {
        places = Dictionary(uniqueKeysWithValues: members.enumerated().map { (ExactText($1.key), $0) })
    }

    /// Equal members in equal order.
    public static func == (a: Self, b: Self) -> Bool {
        a.members.count == b.members.count
            && zip(a.members, b.members).allSatisfy { ExactText($0.key) == ExactText($1.key) && $0.value == $1.value }
    }
}

extension JSONValue: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral members: (String, JSONValue)...) { self = .object(JSONObject(members)) }
}

extension JSONValue: ExpressibleByStringLiteral {
    public init(stringLiteral text: String) { self = .string(text) }
}
