// The beginning of a log that retention has trimmed.
//
//     1 ... H      gone, but for the events that gave the documents the state that they had at H
//     H + 1 ...    all of them, chained from the hash of event H on, which is kept
//
// So every state from H on can be read as before, and the chain can be followed from H on. A kept event has the hash of its predecessor beside
// it, with which it can be held against its own. Layout: docs/formats/events-v1.md; why: docs/decisions/0099-retention.md

public import Base
public import Hashing
internal import KeySpace
public import LMDB

extension EventLog {
    /// Where a log begins.
    public struct Horizon: Sendable, Equatable {
        /// The last event that was trimmed; 0 of a log that is whole.
        public let sequence: Sequence
        public let hash: SHA256Digest
        public let recordedAt: Timestamp

        public init(sequence: Sequence, hash: SHA256Digest, recordedAt: Timestamp) {
            self.sequence = sequence
            self.hash = hash
            self.recordedAt = recordedAt
        }

        public static let none = Horizon(sequence: .zero, hash: .zero, recordedAt: Timestamp(rawValue: 0))

        /// What whoever asks for something before it is told.
        /// - Parameter what: as `as_of`: begins the sentence.
        public func refusal(_ what: String, epoch: UInt32) -> ContexError {
            ContexError(
                .historyTrimmed,
                "\(what) lies before the horizon of the project: retention has let go of what was before event \(sequence.next), and the oldest state that "
                    + "can be read is that after event \(sequence)",
                oldestCursor: "\(epoch)-\(sequence)")
        }
    }

    public func horizon(in view: borrowing TransactionView) throws -> Horizon {
        guard let bytes = try view.loadBytes(scope.key(.logHorizon)) else { return .none }
        var reader = ByteReader(bytes)
        let horizon = Horizon(
            sequence: Sequence(rawValue: try reader.u64()), hash: try reader.sha256(), recordedAt: Timestamp(rawValue: try reader.i64()))
        try reader.end()
        return horizon
    }

    public func store(_ horizon: Horizon, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 48)
        writer.u64(horizon.sequence.rawValue)
        writer.raw(horizon.hash.bytes)
        writer.i64(horizon.recordedAt.rawValue)
        try transaction.store(scope.key(.logHorizon), writer.bytes)
    }

    /// Keeps an event that the horizon passes.
    /// - Parameter before: the hash of the event before it.
    public func keep(_ sequence: Sequence, after before: SHA256Digest, in transaction: inout WriteTransaction) throws {
        try transaction.store(scope.key(.logHorizon, sequence.rawValue), before.bytes)
    }

    /// Lets an event go for good: one that the horizon has passed or passes now.
    public func remove(_ sequence: Sequence, in transaction: inout WriteTransaction) throws {
        try transaction.delete(scope.key(.event, sequence.rawValue))
        try transaction.delete(scope.key(.logHorizon, sequence.rawValue))
    }

    /// Takes away what an event says. Before the horizon all of it, after it what remains is what the chain needs.
    public func erase(_ event: EventRecord, in transaction: inout WriteTransaction) throws {
        if event.sequence <= (try horizon(in: transaction.view).sequence) { return try remove(event.sequence, in: &transaction) }
        try transaction.store(
            scope.key(.event, event.sequence.rawValue),
            EventRecord.encode(EventDraft.erased(at: event.recordedAt), at: event.position, hash: event.hash))
    }

    /// The events that are there, from one on, also those that were kept before the horizon.
    public func forEach(
        from first: Sequence, in view: borrowing TransactionView, _ body: (EventRecord) throws -> TransactionView.Step
    ) throws {
        try view.scanRecords(prefix: scope.key(.event), from: scope.key(.event, first.rawValue)) { key, payload in
            try body(try EventRecord.decode(Array(payload), sequence: Self.sequence(ofKey: key)))
        }
    }

    /// The events that were kept before the horizon, each with the hash of its predecessor.
    func keptEvents(in view: borrowing TransactionView) throws -> [Sequence: SHA256Digest] {
        var kept: [Sequence: SHA256Digest] = [:]
        let own = scope.key(.logHorizon)
        try view.scanRecords(prefix: own) { key, payload in
            guard key.count > own.count else { return .onward }
            var reader = ByteReader(Array(payload))
            kept[Sequence(rawValue: UInt64(lastOf: key))] = try reader.sha256()
            try reader.end()
            return .onward
        }
        return kept
    }
}

extension EventDraft {
    /// An event that says nothing.
    public static func erased(at time: Timestamp) -> EventDraft {
        EventDraft(kind: .erased, type: "data_erased", key: "", format: "json", recordedAt: time, data: Array("{}".utf8))
    }
}
