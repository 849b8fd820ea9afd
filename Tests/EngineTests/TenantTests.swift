import Access
import Audit
import Base
import Engine
import Journal
import KeySpace
import LMDB
import Maintenance
import Needs
import Outbox
import TestSupport
import Tenants
import Testing

extension Fixture {
    func makeTenant(_ name: String, plan: Plan = .enterprise, quotas: JSONObject = JSONObject()) async throws -> TenantRecord {
        try await database.setTenancy(true)
        return try await database.createTenant(TenantDraft(name: name, title: name, plan: plan, quotas: quotas))
    }

    @discardableResult
    fileprivate func publish(_ tenant: TenantRecord, _ project: String, _ key: String, _ text: String) async throws -> PublishReceipt {
        try await database.publish(tenant.number, [PublishCommand(project: Name(stored: project), key: Name(stored: key), data: .string(text))])[0].get()
    }

    fileprivate func register(_ tenant: TenantRecord, _ project: String, _ agent: String) async throws {
        _ = try await database.register(
            tenant.number, RegisterCommand(project: Name(stored: project), agent: Name(stored: agent), needs: ["lion"]))
    }

    fileprivate func walkedBytes(_ tenant: TenantID) throws -> Int { try database.readHere { try TenantStorage.count(tenant, in: $0) } }
}

/// Runs what must be refused for a quota.
private func refusal(_ resource: String, _ body: () async throws -> Void) async -> QuotaStanding? {
    do {
        try await body()
        Issue.record("more \(resource) than there may be")
        return nil
    } catch let error as ContexError {
        #expect(error.code == .quotaExceeded && error.quota?.resource == resource, "\(error)")
        return error.quota
    } catch {
        Issue.record("\(error)")
        return nil
    }
}

@Suite("Tenants in the engine")
struct TenantTests {
    private static func object(_ name: String, _ value: Int) -> JSONObject { JSONObject([(name, .integer(value))]) }

    /// A dictionary beside two tenants and the standard one, while everything that changes them happens in an order that a seed chooses, and the store is
    /// closed and opened in between.
    @Test(arguments: [UInt64.random(in: 1...999_999), 91]) func randomCommandsAgainstAModel(seed: UInt64) async throws {
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let folder = TemporaryFolder()
        var fixture = try Fixture(folder)
        var tenants: [TenantRecord] = []
        for name in ["acme", "beta"] { tenants.append(try await fixture.makeTenant(name)) }
        tenants.append(try #require(fixture.database.tenants.tenant(named: "default")))
        struct Place: Hashable {
            let tenant: TenantID
            let project: String
            let key: String
        }
        var documents: [Place: String] = [:]
        var events: [TenantID: Int] = [:]
        var projects: [TenantID: Set<String>] = [:]
        var agents: [TenantID: Set<String>] = [:]
        var keys: [TenantID: [KeyID]] = [:]
        for step in 0..<240 {
            let tenant = tenants[Int(random.below(3))]
            let place = Place(tenant: tenant.number, project: "p\(random.below(3))", key: "k\(random.below(4))")
            let (project, key) = (Name(stored: place.project), Name(stored: place.key))
            switch random.below(10) {
            case 0..<5:
                let text = "\(tenant.name) \(mixtureWords[Int(random.below(12))]) \(random.below(3))"
                let receipt = try await fixture.publish(tenant, place.project, place.key, text)
                #expect(receipt.changed == (documents[place] != text))
                if receipt.changed { events[tenant.number, default: 0] += 1 }
                documents[place] = text
                projects[tenant.number, default: []].insert(place.project)
            case 5:
                let isThere = documents.removeValue(forKey: place) != nil
                do {
                    _ = try await fixture.database.delete(tenant.number, project: project, key: key, by: nil)
                    #expect(isThere)
                    events[tenant.number, default: 0] += 1
                } catch let error as ContexError {
                    #expect(!isThere && error.code == .dataNotFound)
                }
            case 6:
                try await fixture.register(tenant, place.project, place.key)
                agents[tenant.number, default: []].insert(place.project + place.key)
                projects[tenant.number, default: []].insert(place.project)
            case 7:
                let count = try await fixture.database.unregister(tenant.number, key, projects: [project])
                #expect((count == 1) == (agents[tenant.number, default: []].remove(place.project + place.key) != nil))
            case 8: keys[tenant.number, default: []].append(try await fixture.database.createKey(tenant.number, name: "k").record.keyID)
            default:
                if let id = keys[tenant.number]?.popLast() { try await fixture.database.revokeKey(tenant.number, id) }
            }
            guard step % 40 == 39 else { continue }
            if random.below(2) == 0 {
                #expect(try await fixture.closeAndCheck() == [])
                fixture = try Fixture(folder)
                #expect(fixture.database.tenants.isOn && fixture.database.tenants.all.map(\.name.text) == ["default", "acme", "beta"])
            }
            for tenant in tenants {
                let report = try await fixture.database.report(of: tenant.name)
                #expect(report.projects == projects[tenant.number]?.count ?? 0)
                #expect(report.agents == agents[tenant.number]?.count ?? 0)
                #expect(report.keys == keys[tenant.number]?.count ?? 0)
                #expect(report.events == events[tenant.number] ?? 0)
                #expect(try report.storageBytes == fixture.walkedBytes(tenant.number))
                #expect(try await fixture.database.projectNames(of: tenant.number).map(\.text) == projects[tenant.number]?.sorted() ?? [])
                for project in ["p0", "p1", "p2"] {
                    let found = try await fixture.database.listNodes(tenant.number, project: Name(stored: project))
                    let expected = documents.filter { $0.key.tenant == tenant.number && $0.key.project == project }
                    #expect(Set(found.map { $0.data.stringValue ?? "" }) == Set(expected.values) && found.count == expected.count)
                    // What another tenant has under the same names is in no answer, and in no score.
                    let answer = try await fixture.database.query(
                        tenant.number, QueryRequest(project: Name(stored: project), text: "acme beta default lion", topK: 50, threshold: 0))
                    #expect(answer.matches.count <= expected.count)
                }
            }
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func quotasAreExactUnderConcurrency() async throws {
        let fixture = try Fixture()
        let tenant = try await fixture.makeTenant("acme", quotas: Self.object("max_events_per_month", 20))
        let succeeded = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<60 {
                group.addTask {
                    do {
                        try await fixture.publish(tenant, "p\(number % 3)", "k\(number)", "lion \(number)")
                        return true
                    } catch let error as ContexError {
                        #expect(error.code == .quotaExceeded)
                        return false
                    }
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(succeeded == 20)
        let report = try await fixture.database.report(of: tenant.name)
        #expect(report.events == 20 && report.standings.first { $0.resource == "events" }?.percent == 100)
        // Reads go on, what makes room too, and what changes nothing.
        #expect(try await fixture.database.listNodes(tenant.number, project: Name(stored: "p0")).count > 0)
        _ = try await fixture.database.query(tenant.number, QueryRequest(project: Name(stored: "p0"), text: "lion"))
        let present = try #require(try await fixture.database.listNodes(tenant.number, project: Name(stored: "p0")).first)
        _ = try await fixture.database.delete(tenant.number, project: Name(stored: "p0"), key: Name(stored: present.documentKey), by: nil)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func everyQuotaIsHeld() async throws {
        let fixture = try Fixture()
        let database = fixture.database
        let quotas = JSONObject([
            ("max_projects", .integer(2)), ("max_agents_per_project", .integer(2)), ("max_api_keys", .integer(2)), ("webhook_enabled", .bool(false)),
        ])
        let tenant = try await fixture.makeTenant("acme", quotas: quotas)
        let other = try await fixture.makeTenant("beta", quotas: quotas)
        try await fixture.publish(tenant, "one", "k", "lion")
        try await database.addProject(Name(stored: "two"), to: tenant.name)
        #expect(
            await refusal("projects") { try await fixture.publish(tenant, "three", "k", "lion") } == QuotaStanding(resource: "projects", used: 2, limit: 2))
        _ = await refusal("projects") { try await database.addProject(Name(stored: "three"), to: tenant.name) }
        // An empty one makes room.
        try await database.removeProject(Name(stored: "two"), from: tenant.name)
        await #expect { try await database.removeProject(Name(stored: "one"), from: tenant.name) } throws: { ($0 as? ContexError)?.code == .projectNotEmpty }
        try await fixture.publish(tenant, "three", "k", "lion")

        for agent in ["a", "b", "a"] { try await fixture.register(tenant, "one", agent) }
        _ = await refusal("agents") { try await fixture.register(tenant, "one", "c") }
        try await fixture.register(tenant, "three", "c")
        _ = try await database.unregister(tenant.number, Name(stored: "a"), projects: [Name(stored: "one")])
        try await fixture.register(tenant, "one", "c")

        let first = try await database.createKey(tenant.number, name: "first")
        _ = try await database.createKey(tenant.number, name: "second")
        _ = await refusal("api_keys") { _ = try await database.createKey(tenant.number, name: "third") }
        try await database.revokeKey(tenant.number, first.record.keyID)
        _ = try await database.createKey(tenant.number, name: "third")

        _ = await refusal("webhooks") {
            var command = RegisterCommand(project: Name(stored: "one"), agent: Name(stored: "b"), needs: ["lion"])
            (command.delivery, command.webhookURL) = (.webhook, "https://example.com/hook")
            _ = try await database.register(tenant.number, command)
        }
        // Nobody else has lost anything by it, and what a rehearsal would be refused for is not written.
        try await fixture.publish(other, "one", "k", "lion")
        _ = try await database.updateTenant(tenant.name, TenantPatch(quotas: Self.object("max_events_per_month", 0)))
        _ = try await database.rehearse(
            tenant.number, PublishCommand(project: Name(stored: "new"), key: Name(stored: "k"), data: "lion"))
        _ = await refusal("events") { try await fixture.publish(tenant, "one", "k", "another lion") }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func storageIsCountedToTheByteAndHeld() async throws {
        let fixture = try Fixture()
        let tenant = try await fixture.makeTenant("acme", quotas: Self.object("max_storage_mb", 1))
        var written = 0
        var standing: QuotaStanding?
        while standing == nil, written < 2_000 {
            do {
                try await fixture.publish(tenant, "p", "k\(written)", String(repeating: "lion \(written) ", count: 200))
                written += 1
            } catch let error as ContexError {
                #expect(error.code == .quotaExceeded)
                standing = error.quota
            }
        }
        let report = try await fixture.database.report(of: tenant.name)
        #expect(try report.storageBytes == fixture.walkedBytes(tenant.number))
        #expect(standing == QuotaStanding(resource: "storage", used: report.storageBytes, limit: 1 << 20))
        // No further over than the indexes of the last document.
        #expect(report.storageBytes > 900_000 && report.storageBytes < 1 << 21, "\(report.storageBytes)")
        for number in 0..<written / 2 {
            _ = try await fixture.database.delete(tenant.number, project: Name(stored: "p"), key: Name(stored: "k\(number)"), by: nil)
        }
        let less = try await fixture.database.report(of: tenant.name)
        #expect(try less.storageBytes == fixture.walkedBytes(tenant.number))
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func theMonthRollsOverByTheTimeOfCommands() async throws {
        let clock = CountingClock()
        let fixture = try Fixture { $0.clock = clock }
        let tenant = try await fixture.makeTenant("acme", quotas: Self.object("max_events_per_month", 1))
        try await fixture.publish(tenant, "p", "k", "lion")
        let standing = await refusal("events") { try await fixture.publish(tenant, "p", "k", "zebra") }
        #expect(standing?.used == 1 && standing?.resetAt == Month(of: clock.now()).next.begin)
        clock.advance(days: 31)
        #expect(try await fixture.database.report(of: tenant.name).events == 0)
        try await fixture.publish(tenant, "p", "k", "zebra")
        _ = await refusal("events") { try await fixture.publish(tenant, "p", "k", "bank") }
        // Set back, the clock gives nothing.
        clock.advance(days: -31)
        _ = await refusal("events") { try await fixture.publish(tenant, "p", "k", "bank") }
        try await fixture.database.resetUsage(of: tenant.name)
        try await fixture.publish(tenant, "p", "k", "bank")
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func aRemovedTenantIsErasedAndNeverComesBack() async throws {
        let fixture = try Fixture { $0.journal = .all }
        let database = fixture.database
        let (tenant, other) = (try await fixture.makeTenant("acme"), try await fixture.makeTenant("beta"))
        for number in 0..<700 { try await fixture.publish(tenant, "p", "k\(number)", "lion \(number)") }
        try await fixture.publish(other, "p", "k", "lion")
        _ = try await database.createKey(tenant.number, name: "key")
        let before = try fixture.walkedBytes(other.number)
        await #expect { try await database.removeTenant(tenant.name, isForced: false) } throws: { ($0 as? ContexError)?.code == .tenantNotEmpty }
        try await database.removeTenant(tenant.name, isForced: true)
        #expect(database.tenants.tenant(named: "acme") == nil && !database.tenants.numbers.contains(tenant.number))
        await #expect { try await fixture.publish(tenant, "p", "k", "late") } throws: { ($0 as? ContexError)?.code == .tenantNotFound }
        #expect(try await database.eraseRemovedTenants() > Limits.erasureRecords)
        #expect(try fixture.walkedBytes(tenant.number) == 0)
        #expect(try await database.eraseRemovedTenants() == 0)
        // Nor does the journal tell what it published.
        let first = try #require(try fixture.database.readHere { try Journal().state(in: $0) }?.first)
        let gone = try #require(try fixture.database.readHere { try TenantRegistry.gone(tenant.number, in: $0) })
        #expect(gone.isErased && first > gone.removedAt)
        await #expect { try await fixture.publish(tenant, "p", "k", "late") } throws: { ($0 as? ContexError)?.code == .tenantNotFound }
        // The name may be had again, the number not.
        let again = try await fixture.makeTenant("acme")
        #expect(again.number > other.number)
        #expect(try await database.report(of: again.name).projects == 0)
        #expect(try fixture.walkedBytes(other.number) == before)
        for change in ["remove", "switch off"] {
            await #expect(throws: ContexError.self, "\(change)") {
                if change == "remove" { try await database.removeTenant(.standard, isForced: true) } else {
                    _ = try await database.updateTenant(.standard, TenantPatch(isActive: false))
                }
            }
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func aStoreWithOneTenantIsAsItWas() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "k", "lion")
        try await fixture.database.setTenancy(false)
        let tenancy: Set<KeyKind> = [.tenancyState, .tenant, .tenantByName, .tenantStorage, .tenantUsage, .tenantGone]
        let found = try fixture.database.readHere { view in
            var found: [KeyKind] = []
            try view.scan(prefix: []) { key, _ in
                if let kind = KeyKind(ofKey: key), tenancy.contains(kind) { found.append(kind) }
                return .onward
            }
            return found
        }
        #expect(found == [])
        await #expect { try await fixture.database.createTenant(TenantDraft(name: "acme", title: "A")) } throws: {
            ($0 as? ContexError)?.code == .tenancyOff
        }
        // What it has is the standard tenant's, from the moment that there are several.
        try await fixture.database.setTenancy(true)
        var report = try await fixture.database.report(of: .standard)
        #expect(report.projects == 1 && report.tenant.plan == .enterprise)
        #expect(try report.storageBytes == fixture.walkedBytes(.standard))
        // With one tenant again nothing is refused, and counting goes on.
        _ = try await fixture.database.updateTenant(.standard, TenantPatch(quotas: Self.object("max_projects", 1)))
        _ = await refusal("projects") { try await fixture.publish("q", "k", "lion") }
        try await fixture.database.setTenancy(false)
        try await fixture.publish("q", "k", "lion")
        try await fixture.database.setTenancy(true)
        report = try await fixture.database.report(of: .standard)
        #expect(report.projects == 2)
        #expect(try report.storageBytes == fixture.walkedBytes(.standard))
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func reindexMakesTheIndexesOfEveryTenant() async throws {
        let folder = TemporaryFolder()
        let fixture = try Fixture(folder)
        let tenant = try await fixture.makeTenant("acme")
        for number in 0..<30 {
            try await fixture.publish(tenant, "p", "k\(number)", "lion \(number)")
            try await fixture.publish("p", "k\(number)", .string("zebra \(number)"))
        }
        try await fixture.register(tenant, "p", "a")
        #expect(try await fixture.closeAndCheck() == [])
        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.durability = .unsafeNoSync
        configuration.mapBytes = 4 << 30
        let report = try await Reindex.run(configuration: configuration, models: WordHash.models)
        #expect(report.projects == 2 && report.nodes == 60)
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
        let again = try Fixture(folder)
        let answer = try await again.database.query(tenant.number, QueryRequest(project: Name(stored: "p"), text: "lion 7", topK: 3, threshold: 0))
        #expect(answer.matches.first?.data["value"] == "lion 7")
        #expect(try await again.database.report(of: tenant.name).storageBytes == again.walkedBytes(tenant.number))
        await again.database.close()
    }

    // MARK: - Journal and bytes

    private static func journalled() async throws -> (entries: [JournalEntry], kinds: [AuditKind]) {
        let fixture = try Fixture(models: WordHash.ascii) {
            $0.journal = .all
            $0.clock = CountingClock()
        }
        let database = fixture.database
        let kept = try await Attribution.$current.withValue(inAName) {
            try await database.setTenancy(true)
            let name = try TenantName("acme")
            let draft = try TenantDraft(
                name: "acme", title: "Acme", plan: .starter, quotas: JSONObject([("max_projects", .integer(9))]), owner: "a@acme.example",
                settings: JSONObject([("color", "red")]), metadata: JSONObject([("crm", .integer(17))]))
            _ = try await database.createTenant(draft)
            _ = try await database.updateTenant(
                name, TenantPatch(title: "A", plan: .pro, quotas: JSONObject([("max_api_keys", .integer(3))]), settings: JSONObject([("color", .null)])))
            _ = try await database.updateTenant(name, TenantPatch(isActive: false))
            _ = try await database.updateTenant(name, TenantPatch(isActive: true))
            try await database.addProject(Name(stored: "p"), to: name)
            try await database.removeProject(Name(stored: "p"), from: name)
            try await database.resetUsage(of: name)
            try await database.removeTenant(name, isForced: true)
            // With the tenant's records the journal up to here goes.
            let kept = try await database.journal(after: .zero)
            _ = try await database.eraseRemovedTenants()
            try await database.setTenancy(false)
            return kept
        }
        let entries = try await kept + database.journal(after: kept.last!.position)
        let kinds = try await database.auditPage(.standard, AuditQuery()).records.map(\.draft.kind)
        await database.close()
        return (entries, kinds)
    }

    @Test func goldenCommandsAreReadAndWritten() async throws {
        let (entries, kinds) = try await Self.journalled()
        #expect(
            kinds == [
                .configUpdated, .tenantDeleted, .quotaChanged, .projectDeleted, .projectCreated, .tenantReactivated, .tenantSuspended, .quotaChanged,
                .tenantCreated, .configUpdated,
            ])
        let commands = entries.map { GoldenRecord(key: [$0.command[1]], value: $0.command) }
        try GoldenRecord.rewriteIfAsked("commands-v1/tenants.txt", commands)
        let golden = try GoldenRecord.file("commands-v1/tenants.txt")
        #expect(golden == commands && Set(golden.map(\.key)) == [[17], [19]])
        for record in golden { #expect(try EncodedCommand.canonical(record.value) == record.value) }
    }
}

@Suite("Turns of those who wait")
struct TurnQueueTests {
    @Test func holdersTakeTurns() {
        var queue = TurnQueue<Int, String>()
        queue.append(["a1", "a2", "a3", "a4"], of: 1)
        queue.append(["b1"], of: 2)
        queue.append(["c1", "c2"], of: 3)
        queue.append(["b2"], of: 2)
        var order: [String] = []
        while let item = queue.popFirst() { order.append(item) }
        #expect(order == ["a1", "b1", "c1", "a2", "b2", "c2", "a3", "a4"])
        #expect(queue.isEmpty && queue.holders == 0)
    }

    @Test func itIsAQueueForEachAndNothingIsLost() {
        var random = SeededRandom(seed: 93)
        var queue = TurnQueue<UInt64, (holder: UInt64, number: Int)>()
        var next: [UInt64: Int] = [:]
        var taken: [UInt64: Int] = [:]
        var waiting = 0
        for _ in 0..<20_000 {
            if random.below(2) == 0 {
                let holder = random.below(5)
                let count = Int(random.below(4))
                let first = next[holder, default: 0]
                queue.append((first..<first + count).map { (holder, $0) }, of: holder)
                next[holder, default: 0] += count
                waiting += count
            } else if let item = queue.popFirst() {
                #expect(item.number == taken[item.holder, default: 0])
                taken[item.holder, default: 0] += 1
                waiting -= 1
            }
            #expect(queue.count == waiting)
        }
    }

    @Test func whoFloodsLeavesOthersTheirShare() {
        var queue = TurnQueue<Int, Int>()
        queue.append(Array(0..<100), of: 1)
        #expect(queue.isFull(for: 1, adding: 1, most: 100))
        #expect(!queue.isFull(for: 2, adding: 50, most: 100))
        #expect(queue.isFull(for: 2, adding: 51, most: 100))
        queue.append([1], of: 2)
        #expect(queue.isFull(for: 1, adding: 1, most: 100) && !queue.isFull(for: 3, adding: 33, most: 100) && queue.isFull(for: 3, adding: 34, most: 100))
    }
}
