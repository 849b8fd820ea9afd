public import Base

/// What separates the values of an inline array and the cells of a row.
public enum TOONDelimiter: UInt8, Sendable, CaseIterable {
    case comma = 0x2C
    case tab = 0x09
    case pipe = 0x7C
}

public struct TOONEncodingOptions: Sendable {
    /// How a number is spelled.
    public enum Numbers: Sendable {
        /// As it came: whoever wrote `python: 3.10` did not mean 3.1.
        case asWritten
        /// In the one spelling that section 2 of the specification has for a value.
        case canonical
    }

    /// Spaces a level, at least 1.
    public var indent: Int
    public var delimiter: TOONDelimiter
    public var numbers: Numbers

    /// - Precondition: `indent` is at least 1.
    public init(indent: Int = 2, delimiter: TOONDelimiter = .comma, numbers: Numbers = .asWritten) {
        precondition(indent >= 1, "a level of TOON needs at least one space, not \(indent)")
        self.indent = indent
        self.delimiter = delimiter
        self.numbers = numbers
    }
}

/// Spec 4.0 knows two options; key folding and path expansion of 3.x are gone from it.
public struct TOONDecodingOptions: Sendable {
    /// Spaces a level, at least 1.
    public var indent: Int
    /// Refuse what section 14 of the specification lists. When false: a count that does not fit is ignored, the last of
    /// two equal keys wins, indentation is rounded down, a malformed header is a plain key. Whatever would lose data
    /// (rows of a wrong width, lines that belong to nothing, tabs in the indentation) is refused in both modes.
    public var strict: Bool
    /// Longer texts are refused before they are read.
    public var bytesMax: Int
    /// Levels of arrays, objects and groups of fields.
    public var depthMax: Int

    /// - Precondition: `indent` is at least 1.
    public init(indent: Int = 2, strict: Bool = true, bytesMax: Int = 64 << 20, depthMax: Int = Limits.nestingDepth) {
        precondition(indent >= 1, "a level of TOON needs at least one space, not \(indent)")
        self.indent = indent
        self.strict = strict
        self.bytesMax = bytesMax
        self.depthMax = depthMax
    }
}

/// Why a text is not TOON, and in which line (from 1).
public struct TOONError: Error, Sendable, Equatable, CustomStringConvertible {
    public let line: Int
    public let message: String

    public init(line: Int, message: String) {
        self.line = line
        self.message = message
    }
    public var description: String { "line \(line): \(message)" }

    /// A name as a message shows it: a stranger's text, so cut short.
    static func shown(_ name: String) -> String {
        let start = name.prefix(60)
        return start.endIndex == name.endIndex ? "\"\(name)\"" : "\"\(start)...\""
    }
}
