// Which backups may go. What is kept or goes is a full backup with all the increments after it: a part of one is of no use.

internal import Archives
public import Base
internal import Engine

/// For how long states can be had back. Days, weeks and months are those of UTC, weeks begin on Monday.
public struct BackupRetention: Sendable {
    /// Of the last so many days (weeks, months) that have a state, the newest one with all that it needs.
    public var daily: Int
    public var weekly: Int
    public var monthly: Int

    public init(daily: Int, weekly: Int, monthly: Int) {
        self.daily = daily
        self.weekly = weekly
        self.monthly = monthly
    }
}

public enum BackupPruning {
    public struct Report: Sendable {
        /// Names, the oldest first.
        public let removed: [String]
        public let kept: [String]
        /// Backups that cannot be read, or follow one that is not there: they are left to the operator.
        public let undecided: [String]
        public let freedBytes: Int
    }

    /// - Parameter isDryRun: only says what would go.
    /// - Throws: `.notFound` when there is no such folder; `.conflict` while a backup into it is made.
    public static func run(_ folder: String, _ retention: BackupRetention, isDryRun: Bool = false) throws(ContexError) -> Report {
        do {
            // Asked before it is locked, for its own sentence.
            _ = try BackupFiles.names(in: folder)
            let lock = try FolderLock(folder, doing: "makes a backup in")
            defer { withExtendedLifetime(lock) {} }
            let present = try BackupFolder(folder)
            var chains: [Int: [BackupFolder.Entry]] = [:]
            var undecided = present.damaged.map(\.name)
            for entry in present.backups {
                if let first = try? present.chain(to: entry).first {
                    chains[first.number, default: []].append(entry)
                } else {
                    undecided.append(entry.name)
                }
            }
            let ordered = chains.sorted { $0.key < $1.key }.map(\.value)
            let kept = Self.kept(ordered.map { ($0[0].manifest.taken, $0.map(\.manifest.taken).max()!) }, retention)
            let (staying, going) = (ordered.indices.filter(kept.contains), ordered.indices.filter { !kept.contains($0) })
            if !isDryRun {
                // The last first: what is cut off leaves a shorter past and no gap in it.
                for entry in going.flatMap({ ordered[$0].reversed() }) {
                    let partial = folder + "/" + BackupFolder.partialPrefix + entry.manifest.id.description
                    try BackupFiles.rename(entry.path, to: partial)
                    try BackupFiles.flush(folder: folder)
                    try BackupFiles.removeTree(partial)
                }
            }
            return Report(
                removed: going.flatMap { ordered[$0].map(\.name) }, kept: staying.flatMap { ordered[$0].map(\.name) }, undecided: undecided.sorted(),
                freedBytes: going.flatMap { ordered[$0] }.reduce(0) { $0 + $1.manifest.storedBytes })
        } catch {
            throw ContexError(anyError: error)
        }
    }

    private static let dayMicroseconds: Int64 = 86_400_000_000

    /// The places of the chains that stay, of chains in the order they were begun, each from its first state to its last.
    package static func kept(_ spans: [(first: Timestamp, last: Timestamp)], _ retention: BackupRetention) -> Set<Int> {
        guard let newest = spans.indices.last else { return [] }
        // What can be restored now is always kept.
        var kept: Set<Int> = [newest]
        for (count, period) in [(retention.daily, day), (retention.weekly, week), (retention.monthly, month)] {
            // The newest chain that has a state of each period.
            var holders: [Int64: Int] = [:]
            for (place, span) in spans.enumerated() {
                var time = span.first
                while true {
                    holders[period(min(time, span.last))] = place
                    guard time < span.last else { break }
                    time = Timestamp(rawValue: time.rawValue + dayMicroseconds)
                }
            }
            for held in holders.sorted(by: { $0.key > $1.key }).prefix(max(0, count)) { kept.insert(held.value) }
        }
        return kept
    }

    private static func floored(_ number: Int64, by divisor: Int64) -> Int64 {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    private static func day(_ time: Timestamp) -> Int64 { floored(time.rawValue, by: dayMicroseconds) }
    /// 1970 began on a Thursday.
    private static func week(_ time: Timestamp) -> Int64 { floored(day(time) + 3, by: 7) }
    /// As the date is written, without the day.
    private static func month(_ time: Timestamp) -> Int64 {
        let parts = time.iso8601.split(separator: "-").prefix(2).compactMap { Int64($0) }
        return parts.count == 2 ? parts[0] * 12 + parts[1] : 0
    }
}
