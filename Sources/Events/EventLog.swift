public import Base
public import Hashing
public import KeySpace
public import LMDB

/// The append-only log of one project: sequences 1, 2, 3 ... without gaps, each event chained to the one before by SHA-256.
///
/// The chain makes a changed, lost or exchanged event visible to whoever kept any later hash; the seals of KeySpace only
/// find accidents.
public struct EventLog: Sendable {
    public let scope: TenantScope

    public init(scope: TenantScope) { self.scope = scope }

    /// Where the log stands.
    public struct Head: Sendable, Equatable {
        public let sequence: Sequence
        public let hash: SHA256Digest
        /// How often the log was replaced: sequences of another epoch are of other events.
        public let epoch: UInt32
    }

    public func head(in view: borrowing TransactionView) throws -> Head {
        guard let bytes = try view.loadBytes(scope.key(.logState)) else { return Head(sequence: .zero, hash: .zero, epoch: 0) }
        var reader = ByteReader(bytes)
        let head = Head(sequence: Sequence(rawValue: try reader.u64()), hash: try reader.sha256(), epoch: try reader.u32())
        try reader.end()
        return head
    }

    /// Appends one event.
    /// - Parameter position: of the command that it belongs to.
    /// - Throws: `.damaged` when the head names a sequence that no log reaches, or ends before an event that is there: that one is not written over.
    /// - Complexity: two puts, one SHA-256 over the data.
    public func append(_ draft: EventDraft, at position: Position, in transaction: inout WriteTransaction) throws -> EventRecord {
        let head = try head(in: transaction.view)
        guard head.sequence.rawValue < .max else { throw ContexError.damaged("the head of the log names event \(head.sequence), which no log reaches") }
        let sequence = head.sequence.next
        guard try transaction.view.get(scope.key(.event, sequence.rawValue)) == nil else {
            throw ContexError.damaged("event \(sequence) is there, and the head of the log names the one before it as the last: run 'contex check'")
        }
        let hash = EventRecord.chainHash(after: head.hash, sequence: sequence, at: position, draft)
        try transaction.store(scope.key(.event, sequence.rawValue), EventRecord.encode(draft, at: position, hash: hash))
        try store(Head(sequence: sequence, hash: hash, epoch: head.epoch), in: &transaction)
        return EventRecord(
            sequence: sequence, position: position, kind: draft.kind, type: draft.type, key: draft.key, format: draft.format,
            recordedAt: draft.recordedAt, data: draft.data, vector: draft.vector, metadata: draft.metadata, publisher: draft.publisher, hash: hash)
    }

    private func store(_ head: Head, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.u64(head.sequence.rawValue)
        writer.raw(head.hash.bytes)
        writer.u32(head.epoch)
        try transaction.store(scope.key(.logState), writer.bytes)
    }

    /// When an event was recorded, without the rest of it being read; nil when it is not there.
    public func recordedAt(_ sequence: Sequence, in view: borrowing TransactionView) throws -> Timestamp? {
        guard let payload = try view.load(scope.key(.event, sequence.rawValue)) else { return nil }
        var reader = ByteReader(Array(payload.extracting(0..<min(9, payload.byteCount))))
        _ = try reader.u8()
        return Timestamp(rawValue: try reader.i64())
    }

    public func event(_ sequence: Sequence, in view: borrowing TransactionView) throws -> EventRecord? {
        guard let bytes = try view.loadBytes(scope.key(.event, sequence.rawValue)) else { return nil }
        return try EventRecord.decode(bytes, sequence: sequence)
    }

    /// The hash of an event, without its data being copied; nil when it is not there.
    public func hash(of sequence: Sequence, in view: borrowing TransactionView) throws -> SHA256Digest? {
        let horizon = try horizon(in: view)
        if sequence == horizon.sequence, sequence > .zero { return horizon.hash }
        guard let payload = try view.load(scope.key(.event, sequence.rawValue)) else { return nil }
        let begin = payload.byteCount - SHA256Digest.byteCount
        guard begin >= 0 else { throw ByteError.truncated(at: payload.byteCount) }
        var reader = ByteReader(Array(payload.extracting(begin..<payload.byteCount)))
        return try reader.sha256()
    }

    /// Events after `since`, oldest first, at most `count`, and no more than `bytesMax` with all that belongs to them (at least one). What lies
    /// before the horizon is passed over: who must not miss it asks for the horizon first.
    /// - Throws: `.damaged` when one of them is missing, also the last: what is returned is all there is, or ends where a bound was reached.
    public func events(
        after since: Sequence, count: Int, bytesMax: Int = .max, in view: borrowing TransactionView
    ) throws -> [EventRecord] {
        let head = try head(in: view).sequence
        let since = max(since, try horizon(in: view).sequence)
        guard count > 0, since < head else { return [] }
        var due = since.next
        func missing() -> ContexError { ContexError.damaged("event \(due) is missing, the log goes up to \(head): run 'contex check'") }
        var isWhole = true
        var found: [EventRecord] = []
        var bytes = 0
        let prefix = scope.key(.event)
        try view.scanRecords(prefix: prefix, from: scope.key(.event, since.next.rawValue)) { key, payload in
            // The record is as large as what it holds: one that is too much is not decoded.
            guard Self.sequence(ofKey: key) == due else { throw missing() }
            if !found.isEmpty, payload.byteCount > bytesMax - bytes {
                isWhole = false
                return .stop
            }
            let event = try EventRecord.decode(Array(payload), sequence: due)
            found.append(event)
            bytes += event.byteCount
            if due == head { return .stop }
            due = due.next
            isWhole = found.count < count && bytes < bytesMax
            return isWhole ? .onward : .stop
        }
        if isWhole, found.last?.sequence != head { throw missing() }
        return found
    }

    /// Removes the whole log; sequences begin again at 1, in the next epoch. Only an import with `overwrite` does this.
    public func removeAll(in transaction: inout WriteTransaction) throws {
        let (epoch, overflow) = try head(in: transaction.view).epoch.addingReportingOverflow(1)
        if overflow { throw ContexError.damaged("the log says that it was replaced more often than it can be") }
        try transaction.deleteAll(prefix: scope.key(.event))
        try transaction.deleteAll(prefix: scope.key(.logHorizon))
        try store(Head(sequence: .zero, hash: .zero, epoch: epoch), in: &transaction)
    }

    /// Reads the whole log and follows the chain from the horizon on; each finding is a sentence.
    public func findings(in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        let (head, horizon) = (try head(in: view), try horizon(in: view))
        var kept = try keptEvents(in: view)
        var expected = Head(sequence: horizon.sequence, hash: horizon.hash, epoch: head.epoch)
        if horizon.sequence > head.sequence { findings.append("the log begins after event \(horizon.sequence) and ends at \(head.sequence)") }
        try view.scanRecords(prefix: scope.key(.event)) { key, payload in
            let sequence = Self.sequence(ofKey: key)
            let event = try EventRecord.decode(Array(payload), sequence: sequence)
            func follows(_ before: SHA256Digest) -> Bool {
                event.kind == .erased || event.hash == EventRecord.chainHash(after: before, sequence: sequence, at: event.position, event.draft)
            }
            if sequence <= horizon.sequence {
                guard let before = kept.removeValue(forKey: sequence) else {
                    findings.append("event \(sequence) lies before the horizon \(horizon.sequence), and is not among those that were kept")
                    return .onward
                }
                if !follows(before) { findings.append("event \(sequence) is not the one that was kept") }
                return .onward
            }
            let due = Sequence(rawValue: expected.sequence.rawValue &+ 1)
            if sequence != due { findings.append("event \(due) is missing; the next one there is \(sequence)") }
            if !follows(expected.hash) { findings.append("event \(sequence) breaks the hash chain") }
            expected = Head(sequence: sequence, hash: event.hash, epoch: head.epoch)
            return .onward
        }
        for sequence in kept.keys.sorted() { findings.append("event \(sequence) was kept before the horizon and is missing") }
        if head != expected { findings.append("the log ends at \(expected.sequence), its head record says \(head.sequence)") }
        return findings
    }

    static func sequence(ofKey key: [UInt8]) -> Sequence { Sequence(rawValue: UInt64(lastOf: key)) }
}
