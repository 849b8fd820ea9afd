// A data folder made of backups: a full one, the increments after it up to a moment, then the proof that it is a sound store.
//
// It is made under another name beside its own, and gets its own when all is done and on the disk: a restore that was cut off, or met
// anything that is damaged, leaves no store.

public import Base
internal import Archives
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

public enum Restore {
    public enum Step: Sendable {
        case records
        case commands
        case checking
    }

    public struct Report: Sendable {
        /// The backups that it was made of, the full one first.
        public let backups: [String]
        public let position: Position
        public let time: Timestamp
        public let records: UInt64
        public let commands: UInt64
        public let documents: Int
        public let projects: Int
        /// 64 hexadecimal digits.
        public let contentHash: String
        /// Whether the pepper came with a backup; without it the API keys of the store open nothing.
        public let hasPepper: Bool
        public let hasKeys: Bool
    }

    /// - Parameters:
    ///   - folder: with the backups.
    ///   - directory: the data folder to make: not there, or empty.
    ///   - mapBytes: of address space, while it is made.
    /// - Throws: `.folderNotEmpty`; `.notFound` when no backup has the moment; `.backupKeyWrong`; `.damaged` with the backup, the place in it and what is
    ///   wrong there; `.formatUnknown`; `.storageFull`. Nothing is left of it then.
    public static func run(
        from folder: String, to directory: String, _ moment: RestoreMoment = .latest, secret: BackupSecret? = nil, mapBytes: Int = 1 << 40,
        progress: (_ step: Step, _ done: Int, _ all: Int) -> Void = { _, _, _ in }
    ) throws(ContexError) -> Report {
        do {
            let target = try target(directory)
            let plan = try RestorePlan(BackupFolder(folder), moment)
            // A wrong key is said before anything is made.
            var keys: [BackupID: BackupKey] = [:]
            for entry in [plan.full] + plan.increments {
                guard entry.manifest.storeFormat == StoreFormat.version else {
                    throw ContexError(
                        .formatUnknown,
                        "backup \(entry.name) is of a store of format \(entry.manifest.storeFormat), this build reads format \(StoreFormat.version); "
                            + "use the build that wrote it")
                }
                keys[entry.manifest.id] = try entry.key(secret)
            }
            let parent = FolderEntries.parent(of: target)
            try BackupFiles.makeFolder(parent)
            let draft = parent + "/." + target.split(separator: "/").last.map(String.init)! + ".restoring"
            try BackupFiles.makeFolder(draft)
            let lock = try FolderLock(draft, doing: "restores into")
            defer { withExtendedLifetime(lock) {} }
            do {
                // Of one that was cut off.
                for name in try BackupFiles.names(in: draft) { try BackupFiles.removeTree(draft + "/" + name) }
                let report = try make(draft, plan, keys, mapBytes, progress)
                // Somebody may have come between.
                _ = try Self.target(directory)
                try BackupFiles.rename(draft, to: target)
                try BackupFiles.flush(folder: parent)
                return report
            } catch {
                try? BackupFiles.removeTree(draft)
                throw error
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }

    /// The folder without slashes at its end.
    /// - Throws: `.folderNotEmpty`.
    private static func target(_ directory: String) throws(ContexError) -> String {
        var path = directory
        while path.count > 1, path.last == "/" { path.removeLast() }
        guard let name = path.split(separator: "/").last, name != ".", name != ".." else {
            throw ContexError(.invalid, "the folder to restore into needs a name of its own: '\(directory)' has none")
        }
        if BackupFiles.isThere(path) {
            guard BackupFiles.isFolder(path), try BackupFiles.names(in: path).isEmpty else {
                throw ContexError(
                    .folderNotEmpty, "\(path) is there and not an empty folder: a restore makes a new one, and never writes into one that is used")
            }
        }
        return path
    }

    private static func make(
        _ draft: String, _ plan: RestorePlan, _ keys: [BackupID: BackupKey], _ mapBytes: Int, _ progress: (Step, Int, Int) -> Void
    ) throws -> Report {
        let configuration = DatabaseConfiguration(directory: draft)
        try BackupFiles.makeFolder(configuration.storePath)
        let (records, commands) = try fill(configuration.storePath, plan, keys, mapBytes, progress)
        // The newest pepper counts; a store never changes its own.
        var hasPepper = false
        for entry in (plan.increments.reversed() + [plan.full]) where !hasPepper {
            for secret in try entry.secrets(keys[entry.manifest.id]) ?? [] where secret.name == BackupSecrets.pepper {
                try BackupFiles.write(secret.bytes, to: configuration.pepperPath)
                hasPepper = true
            }
        }
        progress(.checking, 0, 0)
        let check = try IntegrityCheck.run(directory: draft)
        guard check.findings.isEmpty else {
            throw ContexError.damaged("the restored store is not sound, as its origin was not: \(check.findings.prefix(3).joined(separator: "; "))")
        }
        let stats = try StoreReport.read(directory: draft)
        let contentHash = try ContentHash.hex(directory: draft)
        if commands == 0, case .full(let wanted) = plan.full.manifest.content, contentHash != wanted.hex {
            throw ContexError.damaged("the restored store does not say what backup \(plan.full.name) does (content hash)")
        }
        try BackupFiles.flush(folder: configuration.storePath)
        try BackupFiles.flush(folder: draft)
        return Report(
            backups: ([plan.full] + plan.increments).map(\.name), position: stats.position.position, time: stats.position.time, records: records,
            commands: commands, documents: check.documents, projects: check.projects, contentHash: contentHash, hasPepper: hasPepper,
            hasKeys: stats.kinds.contains { $0.name == "\(KeyKind.apiKeyByID)" })
    }

    /// When this returns, the environment is closed, and all of it is on the disk.
    private static func fill(
        _ path: String, _ plan: RestorePlan, _ keys: [BackupID: BackupKey], _ mapBytes: Int, _ progress: (Step, Int, Int) -> Void
    ) throws -> (records: UInt64, commands: UInt64) {
        // Nobody needs a commit before the last.
        let environment = try Environment(store: path, options: .init(durability: .unsafeNoSync, mapBytes: mapBytes))
        let all = Int(clamping: plan.full.manifest.items)
        let source = RecordSource(plan.full, keys[plan.full.manifest.id])
        let records = try RestoredStore.fill(environment, from: source) { progress(.records, Int(clamping: $0), all) }
        var commands: UInt64 = 0
        if !plan.increments.isEmpty {
            let log = try RestoredLog(environment)
            let all = Int(clamping: plan.increments.reduce(UInt64(0)) { $0 &+ $1.manifest.items })
            for entry in plan.increments {
                commands += try apply(entry, keys[entry.manifest.id], plan, to: log) { progress(.commands, Int(clamping: commands + $0), all) }
            }
        }
        try environment.flush()
        return (records, commands)
    }

    /// Reads the whole increment, also what is after the moment: what is damaged anywhere in it is told.
    private static func apply(
        _ entry: BackupFolder.Entry, _ key: BackupKey?, _ plan: RestorePlan, to log: RestoredLog, _ progress: (UInt64) -> Void
    ) throws -> UInt64 {
        var source = CommandSource(entry, key)
        var (waiting, bytes, applied): ([JournalEntry], Int, UInt64) = ([], 0, 0)
        var isPast = false
        func apply() throws {
            try log.apply(waiting)
            applied += UInt64(waiting.count)
            (waiting, bytes) = ([], 0)
            progress(applied)
        }
        while let next = try source.next() {
            isPast = isPast || !plan.takes(next.position, next.time)
            if isPast { continue }
            waiting.append(next)
            bytes += next.command.count
            if waiting.count >= 500 || bytes > Limits.restoreTransactionBytes / 8 { try apply() }
        }
        if !waiting.isEmpty { try apply() }
        return applied
    }
}
