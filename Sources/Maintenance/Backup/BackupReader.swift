// A backup as it is read: block by block, each proved before a byte of it is used, and item by item, each held against its place.

internal import Archives
internal import Base
internal import Engine
internal import Hashing
internal import Journal

extension BackupFolder.Entry {
    /// The same with the backup's name before it.
    func named(_ error: ContexError) -> ContexError { ContexError(error.code, "backup \(name): \(error.message)") }
    func damaged(_ reason: String) -> ContexError { .damaged("backup \(name): \(reason)") }

    /// - Throws: `.backupKeyWrong`.
    func key(_ secret: BackupSecret?) throws(ContexError) -> BackupKey? {
        do throws(ContexError) { return try BackupSecret.key(secret, manifest, signature) } catch { throw named(error) }
    }

    /// The secrets beside the store, by the names of their files; nil when the backup has none.
    func secrets(_ key: BackupKey?) throws(ContexError) -> [(name: String, bytes: [UInt8])]? {
        guard let block = manifest.secrets else { return nil }
        do {
            let stored = try BackupFiles.read(path + "/" + BackupFolder.secretsName, bytesMax: block.storedBytes)
            var reader = ByteReader(try manifest.open(stored[...], as: block, at: .secrets, key: key))
            var secrets: [(name: String, bytes: [UInt8])] = []
            while reader.remaining > 0 { secrets.append((try reader.text(), Array(try reader.blob()))) }
            return secrets
        } catch let error as ContexError {
            throw named(error)
        } catch {
            throw damaged("the secrets cannot be read (\(error))")
        }
    }
}

/// The blocks of a backup in order.
struct BlockSource {
    private let entry: BackupFolder.Entry
    private let key: BackupKey?
    private var file: OpenFile?
    /// How many files were opened, and how many blocks of the last are still to come.
    private var opened = 0
    private var open = 0
    private var next = 0
    private var offset = 0

    init(_ entry: BackupFolder.Entry, _ key: BackupKey?) {
        self.entry = entry
        self.key = key
    }

    /// - Throws: `.damaged` with the block, its file and place, and what is wrong.
    mutating func block() throws(ContexError) -> [UInt8]? {
        let manifest = entry.manifest
        if open == 0 {
            guard opened < manifest.files.count else { return nil }
            open = manifest.files[opened]
            opened += 1
            let name = BackupFolder.dataName(opened)
            let due = manifest.blocks[next..<next + open].reduce(0) { $0 + $1.storedBytes }
            let fresh: OpenFile
            do throws(ContexError) { fresh = try OpenFile(reading: entry.path + "/" + name) } catch {
                throw error.category == .notFound ? entry.damaged("\(name) is not there") : entry.named(error)
            }
            guard fresh.bytes == due else { throw entry.damaged("\(name) has \(fresh.bytes) bytes of \(due)") }
            file = fresh
            offset = 0
        }
        let block = manifest.blocks[next]
        do throws(ContexError) {
            let stored = try file!.read(block.storedBytes)
            let plain = try manifest.open(stored[...], as: block, at: .data(next), key: key)
            next += 1
            open -= 1
            offset += block.storedBytes
            return plain
        } catch {
            throw ContexError(error.code, "backup \(entry.name), \(BackupFolder.dataName(opened)) from byte \(offset) on, \(error.message)")
        }
    }
}

/// The records of a full backup.
struct RecordSource: ~Copyable {
    private let entry: BackupFolder.Entry
    private var blocks: BlockSource
    private var items = ItemReader()
    private var hasher = ContentHasher()
    private var last: [UInt8] = []
    private(set) var count: UInt64 = 0

    init(_ entry: BackupFolder.Entry, _ key: BackupKey?) {
        precondition(entry.manifest.isFull, "records of an increment")
        self.entry = entry
        blocks = BlockSource(entry, key)
    }

    /// The next record, sealed as in the store; nil after the last, when `finish` is due.
    /// - Throws: `.damaged` for a block or a seal that is broken, and for keys out of order.
    mutating func next() throws(ContexError) -> (key: ArraySlice<UInt8>, value: ArraySlice<UInt8>)? {
        do throws(ContexError) {
            while true {
                if let record = try items.record() {
                    guard last.lexicographicallyPrecedes(record.key) else { throw .damaged("record \(count) is not greater than the one before") }
                    unsafe try hasher.add(record.key.span.bytes, record.value.span.bytes)
                    last.removeAll(keepingCapacity: true)
                    last += record.key
                    count += 1
                    return record
                }
                guard let block = try blocks.block() else {
                    try items.finish()
                    return nil
                }
                items.feed(block)
            }
        } catch {
            throw error.message.hasPrefix("backup ") ? error : entry.named(error)
        }
    }

    /// After the last record.
    /// - Throws: `.damaged` when it is not all, or not what the store said.
    consuming func finish() throws(ContexError) {
        let (entry, count) = (entry, count)
        guard count == entry.manifest.items else { throw entry.damaged("\(count) records of \(entry.manifest.items)") }
        guard case .full(let contentHash) = entry.manifest.content, hasher.finish() == contentHash else {
            throw entry.damaged("its content is not that of the store it was made of (content hash)")
        }
    }
}

/// The commands of an increment.
struct CommandSource {
    private let entry: BackupFolder.Entry
    private var blocks: BlockSource
    private var items = ItemReader()
    private var link: SHA256Digest
    private var reached: BackupPlace
    private(set) var count: UInt64 = 0

    init(_ entry: BackupFolder.Entry, _ key: BackupKey?) {
        guard case .increment(_, let from, let baseLink) = entry.manifest.content else { preconditionFailure("commands of a full backup") }
        self.entry = entry
        blocks = BlockSource(entry, key)
        link = baseLink
        reached = from
    }

    /// The next command; nil after the last, which was held against the manifest.
    /// - Throws: `.damaged` for a broken block, a gap between positions, a command that cannot be read, and when they are not those of the journal.
    mutating func next() throws(ContexError) -> JournalEntry? {
        do throws(ContexError) {
            while true {
                if let (place, bytes) = try items.command() {
                    guard reached.position.rawValue < .max, place.position == reached.position.next else {
                        throw .damaged("position \(place.position) stands after position \(reached.position)")
                    }
                    let command = Array(bytes)
                    // Read here already, so that a command of another build is found before a store is made of those before it.
                    do throws(ContexError) {
                        _ = try EncodedCommand.canonical(command)
                    } catch {
                        throw .damaged("position \(place.position): \(error.message)")
                    }
                    link = JournalRecord.link(after: link, place.position, place.time, SHA256.digest(command))
                    reached = place
                    count += 1
                    return JournalEntry(position: place.position, time: place.time, command: command)
                }
                guard let block = try blocks.block() else {
                    try items.finish()
                    guard count == entry.manifest.items, reached == entry.manifest.to else {
                        throw .damaged("it ends at position \(reached.position) of \(entry.manifest.to.position)")
                    }
                    guard link == entry.manifest.link else { throw .damaged("its commands are not those of the journal (the links differ)") }
                    return nil
                }
                items.feed(block)
            }
        } catch {
            throw error.message.hasPrefix("backup ") ? error : entry.named(error)
        }
    }
}
