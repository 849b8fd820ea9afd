// Backups of a data folder, beside its server: all of one snapshot, or the commands since the backup before.
//
// A full backup holds one LMDB snapshot for as long as it reads. Meanwhile no page that the snapshot needs is written over, so the store's file
// grows with what is published; the next commits use those pages when it is done. It says so when that takes long, and gives up before the
// file has grown without bound. An increment reads the journal a few megabytes at a time, and holds nothing.

public import Archives
public import Base
internal import Engine
internal import Hashing
internal import Journal
internal import KeySpace
internal import LMDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

public struct BackupOptions: Sendable {
    /// A full backup, also where an increment would do.
    public var isFull = false
    /// Encrypts with it.
    public var secret: BackupSecret?
    /// The pepper of the API keys goes with it. Only where `secret` is.
    public var withSecrets = false
    /// Bytes by which the store's file may grow while a full backup reads it; nil: as much as the store has, and 1 GiB at least.
    public var growthMax: Int?
    /// Seconds after which a snapshot that is still held is worth a line.
    public var holdSeconds = Limits.backupHoldSeconds
    /// What made it, for the manifest.
    public var writer: String

    public init(writer: String) { self.writer = writer }
}

public enum Backup {
    public struct Report: Sendable {
        public let name: String
        public let manifest: BackupManifest
        /// How long the snapshot was held, and by how much the store's file grew meanwhile; zero for an increment.
        public let heldSeconds: Double
        public let grownBytes: Int
        /// Names of what an earlier one that was killed had left.
        public let removed: [String]
    }

    public enum Outcome: Sendable {
        case made(Report)
        /// Nothing has changed since that backup.
        case upToDate(BackupFolder.Entry)
    }

    /// - Parameters:
    ///   - directory: the data folder, beside its server too.
    ///   - folder: made when it is not there.
    ///   - progress: how many records or commands are done, of how many.
    ///   - alarm: gets a sentence when a snapshot is held for long, or the store's file grows much meanwhile.
    /// - Throws: `.journalShort` when the journal does not go on from the last backup; `.conflict` for a store that the last backup is not of, and
    ///   while another backup into the folder is made; `.backupKeyWrong`; `.storageFull`; `.damaged`. The folder is then as it was.
    public static func run(
        _ directory: String, to folder: String, _ options: BackupOptions,
        progress: @escaping (_ done: Int, _ all: Int, _ isFull: Bool) -> Void = { _, _, _ in }, alarm: @escaping (String) -> Void = { _ in }
    ) throws(ContexError) -> Outcome {
        if options.withSecrets, options.secret == nil { throw ContexError(.invalid, "secrets go into a backup only when it is encrypted: give a key") }
        do {
            let environment = try Database.openForReading(directory: directory)
            try BackupFiles.makeFolder(folder)
            let lock = try FolderLock(folder, doing: "makes a backup in")
            defer { withExtendedLifetime(lock) {} }
            let present = try BackupFolder(folder)
            for name in present.unfinished { try BackupFiles.removeTree(folder + "/" + name) }
            let job = try Job(environment, directory, present, options, progress, alarm)
            guard !options.isFull, !(present.backups.isEmpty && present.damaged.isEmpty) else { return .made(try job.full()) }
            return try job.increment()
        } catch {
            throw ContexError(anyError: error)
        }
    }
}

/// One run.
private struct Job {
    let environment: Environment
    let directory: String
    let present: BackupFolder
    let options: BackupOptions
    let progress: (_ done: Int, _ all: Int, _ isFull: Bool) -> Void
    let alarm: (String) -> Void
    let number: Int
    let clock = SystemClock()

    /// Records between two looks at the clock, and at the size of the file.
    private static let step = 2_048

    init(
        _ environment: Environment, _ directory: String, _ present: BackupFolder, _ options: BackupOptions,
        _ progress: @escaping (Int, Int, Bool) -> Void, _ alarm: @escaping (String) -> Void
    ) throws {
        self.environment = environment
        self.directory = directory
        self.present = present
        self.options = options
        self.progress = progress
        self.alarm = alarm
        number = max(present.backups.last?.number ?? 0, present.damaged.last?.number ?? 0) + 1
    }

    // MARK: - Full

    func full() throws -> Backup.Report {
        let (writer, encryption) = try begin()
        do {
            return try full(writer, encryption)
        } catch {
            writer.discard()
            throw error
        }
    }

    private func full(_ writer: BackupWriter, _ encryption: BackupEncryption) throws -> Backup.Report {
        let begun = ContinuousClock.now
        let bytesBefore = try environment.statistics().bytesUsed
        var hold = Hold(options, bytes: bytesBefore)
        let found = try environment.readVerified { view in
            let taken = clock.now()
            let state = try StoreState(view, directory)
            let all = try view.entryCount()
            var cutter = BlockCutter()
            var hasher = ContentHasher()
            var done = 0
            try view.scan(prefix: []) { key, value in
                try hasher.add(key, value)
                try cutter.record(key, value) { try writer.write($0) }
                done += 1
                if done % Self.step == 0 {
                    progress(done, all, true)
                    try hold.look(bytesNow: environment.statistics().bytesUsed, seconds: (ContinuousClock.now - begun) / .seconds(1), alarm)
                }
                return .onward
            }
            guard done == all else { throw ContexError.damaged("\(done) records were found of \(all): run 'contex check'") }
            try cutter.finish { try writer.write($0) }
            progress(done, all, true)
            return (taken: taken, state: state, items: UInt64(done), hash: hasher.finish())
        }
        let held = (ContinuousClock.now - begun) / .seconds(1)
        let grown = max(0, try environment.statistics().bytesUsed - bytesBefore)
        let name = BackupFolder.name(number, isFull: true)
        let manifest = try finish(writer, name, .full(contentHash: found.hash), found.state, encryption, taken: found.taken, items: found.items)
        return Backup.Report(name: name, manifest: manifest, heldSeconds: held, grownBytes: grown, removed: present.unfinished)
    }

    // MARK: - Increment

    func increment() throws -> Backup.Outcome {
        let whatToDo = "make a full backup ('--full')"
        if let last = present.damaged.last, last.number > present.backups.last?.number ?? 0 {
            throw ContexError(last.error.code, "the last backup cannot be gone on from: \(last.error.message); \(whatToDo)")
        }
        let before = present.backups.last!
        guard (before.manifest.encryption == .none) == (options.secret == nil) else {
            let which = options.secret == nil ? "is encrypted: give its key" : "is not encrypted"
            throw ContexError(.backupKeyWrong, "the last backup, \(before.name), \(which), or begin anew with '--full'")
        }
        _ = try before.key(options.secret)
        guard let baseLink = before.manifest.link else {
            throw ContexError(.journalShort, "backup \(before.name) was made of a store without a journal (CONTEX_JOURNAL): \(whatToDo)")
        }
        let from = before.manifest.to
        let (taken, state) = try environment.read { view in
            let taken = clock.now()
            return (taken, try StoreState(view, directory))
        }
        try environment.read { view in
            guard state.place.position >= from.position else {
                throw ContexError(
                    .conflict, "the store is at position \(state.place.position), backup \(before.name) at \(from.position): it is another store, or an "
                        + "older state of it; back it up into another folder, or \(whatToDo)")
            }
            guard state.link != nil, let journal = try Journal().state(in: view), journal.first <= from.position.next else {
                throw ContexError(
                    .journalShort, "the journal does not reach back to position \(from.position), where backup \(before.name) ends: \(whatToDo), and keep "
                        + "the journal for longer than the time between two backups (CONTEX_JOURNAL)")
            }
            let link = journal.first == from.position.next ? journal.base : try JournalText.link(at: from.position, in: view)
            guard link == baseLink else {
                throw ContexError(
                    .conflict, "the store has another past than backup \(before.name): at position \(from.position) their journals differ; "
                        + "back it up into another folder, or \(whatToDo)")
            }
        }
        guard state.place.position > from.position else { return .upToDate(before) }
        let (writer, encryption) = try begin()
        do {
            let items = try commands(after: from, baseLink, to: state, writer)
            let name = BackupFolder.name(number, isFull: false)
            let content = BackupManifest.Content.increment(follows: before.manifest.id, from: from, baseLink: baseLink)
            let manifest = try finish(writer, name, content, state, encryption, taken: taken, items: items)
            return .made(Backup.Report(name: name, manifest: manifest, heldSeconds: 0, grownBytes: 0, removed: present.unfinished))
        } catch {
            writer.discard()
            throw error
        }
    }

    private func commands(after from: BackupPlace, _ baseLink: SHA256Digest, to state: StoreState, _ writer: BackupWriter) throws -> UInt64 {
        let all = Int(clamping: state.place.position.rawValue - from.position.rawValue)
        var (cutter, link, reached, done) = (BlockCutter(), baseLink, from.position, 0)
        while reached < state.place.position {
            let entries = try environment.read { view in
                guard let journal = try Journal().state(in: view), journal.first <= reached.next, journal.last >= state.place.position else {
                    throw ContexError(
                        .journalShort,
                        "the journal let position \(reached.next) go while it was read: make a full backup ('--full'), and keep the journal for longer")
                }
                return try JournalText.entries(after: reached, count: min(all - done, 1_000), bytesMax: Limits.catchUpBytes, in: view)
            }
            guard !entries.isEmpty else { throw ContexError.damaged("the journal has no entry of position \(reached.next)") }
            for entry in entries {
                link = JournalRecord.link(after: link, entry.position, entry.time, SHA256.digest(entry.command))
                try cutter.command(BackupPlace(position: entry.position, time: entry.time), entry.command) { try writer.write($0) }
                reached = entry.position
                done += 1
            }
            progress(done, all, false)
        }
        guard link == state.link else { throw ContexError.damaged("the commands of the journal are not those that it is linked by: run 'contex check'") }
        try cutter.finish { try writer.write($0) }
        return UInt64(done)
    }

    // MARK: - Both

    private func begin() throws -> (BackupWriter, BackupEncryption) {
        let id = BackupID(try SecureRandom.bytes(BackupID.byteCount))!
        let encryption = try options.secret?.encryption(after: present.backups.last?.manifest) ?? .none
        let key = try options.secret?.key(of: id, encryption)
        return (try BackupWriter(in: present.path, id: id, key: key), encryption)
    }

    private func finish(
        _ writer: BackupWriter, _ name: String, _ content: BackupManifest.Content, _ state: StoreState, _ encryption: BackupEncryption, taken: Timestamp,
        items: UInt64
    ) throws -> BackupManifest {
        var secrets: [(name: String, bytes: [UInt8])]?
        if options.withSecrets {
            let pepper = DatabaseConfiguration(directory: directory).pepperPath
            guard BackupFiles.isThere(pepper) else { throw ContexError.notFound("there is no pepper file \(pepper) to go with the backup") }
            secrets = [(BackupSecrets.pepper, try BackupFiles.read(pepper, bytesMax: BackupSecrets.bytesMax))]
        }
        return try writer.finish(as: name, secrets: secrets) { files, blocks, secrets in
            BackupManifest(
                id: writer.id, content: content, to: state.place, link: state.link, taken: taken, finished: clock.now(), storeFormat: StoreFormat.version,
                model: state.model.identity, dimension: UInt32(state.model.dimension), items: items, writer: options.writer, encryption: encryption,
                files: files, blocks: blocks, secrets: secrets)
        }
    }
}

/// The secrets that lie beside a store.
enum BackupSecrets {
    static let pepper = "pepper"
    static let bytesMax = 4_096
}

/// What a snapshot says of itself.
private struct StoreState {
    let place: BackupPlace
    /// nil without a journal that goes as far as the store.
    let link: SHA256Digest?
    let model: VectorModel

    init(_ view: borrowing TransactionView, _ directory: String) throws {
        guard try StoreFormat.verify(view), let model = try VectorModel.load(view) else {
            throw ContexError(.storeNotFound, "the store in \(directory) is empty")
        }
        let position = try StorePosition.load(view)
        place = BackupPlace(position: position.position, time: position.time)
        let journal = try Journal().state(in: view)
        link = journal?.last == position.position ? journal?.link : nil
        self.model = model
    }
}

/// How long a snapshot is held, and what it costs the store's file.
private struct Hold {
    private let seconds: Int
    private let bytes: Int
    private let growthMax: Int
    private var hasToldTime = false
    private var hasToldGrowth = false

    init(_ options: BackupOptions, bytes: Int) {
        seconds = options.holdSeconds
        self.bytes = bytes
        growthMax = options.growthMax ?? max(bytes, 1 << 30)
    }

    /// - Throws: `.unavailable` when the file has grown by more than it may.
    mutating func look(bytesNow: Int, seconds: Double, _ alarm: (String) -> Void) throws {
        let grown = bytesNow - bytes
        if grown > growthMax {
            throw ContexError(
                .unavailable, "the store's file grew by \(grown >> 20) MiB while the backup read it, and may by \(growthMax >> 20): "
                    + "nothing was kept; try again when less is published, or allow more (--growth-max)")
        }
        if !hasToldTime, seconds > Double(self.seconds) {
            hasToldTime = true
            alarm("the snapshot is held for \(Int(seconds)) seconds now; the store's file has grown by \(grown >> 20) MiB meanwhile")
        }
        if !hasToldGrowth, grown > Limits.backupGrowthBytes {
            hasToldGrowth = true
            alarm("the store's file has grown by \(grown >> 20) MiB while the backup reads it: less must be published, or the disk be faster")
        }
    }
}
