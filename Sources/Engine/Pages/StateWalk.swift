// The documents of a project as they were after one event, by key, a bounded piece on each snapshot.
//
// A listing of a large project takes longer than a snapshot may be held, and whoever pages through it takes minutes. So that all
// pieces are of one state, the first one pins the last event: a document that has not changed since shows its nodes, of one that has the
// event is split again, as for `as_of` (History/Past.swift). What comes between two pieces is not in the listing, and nothing that was
// there at the pin is missing or there twice.

public import Base
internal import Documents
internal import Events
internal import Journal
internal import KeySpace
internal import LMDB

struct StateWalk: Sendable {
    enum Wanted: Sendable { case keys, nodes, nodesWithOwnVectors }

    let scope: TenantScope
    let pin: LogPin
    let dimension: Int
    let wanted: Wanted
    /// Of the present: documents whose time is over, and which are not in the listing any more.
    var over: Set<DocumentID> = []

    /// What comes next.
    struct Place: Sendable, Equatable {
        /// Of a document in the order of keys, or before it; empty: the beginning.
        var key: [UInt8]
        /// Of its nodes.
        var node: Int

        static let beginning = Place(key: [], node: 0)

        var bytes: [UInt8] {
            var writer = ByteWriter(capacity: 4 + key.count)
            writer.u32(UInt32(node))
            writer.raw(key)
            return writer.bytes
        }

        init(key: [UInt8], node: Int) {
            self.key = key
            self.node = node
        }

        /// - Throws: `ByteError`
        init(_ bytes: [UInt8]) throws(ByteError) {
            var reader = ByteReader(bytes)
            node = Int(try reader.u32())
            key = Array(try reader.raw(reader.remaining))
        }
    }

    /// A document, or some of its nodes.
    struct Part: Sendable {
        let key: [UInt8]
        /// Place of the first of its nodes that are wanted.
        let first: Int
        let document: PastDraft.Document

        /// The nodes from `first` on, with their places.
        func nodes(_ dimension: Int, _ cancellation: Cancellation) throws -> Zip2Sequence<PartialRangeFrom<Int>, ArraySlice<PastNodes.Node>> {
            guard let event = document.event else { return zip(first..., document.nodes[...]) }
            return zip(first..., try PastDraft.split(document, event, dimension: dimension, cancellation).dropFirst(first))
        }
    }

    struct Piece: Sendable {
        var parts: [Part] = []
        /// nil: that was all.
        var next: Place?
        /// About what it holds.
        var bytes = 0
    }

    /// Records that are looked at on one snapshot: some 10 to 20 ms.
    private static let recordsMax = 2_000

    /// How far a walk has come that began at the beginning, for the proof that it saw all keys.
    struct Seen: Sendable {
        var keys = 0
        /// Of the store, at the first piece.
        var position: StorePosition?
    }

    /// What stands from a place on: about `bytesMax` of it, and `countMax` documents or nodes, at least one.
    /// - Parameter seen: by the pieces before; nil when they are not known. Not in use at the beginning.
    /// - Throws: `.damaged` also when the project has had more keys than a walk to the end has seen on one state.
    func piece(
        from place: Place, countMax: Int, bytesMax: Int, seen: Seen? = nil, in view: borrowing TransactionView
    ) throws -> (piece: Piece, seen: Seen?) {
        let log = EventLog(scope: scope)
        try pin.verify(log, in: view)
        let documents = DocumentStore(scope: scope)
        var piece = Piece()
        var (records, count, keys) = (0, 0, 0)
        func isFull() -> Bool { records >= Self.recordsMax || count >= countMax || piece.bytes >= bytesMax }
        try documents.forEachDocument(from: place.key, in: view) { key, record in
            if isFull() {
                piece.next = Place(key: key, node: 0)
                return .stop
            }
            records += 1
            keys += 1
            if over.contains(record.id), record.sequence <= pin.sequence { return .onward }
            guard var document = try PastDraft.document(record, at: pin.sequence, scope, in: view) else { return .onward }
            let first = key == place.key ? place.node : 0
            if let event = document.event {
                piece.bytes += event.byteCount
                // How many nodes it has is known when it is split.
                count += 1
            } else if wanted == .keys {
                count += 1
                piece.bytes += record.key.text.utf8.count
            } else {
                piece.bytes += record.metadata.count
                for (index, id) in record.nodes.enumerated().dropFirst(first) {
                    if index > first, isFull() {
                        piece.next = Place(key: key, node: index)
                        break
                    }
                    guard let node = try documents.node(id, in: view) else {
                        throw ContexError.damaged("node \(id.rawValue) is listed by its document but is not there: run 'contex check'")
                    }
                    // As it was published, not as the index stores it. Of another model's dimension it is of no use to who imports it.
                    let own = wanted == .nodesWithOwnVectors ? try log.ownVector(of: node, in: view) : nil
                    let vector = own?.count == dimension ? own : nil
                    document.nodes.append(PastNodes.Node(record: node, attributes: document.attributes, vectors: vector.map { [$0] } ?? []))
                    records += 1
                    count += 1
                    piece.bytes += node.byteCount + 4 * (vector?.count ?? 0)
                }
            }
            piece.parts.append(Part(key: key, first: first, document: document))
            return piece.next == nil ? .onward : .stop
        }
        guard var seen = place == .beginning ? Seen() : seen else { return (piece, nil) }
        let position = try StorePosition.load(view)
        seen.position = seen.position ?? position
        // The one in whose middle this piece ends is seen again.
        seen.keys += keys - (piece.next.map { $0.node > 0 ? 1 : 0 } ?? 0)
        if piece.next == nil, seen.position == position { try documents.verify(keys: seen.keys, in: view) }
        return (piece, seen)
    }
}

extension Database {
    /// Walks a state of a project from the beginning or from where a cursor leads.
    ///
    /// - Parameters:
    ///   - asOf: of no meaning with a cursor, which knows its state.
    ///   - take: renders the items of a part as long as there is room, away from any snapshot; returns where it stopped, nil when it took all.
    /// - Throws: `.invalid` for a moment in the future and for a cursor of another listing; `.conflict` when the log was replaced since.
    func page<Item: Sendable>(
        _ tenant: TenantID, _ project: Name, _ listing: PageCursor.Listing, _ wanted: StateWalk.Wanted, _ request: PageRequest, asOf: Moment?,
        take: @escaping @Sendable (StateWalk.Part, inout PageFiller<Item>, Cancellation) throws -> StateWalk.Place?
    ) async throws -> Page<Item> {
        guard let (walk, start) = try await begin(tenant, project, listing, wanted, request, asOf) else { return Page(items: [], next: nil) }
        var filler = PageFiller<Item>(request)
        var place: StateWalk.Place? = start
        var seen: StateWalk.Seen?
        while let from = place {
            try Task.checkCancellation()
            let (room, bytes) = (max(1, filler.countLeft == .max ? .max : filler.countLeft + 1), max(1, filler.bytesLeft))
            let (piece, now) = try await read { [seen] in try walk.piece(from: from, countMax: room, bytesMax: bytes, seen: seen, in: $0) }
            seen = now
            let before = filler
            let (after, stop) = try await onPool(isHeavy: piece.bytes > Limits.lightBytes) { cancellation in
                var filler = before
                for part in piece.parts {
                    try cancellation.check()
                    if let stop = try take(part, &filler, cancellation) { return (filler, Optional(stop)) }
                }
                return (filler, nil)
            }
            filler = after
            if let stop {
                let next = PageCursor(listing, project: walk.scope.project, pin: walk.pin, place: stop.bytes)
                return Page(items: filler.items, next: next.text)
            }
            place = piece.next
        }
        return Page(items: filler.items, next: nil)
    }

    private func begin(
        _ tenant: TenantID, _ project: Name, _ listing: PageCursor.Listing, _ wanted: StateWalk.Wanted, _ request: PageRequest, _ asOf: Moment?
    ) async throws -> (StateWalk, StateWalk.Place)? {
        let dimension = models.dimension
        return try await read { [self] view in
            let scope = try Self.scope(tenant, project, view)
            if let text = request.cursor, let scope {
                let cursor = try PageCursor(text, of: listing, project: scope.project)
                try cursor.pin.verify(EventLog(scope: scope), in: view)
                let walk = StateWalk(scope: scope, pin: cursor.pin, dimension: dimension, wanted: wanted, over: try over(scope, in: view))
                return (walk, try StateWalk.Place(cursor.place))
            }
            let past = try asOf.flatMap { try pastSequence($0, scope, in: view) }
            guard let scope else { return nil }
            let log = EventLog(scope: scope)
            let pin = try LogPin(past ?? log.head(in: view).sequence, log, in: view)
            let over = try past == nil ? over(scope, in: view) : []
            return (StateWalk(scope: scope, pin: pin, dimension: dimension, wanted: wanted, over: over), .beginning)
        }
    }

    /// The nodes of a project, by document key, as `render` has them.
    ///
    /// - Parameters:
    ///   - asOf: as the project was then; nil: as it is when the first page is read, also for the pages after it.
    ///   - render: an item and its size in bytes, away from any snapshot.
    /// - Throws: `.invalid` for a moment in the future and for a cursor of another listing; `.conflict` when the log was replaced since the first
    ///   page.
    public func nodes<Item: Sendable>(
        _ tenant: TenantID, project: Name, _ request: PageRequest, asOf: Moment? = nil,
        render: @escaping @Sendable (ListedNode) throws -> (item: Item, bytes: Int)
    ) async throws -> Page<Item> {
        let dimension = models.dimension
        return try await page(tenant, project, .nodes, .nodes, request, asOf: asOf) { part, filler, cancellation in
            for (place, node) in try part.nodes(dimension, cancellation) {
                if filler.isFull { return StateWalk.Place(key: part.key, node: place) }
                let (item, bytes) = try render(ListedNode(node.record, of: node.attributes))
                filler.add(item, bytes: bytes)
            }
            return nil
        }
    }

    /// The keys of a project that hold something, in order.
    /// - Throws: as `nodes`.
    public func keys(_ tenant: TenantID, project: Name, _ request: PageRequest, asOf: Moment? = nil) async throws -> Page<String> {
        try await page(tenant, project, .keys, .keys, request, asOf: asOf) { part, filler, _ in
            if filler.isFull { return StateWalk.Place(key: part.key, node: 0) }
            let key = part.document.key.text
            filler.add(key, bytes: key.utf8.count + 3)
            return nil
        }
    }
}
