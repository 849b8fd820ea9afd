// Reading what is there: events, versions, listings, projects.

internal import Attributes
public import Base
internal import Content
internal import Documents
public import Events
internal import Journal
internal import KeySpace
package import LMDB
internal import Needs
internal import Tenants

extension Database {
    /// Events that are read on one snapshot.
    private static let eventsPerSnapshot = 10_000

    /// Events, oldest first, as `render` has them. An unknown project has none.
    ///
    /// - Parameters:
    ///   - since: after this one; of no meaning with a cursor.
    ///   - render: an item and its size in bytes, away from any snapshot.
    /// - Throws: `.invalid` for a cursor of another listing; `.conflict` when the log was replaced since the page before.
    public func events<Item: Sendable>(
        _ tenant: TenantID, project: Name, since: Sequence, _ request: PageRequest,
        render: @escaping @Sendable (EventRecord) throws -> (item: Item, bytes: Int)
    ) async throws -> Page<Item> {
        guard let (scope, start) = try await read({ view -> (TenantScope, Sequence)? in
            guard let scope = try Self.scope(tenant, project, view) else { return nil }
            guard let text = request.cursor else {
                // 0 is wherever the log begins.
                let log = EventLog(scope: scope)
                let horizon = try log.horizon(in: view)
                if since > .zero, since < horizon.sequence { throw horizon.refusal("since=\(since)", epoch: try log.head(in: view).epoch) }
                return (scope, since)
            }
            let cursor = try PageCursor(text, of: .events, project: scope.project)
            try cursor.pin.verify(EventLog(scope: scope), in: view)
            return (scope, cursor.pin.sequence)
        }) else { return Page(items: [], next: nil) }
        var filler = PageFiller<Item>(request)
        var last = start
        while true {
            try Task.checkCancellation()
            let (after, count, bytes) = (last, min(filler.countLeft, Self.eventsPerSnapshot), filler.bytesLeft)
            let (events, next) = try await read { view in
                let log = EventLog(scope: scope)
                let events = count > 0 && bytes > 0 ? try log.events(after: after, count: count, bytesMax: bytes, in: view) : []
                let last = events.last?.sequence ?? after
                return (events, try log.head(in: view).sequence > last ? try LogPin(last, log, in: view) : nil)
            }
            guard let newest = events.last else {
                return Page(items: filler.items, next: next.map { PageCursor(.events, project: scope.project, pin: $0, place: []).text })
            }
            last = newest.sequence
            let before = filler
            let size = events.reduce(0) { $0 + $1.byteCount }
            filler = try await onPool(isHeavy: size > Limits.lightBytes) {
                var filler = before
                for event in events {
                    let (item, bytes) = try render(event)
                    filler.add(item, bytes: max(bytes, event.byteCount))
                }
                return filler
            }
            if next == nil { return Page(items: filler.items, next: nil) }
        }
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
            if past == nil, try isOver(key, scope, in: view) { return nil }
            return try PastDraft(scope, at: sequence, key: key, dimension: dimension, withVectors: false, in: view)
        }
        guard let found, let document = found.documents.first else { throw ContexError(.dataNotFound, "Data key '\(key.text.excerpt())' not found") }
        let nodes = try await onPool(isHeavy: document.event != nil) { try found.nodes($0).map { ListedNode($0.record, of: $0.attributes) } }
        // The event of a document that is as it was left: nil only of one that was imported without it.
        let event: EventRecord? = try await read { view in
            if let event = document.event { return event }
            guard let scope = try Self.scope(tenant, project, view) else { return nil }
            let log = EventLog(scope: scope)
            guard let event = try log.event(document.sequence, in: view) else {
                let (head, horizon) = (try log.head(in: view).sequence, try log.horizon(in: view).sequence)
                // Of data that was imported without its event: where the log stood then.
                if document.sequence == .zero || document.sequence > head || document.sequence <= horizon { return nil }
                throw ContexError.damaged("'\(key)' names event \(document.sequence), which is missing: run 'contex check'")
            }
            return event.kind == .published && event.key == key.text ? event : nil
        }
        let expiresAt: Timestamp? = asOf != nil ? nil : try await read { view in
            guard let scope = try Self.scope(tenant, project, view), let present = try DocumentStore(scope: scope).document(key, in: view) else { return nil }
            return present.sequence == document.sequence ? try DocumentExpiry(scope: scope).time(of: present.id, in: view) : nil
        }
        return HeldDocument(
            key: key, sequence: document.sequence, recordedAt: event?.recordedAt, dataText: event?.data,
            format: nodes.first?.format ?? event?.format ?? "json", nodes: nodes, metadata: document.attributes.metadata,
            publisher: document.attributes.publisher, expiresAt: expiresAt)
    }

    // MARK: - Projects

    /// The tenant's projects that the asker may see, by name.
    /// - Throws: `.invalid` for a cursor of another listing.
    public func projects(_ tenant: TenantID, _ request: PageRequest, visible: @escaping @Sendable (Name) -> Bool) async throws -> Page<ProjectSummary> {
        var place = try request.cursor.map { try PageCursor($0, of: .projects).place } ?? []
        var filler = PageFiller<ProjectSummary>(request)
        while true {
            try Task.checkCancellation()
            let from = place
            let entries = try await read { try ProjectRegistry(tenant: tenant).entries(from: from, count: Self.projectsPerSnapshot, in: $0) }
            for (key, entry) in entries where visible(entry.name) {
                if filler.isFull { return Page(items: filler.items, next: PageCursor(.projects, place: key).text) }
                // Of a summary as JSON, with the names of its members.
                let found: ProjectSummary
                do {
                    found = try await guarding(tenant, entry.name) { try await summary(tenant, entry) }
                } catch let error as ContexError where error.code == .quarantined || error.code == .damaged {
                    // Its name stands in the registry, which is sound.
                    found = ProjectSummary(
                        name: entry.name, documents: 0, nodes: 0, agents: 0, lastSequence: .zero, createdAt: entry.createdAt, isQuarantined: true)
                }
                filler.add(found, bytes: entry.name.text.utf8.count + 160)
            }
            guard entries.count == Self.projectsPerSnapshot, let last = entries.last else { return Page(items: filler.items, next: nil) }
            place = last.place + [0]
        }
    }

    private static let projectsPerSnapshot = 1_000
    private static let documentsPerSnapshot = 5_000

    /// Counted piece by piece: a summary of a project that is written to meanwhile is of no one moment.
    private func summary(_ tenant: TenantID, _ entry: ProjectRegistry.Entry) async throws -> ProjectSummary {
        let scope = TenantScope(tenant: tenant, project: entry.project)
        let (agents, head) = try await read { (try NeedStore(scope: scope).count(in: $0), try EventLog(scope: scope).head(in: $0).sequence) }
        var (documents, nodes, keys) = (0, 0, 0)
        var place: [UInt8]? = []
        var start: StorePosition?
        while let from = place {
            let (before, already) = (start, keys)
            let (found, last, position) = try await read { view in
                let position = try StorePosition.load(view)
                let (found, last) = try Self.count(scope, from: from, atMost: Self.documentsPerSnapshot, in: view)
                // Of one state when nothing was written since the first piece.
                if last == nil, before ?? position == position { try DocumentStore(scope: scope).verify(keys: already + found.keys, in: view) }
                return (found, last, position)
            }
            start = start ?? position
            documents += found.documents
            nodes += found.nodes
            keys += found.keys
            place = last.map { $0 + [0] }
        }
        return ProjectSummary(
            name: entry.name, documents: documents, nodes: nodes, agents: agents, lastSequence: head, createdAt: entry.createdAt)
    }

    /// - Returns: also the place of the last that was looked at, nil when there is nothing behind it.
    private static func count(
        _ scope: TenantScope, from place: [UInt8], atMost limit: Int, in view: borrowing TransactionView
    ) throws -> (found: (documents: Int, nodes: Int, keys: Int), last: [UInt8]?) {
        var (documents, nodes, looked) = (0, 0, 0)
        var last: [UInt8]?
        try DocumentStore(scope: scope).forEachDocument(from: place, in: view) { key, document in
            looked += 1
            if document.exists {
                documents += 1
                nodes += document.nodes.count
            }
            guard looked == limit else { return .onward }
            last = key
            return .stop
        }
        return ((documents, nodes, looked), last)
    }

    package static func summaries(_ tenant: TenantID, in view: borrowing TransactionView) throws -> [ProjectSummary] {
        try ProjectRegistry(tenant: tenant).entries(in: view).map { entry in
            let scope = TenantScope(tenant: tenant, project: entry.project)
            let found = try count(scope, from: [], atMost: .max, in: view).found
            return ProjectSummary(
                name: entry.name, documents: found.documents, nodes: found.nodes, agents: try NeedStore(scope: scope).count(in: view),
                lastSequence: try EventLog(scope: scope).head(in: view).sequence, createdAt: entry.createdAt)
        }
    }

    // MARK: - Versions

    /// The states that a key had, newest first, as `render` has them. None for a key that never was.
    ///
    /// - Parameter render: an item and its size in bytes, away from any snapshot.
    /// - Throws: `.invalid` for a cursor of another listing; `.conflict` when the log was replaced since the page before.
    public func history<Item: Sendable>(
        _ tenant: TenantID, project: Name, key: Name, _ request: PageRequest,
        render: @escaping @Sendable (DocumentVersion) throws -> (item: Item, bytes: Int)
    ) async throws -> Page<Item> {
        let found = try await read { view -> (versions: [DocumentVersion], next: PageCursor?) in
            guard let scope = try Self.scope(tenant, project, view),
                let document = try DocumentStore(scope: scope).document(key, in: view)
            else { return ([], nil) }
            let log = EventLog(scope: scope)
            let cursor = try request.cursor.map { try PageCursor($0, of: .versions, project: scope.project) }
            try cursor?.pin.verify(log, ofEvent: true, in: view)
            var versions: [DocumentVersion] = []
            var bytes = 0
            var next: PageCursor?
            try DocumentStore(scope: scope).forEachVersion(of: document.id, upTo: cursor?.pin.sequence, in: view) { sequence in
                let event = try Self.versionEvent(sequence, log, in: view)
                bytes += event.byteCount
                if !versions.isEmpty, versions.count >= request.limit ?? .max || bytes > request.bytesMax {
                    next = PageCursor(.versions, project: scope.project, pin: try LogPin(sequence, log, in: view), place: [])
                    return .stop
                }
                versions.append(try Self.version(event))
                return .onward
            }
            return (versions, next)
        }
        let size = found.versions.reduce(0) { $0 + $1.dataText.count }
        return try await onPool(isHeavy: size > Limits.lightBytes) {
            Page(items: try found.versions.map { try render($0).item }, next: found.next?.text)
        }
    }

    /// One state of a key.
    /// - Throws: `.notFound`
    public func version(_ tenant: TenantID, project: Name, key: Name, sequence: Sequence) async throws -> DocumentVersion {
        try await read { view in
            guard let scope = try Self.scope(tenant, project, view),
                let document = try DocumentStore(scope: scope).document(key, in: view)
            else { throw ContexError(.versionNotFound, "Version \(sequence) not found for \(key.text.excerpt())") }
            guard try DocumentStore(scope: scope).hasVersion(sequence, of: document.id, in: view) else {
                let log = EventLog(scope: scope)
                let horizon = try log.horizon(in: view)
                if sequence > .zero, sequence <= horizon.sequence { throw horizon.refusal("Version \(sequence)", epoch: try log.head(in: view).epoch) }
                throw ContexError(.versionNotFound, "Version \(sequence) not found for \(key.text.excerpt())")
            }
            return try Self.version(try Self.versionEvent(sequence, EventLog(scope: scope), in: view))
        }
    }

    private static func versionEvent(_ sequence: Sequence, _ log: EventLog, in view: borrowing TransactionView) throws -> EventRecord {
        guard let event = try log.event(sequence, in: view) else { throw ContexError.damaged("a version names event \(sequence), which is not there") }
        return event
    }

    private static func version(_ event: EventRecord) throws(ContexError) -> DocumentVersion {
        DocumentVersion(
            sequence: event.sequence, recordedAt: event.recordedAt, dataText: event.data, format: event.format,
            description: "\(event.key) (\(event.format))", eventType: event.type, ownVector: event.vector,
            metadata: try EventData.metadata(event.metadata), publisher: event.publisher)
    }

    /// Publishes an old state again, data and metadata, with its own vector when it had one, as a new event `data.restored.<key>`.
    /// - Throws: `.notFound`; `.invalid` for an own vector of another model's dimension.
    public func restore(
        _ tenant: TenantID, project: Name, key: Name, sequence: Sequence, by publisher: Publisher? = nil
    ) async throws -> (receipt: PublishReceipt, data: JSONValue) {
        let version = try await version(tenant, project: project, key: key, sequence: sequence)
        let data = try await onPool(isHeavy: version.dataText.count > Limits.lightBytes) { try version.parsedData() }
        let command = PublishCommand(
            project: project, key: key, data: data, format: version.format, eventType: "data.restored.\(key)", vector: version.ownVector,
            metadata: version.metadata, publisher: publisher)
        return (try await publish(tenant, [command])[0].get(), data)
    }

    // MARK: - The store itself

    public func status() async throws -> StoreStatus {
        let waiting = log.waitingCount
        let statistics = try storeStatistics()
        let (projects, position) = try await read { view in
            let projects = try TenantRegistry.numbers(in: view).reduce(0) { try $0 + ProjectRegistry(tenant: $1).entries(in: view).count }
            return (projects, try StorePosition.load(view))
        }
        return StoreStatus(
            bytesUsed: statistics.bytesUsed, entries: statistics.entries, projects: projects, pendingWrites: waiting, position: position,
            trouble: condition.trouble)
    }
}

/// What somebody wants a vector of: a text, or the cl100k tokens that a client has made of one.
public enum EmbeddingInput: Sendable {
    case text(String)
    case tokens([Int])
}

extension Database {
    /// Vectors of texts and of what tokens stand for, in order.
    /// - Throws: `.invalid` for a number that is no token.
    public func embed(_ inputs: [EmbeddingInput], in scope: ModelScope) async throws -> Embeddings {
        var texts: [String] = []
        texts.reserveCapacity(inputs.count)
        for (place, input) in inputs.enumerated() {
            switch input {
            case .text(let text): texts.append(text)
            case .tokens(let tokens):
                guard let text = models.text(tokens) else {
                    throw ContexError.invalid(
                        field: "input", kind: "value_error",
                        message: "Value error, input \(place) holds a number that is no token of cl100k_base")
                }
                // As long as a text may be that comes as one.
                texts.append(String(text.unicodeScalars.prefix(Limits.queryScalars)))
            }
        }
        return try await embed(texts, in: scope)
    }

    /// Vectors of texts, in order. Nothing is stored.
    /// - Parameter scope: whom the cache keeps them for.
    public func embed(_ texts: [String], in scope: ModelScope) async throws -> Embeddings {
        let vectors = try await models.embed(texts.map { ScopedText($0, in: scope) })
        let models = models
        let tokens = try await onPool { texts.reduce(0) { $0 + models.countTokens($1) } }
        return Embeddings(model: models.identity, vectors: vectors, tokens: tokens)
    }

    /// How the cache of vectors did so far; nil when there is none.
    public var cacheUse: Models.CacheUse? { models.cacheUse?() }

    /// Embeds a word; returns the vector's dimension.
    public func probeModel() async throws -> Int { try await models.embed([ScopedText("health", in: .server)])[0].count }
}
