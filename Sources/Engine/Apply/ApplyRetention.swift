// The horizon of a log moves on, a step at a time: what lies before it is no longer kept, but for what is live.
//
// Of each document the event stays that gave it the state that it had at the horizon. So a live document has its data, whatever its age, and
// every state from the horizon on can be read: what a document held at a moment after it is its newest event at or before that moment,
// which is behind the horizon, or is the one that was kept. When the horizon passes the document's next event, the kept one goes.
//
// What else names events goes first: entries of inboxes (their agents' cursors learn of it, as when entries are too old), messages that were not
// delivered, and the journal, which takes the data of its publishes into itself.

internal import Base
internal import Documents
internal import Events
internal import Hashing
internal import Inboxes
internal import Journal
internal import KeySpace
internal import LMDB
internal import Outbox

extension Applier {
    /// - Throws: `.projectNotFound`
    func trim(_ command: Command.Trim, in transaction: inout WriteTransaction) throws -> Outcome {
        guard let scope = try ProjectRegistry(tenant: command.tenant).scope(of: command.project, in: transaction.view) else {
            throw ContexError(.projectNotFound, "Project not found")
        }
        let log = EventLog(scope: scope)
        let start = try log.horizon(in: transaction.view)
        let target = min(command.horizon, try log.head(in: transaction.view).sequence)
        guard start.sequence < target else { return .trimmed(TrimStep(horizon: start.sequence)) }
        let count = max(1, command.count)
        let last = Sequence(rawValue: start.sequence.rawValue + min(UInt64(count), target.rawValue - start.sequence.rawValue))
        guard try letInboxesGo(scope, upTo: last, count: count, at: command.time, in: &transaction) else {
            return .trimmed(TrimStep(horizon: start.sequence, hasMore: true))
        }
        try letDeliveriesGo(scope, upTo: last, in: &transaction)
        var reached = start
        var gone = 0
        while reached.sequence < last {
            let due = reached.sequence.next
            guard let event = try log.event(due, in: transaction.view) else { throw ContexError.damaged("event \(due) is missing: run 'contex check'") }
            gone += try pass(event, after: reached.hash, log, in: &transaction)
            reached = EventLog.Horizon(sequence: due, hash: event.hash, recordedAt: event.recordedAt)
        }
        try log.store(reached, in: &transaction)
        return .trimmed(TrimStep(horizon: reached.sequence, events: gone, hasMore: reached.sequence < target))
    }

    /// The horizon passes an event.
    /// - Parameter before: the hash of its predecessor.
    /// - Returns: how many events are gone for it.
    private func pass(_ event: EventRecord, after before: SHA256Digest, _ log: EventLog, in transaction: inout WriteTransaction) throws -> Int {
        let documents = DocumentStore(scope: log.scope)
        var gone = 0
        if event.kind == .published || event.kind == .deleted, let document = try document(event.key, documents, in: transaction.view) {
            let marks = try documents.marks(of: document.id, upTo: event.sequence, in: transaction.view)
            if let mark = marks.first, mark.sequence == event.sequence {
                // Of no moment from here on is it the state.
                for older in marks.dropFirst() {
                    try documents.removeMark(older.sequence, of: document.id, in: &transaction)
                    guard let event = try log.event(older.sequence, in: transaction.view) else { continue }
                    try drop(event, log, in: &transaction)
                    gone += 1
                }
                if case .content = mark {
                    try log.keep(event.sequence, after: before, in: &transaction)
                    return gone
                }
                try documents.removeMark(event.sequence, of: document.id, in: &transaction)
            }
        }
        try drop(event, log, in: &transaction)
        return gone + 1
    }

    private func drop(_ event: EventRecord, _ log: EventLog, in transaction: inout WriteTransaction) throws {
        try JournalText.keepEvent(event, of: log.scope, in: &transaction)
        try log.remove(event.sequence, in: &transaction)
    }

    private func document(_ key: String, _ documents: DocumentStore, in view: borrowing TransactionView) throws -> DocumentRecord? {
        do {
            return try documents.document(Name(stored: key), in: view)
        } catch let error as ContexError where error.category == .invalid {
            // Its place belongs to another long key: the event is one that an import brought, and of no document.
            return nil
        }
    }

    /// - Returns: false when there are more entries than one step takes.
    private func letInboxesGo(
        _ scope: TenantScope, upTo last: Sequence, count: Int, at time: Timestamp, in transaction: inout WriteTransaction
    ) throws -> Bool {
        var left = count
        for number in try Inbox.numbers(scope, in: transaction.view) {
            let inbox = Inbox(scope: scope, number: number)
            var newest: Sequence?
            var isAll = true
            try inbox.forEach(after: .zero, in: transaction.view) { entry in
                guard entry.sequence <= last else { return .stop }
                guard left > 0 else {
                    isAll = false
                    return .stop
                }
                newest = entry.sequence
                left -= 1
                return .onward
            }
            if let newest {
                try noteExpired(inbox, upTo: newest, at: time, in: &transaction)
                try inbox.remove(upTo: newest, isRead: false, in: &transaction)
            }
            if !isAll { return false }
        }
        return true
    }

    /// Messages that were not delivered, and whose events go now.
    private func letDeliveriesGo(_ scope: TenantScope, upTo last: Sequence, in transaction: inout WriteTransaction) throws {
        for lane in try DeliveryLedger.lanes(scope, in: transaction.view) {
            let ledger = DeliveryLedger(scope: scope, lane: lane)
            guard var state = try ledger.state(in: transaction.view), state.dead > 0 || state.hasMissed else { continue }
            let before = state
            if state.hasMissed, state.missedTo <= last { (state.missedAfter, state.missedTo) = (.zero, .zero) }
            var gone: [UInt64] = []
            try ledger.forEachLetter(in: transaction.view) { number, letter in
                switch letter.item {
                case .missed(let sequence), .entry(let sequence): if sequence <= last { gone.append(number) }
                case .greeting, .event: break
                }
                return .onward
            }
            for number in gone { try ledger.remove(number, &state, in: &transaction) }
            if state != before { try ledger.store(state, in: &transaction) }
        }
    }

    func setRetention(_ command: Command.SetRetention, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let scope = try entering(command.project, command.tenant, at: command.time, &work.effects, in: &transaction)
        guard try RetentionSettings.load(scope, in: transaction.view) != command.settings else { return .done }
        try command.settings.store(scope, in: &transaction)
        return .done
    }
}

extension RetentionSettings {
    func store(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        guard self != .none else {
            try transaction.delete(scope.key(.retention))
            return
        }
        var writer = ByteWriter()
        write(to: &writer)
        try transaction.store(scope.key(.retention), writer.bytes)
    }
}

extension JournalText {
    /// Takes what an entry refers to of an event into it: the event is about to go, and the journal's own window says for how long it is kept.
    static func keepEvent(_ event: EventRecord, of scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let journal = Journal()
        guard let record = try journal.record(at: event.position, in: transaction.view),
            record.reference == JournalRecord.Reference(scope: scope, sequence: event.sequence)
        else { return }
        try journal.makeWhole(record, body: try whole(record, in: transaction.view), in: &transaction)
    }
}
