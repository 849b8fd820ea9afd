import Audit
import Base
import Hashing
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite("Signed checkpoints")
struct CheckpointTests {
    /// RFC 8032, section 7.1, tests 1 to 3.
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ])
    func publishedVectors(seed: String, key: String, message: String, signature: String) throws {
        func bytes(_ text: String) -> [UInt8] { Hexadecimal.bytes(text) ?? [] }
        #expect(try Hexadecimal.text(Ed25519.publicKey(seed: bytes(seed))) == key)
        #expect(try Hexadecimal.text(Ed25519.sign(bytes(message), seed: bytes(seed))) == signature)
        #expect(Ed25519.isValid(bytes(signature), of: bytes(message), publicKey: bytes(key)))
        for place in [0, 31, 32, 63] {
            var other = bytes(signature)
            other[place] ^= 1
            #expect(!Ed25519.isValid(other, of: bytes(message), publicKey: bytes(key)))
        }
        #expect(!Ed25519.isValid(bytes(signature), of: bytes(message) + [0], publicKey: bytes(key)))
        #expect(!Ed25519.isValid([], of: bytes(message), publicKey: bytes(key)) && !Ed25519.isValid(bytes(signature), of: [], publicKey: [1]) )
    }

    @Test func aSeedOfAnotherLengthIsRefused() {
        for length in [0, 31, 33, 64] { #expect(throws: ContexError.self) { try Ed25519.publicKey(seed: [UInt8](repeating: 1, count: length)) } }
    }

    @Test func whatIsChangedIsNotSigned() throws {
        let seed = [UInt8](1...32)
        let store = try TestStore()
        let log = AuditLog(tenant: .standard)
        let draft = AuditDraft(
            kind: .loginFailed, result: .failure, actor: AuditActor(kind: .anonymous, id: "anonymous"),
            place: AuditPlace(requestID: "r", endpoint: "/", method: "GET"), action: "none")
        try store.write { (transaction: inout WriteTransaction) throws in
            try log.append(draft, at: Timestamp(rawValue: 5), keptDays: 1, in: &transaction)
        }
        let state = try #require(try store.read { (view: borrowing TransactionView) throws in try log.state(in: view) })
        let checkpoint = try AuditCheckpoint(state, tenant: .standard, at: Timestamp(rawValue: 9), seed: seed)
        let fields = Dictionary(uniqueKeysWithValues: checkpoint.fields.map { ($0.name, $0.value) })
        #expect(checkpoint.isSigned && AuditCheckpoint(fields: fields) == checkpoint)
        let (zeros, ones) = (String(repeating: "0", count: 64), String(repeating: "1", count: 64))
        for (name, value) in ["tenant": "2", "sequence": "8", "time": "10", "link": zeros, "key": ones] {
            var other = fields
            other[name] = value
            #expect(AuditCheckpoint(fields: other)?.isSigned == false, "\(name)")
        }
        for (name, value) in ["checkpoint": "2", "tenant": "-1", "sequence": "", "time": "now", "link": "00", "key": "xyz", "signature": "0"] {
            var other = fields
            other[name] = value
            #expect(AuditCheckpoint(fields: other)?.isSigned != true, "\(name)")
            other[name] = nil
            #expect(AuditCheckpoint(fields: other) == nil, "\(name)")
        }
    }
}
