import Base
import KeySpace
import LMDB
import TestSupport
import Testing

/// Sums that are written with every commit, held against the records.
@Suite struct RecordSumsTests {
    private struct Store {
        let folder = TemporaryFolder()
        let environment: Environment

        init() throws {
            environment = try Environment(store: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
            var write = try environment.beginWrite()
            try StoreFormat.verifyOrCreate(&write)
            try RecordSums.begin(in: &write)
            try write.commit()
        }

        func write(_ body: (inout WriteTransaction) throws -> Void) throws {
            var write = try environment.beginWrite()
            try body(&write)
            try write.commit()
        }

        func differences() throws -> [RecordTally.Difference] { try environment.read { view in try Self.differences(in: view) } }

        static func differences(in view: borrowing TransactionView) throws -> [RecordTally.Difference] {
            var tally = RecordTally()
            try view.scan(prefix: []) { key, value in
                tally.add(key, value)
                return .onward
            }
            return try tally.differences(in: view)
        }

        /// What a check would find after a change that no ledger heard of; nothing of it stays.
        func after(_ change: (inout WriteTransaction) throws -> Void) throws -> [RecordTally.Difference] {
            var write = try environment.beginWrite()
            try change(&write)
            return try Self.differences(in: write.view)
        }

        func value(_ key: [UInt8]) throws -> [UInt8]? { try environment.read { view in try view.copy(key) } }
    }

    private static let kinds: [KeyKind] = [.event, .document, .node, .documentVersion, .need, .agent]
    private static let scopes = [1, 2, 3].map { TenantScope(tenant: .standard, project: ProjectID(rawValue: $0)) } + [
        TenantScope(tenant: .standard, project: .tenantLevel), .system,
    ]

    private static func fill(_ store: Store, _ random: inout SeededRandom, commits: Int = 20) throws {
        for _ in 0..<commits {
            try store.write { (transaction: inout WriteTransaction) throws in
                for _ in 0..<20 {
                    let scope = scopes[Int.random(in: 0..<scopes.count, using: &random)]
                    let kind = kinds[Int.random(in: 0..<kinds.count, using: &random)]
                    let key = scope.key(kind, UInt32.random(in: 0..<12, using: &random))
                    if Int.random(in: 0..<4, using: &random) == 0 {
                        try transaction.delete(key)
                    } else {
                        try transaction.store(key, (0..<Int.random(in: 1...50, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) })
                    }
                }
            }
        }
    }

    @Test func whatIsWrittenIsWhatIsThere() throws {
        let store = try Store()
        var random = SeededRandom(seed: testSeed("whatIsWrittenIsWhatIsThere"))
        for _ in 0..<20 {
            try Self.fill(store, &random, commits: 3)
            #expect(try store.differences() == [])
        }
        // A scope that has nothing any more has no sums.
        try store.write { (transaction: inout WriteTransaction) throws in
            for kind in Self.kinds { try transaction.deleteAll(prefix: Self.scopes[0].key(kind)) }
        }
        #expect(try store.differences() == [])
        #expect(try store.value(Self.scopes[0].key(.recordSums)) == nil)
        #expect(try store.value(Self.scopes[1].key(.recordSums)) != nil)
    }

    @Test func aRecordThatIsGoneOldOrBackIsNoticed() throws {
        let store = try Store()
        var random = SeededRandom(seed: testSeed("aRecordThatIsGoneOldOrBackIsNoticed"))
        try Self.fill(store, &random)
        for scope in Self.scopes {
            for kind in Self.kinds {
                let key = scope.key(kind, UInt32(100))
                try store.write { (transaction: inout WriteTransaction) throws in try transaction.store(key, [1, 2, 3]) }
                let old = try #require(try store.value(key))
                try store.write { (transaction: inout WriteTransaction) throws in try transaction.store(key, [1, 2, 4]) }
                let others = try count(store, scope.key(kind))
                #expect(
                    try store.after { (transaction: inout WriteTransaction) throws in try transaction.deleteUncounted(key) }
                        == [.init(scope: scope, what: .count(kind: kind.rawValue, found: others - 1, written: others))])
                #expect(
                    try store.after { (transaction: inout WriteTransaction) throws in try transaction.putUncounted(key, old) }
                        == [.init(scope: scope, what: .other(kind: kind.rawValue))])
                try store.write { (transaction: inout WriteTransaction) throws in try transaction.delete(key) }
                #expect(try store.differences() == [])
                #expect(
                    try store.after { (transaction: inout WriteTransaction) throws in try transaction.putUncounted(key, old) }
                        == [.init(scope: scope, what: .count(kind: kind.rawValue, found: others, written: others - 1))])
            }
        }
    }

    private func count(_ store: Store, _ prefix: [UInt8]) throws -> UInt64 {
        var count: UInt64 = 0
        try store.environment.read { view in
            try view.scan(prefix: prefix) { _, _ in
                count += 1
                return .onward
            }
        }
        return count
    }

    /// The sums are records too.
    @Test func sumsThatAreGoneOrOldAreNoticed() throws {
        let store = try Store()
        var random = SeededRandom(seed: testSeed("sumsThatAreGoneOrOldAreNoticed"))
        try Self.fill(store, &random)
        for scope in Self.scopes where scope != .system {
            let key = scope.key(.recordSums)
            let (old, root) = (try #require(try store.value(key)), TenantScope.system.key(.recordSums))
            let record = scope.key(.event, UInt32(200))
            try store.write { (transaction: inout WriteTransaction) throws in try transaction.store(record, [1]) }
            #expect(
                try store.after { (transaction: inout WriteTransaction) throws in try transaction.deleteUncounted(key) }
                    == [.init(scope: scope, what: .noSums), .init(scope: nil, what: .oldSums)])
            // Sums and records of the same earlier time: the root tells.
            let both = try store.after { (transaction: inout WriteTransaction) throws in
                try transaction.putUncounted(key, old)
                try transaction.deleteUncounted(record)
            }
            #expect(both == [.init(scope: nil, what: .oldSums)])
            #expect(
                try store.after { (transaction: inout WriteTransaction) throws in try transaction.deleteUncounted(root) }
                    == [.init(scope: nil, what: .noSums)])
        }
    }

    @Test func aStoreWithoutSumsStaysSoUntilItIsCounted() throws {
        let folder = TemporaryFolder()
        let environment = try Environment(store: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
        let key = Self.scopes[0].key(.event, UInt32(1))
        var write = try environment.beginWrite()
        try StoreFormat.verifyOrCreate(&write)
        try write.store(key, [1])
        try write.commit()
        #expect(try environment.read { view in try RecordSums.areKept(in: view) } == false)
        #expect(try environment.read { view in try Store.differences(in: view) } == [])
        write = try environment.beginWrite()
        // What the same transaction wrote before and after is counted once.
        try write.store(Self.scopes[0].key(.event, UInt32(2)), [1])
        try RecordSums.recount(in: &write)
        try write.store(Self.scopes[0].key(.event, UInt32(3)), [1])
        try write.commit()
        #expect(try environment.read { view in try RecordSums.areKept(in: view) })
        #expect(try environment.read { view in try Store.differences(in: view) } == [])
        write = try environment.beginWrite()
        try write.deleteUncounted(key)
        #expect(try Store.differences(in: write.view).count == 1)
    }

    /// What a rebuild makes anew is counted anew; of other kinds what was written goes on to count.
    @Test func someKindsAreCountedAnew() throws {
        let store = try Store()
        var random = SeededRandom(seed: testSeed("someKindsAreCountedAnew"))
        try Self.fill(store, &random)
        let lost = [Self.scopes[0].key(.node, UInt32(50)), Self.scopes[0].key(.event, UInt32(50))]
        try store.write { (transaction: inout WriteTransaction) throws in for key in lost { try transaction.store(key, [1]) } }
        try store.write { (transaction: inout WriteTransaction) throws in for key in lost { try transaction.deleteUncounted(key) } }
        #expect(try store.differences().count == 2)
        try store.write { (transaction: inout WriteTransaction) throws in try RecordSums.recount([.node], in: &transaction) }
        let rest = try store.differences()
        #expect(rest.count == 1 && rest.first?.scope == Self.scopes[0], "\(rest)")
        try store.write { (transaction: inout WriteTransaction) throws in try RecordSums.recount(in: &transaction) }
        #expect(try store.differences() == [])
        try Self.fill(store, &random, commits: 3)
        #expect(try store.differences() == [])
    }

    /// Sums whose seal is broken hold nobody up, and are left for the check.
    @Test func damagedSumsAreLeftAsTheyAre() throws {
        let store = try Store()
        var random = SeededRandom(seed: testSeed("damagedSumsAreLeftAsTheyAre"))
        try Self.fill(store, &random)
        let key = Self.scopes[1].key(.recordSums)
        var broken = try #require(try store.value(key))
        broken[broken.count - 1] ^= 1
        try store.write { (transaction: inout WriteTransaction) throws in try transaction.putUncounted(key, broken) }
        try store.write { (transaction: inout WriteTransaction) throws in try transaction.store(Self.scopes[1].key(.event, UInt32(300)), [1]) }
        #expect(try store.value(key) == broken)
        #expect(throws: ContexError.self) { try store.differences() }
    }

    @Test func goldenBytesAreWrittenAndRead() throws {
        let store = try Store()
        try store.write { (transaction: inout WriteTransaction) throws in
            for scope in Self.scopes {
                for number in 0..<300 { try transaction.store(scope.key(.event, UInt32(number)), [UInt8(truncatingIfNeeded: number)]) }
                try transaction.store(scope.key(.logState), Array("head".utf8))
            }
        }
        var records: [GoldenRecord] = []
        try store.environment.read { view in
            try view.scan(prefix: []) { key, value in
                if KeyKind(ofKey: key) == .recordSums { records.append(GoldenRecord(key: Array(key), value: Array(value))) }
                return .onward
            }
        }
        #expect(records.count == 5)
        try GoldenRecord.rewriteIfAsked("keyspace-v1/sums.txt", records)
        #expect(try records == GoldenRecord.file("keyspace-v1/sums.txt"))
    }

    @Test func damagedPayloadsAreRefused() throws {
        let store = try TestStore()
        let key = TenantScope.system.key(.recordSums)
        // Two kinds, in order.
        var payload: [UInt8] = [2]
        for kind: UInt8 in [0x20, 0x21] { payload += [kind, 3] + [UInt8](repeating: kind, count: 16) }
        try store.write { (transaction: inout WriteTransaction) throws in try transaction.store(key, payload) }
        #expect(try store.decoderFaults(under: key) { view in _ = try RecordTally().differences(in: view) } == [])
    }

    /// What a torn copy can look like: pages of a store that nobody has written to, or records without the one that says what they are.
    @Test func aStoreWithoutItsFormatIsDamaged() throws {
        let store = try Store()
        let key = TenantScope.system.key(.storeFormat)
        try store.write { (transaction: inout WriteTransaction) throws in try transaction.delete(key) }
        var error = #expect(throws: ContexError.self) { try store.environment.read { view in try StoreFormat.verify(view) } }
        #expect(error?.category == .damaged)
        try store.write { (transaction: inout WriteTransaction) throws in try transaction.deleteUncounted(TenantScope.system.key(.recordSums)) }
        #expect(try store.environment.read { view in try view.entryCount() } == 0)
        error = #expect(throws: ContexError.self) { try store.environment.read { view in try StoreFormat.verify(view) } }
        #expect(error?.category == .damaged && error?.message.contains("commits") == true)
    }
}
