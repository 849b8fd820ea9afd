public import Base

/// What a filter compares: a scalar of the metadata, or a built-in attribute.
///
/// Values of two kinds are never equal, and a range is of one kind.
public enum AttributeValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(AttributeNumber)
    /// A text that is a date (`Timestamp.init(printed:)`) is found under its moment too, which is what ranges of dates compare.
    case date(Timestamp)
    case text(ExactText)

    /// A scalar; nil for an array, an object, and a number that no binary64 is near.
    public init?(_ value: JSONValue) {
        switch value {
        case .null: self = .null
        case .bool(let bool): self = .bool(bool)
        case .number(let number):
            guard let number = AttributeNumber(number) else { return nil }
            self = .number(number)
        case .string(let text): self = .text(ExactText(text))
        case .array, .object: return nil
        }
    }
}

/// A number by its value: `1`, `1.0` and `1e0` are one. Whole numbers of 64 bits are exact, others the nearest binary64.
///
/// A whole number between two doubles is the lower of them and what is left, 0...1,023, so that numbers that serve as
/// identifiers stay apart, and the order of the pairs is the order of the numbers.
public struct AttributeNumber: Sendable, Hashable, Comparable {
    /// Finite, never -0.
    public let double: Double
    public let rest: UInt16

    /// Nil when the number is beyond binary64.
    public init?(_ number: JSONNumber) {
        guard let integer = number.integer else {
            let double = number.double
            guard double.isFinite else { return nil }
            (self.double, rest) = (double == 0 ? 0 : double, 0)
            return
        }
        var double = Double(integer)
        if double >= 0x1p63 || Int(double) > integer { double = double.nextDown }
        (self.double, rest) = (double, UInt16(integer - Int(double)))
    }

    public static func < (a: Self, b: Self) -> Bool { a.double == b.double ? a.rest < b.rest : a.double < b.double }
}
