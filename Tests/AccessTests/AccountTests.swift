import Access
import Base
import BearerTokens
import Hashing
import KeySpace
import LMDB
import TestSupport
import Testing

/// Service accounts in the store, their logins, and the keys that tokens are signed with.
@Suite("Service accounts") struct AccountTests {
    static let time = Timestamp(rawValue: 1_800_000_000_000_000)
    static let scope = TenantScope(tenant: .standard, project: .tenantLevel)

    private struct House {
        let store: TestStore
        let folder = TemporaryFolder()
        let pepper: Pepper
        let tokens: TokenDesk
        let ring: KeyRing

        init(secret: String? = nil) throws {
            store = try TestStore()
            pepper = try Pepper()
            tokens = try TokenDesk(secret: secret, path: folder.path + "/token-keys")
            ring = KeyRing(pepper: pepper, tokens: tokens)
        }

        func put(_ account: ServiceAccount) throws {
            try store.write { try AccountRegistry.store(account, in: &$0, scope: scope) }
            try renew()
        }
        func renew() throws {
            ring.replace(with: try store.environment.read { try KeyRing.Snapshot($0, tenants: [.standard], pepper: pepper) })
        }
    }

    static func account(_ number: UInt64 = 1) -> ServiceAccount {
        ServiceAccount(
            id: AccountID(rawValue: number), name: "deploy", description: "x", type: .continuousIntegration, role: "publisher", projects: ["app"],
            scopes: ["project:app:data:publish"], createdAt: time, rule: .authenticated)
    }

    @Test func aKeyAndATokenAreTheAccount() throws {
        let house = try House()
        var account = Self.account()
        let issued = try IssuedAccountKey(pepper: house.pepper, createdAt: Self.time, expiresAt: nil, description: nil)
        #expect(issued.text.hasPrefix("sak_") && issued.text.utf8.count == 47)
        account.keys = [issued.key]
        try house.put(account)
        guard case .valid(let principal) = house.ring.login(issued.text, from: nil, at: Self.time) else { return #expect(Bool(false)) }
        #expect(principal.accountID == account.id && principal.keyID == nil && !principal.isAnonymous && principal.holderID == "sa_0000000000000001")
        #expect(principal.allows(.publishData, project: "app") && !principal.allows(.viewProjectData, project: "app"))
        #expect(!principal.allows(.publishData, project: "other") && !principal.isAdministratorOfAll)

        #expect(house.tokens.needsKey)
        try house.tokens.makeKey(at: Self.time)
        func token(_ change: (inout TokenClaims) -> Void = { _ in }) throws -> String {
            var claims = TokenClaims(subject: account.id.text, issuedAt: 1_800_000_000, expiresAt: 1_800_003_600)
            (claims.keyID, claims.generation) = (issued.key.keyID.text, 0)
            change(&claims)
            return try house.tokens.token(of: claims)
        }
        func login(_ token: String, at time: Timestamp = Self.time) -> String { "\(house.ring.login(token, from: nil, at: time))".prefix(5).description }
        let good = try token()
        // The second time it is remembered.
        for _ in 0..<2 { #expect(login(good) == "valid") }
        #expect(house.ring.use(of: account.id).requests == 3)
        #expect(login(good, at: Timestamp(rawValue: Self.time.rawValue + 3_631_000_000)) == "stale")
        #expect(login(try token { $0.subject = "sa_0000000000000002" }) == "stale")
        #expect(login(try token { $0.subject = "0000000000000001" }) == "stale")
        #expect(login(try token { $0.keyID = "0000000000000009" }) == "stale")
        #expect(login(try token { $0.generation = 1 }) == "stale")
        #expect(login(String(good.dropLast()) + (good.hasSuffix("A") ? "B" : "A")) == "forge")
        #expect(login("a.b.c") == "forge" && login("a.b") == "unkno")

        // Switched off: refused, although the token was seen before. And on again: the tokens of before stay refused.
        (account.isActive, account.generation) = (false, 1)
        try house.put(account)
        #expect(login(good) == "inact" && login(issued.text) == "inact")
        #expect(house.ring.principal(of: account.id.text, at: Self.time) == nil)
        account.isActive = true
        try house.put(account)
        #expect(login(good) == "stale" && login(issued.text) == "valid")
        let fresh = try token { $0.generation = 1 }
        #expect(login(fresh) == "valid")
        // Without the key that it was asked for with, a token is none.
        account.keys = []
        try house.put(account)
        #expect(login(fresh) == "stale" && login(issued.text) == "unkno")
        account.rule = .open
        account.keys = [issued.key]
        try house.put(account)
        #expect(login(issued.text) == "uncon" && login(fresh) == "uncon")
        try house.store.write { try AccountRegistry.remove(account.id, in: &$0, scope: Self.scope) }
        try house.renew()
        #expect(login(fresh) == "stale" && login(issued.text) == "unkno")
    }

    @Test func signingKeysAreRotatedAndKept() throws {
        let house = try House()
        try house.tokens.makeKey(at: Self.time)
        let claims = TokenClaims(subject: "sa_0000000000000001", issuedAt: 1_800_000_000, expiresAt: 1_800_086_400)
        let first = try house.tokens.token(of: claims)
        let name = try house.tokens.rotate(at: Self.time)
        let second = try house.tokens.token(of: claims)
        let keys = try #require(house.tokens.publicKeys(at: Self.time)["keys"]?.arrayValue)
        #expect(keys.count == 2 && keys[0]["kid"]?.stringValue == name && keys.allSatisfy { $0["d"] == nil && $0["kty"] == "OKP" && $0["alg"] == "EdDSA" })
        // The file is as another process finds it: both are read.
        let path = house.folder.path + "/token-keys"
        let again = try TokenDesk(secret: nil, path: path)
        #expect(try again.claims(of: first, at: Self.time).subject == "sa_0000000000000001")
        #expect(try again.claims(of: second, at: Self.time).subject == "sa_0000000000000001")
        // A day after the rotation the first is refused, and its key is not shown.
        let later = Timestamp(rawValue: Self.time.rawValue + 86_431_000_000)
        #expect(again.publicKeys(at: later)["keys"]?.arrayValue?.count == 1)
        let young = TokenClaims(subject: "sa_0000000000000001", issuedAt: 1_800_086_430, expiresAt: 1_800_090_000)
        #expect(try again.claims(of: again.token(of: young), at: later).issuedAt == 1_800_086_430)
        #expect(throws: TokenFault.self) { try again.claims(of: first, at: later) }
        // No more keys than the file has room for.
        _ = try house.tokens.rotate(at: Self.time)
        _ = try house.tokens.rotate(at: Self.time)
        #expect(throws: ContexError.self) { try house.tokens.rotate(at: Self.time) }
        #expect(try house.tokens.rotate(at: later) != name)
        #expect(try SecretFile(path: path, name: "x", byteCount: 202, whenMissing: "").load().count == 202)
    }

    @Test func aSecretSignsAndPublishesNothing() throws {
        #expect(throws: ContexError.self) { try House(secret: "short") }
        let house = try House(secret: "0123456789abcdef0123456789abcdef")
        #expect(!house.tokens.needsKey && house.tokens.publicKeys(at: Self.time)["keys"]?.arrayValue?.isEmpty == true)
        #expect(throws: ContexError.self) { try house.tokens.rotate(at: Self.time) }
        let claims = TokenClaims(subject: "sa_0000000000000001", issuedAt: 1_800_000_000, expiresAt: 1_800_003_600)
        #expect(try house.tokens.claims(of: house.tokens.token(of: claims), at: Self.time) == claims)
    }

    @Test func recordsAreReadAsTheyWereWritten() throws {
        var random = SeededRandom(seed: testSeed("accounts"))
        var account = Self.account()
        account.keys = [
            AccountKey(
                keyID: KeyID(rawValue: 2), hash: SHA256.digest([1]), pepper: PepperID(rawValue: 3), createdAt: Self.time, expiresAt: Self.time,
                description: "Initial key")
        ]
        (account.isActive, account.generation) = (false, 7)
        var patch = AccountPatch()
        (patch.name, patch.description, patch.role, patch.projects, patch.scopes, patch.isActive) = ("n", .some(nil), "admin", ["a"], [], true)
        let role = try CustomRole(name: "r", description: "d", inherits: ["admin"], permissions: ["!project:a:*:*"], updatedAt: Self.time)
        let grants = KeyGrants(customRole: "r", permissions: ["admin"])
        func bytes(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
            var writer = ByteWriter()
            body(&writer)
            return writer.bytes
        }
        let written = [bytes(account.write), bytes(patch.write), bytes(role.write), bytes(grants.write)]
        let readers: [(inout ByteReader) throws -> [UInt8]] = [
            { let read = try ServiceAccount.read(&$0); return bytes(read.write) }, { let read = try AccountPatch.read(&$0); return bytes(read.write) },
            { let read = try CustomRole.read(&$0); return bytes(read.write) }, { let read = try KeyGrants.read(&$0); return bytes(read.write) },
        ]
        for (bytes, read) in zip(written, readers) {
            var reader = ByteReader(bytes)
            #expect(try read(&reader) == bytes && reader.remaining == 0)
            for length in bytes.indices {
                var reader = ByteReader(Array(bytes[..<length]))
                #expect(throws: (any Error).self) { try read(&reader) }
            }
            for _ in 0..<500 {
                var changed = bytes
                changed[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                var reader = ByteReader(changed)
                _ = try? read(&reader)
            }
        }
    }
}
