internal import Measures
internal import Synchronization

/// Something that took time, and is over.
public struct Span: Sendable, Equatable {
    public enum Kind: Int, Sendable { case `internal` = 1, server, client, producer, consumer }

    public enum Value: Sendable, Equatable {
        case text(String)
        case integer(Int)
        case number(Double)
        case flag(Bool)
    }

    public struct Attribute: Sendable, Equatable {
        public let name: String
        public let value: Value

        public init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }

    public let context: TraceContext
    /// nil: nobody before it.
    public let parent: SpanID?
    public let name: String
    public let kind: Kind
    /// Nanoseconds since 1970.
    public let begun: UInt64
    public let ended: UInt64
    public let attributes: [Attribute]
    /// What it failed for.
    public let failure: String?
}

extension Span.Value: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self = .text(value) }
}

/// A span that is not over yet. Whatever it is told is kept only if its trace is.
public final class OpenSpan: Sendable {
    /// The one that is worked for.
    @TaskLocal public static var current: OpenSpan?

    public let context: TraceContext
    private let parent: SpanID?
    private let name: String
    private let kind: Span.Kind
    private let tracer: Tracer
    private let begun = Stopwatch.now
    /// What to add to the steady clock for the one of the wall: one for all spans of a trace, so that they agree.
    private let wall: UInt64

    private struct State {
        var attributes: [Span.Attribute] = []
        var isOver = false
    }
    private let state = Mutex(State())
    private static let attributesMax = 64
    private static let textBytesMax = 1_024

    init(_ name: String, _ kind: Span.Kind, _ context: TraceContext, parent: SpanID?, wall: UInt64, in tracer: Tracer) {
        self.name = name
        self.kind = kind
        self.context = context
        self.parent = parent
        self.wall = wall
        self.tracer = tracer
    }

    /// What is done for it; nil when the trace is not kept.
    public func child(_ name: String, _ kind: Span.Kind = .internal) -> OpenSpan? {
        guard context.isSampled else { return nil }
        return OpenSpan(name, kind, following, parent: context.span, wall: wall, in: tracer)
    }

    private var following: TraceContext {
        TraceContext(trace: context.trace, span: .random(), isSampled: true, state: context.state, baggage: context.baggage)
    }

    public func set(_ name: String, _ value: Span.Value?) {
        guard context.isSampled, let value else { return }
        state.withLock { state in
            guard !state.isOver, state.attributes.count < Self.attributesMax else { return }
            state.attributes.append(.init(name: name, value: Self.bounded(value)))
        }
    }

    /// A part that is over already.
    /// - Parameter begun: as `Stopwatch` has it; `ended` too, nil: now.
    public func note(_ name: String, from begun: UInt64, to ended: UInt64? = nil) {
        guard context.isSampled else { return }
        tracer.keep(
            Span(
                context: following, parent: context.span, name: name, kind: .internal, begun: begun &+ wall, ended: max(begun, ended ?? Stopwatch.now) &+ wall,
                attributes: [], failure: nil))
    }

    /// Only the first end counts.
    /// - Parameter failure: nil: it went well.
    public func end(failure: String? = nil) {
        guard context.isSampled else { return }
        let attributes: [Span.Attribute]? = state.withLock { state in
            guard !state.isOver else { return nil }
            state.isOver = true
            return state.attributes
        }
        guard let attributes else { return }
        tracer.keep(
            Span(
                context: context, parent: parent, name: name, kind: kind, begun: begun &+ wall, ended: Stopwatch.now &+ wall, attributes: attributes,
                failure: failure))
    }

    /// Of a text its head: an attribute is something to look for, not to read.
    private static func bounded(_ value: Span.Value) -> Span.Value {
        guard case .text(let text) = value, text.utf8.count > textBytesMax else { return value }
        return .text(String(decoding: text.utf8.prefix(textBytesMax), as: UTF8.self))
    }
}
