internal import Base
internal import Content

/// Holds an answer to so many cl100k tokens of its JSON.
///
/// Parts are priced by themselves, which is what they cost together but for a token here and there; so the whole is counted at the end, and
/// whoever made it takes something away for as long as it is over.
public struct ToolBudget: Sendable {
    public let tokensMax: Int
    private let count: @Sendable (String) -> Int

    /// A text of so many bytes a token is counted no more: it is over. Prose has four or five, and what has more is white space.
    private static let bytesPerToken = 16

    public init(_ tokensMax: Int, count: @escaping @Sendable (String) -> Int) {
        self.tokensMax = tokensMax
        self.count = count
    }

    /// No text of more bytes is held.
    var bytesMax: Int { tokensMax * Self.bytesPerToken }

    /// Of a value with the comma behind it; nil: more than the budget has.
    func tokens(of value: JSONValue) -> Int? {
        guard !value.isLarger(than: bytesMax) else { return nil }
        let tokens = count(JSONPrinter.text(value)) + 1
        return tokens <= tokensMax ? tokens : nil
    }

    func holds(_ value: JSONValue) -> Bool {
        !value.isLarger(than: bytesMax) && count(JSONPrinter.text(value)) <= tokensMax
    }
}
