import Audit
import Base
import Hashing
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite("The audit trail")
struct AuditLogTests {
    private let day: Int64 = 86_400_000_000
    private static func draft(_ number: Int, random: inout SeededRandom) -> AuditDraft {
        let kinds = AuditKind.allCases
        let actor = "key\(random.next() % 4)"
        let project: String? = random.next() % 3 == 0 ? nil : "p\(random.next() % 3)"
        let hasResource = random.next() % 2 == 0
        return AuditDraft(
            kind: kinds[Int(random.next() % UInt64(kinds.count))], result: random.next() % 5 == 0 ? .failure : .success,
            actor: AuditActor(kind: .apiKey, id: actor, address: random.next() % 2 == 0 ? "192.0.2.1" : nil, client: nil),
            place: AuditPlace(requestID: "r\(number)", endpoint: "/api/v1/x", method: "POST"), action: "publish", project: project,
            resourceType: hasResource ? "data" : nil, resourceID: hasResource ? "k\(random.next() % 5)" : nil)
    }

    @Test func itFindsWhatANaiveSearchFinds() throws {
        let store = try TestStore()
        let log = AuditLog(tenant: store.scope.tenant)
        var random = SeededRandom(seed: testSeed("audit"))
        var drafts: [(draft: AuditDraft, time: Int64)] = []
        var time: Int64 = 1_000
        try store.write { (transaction: inout WriteTransaction) throws in
            for number in 1...600 {
                // A clock that is set back does not set the trail back.
                time += Int64(random.next() % 50) - 10
                let draft = Self.draft(number, random: &random)
                try log.append(draft, at: Timestamp(rawValue: time), keptDays: 90, in: &transaction)
                drafts.append((draft, max(time, drafts.last?.time ?? time)))
            }
        }
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try log.findings(in: view) == [])
            for _ in 0..<400 {
                var query = AuditQuery()
                if random.next() % 2 == 0 { query.actor = "key\(random.next() % 5)" }
                if random.next() % 3 == 0 { query.kind = AuditKind.allCases[Int(random.next() % UInt64(AuditKind.allCases.count))] }
                if random.next() % 3 == 0 { query.project = "p\(random.next() % 4)" }
                if random.next() % 4 == 0 { query.resource = ("data", "k\(random.next() % 6)") }
                if random.next() % 3 == 0 { query.from = Timestamp(rawValue: drafts[Int(random.next() % 600)].time) }
                if random.next() % 3 == 0 { query.until = Timestamp(rawValue: drafts[Int(random.next() % 600)].time) }
                query.limit = 1 + Int(random.next() % 40)
                // A resource is one of a project, or of none.
                let expected = drafts.enumerated().filter { _, entry in
                    let draft = entry.draft
                    return (query.actor.map { $0 == draft.actor.id } ?? true) && (query.kind.map { $0 == draft.kind } ?? true)
                        && (query.project.map { $0 == draft.project } ?? true)
                        && (query.resource.map { $0 == draft.resourceType && $1 == draft.resourceID && draft.project == query.project } ?? true)
                        && (query.from.map { $0.rawValue <= entry.time } ?? true) && (query.until.map { entry.time < $0.rawValue } ?? true)
                }.map { UInt64($0.offset + 1) }.reversed() as [UInt64]
                var found: [UInt64] = []
                var pages = 0
                repeat {
                    let page = try log.find(query, in: view)
                    #expect(page.records.count <= query.limit)
                    found += page.records.map(\.sequence)
                    query.before = page.next
                    pages += 1
                } while query.before != nil
                #expect(found == expected)
            }
        }
    }

    @Test func whatIsChangedIsFound() throws {
        let source = try TestStore()
        let log = AuditLog(tenant: source.scope.tenant)
        var random = SeededRandom(seed: testSeed("audit chain"))
        try source.write { (transaction: inout WriteTransaction) throws in
            for number in 1...12 { try log.append(Self.draft(number, random: &random), at: Timestamp(rawValue: Int64(number)), keptDays: 90, in: &transaction) }
        }
        func recordKey(_ sequence: UInt64) -> [UInt8] { source.scope.registry.key(.auditRecord, sequence) }
        func trial(_ change: (inout WriteTransaction) throws -> Void) throws -> [String] {
            let store = try TestStore(records: try source.records())
            try store.write(change)
            return try store.read { (view: borrowing TransactionView) throws in try log.findings(in: view) }
        }
        #expect(try trial { _ in } == [])
        #expect(try trial { transaction in
            var bytes = try #require(try transaction.view.loadBytes(recordKey(5)))
            bytes[30] ^= 1
            try transaction.store(recordKey(5), bytes)
        }.first?.contains("record 5") == true)
        #expect(try trial { try $0.delete(recordKey(7)) } == ["the audit trail at record 7: the record is missing"])
        #expect(try trial { try $0.delete(recordKey(12)) }.first?.contains("should go on to 12") == true)
        // Put in the place of another, with its own number changed: the link does not follow.
        #expect(try trial { transaction in
            var bytes = try #require(try transaction.view.loadBytes(recordKey(3)))
            bytes.replaceSubrange(1..<9, with: [0, 0, 0, 0, 0, 0, 0, 4])
            try transaction.store(recordKey(4), bytes)
        }.first?.contains("record 4") == true)
        // An index that lacks an entry, and one that has one too many.
        #expect(try trial { transaction in
            var gone: [UInt8]?
            try transaction.view.scan(prefix: source.scope.registry.key(.auditByKind)) { key, _ in
                gone = Array(key)
                return .stop
            }
            try transaction.delete(try #require(gone))
        }.first?.contains("missing in an index") == true)
        #expect(try trial { try $0.store(source.scope.registry.key(.auditByActor, UInt64(1), UInt64(99)), []) }.first?.contains("not there") == true)
    }

    @Test func whatIsOldGoesAndTheRestIsAChain() throws {
        let store = try TestStore()
        let log = AuditLog(tenant: store.scope.tenant)
        var random = SeededRandom(seed: testSeed("audit age"))
        try store.write { (transaction: inout WriteTransaction) throws in
            for number in 1...40 {
                try log.append(Self.draft(number, random: &random), at: Timestamp(rawValue: Int64(number) * day), keptDays: 10, in: &transaction)
            }
        }
        try store.read { (view: borrowing TransactionView) throws in
            let state = try #require(try log.state(in: view))
            #expect(state.first == 30 && state.last == 40)
            #expect(try log.findings(in: view) == [])
            #expect(try log.find(AuditQuery(), in: view).records.map(\.sequence) == Array((30...40).reversed()))
        }
        // A shorter time is reached a few records at a time.
        try store.write { (transaction: inout WriteTransaction) throws in
            try log.append(Self.draft(41, random: &random), at: Timestamp(rawValue: 41 * day), keptDays: 1, in: &transaction)
        }
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try log.state(in: view)?.first == 34)
            #expect(try log.findings(in: view) == [])
        }
    }

    @Test func goldenBytes() throws {
        let store = try TestStore()
        let log = AuditLog(tenant: .standard)
        let place = AuditPlace(requestID: "req-1", endpoint: "/api/v1/data/publish", method: "POST")
        try store.write { (transaction: inout WriteTransaction) throws in
            try log.append(
                AuditDraft(
                    kind: .dataPublished, result: .success,
                    actor: AuditActor(kind: .apiKey, id: "0123456789abcdef", address: "192.0.2.1", client: "contex-python/0.2.0"), place: place,
                    action: "publish", project: "p", resourceType: "data", resourceID: "k", details: Array(#"{"sequence":"1"}"#.utf8)),
                at: Timestamp(rawValue: 1_700_000_000_000_000), keptDays: 90, in: &transaction)
            try log.append(
                AuditDraft(kind: .loginFailed, result: .failure, actor: AuditActor(kind: .anonymous, id: "anonymous"), place: place, action: "none"),
                at: Timestamp(rawValue: 1_700_000_000_000_001), keptDays: 90, in: &transaction)
        }
        try GoldenRecord.rewriteIfAsked("audit-v1/records.txt", store.records())
        #expect(try store.records() == GoldenRecord.file("audit-v1/records.txt"))
        let read = try TestStore(records: try GoldenRecord.file("audit-v1/records.txt"))
        try read.read { (view: borrowing TransactionView) throws in
            #expect(try log.findings(in: view) == [])
            #expect(try log.find(AuditQuery(), in: view).records.map(\.draft.kind) == [.loginFailed, .dataPublished])
        }
    }

    @Test func namesOfRecordsAreReadAsTheyAreWritten() {
        for sequence in [1, 2, 65_536, 1 << 48, UInt64.max - 1] {
            let text = AuditID.text(tenant: .standard, sequence)
            #expect(text.utf8.count == 36 && AuditID.sequence(text, tenant: .standard) == sequence)
            #expect(AuditID.sequence(text.uppercased(), tenant: .standard) == sequence)
            #expect(AuditID.sequence(text, tenant: TenantID(rawValue: 77)) == nil)
        }
        for text in ["", "1", "not a uuid", "00000001-0000-8000-8000-00000000000g", String(repeating: "0", count: 36), "00000001-0000-4000-8000-000000000001"] {
            #expect(AuditID.sequence(text, tenant: .standard) == nil)
        }
    }

    @Test func damagedRecordsAreRefused() throws {
        let golden = try GoldenRecord.file("audit-v1/records.txt")
        var random = SeededRandom(seed: testSeed("audit bytes"))
        let log = AuditLog(tenant: .standard)
        for _ in 0..<300 {
            let records = golden.map { record in
                guard KeyKind(rawValue: record.key[TenantScope.prefixBytes - 1]) == .auditRecord, random.next() % 2 == 0 else { return record }
                var bytes = Array(record.value.dropFirst(Seal.headerBytes))
                if random.next() % 2 == 0 { bytes = Array(bytes.prefix(Int(random.next() % UInt64(bytes.count)))) } else {
                    bytes[Int(random.next() % UInt64(bytes.count))] ^= UInt8(1 << (random.next() % 8))
                }
                return GoldenRecord(key: record.key, value: record.value.prefix(Seal.headerBytes) + bytes)
            }
            let store = try TestStore()
            try store.write { (transaction: inout WriteTransaction) throws in
                // Sealed anew, as somebody would who has the folder.
                for record in records { try transaction.store(record.key, Array(record.value.dropFirst(Seal.headerBytes))) }
            }
            let findings = try store.read { (view: borrowing TransactionView) throws in try log.findings(in: view) }
            #expect(findings.isEmpty == (records == golden))
        }
    }
}
