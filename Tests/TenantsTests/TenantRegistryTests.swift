import Base
import KeySpace
import LMDB
import Tenants
import TestSupport
import Testing

@Suite("Records of tenants")
struct TenantRegistryTests {
    private static func tenants() throws -> [TenantRecord] {
        let draft = try TenantDraft(
            name: "acme", title: "Acme Überland", plan: .pro, quotas: JSONObject([("max_projects", .integer(Limits.quotaMost))]), owner: "a@acme.example",
            settings: JSONObject([("color", "red"), ("list", .array([.integer(1), .null]))]), metadata: JSONObject([("crm", "17")]))
        let time = Timestamp(rawValue: 1_700_000_000_000_000)
        let changed = try TenantPatch(title: "Acme", isActive: false).applied(
            to: draft.record(as: TenantID(rawValue: 2), at: time), at: Timestamp(rawValue: 1_700_000_000_000_009))
        return [.standard(at: time), changed, try TenantDraft(name: "b_1", title: "b").record(as: TenantID(rawValue: .max), at: time)]
    }

    private static func fill(_ store: TestStore) throws {
        try store.write { (transaction: inout WriteTransaction) throws in
            try TenantRegistry.set(.init(isOn: true, lastNumber: TenantID(rawValue: .max)), in: &transaction)
            for tenant in try tenants() { try TenantRegistry.put(tenant, in: &transaction) }
            let gone = try TenantDraft(name: "gone", title: "Gone").record(as: TenantID(rawValue: 3), at: Timestamp(rawValue: 1))
            try TenantRegistry.put(gone, in: &transaction)
            try TenantRegistry.remove(gone, at: Position(rawValue: 5), in: &transaction)
            try TenantRegistry.setGone(TenantID(rawValue: 4), .init(removedAt: Position(rawValue: 6), isErased: true), in: &transaction)
            let usage = TenantUsage(month: Month(rawValue: 24_312), events: 70_000, updatedAt: Timestamp(rawValue: 1_700_000_000_000_000))
            try TenantRegistry.set(usage, of: TenantID(rawValue: 2), in: &transaction)
        }
    }

    @Test func goldenBytes() throws {
        let store = try TestStore()
        try Self.fill(store)
        try GoldenRecord.rewriteIfAsked("tenants-v1/records.txt", store.records())
        #expect(try store.records() == GoldenRecord.file("tenants-v1/records.txt"))
        let read = try TestStore(records: try GoldenRecord.file("tenants-v1/records.txt"))
        try read.read { (view: borrowing TransactionView) throws in
            #expect(try TenantRegistry.tenants(in: view) == Self.tenants())
            #expect(try TenantRegistry.state(in: view) == .init(isOn: true, lastNumber: TenantID(rawValue: .max)))
            for tenant in try Self.tenants() { #expect(try TenantRegistry.tenant(named: tenant.name, in: view) == tenant) }
            #expect(try TenantRegistry.tenant(named: TenantName("gone"), in: view) == nil)
            #expect(try TenantRegistry.unerased(in: view) == [TenantID(rawValue: 3)])
            #expect(try TenantRegistry.gone(TenantID(rawValue: 4), in: view) == .init(removedAt: Position(rawValue: 6), isErased: true))
            #expect(try TenantRegistry.gone(TenantID(rawValue: 3), in: view)?.isErased == false)
            #expect(try TenantRegistry.gone(TenantID(rawValue: 2), in: view) == nil)
            #expect(try TenantRegistry.usage(of: TenantID(rawValue: 2), in: view)?.events == 70_000)
            #expect(try TenantRegistry.numbers(in: view) == [.standard, TenantID(rawValue: 2), TenantID(rawValue: .max)])
        }
    }

    @Test func damagedRecordsAreRefused() throws {
        let store = try TestStore()
        try Self.fill(store)
        let system = TenantScope.system
        let readers: [([UInt8], (borrowing TransactionView) throws -> Void)] = [
            (system.key(.tenant, UInt32(2)), { _ = try TenantRegistry.tenant(TenantID(rawValue: 2), in: $0) }),
            (system.key(.tenancyState), { _ = try TenantRegistry.state(in: $0) }),
            (system.key(.tenantByName, text: "acme"), { _ = try TenantRegistry.tenant(named: TenantName("acme"), in: $0) }),
            (system.key(.tenantGone, UInt32(4)), { _ = try TenantRegistry.gone(TenantID(rawValue: 4), in: $0) }),
            (
                TenantScope(tenant: TenantID(rawValue: 2), project: .tenantLevel).key(.tenantUsage),
                { _ = try TenantRegistry.usage(of: TenantID(rawValue: 2), in: $0) }
            ),
        ]
        for (key, read) in readers { #expect(try store.decoderFaults(under: key, read) == [], "\(key)") }
    }

    @Test func anEmptyStoreHasTheStandardTenant() throws {
        let store = try TestStore()
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try TenantRegistry.state(in: view) == nil)
            #expect(try TenantRegistry.numbers(in: view) == [.standard])
            #expect(try TenantRegistry.findings(in: view) == [])
        }
    }
}

@Suite("Bytes of tenants")
struct TenantStorageTests {
    private let folder = TemporaryFolder()

    /// Random writes of several tenants, in transactions that commit or not; after each the number is what a walk over the records finds.
    @Test func countsAreThoseOfAWalk() throws {
        let environment = try Environment(store: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
        var random = SeededRandom(seed: 92)
        let tenants = [1, 2, 3].map { TenantID(rawValue: $0) }
        var setup = try environment.beginWrite()
        try RecordSums.begin(in: &setup)
        // Before anybody counts.
        for tenant in tenants { try setup.store(TenantScope(tenant: tenant, project: .tenantLevel).key(.projectName, text: "before"), [1, 2, 3]) }
        try setup.commit()
        var begin = try environment.beginWrite()
        try begin.store(TenantScope(tenant: tenants[0], project: .tenantLevel).key(.projectName, text: "in the same"), [9])
        for tenant in tenants.prefix(2) { try TenantStorage.begin(tenant, in: &begin) }
        try begin.store(TenantScope(tenant: tenants[1], project: .tenantLevel).key(.projectName, text: "after it"), [9, 9])
        try begin.commit()

        for round in 0..<200 {
            var transaction = try environment.beginWrite()
            for _ in 0..<(random.next() % 20) {
                let tenant = tenants[Int(random.next() % 3)]
                let scope = TenantScope(tenant: tenant, project: ProjectID(rawValue: UInt32(random.next() % 3)))
                let kind: KeyKind = [.document, .event, .usedQueries, .node][Int(random.next() % 4)]
                let key = scope.key(kind, UInt32(random.next() % 8))
                switch random.next() % 5 {
                case 0: try transaction.delete(key)
                case 1 where random.next() % 4 == 0: try transaction.deleteAll(prefix: scope.key(kind))
                default: try transaction.store(key, [UInt8](repeating: 7, count: Int(random.next() % 300)))
                }
            }
            for tenant in tenants.prefix(2) {
                #expect(try TenantStorage.bytes(of: tenant, in: transaction) == TenantStorage.count(tenant, in: transaction.view), "round \(round)")
            }
            if random.next() % 3 == 0 { continue }
            try transaction.commit()
            try environment.read { (view: borrowing TransactionView) throws in
                for tenant in tenants.prefix(2) { #expect(try TenantStorage.bytes(of: tenant, in: view) == TenantStorage.count(tenant, in: view)) }
                #expect(try TenantStorage.bytes(of: tenants[2], in: view) == nil)
                var tally = RecordTally()
                try view.scan(prefix: []) { key, value in
                    tally.add(key, value)
                    return .onward
                }
                #expect(try tally.differences(in: view) == [])
            }
        }
    }

    @Test func aWrongNumberIsFoundAndCountedAnew() throws {
        let environment = try Environment(store: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
        var setup = try environment.beginWrite()
        try RecordSums.begin(in: &setup)
        try TenantRegistry.put(.standard(at: Timestamp(rawValue: 1)), in: &setup)
        try TenantStorage.begin(.standard, in: &setup)
        try setup.commit()
        var wrong = try environment.beginWrite()
        try wrong.store(TenantScope(tenant: .standard, project: .tenantLevel).key(.tenantStorage), [0, 0, 0, 0, 0, 0, 0, 99])
        try wrong.commit()
        func differences() throws -> [RecordTally.Difference] {
            try environment.read { (view: borrowing TransactionView) throws in
                var tally = RecordTally()
                try view.scan(prefix: []) { key, value in
                    tally.add(key, value)
                    return .onward
                }
                return try tally.differences(in: view)
            }
        }
        #expect(try differences().count == 1)
        var repair = try environment.beginWrite()
        try RecordSums.recount(in: &repair)
        try repair.commit()
        #expect(try differences() == [])
    }
}
