public import Base

/// What an operation is refused with; nil when it is not.
public func category(_ body: () async throws -> some Any) async -> ContexError.Category? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? ContexError)?.category
    }
}
