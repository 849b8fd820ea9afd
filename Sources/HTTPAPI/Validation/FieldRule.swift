internal import Addresses
internal import Attributes
internal import Base

/// What a field may hold. `check` collects faults and gives the value as the handlers want it: a number that came as text
/// is a number after it.
public enum FieldRule: Sendable {
    /// A string without NUL.
    case text(scalarsMin: Int, scalarsMax: Int)
    /// A project, data key or agent: `Name`.
    case name
    case integer(min: Int?, max: Int?)
    case number(min: Double, max: Double)
    /// An object with finite numbers from 0 on under these names and no other; at least one is there and over 0.
    case shares([String])
    case flag
    case texts(countMax: Int, scalarsMax: Int)
    /// A text or a list of whole numbers (tokens), or a list of at least one of these; none is empty. The value is a list.
    case embeddingInputs
    /// One of some words; pydantic tells an enumeration and a `Literal` apart.
    case word([String], isLiteral: Bool)
    /// An http or https URL, normalised.
    case address
    /// A list of finite numbers, as numbers; how many there must be, and that they are not all zero, the engine says.
    case vector(countMax: Int)
    /// A sequence number or an ISO 8601 time: `Moment`. The value is a text.
    case moment
    /// Any JSON without NUL in its texts.
    case anything
    /// An object within the bounds of `Metadata`.
    case metadata
    /// A filter of docs/filters.md.
    case filter

    /// Texts that have no tighter bound: whatever the body may hold.
    public static let text = FieldRule.text(scalarsMin: 0, scalarsMax: .max)

    /// Whether a value that is nested too deep for the parser is a fault of this field.
    var boundsDepth: Bool {
        switch self {
        case .metadata, .filter: true
        default: false
        }
    }
}

extension FieldRule {
    /// The value in its normal form, or nil after at least one fault was added.
    func check(_ input: JSONValue, at location: [Step], into errors: inout [ValidationError]) -> JSONValue? {
        let before = errors.count
        let value: JSONValue
        switch self {
        case .text(let scalarsMin, let scalarsMax):
            Self.checkText(input, scalarsMin: scalarsMin, scalarsMax: scalarsMax, at: location, into: &errors)
            value = input
        case .name:
            guard case .string(let text) = input else {
                errors.append(Self.noString(input, at: location))
                return nil
            }
            do throws(ContexError) {
                _ = try Name(text, field: location.last?.fieldName ?? "name")
            } catch {
                switch error.kind {
                case "string_too_long": errors.append(.tooLong(at: location, input: input, scalarsMax: Limits.nameScalars))
                case "string_too_short": errors.append(Self.tooShort(input, scalarsMin: 1, at: location))
                default: errors.append(Self.noNUL(input, at: location))
                }
            }
            value = input
        case .integer(let min, let max):
            guard let integer = Self.integer(input, min: min, max: max, at: location, into: &errors) else { return nil }
            value = .integer(integer)
        case .number(let min, let max):
            guard let number = Self.number(input, min: min, max: max, at: location, into: &errors) else { return nil }
            value = .double(number)
        case .shares(let names):
            guard let shares = Self.shares(input, names, at: location, into: &errors) else { return nil }
            value = .object(shares)
        case .flag:
            guard let flag = Self.flag(input, at: location, into: &errors) else { return nil }
            value = .bool(flag)
        case .texts(let countMax, let scalarsMax):
            guard case .array(let items) = input else {
                errors.append(ValidationError("list_type", at: location, "Input should be a valid list", input: input))
                return nil
            }
            Self.checkTexts(items, countMax: countMax, scalarsMin: 0, scalarsMax: scalarsMax, at: location, into: &errors)
            value = input
        case .embeddingInputs:
            let inputs = Self.embeddingInputs(input)
            guard case .array(let items) = inputs else {
                errors.append(
                    ValidationError(
                        "list_type", at: location, "Input should be a valid string, list of strings, list of tokens or list of those", input: input))
                return nil
            }
            guard items.count <= Limits.embeddingTexts else {
                errors.append(.tooMany(at: location, input: input, count: items.count, countMax: Limits.embeddingTexts))
                return nil
            }
            let tokens = items.reduce(0) { $0 + ($1.arrayValue?.count ?? 0) }
            guard tokens <= Limits.embeddingTokensTotal else {
                errors.append(.value("\(tokens) tokens, at most \(Limits.embeddingTokensTotal) are taken at once", at: location, input: .null))
                return nil
            }
            if items.isEmpty { errors.append(Self.tooFew(input, at: location)) }
            for (place, item) in items.enumerated() where errors.count < Limits.faults {
                Self.checkEmbeddingInput(item, at: input == inputs ? location + [.place(place)] : location, into: &errors)
            }
            value = inputs
        case .word(let words, let isLiteral):
            if let text = input.stringValue, words.contains(where: { ExactText($0) == ExactText(text) }) { return input }
            let expected = Self.enumeration(words)
            errors.append(
                ValidationError(
                    isLiteral ? "literal_error" : "enum", at: location, "Input should be \(expected)", input: input,
                    context: JSONObject([("expected", .string(expected))])))
            return nil
        case .address:
            guard let address = Self.address(input, at: location, into: &errors) else { return nil }
            value = .string(address)
        case .vector(let countMax):
            Self.checkVector(input, countMax: countMax, at: location, into: &errors)
            value = input
        case .moment:
            let text = input.stringValue ?? input.integerValue.map(String.init) ?? ""
            guard Moment(text) != nil else {
                errors.append(
                    .value(
                        "\(location.last?.fieldName ?? "the field") must be the number of an event, from 0, or a time in ISO 8601, such as "
                            + "2026-01-31T08:30:00Z", at: location, input: input))
                return nil
            }
            value = .string(text)
        case .anything:
            if Self.hasNUL(input) { errors.append(Self.noNUL(.null, at: location)) }
            value = input
        case .metadata:
            guard case .object(let object) = input else {
                errors.append(ValidationError("dict_type", at: location, "Input should be a valid dictionary", input: input))
                return nil
            }
            do throws(PlacedFault) { try Metadata.check(object) } catch { errors.append(Self.placed(error, at: location)) }
            value = input
        case .filter:
            do throws(PlacedFault) { _ = try Filter(input) } catch { errors.append(Self.placed(error, at: location)) }
            value = input
        }
        return errors.count == before ? value : nil
    }

    /// Places of a fault begin with the field's own name.
    private static func placed(_ fault: PlacedFault, at location: [Step]) -> ValidationError {
        let steps = fault.place.dropFirst().map { step in
            switch step {
            case .name(let name): Step.name(PlacedFault.path([.name(name)]))
            case .item(let number): Step.place(number)
            }
        }
        return .value(fault.description, at: location + steps, input: .null)
    }

    /// `'a', 'b' or 'c'`
    private static func enumeration(_ words: [String]) -> String {
        let quoted = words.map { "'\($0)'" }
        return quoted.count < 2 ? quoted.joined() : quoted.dropLast().joined(separator: ", ") + " or " + quoted.last!
    }

    private static func noString(_ input: JSONValue, at location: [Step]) -> ValidationError {
        ValidationError("string_type", at: location, "Input should be a valid string", input: input)
    }

    private static func noNUL(_ input: JSONValue, at location: [Step]) -> ValidationError {
        .value("\(location.last(where: { $0.fieldName != nil })?.fieldName ?? "text") must not contain NUL characters", at: location, input: input)
    }

    private static func tooShort(_ input: JSONValue, scalarsMin: Int, at location: [Step]) -> ValidationError {
        ValidationError(
            "string_too_short", at: location, "String should have at least \(scalarsMin) character\(scalarsMin == 1 ? "" : "s")", input: input,
            context: JSONObject([("min_length", .integer(scalarsMin))]))
    }

    private static func checkText(
        _ input: JSONValue, scalarsMin: Int, scalarsMax: Int, at location: [Step], into errors: inout [ValidationError]
    ) {
        guard case .string(let text) = input else {
            errors.append(noString(input, at: location))
            return
        }
        if scalarsMin > 0, text.isEmpty {
            errors.append(tooShort(input, scalarsMin: scalarsMin, at: location))
        } else if text.utf8.contains(0) {
            errors.append(noNUL(input, at: location))
        } else if text.utf8.count > scalarsMax, text.unicodeScalars.count > scalarsMax {
            errors.append(.tooLong(at: location, input: input, scalarsMax: scalarsMax))
        }
    }

    private static func checkTexts(
        _ items: [JSONValue], countMax: Int, scalarsMin: Int, scalarsMax: Int, at location: [Step], into errors: inout [ValidationError]
    ) {
        guard items.count <= countMax else {
            errors.append(.tooMany(at: location, input: .array(items), count: items.count, countMax: countMax))
            return
        }
        for (place, item) in items.enumerated() where errors.count < Limits.faults {
            checkText(item, scalarsMin: scalarsMin, scalarsMax: scalarsMax, at: location + [.place(place)], into: &errors)
        }
    }

    private static func tooFew(_ input: JSONValue, at location: [Step]) -> ValidationError {
        ValidationError(
            "too_short", at: location, "List should have at least 1 item after validation, not 0", input: input,
            context: JSONObject([("min_length", .integer(1)), ("actual_length", .integer(0))]))
    }

    /// One text or the tokens of one are a list of one.
    private static func embeddingInputs(_ input: JSONValue) -> JSONValue {
        switch input {
        case .string: return .array([input])
        case .array(let items):
            if case .number? = items.first { return .array([input]) }
            return input
        default: return input
        }
    }

    private static func checkEmbeddingInput(_ input: JSONValue, at location: [Step], into errors: inout [ValidationError]) {
        guard case .array(let tokens) = input else {
            checkText(input, scalarsMin: 1, scalarsMax: Limits.queryScalars, at: location, into: &errors)
            return
        }
        if tokens.isEmpty {
            errors.append(tooFew(input, at: location))
        } else if tokens.count > Limits.embeddingTokens {
            errors.append(.tooMany(at: location, input: input, count: tokens.count, countMax: Limits.embeddingTokens))
        } else if let place = tokens.firstIndex(where: { $0.integerValue == nil }) {
            errors.append(ValidationError("int_type", at: location + [.place(place)], "Input should be a valid integer", input: tokens[place]))
        }
    }

    /// Tells the first fault only: a caller who sends texts sends all of them as texts.
    private static func checkVector(_ input: JSONValue, countMax: Int, at location: [Step], into errors: inout [ValidationError]) {
        guard case .array(let items) = input else {
            errors.append(ValidationError("list_type", at: location, "Input should be a valid list", input: input))
            return
        }
        guard items.count <= countMax else {
            errors.append(.tooMany(at: location, input: .null, count: items.count, countMax: countMax))
            return
        }
        for (place, item) in items.enumerated() {
            guard case .number(let number) = item else {
                errors.append(ValidationError("float_type", at: location + [.place(place)], "Input should be a valid number", input: item))
                return
            }
            guard Float(number.double).isFinite else {
                errors.append(ValidationError("finite_number", at: location + [.place(place)], "Input should be a finite number", input: item))
                return
            }
        }
    }

    /// Recursion is bounded: the parser refused what is nested much deeper than `Limits.nestingDepth`.
    private static func hasNUL(_ value: JSONValue) -> Bool {
        switch value {
        case .null, .bool, .number: false
        case .string(let text): text.utf8.contains(0)
        case .array(let items): items.contains(where: hasNUL)
        case .object(let members): members.contains { $0.key.utf8.contains(0) || hasNUL($0.value) }
        }
    }

    // MARK: - Numbers and booleans

    private static func integer(
        _ input: JSONValue, min: Int?, max: Int?, at location: [Step], into errors: inout [ValidationError]
    ) -> Int? {
        let reading: LaxText.IntegerReading
        switch input {
        case .bool(let flag): reading = .value(flag ? 1 : 0)
        case .number(let number):
            let plain = LaxText.integer(number.text)
            if plain != .none {
                reading = plain
                break
            }
            let double = number.double
            guard double.isFinite else {
                errors.append(ValidationError("finite_number", at: location, "Input should be a finite number", input: input))
                return nil
            }
            guard double == double.rounded() else {
                errors.append(
                    ValidationError(
                        "int_from_float", at: location, "Input should be a valid integer, got a number with a fractional part", input: input))
                return nil
            }
            reading = Int(exactly: double).map(LaxText.IntegerReading.value) ?? .beyond(negative: double < 0)
        case .string(let text):
            reading = LaxText.integer(text)
        default:
            errors.append(ValidationError("int_type", at: location, "Input should be a valid integer", input: input))
            return nil
        }
        switch reading {
        case .none:
            errors.append(
                ValidationError(
                    "int_parsing", at: location, "Input should be a valid integer, unable to parse string as an integer", input: input))
            return nil
        case .tooManyDigits:
            errors.append(
                ValidationError(
                    "int_parsing_size", at: location, "Unable to parse input string as an integer, exceeded maximum size", input: input))
            return nil
        case .beyond(let negative):
            return bounded(negative ? Int.min : Int.max, min: min, max: max, input: input, at: location, into: &errors, json: { .integer($0) })
        case .value(let value):
            return bounded(value, min: min, max: max, input: input, at: location, into: &errors, json: { .integer($0) })
        }
    }

    private static func number(
        _ input: JSONValue, min: Double, max: Double, at location: [Step], into errors: inout [ValidationError]
    ) -> Double? {
        let value: Double
        switch input {
        case .bool(let flag): value = flag ? 1 : 0
        case .number(let number):
            value = number.double
            guard value.isFinite else {
                errors.append(ValidationError("finite_number", at: location, "Input should be a finite number", input: input))
                return nil
            }
        case .string(let text):
            guard let number = LaxText.number(text) else {
                errors.append(
                    ValidationError(
                        "float_parsing", at: location, "Input should be a valid number, unable to parse string as a number", input: input))
                return nil
            }
            value = number
        default:
            errors.append(ValidationError("float_type", at: location, "Input should be a valid number", input: input))
            return nil
        }
        // No comparison holds for NaN; pydantic reports the upper bound.
        let comparable = value.isNaN ? .infinity : value
        return bounded(comparable, min: min, max: max, input: input, at: location, into: &errors, json: { .double($0) })
    }

    private static func shares(
        _ input: JSONValue, _ names: [String], at location: [Step], into errors: inout [ValidationError]
    ) -> JSONObject? {
        guard case .object(let object) = input else {
            errors.append(
                ValidationError(
                    "model_attributes_type", at: location, "Input should be a valid dictionary or object to extract fields from", input: input))
            return nil
        }
        let before = errors.count
        var shares = JSONObject()
        for member in object where errors.count < Limits.faults {
            let place = location + [.name(member.key)]
            if !names.contains(where: { ExactText($0) == ExactText(member.key) }) {
                errors.append(ValidationError("extra_forbidden", at: place, "Extra inputs are not permitted", input: member.value))
            } else if let number = number(member.value, min: 0, max: .infinity, at: place, into: &errors) {
                if number.isFinite {
                    shares[member.key] = .double(number)
                } else {
                    errors.append(ValidationError("finite_number", at: place, "Input should be a finite number", input: member.value))
                }
            }
        }
        if errors.count > before { return nil }
        if !shares.contains(where: { $0.value.doubleValue ?? 0 > 0 }) {
            errors.append(.value("at least one of \(names.joined(separator: " and ")) must be greater than 0", at: location, input: input))
            return nil
        }
        return shares
    }

    private static func bounded<Value: Comparable>(
        _ value: Value, min: Value?, max: Value?, input: JSONValue, at location: [Step], into errors: inout [ValidationError],
        json: (Value) -> JSONValue
    ) -> Value? {
        /// pydantic prints a whole bound without its fraction in the message, with it in the context.
        func words(_ bound: Value) -> String {
            let text = "\(bound)"
            return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
        }
        if let max, value > max {
            errors.append(
                ValidationError(
                    "less_than_equal", at: location, "Input should be less than or equal to \(words(max))", input: input,
                    context: JSONObject([("le", json(max))])))
            return nil
        }
        if let min, value < min {
            errors.append(
                ValidationError(
                    "greater_than_equal", at: location, "Input should be greater than or equal to \(words(min))", input: input,
                    context: JSONObject([("ge", json(min))])))
            return nil
        }
        return value
    }

    private static func flag(_ input: JSONValue, at location: [Step], into errors: inout [ValidationError]) -> Bool? {
        let flag: Bool?
        switch input {
        case .bool(let value): return value
        case .string(let text): flag = LaxText.flag(text)
        case .number(let number) where number.double == number.double.rounded():
            flag = number.double == 1 ? true : number.double == 0 ? false : nil
        default:
            errors.append(ValidationError("bool_type", at: location, "Input should be a valid boolean", input: input))
            return nil
        }
        if flag == nil {
            errors.append(
                ValidationError("bool_parsing", at: location, "Input should be a valid boolean, unable to interpret input", input: input))
        }
        return flag
    }

    // MARK: - URL

    private static func address(_ input: JSONValue, at location: [Step], into errors: inout [ValidationError]) -> String? {
        guard case .string(let text) = input else {
            errors.append(ValidationError("url_type", at: location, "URL input should be a string or URL", input: input))
            return nil
        }
        guard text.unicodeScalars.count <= Limits.addressScalars else {
            errors.append(
                ValidationError(
                    "url_too_long", at: location, "URL should have at most \(Limits.addressScalars) characters", input: input,
                    context: JSONObject([("max_length", .integer(Limits.addressScalars))])))
            return nil
        }
        do throws(WebAddressError) {
            return try WebAddress(text).text
        } catch {
            let fault =
                switch error {
                case .scheme:
                    ValidationError(
                        "url_scheme", at: location, "URL scheme should be 'http' or 'https'", input: input,
                        context: JSONObject([("expected_schemes", .string("'http' or 'https'"))]))
                case .syntax(let reason):
                    ValidationError(
                        "url_parsing", at: location, "Input should be a valid URL, \(reason)", input: input,
                        context: JSONObject([("error", .string(reason))]))
                }
            errors.append(fault)
            return nil
        }
    }
}

extension Step {
    var fieldName: String? { if case .name(let name) = self { name } else { nil } }
}
