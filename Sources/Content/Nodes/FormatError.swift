internal import Base

/// Why a text is not of the format that it was read as.
public struct FormatError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// Against the grammar.
        case syntax
        /// Correct perhaps, but over a limit of ours: depth, expansion of aliases, length of numbers and names.
        case limit
        /// Correct perhaps, but refused: document type declarations, encodings that we do not read.
        case refused
        /// Correct perhaps, but what it says stands in its comments: `CommentedOut`.
        case nothingSet
        /// Nobody wants the result any more.
        case cancelled
    }
    public let format: ContentFormat
    public let reason: Reason
    /// Counted from 1; 0 when the place is not known.
    public let line: Int
    public let message: String

    init(_ format: ContentFormat, _ reason: Reason = .syntax, line: Int, _ message: String) {
        self.format = format
        self.reason = reason
        self.line = line
        self.message = message
    }
    public var description: String { line > 0 ? "\(message) (line \(line))" : message }
}

extension Cancellation {
    /// For the loops of readers: at each row, element or value.
    @inline(__always)
    func check(_ format: ContentFormat) throws(FormatError) {
        if isCancelled { throw FormatError(format, .cancelled, line: 0, "Given up") }
    }
}
