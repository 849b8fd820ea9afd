// Where spans are begun, and where those that are over wait for whoever sends them away.
//
// Whether a trace is kept is decided where it begins: by whoever sent its context, and of those that begin here by a share of their ids, so that
// all servers of one share keep the same ones (OpenTelemetry's TraceIdRatioBased under ParentBased). What waits is bounded: when nobody takes it,
// new spans are dropped and counted, and the server does what it does without them.

internal import Measures
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#endif

public final class Tracer: Sendable {
    public struct Counts: Sendable, Equatable {
        public var waiting: Int
        public var kept: Int
        public var dropped: Int

        public init(waiting: Int = 0, kept: Int = 0, dropped: Int = 0) {
            self.waiting = waiting
            self.kept = kept
            self.dropped = dropped
        }
    }

    private struct State {
        var spans: [Span] = []
        var kept = 0
        var dropped = 0
        var remembered: [String: TraceContext] = [:]
        var memory: [String] = []
        var oldest = 0
    }
    private let state = Mutex(State())
    /// Of 2 to the power of 63; above it: no tracing.
    private let bound = Atomic<UInt64>(.max)
    private let waitingMax: Int
    /// Places in stores whose traces are remembered.
    static let rememberedMax = 8_192

    /// - Parameter waitingMax: spans that wait at most, each some 500 bytes.
    public init(waitingMax: Int = 16_384) { self.waitingMax = waitingMax }

    /// From now on there are spans.
    /// - Parameter share: 0...1, of the traces that begin here.
    public func begin(share: Double) { bound.store(UInt64(min(max(share, 0), 1) * 0x1p63), ordering: .releasing) }

    public func stop() { bound.store(.max, ordering: .releasing) }

    public var isOn: Bool { bound.load(ordering: .acquiring) != .max }

    /// The first span of this server in a trace.
    /// - Parameter parent: what came with the request; nil begins a trace.
    /// - Returns: nil when there is no tracing.
    public func open(_ name: String, _ kind: Span.Kind, after parent: TraceContext? = nil) -> OpenSpan? {
        let bound = bound.load(ordering: .acquiring)
        guard bound != .max else { return nil }
        let trace = parent?.trace ?? .random()
        let isSampled = parent?.isSampled ?? (trace.low >> 1 < bound)
        let context = TraceContext(trace: trace, span: .random(), isSampled: isSampled, state: parent?.state ?? "", baggage: parent?.baggage ?? "")
        return OpenSpan(name, kind, context, parent: parent?.span, wall: Self.wall, in: self)
    }

    private static var wall: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec) &- Stopwatch.now
    }

    func keep(_ span: Span) {
        state.withLock { state in
            guard state.spans.count < waitingMax else {
                state.dropped += 1
                return
            }
            state.spans.append(span)
            state.kept += 1
        }
    }

    /// Takes spans that wait, oldest first.
    public func take(_ count: Int) -> [Span] {
        state.withLock { state in
            let taken = Array(state.spans.prefix(count))
            state.spans.removeFirst(taken.count)
            return taken
        }
    }

    /// Spans that were taken and could not be sent, for good.
    public func lost(_ count: Int) { state.withLock { $0.dropped += count } }

    public var counts: Counts { state.withLock { Counts(waiting: $0.spans.count, kept: $0.kept, dropped: $0.dropped) } }

    // MARK: - What comes of a change later

    /// Whose trace the change at a place was, for what is done about it after it was answered. Of the last places only, and until the server ends.
    public func remember(_ context: TraceContext, of place: String) {
        guard context.isSampled else { return }
        state.withLock { state in
            guard state.remembered.updateValue(context, forKey: place) == nil else { return }
            guard state.memory.count == Self.rememberedMax else { return state.memory.append(place) }
            state.remembered[state.memory[state.oldest]] = nil
            state.memory[state.oldest] = place
            state.oldest = (state.oldest + 1) % Self.rememberedMax
        }
    }

    public func recall(_ place: String) -> TraceContext? { state.withLock { $0.remembered[place] } }
}
