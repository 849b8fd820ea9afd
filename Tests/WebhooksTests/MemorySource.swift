// What is due to webhooks, in memory, by the rules of the store: so that the carrier is tested without one.
import Addresses
import Base
import Engine
import Events
import Logging
import NIOPosix
import Needs
import Outbox
import Synchronization
import Webhooks

final class MemorySource: DeliverySource {
    struct Lane: Sendable {
        var target: DeliveryTarget
        var messages: [DeliveryMessage] = []
        var attempts = 0
        var nextAttempt = Timestamp(rawValue: 0)
        var isDisabled = false
        var delivered = 0
        var dead: [DeadLetter] = []
        var queued: [DeliveryMessage] = []
        var returned: [DeliveryNote.Returned] = []
        var failure: String?
        var records: [DeliveryAttempt] = []
    }
    private struct State {
        var lanes: [DeliveryLane: Lane] = [:]
        var endpoints: [WebhookEndpoint] = []
        var notes = 0
        var failures = 0
    }
    private let state = Mutex(State())

    subscript(_ lane: DeliveryLane) -> Lane? { state.withLock { $0.lanes[lane] } }
    var notes: Int { state.withLock { $0.notes } }
    var pending: Int { state.withLock { state in state.lanes.values.reduce(0) { $0 + $1.messages.count + $1.queued.count } } }

    /// So many of the next notes cannot be written.
    func fail(_ count: Int) { state.withLock { $0.failures = count } }

    func change(_ lane: DeliveryLane, _ change: (inout Lane) -> Void) {
        state.withLock { state in
            var present = state.lanes[lane] ?? Lane(target: DeliveryTarget(url: "", secrets: []))
            change(&present)
            state.lanes[lane] = present
        }
    }

    func enter(_ endpoint: WebhookEndpoint) { state.withLock { $0.endpoints.append(endpoint) } }

    func lanes() async throws -> [(lane: DeliveryLane, target: DeliveryTarget)] { state.withLock { $0.lanes.map { ($0.key, $0.value.target) } } }
    func endpoints() async throws -> [WebhookEndpoint] { state.withLock { $0.endpoints } }

    func next(_ lane: DeliveryLane, limit: Int, bytesMax: Int) async throws -> DeliveryBatch? {
        guard let found = self[lane] else { return nil }
        var batch = DeliveryBatch(target: found.target, registration: 1, epoch: 0)
        batch.target.isDisabled = found.isDisabled
        if !found.queued.isEmpty {
            batch.messages = Array(found.queued.prefix(limit))
            batch.hasMore = true
            return batch
        }
        batch.messages = Array(found.messages.prefix(limit))
        batch.hasMore = found.messages.count > limit
        batch.attempts = found.attempts
        batch.nextAttempt = found.nextAttempt
        return batch
    }

    func note(_ notes: [DeliveryNote], of tenant: TenantID) async throws {
        try state.withLock { state in
            if state.failures > 0 {
                state.failures -= 1
                throw ContexError(.storageFull, "the disk is full")
            }
            state.notes += 1
            for note in notes {
                let lane = DeliveryLane(tenant: tenant, note.lane)
                guard var found = state.lanes[lane] else { continue }
                if let settled = note.settled { found.messages.removeAll { $0.item <= settled } }
                let letters = Set(note.replayed + note.returned.map(\.number))
                found.queued.removeAll { letters.contains($0.letter ?? 0) }
                found.returned += note.returned
                found.delivered += note.delivered
                found.attempts = Int(note.attempts)
                found.nextAttempt = note.nextAttempt
                found.isDisabled = found.isDisabled || note.disables
                found.dead += note.dead
                found.failure = note.failure?.reason ?? found.failure
                found.records += note.records
                state.lanes[lane] = found
            }
        }
    }
}

/// Agents at receivers, and who delivers to them.
struct Post: Sendable {
    let source = MemorySource()
    let carrier: WebhookCarrier
    static let project = Name(stored: "p")

    init(
        allow: AddressPolicy = .loopback, timeout: Duration = .seconds(5), attempts: Int = 3, ladder: [Duration] = [.milliseconds(20)],
        breaker: CircuitBreaker.Settings = .init(), limits: DeliveryLimits = DeliveryLimits(), drainTime: Duration = .seconds(10),
        resolver: (any NameResolver)? = nil, logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        mayBeTold: @escaping @Sendable (DeliveryTarget) -> Bool = { _ in true }
    ) {
        var configuration = WebhookConfiguration(
            allow: allow, timeout: timeout, retry: RetryPolicy(attempts: attempts, ladder: ladder), breaker: breaker, limits: limits,
            drainTime: drainTime)
        configuration.noteWait = .milliseconds(2)
        carrier = WebhookCarrier(
            configuration: configuration, source: source, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger, resolver: resolver,
            mayBeTold: mayBeTold)
    }

    static func lane(_ agent: String = "a") -> DeliveryLane { DeliveryLane(tenant: .standard, .agent(Name(stored: agent), project: project)) }

    func send(_ url: String?, _ item: DeliveryItem, _ message: Notification.Message, agent: String = "a", secrets: [String] = []) {
        let lane = Self.lane(agent)
        let notification = Notification(
            tenant: .standard, project: Self.project,
            agent: AgentRecord(
                name: Name(stored: agent), number: 1, inbox: 1, needs: [], delivery: .webhook, responseFormat: "toon", channel: "c", webhookURL: url,
                webhookSecret: secrets.first, lastSequence: .zero, registeredAt: Timestamp(rawValue: 0)),
            message: message)
        source.change(lane) { state in
            state.target = DeliveryTarget(url: url ?? "", secrets: secrets, project: Self.project)
            state.messages.append(DeliveryMessage(item: item, id: "msg_\(agent)_\(item.word)_\(item.number)", content: .notification(notification)))
        }
        carrier.ring(lane, isFresh: false)
    }

    func update(_ url: String?, _ number: Int, agent: String = "a") {
        let sequence = Sequence(rawValue: UInt64(number))
        send(url, .entry(sequence), .update(sequence: sequence, key: "k", data: Array("{\"n\":\(number)}".utf8)), agent: agent)
    }

    subscript(_ agent: String) -> MemorySource.Lane? { source[Self.lane(agent)] }
}
