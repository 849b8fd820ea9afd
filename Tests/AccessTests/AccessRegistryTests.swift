import Access
import Base
import Hashing
import KeySpace
import LMDB
import Testing
import TestSupport

@Suite struct AccessRegistryTests {
    let folder = TemporaryFolder()
    let environment: Environment
    let pepper: Pepper
    /// Registries lie at the tenant's level, whichever project the scope names.
    let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 9))

    init() throws {
        environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
        pepper = try Pepper()
    }

    func issue(_ name: String, tenant: TenantID = .standard, at time: Int64 = 0) throws -> IssuedKey {
        try IssuedKey(name: name, tenant: tenant, createdAt: Timestamp(rawValue: time), pepper: pepper)
    }
    func write(_ body: (inout WriteTransaction) throws -> Void) throws {
        var transaction = try environment.beginWrite()
        try body(&transaction)
        try transaction.commit()
    }
    func stored() throws -> [KeyRecord] { try environment.read { try AccessRegistry.keys($0, scope: scope) } }
    func assignments() throws -> [RoleAssignment] { try environment.read { try AccessRegistry.assignments($0, scope: scope) } }
    func assignment(_ id: KeyID) throws -> RoleAssignment? {
        try environment.read { try AccessRegistry.assignment(of: id, $0, scope: scope) }
    }
    func find(_ hash: SHA256Digest) throws -> KeyRecord? {
        try environment.read { try AccessRegistry.find(hash: hash, $0, scope: scope) }
    }
    func problems() throws -> [String] { try environment.read { try AccessRegistry.problems($0, scope: scope) } }

    @Test func keysInOrderOfCreation() throws {
        // Neither ids nor times are in order.
        let issued = try (0..<20).map { try issue("key \($0)", at: Int64(100 - $0 % 7)) }
        try write { for key in issued[..<10] { try AccessRegistry.create(key.record, in: &$0, scope: scope) } }
        for key in issued[10...] { try write { try AccessRegistry.create(key.record, in: &$0, scope: scope.registry) } }
        #expect(try stored() == issued.map(\.record))
        #expect(try problems() == [])
        for key in issued {
            let found = try environment.read { try AccessRegistry.key(key.record.keyID, $0, scope: scope) }
            #expect(found == key.record)
            #expect(try find(pepper.hash(key.text)) == key.record)
        }
        #expect(try find(pepper.hash("ck_nobody")) == nil)
    }

    @Test func survivesReopening() throws {
        let folder = TemporaryFolder()
        let key = try issue("日本 \u{1f511}", at: -5)
        let given = RoleAssignment(keyID: key.record.keyID, role: .publisher, projects: ProjectScope(["p/1", " ", "é"]))
        do {
            let environment = try Environment(path: folder.path, options: .init(mapBytes: 1 << 30))
            var transaction = try environment.beginWrite()
            try AccessRegistry.create(key.record, in: &transaction, scope: scope)
            try AccessRegistry.assign(given, in: &transaction, scope: scope)
            try transaction.commit()
        }
        let environment = try Environment(path: folder.path, options: .init(mapBytes: 1 << 30))
        #expect(try environment.read { try AccessRegistry.keys($0, scope: scope) } == [key.record])
        #expect(try environment.read { try AccessRegistry.assignments($0, scope: scope) } == [given])
    }

    @Test func revocationTakesTheRoleAlong() throws {
        let (kept, gone) = (try issue("kept"), try issue("gone"))
        try write {
            for key in [kept, gone] {
                try AccessRegistry.create(key.record, in: &$0, scope: scope)
                try AccessRegistry.assign(RoleAssignment(keyID: key.record.keyID, role: .admin, projects: .all), in: &$0, scope: scope)
            }
        }
        try write {
            let removed = try AccessRegistry.revoke(gone.record.keyID, in: &$0, scope: scope)
            #expect(removed == gone.record)
        }
        #expect(try stored() == [kept.record])
        #expect(try find(gone.record.hash) == nil)
        #expect(try assignment(gone.record.keyID) == nil)
        #expect(try assignments().map(\.keyID) == [kept.record.keyID])
        #expect(try problems() == [])
        let again = #expect(throws: ContexError.self) { try write { try AccessRegistry.revoke(gone.record.keyID, in: &$0, scope: scope) } }
        #expect(again?.category == .notFound)
        #expect(again?.message == "Key not found")
        // After the last key was revoked, the next one begins the order again.
        try write { try AccessRegistry.revoke(kept.record.keyID, in: &$0, scope: scope) }
        let next = try issue("next")
        try write { try AccessRegistry.create(next.record, in: &$0, scope: scope) }
        #expect(try stored() == [next.record])
    }

    @Test func roles() throws {
        let keys = try (0..<4).map { try issue("\($0)") }
        try write { for key in keys { try AccessRegistry.create(key.record, in: &$0, scope: scope) } }
        // Given in the opposite order; listed in that of the keys.
        for (key, role) in zip(keys, Role.allCases).reversed() {
            let given = RoleAssignment(keyID: key.record.keyID, role: role, projects: ProjectScope(["a", role.rawValue]))
            try write { try AccessRegistry.assign(given, in: &$0, scope: scope) }
        }
        #expect(try assignments().map(\.role) == Role.allCases)
        #expect(try assignments().map(\.projects.projects) == Role.allCases.map { ["a", $0.rawValue] })

        let first = keys[0].record.keyID
        let replaced = RoleAssignment(keyID: first, role: .consumer, projects: .all)
        try write { try AccessRegistry.assign(replaced, in: &$0, scope: scope) }
        #expect(try assignment(first) == replaced)
        try write { try AccessRegistry.removeRole(of: first, in: &$0, scope: scope) }
        #expect(try assignment(first) == nil)
        let again = #expect(throws: ContexError.self) { try write { try AccessRegistry.removeRole(of: first, in: &$0, scope: scope) } }
        #expect(again?.category == .notFound)
        #expect(again?.message == "Role not found")
        #expect(RoleAssignment.unassigned(first) == RoleAssignment(keyID: first, role: .readonly, projects: .all))
    }

    @Test func refusedAssignments() throws {
        let id = try issue("k").record.keyID
        let key = KeyRecord(
            keyID: id, name: "k", prefix: "", createdAt: Timestamp(rawValue: 0), tenant: .standard, hash: SHA256.digest(), pepper: pepper.id)
        try write { try AccessRegistry.create(key, in: &$0, scope: scope) }
        func refusal(_ id: KeyID, _ projects: [String]) -> ContexError? {
            #expect(throws: ContexError.self) {
                try write { try AccessRegistry.assign(RoleAssignment(keyID: id, role: .admin, projects: ProjectScope(projects)), in: &$0, scope: scope) }
            }
        }
        #expect(refusal(KeyID(rawValue: id.rawValue ^ 1), [])?.category == .notFound)
        #expect(refusal(id, [String(repeating: "p", count: 256)])?.category == .invalid)
        #expect(refusal(id, ["a\u{0}"])?.category == .invalid)
        #expect(refusal(id, (0...AccessLimits.projectsPerRole).map(String.init))?.category == .invalid)
        #expect(try assignments() == [])
        // The largest list that is allowed is stored whole: a megabyte.
        let largest = RoleAssignment(
            keyID: id, role: .publisher,
            projects: ProjectScope((0..<AccessLimits.projectsPerRole).map { "\($0)" + String(repeating: "😀", count: 250) }))
        try write { try AccessRegistry.assign(largest, in: &$0, scope: scope) }
        #expect(try assignment(id) == largest)
    }

    @Test func takenKeysAreRefused() throws {
        let key = try issue("k")
        try write { try AccessRegistry.create(key.record, in: &$0, scope: scope) }
        let sameText = KeyRecord(
            keyID: KeyID(rawValue: 1), name: "other", prefix: "", createdAt: Timestamp(rawValue: 0), tenant: .standard, hash: key.record.hash,
            pepper: pepper.id)
        for record in [key.record, sameText] {
            let error = #expect(throws: ContexError.self) { try write { try AccessRegistry.create(record, in: &$0, scope: scope) } }
            #expect(error?.category == .conflict)
        }
        #expect(try stored() == [key.record])
    }

    @Test func tenantsDoNotSeeEachOther() throws {
        let other = TenantScope(tenant: TenantID(rawValue: 2), project: .tenantLevel)
        let (ours, theirs) = (try issue("ours"), try issue("theirs", tenant: other.tenant))
        try write {
            try AccessRegistry.create(ours.record, in: &$0, scope: scope)
            try AccessRegistry.create(theirs.record, in: &$0, scope: other)
        }
        #expect(try stored() == [ours.record])
        #expect(try find(theirs.record.hash) == nil)
        let error = #expect(throws: ContexError.self) { try write { try AccessRegistry.revoke(theirs.record.keyID, in: &$0, scope: scope) } }
        #expect(error?.category == .notFound)
        let snapshot = try environment.read { try KeyRing.Snapshot($0, tenants: [.standard, other.tenant], pepper: pepper) }
        let ring = KeyRing(pepper: pepper, snapshot: snapshot)
        #expect(ring.authenticate(ours.text)?.tenant == .standard)
        #expect(ring.authenticate(theirs.text)?.tenant == other.tenant)
    }

    // MARK: - Damage

    @Test func contradictionsAreFound() throws {
        let key = try issue("k")
        let registry = scope.registry
        try write {
            try AccessRegistry.create(key.record, in: &$0, scope: scope)
            try $0.store(registry.key(.roleAssignment, UInt64(77)), [1, 0])
            try $0.store(registry.key(.apiKeyByHash, bytes: [UInt8](repeating: 3, count: 32)), [UInt8](repeating: 0, count: 8))
            try $0.delete(registry.key(.apiKeyByHash, bytes: key.record.hash.bytes))
        }
        let found = try problems()
        #expect(found.count == 3)
        #expect(found.contains { $0.contains(key.record.keyID.text) })
        #expect(found.contains { $0.contains("000000000000004d") })
        let error = #expect(throws: ContexError.self) { try find(SHA256Digest([UInt8](repeating: 3, count: 32))!) }
        #expect(error?.category == .damaged)
    }

    /// Whatever bytes a record has, reading it answers or throws.
    @Test func damagedRecordsThrow() throws {
        let key = try issue("k")
        let id = key.record.keyID
        let (idKey, roleKey) = (scope.registry.key(.apiKeyByID, id.rawValue), scope.registry.key(.roleAssignment, id.rawValue))
        var transaction = try environment.beginWrite()
        try AccessRegistry.create(key.record, in: &transaction, scope: scope)
        let loaded = try transaction.view.loadBytes(idKey)
        let intact = try #require(loaded)
        for length in 0..<intact.count {
            try transaction.store(idKey, Array(intact[..<length]))
            let error = #expect(throws: ContexError.self) { _ = try AccessRegistry.keys(transaction.view, scope: scope) }
            #expect(error?.category == .damaged)
        }
        try transaction.store(idKey, intact)
        for bytes: [UInt8] in [[], [1], [0, 0], [5, 0], [1, 1], [1, 0, 0], [1, 1, 1, 0xff], [1, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
            try transaction.store(roleKey, bytes)
            let error = #expect(throws: ContexError.self) { _ = try AccessRegistry.assignments(transaction.view, scope: scope) }
            #expect(error?.category == .damaged)
        }
        var random = SeededRandom(seed: testSeed("damagedRecordsThrow"))
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            try transaction.store(idKey, bytes)
            try transaction.store(roleKey, bytes)
            _ = try? AccessRegistry.keys(transaction.view, scope: scope)
            _ = try? AccessRegistry.assignment(of: id, transaction.view, scope: scope)
        }
    }

    /// The bytes of docs/formats/access-v1.md. Every later build must read them.
    @Test func goldenRecords() throws {
        let id = KeyID(rawValue: 0x0123_4567_89ab_cdef)
        let hash = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        let record = KeyRecord(
            keyID: id, name: "ci", prefix: "ck_0123", createdAt: Timestamp(rawValue: 1_700_000_000_000_000), tenant: .standard,
            hash: SHA256Digest(Array(0..<32))!, pepper: PepperID(rawValue: 0xfedc_ba98_7654_3210))
        let given = RoleAssignment(keyID: id, role: .consumer, projects: ProjectScope(["a", "é"]))
        try write {
            try AccessRegistry.create(record, in: &$0, scope: scope)
            try AccessRegistry.assign(given, in: &$0, scope: scope)
        }
        let prefix = "0000000100000000"
        let keyRecord = ["0000000000000001", hash, "fedcba9876543210", "00060a24181e4000", "01", "07636b5f30313233", "026369"]
        let expected = [
            prefix + "18" + hash: "0123456789abcdef",
            prefix + "19" + "0123456789abcdef": keyRecord.joined(),
            prefix + "1a" + "0123456789abcdef": "0302" + "0161" + "02c3a9",
        ]
        var found: [String: String] = [:]
        try environment.read { view in
            try view.scanRecords(prefix: scope.registry.prefix) { key, payload in
                found[Hexadecimal.text(key)] = Hexadecimal.text(Array(payload))
                return .onward
            }
        }
        #expect(found == expected)
        #expect(try stored() == [record])
        #expect(try assignments() == [given])
    }
}
