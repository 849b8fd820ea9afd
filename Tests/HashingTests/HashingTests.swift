// Published vectors: FIPS 180-4's examples with NIST's long message, RFC 4231 for HMAC.
import Base
import Foundation
import Hashing
import Testing
import TestSupport

@Suite struct SHA256Tests {
    static let vectors: [(String, String)] = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
    ]

    @Test(arguments: vectors) func published(message: String, expected: String) {
        let bytes = Array(message.utf8)
        #expect(SHA256.digest(bytes).hex == expected)
        #expect(SHA256.digest(bytes[...]).hex == expected)
        let storage = bytes
        #expect(unsafe SHA256.digest(storage.span.bytes).hex == expected)
    }

    @Test func millionLetters() {
        var hasher = SHA256Hasher()
        for _ in 0..<1_000 { hasher.update([UInt8](repeating: UInt8(ascii: "a"), count: 1_000)) }
        #expect(hasher.finish().hex == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func piecesAreOneMessage() {
        var random = SeededRandom(seed: testSeed("piecesAreOneMessage"))
        for _ in 0..<200 {
            let message = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            let cut = Int.random(in: 0...message.count, using: &random)
            let whole = SHA256.digest(message)
            #expect(SHA256.digest(Array(message[..<cut]), Array(message[cut...])) == whole)
            var hasher = SHA256Hasher()
            hasher.update(message[..<cut])
            hasher.update(message[cut...])
            #expect(hasher.finish() == whole)
        }
    }

    @Test func abandonedHasherIsFreed() {
        for _ in 0..<1_000 {
            var hasher = SHA256Hasher()
            hasher.update([1, 2, 3])
        }
    }

    @Test func manyThreadsAtOnce() async {
        let expected = SHA256.digest(Array("abc".utf8))
        let equal = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<64 { group.addTask { (0..<100).allSatisfy { _ in SHA256.digest(Array("abc".utf8)) == expected } } }
            return await group.allSatisfy { $0 }
        }
        #expect(equal)
    }

    @Test func digestHas32Bytes() {
        #expect(SHA256Digest([UInt8](repeating: 0, count: 31)) == nil)
        #expect(SHA256Digest([UInt8](repeating: 0, count: 33)) == nil)
        #expect(SHA256Digest(SHA256.digest().bytes) == SHA256.digest([]))
    }
}

@Suite struct HMACTests {
    struct Vector: Sendable { let key: [UInt8], message: [UInt8], mac: String }
    static let large = [UInt8](repeating: 0xaa, count: 131)
    static let vectors = [
        Vector(
            key: [UInt8](repeating: 0x0b, count: 20), message: Array("Hi There".utf8),
            mac: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        Vector(
            key: Array("Jefe".utf8), message: Array("what do ya want for nothing?".utf8),
            mac: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        Vector(
            key: [UInt8](repeating: 0xaa, count: 20), message: [UInt8](repeating: 0xdd, count: 50),
            mac: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        Vector(
            key: Array(1...25), message: [UInt8](repeating: 0xcd, count: 50),
            mac: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        Vector(
            key: large, message: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            mac: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        Vector(
            key: large,
            message: Array(
                ("This is a test using a larger than block-size key and a larger than block-size data. "
                    + "The key needs to be hashed before being used by the HMAC algorithm.").utf8),
            mac: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ]

    @Test(arguments: vectors) func rfc4231(vector: Vector) {
        #expect(HMACSHA256.authenticate(vector.message, key: vector.key).hex == vector.mac)
    }

    /// RFC 4231 case 5 publishes 128 bits only.
    @Test func rfc4231Truncated() {
        let mac = HMACSHA256.authenticate(Array("Test With Truncation".utf8), key: [UInt8](repeating: 0x0c, count: 20))
        #expect(mac.hex.hasPrefix("a3b6167473100ee06e0c796c2955552b"))
    }

    @Test func emptyKeyAndMessage() {
        #expect(HMACSHA256.authenticate([], key: []).hex == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }
}

@Suite struct SecretsTests {
    @Test func constantTimeEquality() {
        #expect(ConstantTime.equal([], []))
        #expect(!ConstantTime.equal([], [0]))
        #expect(ConstantTime.equal([1, 2, 3], [1, 2, 3]))
        for place in 0..<32 {
            var other = [UInt8](repeating: 7, count: 32)
            other[place] ^= 1 << UInt8(place % 8)
            #expect(!ConstantTime.equal(other, [UInt8](repeating: 7, count: 32)))
        }
    }

    @Test func randomBytes() throws {
        #expect(try SecureRandom.bytes(0) == [])
        let draws = try (0..<1_000).map { _ in try SecureRandom.bytes(16) }
        #expect(draws.allSatisfy { $0.count == 16 })
        #expect(Set(draws).count == draws.count)
        // 16,000 bytes: each value is expected 62.5 times; 20 standard deviations away is a broken generator.
        var counts = [Int](repeating: 0, count: 256)
        for byte in draws.joined() { counts[Int(byte)] += 1 }
        #expect(counts.allSatisfy { $0 > 0 && $0 < 220 })
    }

    @Test func hexadecimal() {
        #expect(Hexadecimal.text([0, 0x7f, 0xff]) == "007fff")
        #expect(Hexadecimal.bytes("007fFf") == [0, 0x7f, 0xff])
        #expect(Hexadecimal.bytes("") == [])
        #expect(Hexadecimal.bytes("0") == nil)
        #expect(Hexadecimal.bytes("0g") == nil)
        #expect(Hexadecimal.bytes("é0") == nil)
    }
}
