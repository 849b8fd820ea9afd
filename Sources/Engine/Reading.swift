// Reading what is there: events, versions, listings, projects.

internal import Attributes
public import Base
internal import Content
internal import Documents
public import Events
internal import KeySpace
internal import LMDB
internal import Needs

extension Database {
    /// Bytes of event data that one answer carries at most (at least one event, however large).
    static let eventBytesMax = 64 << 20

    /// Events after `since`, oldest first. An unknown project has none.
    public func events(_ tenant: TenantID, project: Name, since: Sequence, count: Int) async throws -> [EventRecord] {
        try await read { view in
            guard let scope = try Self.scope(tenant, project, view) else { return [] }
            return try EventLog(scope: scope).events(after: since, count: count, bytesMax: Self.eventBytesMax, in: view)
        }
    }

    /// Every node of a project, by document key.
    /// - Parameter asOf: as the project was then; nil: now.
    /// - Throws: `.invalid` for a moment in the future; `.tooLarge` for a past of too many nodes.
    public func listNodes(_ tenant: TenantID, project: Name, asOf: Moment? = nil) async throws -> [ListedNode] {
        try await state(tenant, project, asOf) { scope, view in
            let documents = DocumentStore(scope: scope)
            var listed: [ListedNode] = []
            try documents.forEachDocument(in: view) { document in
                let attributes = try document.attributes
                for id in document.nodes { listed.append(try Self.listed(id, attributes, documents, in: view)) }
            }
            return listed
        } past: { draft, cancellation in
            try draft.byKey().nodes(cancellation).map { try ListedNode($0.record, of: $0.attributes) }
        } ?? []
    }

    static func listed(_ id: NodeID, _ document: DocumentAttributes, _ documents: DocumentStore, in view: borrowing TransactionView) throws -> ListedNode {
        guard let node = try documents.node(id, in: view) else {
            throw ContexError.damaged("node \(id.rawValue) is listed by its document but is not there")
        }
        return try ListedNode(node, of: document)
    }

    /// The keys of a project that hold something, in order.
    /// - Parameter asOf: as the project was then; nil: now.
    /// - Throws: as `listNodes`.
    public func listKeys(_ tenant: TenantID, project: Name, asOf: Moment? = nil) async throws -> [String] {
        try await state(tenant, project, asOf) { scope, view in
            var keys: [String] = []
            try DocumentStore(scope: scope).forEachDocument(in: view) { keys.append($0.key.text) }
            return keys
        } past: { draft, _ in
            draft.byKey().documents.map(\.key.text)
        } ?? []
    }

    /// What a key holds.
    /// - Parameter asOf: what it held then; nil: now.
    /// - Throws: `.notFound` when it holds or held nothing, `.invalid` for a moment in the future.
    public func document(_ tenant: TenantID, project: Name, key: Name, asOf: Moment? = nil) async throws -> HeldDocument {
        let dimension = models.dimension
        let found: PastDraft? = try await read { [self] view in
            let scope = try Self.scope(tenant, project, view)
            let past = try asOf.flatMap { try pastSequence($0, scope, in: view) }
            guard let scope else { return nil }
            let sequence = try past ?? EventLog(scope: scope).head(in: view).sequence
            return try PastDraft(scope, at: sequence, key: key, dimension: dimension, withVectors: false, in: view)
        }
        guard let found, let document = found.documents.first else { throw ContexError.notFound("Data key '\(key)' not found") }
        let nodes = try await onPool(isHeavy: true) { cancellation in try found.nodes(cancellation).map { try ListedNode($0.record, of: $0.attributes) } }
        // The event of a document that is as it was left: nil only of one that was imported without it.
        let event: EventRecord? = try await read { view in
            if let event = document.event { return event }
            guard let scope = try Self.scope(tenant, project, view) else { return nil }
            return try EventLog(scope: scope).event(document.sequence, in: view).flatMap { $0.kind == .published && $0.key == key.text ? $0 : nil }
        }
        return HeldDocument(
            key: key, sequence: document.sequence, recordedAt: event?.recordedAt, data: try event.map { try EventData.parsed($0.data) },
            format: nodes.first?.format ?? event?.format ?? "json", nodes: nodes, metadata: document.attributes.metadata,
            publisher: document.attributes.publisher)
    }

    /// Reads a project as it is or was; nil when it was never there.
    private func state<T: Sendable>(
        _ tenant: TenantID, _ project: Name, _ asOf: Moment?,
        present: @escaping @Sendable (TenantScope, borrowing TransactionView) throws -> T, past: @escaping @Sendable (PastDraft, Cancellation) throws -> T
    ) async throws -> T? {
        let dimension = models.dimension
        let (now, draft): (T?, PastDraft?) = try await read { [self] view in
            let scope = try Self.scope(tenant, project, view)
            let sequence = try asOf.flatMap { try pastSequence($0, scope, in: view) }
            guard let scope else { return (nil, nil) }
            guard let sequence else { return (try present(scope, view), nil) }
            return (nil, try PastDraft(scope, at: sequence, dimension: dimension, withVectors: false, in: view))
        }
        guard let draft else { return now }
        return try await onPool(isHeavy: true) { try past(draft, $0) }
    }

    /// The tenant's projects, by name.
    public func projects(_ tenant: TenantID) async throws -> [ProjectSummary] {
        try await read { try Self.summaries(tenant, in: $0) }
    }

    static func summaries(_ tenant: TenantID, in view: borrowing TransactionView) throws -> [ProjectSummary] {
        try ProjectRegistry(tenant: tenant).entries(in: view).map { entry in
            let scope = TenantScope(tenant: tenant, project: entry.project)
            var (documents, nodes) = (0, 0)
            try DocumentStore(scope: scope).forEachDocument(in: view) {
                documents += 1
                nodes += $0.nodes.count
            }
            return ProjectSummary(
                name: entry.name, documents: documents, nodes: nodes, agents: try NeedStore(scope: scope).agents(in: view).count,
                lastSequence: try EventLog(scope: scope).head(in: view).sequence, createdAt: entry.createdAt)
        }
    }

    // MARK: - Versions

    /// The states that a key had, newest first. Empty for a key that never was.
    public func history(_ tenant: TenantID, project: Name, key: Name, limit: Int) async throws -> [DocumentVersion] {
        try await read { view in
            guard let scope = try Self.scope(tenant, project, view),
                let document = try DocumentStore(scope: scope).document(key, in: view)
            else { return [] }
            return try DocumentStore(scope: scope).versions(of: document.id, count: limit, in: view).map {
                try Self.version($0, scope, in: view)
            }
        }
    }

    /// One state of a key.
    /// - Throws: `.notFound`
    public func version(_ tenant: TenantID, project: Name, key: Name, sequence: Sequence) async throws -> DocumentVersion {
        try await read { view in
            guard let scope = try Self.scope(tenant, project, view),
                let document = try DocumentStore(scope: scope).document(key, in: view),
                try DocumentStore(scope: scope).hasVersion(sequence, of: document.id, in: view)
            else { throw ContexError.notFound("Version \(sequence) not found for \(key)") }
            return try Self.version(sequence, scope, in: view)
        }
    }

    private static func version(_ sequence: Sequence, _ scope: TenantScope, in view: borrowing TransactionView) throws -> DocumentVersion {
        guard let event = try EventLog(scope: scope).event(sequence, in: view) else {
            throw ContexError.damaged("a version names event \(sequence), which is not there")
        }
        return DocumentVersion(
            sequence: sequence, recordedAt: event.recordedAt, data: try EventData.parsed(event.data), format: event.format,
            description: "\(event.key) (\(event.format))", eventType: event.type, ownVector: event.vector,
            metadata: try EventData.metadata(event.metadata), publisher: event.publisher)
    }

    /// Publishes an old state again, data and metadata, with its own vector when it had one, as a new event `data.restored.<key>`.
    /// - Throws: `.notFound`; `.invalid` for an own vector of another model's dimension.
    public func restore(
        _ tenant: TenantID, project: Name, key: Name, sequence: Sequence, by publisher: Publisher? = nil
    ) async throws -> (receipt: PublishReceipt, data: JSONValue) {
        let version = try await version(tenant, project: project, key: key, sequence: sequence)
        let command = PublishCommand(
            project: project, key: key, data: version.data, format: version.format, eventType: "data.restored.\(key)", vector: version.ownVector,
            metadata: version.metadata, publisher: publisher)
        return (try await publish(tenant, [command])[0].get(), version.data)
    }

    // MARK: - The store itself

    public func status() async throws -> StoreStatus {
        let waiting = writer.waitingCount
        let statistics = try storeStatistics()
        let projects = try await read { try ProjectRegistry(tenant: .standard).entries(in: $0).count }
        return StoreStatus(
            bytesUsed: statistics.bytesUsed, entries: statistics.entries, projects: projects, pendingWrites: waiting)
    }
}

extension Database {
    /// Vectors of texts, in order. Nothing is stored.
    public func embed(_ texts: [String]) async throws -> Embeddings {
        let vectors = try await models.embed(texts)
        let models = models
        let tokens = try await onPool { texts.reduce(0) { $0 + models.countTokens($1) } }
        return Embeddings(model: models.identity, vectors: vectors, tokens: tokens)
    }

    /// How the cache of vectors did so far; nil when there is none.
    public var cacheUse: Models.CacheUse? { models.cacheUse?() }

    /// Embeds a word; returns the vector's dimension.
    public func probeModel() async throws -> Int { try await models.embed(["health"])[0].count }
}
