// Sums of records for a store that has none, or whose loss of records is accepted.

internal import Base
public import Engine
internal import KeySpace
internal import LMDB

public enum RecordCount {
    public struct Report: Sendable {
        public let records: Int
        /// What is no finding any more from now on.
        public let accepted: [String]
    }

    /// Takes the records of a sound store for those that were written.
    /// - Throws: `.damaged` when a check finds anything else than that records are gone; `.conflict` when a server has the directory open;
    ///   `.notFound` without a store.
    /// - Complexity: O(store)
    public static func run(configuration: DatabaseConfiguration, progress: (String) -> Void = { _ in }) throws -> Report {
        let check = try IntegrityCheck.run(directory: configuration.directory, progress: progress)
        if let other = check.findings.first(where: { !check.sumFindings.contains($0) }) {
            throw ContexError.damaged("records are counted where all else is sound, and it is not: \(other)")
        }
        progress("counting")
        do {
            let environment = try Environment(
                store: configuration.storePath, options: .init(durability: configuration.durability, mapBytes: configuration.mapBytes))
            var transaction = try environment.beginWrite()
            try RecordSums.recount(in: &transaction)
            try transaction.commit()
        } catch let error as LMDBError {
            throw Database.openFailure(error, configuration.directory)
        }
        return Report(records: check.values, accepted: check.sumFindings)
    }
}
