internal import Engine

extension Operations {
    /// Whether the caller may speak the Model Context Protocol at all: what it asks for, each operation says.
    public func useMCP(by caller: Caller) async throws { try await perform(.useMCP, project: nil, by: caller) { _ in } }

    /// cl100k tokens of a text, for answers that are held to a budget.
    public func countTokens(_ text: String) -> Int { database.models.countTokens(text) }
}
