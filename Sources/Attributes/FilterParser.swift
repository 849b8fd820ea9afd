// The filter language: JSON in, a checked `Filter` out. docs/filters.md is its reference.
//
//     filter     := { member, ... }                       all members must hold
//     member     := "and": [filter, ...] | "or": [filter, ...] | "not": filter | field: test
//     field      := "metadata.<path>" | "data_key" | "data_format" | "published_by" | "updated_at" | "updated_after" | "updated_before"
//     test       := scalar | [scalar, ...] | { operator: operand, ... }
//
// Everything that is not understood is refused by its place: a condition that was passed over would let through what it was
// meant to keep out.

public import Base

extension Filter {
    /// - Parameter name: of the request's field, with which places begin.
    /// - Throws: a fault at the first place that is wrong.
    /// - Complexity: O(size of the JSON), of which `Limits.filterConditions` and `filterValues` bound what is kept.
    public init(_ value: JSONValue, name: String = "filter") throws(PlacedFault) {
        var parser = FilterParser()
        self = try parser.filter(value, level: 1, at: [.name(name)])
    }
}

private struct FilterParser {
    typealias Place = [PlacedFault.Step]

    private var conditions = 0
    private var values = 0

    mutating func filter(_ value: JSONValue, level: Int, at place: Place) throws(PlacedFault) -> Filter {
        guard level <= Limits.filterDepth else { throw PlacedFault(place, "nested deeper than \(Limits.filterDepth) levels") }
        guard case .object(let members) = value else {
            throw PlacedFault(place, "expected an object of fields, and, or, not; got \(Self.kind(value))")
        }
        var parts: [Filter] = []
        for (key, member) in members {
            let place = place + [.name(key)]
            switch key {
            case "and": parts.append(.and(try list(member, level: level, at: place)))
            case "or": parts.append(.or(try list(member, level: level, at: place)))
            case "not": parts.append(.not(try filter(member, level: level + 1, at: place)))
            default: parts += try conditions(on: key, member, at: place)
            }
        }
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    private mutating func list(_ value: JSONValue, level: Int, at place: Place) throws(PlacedFault) -> [Filter] {
        guard case .array(let items) = value else { throw PlacedFault(place, "expected a list of filters, got \(Self.kind(value))") }
        var filters: [Filter] = []
        for (number, item) in items.enumerated() {
            // Filters without conditions are counted as well, else there could be any number of them.
            try count(at: place + [.item(number)])
            filters.append(try filter(item, level: level + 1, at: place + [.item(number)]))
        }
        return filters
    }

    // MARK: - Fields

    private static let fields = "metadata.<path>, data_key, data_format, published_by, updated_at, updated_after, updated_before, and, or, not"

    private mutating func conditions(on name: String, _ value: JSONValue, at place: Place) throws(PlacedFault) -> [Filter] {
        switch name {
        case "data_key": return try conditions(.dataKey, value, at: place)
        case "data_format": return try conditions(.dataFormat, value, at: place)
        case "published_by": return try conditions(.publishedBy, value, at: place)
        case "updated_at":
            guard case .object = value else { throw PlacedFault(place, "expected an object with gt, gte, lt or lte, got \(Self.kind(value))") }
            return try conditions(.updatedAt, value, at: place)
        case "updated_after", "updated_before":
            let bound = AttributeRange.Bound(value: .date(try Self.moment(value, at: place)), isIncluded: false)
            let range = name == "updated_after" ? AttributeRange(lower: bound, upper: nil) : AttributeRange(lower: nil, upper: bound)
            return [try condition(.updatedAt, .range(range), at: place)]
        default:
            guard name.utf8.starts(with: "metadata.".utf8) else {
                let hint = name == "metadata" ? " (name a value in it, as in metadata.team)" : ""
                throw PlacedFault(place, "unknown field\(hint); there are \(Self.fields)")
            }
            let path = String(Substring(name.utf8.dropFirst("metadata.".utf8.count)))
            guard !path.isEmpty, path.utf8.count <= Limits.metadataPathBytes, !path.utf8.contains(0) else {
                throw PlacedFault(place, "the path of a metadata field has 1 to \(Limits.metadataPathBytes) bytes and no NUL")
            }
            return try conditions(.metadata(path: path), value, at: place)
        }
    }

    private mutating func conditions(_ field: AttributeField, _ value: JSONValue, at place: Place) throws(PlacedFault) -> [Filter] {
        switch value {
        case .null, .bool, .number, .string: return [try condition(field, .oneOf([try scalar(value, field, at: place)]), at: place)]
        case .array(let items): return [try condition(field, .oneOf(try scalars(items, field, at: place)), at: place)]
        case .object(let members): return try operators(members, field, at: place)
        }
    }

    // MARK: - Operators

    private static func operators(of field: AttributeField) -> [String] {
        switch field {
        case .metadata: ["eq", "ne", "in", "gt", "gte", "lt", "lte", "prefix", "exists"]
        case .publishedBy: ["eq", "ne", "in", "prefix", "exists"]
        case .dataKey, .dataFormat: ["eq", "ne", "in", "gt", "gte", "lt", "lte", "prefix"]
        case .updatedAt: ["gt", "gte", "lt", "lte"]
        }
    }

    private mutating func operators(_ members: JSONObject, _ field: AttributeField, at place: Place) throws(PlacedFault) -> [Filter] {
        let known = Self.operators(of: field)
        guard !members.isEmpty else { throw PlacedFault(place, "an empty object: name an operator of \(known.joined(separator: ", "))") }
        var filters: [Filter] = []
        var range = AttributeRange(lower: nil, upper: nil)
        for (name, operand) in members {
            let place = place + [.name(name)]
            guard known.contains(where: { ExactText($0) == ExactText(name) }) else {
                let nested = if case .metadata(let path) = field { " (a value inside is named by its path, metadata.\(path).\(name))" } else { "" }
                throw PlacedFault(place, "unknown operator\(nested); there are \(known.joined(separator: ", "))")
            }
            switch name {
            case "eq": filters.append(try condition(field, .oneOf([try scalar(operand, field, at: place)]), at: place))
            case "ne": filters.append(.not(try condition(field, .oneOf([try scalar(operand, field, at: place)]), at: place)))
            case "in":
                guard case .array(let items) = operand else { throw PlacedFault(place, "expected a list, got \(Self.kind(operand))") }
                filters.append(try condition(field, .oneOf(try scalars(items, field, at: place)), at: place))
            case "prefix":
                guard case .string(let text) = operand else { throw PlacedFault(place, "expected a text, got \(Self.kind(operand))") }
                try Self.checkText(text, bytesMax: Limits.filterOrderedTextBytes, at: place)
                filters.append(try condition(field, .prefix(text), at: place))
            case "exists":
                guard case .bool(let isThere) = operand else { throw PlacedFault(place, "expected true or false, got \(Self.kind(operand))") }
                let condition = try condition(field, .exists, at: place)
                filters.append(isThere ? condition : .not(condition))
            default: try bound(name, operand, field, &range, at: place)
            }
        }
        if range.lower != nil || range.upper != nil { filters.append(try condition(field, .range(range), at: place)) }
        return filters
    }

    /// One end of a range, of the kind of the other end.
    private func bound(
        _ name: String, _ operand: JSONValue, _ field: AttributeField, _ range: inout AttributeRange, at place: Place
    ) throws(PlacedFault) {
        let value: AttributeValue
        if field == .updatedAt {
            value = .date(try Self.moment(operand, at: place))
        } else {
            switch operand {
            case .number where field.isMetadata: value = try Self.number(operand, at: place)
            case .string(let text):
                if field.isMetadata, let time = Timestamp(printed: text) {
                    value = .date(time)
                } else {
                    // As a text it would lie somewhere among the others, and no date would be found.
                    if field.isMetadata, PrintedDate.looksLikeOne(text) { throw PlacedFault(place, Self.noDate(text)) }
                    try Self.checkText(text, bytesMax: Limits.filterOrderedTextBytes, at: place)
                    value = .text(ExactText(text))
                }
            default: throw PlacedFault(place, "expected \(field.isMetadata ? "a number, a date or a text" : "a text"), got \(Self.kind(operand))")
            }
        }
        let bound = AttributeRange.Bound(value: value, isIncluded: name.hasSuffix("e"))
        let isLower = name.hasPrefix("g")
        guard (isLower ? range.lower : range.upper) == nil else {
            throw PlacedFault(place, "a second \(isLower ? "lower" : "upper") end of the range: give \(isLower ? "gt or gte" : "lt or lte")")
        }
        if let other = isLower ? range.upper : range.lower, AttributeKey.Kind(other.value) != AttributeKey.Kind(value) {
            throw PlacedFault(place, "\(Self.kind(value)), but the other end of the range is \(Self.kind(other.value))")
        }
        if isLower { range.lower = bound } else { range.upper = bound }
    }

    // MARK: - Operands

    private mutating func scalars(_ items: [JSONValue], _ field: AttributeField, at place: Place) throws(PlacedFault) -> [AttributeValue] {
        var values: [AttributeValue] = []
        for (number, item) in items.enumerated() { values.append(try scalar(item, field, at: place + [.item(number)])) }
        return values
    }

    private mutating func scalar(_ value: JSONValue, _ field: AttributeField, at place: Place) throws(PlacedFault) -> AttributeValue {
        values += 1
        guard values <= Limits.filterValues else { throw PlacedFault(place, "more than \(Limits.filterValues) values in one filter") }
        switch value {
        case .string(let text):
            try Self.checkText(text, bytesMax: Limits.filterTextBytes, at: place)
            return .text(ExactText(text))
        case .number where field.isMetadata: return try Self.number(value, at: place)
        case .bool(let bool) where field.isMetadata: return .bool(bool)
        case .null where field.isMetadata || field == .publishedBy: return .null
        default:
            let expected =
                switch field {
                case .metadata: "a text, a number, true, false or null"
                case .publishedBy: "a text or null"
                default: "a text"
                }
            throw PlacedFault(place, "expected \(expected), got \(Self.kind(value))")
        }
    }

    private static func number(_ value: JSONValue, at place: Place) throws(PlacedFault) -> AttributeValue {
        guard let number = AttributeValue(value) else { throw PlacedFault(place, "a number beyond the range of binary64") }
        return number
    }

    private static func checkText(_ text: String, bytesMax: Int, at place: Place) throws(PlacedFault) {
        guard text.utf8.count <= bytesMax else { throw PlacedFault(place, "a text of \(text.utf8.count) bytes, at most \(bytesMax)") }
        guard !text.utf8.contains(0) else { throw PlacedFault(place, "must not contain NUL characters") }
    }

    /// Of the years 1 to 9999, in seconds since 1970.
    private static let seconds = -62_135_596_800.0..<253_402_300_800.0

    private static func noDate(_ text: String) -> String {
        "'\(text.excerpt())' is no date that can be read without a guess: write it as 2026-01-31 or 2026-01-31T08:30:00Z"
    }

    private static func moment(_ value: JSONValue, at place: Place) throws(PlacedFault) -> Timestamp {
        switch value {
        case .string(let text):
            if let time = Timestamp(printed: text) { return time }
            throw PlacedFault(place, noDate(text))
        case .number(let number):
            guard seconds.contains(number.double) else { throw PlacedFault(place, "seconds since 1970 must lie in the years 1 to 9999") }
            return Timestamp(rawValue: Int64((number.double * 1_000_000).rounded()))
        default: throw PlacedFault(place, "expected a date as text, or seconds since 1970; got \(kind(value))")
        }
    }

    // MARK: - Bounds and words

    private mutating func condition(_ field: AttributeField, _ test: Filter.Test, at place: Place) throws(PlacedFault) -> Filter {
        try count(at: place)
        return .condition(Filter.Condition(field: field, test: test, place: place))
    }

    private mutating func count(at place: Place) throws(PlacedFault) {
        conditions += 1
        guard conditions <= Limits.filterConditions else { throw PlacedFault(place, "more than \(Limits.filterConditions) conditions in one filter") }
    }

    private static func kind(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let bool): bool ? "true" : "false"
        case .number: "a number"
        case .string: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }

    private static func kind(_ value: AttributeValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "a truth value"
        case .number: "a number"
        case .date: "a date"
        case .text: "a text"
        }
    }
}

extension AttributeField {
    var isMetadata: Bool { if case .metadata = self { true } else { false } }
}
