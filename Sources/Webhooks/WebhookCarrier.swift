// Posts what the store says is due to webhooks. When is decided by `DeliverySchedule`, what by the store (`DeliverySource`); here are the
// tasks that do it.
//
// A lane's task reads what is next, posts it message by message, and hands over one note of what became of them. Notes of all lanes are
// gathered for some milliseconds and written in one command: five hundred receivers of one publish cost some commits, not five hundred. Until
// its note is written a lane rests, so that what it reads next is always the truth. A process that ends in between sends the same messages
// again, under the same ids: never none, sometimes one twice.

internal import Addresses
public import Base
public import Engine
public import Logging
public import NIOCore
public import Outbox
internal import Synchronization
public import Traces

/// What became of the deliveries since the start, and what is under way.
public struct WebhookStatistics: Sendable, Equatable {
    /// Answered with 2xx.
    public internal(set) var sent = 0
    /// Given up after the last try.
    public internal(set) var failed = 0
    /// Answered with a 3xx or 4xx that would come again.
    public internal(set) var rejected = 0
    /// No URL, or one whose addresses the policy does not permit.
    public internal(set) var refused = 0
    /// Tries that were followed by another one.
    public internal(set) var retried = 0
    /// Commands that wrote down what became of them.
    public internal(set) var notes = 0
    /// Receivers that wait or are under way, and those whose breaker is not closed.
    public internal(set) var waiting = 0
    public internal(set) var running = 0
    public internal(set) var openBreakers = 0
}

/// Delivers to webhooks, each receiver in order, different ones at the same time.
public final class WebhookCarrier: DeliveryCarrier {
    private typealias Schedule = DeliverySchedule<DeliveryLane>

    private struct State {
        var schedule: Schedule
        var statistics = WebhookStatistics()
        var endpoints: [DeliveryLane: (filter: EndpointFilter, place: DeliveryPlace)] = [:]
        /// Where idle lanes led last.
        var places: [DeliveryLane: DeliveryPlace] = [:]
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var lastTask: UInt64 = 0
        /// Waits for next tries and for the trials of breakers.
        var waits: [DeliveryLane: Task<Void, Never>] = [:]
        var trials: [String: Task<Void, Never>] = [:]
        var notes: [(lane: DeliveryLane, note: DeliveryNote)] = []
        var isWriting = false
        var writer: Task<Void, Never>?
        var isClosed = false
    }

    private enum Word: Sendable {
        case lane(DeliveryLane, isFresh: Bool)
        case event(OutboxEvent, TenantID)
        case endpoint(DeliveryLane, WebhookEndpoint?)
    }
    private struct Words {
        var heard: [Word] = []
        var isAttended = false
    }

    /// Idle lanes whose places are remembered: others are looked up when they are rung.
    private static let placesMax = 20_000
    /// Notes of one command.
    private static let notesMax = 1_000
    /// After what went wrong in the store.
    private static let storeWait = Duration.seconds(1)

    private let configuration: WebhookConfiguration
    private let source: any DeliverySource
    private let resolver: any NameResolver
    private let client: WebhookClient
    private let logger: Logger
    private let mayBeTold: @Sendable (DeliveryTarget) -> Bool
    private let tracer: Tracer?
    private let state: Mutex<State>
    private let words = Mutex(Words())

    /// - Parameters:
    ///   - resolver: nil for the machine's own.
    ///   - mayBeTold: whether the agent's registration still holds; asked before every try.
    public init(
        configuration: WebhookConfiguration = WebhookConfiguration(), source: any DeliverySource, eventLoopGroup: any EventLoopGroup, logger: Logger,
        resolver: (any NameResolver)? = nil, tracer: Tracer? = nil, mayBeTold: @escaping @Sendable (DeliveryTarget) -> Bool = { _ in true }
    ) {
        let resolver = resolver ?? SystemNameResolver(group: eventLoopGroup)
        self.configuration = configuration
        self.source = source
        self.resolver = resolver
        self.logger = logger
        self.mayBeTold = mayBeTold
        self.tracer = tracer
        client = WebhookClient(configuration: configuration, resolver: resolver, group: eventLoopGroup)
        state = Mutex(State(schedule: Schedule(limits: configuration.limits, breaker: configuration.breaker)))
    }

    public var statistics: WebhookStatistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.waiting = state.schedule.count
            statistics.running = state.schedule.running
            statistics.openBreakers = state.schedule.openBreakers
            return statistics
        }
    }

    /// Looks for what was left over, and begins with it. Messages that come meanwhile are rung as ever.
    public func start() async throws {
        let endpoints = try await source.endpoints()
        let lanes = try await source.lanes()
        state.withLock { state in
            // What has changed since it was read stays as it is.
            for (lane, _) in lanes {
                guard case .endpoint(let number) = lane.subject, state.endpoints[lane] == nil else { continue }
                if let endpoint = endpoints.first(where: { $0.number == number }), endpoint.isActive {
                    state.endpoints[lane] = (endpoint.filter, Self.place(of: DeliveryTarget(endpoint, at: endpoint.updatedAt), lane))
                }
            }
        }
        for (lane, target) in lanes {
            begin { state in state.schedule.ring(lane, at: Self.place(of: target, lane)) }
        }
    }

    // MARK: - What there is

    public func ring(_ lane: DeliveryLane, isFresh: Bool) { hear(.lane(lane, isFresh: isFresh)) }

    public func ring(_ event: OutboxEvent, of tenant: TenantID) { hear(.event(event, tenant)) }

    public func changed(_ lane: DeliveryLane, to endpoint: WebhookEndpoint?) { hear(.endpoint(lane, endpoint)) }

    /// What the writer says is noted, and looked at by a task: five hundred receivers of one publish keep nobody waiting for its answer.
    private func hear(_ word: Word) {
        let isFirst = words.withLock { words in
            words.heard.append(word)
            defer { words.isAttended = true }
            return !words.isAttended
        }
        if isFirst { Task { attend() } }
    }

    private func attend() {
        while true {
            let heard = words.withLock { words in
                defer { words.heard = [] }
                if words.heard.isEmpty { words.isAttended = false }
                return words.heard
            }
            if heard.isEmpty { return }
            begin { state in for word in heard { Self.take(word, &state) } }
        }
    }

    private static func take(_ word: Word, _ state: inout State) {
        switch word {
        case .lane(let lane, let isFresh): state.schedule.ring(lane, at: place(of: lane, state), isFresh: isFresh)
        case .event(let event, let tenant):
            for (lane, endpoint) in state.endpoints where lane.tenant == tenant && endpoint.filter.passes(event) {
                state.schedule.ring(lane, at: endpoint.place)
            }
        case .endpoint(let lane, let endpoint):
            guard let endpoint, endpoint.isActive else {
                state.endpoints[lane] = nil
                return
            }
            let place = place(of: DeliveryTarget(endpoint, at: endpoint.updatedAt), lane)
            state.endpoints[lane] = (endpoint.filter, place)
            state.schedule.ring(lane, at: place, isFresh: true)
        }
    }

    public func breaker(of url: String) -> DeliveryStatus.Breaker {
        guard let url = try? WebhookURL(url).text else { return .closed }
        let breaker = state.withLock { $0.schedule.breaker(of: url) }
        return breaker.isClosed ? .closed : breaker.opensAgainAt == nil ? .halfOpen : .open
    }

    public var health: DeliveryHealth {
        let statistics = statistics
        var health = DeliveryHealth()
        health.delivered = statistics.sent
        health.givenUp = statistics.failed + statistics.rejected + statistics.refused
        health.waiting = statistics.waiting
        health.running = statistics.running
        health.openBreakers = statistics.openBreakers
        return health
    }

    /// Keys or roles have changed: whom they stopped may be told again.
    public func keysChanged() { begin { $0.schedule.resume() } }

    /// Unknown ones lead nowhere until they are looked up.
    private static func place(of lane: DeliveryLane, _ state: State) -> DeliveryPlace {
        if let known = state.places[lane] { return known }
        let project: Name? = if case .agent(_, let project) = lane.subject { project } else { nil }
        return DeliveryPlace(owner: DeliveryOwner(tenant: lane.tenant, project: project, key: nil), url: "", host: "")
    }

    private static func place(of target: DeliveryTarget, _ lane: DeliveryLane) -> DeliveryPlace {
        let url = try? WebhookURL(target.url)
        return DeliveryPlace(
            owner: DeliveryOwner(tenant: lane.tenant, project: target.project, key: target.key), url: url?.text ?? "", host: url?.origin ?? "")
    }

    // MARK: - Tasks

    /// Changes the state, then gives the free slots away.
    private func begin(after change: (inout State) -> Void = { _ in }) {
        state.withLock { state in
            change(&state)
            let beginnings = state.schedule.begin(at: .now)
            for lane in beginnings.started {
                state.lastTask += 1
                let number = state.lastTask
                let place = state.schedule.place(of: lane)!
                // It cannot be over before it is in the table: it takes this lock to leave.
                state.tasks[number] = Task {
                    await run(lane, at: place)
                    _ = self.state.withLock { $0.tasks.removeValue(forKey: number) }
                }
            }
            for (url, time) in beginnings.trials where !state.isClosed {
                state.trials[url] = Task {
                    guard (try? await Task.sleep(until: time, clock: .continuous)) != nil else { return }
                    begin { state in
                        state.trials[url] = nil
                        state.schedule.openTrial(url)
                    }
                }
            }
        }
    }

    private func leave(_ lane: DeliveryLane, _ leaving: Schedule.Leaving, at place: DeliveryPlace? = nil) {
        begin { state in
            state.schedule.leave(lane, leaving, at: place)
            if case .parked(let until) = leaving { park(lane, until: until, &state) }
            guard let place = place ?? state.schedule.place(of: lane) else { return }
            if state.places[lane] == nil, state.places.count >= Self.placesMax, let other = state.places.keys.first { state.places[other] = nil }
            state.places[lane] = place
        }
    }

    private func park(_ lane: DeliveryLane, until time: ContinuousClock.Instant, _ state: inout State) {
        guard !state.isClosed else { return }
        state.waits[lane]?.cancel()
        state.waits[lane] = Task {
            guard (try? await Task.sleep(until: time, clock: .continuous)) != nil else { return }
            begin { $0.schedule.wake(lane) }
        }
    }

    private func until(_ time: Timestamp) -> ContinuousClock.Instant {
        .now + .microseconds(max(0, time.rawValue &- configuration.clock.now().rawValue))
    }

    /// Carries out deliveries of one lane, over one connection, until its slot is given back.
    private func run(_ lane: DeliveryLane, at place: DeliveryPlace) async {
        let found: DeliveryBatch?
        do {
            found = try await source.next(lane, limit: configuration.limits.runMax, bytesMax: Limits.deliveryBatchBytes)
        } catch {
            if !state.withLock({ $0.isClosed }) {
                logger.error("what a webhook is to be told cannot be read: \(error)", metadata: Self.metadata(lane))
            }
            return leave(lane, .parked(until: .now + .seconds(60)))
        }
        guard let batch = found, !batch.target.isDisabled else { return leave(lane, .idle) }
        let leads = Self.place(of: batch.target, lane)
        guard leads == place else { return leave(lane, .again, at: leads) }
        guard mayBeTold(batch.target) else { return leave(lane, .stopped) }
        if let first = batch.messages.first, first.letter == nil, batch.nextAttempt > configuration.clock.now() {
            return leave(lane, .parked(until: until(batch.nextAttempt)))
        }
        var delivery = LaneDelivery(batch, lane)
        await deliver(&delivery, lane)
        guard delivery.mustBeNoted else { return leave(lane, delivery.isStopped ? .stopped : .idle) }
        begin { state in
            state.schedule.leave(lane, .settling(then: delivery.afterwards))
            state.places[lane] = leads
            write([(lane, delivery.note)], &state)
        }
    }

    private func deliver(_ delivery: inout LaneDelivery, _ lane: DeliveryLane) async {
        let batch = delivery.batch
        var connection: PinnedClient?
        let url = Result { () throws(ContexError) in try WebhookURL(batch.target.url) }
        for (place, message) in batch.messages.enumerated() {
            guard mayBeTold(batch.target) else {
                delivery.isStopped = true
                break
            }
            let tried = place == 0 && message.letter == nil ? batch.attempts : 0
            let (begun, start) = (configuration.clock.now(), ContinuousClock.now)
            var attempt: WebhookClient.Attempt
            let span = span(of: message, to: url, attempt: tried)
            do throws(ContexError) {
                var posted = try WebhookMessage(message, secrets: batch.target.secrets, at: begun)
                if let span { posted.add(span.context) }
                attempt = await client.post(
                    posted, to: try url.get(), attempt: tried, timeout: batch.target.timeout ?? configuration.timeout, over: &connection)
            } catch {
                attempt = WebhookClient.Attempt(outcome: .forbidden(error.message))
            }
            end(span, attempt.outcome)
            // A try that the stop of the server has cut short is none.
            if Task.isCancelled, case .unreachable = attempt.outcome { break }
            let time = configuration.clock.now()
            let verdict = configuration.retry.verdict(
                on: attempt.outcome, attempt: tried + 1, of: message.letter == nil ? batch.target.attemptsMax : 1, random: .random(in: 0..<1))
            let goesOn = state.withLock { state in
                state.statistics.count(verdict)
                return state.schedule.tried(lane, RetryPolicy.health(attempt.outcome), at: .now)
            }
            let ends = delivery.note(
                message, attempt, verdict, attempts: tried + 1, from: begun, to: time,
                milliseconds: Int((ContinuousClock.now - start) / .milliseconds(1)), hasMore: place + 1 < batch.messages.count)
            log(verdict, attempt.outcome, message, lane)
            if ends { break }
            if !goesOn {
                delivery.hasMore = delivery.hasMore || place + 1 < batch.messages.count
                break
            }
        }
        await connection?.shutdown()
        delivery.end(at: until)
    }

    /// A try is part of the trace of the change that it tells of, as far as that is remembered.
    private func span(of message: DeliveryMessage, to url: Result<WebhookURL, ContexError>, attempt: Int) -> OpenSpan? {
        guard let tracer, tracer.isOn else { return nil }
        var cause: TraceContext?
        if case .notification(let notification) = message.content { cause = notification.tracePlace.flatMap { tracer.recall($0) } }
        let span = tracer.open("webhook", .client, after: cause)
        span?.set("http.request.method", "POST")
        if case .success(let url) = url { span?.set("server.address", .text(url.hostText)) }
        span?.set("messaging.message.id", .text(message.id))
        if attempt > 0 { span?.set("http.request.resend_count", .integer(attempt)) }
        return span
    }

    private func end(_ span: OpenSpan?, _ outcome: AttemptOutcome) {
        guard let span else { return }
        if case .answered(let status, _) = outcome {
            span.set("http.response.status_code", .integer(status))
            span.end(failure: status >= 400 ? outcome.summary : nil)
        } else {
            span.end(failure: outcome.summary)
        }
    }

    // MARK: - Notes

    private func write(_ notes: [(lane: DeliveryLane, note: DeliveryNote)], _ state: inout State) {
        state.notes += notes
        guard !state.isWriting else { return }
        state.isWriting = true
        state.writer = Task { await writeNotes() }
    }

    /// Writes what there is, and what comes meanwhile, command after command.
    private func writeNotes() async {
        while true {
            let isClosed = state.withLock { $0.isClosed }
            if !isClosed { try? await Task.sleep(for: configuration.noteWait) }
            let notes = state.withLock { state in
                let notes = Array(state.notes.prefix(Self.notesMax))
                state.notes.removeFirst(notes.count)
                if notes.isEmpty { state.isWriting = false }
                return notes
            }
            if notes.isEmpty { return }
            while !(await wrote(notes)) {
                // Once the server stops, what is not written is sent again after its next start.
                if state.withLock({ $0.isClosed }) { break }
                try? await Task.sleep(for: Self.storeWait)
            }
            begin { state in
                state.statistics.notes += 1
                for (lane, _) in notes {
                    guard let time = state.schedule.settled(lane) else { continue }
                    park(lane, until: time, &state)
                }
            }
        }
    }

    private func wrote(_ notes: [(lane: DeliveryLane, note: DeliveryNote)]) async -> Bool {
        do {
            for (tenant, notes) in Dictionary(grouping: notes, by: \.lane.tenant) { try await source.note(notes.map(\.note), of: tenant) }
            return true
        } catch {
            logger.error("what became of webhooks cannot be written down, and they wait: \(error)")
            return false
        }
    }

    /// Begins nothing more, lets tries that are under way come to an end within the configured time, and writes down what became of them. What
    /// was not delivered is due after the next start. Safe to call again.
    public func shutdown() async {
        let waits = state.withLock { state in
            state.isClosed = true
            state.schedule.close()
            defer { (state.waits, state.trials) = ([:], [:]) }
            return Array(state.waits.values) + state.trials.values
        }
        for wait in waits { wait.cancel() }
        let end = Task {
            try await Task.sleep(for: configuration.drainTime)
            for task in state.withLock({ Array($0.tasks.values) }) { task.cancel() }
        }
        while let task = state.withLock({ $0.tasks.values.first }) { await task.value }
        end.cancel()
        while let writer = state.withLock({ $0.isWriting ? $0.writer : nil }) { await writer.value }
        await resolver.shutdown()
    }

    // MARK: - Log

    private func log(_ verdict: RetryPolicy.Verdict, _ outcome: AttemptOutcome, _ message: DeliveryMessage, _ lane: DeliveryLane) {
        var metadata = Self.metadata(lane)
        metadata["id"] = "\(message.id)"
        switch verdict {
        case .delivered: break
        case .retry: logger.debug("webhook will be tried again: \(outcome.summary)", metadata: metadata)
        case .rejected: logger.warning("webhook given up, the receiver does not take it: \(outcome.summary)", metadata: metadata)
        case .gone: logger.warning("webhook switched off, the receiver says that it is gone (410)", metadata: metadata)
        case .failed: logger.warning("webhook given up: \(outcome.summary)", metadata: metadata)
        case .refused: logger.warning("webhook refused: \(outcome.summary)", metadata: metadata)
        }
    }

    private static func metadata(_ lane: DeliveryLane) -> Logger.Metadata {
        switch lane.subject {
        case .agent(let agent, let project): ["project": "\(project)", "agent": "\(agent)"]
        case .endpoint(let number): ["endpoint": "\(WebhookEndpoint.id(of: number))"]
        }
    }
}

extension WebhookStatistics {
    fileprivate mutating func count(_ verdict: RetryPolicy.Verdict) {
        switch verdict {
        case .delivered: sent += 1
        case .retry: retried += 1
        case .rejected, .gone: rejected += 1
        case .failed: failed += 1
        case .refused: refused += 1
        }
    }
}
