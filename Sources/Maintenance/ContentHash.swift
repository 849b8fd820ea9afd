// One number for all that a store says: equal in two stores that were given the same commands in the same order, whatever machine, level of
// kernels and grouping of transactions they met. docs/formats/content-hash-v1.md

internal import Base
internal import Engine
public import Hashing
internal import KeySpace
public import LMDB

/// SHA-256 over the keys and values of a store's content.
public enum ContentHash {
    /// Kinds that are no content: they say what this machine has been asked, how far work on it has come, and by which commands; a store without
    /// a journal, or with one that begins later, says the same. And the sums of all of it and the
    /// bytes of each tenant, which follow from it.
    static let leftOut: Set<KeyKind> = [.importMark, .usedQueries, .journalState, .journalEntry, .recordSums, .tenantStorage]

    /// Records between two calls of `progress`.
    private static let progressStep = 4_096

    /// Of one snapshot.
    ///
    /// Values are hashed as they read when their seals are open, so that a seal that would hold something random changes nothing.
    /// - Parameter progress: called now and then with how many records are read, of how many.
    /// - Throws: `.damaged` for a broken seal.
    /// - Complexity: O(bytes of the store).
    public static func compute(
        _ view: borrowing TransactionView, progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
    ) throws -> SHA256Digest {
        let all = try view.entryCount()
        var hasher = ContentHasher()
        var done = 0
        try view.scan(prefix: []) { key, value in
            done += 1
            if done % progressStep == 0 { progress(done, all) }
            try hasher.add(key, value)
            return .onward
        }
        return hasher.finish()
    }

    /// Of the store in a data directory, opened for reading only: 64 hexadecimal digits. It may run beside a serving process.
    /// - Throws: `.notFound` when there is no store; `.damaged` when it cannot be opened or read.
    public static func hex(directory: String, progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }) throws -> String {
        let environment = try Database.openForReading(directory: directory)
        do {
            return try environment.readVerified { view in
                guard try StoreFormat.verify(view) else { throw ContexError.notFound("the store is empty") }
                return try compute(view, progress: progress).hex
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }
}

/// The same of records that come one after the other, in the order of their keys.
struct ContentHasher: ~Copyable {
    private var hasher = SHA256Hasher()
    private var lengths: [UInt8] = []

    /// What the hash begins with: its own version.
    private static let head = Array("contex content 1\n".utf8)

    init() { hasher.update(Self.head) }

    /// - Parameter value: as it lies in the store, sealed. Records of kinds that are no content leave the hash as it is; their seals are verified too.
    /// - Throws: `.damaged` for a broken seal.
    mutating func add(_ key: borrowing RawSpan, _ value: borrowing RawSpan) throws(ContexError) {
        let payload = try Seal.open(key: key, value: value)
        if let kind = KeyKind(ofKey: key), ContentHash.leftOut.contains(kind) { return }
        lengths.removeAll(keepingCapacity: true)
        lengths.append(bigEndian: UInt32(key.byteCount))
        hasher.update(lengths)
        hasher.update(key)
        lengths.removeAll(keepingCapacity: true)
        lengths.append(bigEndian: UInt32(1 + payload.byteCount))
        lengths.append(Seal.version(of: value))
        hasher.update(lengths)
        hasher.update(payload)
    }

    consuming func finish() -> SHA256Digest { hasher.finish() }
}
