internal import Base
internal import Engine
internal import Outbox

/// What becomes of a lane's messages while they are posted: the note that is written down in the end, and what the lane does then. A value
/// without clock or sockets.
struct LaneDelivery {
    let batch: DeliveryBatch
    private let lane: DeliveryLane
    private(set) var note: DeliveryNote
    /// There is more to read, whatever becomes of these.
    var hasMore: Bool
    /// The key of the registration ended meanwhile.
    var isStopped = false
    private var isParked = false
    private var wasEnded = false
    private(set) var afterwards = DeliverySchedule<DeliveryLane>.Afterwards.idle

    init(_ batch: DeliveryBatch, _ lane: DeliveryLane) {
        self.batch = batch
        self.lane = lane
        hasMore = batch.hasMore
        note = DeliveryNote(lane.subject, registration: batch.registration, epoch: batch.epoch)
        if batch.lost > 0 { note.lost = batch.lost }
    }

    /// Nothing was sent, and nothing passed over that would have to be passed over again.
    var mustBeNoted: Bool { !note.isEmpty }

    /// One try is over.
    /// - Returns: whether the lane's messages end here for now.
    mutating func note(
        _ message: DeliveryMessage, _ attempt: WebhookClient.Attempt, _ verdict: RetryPolicy.Verdict, attempts: Int, from begun: Timestamp,
        to time: Timestamp, milliseconds: Int, hasMore: Bool
    ) -> Bool {
        let status: UInt16 = if case .answered(let status, _) = attempt.outcome { UInt16(clamping: status) } else { 0 }
        let reason = attempt.outcome.summary
        record(message, attempt, verdict, attempts, status, begun, milliseconds)
        if verdict == .delivered {
            note.delivered += 1
            note.lastDelivered = time
            if let letter = message.letter { note.replayed.append(letter) } else { settle(message.item) }
            return false
        }
        note.failure = .init(time: time, reason: String(reason.prefix(Self.reasonMax)))
        if let letter = message.letter {
            // A dead letter has one try each time that somebody asks for it.
            note.returned.append(.init(number: letter, status: status, reason: String(reason.prefix(Self.reasonMax))))
        } else if case .retry(let after) = verdict {
            note.attempts = UInt32(clamping: attempts)
            note.nextAttempt = Timestamp(rawValue: time.rawValue + after.wholeMicroseconds)
            isParked = true
            return true
        } else {
            let event: OutboxEvent? = if case .event(let event, _) = message.content { event } else { nil }
            note.dead.append(
                DeadLetter(
                    item: message.item, id: message.id, attempts: UInt32(clamping: attempts), time: time, status: status,
                    reason: String(reason.prefix(Self.reasonMax)), event: event))
            settle(message.item)
        }
        guard verdict == .gone else { return false }
        note.disables = true
        wasEnded = true
        return true
    }

    private mutating func settle(_ item: DeliveryItem) {
        note.settled = item
        (note.attempts, note.nextAttempt) = (0, Timestamp(rawValue: 0))
    }

    /// Characters of a reason that are kept.
    private static let reasonMax = 300

    private mutating func record(
        _ message: DeliveryMessage, _ attempt: WebhookClient.Attempt, _ verdict: RetryPolicy.Verdict, _ attempts: Int, _ status: UInt16,
        _ begun: Timestamp, _ milliseconds: Int
    ) {
        guard case .event(_, let id) = message.content else { return }
        let result: DeliveryAttempt.Result =
            switch verdict {
            case .delivered: .success
            case .retry: .retrying
            case .rejected, .gone, .failed, .refused: .failed
            }
        note.records.append(
            DeliveryAttempt(
                deliveryID: message.id, eventID: id, attempt: UInt32(clamping: attempts), result: result, status: status,
                body: String(decoding: attempt.body, as: UTF8.self), error: verdict == .delivered ? "" : attempt.outcome.summary, begun: begun,
                milliseconds: UInt32(clamping: milliseconds)))
    }

    /// All that can be sent now was sent.
    mutating func end(at instant: (Timestamp) -> ContinuousClock.Instant) {
        let isThrough = note.settled == batch.messages.last(where: { $0.letter == nil })?.item
        // What was looked at and concerns others is passed over for good once it is much, or stands behind what was sent.
        if isThrough, !isParked, let passed = batch.passed, note.settled != nil || hasMore || batch.lost > 0 { settle(passed) }
        if note.lost > 0, note.failure == nil {
            let reason = "\(note.lost) events were not delivered before the outbox let them go"
            note.failure = .init(time: note.lastDelivered ?? batch.nextAttempt, reason: reason)
        }
        // A dead letter that was sent again says nothing of the next message.
        if note.settled == nil, !isParked { (note.attempts, note.nextAttempt) = (UInt32(clamping: batch.attempts), batch.nextAttempt) }
        afterwards = wasEnded ? .idle : isParked ? .parked(until: instant(note.nextAttempt)) : hasMore || isStopped ? .again : .idle
    }
}

extension Duration {
    fileprivate var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
