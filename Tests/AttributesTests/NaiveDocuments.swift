import Attributes
import Base
import Content

/// The dumb twin of the index: a list of documents, each of them asked. It reads the JSON of a filter by itself.
struct NaiveDocuments {
    var documents: [Name: DocumentAttributes] = [:]

    func nodes(passing filter: JSONValue) -> NodeSet {
        var found = NodeSet()
        for document in documents.values where Self.passes(document, filter) {
            for node in document.nodes { found.insert(node) }
        }
        return found
    }

    static func passes(_ document: DocumentAttributes, _ filter: JSONValue) -> Bool {
        filter.objectValue!.allSatisfy { key, value in
            switch key {
            case "and": value.arrayValue!.allSatisfy { passes(document, $0) }
            case "or": value.arrayValue!.contains { passes(document, $0) }
            case "not": !passes(document, value)
            case "updated_after": document.updatedAt > moment(value)
            case "updated_before": document.updatedAt < moment(value)
            case "updated_at":
                value.objectValue!.allSatisfy { name, bound in
                    switch name {
                    case "gt": document.updatedAt > moment(bound)
                    case "gte": document.updatedAt >= moment(bound)
                    case "lt": document.updatedAt < moment(bound)
                    default: document.updatedAt <= moment(bound)
                    }
                }
            default: test(values(of: key, in: document), value, dates: key.hasPrefix("metadata."))
            }
        }
    }

    private static func moment(_ value: JSONValue) -> Timestamp {
        value.stringValue.map { Timestamp(printed: $0)! } ?? Timestamp(rawValue: Int64((value.doubleValue! * 1e6).rounded()))
    }

    /// The scalars of a field, nil when it is not there at all.
    private static func values(of field: String, in document: DocumentAttributes) -> [JSONValue]? {
        switch field {
        case "data_key": return [.string(document.key.text)]
        case "data_format": return [.string(document.format)]
        case "published_by": return document.publisher.map { [.string($0.keyID), .string($0.name)] } ?? [.null]
        default:
            var found: [JSONValue]?
            func walk(_ value: JSONValue, _ path: String) {
                if "metadata." + path == field { found = found ?? [] }
                switch value {
                case .array(let items): for item in items { walk(item, path) }
                case .object(let members): for (key, member) in members { walk(member, path + "." + key) }
                default: if "metadata." + path == field { found!.append(value) }
                }
            }
            for (key, member) in document.metadata { walk(member, key) }
            return found
        }
    }

    private static func test(_ values: [JSONValue]?, _ test: JSONValue, dates: Bool) -> Bool {
        func equals(_ wanted: JSONValue) -> Bool { values?.contains { same($0, wanted) } ?? false }
        switch test {
        case .array(let items): return items.contains(where: equals)
        case .object(let operators):
            let isPlain = operators.allSatisfy { name, operand in
                switch name {
                case "eq": equals(operand)
                case "ne": !equals(operand)
                case "in": operand.arrayValue!.contains(where: equals)
                case "prefix": values?.contains { $0.stringValue.map { Array($0.utf8).starts(with: operand.stringValue!.utf8) } ?? false } ?? false
                case "exists": (values != nil) == operand.boolValue!
                default: true
                }
            }
            let bounds = operators.filter { ["gt", "gte", "lt", "lte"].contains($0.key) }
            return isPlain && (bounds.isEmpty || (values?.contains { value in bounds.allSatisfy { holds(value, $0.key, $0.value, dates: dates) } } ?? false))
        default: return equals(test)
        }
    }

    private static func same(_ a: JSONValue, _ b: JSONValue) -> Bool {
        switch (a, b) {
        case (.number(let a), .number(let b)):
            if let a = a.integer, let b = b.integer { return a == b }
            return a.double == b.double
        default: return a == b
        }
    }

    /// nil: not of one kind.
    private static func order(_ a: JSONValue, _ b: JSONValue, dates: Bool) -> Int? {
        switch (a, b) {
        case (.number(let a), .number(let b)):
            if let a = a.integer, let b = b.integer { return a < b ? -1 : a == b ? 0 : 1 }
            return a.double < b.double ? -1 : a.double == b.double ? 0 : 1
        case (.string(let a), .string(let b)):
            if dates, let b = Timestamp(printed: b) {
                guard let a = Timestamp(printed: a) else { return nil }
                return a < b ? -1 : a == b ? 0 : 1
            }
            return ExactText(a) < ExactText(b) ? -1 : ExactText(a) == ExactText(b) ? 0 : 1
        default: return nil
        }
    }

    private static func holds(_ value: JSONValue, _ name: String, _ bound: JSONValue, dates: Bool) -> Bool {
        guard let order = order(value, bound, dates: dates) else { return false }
        return switch name {
        case "gt": order > 0
        case "gte": order >= 0
        case "lt": order < 0
        default: order <= 0
        }
    }
}

/// Random documents and filters out of a small world, so that filters meet what documents say.
struct SmallWorld {
    var random: SeededRandom

    mutating func pick<T>(_ items: [T]) -> T { items.randomElement(using: &random)! }
    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    static let long = String(repeating: "long", count: 64)
    static let texts = [
        "", "a", "ab", "abc", "b", "core", "é", "e\u{301}", "\u{1}", "\u{FFFF}", "\u{10FFFF}", long, long + "a", long + "b",
        long + String(repeating: "x", count: 900),
        "2026-01-01", "2026-01-01T00:00:00Z", "2026-03-01T12:00:00+02:00", "2025-12-31T23:59:59.999999", "1969-07-20T20:17:40Z",
    ]
    static let numbers = [
        "0", "-0", "1", "1.0", "1e0", "2", "10", "-1", "-1.5", "0.5", "3.25", "1e300", "-1e300", "5e-324", "9007199254740993", "9007199254740992",
        "9223372036854775807", "9223372036854775806", "-9223372036854775808", "-9223372036854775807", "1234567890123456789", "1234567890123456788",
    ].map { JSONValue.number(JSONNumber(uncheckedText: $0)) }
    static let keys = ["a", "b", "team", "a.b", "über"]
    static let paths = ["a", "b", "team", "a.b", "a.a", "b.team", "über", "a.b.a", "team.a.b", "nothing"]

    mutating func scalar() -> JSONValue {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: .null
        case 1: .bool(chance(2))
        case 2...4: pick(Self.numbers)
        default: .string(pick(Self.texts))
        }
    }

    mutating func value(_ level: Int) -> JSONValue {
        switch Int.random(in: 0..<6, using: &random) {
        case 0 where level < 4: return .array((0..<Int.random(in: 0...3, using: &random)).map { _ in value(level + 1) })
        case 1 where level < 4: return .object(object(level + 1))
        default: return scalar()
        }
    }

    mutating func object(_ level: Int) -> JSONObject {
        JSONObject((0..<Int.random(in: 0...3, using: &random)).map { _ in (pick(Self.keys), value(level)) })
    }

    mutating func time() -> Timestamp { Timestamp(rawValue: 1_700_000_000_000_000 + Int64.random(in: 0...20, using: &random) * 500_000) }

    mutating func filter(_ level: Int = 0) -> JSONValue {
        var members = JSONObject()
        for _ in 0..<pick([0, 1, 1, 1, 2, 3]) {
            switch Int.random(in: 0..<12, using: &random) {
            case 0 where level < 3: members["and"] = .array((0..<pick([0, 1, 2])).map { _ in filter(level + 1) })
            case 1 where level < 3: members["or"] = .array((0..<pick([0, 1, 2, 3])).map { _ in filter(level + 1) })
            case 2 where level < 3: members["not"] = filter(level + 1)
            case 3: members[pick(["updated_after", "updated_before"])] = moment()
            case 4: members["updated_at"] = .object(JSONObject([(pick(["gt", "gte"]), moment()), (pick(["lt", "lte"]), moment())]))
            case 5: members["data_key"] = textTest(keys)
            case 6: members["data_format"] = textTest(["json", "yaml"])
            case 7: members["published_by"] = chance(3) ? .null : .string(pick(["00000000000000aa", "ci", "robot"]))
            default: members["metadata." + pick(Self.paths)] = test()
            }
        }
        return .object(members)
    }

    let keys = ["a", "ab", "b", "doc 7", "é", "e\u{301}", String(repeating: "k", count: 300), String(repeating: "k", count: 299)]

    private mutating func moment() -> JSONValue { chance(2) ? .string(time().iso8601) : .double(time().seconds) }

    private mutating func textTest(_ texts: [String]) -> JSONValue {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .string(pick(texts))
        case 1: .array([.string(pick(texts)), .string(pick(texts))])
        case 2: .object(JSONObject([("prefix", .string(String(pick(texts).prefix(1))))]))
        default: .object(JSONObject([(pick(["gt", "gte"]), .string(String(pick(texts).prefix(200))))]))
        }
    }

    private mutating func test() -> JSONValue {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return scalar()
        case 1: return .array((0..<pick([0, 1, 3])).map { _ in scalar() })
        case 2: return .object(JSONObject([("exists", .bool(chance(2)))]))
        case 3: return .object(JSONObject([("ne", scalar())]))
        case 4: return .object(JSONObject([("prefix", .string(String(pick(Self.texts).unicodeScalars.prefix(pick([0, 1, 2, 256])))))]))
        case 5: return .object(JSONObject([("eq", scalar()), ("in", .array([scalar(), scalar()]))]))
        default:
            let values: [JSONValue]
            switch Int.random(in: 0..<3, using: &random) {
            case 0: values = Self.numbers
            case 1: values = Self.texts.filter { Timestamp(printed: $0) != nil }.map { .string($0) }
            default: values = Self.texts.filter { Timestamp(printed: $0) == nil && $0.utf8.count <= 256 }.map { .string($0) }
            }
            var members = JSONObject()
            if chance(2) { members[pick(["gt", "gte"])] = pick(values) }
            if members.isEmpty || chance(2) { members[pick(["lt", "lte"])] = pick(values) }
            return .object(members)
        }
    }
}
