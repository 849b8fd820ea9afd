// The proof of a folder of backups: every block of every one is read, and what it says is held against what it must be.

internal import Archives
public import Base

public enum BackupVerification {
    public struct Report: Sendable {
        /// What is wrong, a sentence each.
        public internal(set) var findings: [String] = []
        public internal(set) var backups = 0
        public internal(set) var records: UInt64 = 0
        public internal(set) var commands: UInt64 = 0
        /// Before compression.
        public internal(set) var bytes = 0
        /// Names of what was not finished: no fault, and no backup.
        public internal(set) var unfinished: [String] = []
    }

    /// - Parameter progress: which backup is read, and how many of its items are.
    /// - Throws: `.notFound` when there is no such folder, or no backup in it.
    /// - Complexity: O(bytes of all backups).
    public static func run(
        _ folder: String, secret: BackupSecret?, progress: (_ name: String, _ done: Int, _ all: Int) -> Void = { _, _, _ in }
    ) throws(ContexError) -> Report {
        let present = try BackupFolder(folder)
        guard !present.backups.isEmpty || !present.damaged.isEmpty else { throw .notFound("there is no backup in \(folder)") }
        var report = Report()
        report.unfinished = present.unfinished
        report.findings = present.damaged.map(\.error.message)
        for entry in present.backups {
            report.backups += 1
            do throws(ContexError) {
                _ = try present.before(entry)
                let key = try entry.key(secret)
                let count = try items(of: entry, key) { progress(entry.name, $0, Int(clamping: entry.manifest.items)) }
                if entry.manifest.isFull { report.records += count } else { report.commands += count }
                _ = try entry.secrets(key)
                report.bytes += entry.manifest.plainBytes
            } catch {
                report.findings.append(error.message)
            }
        }
        return report
    }

    private static let step: UInt64 = 2_048

    private static func items(of entry: BackupFolder.Entry, _ key: BackupKey?, _ progress: (Int) -> Void) throws(ContexError) -> UInt64 {
        guard entry.manifest.isFull else {
            var source = CommandSource(entry, key)
            while try source.next() != nil { if source.count % step == 0 { progress(Int(source.count)) } }
            return source.count
        }
        var source = RecordSource(entry, key)
        while try source.next() != nil { if source.count % step == 0 { progress(Int(source.count)) } }
        let count = source.count
        try source.finish()
        return count
    }
}
