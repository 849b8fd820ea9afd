// The pages of a query. Whoever wants more matches than `top_k` allows asks for a `limit`, and goes on with the cursor that the answer gives. All
// pages are of one state, that of the first: the cursor names the event that the log ended with then. While nothing is written, that is the
// present; afterwards the pages that follow are answered of the past, as `as_of` is. What that cannot read any more (events that an import has
// replaced, a project that is too large for its past) is gone, and the query must be asked again.
//
// Every page ranks the same candidates, `Limits.pagedMatches` of each index, however few it shows: with as many as it needs, one that is
// middling on both sides would come up on a later page at a place that has been passed already.

internal import Base
internal import Documents
internal import Events
internal import FullText
internal import Hashing
internal import KeySpace
internal import LMDB
internal import Search

struct MatchPage: Sendable {
    let limit: Int
    /// Matches of the pages before.
    let offset: Int
    /// The state that is to be read; nil: the present is it.
    let past: Sequence?
    private let scope: TenantScope
    private let pin: LogPin
    private let stamp: Stamp
    private let question: UInt64
    private let isFirst: Bool

    /// What changes answers and is no event: an import of nodes, another analyser.
    private struct Stamp: Equatable {
        let lastNode: UInt32
        let nodes: UInt32
        let analyzer: UInt8
    }

    /// - Parameters:
    ///   - asOf: the past that the query asks for; nil: the present.
    ///   - question: what makes two queries the same.
    /// - Throws: `.invalid` for a cursor of another query, `.matchesGone`.
    init(_ request: PageRequest, _ scope: TenantScope, asOf: Sequence?, question: UInt64, in view: borrowing TransactionView) throws {
        let log = EventLog(scope: scope)
        let head = try log.head(in: view).sequence
        let texts = TextIndex(scope: scope)
        let present = Stamp(
            lastNode: try DocumentStore(scope: scope).lastNode(in: view), nodes: UInt32(clamping: try texts.statistics(in: view).documents),
            analyzer: try texts.options(in: view).analyzer.kind.rawValue)
        self.scope = scope
        self.question = question
        limit = request.limit ?? Limits.topK
        isFirst = request.cursor == nil
        guard let text = request.cursor else {
            pin = try LogPin(asOf ?? head, log, in: view)
            (stamp, offset, past) = (present, 0, asOf)
            return
        }
        let cursor = try PageCursor(text, of: .matches, project: scope.project)
        var reader = ByteReader(cursor.place)
        let asked = try reader.u64()
        offset = Int(try reader.u32())
        stamp = Stamp(lastNode: try reader.u32(), nodes: try reader.u32(), analyzer: try reader.u8())
        pin = cursor.pin
        guard asked == question else {
            throw ContexError.invalid(
                .cursorInvalid, field: "cursor", kind: "value_error",
                message: "Value error, cursor is of another query: it goes on only where all but limit is what it was, or ask without it")
        }
        do {
            try pin.verify(log, in: view)
        } catch let error as ContexError where error.code == .cursorStale {
            throw Self.gone("The events of the project were replaced by an import")
        }
        past = pin.sequence == head ? nil : pin.sequence
        guard stamp.analyzer == present.analyzer, past != nil || stamp == present else {
            throw Self.gone("The indexes of the project were changed, and not by an event,")
        }
    }

    private static func gone(_ reason: String) -> ContexError {
        ContexError(.matchesGone, "\(reason) since the first page: ask again without a cursor")
    }

    /// What became of reading the past for a page that goes on: who asked for no past is not told of its bounds.
    func failure(_ error: ContexError) -> ContexError {
        guard !isFirst, error.code == .answerTooLarge else { return error }
        return Self.gone("The project was written to, and is too large to be read as it was,")
    }

    /// The cursor behind `count` matches of this page.
    func next(after count: Int) -> String? {
        guard offset + count < Limits.pagedMatches else { return nil }
        var writer = ByteWriter()
        writer.u64(question)
        writer.u32(UInt32(offset + count))
        writer.u32(stamp.lastNode)
        writer.u32(stamp.nodes)
        writer.u8(stamp.analyzer)
        return PageCursor(.matches, project: scope.project, pin: pin, place: writer.bytes).text
    }
}

extension QuerySearch {
    /// Of all that decides which matches there are, and in which order.
    var fingerprint: UInt64 {
        var writer = ByteWriter()
        writer.text(request.text)
        writer.floats(request.vector ?? [])
        writer.text(mode.rawValue)
        writer.f64(threshold)
        writer.text(fusion.method.rawValue)
        writer.f64(fusion.weights.semantic)
        writer.f64(fusion.weights.keyword)
        writer.varint(UInt64(request.efSearch ?? 0))
        writer.f64(request.recall ?? 0)
        writer.text(request.syntax.rawValue)
        writer.bool(request.groupsByDocument)
        writer.varint(UInt64(request.nodesPerDocument ?? 0))
        writer.text(request.filter.map { "\($0)" } ?? "")
        writer.text(request.asOf.map { "\($0)" } ?? "")
        return UInt64(firstOf: SHA256.digest(writer.bytes).bytes)
    }
}
