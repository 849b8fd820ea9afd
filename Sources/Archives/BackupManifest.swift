// What a backup says of itself: which state or which commands it has, how it hangs on the backup before, and the sum of every block.
// docs/formats/backup-v1.md
//
// A manifest is the last thing that is written, and it ends with a SHA-256 of all before; so what has a sound manifest is complete, or it is
// damaged and the sums of its blocks say where. Nothing is allocated for what a manifest claims but what its own bytes pay for.

public import Base
internal import Codings
public import Hashing

/// A random number for each backup, by which the next one says what it follows.
public struct BackupID: Hashable, Sendable, CustomStringConvertible {
    public static let byteCount = 16
    public let bytes: [UInt8]

    /// Nil when there are not exactly 16 bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = Array(bytes)
    }

    public var description: String { Hexadecimal.text(bytes) }
}

/// A place in the life of a store: how many commands, and when the last one was proposed.
public struct BackupPlace: Sendable, Equatable {
    public let position: Position
    public let time: Timestamp

    public init(position: Position, time: Timestamp) {
        self.position = position
        self.time = time
    }
}

/// A block as it lies in its file.
public struct BackupBlock: Sendable, Equatable {
    /// Bytes before compression.
    public let plainBytes: Int
    /// Bytes in the file.
    public let storedBytes: Int
    /// Of the bytes in the file.
    public let digest: SHA256Digest

    public init(plainBytes: Int, storedBytes: Int, digest: SHA256Digest) {
        self.plainBytes = plainBytes
        self.storedBytes = storedBytes
        self.digest = digest
    }
}

/// How the blocks are encrypted; where the key comes from.
public enum BackupEncryption: Sendable, Equatable {
    case none
    /// 32 bytes of a key file.
    case keyFile
    case passphrase(ScryptParameters)
}

public struct BackupManifest: Sendable, Equatable {
    /// What this build writes and reads.
    public static let version: UInt16 = 1
    private static let magic = Array("ctxbacku".utf8)

    public enum Content: Sendable, Equatable {
        /// All keys and values of one snapshot. The hash is that of docs/formats/content-hash-v1.md.
        case full(contentHash: SHA256Digest)
        /// The commands after `from`, of the journal of the store that `follows` is of; `baseLink` is the journal's link at `from`.
        case increment(follows: BackupID, from: BackupPlace, baseLink: SHA256Digest)
    }

    public let id: BackupID
    public let content: Content
    /// The state that a restore of it gives.
    public let to: BackupPlace
    /// The journal's link there, by which the next increment is known to go on from it; nil when the store kept no journal.
    public let link: SHA256Digest?
    /// When its snapshot was taken: until then nothing came after `to`.
    public let taken: Timestamp
    /// When it was complete.
    public let finished: Timestamp
    public let storeFormat: UInt32
    /// Of the vectors.
    public let model: String
    public let dimension: UInt32
    /// Records of a full backup, commands of an increment.
    public let items: UInt64
    /// The version of the build that wrote it.
    public let writer: String
    public let encryption: BackupEncryption
    /// Blocks of each file, in order.
    public let files: [Int]
    public let blocks: [BackupBlock]
    /// The block of the secrets beside the store, in a file of its own.
    public let secrets: BackupBlock?

    public init(
        id: BackupID, content: Content, to: BackupPlace, link: SHA256Digest?, taken: Timestamp, finished: Timestamp, storeFormat: UInt32, model: String,
        dimension: UInt32, items: UInt64, writer: String, encryption: BackupEncryption, files: [Int], blocks: [BackupBlock], secrets: BackupBlock?
    ) {
        self.id = id
        self.content = content
        self.to = to
        self.link = link
        self.taken = taken
        self.finished = finished
        self.storeFormat = storeFormat
        self.model = model
        self.dimension = dimension
        self.items = items
        self.writer = writer
        self.encryption = encryption
        self.files = files
        self.blocks = blocks
        self.secrets = secrets
    }

    public var isFull: Bool {
        if case .full = content { return true }
        return false
    }

    /// Before compression.
    public var plainBytes: Int { blocks.reduce(0) { $0 + $1.plainBytes } }
    /// Of all files but the manifest.
    public var storedBytes: Int { blocks.reduce(secrets?.storedBytes ?? 0) { $0 + $1.storedBytes } }
}

// MARK: - Bytes

extension BackupManifest {
    private enum Kind: UInt8 {
        case full = 1
        case increment = 2
    }

    /// - Parameter key: of its blocks, when they are encrypted: then a tag follows that nobody can make without it.
    public func encode(key: BackupKey?) -> [UInt8] {
        precondition((key != nil) == (encryption != .none), "a manifest of encrypted blocks needs their key")
        var writer = ByteWriter(capacity: 512 + 40 * blocks.count)
        writer.raw(Self.magic)
        writer.u16(Self.version)
        writer.raw(id.bytes)
        switch content {
        case .full(let hash):
            writer.u8(Kind.full.rawValue)
            writer.raw(hash.bytes)
        case .increment(let follows, let from, let baseLink):
            writer.u8(Kind.increment.rawValue)
            writer.raw(follows.bytes)
            writer.place(from)
            writer.raw(baseLink.bytes)
        }
        writer.place(to)
        writer.bool(link != nil)
        if let link { writer.raw(link.bytes) }
        writer.i64(taken.rawValue)
        writer.i64(finished.rawValue)
        writer.u32(storeFormat)
        writer.text(model)
        writer.u32(dimension)
        writer.u64(items)
        writer.text(self.writer)
        switch encryption {
        case .none: writer.u8(0)
        case .keyFile: writer.u8(1)
        case .passphrase(let scrypt):
            writer.u8(2)
            writer.u8(scrypt.logN)
            writer.u8(scrypt.r)
            writer.u8(scrypt.p)
            writer.blob(scrypt.salt)
        }
        writer.varint(UInt64(files.count))
        for count in files { writer.varint(UInt64(count)) }
        for block in blocks { writer.block(block) }
        writer.bool(secrets != nil)
        if let secrets { writer.block(secrets) }
        let digest = SHA256.digest(writer.bytes)
        writer.raw(digest.bytes)
        if let key { writer.raw(key.tag(of: digest).bytes) }
        return writer.bytes
    }

    /// The manifest that the bytes are. Whether it is of whoever has the key, its signature tells.
    /// - Throws: `.formatUnknown` for another version; `.damaged` for what is no whole manifest, or contradicts itself.
    /// - Complexity: O(bytes), and no more memory than a small multiple of them.
    public static func decode(_ bytes: [UInt8]) throws(ContexError) -> (manifest: BackupManifest, signature: BackupSignature) {
        do {
            return try read(bytes)
        } catch let error as ContexError {
            throw error
        } catch {
            throw .damaged("the manifest cannot be read (\(error))")
        }
    }

    private static func damaged(_ reason: String) -> ContexError { .damaged("the manifest is damaged: \(reason)") }

    private static func read(_ bytes: [UInt8]) throws -> (BackupManifest, BackupSignature) {
        guard bytes.count <= Limits.backupManifestBytes else { throw damaged("\(bytes.count) bytes") }
        var reader = ByteReader(bytes)
        guard try reader.raw(magic.count).elementsEqual(magic) else { throw damaged("it does not begin as one") }
        let version = try reader.u16()
        guard version == self.version else {
            throw ContexError(.formatUnknown, "the backup has format \(version), this build reads format \(self.version); use the build that wrote it")
        }
        let id = try reader.backupID()
        let content: Content
        let kindPlace = reader.offset
        switch Kind(rawValue: try reader.u8()) {
        case .full: content = .full(contentHash: try reader.sha256())
        case .increment: content = .increment(follows: try reader.backupID(), from: try reader.place(), baseLink: try reader.sha256())
        case nil: throw ByteError.malformed(at: kindPlace)
        }
        let to = try reader.place()
        let link = try reader.bool() ? try reader.sha256() : nil
        let (taken, finished) = (Timestamp(rawValue: try reader.i64()), Timestamp(rawValue: try reader.i64()))
        let (storeFormat, model, dimension) = (try reader.u32(), try reader.text(), try reader.u32())
        let (items, writer) = (try reader.u64(), try reader.text())
        let encryption = try reader.encryption()
        var files: [Int] = []
        var count = 0
        for _ in 0..<(try reader.count(limit: reader.remaining)) {
            files.append(try reader.count(limit: Limits.backupBlocks))
            count += files[files.count - 1]
            guard count <= reader.remaining / BackupBlock.encodedBytes, files[files.count - 1] > 0 else { throw damaged("files of \(count) blocks and more") }
        }
        var blocks: [BackupBlock] = []
        blocks.reserveCapacity(count)
        for _ in 0..<count { blocks.append(try reader.block()) }
        let secrets = try reader.bool() ? try reader.block() : nil
        let covered = reader.offset
        let digest = try reader.sha256()
        let tag = encryption == .none ? nil : try reader.sha256()
        try reader.end()
        guard SHA256.digest(bytes[..<covered]) == digest else { throw damaged("its bytes are not those that were written (SHA-256)") }
        guard (items == 0) == blocks.isEmpty else { throw damaged("\(items) items in \(blocks.count) blocks") }
        if case .increment(_, let from, _) = content, from.position >= to.position || link == nil {
            throw damaged("it reaches from position \(from.position) to \(to.position)")
        }
        guard secrets == nil || encryption != .none else { throw damaged("secrets that are not encrypted") }
        let manifest = BackupManifest(
            id: id, content: content, to: to, link: link, taken: taken, finished: finished, storeFormat: storeFormat, model: model, dimension: dimension,
            items: items, writer: writer, encryption: encryption, files: files, blocks: blocks, secrets: secrets)
        return (manifest, BackupSignature(digest: digest, tag: tag))
    }
}

/// What a manifest ends with.
public struct BackupSignature: Sendable {
    /// Of all before it.
    let digest: SHA256Digest
    /// Of the digest, by the key of the blocks; nil where they are not encrypted.
    let tag: SHA256Digest?

    /// - Throws: `.backupKeyWrong` when another key made the tag, or somebody who had none changed the manifest.
    public func verify(_ key: BackupKey) throws(ContexError) {
        guard let tag, ConstantTime.equal(tag, key.tag(of: digest)) else {
            throw ContexError(.backupKeyWrong, "the key is not the one that the backup was made with (or its manifest was made by somebody else)")
        }
    }
}

extension BackupBlock {
    /// In a manifest.
    static let encodedBytes = 4 + 4 + SHA256Digest.byteCount
    /// What a block may have in its file.
    static let storedBytesMax = Zstandard.bound(Limits.backupBlockBytes) + AESGCM.tagBytes
}

extension ByteWriter {
    fileprivate mutating func place(_ place: BackupPlace) {
        u64(place.position.rawValue)
        i64(place.time.rawValue)
    }

    fileprivate mutating func block(_ block: BackupBlock) {
        u32(UInt32(block.plainBytes))
        u32(UInt32(block.storedBytes))
        raw(block.digest.bytes)
    }
}

extension ByteReader {
    fileprivate mutating func backupID() throws(ByteError) -> BackupID { BackupID(try raw(BackupID.byteCount))! }

    fileprivate mutating func place() throws(ByteError) -> BackupPlace {
        BackupPlace(position: Position(rawValue: try u64()), time: Timestamp(rawValue: try i64()))
    }

    fileprivate mutating func block() throws(ByteError) -> BackupBlock {
        let at = offset
        let (plain, stored) = (Int(try u32()), Int(try u32()))
        guard (1...Limits.backupBlockBytes).contains(plain), (1...BackupBlock.storedBytesMax).contains(stored) else { throw .malformed(at: at) }
        return BackupBlock(plainBytes: plain, storedBytes: stored, digest: try sha256())
    }

    fileprivate mutating func encryption() throws(ByteError) -> BackupEncryption {
        let at = offset
        switch try u8() {
        case 0: return .none
        case 1: return .keyFile
        case 2:
            let scrypt = ScryptParameters(logN: try u8(), r: try u8(), p: try u8(), salt: Array(try blob()))
            guard let memory = scrypt.memoryBytes, memory <= Limits.keyDerivationBytes, scrypt.p <= 16, (16...64).contains(scrypt.salt.count) else {
                throw .malformed(at: at)
            }
            return .passphrase(scrypt)
        default: throw .malformed(at: at)
        }
    }
}
