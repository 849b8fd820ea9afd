// A block of a backup: compressed, then encrypted when there is a key, and bound to its backup and its place in it.

public import Base
internal import Codings
public import Hashing

/// Where a block belongs.
public enum BlockPlace: Sendable, Equatable, CustomStringConvertible {
    /// Counted over all files, from 0 on.
    case data(Int)
    case secrets

    /// As nonces and additional data have it: the section, and the number in it.
    fileprivate var bytes: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .data(let number):
            bytes.append(bigEndian: UInt32(0))
            bytes.append(bigEndian: UInt64(number))
        case .secrets:
            bytes.append(bigEndian: UInt32(1))
            bytes.append(bigEndian: UInt64(0))
        }
        return bytes
    }

    public var description: String {
        switch self {
        case .data(let number): "block \(number)"
        case .secrets: "the block of secrets"
        }
    }
}

/// The keys of one backup, made from the operator's and the backup's own number: no two backups have a key in common, so the place of a block
/// serves as its nonce.
public struct BackupKey: Sendable {
    private let blocks: SecretKey
    private let manifest: SecretKey

    /// - Parameter secret: of the key file, or made from the passphrase.
    public init(_ secret: SecretKey, of id: BackupID) {
        blocks = secret.derived(for: Array("contex backup 1 blocks".utf8) + id.bytes)
        manifest = secret.derived(for: Array("contex backup 1 manifest".utf8) + id.bytes)
    }

    func tag(of digest: SHA256Digest) -> SHA256Digest { HMACSHA256.authenticate(digest.bytes, key: manifest.bytes) }

    private func additional(_ id: BackupID, _ place: BlockPlace, _ plainBytes: Int) -> [UInt8] {
        var bytes = Array("contex backup 1 block".utf8) + id.bytes + place.bytes
        bytes.append(bigEndian: UInt32(plainBytes))
        return bytes
    }

    fileprivate func seal(_ frame: [UInt8], _ id: BackupID, _ place: BlockPlace, plainBytes: Int) -> [UInt8] {
        AESGCM.seal(frame, key: blocks, nonce: place.bytes, additional: additional(id, place, plainBytes))
    }

    fileprivate func open(_ stored: ArraySlice<UInt8>, _ id: BackupID, _ place: BlockPlace, plainBytes: Int) -> [UInt8]? {
        AESGCM.open(stored, key: blocks, nonce: place.bytes, additional: additional(id, place, plainBytes))
    }
}

/// Makes the blocks of one backup.
public struct BlockSealer: ~Copyable {
    private let id: BackupID
    private let key: BackupKey?
    private var compressor: ZstandardCompressor

    /// Level 1 of zstd: half the size of records at the speed of a disk; level 3 takes twice the time for a few percent.
    public init(id: BackupID, key: BackupKey?) {
        self.id = id
        self.key = key
        compressor = ZstandardCompressor(level: 1)
    }

    public mutating func seal(_ plain: [UInt8], at place: BlockPlace) -> (stored: [UInt8], block: BackupBlock) {
        precondition((1...Limits.backupBlockBytes).contains(plain.count), "a block of \(plain.count) bytes")
        let frame = compressor.compress(plain)
        let stored = key.map { $0.seal(frame, id, place, plainBytes: plain.count) } ?? frame
        return (stored, BackupBlock(plainBytes: plain.count, storedBytes: stored.count, digest: SHA256.digest(stored)))
    }
}

extension BackupManifest {
    /// The bytes of a block, proved.
    /// - Throws: `.damaged` with the block and what is wrong with it.
    /// - Complexity: O(block); allocates what the manifest says, 1 MiB at most.
    public func open(_ stored: ArraySlice<UInt8>, as block: BackupBlock, at place: BlockPlace, key: BackupKey?) throws(ContexError) -> [UInt8] {
        func damaged(_ reason: String) -> ContexError { .damaged("\(place): \(reason)") }
        guard stored.count == block.storedBytes else { throw damaged("\(stored.count) bytes of \(block.storedBytes)") }
        guard SHA256.digest(stored) == block.digest else { throw damaged("its bytes are not those that were written (SHA-256)") }
        var frame = stored
        if let key {
            guard let plain = key.open(stored, id, place, plainBytes: block.plainBytes) else {
                throw damaged("it was not encrypted with this key for this place (AES-GCM)")
            }
            frame = plain[...]
        }
        do throws(ZstandardError) {
            return try Zstandard.decompress(frame, byteCount: block.plainBytes)
        } catch {
            throw damaged("it cannot be unpacked (\(error))")
        }
    }
}
