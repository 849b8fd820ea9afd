import Access
import Addresses
import Base
import Hashing
import KeySpace
import LMDB
import TestSupport
import Testing

/// The bytes of docs/formats/access-v1.md. Every later build must write and read them.
@Suite struct GoldenTests {
    static func key(_ number: UInt64, _ name: String, _ createdAt: Int64, _ rule: KeyRule) -> KeyRecord {
        KeyRecord(
            keyID: KeyID(rawValue: number), name: name, prefix: "ck_0123", createdAt: Timestamp(rawValue: createdAt), tenant: .standard,
            hash: SHA256Digest((0..<32).map { UInt8(truncatingIfNeeded: number) &+ $0 })!, pepper: PepperID(rawValue: 0xfedc_ba98_7654_3210), rule: rule)
    }
    /// A key with a role in two projects, one with a role everywhere, one without; one of each rule.
    static let keys = [
        key(0x0123_4567_89ab_cdef, "ci", 1_700_000_000_000_000, .authenticated), key(1, "", 0, .open),
        key(.max, String(repeating: "ü", count: 255), -1, .confirmed),
    ]
    static let roles = [
        RoleAssignment(keyID: keys[0].keyID, role: .consumer, projects: ProjectScope(["a", "é"])),
        RoleAssignment(keyID: keys[1].keyID, role: .admin, projects: .all),
    ]

    @Test func goldenBytesAreWritten() throws {
        let store = try TestStore()
        try store.write { (transaction: inout WriteTransaction) throws in
            for key in Self.keys { try AccessRegistry.create(key, in: &transaction, scope: store.scope) }
            for role in Self.roles { try AccessRegistry.assign(role, in: &transaction, scope: store.scope) }
        }
        try GoldenRecord.rewriteIfAsked("access-v1/records.txt", store.records())
        #expect(try store.records() == GoldenRecord.file("access-v1/records.txt"))
    }

    /// A key that ends, is bound to networks and was rotated; the index has both of its texts.
    @Test func goldenTermsAreWrittenAndRead() throws {
        let terms = KeyTerms(
            expiresAt: Timestamp(rawValue: 1_800_000_000_000_000), addresses: [try CIDR("192.0.2.0/24"), try CIDR("2001:db8::/32")], description: "ü")
        func check(_ store: TestStore) throws {
            try store.read { (view: borrowing TransactionView) throws in
                #expect(try AccessRegistry.problems(view, scope: store.scope) == [])
                let read = try AccessRegistry.terms(of: Self.keys[0].keyID, view, scope: store.scope)
                #expect(read.expiresAt == terms.expiresAt && read.addresses == terms.addresses && read.description == "ü")
                #expect(read.former == KeyTerms.Former(hash: Self.keys[0].hash, until: Timestamp(rawValue: 7)))
                #expect(try AccessRegistry.key(Self.keys[0].keyID, view, scope: store.scope)?.hash == Self.keys[1].hash)
            }
        }
        let store = try TestStore()
        try store.write { (transaction: inout WriteTransaction) throws in
            try AccessRegistry.create(Self.keys[0], in: &transaction, scope: store.scope)
            try AccessRegistry.set(terms, of: Self.keys[0].keyID, in: &transaction, scope: store.scope)
            try AccessRegistry.rotate(
                Self.keys[0].keyID, to: Self.keys[1], formerUntil: Timestamp(rawValue: 7), in: &transaction, scope: store.scope)
        }
        try GoldenRecord.rewriteIfAsked("access-v1/terms.txt", store.records())
        #expect(try store.records() == GoldenRecord.file("access-v1/terms.txt"))
        try check(store)
        try check(try TestStore(records: try GoldenRecord.file("access-v1/terms.txt")))
    }

    @Test func goldenBytesAreRead() throws {
        let store = try TestStore(records: try GoldenRecord.file("access-v1/records.txt"))
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try AccessRegistry.keys(view, scope: store.scope) == Self.keys)
            for role in Self.roles { #expect(try AccessRegistry.assignment(of: role.keyID, view, scope: store.scope) == role) }
            #expect(try AccessRegistry.assignment(of: Self.keys[2].keyID, view, scope: store.scope) == nil)
            for key in Self.keys { #expect(try AccessRegistry.find(hash: key.hash, view, scope: store.scope) == key) }
            #expect(try AccessRegistry.problems(view, scope: store.scope) == [])
        }
    }
}
