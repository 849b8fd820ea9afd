import Access
import Base
import Testing
import TestSupport

@Suite struct APIKeyTests {
    static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

    /// The checksum written a second time: from the highest power of 62 down.
    static func checksum(_ text: String) -> String {
        var rest = Int(CRC32C.of(Array(text.utf8)))
        var digits = ""
        for power in [916_132_832, 14_776_336, 238_328, 3_844, 62, 1] {
            digits.append(alphabet[rest / power])
            rest %= power
        }
        return digits
    }

    @Test func generatedKeys() throws {
        let keys = try (0..<2_000).map { _ in try APIKeyFormat.generate() }
        #expect(Set(keys).count == keys.count)
        for key in keys {
            #expect(key.hasPrefix("ck_") && key.utf8.count == 46)
            #expect(key.dropFirst(3).allSatisfy(Self.alphabet.contains))
            #expect(key.suffix(6) == Self.checksum(String(key.dropLast(6))))
            #expect(APIKeyFormat.isWellFormed(key))
        }
        // 74,000 random characters of 62 kinds: 1,194 expected of each with a deviation of 34; 8 deviations are a bias.
        var counts: [Character: Int] = [:]
        for character in keys.map({ $0.dropFirst(3).dropLast(6) }).joined() { counts[character, default: 0] += 1 }
        for character in Self.alphabet { #expect(abs(counts[character, default: 0] - 1_194) < 275, "\(character)") }
    }

    /// A key that must stay well-formed for ever.
    @Test func knownKey() {
        #expect(APIKeyFormat.isWellFormed("ck_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZa0mVdlq"))
    }

    @Test func everyChangeOfOneCharacterIsCaught() throws {
        var random = SeededRandom(seed: testSeed("everyChangeOfOneCharacterIsCaught"))
        for _ in 0..<20 {
            var body = "ck_"
            for _ in 0..<37 { body.append(Self.alphabet.randomElement(using: &random)!) }
            let key = Array(body + Self.checksum(body))
            #expect(APIKeyFormat.isWellFormed(String(key)))
            for place in key.indices {
                for other in Self.alphabet + ["_", "-", " "] where other != key[place] {
                    var changed = key
                    changed[place] = other
                    if APIKeyFormat.isWellFormed(String(changed)) { Issue.record("\(String(key)) and \(String(changed))") }
                }
            }
            for text in [String(key.dropLast()), String(key) + "0", String(key.dropFirst()), "CK" + String(key.dropFirst(2)), ""] {
                #expect(!APIKeyFormat.isWellFormed(text))
            }
        }
    }

    @Test func issuedKeys() throws {
        let pepper = try Pepper()
        let issued = try IssuedKey(name: "ci", tenant: .standard, createdAt: Timestamp(rawValue: 5), pepper: pepper)
        #expect(APIKeyFormat.isWellFormed(issued.text))
        #expect(issued.record.prefix == issued.text.prefix(7))
        #expect(issued.record.hash == pepper.hash(issued.text))
        #expect(issued.record.pepper == pepper.id)
        #expect(KeyID(issued.record.keyID.text) == issued.record.keyID)
        for name in [String(repeating: "a", count: 256), "a\u{0}"] {
            let error = #expect(throws: ContexError.self) {
                try IssuedKey(name: name, tenant: .standard, createdAt: Timestamp(rawValue: 5), pepper: pepper)
            }
            #expect(error?.field == "name")
        }
    }

    @Test func operatorKeys() throws {
        let pepper = try Pepper()
        func issue(_ text: String) throws -> IssuedKey {
            try IssuedKey(operatorKey: text, name: "root", tenant: .standard, createdAt: Timestamp(rawValue: 0), pepper: pepper)
        }
        #expect(try issue("my-own-bootstrap-key").record.prefix == "my-own-")
        #expect(throws: Never.self) { try issue("0123456789abcdef") }
        #expect(throws: Never.self) { try issue(String(repeating: "01234567", count: 64)) }
        let unfit = [" my-own-bootstrap-key", "my-own-bootstrap-key ", "my-\u{e9}wn-bootstrap-key", "my-own-bootstrap-key\u{0}", "my-own\nbootstrap-key"]
        let guessable = ["x", "secret1", "0123456789abcde", String(repeating: "x", count: 512), String(repeating: "1234567", count: 9)]
        for text in [""] + unfit + guessable + [String(repeating: "01234567", count: 64) + "8"] {
            let error = #expect(throws: ContexError.self) { try issue(text) }
            #expect(error?.category == .badRequest)
            if text.count > 1 { #expect(error?.message.contains(text) == false) }
            if guessable.contains(text) { #expect(error?.message.contains("it must have 16 to 512, at least 8 of them different") == true) }
        }
    }

    @Test func keyIdentifiers() {
        #expect(KeyID(rawValue: 0xab).text == "00000000000000ab")
        #expect(KeyID("00000000000000ab")?.rawValue == 0xab)
        for text in ["", "ab", "00000000000000AB", "+0000000000000ab", "0000000000000000ab", "000000000000zzzz", "é00000000000000"] {
            #expect(KeyID(text) == nil, "\(text)")
        }
    }
}
