// Commands of every kind in an order that a seed chooses: what journal, replay and backup are tried with.

import Access
import Audit
import Base
import Engine
import Needs
import Outbox
import Rates
import Synchronization
import Tenants
import TestSupport

/// A clock that a test moves: one microsecond a look.
final class CountingClock: WallClock {
    /// A database looks once when it is opened; what it is told first is at 1,700,000,000 s and a microsecond, as golden files have it.
    private let time = Mutex<Int64>(1_699_999_999_999_999)
    func now() -> Timestamp {
        time.withLock { time in
            time += 1
            return Timestamp(rawValue: time)
        }
    }
    /// The next look is a microsecond later.
    func set(_ last: Timestamp) { time.withLock { $0 = last.rawValue } }
    func advance(days: Int64) { time.withLock { $0 += days * 86_400_000_000 } }
}

extension SeededRandom {
    mutating func below(_ count: UInt64) -> UInt64 { next() % count }
}

/// In whose name tests change something.
let inAName = Attribution(
    actor: AuditActor(kind: .apiKey, id: "0123456789abcdef", address: "192.0.2.1", client: "tester"),
    place: AuditPlace(requestID: "req-1", endpoint: "/api/v1/data/publish", method: "POST"), action: "publish", keptDays: 90)

let mixtureWords = [
    "lion", "zebra", "postgres", "kafka", "invoice", "bank", "river", "login", "token", "cluster", "disk", "wal", "agent",
    "непонятноеслово", "непонятноеморе",
]

/// Commands of every kind, in an order that a seed chooses.
struct Mixture {
    let fixture: Fixture
    var random: SeededRandom
    var keys: [KeyID] = []

    init(_ fixture: Fixture, seed: UInt64) {
        self.fixture = fixture
        random = SeededRandom(seed: seed)
    }

    private mutating func name(_ prefix: String, _ count: UInt64) -> Name { Name(stored: "\(prefix)\(random.below(count))") }
    private mutating func text(_ count: Int) -> String {
        (0..<count).map { _ in mixtureWords[Int(random.below(UInt64(mixtureWords.count)))] }.joined(separator: " ")
    }

    private mutating func changeEndpoints() async throws {
        let database = fixture.database
        let present = try await database.endpoints(Fixture.tenant)
        guard let endpoint = present.first, random.below(3) > 0 else {
            let time = database.currentTime()
            let endpoint = WebhookEndpoint(
                number: random.next() | 1, name: text(1), description: nil, url: "https://example.com/",
                events: random.below(2) == 0 ? ["data.published"] : [], categories: [], projects: random.below(2) == 0 ? ["p1"] : [], isActive: true,
                timeoutSeconds: 30, retriesMax: 3, createdAt: time, updatedAt: time, secret: text(1))
            _ = try await database.create(endpoint, of: Fixture.tenant)
            return
        }
        switch random.below(4) {
        case 0:
            var patch = EndpointPatch()
            patch.isActive = random.below(2) == 0
            patch.description = .some(random.below(2) == 0 ? nil : text(2))
            _ = try await database.update(endpoint.number, of: Fixture.tenant, patch)
        case 1: _ = try await database.rotate(endpoint.number, of: Fixture.tenant, to: text(1), previousUntil: database.currentTime())
        case 2: _ = try await database.test(endpoint.number, of: Fixture.tenant, .healthChanged, data: JSONObject())
        default: if present.count > 2 { try await database.removeEndpoint(endpoint.number, of: Fixture.tenant) }
        }
    }

    /// As a carrier whose receivers do as they like.
    private mutating func deliver() async throws {
        let source = StoredDeliveries(fixture.database, tenant: Fixture.tenant)
        var notes: [DeliveryNote] = []
        for (lane, _) in try await source.lanes() {
            if random.below(6) == 0 { _ = try? await fixture.database.replayLetters(lane, []) }
            guard let batch = try await source.next(lane, limit: 4, bytesMax: 1 << 20) else { continue }
            var note = DeliveryNote(lane.subject, registration: batch.registration, epoch: batch.epoch)
            for message in batch.messages {
                let isDelivered = random.below(3) > 0
                if let letter = message.letter {
                    if isDelivered { note.replayed.append(letter) } else { note.returned.append(.init(number: letter, status: 500, reason: "down")) }
                    continue
                }
                note.settled = message.item
                if isDelivered { note.delivered += 1 } else {
                    var event: OutboxEvent?
                    if case .event(let of, _) = message.content { event = of }
                    note.dead.append(
                        DeadLetter(
                            item: message.item, id: message.id, attempts: 3, time: fixture.database.currentTime(), status: 503, reason: "down",
                            event: event))
                }
            }
            if random.below(20) == 0 { note.disables = true }
            if !note.isEmpty { notes.append(note) }
        }
        try await source.note(notes, of: Fixture.tenant)
    }

    /// As an agent that looks at all that it was told.
    private mutating func judge(_ project: Name) async throws {
        let (database, tenant) = (fixture.database, Fixture.tenant)
        for agent in try await database.agents(tenant, project: project).map(\.record.name) {
            if random.below(5) == 0 { _ = try await database.forget(tenant, project: project, agent: agent, sequence: nil, need: nil) }
            for item in try await database.inbox(tenant, project: project, agent: agent, after: nil).items {
                let isUseful = random.below(3) == 0
                // Of what only says that a document changed, nothing can be said.
                _ = try? await database.judge(
                    tenant, project: project, agent: agent, sequence: item.cursor.sequence, need: random.below(2) == 0 ? item.needs.first : nil,
                    isUseful: isUseful)
            }
        }
    }

    private mutating func changeTenants() async throws {
        let database = fixture.database
        if !database.tenants.isOn || random.below(8) == 0 { return try await database.setTenancy(!database.tenants.isOn) }
        let tenant = "tenant-\(random.below(3))"
        guard let present = database.tenants.tenant(named: tenant) else {
            _ = try await database.createTenant(TenantDraft(name: tenant, title: text(1), plan: .pro))
            return
        }
        switch random.below(9) {
        // Its records stay: their erasure takes the journal with it, which others go on from (`leaveOneOfEachKind` erases).
        case 0: try await database.removeTenant(present.name, isForced: true)
        case 1: try await database.resetUsage(of: present.name)
        case 2: _ = try await database.updateTenant(present.name, TenantPatch(title: text(2), plan: .enterprise, settings: JSONObject([(text(1), .null)])))
        case 3: try await database.addProject(name("p", 3), to: present.name)
        case 4: try? await database.removeProject(name("p", 3), from: present.name)
        default:
            let command = PublishCommand(project: name("p", 3), key: name("k", 4), data: .string(text(6)))
            _ = try await database.publish(present.number, [command])[0].get()
        }
    }

    private mutating func changeAccounts() async throws {
        let (database, tenant) = (fixture.database, Fixture.tenant)
        let role = "role-\(random.below(3))"
        let present = try await database.accounts(tenant)
        switch random.below(7) {
        case 0:
            let time = database.currentTime()
            try await database.putRole(
                tenant, try CustomRole(name: role, description: text(1), inherits: ["readonly"], permissions: ["project:p1:data:publish"], updatedAt: time))
        case 1: try? await database.removeCustomRole(tenant, role)
        case 2:
            guard let key = keys.first else { return }
            // Refused where it is the only one that may do everything.
            try? await database.setPermissions(tenant, key, random.below(3) == 0 ? [] : ["project:p1:data:read", "project:p1:data:query"])
        case 3 where present.count > 2: try await database.removeAccount(tenant, present[0].id)
        case 4 where !present.isEmpty:
            var patch = AccountPatch()
            patch.isActive = random.below(2) == 0
            _ = try await database.updateAccount(tenant, present[0].id, patch)
        case 5 where !present.isEmpty: _ = try? await database.createAccountKey(tenant, present[0].id, description: text(1), expiresAt: nil)
        default:
            let account = ServiceAccount(
                id: AccountID(rawValue: random.next() | 1), name: text(1), description: nil, type: .agent, role: "publisher", projects: ["p1"], scopes: [],
                createdAt: database.currentTime(), rule: .authenticated)
            _ = try await database.createAccount(tenant, account)
        }
    }

    /// Records of those kinds that chance may leave out, or take away again.
    mutating func leaveOneOfEachKind() async throws {
        let (database, tenant) = (fixture.database, Fixture.tenant)
        var passing = PublishCommand(project: name("p", 3), key: Name(stored: "passing"), data: .string(text(4)))
        passing.expiresAt = Timestamp(rawValue: database.currentTime().rawValue + 86_400_000_000)
        for outcome in await database.publish(tenant, [passing]) { _ = try outcome.get() }
        for _ in 0..<3 { _ = try await database.query(tenant, QueryRequest(project: passing.project, text: "asked again and again")) }
        await database.keepUsedQueries()
        let key = try await database.createKey(tenant, name: "granted").record.keyID
        try await database.setPermissions(tenant, key, ["project:p1:data:read"])
        let time = database.currentTime()
        try await database.putRole(tenant, try CustomRole(name: "kept", description: nil, inherits: [], permissions: ["project:p1:data:read"], updatedAt: time))
        _ = try await database.createAccount(
            tenant,
            ServiceAccount(
                id: AccountID(rawValue: random.next() | 1), name: "kept", description: nil, type: .agent, role: "publisher", projects: [], scopes: [],
                createdAt: time, rule: .authenticated))
        try await database.setTenancy(true)
        _ = try await database.createTenant(TenantDraft(name: "short-lived", title: "gone at once"))
        try await database.removeTenant(TenantName("short-lived"), isForced: true)
        _ = try await database.eraseRemovedTenants()
        _ = try await database.createTenant(TenantDraft(name: "lasting", title: "here"))
    }

    /// Half of them in somebody's name.
    mutating func step() async throws {
        if random.below(2) == 0 { return try await change() }
        try await Attribution.$current.withValue(inAName) { try await change() }
    }

    private mutating func change() async throws {
        let database = fixture.database
        let project = name("p", 3)
        switch random.below(31) {
        case 0..<9:
            var commands: [PublishCommand] = []
            for _ in 0..<(1 + random.below(3)) {
                var command = PublishCommand(
                    project: project, key: name("k", 12), data: ["a": .string(text(4)), "b": ["c": .string(text(3)), "n": .integer(Int(random.below(9)))]])
                if random.below(4) == 0 { command.data = .string(text(5)) }
                // Long nodes, sentences that are gathered, and both under headings.
                if random.below(5) == 0 { command.data = ["title": .string(text(2)), "text": .string(text(300))] }
                if random.below(5) == 0 { command.data = .string((0..<60).map { _ in text(7) }.joined(separator: ". ")) }
                if random.below(5) == 0 { command.data = .string("# \(text(2))\n\n\(text(9))\n\n## \(text(2))\n\n\(text(280))\n\n\(text(4))") }
                if random.below(4) == 0 { command.vector = (0..<WordHash.dimension).map { _ in Float(random.unit() - 0.5) } }
                if random.below(3) == 0 { command.metadata = JSONObject([("team", .string(text(1)))]) }
                if random.below(5) == 0 { command.publisher = Publisher(keyID: "00000000000000ff", name: "tester") }
                commands.append(command)
            }
            for outcome in await database.publish(Fixture.tenant, commands) { _ = try outcome.get() }
        case 9, 10: _ = try? await database.delete(Fixture.tenant, project: project, key: name("k", 12))
        case 11, 12:
            var commands: [RegisterCommand] = []
            for _ in 0..<(1 + random.below(3)) {
                var command = RegisterCommand(project: project, agent: name("agent", 6), needs: [text(2), text(3)])
                if random.below(3) == 0 { command.settings = NeedSettings(minSimilarity: 0.3, mode: .semantic, topK: 2) }
                if random.below(3) == 0 { command.settings.filter = #"{"metadata.team": {"prefix": "z"}}"# }
                if random.below(2) == 0 {
                    (command.delivery, command.webhookURL) = (.webhook, "https://example.com/hook")
                    if random.below(2) == 0 { (command.maxTokens, command.pinned) = (2_000, ["k1"]) }
                }
                commands.append(command)
            }
            if commands.count == 1 {
                _ = try? await database.register(Fixture.tenant, commands[0])
            } else {
                _ = await database.register(Fixture.tenant, commands)
            }
        case 12 where random.below(2) == 0: _ = try await database.expireInboxes(Fixture.tenant, days: -1)
        case 13: _ = try await database.unregister(Fixture.tenant, name("agent", 6), projects: [project, name("p", 3)])
        case 14:
            let analyzer = ProjectSettings.analyzerNames[Int(random.below(UInt64(ProjectSettings.analyzerNames.count)))]
            _ = try await database.setAnalyzer(Fixture.tenant, project: project, analyzer)
        case 15:
            let key = try await database.createKey(Fixture.tenant, name: text(1))
            keys.append(key.record.keyID)
            try await database.setTerms(Fixture.tenant, key.record.keyID, KeyTerms(description: text(1)))
            if random.below(2) == 0 { _ = try await database.rotateKey(Fixture.tenant, key.record.keyID, overlapSeconds: 60) }
            try await database.assignRole(Fixture.tenant, RoleAssignment(keyID: key.record.keyID, role: .admin, projects: .all))
        case 16:
            guard let key = keys.last, keys.count > 1 else { return }
            do {
                try await database.revokeKey(Fixture.tenant, key)
                keys.removeLast()
            } catch let error as ContexError where error.code == .lastAdministrator {
                // What the others may do was made less by a step before.
                return
            }
        case 17:
            let sections = ExportSections(events: random.below(2) == 0, embeddings: random.below(2) == 0, agents: true)
            guard var exported = try? await database.export(Fixture.tenant, project: project, sections: sections) else { return }
            let target = name("p", 3)
            guard case .object(var members) = exported else { return }
            members["project_id"] = .string(target.text)
            exported = .object(members)
            _ = try? await database.importDocument(Fixture.tenant, project: target, document: exported, overwrite: true, validateOnly: false)
        case 18:
            for _ in 0..<3 { _ = try? await database.query(Fixture.tenant, QueryRequest(project: project, text: text(2))) }
            await database.keepUsedQueries()
        case 19: try await changeEndpoints()
        case 20, 21: try await deliver()
        case 22:
            let rateClass = RateClass.allCases[Int(random.below(UInt64(RateClass.allCases.count)))]
            if random.below(3) == 0 {
                try? await database.removeRateLimit(Fixture.tenant, .project(project.text), rateClass)
            } else {
                try await database.setRateLimit(
                    Fixture.tenant, RateRule(subject: .project(project.text), rateClass: rateClass, perMinute: Int(random.below(1_000))))
            }
            try await database.note(
                Fixture.tenant,
                [AuditDraft(kind: .loginFailed, result: .failure, actor: AuditActor(kind: .anonymous, id: "anonymous"), place: inAName.place, action: "none")],
                keptDays: Int(random.below(3)))
        case 24:
            // By the rule of the project, or to a place of its own.
            if random.below(2) == 0 { _ = try? await database.cleanUp(Fixture.tenant, project: project) }
            let head = (try? await database.retention(Fixture.tenant, project: project)).map { $0.horizon.rawValue + UInt64($0.events) } ?? 0
            let time = database.currentTime()
            try? await database.trim(Fixture.tenant, project, to: Sequence(rawValue: random.below(head + 2)), at: time)
        case 25:
            let settings = RetentionSettings(
                eventDays: random.below(2) == 0 ? 30 : nil, eventsMax: random.below(2) == 0 ? Int(random.below(20)) + 1 : nil, agentDays: nil)
            try await database.setRetention(Fixture.tenant, project: project, settings)
        case 26:
            var command = PublishCommand(project: project, key: name("k", 12), data: .string(text(4)))
            let life = random.below(3) == 0 ? 86_400_000_000 : 1_000 + random.below(2_000)
            command.expiresAt = Timestamp(rawValue: database.currentTime().rawValue + Int64(life))
            _ = await database.publish(Fixture.tenant, [command])
        case 27: try await database.deleteExpired(Fixture.tenant)
        case 28: try await changeTenants()
        case 29: try await changeAccounts()
        case 30: try await judge(project)
        default:
            // Two publishes of one key at once: the later one was prepared on a snapshot that is no longer true.
            let key = name("k", 12)
            async let first = database.publish(Fixture.tenant, [PublishCommand(project: project, key: key, data: .string(text(3)))])
            async let second = database.publish(Fixture.tenant, [PublishCommand(project: project, key: key, data: .string(text(3)))])
            _ = await (first, second)
        }
    }
}
