// Sends spans to a collector, by OTLP over HTTP in JSON. A collector that is slow or gone costs a bounded buffer and nothing else.

internal import AsyncHTTPClient
internal import Base
internal import Content
public import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization
public import Traces

public struct TraceExporterConfiguration: Sendable {
    /// Of the collector: `/v1/traces` is put behind it, unless it ends so.
    public var endpoint: String
    /// Beside those of the protocol, such as a token.
    public var headers: [(name: String, value: String)]
    /// What is said of this server, such as `service.name`.
    public var resource: [(name: String, value: String)]
    public var version: String

    public init(endpoint: String, headers: [(name: String, value: String)] = [], resource: [(name: String, value: String)], version: String) {
        self.endpoint = endpoint
        self.headers = headers
        self.resource = resource
        self.version = version
    }
}

public final class TraceExporter: Sendable {
    private enum Outcome {
        case taken(rejected: Int)
        case later(after: Duration?, String)
        case refused(String)
    }

    private let tracer: Tracer
    private let configuration: TraceExporterConfiguration
    private let logger: Logger
    private let client: HTTPClient
    private let sent = Atomic<Int>(0)
    private let failures = Atomic<Int>(0)

    static let spansPerRequest = 512
    private static let interval = Duration.seconds(1)
    private static let timeout = TimeAmount.seconds(10)
    private static let triesMax = 6
    private static let waitMax = Duration.seconds(60)
    private static let answerBytesMax = 64 << 10

    public init(_ tracer: Tracer, _ configuration: TraceExporterConfiguration, logger: Logger) {
        self.tracer = tracer
        self.configuration = configuration
        self.logger = logger
        var settings = HTTPClient.Configuration()
        settings.redirectConfiguration = .disallow
        settings.timeout = .init(connect: .seconds(5), read: Self.timeout)
        settings.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    /// Spans that the collector has taken.
    public var sentCount: Int { sent.load(ordering: .relaxed) }
    /// Requests that it did not take.
    public var failureCount: Int { failures.load(ordering: .relaxed) }

    /// Sends what there is every second, until it is cancelled.
    public func run() async {
        while (try? await Task.sleep(for: Self.interval)) != nil {
            while !Task.isCancelled {
                let spans = tracer.take(Self.spansPerRequest)
                if spans.isEmpty { break }
                await send(spans)
            }
        }
    }

    /// Sends what is left, once, and closes. A collector that does not take it now does not get it.
    public func shutdown(within time: Duration = .seconds(2)) async {
        let deadline = ContinuousClock.now + time
        while ContinuousClock.now < deadline {
            let spans = tracer.take(Self.spansPerRequest)
            if spans.isEmpty { break }
            settle(spans, await post(spans, timeout: .seconds(1)))
        }
        try? await client.shutdown()
    }

    private func send(_ spans: [Span]) async {
        var wait = Duration.seconds(1)
        for attempt in 1...Self.triesMax {
            let outcome = await post(spans, timeout: Self.timeout)
            guard case .later(let asked, _) = outcome, attempt < Self.triesMax, !Task.isCancelled else { return settle(spans, outcome) }
            failures.add(1, ordering: .relaxed)
            // Spread, so that many servers do not come back at one moment.
            let pause = min(max(asked ?? .zero, wait * Double.random(in: 0.75...1.25)), Self.waitMax)
            guard (try? await Task.sleep(for: pause)) != nil else { return settle(spans, outcome) }
            wait = min(wait * 2, Self.waitMax)
        }
    }

    private func settle(_ spans: [Span], _ outcome: Outcome) {
        switch outcome {
        case .taken(let rejected):
            sent.add(spans.count - rejected, ordering: .relaxed)
            tracer.lost(rejected)
        case .later(_, let reason), .refused(let reason):
            failures.add(1, ordering: .relaxed)
            tracer.lost(spans.count)
            logger.warning("spans were not sent", metadata: ["endpoint": "\(configuration.endpoint)", "reason": "\(reason)"])
        }
    }

    private var url: String {
        let path = "/v1/traces"
        if configuration.endpoint.hasSuffix(path) { return configuration.endpoint }
        return (configuration.endpoint.hasSuffix("/") ? String(configuration.endpoint.dropLast()) : configuration.endpoint) + path
    }

    private func post(_ spans: [Span], timeout: TimeAmount) async -> Outcome {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "contex/\(configuration.version)")
        for (name, value) in configuration.headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.body = .bytes(ByteBuffer(bytes: OTLPDocument.spans(spans, resource: configuration.resource, version: configuration.version)))
        do {
            let answer = try await client.execute(request, timeout: timeout)
            let body = try? await answer.body.collect(upTo: Self.answerBytesMax)
            switch answer.status.code {
            case 200..<300: return .taken(rejected: min(spans.count, body.map(Self.rejected) ?? 0))
            case 429, 502, 503, 504:
                return .later(
                    after: answer.headers.first(name: "Retry-After").flatMap { Int($0) }.map { .seconds(max(0, $0)) }, "HTTP \(answer.status.code)")
            default: return .refused("HTTP \(answer.status.code)")
            }
        } catch {
            return .later(after: nil, "\(error)".excerpt())
        }
    }

    /// What a collector says that it did not take of what it took.
    private static func rejected(_ body: ByteBuffer) -> Int {
        let answer = try? JSONParser.parse(Array(body.readableBytesView))
        let count = answer?["partialSuccess"]?["rejectedSpans"]
        return max(0, count?.integerValue ?? count?.stringValue.flatMap { Int($0) } ?? 0)
    }
}
