/// Why a vocabulary was refused: which line of which file, and what is wrong with it.
public struct TokensError: Error, Sendable, Equatable, CustomStringConvertible {
    /// `vocab.txt` or `cl100k_base.tiktoken`.
    public let file: String
    /// Counted from 1; nil when the file as a whole is wrong.
    public let line: Int?
    public let reason: String

    init(file: String, line: Int? = nil, _ reason: String) {
        self.file = file
        self.line = line
        self.reason = reason
    }

    public var description: String {
        if let line { "\(file), line \(line): \(reason)" } else { "\(file): \(reason)" }
    }
}
