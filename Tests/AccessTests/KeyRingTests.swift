import Access
import Base
import Hashing
import KeySpace
import LMDB
import Testing
import TestSupport

@Suite struct KeyRingTests {
    let folder = TemporaryFolder()
    let environment: Environment
    let pepper: Pepper
    let scope = TenantScope(tenant: .standard, project: .tenantLevel)

    init() throws {
        environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
        pepper = try Pepper()
    }

    func issue(_ name: String) throws -> IssuedKey {
        try IssuedKey(name: name, tenant: .standard, createdAt: Timestamp(rawValue: 0), pepper: pepper)
    }

    /// As the engine does it: the next snapshot from the transaction, in place after the commit.
    func commit(_ ring: KeyRing, _ body: (inout WriteTransaction) throws -> Void) throws {
        var transaction = try environment.beginWrite()
        try body(&transaction)
        let next = try KeyRing.Snapshot(transaction.view, tenants: [.standard], pepper: pepper)
        try transaction.commit()
        ring.replace(with: next)
    }

    @Test func lifeOfAKey() throws {
        let ring = KeyRing(pepper: pepper)
        #expect(ring.isEmpty)
        let (key, bystander) = (try issue("agent"), try issue("other"))
        #expect(ring.authenticate(key.text) == nil)
        try commit(ring) {
            try AccessRegistry.create(key.record, in: &$0, scope: scope)
            try AccessRegistry.create(bystander.record, in: &$0, scope: scope)
        }
        #expect(!ring.isEmpty)
        #expect(ring.authenticate(key.text)?.role == .readonly)
        #expect(ring.authenticate(key.text)?.projects == .all)
        let given = RoleAssignment(keyID: key.record.keyID, role: .publisher, projects: ProjectScope(["own"]))
        try commit(ring) { try AccessRegistry.assign(given, in: &$0, scope: scope) }
        let principal = try #require(ring.authenticate(key.text))
        #expect(principal == Principal(keyID: key.record.keyID, name: "agent", role: .publisher, projects: ProjectScope(["own"]), tenant: .standard))
        #expect(principal.allows(.publishData, project: "own") && !principal.allows(.publishData, project: "foreign"))

        try commit(ring) { try AccessRegistry.revoke(key.record.keyID, in: &$0, scope: scope) }
        #expect(ring.authenticate(key.text) == nil)
        #expect(ring.authenticate(bystander.text)?.name == "other")
    }

    @Test func wordsOfRefusal() throws {
        let ring = KeyRing(pepper: pepper)
        for key in [nil, ""] {
            let error = #expect(throws: ContexError.self) { try ring.require(key) }
            #expect(error?.category == .unauthenticated && error?.message == "Missing API Key")
        }
        for key in ["wrong", try issue("never stored").text, String(repeating: "x", count: 1_000_000)] {
            let error = #expect(throws: ContexError.self) { try ring.require(key) }
            #expect(error?.category == .unauthenticated && error?.message == "Invalid API Key")
        }
    }

    /// What was made while anybody could make it does not hold until somebody who may has said so.
    @Test func anOpenKeyIsNoKeyUntilItIsConfirmed() throws {
        let ring = KeyRing(pepper: pepper)
        let open = try IssuedKey(name: "open", tenant: .standard, createdAt: Timestamp(rawValue: 0), pepper: pepper, rule: .open)
        let sound = try issue("sound")
        try commit(ring) { transaction in
            for key in [open, sound] {
                try AccessRegistry.create(key.record, in: &transaction, scope: scope)
                try AccessRegistry.assign(RoleAssignment(keyID: key.record.keyID, role: .admin, projects: .all), in: &transaction, scope: scope)
            }
        }
        #expect(ring.authenticate(open.text) == nil && ring.authenticate(sound.text)?.role == .admin)
        #expect(ring.administrators == 1 && ring.possibleAdministrators == 2)
        guard case .unconfirmed(open.record.keyID) = ring.login(open.text) else { return #expect(Bool(false)) }
        #expect(ring.login(open.text).refusal?.message.contains("contex keys confirm \(open.record.keyID)") == true)
        guard case .unknown = ring.login("wrong"), case .missing = ring.login("") else { return #expect(Bool(false)) }

        try commit(ring) { try AccessRegistry.confirm(open.record.keyID, in: &$0, scope: scope) }
        #expect(ring.authenticate(open.text)?.role == .admin && ring.administrators == 2)
        try commit(ring) { try AccessRegistry.confirm(sound.record.keyID, in: &$0, scope: scope) }
        let rules = try environment.read { try AccessRegistry.keys($0, scope: scope).map(\.rule) }
        #expect(rules == [.confirmed, .authenticated])
        // What a role's change makes open is open again.
        try commit(ring) { try AccessRegistry.set(.open, of: open.record.keyID, in: &$0, scope: scope) }
        #expect(ring.authenticate(open.text) == nil)
        let unknown = KeyID(rawValue: 1)
        #expect(throws: ContexError.self) { try commit(ring) { try AccessRegistry.confirm(unknown, in: &$0, scope: scope) } }
        #expect(throws: ContexError.self) { try commit(ring) { try AccessRegistry.set(.open, of: unknown, in: &$0, scope: scope) } }
    }

    @Test func onlyTheExactKeyIsKnown() throws {
        let ring = KeyRing(pepper: pepper)
        let keys = try (0..<300).map { try issue("\($0)") }
        try commit(ring) { for key in keys { try AccessRegistry.create(key.record, in: &$0, scope: scope) } }
        for (number, key) in keys.enumerated() {
            #expect(ring.authenticate(key.text)?.name == "\(number)")
            #expect(ring.authenticate(key.text + " ") == nil)
            #expect(ring.authenticate(String(key.text.dropLast())) == nil)
            #expect(ring.authenticate(key.record.hash.hex) == nil)
        }
    }

    @Test func anotherPepperIsNoticed() throws {
        let ring = KeyRing(pepper: pepper)
        let key = try issue("agent")
        try commit(ring) { try AccessRegistry.create(key.record, in: &$0, scope: scope) }
        let stranger = try Pepper()
        let error = #expect(throws: ContexError.self) {
            try environment.read { _ = try KeyRing.Snapshot($0, tenants: [.standard], pepper: stranger) }
        }
        #expect(error?.category == .conflict)
        #expect(error?.message.contains("pepper") == true)
    }

    /// As many keys as a tenant may have, written as docs/formats/access-v1.md says: all are read, one more is refused.
    @Test func fullTenant() throws {
        var transaction = try environment.beginWrite()
        for number in 1...UInt64(AccessLimits.keysPerTenant) {
            var record = ByteWriter()
            record.u64(number)
            record.raw(pepper.hash("key \(number)").bytes)
            record.u64(pepper.id.rawValue)
            record.i64(0)
            record.u8(KeyRule.authenticated.rawValue)
            record.text("key")
            record.text("name \(number)")
            try transaction.store(scope.key(.apiKeyByID, number), record.bytes)
        }
        let one = try issue("one more")
        let error = #expect(throws: ContexError.self) { try AccessRegistry.create(one.record, in: &transaction, scope: scope) }
        #expect(error?.category == .limited)

        let clock = ContinuousClock()
        let begin = clock.now
        let snapshot = try KeyRing.Snapshot(transaction.view, tenants: [.standard], pepper: pepper)
        let built = clock.now
        #expect(snapshot.count == AccessLimits.keysPerTenant)
        let ring = KeyRing(pepper: pepper, snapshot: snapshot)
        for number in 1...1_000 { #expect(ring.authenticate("key \(number)")?.name == "name \(number)") }
        print("fullTenant: snapshot of \(snapshot.count) keys in \(built - begin), 1,000 authentications in \(clock.now - built)")
    }

    /// Readers authenticate while keys come and go: a key that is stored all the time is known all the time.
    @Test func authenticationBesideChanges() async throws {
        let ring = KeyRing(pepper: pepper)
        let constant = try issue("constant")
        try commit(ring) { try AccessRegistry.create(constant.record, in: &$0, scope: scope) }
        let readers = Task {
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<4 { group.addTask { (0..<2_000).allSatisfy { _ in ring.authenticate(constant.text)?.name == "constant" } } }
                return await group.allSatisfy { $0 }
            }
        }
        for round in 0..<50 {
            let key = try issue("\(round)")
            try commit(ring) { try AccessRegistry.create(key.record, in: &$0, scope: scope) }
            #expect(ring.authenticate(key.text) != nil)
            try commit(ring) { try AccessRegistry.revoke(key.record.keyID, in: &$0, scope: scope) }
            #expect(ring.authenticate(key.text) == nil)
        }
        #expect(await readers.value)
    }
}
