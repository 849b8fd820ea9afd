public import Base

extension Database {
    /// Removes a key: its nodes leave every index at once, an event says so, its versions stay readable from the log.
    /// - Parameter publisher: whose key the deletion came with.
    /// - Throws: `.notFound` when the key holds nothing.
    public func delete(_ tenant: TenantID, project: Name, key: Name, by publisher: Publisher? = nil) async throws -> DeleteReceipt {
        let outcome = try await submit(.delete(.init(tenant: tenant, project: project, key: key, publisher: publisher, time: now())))
        guard case .deleted(let receipt) = outcome else { throw outcome.mismatch }
        return receipt
    }
}
