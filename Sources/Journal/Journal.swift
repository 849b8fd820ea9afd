public import Base
public import Hashing
public import KeySpace
public import LMDB

/// The commands that changed a store, by position, for as long as its window reaches back: what followers, incremental backups and a way
/// back in time are made of.
///
/// Written in the transaction that applies the command, so it says neither more nor less than the store holds. Positions have no gaps: a
/// command that is not entered (the journal was off, or a tool rebuilt something beside the log) makes the next one begin a new journal.
public struct Journal: Sendable {
    private var scope: TenantScope { .system }

    public init() {}

    /// What there is.
    public struct State: Sendable, Equatable {
        public let first: Position
        public let last: Position
        /// Of all entries together.
        public let bytes: UInt64
        /// The link before the first entry, and that of the last.
        public let base: SHA256Digest
        public let link: SHA256Digest
    }

    /// nil: nothing was ever entered.
    public func state(in view: borrowing TransactionView) throws -> State? {
        guard let bytes = try view.loadBytes(scope.key(.journalState)) else { return nil }
        var reader = ByteReader(bytes)
        let (first, last) = (Position(rawValue: try reader.u64()), Position(rawValue: try reader.u64()))
        let size = try reader.u64()
        let state = State(first: first, last: last, bytes: size, base: try reader.sha256(), link: try reader.sha256())
        try reader.end()
        guard first > .zero, first <= last, last.rawValue < .max else { throw ContexError.damaged("the journal says that it reaches from \(first) to \(last)") }
        return state
    }

    /// Whether there is a journal that goes as far as the store.
    public func isKept(in view: borrowing TransactionView) throws -> Bool {
        guard let state = try state(in: view) else { return false }
        return try state.last == StorePosition.load(view).position
    }

    private func store(_ state: State, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 88)
        writer.u64(state.first.rawValue)
        writer.u64(state.last.rawValue)
        writer.u64(state.bytes)
        writer.raw(state.base.bytes)
        writer.raw(state.link.bytes)
        try transaction.store(scope.key(.journalState), writer.bytes)
    }

    private func key(_ position: Position) -> [UInt8] { scope.key(.journalEntry, position.rawValue) }

    // MARK: - Writing

    /// Old entries that go with a new one, at most: enough that a window that was made smaller is reached, few enough that nobody waits.
    private static let trimmedAtOnce = 8

    /// Enters the command of a position, and lets go what is outside of the window.
    /// - Parameter event: what the body leaves out.
    /// - Complexity: two puts, one SHA-256 over 80 bytes, and as many deletes as entries go.
    public func append(
        _ draft: JournalDraft, at reached: StorePosition, event: (scope: TenantScope, sequence: Sequence)?, window: JournalWindow,
        in transaction: inout WriteTransaction
    ) throws {
        var known = try state(in: transaction.view)
        precondition(reached.position > .zero, "an entry before the first command")
        if let found = known, found.last.next != reached.position {
            try removeAll(in: &transaction)
            known = nil
        }
        let before = known?.link ?? .zero
        let record = JournalRecord(
            position: reached.position, time: reached.time, digest: draft.digest,
            link: JournalRecord.link(after: before, reached.position, reached.time, draft.digest),
            reference: event.map { .init(scope: $0.scope, sequence: $0.sequence) }, body: draft.body)
        let bytes = record.encode()
        try transaction.store(key(reached.position), bytes)
        var first = known?.first ?? reached.position
        var base = known?.base ?? before
        var size = Self.sum(known?.bytes ?? 0, bytes.count)
        var trimmed = 0
        while trimmed < Self.trimmedAtOnce, first < reached.position, try isOutside(window, bytes: size, first, now: reached.time, in: transaction.view),
            let oldest = try entry(first, in: transaction.view)
        {
            try transaction.delete(key(first))
            size -= min(size, UInt64(oldest.bytes))
            base = oldest.record.link
            first = first.next
            trimmed += 1
        }
        try store(State(first: first, last: reached.position, bytes: size, base: base, link: record.link), in: &transaction)
    }

    /// Whether the oldest entry has to go; looked at without the command in it, which may be megabytes.
    private func isOutside(
        _ window: JournalWindow, bytes: UInt64, _ oldest: Position, now: Timestamp, in view: borrowing TransactionView
    ) throws -> Bool {
        switch window {
        case .off, .all: return false
        case .bytes(let limit): return bytes > UInt64(max(0, limit))
        case .days(let days):
            guard let payload = try view.load(key(oldest)) else { return false }
            var reader = ByteReader(Array(payload.extracting(0..<min(16, payload.byteCount))))
            _ = try reader.u64()
            let (age, overflow) = now.rawValue.subtractingReportingOverflow(try reader.i64())
            return !overflow && age > Int64(days) * 86_400_000_000
        }
    }

    /// A state says what it likes.
    private static func sum(_ bytes: UInt64, _ more: Int) -> UInt64 {
        let (sum, overflow) = bytes.addingReportingOverflow(UInt64(more))
        return overflow ? .max : sum
    }

    /// Puts another body in the place of an entry's, whole now: what it referred to is about to go.
    public func makeWhole(_ record: JournalRecord, body: [UInt8], in transaction: inout WriteTransaction) throws {
        guard let state = try state(in: transaction.view), let present = try entry(record.position, in: transaction.view) else { return }
        let whole = JournalRecord(
            position: record.position, time: record.time, digest: record.digest, link: record.link, reference: nil, body: body)
        let bytes = whole.encode()
        try transaction.store(key(record.position), bytes)
        let size = Self.sum(state.bytes - min(state.bytes, UInt64(present.bytes)), bytes.count)
        try store(State(first: state.first, last: state.last, bytes: size, base: state.base, link: state.link), in: &transaction)
    }

    /// The entry of a position; nil when it is not there.
    public func record(at position: Position, in view: borrowing TransactionView) throws -> JournalRecord? { try entry(position, in: view)?.record }

    /// Lets the oldest entries go, up to a position and `count` of them at most, whatever the window says: what they hold is to be forgotten.
    /// - Returns: how many there were.
    @discardableResult
    public func trim(upTo last: Position, count: Int, in transaction: inout WriteTransaction) throws -> Int {
        guard let state = try state(in: transaction.view) else { return 0 }
        var (first, base, size, gone) = (state.first, state.base, state.bytes, 0)
        while gone < count, first <= min(last, state.last), let oldest = try entry(first, in: transaction.view) {
            try transaction.delete(key(first))
            size -= min(size, UInt64(oldest.bytes))
            base = oldest.record.link
            gone += 1
            first = first.next
        }
        guard gone > 0 else { return 0 }
        if first > state.last {
            try transaction.delete(scope.key(.journalState))
        } else {
            try store(State(first: first, last: state.last, bytes: size, base: base, link: state.link), in: &transaction)
        }
        return gone
    }

    /// Ends the journal: the next entry begins a new one.
    public func removeAll(in transaction: inout WriteTransaction) throws {
        try transaction.deleteAll(prefix: scope.key(.journalEntry))
        try transaction.delete(scope.key(.journalState))
    }

    // MARK: - Reading

    private func entry(_ position: Position, in view: borrowing TransactionView) throws -> (record: JournalRecord, bytes: Int)? {
        guard let bytes = try view.loadBytes(key(position)) else { return nil }
        return (try JournalRecord.decode(bytes), bytes.count)
    }

    /// Entries from a position on, oldest first.
    public func forEach(
        from first: Position, in view: borrowing TransactionView, _ body: (JournalRecord) throws -> TransactionView.Step
    ) throws {
        try view.scanRecords(prefix: scope.key(.journalEntry), from: key(first)) { _, payload in try body(try JournalRecord.decode(Array(payload))) }
    }

    /// Walks all entries and holds each against its place and its link.
    /// - Throws: `.damaged` with the position and what is wrong there; what `body` throws.
    public func verified(in view: borrowing TransactionView, _ body: (JournalRecord) throws -> Void) throws {
        guard let state = try state(in: view) else { return }
        var due = state.first
        var link = state.base
        func damaged(_ reason: String) -> ContexError { ContexError.damaged("the journal at position \(due): \(reason)") }
        do {
            try view.scanRecords(prefix: scope.key(.journalEntry)) { found, payload in
                guard due <= state.last else { throw damaged("an entry after the last, \(state.last)") }
                guard found == key(due) else { throw damaged("the entry is missing") }
                let record = try JournalRecord.decode(Array(payload))
                guard record.position == due else { throw damaged("the entry of position \(record.position) stands there") }
                link = JournalRecord.link(after: link, record.position, record.time, record.digest)
                guard record.link == link else { throw damaged("it does not follow from the entry before") }
                try body(record)
                due = due.next
                return .onward
            }
        } catch let error as ByteError {
            throw damaged("the entry cannot be read (\(error))")
        } catch let error as ContexError where error.category == .damaged && !error.message.hasPrefix("the journal at position") {
            throw damaged(error.message)
        }
        guard due.rawValue == state.last.rawValue + 1, link == state.link else {
            throw damaged("the entry is missing; the journal should go on to \(state.last)")
        }
    }
}
