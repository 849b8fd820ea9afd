import Access
import Addresses
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
            let error = #expect(throws: ContexError.self) { try ring.required(key) }
            #expect(error?.category == .unauthenticated && error?.message == "Missing API Key")
        }
        for key in ["wrong", try issue("never stored").text, String(repeating: "x", count: 1_000_000)] {
            let error = #expect(throws: ContexError.self) { try ring.required(key) }
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
        guard case .unconfirmed(open.record.keyID) = ring.login(open.text, from: nil, at: Timestamp(rawValue: 1)) else { return #expect(Bool(false)) }
        #expect(ring.login(open.text, from: nil, at: Timestamp(rawValue: 1)).refusal?.message.contains("contex keys confirm \(open.record.keyID)") == true)
        #expect(refusal(ring, "wrong") == .keyUnknown && refusal(ring, "") == .keyMissing)

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

    // MARK: - Terms

    private func refusal(_ ring: KeyRing, _ text: String, from address: String? = nil, at time: Int64 = 1) -> ErrorCode? {
        ring.login(text, from: address, at: Timestamp(rawValue: time)).refusal?.code
    }

    @Test func aKeyEndsAtItsTimeAndNoSooner() throws {
        let ring = KeyRing(pepper: pepper)
        let key = try issue("guest")
        try commit(ring) {
            try AccessRegistry.create(key.record, in: &$0, scope: scope)
            try AccessRegistry.set(KeyTerms(expiresAt: Timestamp(rawValue: 100)), of: key.record.keyID, in: &$0, scope: scope)
        }
        #expect(refusal(ring, key.text, at: 99) == nil && refusal(ring, key.text, at: 100) == .keyExpired)
        let id = key.record.keyID.text
        #expect(ring.principal(of: id, at: Timestamp(rawValue: 99)) != nil && ring.principal(of: id, at: Timestamp(rawValue: 100)) == nil)
        #expect(ring.lastUse(of: key.record.keyID) == Timestamp(rawValue: 99))
        // A later end, and none.
        try commit(ring) { try AccessRegistry.set(KeyTerms(), of: key.record.keyID, in: &$0, scope: scope) }
        #expect(refusal(ring, key.text, at: .max) == nil)
        try environment.read { (view: borrowing TransactionView) throws in #expect(try AccessRegistry.problems(view, scope: scope) == []) }
    }

    @Test func aKeyIsValidFromItsAddressesOnly() throws {
        let ring = KeyRing(pepper: pepper)
        let key = try issue("office")
        let terms = KeyTerms(addresses: try ["192.0.2.0/24", "2001:db8::/32", "127.0.0.1"].map { try CIDR($0) })
        try commit(ring) {
            try AccessRegistry.create(key.record, in: &$0, scope: scope)
            try AccessRegistry.set(terms, of: key.record.keyID, in: &$0, scope: scope)
        }
        for address in ["192.0.2.1", "::ffff:192.0.2.255", "2001:db8::1", "127.0.0.1", "2001:db8::1%eth0"] {
            #expect(refusal(ring, key.text, from: address) == nil, "\(address)")
        }
        for address in ["192.0.3.1", "2001:db9::1", "127.0.0.2", "", "somewhere", nil] as [String?] {
            #expect(refusal(ring, key.text, from: address) == .addressRefused, "\(address ?? "nowhere")")
        }
        // Whoever has not the key's text is told nothing of it.
        #expect(refusal(ring, "ck_wrong", from: "192.0.3.1") == .keyUnknown)
    }

    @Test func aRotationLeavesTheFormerTextForAWhile() throws {
        let ring = KeyRing(pepper: pepper)
        let (first, second, third) = (try issue("robot"), try issue("x"), try issue("y"))
        let id = first.record.keyID
        try commit(ring) {
            try AccessRegistry.create(first.record, in: &$0, scope: scope)
            try AccessRegistry.assign(RoleAssignment(keyID: id, role: .publisher, projects: .all), in: &$0, scope: scope)
            try AccessRegistry.set(KeyTerms(description: "of the robot"), of: id, in: &$0, scope: scope)
        }
        try commit(ring) { try AccessRegistry.rotate(id, to: second.record, formerUntil: Timestamp(rawValue: 50), in: &$0, scope: scope) }
        #expect(refusal(ring, first.text, at: 49) == nil && refusal(ring, first.text, at: 50) == .keyExpired && refusal(ring, second.text, at: 50) == nil)
        let principal = try #require(ring.authenticate(second.text))
        #expect(principal.keyID == id && principal.name == "robot" && principal.role == .publisher)
        try environment.read { (view: borrowing TransactionView) throws in
            #expect(try AccessRegistry.problems(view, scope: scope) == [])
            #expect(try AccessRegistry.terms(of: id, view, scope: scope).description == "of the robot")
            #expect(try AccessRegistry.find(hash: first.record.hash, view, scope: scope)?.keyID == id)
        }
        // A change of terms leaves it too; the next rotation does not, and one without a while neither.
        try commit(ring) { try AccessRegistry.set(KeyTerms(expiresAt: Timestamp(rawValue: 90)), of: id, in: &$0, scope: scope) }
        #expect(refusal(ring, first.text, at: 49) == nil)
        try commit(ring) { try AccessRegistry.rotate(id, to: third.record, formerUntil: nil, in: &$0, scope: scope) }
        #expect(refusal(ring, first.text) == .keyUnknown && refusal(ring, second.text) == .keyUnknown && refusal(ring, third.text) == nil)
        #expect(refusal(ring, third.text, at: 90) == .keyExpired)
        try environment.read { (view: borrowing TransactionView) throws in #expect(try AccessRegistry.problems(view, scope: scope) == []) }
        try commit(ring) { try AccessRegistry.revoke(id, in: &$0, scope: scope) }
        #expect(refusal(ring, third.text) == .keyUnknown)
        try environment.read { (view: borrowing TransactionView) throws in
            #expect(try AccessRegistry.problems(view, scope: scope) == [] && view.entryCount() == 0)
        }
    }
}

extension KeyRing {
    /// From inside the process, a moment after the beginning of time.
    func authenticate(_ rawKey: String) -> Principal? {
        guard case .valid(let principal) = login(rawKey, from: nil, at: Timestamp(rawValue: 1)) else { return nil }
        return principal
    }

    func required(_ rawKey: String?) throws -> Principal {
        let login = login(rawKey, from: nil, at: Timestamp(rawValue: 1))
        if case .valid(let principal) = login { return principal }
        throw try #require(login.refusal)
    }
}
