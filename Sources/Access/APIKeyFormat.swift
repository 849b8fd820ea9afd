// The text of an API key:
//
//     ck_ 0Jx7...37 random characters...Qm 4fR2xA
//     |                                    |
//     |                                    CRC-32C of everything before, in base 62, six digits
//     says what it is
//
// The checksum proves nothing about the key; it lets a secret scanner, or a person with a typing error, tell a key from a
// text that only looks like one, without asking the server.

public import Base
internal import Hashing

public enum APIKeyFormat {
    static let mark = "ck_"
    /// Of the keys of service accounts, which are made in the same way.
    static let accountMark = "sak_"
    /// 37 x log2(62) = 220 bits of randomness.
    static let randomCharacters = 37
    /// 62^5 < 2^32 < 62^6.
    static let checksumCharacters = 6
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// A fresh key.
    /// - Throws: `.unavailable` when there is no entropy.
    public static func generate() throws(ContexError) -> String { try generate(mark: mark) }

    static func generate(mark: String) throws(ContexError) -> String {
        var text = Array(mark.utf8)
        let length = text.count + randomCharacters
        while text.count < length {
            // 248 is the largest multiple of 62 in a byte; higher values would favour the first eight digits.
            for byte in try SecureRandom.bytes(64) where byte < 248 && text.count < length { text.append(digits[Int(byte) % 62]) }
        }
        return String(decoding: text + checksum(text), as: UTF8.self)
    }

    /// Mark, length, alphabet and checksum are those of a key that `generate` made.
    public static func isWellFormed(_ text: String) -> Bool {
        let utf8 = Array(text.utf8)
        guard utf8.count == mark.utf8.count + randomCharacters + checksumCharacters, utf8.starts(with: mark.utf8) else { return false }
        guard utf8.dropFirst(mark.utf8.count).allSatisfy(digits.contains) else { return false }
        return checksum(Array(utf8.dropLast(checksumCharacters))) == Array(utf8.suffix(checksumCharacters))
    }

    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var rest = Int(CRC32C.of(bytes))
        var text = [UInt8](repeating: digits[0], count: checksumCharacters)
        for place in text.indices.reversed() {
            text[place] = digits[rest % 62]
            rest /= 62
        }
        return text
    }

    /// What lists show of a key: its first seven characters, and never more than half of a short one.
    static func prefix(of text: String) -> String { String(text.prefix(min(7, text.count / 2))) }

    /// A key that the operator brings may look otherwise, but must fit a header and must not be guessed: 16 to 512 visible ASCII characters,
    /// 8 of them different.
    /// - Throws: `.badRequest` saying what is wrong, without the key.
    static func checkOperatorKey(_ text: String) throws(ContexError) {
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw .badRequest("The bootstrap key contains a space, a control character or a character outside ASCII, which no request header can carry.")
        }
        let (least, different) = (AccessLimits.operatorKeyCharactersMin, AccessLimits.operatorKeyDifferentMin)
        guard (least...AccessLimits.rawKeyBytes).contains(text.utf8.count), Set(text.utf8).count >= different else {
            throw .badRequest(
                "The bootstrap key has \(text.utf8.count) characters, \(Set(text.utf8).count) of them different; it must have \(least) to "
                    + "\(AccessLimits.rawKeyBytes), at least \(different) of them different, so that nobody guesses it ('openssl rand -hex 24' makes one).")
        }
    }
}
