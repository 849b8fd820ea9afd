public import Base

/// How far the deliveries of one lane have come: the cursor of a webhook, and what is known of its next message.
public struct DeliveryState: Sendable, Equatable {
    /// How the initial context of a registration is to be packed; it is made when it is sent.
    public struct Greeting: Sendable, Equatable {
        public var tokensMax: UInt32?
        public var diversity: Double?
        public var pinned: [String] = []

        public init(tokensMax: UInt32? = nil, diversity: Double? = nil, pinned: [String] = []) {
            self.tokensMax = tokensMax
            self.diversity = diversity
            self.pinned = pinned
        }
    }

    /// Of the agent; 0 of an endpoint.
    public var registration: UInt32
    /// Of the project's log; 0 of an endpoint.
    public var epoch: UInt32
    /// Still to be sent; nil once it was.
    public var greeting: Greeting?
    /// Events of the log after `missedAfter` up to `missedTo` are still to be sent, before the inbox.
    public var missedAfter = Sequence.zero
    public var missedTo = Sequence.zero
    /// What is up to here (entries of the inbox, events of the outbox) was delivered, or is among the dead letters.
    public var settled: UInt64
    /// Tries of the next message that failed.
    public var attempts: UInt32 = 0
    /// Not before this: the wait after a failed try.
    public var nextAttempt = Timestamp(rawValue: 0)
    /// The receiver said that it is gone (410): nothing more is sent until it is registered anew or switched on again.
    public var isDisabled = false

    /// Messages that were delivered, and that were given up.
    public var delivered: UInt64 = 0
    public var givenUp: UInt64 = 0
    public var lastDelivered: Timestamp?
    public var lastFailure: Timestamp?
    public var failureReason = ""

    /// Of the dead letters: the last number given, how many are there, and how many of them are to be sent again.
    public var lastDead: UInt64 = 0
    public var dead: UInt64 = 0
    public var queued: UInt64 = 0
    /// The last number of an attempt that is kept.
    public var lastRecord: UInt64 = 0

    public init(registration: UInt32, epoch: UInt32, settled: UInt64) {
        self.registration = registration
        self.epoch = epoch
        self.settled = settled
    }

    public var hasMissed: Bool { missedAfter < missedTo }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: 160)
        writer.u32(registration)
        writer.u32(epoch)
        writer.bool(greeting != nil)
        if let greeting {
            writer.bool(greeting.tokensMax != nil)
            if let tokens = greeting.tokensMax { writer.u32(tokens) }
            writer.bool(greeting.diversity != nil)
            if let diversity = greeting.diversity { writer.f64(diversity) }
            writer.varint(UInt64(greeting.pinned.count))
            for key in greeting.pinned { writer.text(key) }
        }
        writer.u64(missedAfter.rawValue)
        writer.u64(missedTo.rawValue)
        writer.u64(settled)
        writer.u32(attempts)
        writer.i64(nextAttempt.rawValue)
        writer.bool(isDisabled)
        writer.u64(delivered)
        writer.u64(givenUp)
        writer.i64(lastDelivered?.rawValue ?? 0)
        writer.i64(lastFailure?.rawValue ?? 0)
        writer.text(failureReason)
        writer.u64(lastDead)
        writer.u64(dead)
        writer.u64(queued)
        writer.u64(lastRecord)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> DeliveryState {
        var reader = ByteReader(bytes)
        let (registration, epoch) = (try reader.u32(), try reader.u32())
        var greeting: Greeting?
        if try reader.bool() {
            var wishes = Greeting()
            if try reader.bool() { wishes.tokensMax = try reader.u32() }
            if try reader.bool() { wishes.diversity = try reader.f64() }
            for _ in 0..<(try reader.count(limit: reader.remaining)) { wishes.pinned.append(try reader.text()) }
            greeting = wishes
        }
        let missed = (Sequence(rawValue: try reader.u64()), Sequence(rawValue: try reader.u64()))
        var state = DeliveryState(registration: registration, epoch: epoch, settled: try reader.u64())
        state.greeting = greeting
        (state.missedAfter, state.missedTo) = missed
        state.attempts = try reader.u32()
        state.nextAttempt = Timestamp(rawValue: try reader.i64())
        state.isDisabled = try reader.bool()
        state.delivered = try reader.u64()
        state.givenUp = try reader.u64()
        state.lastDelivered = try time(&reader)
        state.lastFailure = try time(&reader)
        state.failureReason = try reader.text()
        state.lastDead = try reader.u64()
        state.dead = try reader.u64()
        state.queued = try reader.u64()
        state.lastRecord = try reader.u64()
        try reader.end()
        return state
    }

    private static func time(_ reader: inout ByteReader) throws -> Timestamp? {
        let value = try reader.i64()
        return value == 0 ? nil : Timestamp(rawValue: value)
    }
}
