import Base
import Hashing
import TestSupport
import Testing

@Suite struct EncryptionTests {
    private static func bytes(_ hex: String) -> [UInt8] { Hexadecimal.bytes(hex)! }

    /// Of "The Galois/Counter Mode of Operation" (McGrew, Viega), appendix B, those with 256-bit keys and 96-bit nonces.
    private static let vectors: [(key: String, nonce: String, plain: String, additional: String, sealed: String)] = [
        ("0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
        (
            "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "00000000000000000000000000000000", "",
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
        ),
        (
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                + "76fc6ece0f4e1768cddf8853bb2d551b"
        ),
    ]

    @Test func publishedVectors() {
        for (key, nonce, plain, additional, sealed) in Self.vectors {
            let secret = SecretKey(Self.bytes(key))!
            let made = AESGCM.seal(Self.bytes(plain), key: secret, nonce: Self.bytes(nonce), additional: Self.bytes(additional))
            #expect(Hexadecimal.text(made) == sealed)
            #expect(AESGCM.open(made[...], key: secret, nonce: Self.bytes(nonce), additional: Self.bytes(additional)) == Self.bytes(plain))
        }
    }

    @Test func anythingElseDoesNotOpen() {
        let (key, other) = (SecretKey(Array(0..<32))!, SecretKey(Array(1...32))!)
        let nonce = [UInt8](repeating: 7, count: 12)
        let sealed = AESGCM.seal(Array("a secret".utf8), key: key, nonce: nonce, additional: [1, 2])
        for place in sealed.indices {
            var changed = sealed
            changed[place] ^= 1
            #expect(AESGCM.open(changed[...], key: key, nonce: nonce, additional: [1, 2]) == nil)
        }
        #expect(AESGCM.open(sealed[...], key: other, nonce: nonce, additional: [1, 2]) == nil)
        #expect(AESGCM.open(sealed[...], key: key, nonce: [UInt8](repeating: 8, count: 12), additional: [1, 2]) == nil)
        #expect(AESGCM.open(sealed[...], key: key, nonce: nonce, additional: [1]) == nil)
        for length in 0..<sealed.count { #expect(AESGCM.open(sealed[..<length], key: key, nonce: nonce, additional: [1, 2]) == nil) }
        #expect(AESGCM.open(AESGCM.seal([], key: key, nonce: nonce, additional: [])[...], key: key, nonce: nonce, additional: []) == [])
    }

    /// RFC 7914, section 12: the first 32 bytes of those outputs.
    @Test func scryptVectors() {
        let small = ScryptParameters(logN: 10, r: 8, p: 16, salt: Array("NaCl".utf8))
        #expect(
            Hexadecimal.text(small.key(from: Array("password".utf8), memoryMax: 64 << 20)!.bytes)
                == "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")
        let large = ScryptParameters(logN: 14, r: 8, p: 1, salt: Array("SodiumChloride".utf8))
        #expect(
            Hexadecimal.text(large.key(from: Array("pleaseletmein".utf8), memoryMax: 64 << 20)!.bytes)
                == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
        #expect(large.key(from: Array("pleaseletmein".utf8), memoryMax: 1 << 20) == nil, "more memory than it may take")
        #expect(ScryptParameters(logN: 40, r: 8, p: 1, salt: [1]).key(from: [1], memoryMax: .max) == nil)
    }

    @Test func keysOfTwoPurposesDiffer() {
        let key = SecretKey(Array(0..<32))!
        #expect(key.derived(for: [1]) != key.derived(for: [2]) && key.derived(for: [1]) == key.derived(for: [1]))
        #expect(SecretKey(Array(0..<31)) == nil)
    }
}
