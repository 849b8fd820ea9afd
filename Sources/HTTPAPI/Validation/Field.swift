// A request is declared, not parsed by hand: every route lists its fields, and the list is what decodes them, what the
// OpenAPI document shows, and what the tests walk.

internal import Attributes
internal import Content
public import Base
internal import Engine

/// A field as it is declared, whatever its Swift type.
public struct FieldShape: Sendable {
    public enum Presence: Sendable {
        case required
        /// Required when the named field is not given or null; else null when it is not there.
        case requiredWithout(String)
        /// Takes this value when it is not there. With `.null`, null may also be given.
        case optional(JSONValue)
    }
    public let name: String
    public let rule: FieldRule
    public let presence: Presence
    /// An optional field that also takes null.
    public let takesNull: Bool
    public let summary: String
    /// Beside certain values of other fields another rule holds, which allows more.
    var widened: Widening?

    struct Widening: Sendable {
        let rule: FieldRule
        /// Is given a look at what the others are given as.
        let applies: @Sendable ((String) -> JSONValue?) -> Bool
    }

    public var isRequired: Bool { if case .required = presence { true } else { false } }
}

/// A field together with the type that handlers read it as.
public struct Field<Value: Sendable>: Sendable {
    public let shape: FieldShape
    let value: @Sendable (JSONValue) -> Value
}

extension Field where Value == String {
    static func text(
        _ name: String, scalarsMin: Int = 0, scalarsMax: Int = .max, default: String? = nil, _ summary: String
    ) -> Field {
        Field(name, .text(scalarsMin: scalarsMin, scalarsMax: scalarsMax), `default`.map(JSONValue.string), summary) { $0.stringValue! }
    }
    static func word(_ name: String, of words: [String], isLiteral: Bool = false, default: String?, _ summary: String) -> Field {
        Field(name, .word(words, isLiteral: isLiteral), `default`.map(JSONValue.string), summary) { $0.stringValue! }
    }
}
extension Field where Value == String? {
    static func optionalText(_ name: String, scalarsMax: Int = .max, _ summary: String) -> Field {
        Field(name, .text(scalarsMin: 0, scalarsMax: scalarsMax), .null, summary) { $0.stringValue }
    }
    static func optionalWord(_ name: String, of words: [String], isLiteral: Bool = false, _ summary: String) -> Field {
        Field(name, .word(words, isLiteral: isLiteral), .null, summary) { $0.stringValue }
    }
    static func optionalAddress(_ name: String, _ summary: String) -> Field {
        Field(name, .address, .null, summary) { $0.stringValue }
    }
}
extension Field where Value == Name {
    static func name(_ name: String, _ summary: String) -> Field {
        // `FieldRule.name` has made sure that it is one.
        Field(name, .name, nil, summary) { Name(stored: $0.stringValue!) }
    }
}
extension Field where Value == Name? {
    static func optionalName(_ name: String, _ summary: String) -> Field {
        Field(name, .name, .null, summary) { $0.stringValue.map { Name(stored: $0) } }
    }
}
extension Field where Value == Int {
    static func integer(_ name: String, min: Int?, max: Int?, default: Int, _ summary: String) -> Field {
        Field(name, .integer(min: min, max: max), .integer(`default`), summary) { $0.integerValue! }
    }
}
extension Field where Value == Int {
    static func requiredInteger(_ name: String, min: Int?, max: Int?, _ summary: String) -> Field {
        Field(name, .integer(min: min, max: max), nil, summary) { $0.integerValue! }
    }
}
extension Field where Value == Int? {
    static func optionalInteger(_ name: String, min: Int?, max: Int?, _ summary: String) -> Field {
        Field(name, .integer(min: min, max: max), .null, summary) { $0.integerValue }
    }
}
extension Field where Value == Double? {
    static func optionalNumber(_ name: String, min: Double, max: Double, _ summary: String) -> Field {
        Field(name, .number(min: min, max: max), .null, summary) { $0.doubleValue }
    }
}
extension Field where Value == [String: Double]? {
    /// Numbers from 0 on under some of the names, one of them over 0.
    static func optionalShares(_ name: String, of names: [String], _ summary: String) -> Field {
        Field(name, .shares(names), .null, summary) { value in
            value.objectValue.map { object in Dictionary(uniqueKeysWithValues: object.map { ($0.key, $0.value.doubleValue ?? 0) }) }
        }
    }
}
extension Field where Value == Bool {
    static func flag(_ name: String, default: Bool, _ summary: String) -> Field {
        Field(name, .flag, .bool(`default`), summary) { $0.boolValue! }
    }
    static func requiredFlag(_ name: String, _ summary: String) -> Field {
        Field(name, .flag, nil, summary) { $0.boolValue! }
    }
}
extension Field where Value == [String] {
    static func texts(_ name: String, countMax: Int, scalarsMax: Int, _ summary: String) -> Field {
        Field(name, .texts(countMax: countMax, scalarsMax: scalarsMax), nil, summary) { $0.arrayValue!.map { $0.stringValue! } }
    }
}
extension Field where Value == [String] {
    /// None when it is not there.
    static func optionalTexts(_ name: String, countMax: Int, scalarsMax: Int, _ summary: String) -> Field {
        Field(name, .texts(countMax: countMax, scalarsMax: scalarsMax), .null, summary) { ($0.arrayValue ?? []).map { $0.stringValue! } }
    }
}
extension Field where Value == [EmbeddingInput] {
    static func embeddingInputs(_ name: String, _ summary: String) -> Field {
        Field(name, .embeddingInputs, nil, summary) { value in
            (value.arrayValue ?? []).map { input in
                input.stringValue.map(EmbeddingInput.text) ?? .tokens((input.arrayValue ?? []).compactMap(\.integerValue))
            }
        }
    }
}
extension Field where Value == [Float]? {
    static func optionalVector(_ name: String, _ summary: String) -> Field {
        Field(name, .vector(countMax: Limits.vectorNumbers), .null, summary) { $0.arrayValue?.map { Float($0.doubleValue!) } }
    }
}
extension Field where Value == Moment? {
    static func optionalMoment(_ name: String, _ summary: String) -> Field {
        Field(name, .moment, .null, summary) { $0.stringValue.flatMap { Moment($0) } }
    }
}
extension Field where Value == JSONValue {
    static func anything(_ name: String, _ summary: String) -> Field {
        Field(name, .anything, nil, summary) { $0 }
    }

    /// Null when it is not there.
    static func optionalAnything(_ name: String, _ summary: String) -> Field {
        Field(name, .anything, .null, summary) { $0 }
    }
}

extension Field where Value == JSONObject {
    /// Null and an object without members are the same.
    static func metadata(_ name: String, _ summary: String) -> Field {
        Field(name, .metadata, .null, summary) { $0.objectValue ?? JSONObject() }
    }
}
extension Field where Value == String? {
    /// A filter that is kept, as JSON.
    static func filterText(_ name: String, _ summary: String) -> Field {
        Field(name, .filter, .null, summary) { $0.isNull ? nil : JSONPrinter.text($0) }
    }
}

extension Field where Value == Filter? {
    static func filter(_ name: String, _ summary: String) -> Field {
        // `FieldRule.filter` has made sure that it is one.
        Field(name, .filter, .null, summary) { $0.isNull ? nil : try? Filter($0) }
    }
}

extension Field {
    /// - Parameter fallback: nil makes the field required; `.null` makes it take null as well.
    private init(
        _ name: String, _ rule: FieldRule, _ fallback: JSONValue?, _ summary: String, value: @escaping @Sendable (JSONValue) -> Value
    ) {
        shape = FieldShape(
            name: name, rule: rule, presence: fallback.map(FieldShape.Presence.optional) ?? .required,
            takesNull: fallback?.isNull ?? false, summary: summary)
        self.value = value
    }

    /// The same field, required only when the other is not there.
    func required(without other: String) -> Field<Value?> {
        let value = value
        return Field<Value?>(
            shape: FieldShape(name: shape.name, rule: shape.rule, presence: .requiredWithout(other), takesNull: false, summary: shape.summary),
            value: { $0.isNull ? nil : value($0) })
    }

    /// The same field, of which another rule holds where that is so.
    func widened(to rule: FieldRule, where applies: @escaping @Sendable ((String) -> JSONValue?) -> Bool) -> Field {
        var shape = shape
        shape.widened = FieldShape.Widening(rule: rule, applies: applies)
        return Field(shape: shape, value: value)
    }

    /// The same field, taking null too and meaning its default by it.
    func takingNull() -> Field<Value?> {
        let value = value
        return Field<Value?>(
            shape: FieldShape(name: shape.name, rule: shape.rule, presence: shape.presence, takesNull: true, summary: shape.summary),
            value: { $0.isNull ? nil : value($0) })
    }
}

/// The fields of one object, checked and with their defaults filled in.
public struct FieldValues: Sendable {
    private let values: [String: JSONValue]
    /// Names that the caller gave.
    private let given: Set<String>

    static let none = FieldValues(values: [:], given: [])
    private init(values: [String: JSONValue], given: Set<String>) {
        self.values = values
        self.given = given
    }

    /// Unknown members are ignored, as everywhere in the original.
    init(_ object: JSONObject, shapes: [FieldShape], at location: [Step], into errors: inout [ValidationError]) {
        self.init(shapes: shapes, at: location, missingInput: .object(object), into: &errors) { object[$0] }
    }

    /// Parameters of a query or path: all text; of a repeated one the last counts.
    init(parameters: [(name: String, value: String)], shapes: [FieldShape], in place: String, into errors: inout [ValidationError]) {
        self.init(shapes: shapes, at: [.name(place)], missingInput: .null, into: &errors) { name in
            parameters.last { ExactText($0.name) == ExactText(name) }.map { .string($0.value) }
        }
    }

    private init(
        shapes: [FieldShape], at location: [Step], missingInput: JSONValue, into errors: inout [ValidationError],
        look: (String) -> JSONValue?
    ) {
        var values: [String: JSONValue] = [:]
        var given: Set<String> = []
        for shape in shapes {
            let place = location + [.name(shape.name)]
            guard let input = look(shape.name) else {
                switch shape.presence {
                case .required: errors.append(.missing(at: place, input: missingInput))
                case .requiredWithout(let other):
                    if look(other)?.isNull ?? true { errors.append(.missing(at: place, input: missingInput)) } else { values[shape.name] = .null }
                case .optional(let fallback): values[shape.name] = fallback
                }
                continue
            }
            given.insert(shape.name)
            var takesNull = shape.takesNull
            if case .requiredWithout(let other) = shape.presence { takesNull = look(other).map { !$0.isNull } ?? false }
            let rule = if let widened = shape.widened, widened.applies(look) { widened.rule } else { shape.rule }
            values[shape.name] = takesNull && input.isNull ? .null : rule.check(input, at: place, into: &errors)
        }
        self.init(values: values, given: given)
    }

    public subscript<Value>(_ field: Field<Value>) -> Value {
        guard let value = values[field.shape.name] else {
            preconditionFailure("the route that reads the field \(field.shape.name) does not declare it")
        }
        return field.value(value)
    }

    func isGiven(_ field: Field<some Sendable>) -> Bool { given.contains(field.shape.name) }
}
