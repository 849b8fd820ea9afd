// A key from a passphrase: scrypt (RFC 7914) by libcrypto, which makes guessing cost memory as well as time.
internal import CCrypto

/// What a derivation costs, and what it begins with.
public struct ScryptParameters: Sendable, Hashable {
    /// N = 2^logN, the blocks of 128 x r bytes that are held.
    public let logN: UInt8
    public let r: UInt8
    public let p: UInt8
    public let salt: [UInt8]

    public init(logN: UInt8, r: UInt8, p: UInt8, salt: [UInt8]) {
        self.logN = logN
        self.r = r
        self.p = p
        self.salt = salt
    }

    /// 64 MiB and some 0.2 seconds a guess.
    public static func fresh(salt: [UInt8]) -> ScryptParameters { ScryptParameters(logN: 16, r: 8, p: 1, salt: salt) }

    /// Bytes of memory; nil for parameters that are none.
    public var memoryBytes: Int? {
        guard (1...30).contains(logN), r > 0, p > 0 else { return nil }
        return 128 * Int(r) << Int(logN) + 128 * Int(r) * Int(p)
    }
}

extension ScryptParameters {
    /// - Parameter memoryMax: bytes; parameters that would take more give nil, as do those that are none.
    /// - Complexity: time and memory as the parameters say.
    public func key(from passphrase: [UInt8], memoryMax: Int) -> SecretKey? {
        guard let memory = memoryBytes, memory <= memoryMax, Int(p) <= 16 else { return nil }
        var isDone = false
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: SecretKey.byteCount) { buffer, count in
            unsafe buffer.initialize(repeating: 0)
            isDone = unsafe passphrase.withUnsafeBytes { passphrase in
                // libcrypto counts some more than the formula says.
                unsafe EVP_PBE_scrypt(
                    passphrase.bindMemory(to: CChar.self).baseAddress, passphrase.count, salt, salt.count, 1 << UInt64(logN), UInt64(r), UInt64(p),
                    UInt64(memory) + (1 << 20), buffer.baseAddress, SecretKey.byteCount) == 1
            }
            count = SecretKey.byteCount
        }
        return isDone ? SecretKey(bytes) : nil
    }
}
