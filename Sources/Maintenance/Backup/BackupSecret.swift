internal import Archives
public import Base
internal import Hashing
internal import Synchronization

/// What an operator gives to make or to read encrypted backups.
public enum BackupSecret: Sendable {
    case key(SecretKeyFile)
    case passphrase(Passphrase)

    /// 32 bytes, or 64 hexadecimal digits with or without a line break.
    public struct SecretKeyFile: Sendable { let key: SecretKey }

    /// What is made of it is remembered: the backups of a folder share their parameters, so that a thousand increments cost one derivation.
    public final class Passphrase: Sendable {
        private let bytes: [UInt8]
        private let made = Mutex<[ScryptParameters: SecretKey]>([:])

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        /// nil when there is not the memory for it.
        func key(_ scrypt: ScryptParameters) -> SecretKey? {
            made.withLock { made in
                if let key = made[scrypt] { return key }
                let key = scrypt.key(from: bytes, memoryMax: Limits.keyDerivationBytes)
                made[scrypt] = key
                return key
            }
        }
    }

    /// - Throws: `.notFound`; `.invalid` when it holds anything but a key.
    public static func keyFile(_ path: String) throws(ContexError) -> BackupSecret {
        let bytes = try content(of: path, bytesMax: 2 * SecretKey.byteCount + 2)
        if let key = SecretKey(bytes) { return .key(SecretKeyFile(key: key)) }
        let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).joined()
        guard let raw = Hexadecimal.bytes(text), let key = SecretKey(raw) else {
            throw ContexError(
                .invalid, "the key file \(path) must have \(SecretKey.byteCount) bytes, or 64 hexadecimal digits: head -c 32 /dev/urandom > FILE makes one")
        }
        return .key(SecretKeyFile(key: key))
    }

    /// The first line of the file.
    /// - Throws: `.notFound`; `.invalid` when it is empty or too long.
    public static func passphraseFile(_ path: String) throws(ContexError) -> BackupSecret {
        let bytes = try content(of: path, bytesMax: Limits.passphraseBytes + 2)
        let line = Array(bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })
        guard (1...Limits.passphraseBytes).contains(line.count) else {
            throw ContexError(.invalid, "the first line of the passphrase file \(path) must have 1 to \(Limits.passphraseBytes) bytes")
        }
        return .passphrase(Passphrase(line))
    }

    private static func content(of path: String, bytesMax: Int) throws(ContexError) -> [UInt8] {
        let file = try OpenFile(reading: path)
        guard file.bytes <= bytesMax else { throw ContexError(.invalid, "\(path) has \(file.bytes) bytes: that is no key and no passphrase") }
        return try file.read(file.bytes)
    }

    /// How a new backup is encrypted with it.
    /// - Parameter before: the backup before, whose parameters are taken again.
    func encryption(after before: BackupManifest?) throws(ContexError) -> BackupEncryption {
        switch self {
        case .key: return .keyFile
        case .passphrase:
            if case .passphrase(let scrypt) = before?.encryption { return .passphrase(scrypt) }
            return .passphrase(.fresh(salt: try SecureRandom.bytes(16)))
        }
    }

    /// The key of one backup.
    /// - Throws: `.backupKeyWrong` when the backup wants something else.
    /// - Complexity: for the first passphrase 64 MiB and some 0.2 s.
    func key(of id: BackupID, _ encryption: BackupEncryption) throws(ContexError) -> BackupKey {
        switch (self, encryption) {
        case (.key(let file), .keyFile): return BackupKey(file.key, of: id)
        case (.passphrase(let passphrase), .passphrase(let scrypt)):
            guard let secret = passphrase.key(scrypt) else {
                throw ContexError(
                    .unavailable, "no key can be made from the passphrase: \(Limits.keyDerivationBytes >> 20) MiB of memory are needed for a moment")
            }
            return BackupKey(secret, of: id)
        case (.key, .passphrase): throw ContexError(.backupKeyWrong, "the backup was made with a passphrase, not with a key file")
        case (.passphrase, .keyFile): throw ContexError(.backupKeyWrong, "the backup was made with a key file, not with a passphrase")
        case (_, .none): throw ContexError(.backupKeyWrong, "the backup is not encrypted, and a key was given: it is not what it should be, or needs none")
        }
    }

    /// The key to read a backup with; nil when none is needed.
    /// - Throws: `.backupKeyWrong`.
    static func key(_ secret: BackupSecret?, _ manifest: BackupManifest, _ signature: BackupSignature) throws(ContexError) -> BackupKey? {
        guard let secret else {
            if manifest.encryption == .none { return nil }
            let option = manifest.encryption == .keyFile ? "--encrypt-key-file" : "--passphrase-file"
            throw ContexError(.backupKeyWrong, "the backup is encrypted: give the file it was made with (\(option))")
        }
        let key = try secret.key(of: manifest.id, manifest.encryption)
        try signature.verify(key)
        return key
    }
}
