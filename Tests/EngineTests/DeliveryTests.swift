// What webhooks are due, by the store: what is next, what a note changes, and what a restart finds.
import Access
import Base
import Content
import Engine
import Events
import Inboxes
import Maintenance
import Needs
import Outbox
import Synchronization
import TestSupport
import Testing

private let p = Name(stored: "p")
private let g = Name(stored: "g")
private let lane = DeliveryLane(tenant: Fixture.tenant, .agent(g, project: p))
private let time = Timestamp(rawValue: 1_700_000_000_000_000)

/// A carrier that hears and does nothing.
private final class Deaf: DeliveryCarrier {
    private let rung = Mutex<[String]>([])
    var heard: [String] {
        rung.withLock { rung in
            defer { rung = [] }
            return rung
        }
    }
    func ring(_ lane: DeliveryLane, isFresh: Bool) { rung.withLock { $0.append("\(lane.subject)\(isFresh ? " fresh" : "")") } }
    func ring(_ event: OutboxEvent, of tenant: TenantID) { rung.withLock { $0.append(event.kind.name) } }
    func changed(_ lane: DeliveryLane, to endpoint: WebhookEndpoint?) { rung.withLock { $0.append(endpoint == nil ? "gone" : "endpoint") } }
    func breaker(of url: String) -> DeliveryStatus.Breaker { .closed }
    var health: DeliveryHealth { DeliveryHealth() }
}

private func webhook(_ needs: [String] = ["lion zebra"], lastSeen: UInt64 = 0) -> RegisterCommand {
    var command = RegisterCommand(
        project: p, agent: g, needs: needs, lastSeen: Sequence(rawValue: lastSeen), delivery: .webhook, responseFormat: "json",
        webhookURL: "https://hooks.example/x", webhookSecret: "s")
    command.settings.minSimilarity = 0.2
    return command
}

private func draft(_ number: UInt64, events: [String] = [], projects: [String] = []) -> WebhookEndpoint {
    WebhookEndpoint(
        number: number, name: "e\(number)", description: nil, url: "https://hooks.example/\(number)", events: events, categories: [], projects: projects,
        isActive: true, timeoutSeconds: 30, retriesMax: 3, createdAt: time, updatedAt: time, secret: "secret \(number)")
}

extension Fixture {
    fileprivate func source() -> StoredDeliveries { StoredDeliveries(database, tenant: Self.tenant) }

    fileprivate func next(_ lane: DeliveryLane = lane, limit: Int = 32) async throws -> DeliveryBatch {
        try #require(try await source().next(lane, limit: limit, bytesMax: 1 << 20))
    }

    fileprivate func note(_ batch: DeliveryBatch, _ lane: DeliveryLane = lane, _ change: (inout DeliveryNote) -> Void) async throws {
        var note = DeliveryNote(lane.subject, registration: batch.registration, epoch: batch.epoch)
        change(&note)
        try await source().note([note], of: Self.tenant)
    }

    fileprivate func status() async throws -> DeliveryStatus { try #require(try await database.agent(Self.tenant, g, project: p)[0].delivery) }
}

private func items(_ batch: DeliveryBatch) -> [DeliveryItem] { batch.messages.map(\.item) }

@Suite struct DeliveryTests {
    /// Context, what was missed, what comes: each when what is before it was settled, and all of it again after a restart.
    @Test func theWayOfAnAgentsMessages() async throws {
        var fixture = try Fixture()
        try await fixture.publish("p", "old", "lion zebra")
        try await fixture.publish("p", "older", "zebra lion")
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        try await fixture.publish("p", "new", "a lion, a zebra")
        #expect(try await fixture.status().pending == 4)

        var batch = try await fixture.next()
        #expect(items(batch) == [.greeting] && batch.hasMore && batch.target.url == "https://hooks.example/x" && batch.target.secrets == ["s"])
        guard case .notification(let greeting) = batch.messages[0].content, case .initialContext(let context) = greeting.message else {
            Issue.record("no context")
            return
        }
        // The context is that of now.
        #expect(Set(context.needs[0].matches.map(\.nodeKey)) == ["old.sentence_0", "older.sentence_0", "new.sentence_0"])
        let id = batch.messages[0].id
        #expect(try await fixture.next().messages[0].id == id && id.hasPrefix("msg_") && id.utf8.count == 36)
        try await fixture.note(batch) {
            $0.attempts = 2
            $0.nextAttempt = time
            $0.failure = .init(time: time, reason: "down")
        }
        var status = try await fixture.status()
        #expect(status.attempts == 2 && status.nextAttempt == time && status.lastFailure == .init(time: time, reason: "down") && status.delivered == 0)

        // What is known of the next try survives.
        await fixture.database.close()
        fixture = try Fixture(fixture.folder)
        batch = try await fixture.next()
        #expect(items(batch) == [.greeting] && batch.attempts == 2 && batch.nextAttempt == time && batch.messages[0].id == id)
        try await fixture.note(batch) {
            $0.settled = .greeting
            $0.delivered = 1
            $0.lastDelivered = time
        }
        batch = try await fixture.next(limit: 1)
        #expect(items(batch) == [.missed(Sequence(rawValue: 1))] && batch.hasMore && batch.attempts == 0)
        batch = try await fixture.next()
        #expect(items(batch) == [1, 2].map { .missed(Sequence(rawValue: $0)) })
        try await fixture.note(batch) { $0.settled = .missed(Sequence(rawValue: 2)) }
        batch = try await fixture.next()
        #expect(items(batch) == [.entry(Sequence(rawValue: 3))] && !batch.hasMore)
        try await fixture.note(batch) {
            $0.settled = .entry(Sequence(rawValue: 3))
            $0.delivered = 1
        }
        #expect(try await fixture.next().messages.isEmpty)
        status = try await fixture.status()
        #expect(status.pending == 0 && status.delivered == 2 && status.lastDelivered == time)
        // A deletion of what it follows, and an update.
        try await fixture.publish("p", "new", "zebra lion lion")
        _ = try await fixture.database.delete(Fixture.tenant, project: p, key: Name(stored: "old"))
        batch = try await fixture.next()
        #expect(items(batch) == [4, 5].map { .entry(Sequence(rawValue: $0)) } && Set(batch.messages.map(\.id)).count == 2)
        let kinds = batch.messages.map { message -> String in
            guard case .notification(let notification) = message.content else { return "" }
            switch notification.message {
            case .update(_, let key, let data): return "update \(key) \(String(decoding: data, as: UTF8.self)) \(notification.provenance.matches.count)"
            case .deletion(_, let key): return "deletion \(key)"
            default: return "other"
            }
        }
        #expect(kinds == [#"update new "zebra lion lion" 1"#, "deletion old"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Notes of a registration that was replaced, or of a log that is gone, change nothing.
    @Test func notesOfThePastAreNone() async throws {
        let fixture = try Fixture()
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        let old = try await fixture.next()
        try await fixture.publish("p", "k", "lion zebra")
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        let new = try await fixture.next()
        #expect(new.registration != old.registration && items(new) == [.greeting] && new.messages[0].id != old.messages[0].id)
        try await fixture.note(old) {
            $0.settled = .entry(Sequence(rawValue: 1))
            $0.disables = true
            $0.delivered = 7
        }
        #expect(items(try await fixture.next()) == [.greeting])
        #expect(try await fixture.status().delivered == 0)
        // What the registration before had still to hear is in the context of the new one.
        try await fixture.note(new) { $0.settled = .greeting }
        let missed = try await fixture.next()
        #expect(items(missed) == [.missed(Sequence(rawValue: 1))])
        try await fixture.note(missed) { $0.settled = .missed(Sequence(rawValue: 1)) }
        #expect(try await fixture.next().messages.isEmpty)

        // Another log takes the place of the project's.
        try await fixture.publish("p", "k", "zebra lion")
        let entry = try await fixture.next()
        #expect(items(entry) == [.entry(Sequence(rawValue: 2))])
        let exported = try await fixture.database.export(
            Fixture.tenant, project: p, sections: ExportSections(events: true, embeddings: true, agents: false))
        _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: exported, overwrite: true, validateOnly: false)
        try await fixture.note(entry) { $0.settled = .entry(Sequence(rawValue: 2)) }
        try await fixture.publish("p", "k", "zebra, lion!")
        let after = try await fixture.next()
        #expect(after.epoch == 1 && items(after) == [.entry(Sequence(rawValue: 3))])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func deadLettersAreKeptSentAgainAndRemoved() async throws {
        let fixture = try Fixture()
        let deaf = Deaf()
        fixture.database.setCarrier(deaf)
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        for number in 1...3 { try await fixture.publish("p", "k\(number)", .string("lion zebra \(number)")) }
        let greeting = try await fixture.next()
        try await fixture.note(greeting) {
            $0.settled = .greeting
            $0.dead = [DeadLetter(item: .greeting, id: greeting.messages[0].id, attempts: 3, time: time, status: 503, reason: "down")]
        }
        let batch = try await fixture.next()
        try await fixture.note(batch) { note in
            note.settled = batch.messages[2].item
            note.dead = batch.messages.map { DeadLetter(item: $0.item, id: $0.id, attempts: 1, time: time, status: 404, reason: "no") }
        }
        // Twice is once.
        try await fixture.note(batch) { note in
            note.settled = batch.messages[2].item
            note.dead = batch.messages.map { DeadLetter(item: $0.item, id: $0.id, attempts: 1, time: time, status: 404, reason: "no") }
        }
        var page = try await fixture.database.deadLetters(lane, after: 0, limit: 3)
        #expect(page.total == 4 && page.hasMore && page.letters.map(\.number) == [1, 2, 3] && page.letters.map(\.letter.status) == [503, 404, 404])
        var status = try await fixture.status()
        #expect(status.dead == 4 && status.givenUp == 4)
        #expect(try await fixture.next().messages.isEmpty)

        _ = deaf.heard
        #expect(try await fixture.database.replayLetters(lane, [1, 3]) == 2)
        #expect(deaf.heard == ["\(lane.subject) fresh"])
        let again = try await fixture.next()
        #expect(again.messages.map(\.letter) == [1, 3] && again.messages.map(\.id) == [greeting.messages[0].id, batch.messages[1].id] && again.hasMore)
        try await fixture.note(again) {
            $0.replayed = [1]
            $0.returned = [.init(number: 3, status: 500, reason: "still down")]
        }
        page = try await fixture.database.deadLetters(lane, after: 1, limit: 10)
        #expect(page.letters.map(\.number) == [2, 3, 4] && page.letters[1].letter.attempts == 2 && page.letters[1].letter.reason == "still down")
        #expect(try await fixture.next().messages.isEmpty && page.letters.allSatisfy { !$0.letter.isQueued })
        #expect(try await fixture.database.removeLetters(lane, [2]) == 1)
        #expect(try await fixture.database.replayLetters(lane, []) == 2)
        #expect(try await fixture.database.replayLetters(lane, []) == 0)
        let unknown = await #expect(throws: ContexError.self) { try await fixture.database.removeLetters(lane, [99]) }
        #expect(unknown?.code == .deliveryNotFound)
        #expect(try await fixture.database.removeLetters(lane, []) == 2)
        status = try await fixture.status()
        #expect(try await fixture.next().messages.isEmpty && status.dead == 0)

        // Only so many are kept.
        try await fixture.note(batch) { note in note.settled = .entry(Sequence(rawValue: 3)) }
        for round in 0..<3 {
            try await fixture.publish("p", "round \(round)", .string("lion zebra round \(round)"))
            let next = try await fixture.next()
            try await fixture.note(next) { note in
                note.settled = next.messages[0].item
                note.dead = (0..<450).map {
                    DeadLetter(item: next.messages[0].item, id: "msg_\(round)_\($0)", attempts: 1, time: time, status: 404, reason: "no")
                }
            }
        }
        page = try await fixture.database.deadLetters(lane, after: 0, limit: 1)
        #expect(page.total == Limits.deadLetters && page.letters[0].letter.id == "msg_0_350")
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// 410: nothing more is due until the agent is registered anew; what went is forgotten with the agent.
    @Test func goneReceiversAndAgents() async throws {
        let fixture = try Fixture()
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        let batch = try await fixture.next()
        try await fixture.note(batch) {
            $0.settled = .greeting
            $0.disables = true
        }
        try await fixture.publish("p", "k", "lion zebra")
        let (after, status) = (try await fixture.next(), try await fixture.status())
        #expect(after.target.isDisabled && after.messages.isEmpty && status.isDisabled && status.pending == 1)
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        #expect(try await !fixture.next().target.isDisabled)
        // Told on its channel from now on.
        var command = webhook()
        command.delivery = .redis
        _ = try await fixture.database.register(Fixture.tenant, command)
        #expect(try await fixture.source().next(lane, limit: 1, bytesMax: 1) == nil)
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        try await fixture.database.unregister(Fixture.tenant, g, projects: [p])
        #expect(try await fixture.source().next(lane, limit: 1, bytesMax: 1) == nil)
        let missing = await #expect(throws: ContexError.self) { try await fixture.database.deadLetters(lane, after: 0, limit: 1) }
        #expect(missing?.code == .deliveryNotFound)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// The context is packed as the registration wanted it, also after a restart.
    @Test func wishesOfAContextAreKept() async throws {
        var fixture = try Fixture()
        for number in 1...9 { try await fixture.publish("p", "k\(number)", .string("lion zebra \(number)")) }
        try await fixture.publish("p", "pin", "nothing of this")
        var command = webhook(["lion zebra", "lion", "zebra", "one", "two", "three"])
        command.pinned = ["pin"]
        command.diversity = 0.5
        command.maxTokens = 1_000
        _ = try await fixture.database.register(Fixture.tenant, command)
        await fixture.database.close()
        fixture = try Fixture(fixture.folder)
        guard case .notification(let greeting) = try await fixture.next().messages[0].content, case .initialContext(let context) = greeting.message else {
            Issue.record("no context")
            return
        }
        #expect(context.pinned.map(\.nodeKey) == ["pin.sentence_0"] && context.needs.count == 6)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// What an inbox let go before it was delivered is counted.
    @Test func whatWentIsCounted() async throws {
        let fixture = try Fixture()
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        let batch = try await fixture.next()
        try await fixture.note(batch) { $0.settled = .greeting }
        for number in 1...3 { try await fixture.publish("p", "k\(number)", .string("lion zebra \(number)")) }
        try await fixture.note(try await fixture.next()) { $0.settled = .entry(Sequence(rawValue: 1)) }
        #expect(try await fixture.database.expireInboxes(Fixture.tenant, days: -1) == 3)
        let status = try await fixture.status()
        #expect(status.givenUp == 2 && status.pending == 0 && status.lastFailure?.reason.hasPrefix("2 messages") == true)
        #expect(try await fixture.next().messages.isEmpty)
        #expect(try await fixture.closeAndCheck() == [])
    }

    // MARK: - Endpoints

    @Test func endpointsAreToldOfWhatTheyWant() async throws {
        var fixture = try Fixture()
        let deaf = Deaf()
        fixture.database.setCarrier(deaf)
        // Before there is an endpoint, nothing is written down for one.
        try await fixture.publish("p", "before", "x")
        _ = try await fixture.database.create(draft(1), of: Fixture.tenant)
        _ = try await fixture.database.create(draft(2, events: ["data.deleted"]), of: Fixture.tenant)
        _ = try await fixture.database.create(draft(3, projects: ["q"]), of: Fixture.tenant)
        #expect(deaf.heard == ["endpoint", "endpoint", "endpoint"])
        try await fixture.publish("q", "k", "a lion")
        try await fixture.publish("q", "k", "a zebra")
        _ = try await fixture.database.delete(Fixture.tenant, project: Name(stored: "q"), key: Name(stored: "k"))
        _ = try await fixture.database.register(Fixture.tenant, webhook())
        try await fixture.publish("p", "k", "lion zebra")
        try await fixture.database.unregister(Fixture.tenant, g, projects: [p])
        let key = try await fixture.database.createKey(Fixture.tenant, name: "robot")
        try await fixture.database.revokeKey(Fixture.tenant, key.record.keyID)
        let (before, first) = (Name(stored: "before"), Sequence(rawValue: 1))
        try await fixture.publish("p", "before", "y")
        _ = try await fixture.database.restore(Fixture.tenant, project: p, key: before, sequence: first)

        let endpoints = [1, 2, 3].map { DeliveryLane(tenant: Fixture.tenant, .endpoint($0)) }
        func told(_ lane: DeliveryLane) async throws -> [String] {
            try await fixture.next(lane, limit: 100).messages.map { message in
                guard case .event(let event, let id) = message.content else { return "" }
                #expect(id.hasPrefix("evt_"))
                return "\(event.kind.name) \(event.project)"
            }
        }
        #expect(
            try await told(endpoints[0]) == [
                "project.created q", "data.published q", "data.version.created q", "data.published q", "data.updated q", "data.version.created q",
                "data.deleted q", "agent.registered p", "data.published p", "data.version.created p", "context.matched p", "agent.unregistered p",
                "security.api_key.created ", "security.api_key.revoked ", "data.published p", "data.updated p", "data.version.created p",
                "data.published p", "data.updated p", "data.version.created p", "data.version.restored p",
            ])
        #expect(try await told(endpoints[1]) == ["data.deleted q"])
        #expect(try await told(endpoints[2]).count == 7)
        // Each its own ids, the same after a restart.
        let ids = try await fixture.next(endpoints[0], limit: 100).messages.map(\.id)
        #expect(try await Set(ids).union(fixture.next(endpoints[2], limit: 100).messages.map(\.id)).count == 28)
        await fixture.database.close()
        fixture = try Fixture(fixture.folder)
        #expect(try await fixture.next(endpoints[0], limit: 100).messages.map(\.id) == ids)

        let batch = try await fixture.next(endpoints[0], limit: 2)
        #expect(batch.messages.count == 2 && batch.hasMore && batch.target.attemptsMax == 3 && batch.target.timeout == .seconds(30))
        guard case .event(let second, _) = batch.messages[1].content else { return }
        #expect(String(decoding: second.data, as: UTF8.self) == #"{"project_id":"q","data_key":"k","sequence":"1","data_format":"text"}"#)
        try await fixture.note(batch, endpoints[0]) { note in
            note.settled = batch.messages[1].item
            note.delivered = 1
            note.dead = [DeadLetter(item: batch.messages[1].item, id: ids[1], attempts: 3, time: time, status: 0, reason: "no", event: second)]
            note.records = (1...120).map { number in
                DeliveryAttempt(
                    deliveryID: ids[0], eventID: "evt", attempt: UInt32(number), result: .success, status: 200, body: "", error: "", begun: time,
                    milliseconds: 1)
            }
        }
        #expect(try await fixture.next(endpoints[0], limit: 1).messages[0].id == ids[2])
        #expect(try await fixture.database.attempts(1, of: Fixture.tenant, limit: 100).map(\.attempt) == (21...120).reversed().map { UInt32($0) })
        #expect(try await fixture.database.replayLetters(endpoints[0], []) == 1)
        #expect(try await fixture.next(endpoints[0]).messages.map(\.id) == [ids[1]])
        // A test goes to its endpoint, whatever it wants.
        let event = try await fixture.database.test(2, of: Fixture.tenant, .healthChanged, data: JSONObject([("test", .bool(true))]))
        let tested = try await fixture.next(endpoints[1], limit: 9).messages
        #expect(tested.count == 2)
        if case .event(_, let id) = tested[1].content { #expect(id == event) }
        #expect(try await fixture.next(endpoints[2], limit: 100).messages.count == 7)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func endpointsAreChangedAndRemoved() async throws {
        let fixture = try Fixture()
        let lane = DeliveryLane(tenant: Fixture.tenant, .endpoint(9))
        _ = try await fixture.database.create(draft(9), of: Fixture.tenant)
        var patch = EndpointPatch()
        patch.name = "other"
        patch.description = .some("why")
        patch.url = "http://93.184.216.34/x"
        patch.retriesMax = 0
        patch.timeoutSeconds = 7
        var changed = try await fixture.database.update(9, of: Fixture.tenant, patch)
        #expect(changed.name == "other" && changed.description == "why" && changed.url == "http://93.184.216.34:80/x" && changed.timeoutSeconds == 7)
        #expect(changed.createdAt == time && changed.updatedAt > time && changed.secret == "secret 9")
        patch = EndpointPatch()
        patch.url = "http://10.0.0.1/"
        let refused = await #expect(throws: ContexError.self) { try await fixture.database.update(9, of: Fixture.tenant, patch) }
        #expect(refused?.code == .webhookRefused && refused?.field == "url" && refused?.message.contains("webhook_url") == false)
        let until = Timestamp(rawValue: changed.updatedAt.rawValue + 3_600_000_000)
        changed = try await fixture.database.rotate(9, of: Fixture.tenant, to: "new", previousUntil: until)
        #expect(changed.secrets(at: changed.updatedAt) == ["new", "secret 9"] && changed.secrets(at: until) == ["new"])

        // A 410 switches it off; what comes waits, and goes out once it is on again.
        try await fixture.publish("p", "a", "x")
        let batch = try await fixture.next(lane)
        #expect(batch.target.attemptsMax == 1 && batch.target.secrets == ["new", "secret 9"] && batch.target.timeout == .seconds(7))
        try await fixture.note(batch, lane) {
            $0.settled = batch.messages[0].item
            $0.disables = true
        }
        try await fixture.publish("p", "b", "x")
        let after = try await fixture.next(lane)
        #expect(after.target.isDisabled && after.messages.isEmpty)
        let off = try await fixture.database.endpoint(Fixture.tenant, 9)
        #expect(!off.endpoint.isActive && off.delivery.isDisabled && off.delivery.pending == 4)
        patch = EndpointPatch()
        patch.isActive = true
        _ = try await fixture.database.update(9, of: Fixture.tenant, patch)
        #expect(try await fixture.next(lane).messages.count == 4)

        try await fixture.database.removeEndpoint(9, of: Fixture.tenant)
        let missing = await #expect(throws: ContexError.self) { try await fixture.database.endpoint(Fixture.tenant, 9) }
        #expect(missing?.code == .endpointNotFound)
        #expect(try await fixture.source().next(lane, limit: 1, bytesMax: 1) == nil)
        try await fixture.publish("p", "c", "x")
        #expect(try await fixture.closeAndCheck() == [])
    }
}
