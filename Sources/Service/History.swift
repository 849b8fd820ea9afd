internal import Access
public import Base
public import Engine
public import Events

extension Operations {
    /// Versions are asked for by the name of their key: who is denied to read the key's data is denied what it was before.
    private func readVersions<T: Sendable>(_ project: Name, _ key: Name, _ caller: Caller, _ body: (Principal) async throws -> T) async throws -> T {
        try await perform(.readVersions, project: project, key: key, by: caller) {
            try refuseDenied(.viewProjectData, project, key, $0, caller)
            return try await body($0)
        }
    }

    /// - Parameter render: an item and its size in bytes.
    /// - Throws: as `Database.events`
    public func events<Item: Sendable>(
        project: Name, since: Sequence, _ page: PageRequest, by caller: Caller,
        render: @escaping @Sendable (EventRecord) throws -> (item: Item, bytes: Int)
    ) async throws -> Page<Item> {
        try await perform(.readEvents, project: project, by: caller) {
            try await database.events($0.tenant, project: project, since: since, page, render: render)
        }
    }

    /// - Parameter render: an item and its size in bytes.
    /// - Throws: as `Database.history`
    public func history<Item: Sendable>(
        project: Name, key: Name, _ page: PageRequest, by caller: Caller,
        render: @escaping @Sendable (DocumentVersion) throws -> (item: Item, bytes: Int)
    ) async throws -> Page<Item> {
        try await readVersions(project, key, caller) {
            try await database.history($0.tenant, project: project, key: key, page, render: render)
        }
    }

    /// - Throws: `.notFound`
    public func version(project: Name, key: Name, sequence: Sequence, by caller: Caller) async throws -> DocumentVersion {
        try await readVersions(project, key, caller) {
            try await database.version($0.tenant, project: project, key: key, sequence: sequence)
        }
    }

    /// - Throws: `.notFound`
    public func difference(
        project: Name, key: Name, from: Sequence, to: Sequence, by caller: Caller
    ) async throws -> VersionDifference {
        try await readVersions(project, key, caller) {
            VersionDifference(
                from: try await database.version($0.tenant, project: project, key: key, sequence: from),
                to: try await database.version($0.tenant, project: project, key: key, sequence: to))
        }
    }

    /// - Throws: `.notFound`
    public func restore(
        project: Name, key: Name, sequence: Sequence, by caller: Caller
    ) async throws -> (receipt: PublishReceipt, data: JSONValue) {
        try await perform(.restoreVersion, project: project, key: key, by: caller) {
            try await database.restore($0.tenant, project: project, key: key, sequence: sequence, by: $0.publisher)
        }
    }
}
