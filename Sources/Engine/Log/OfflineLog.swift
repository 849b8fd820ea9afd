internal import Base
internal import Journal
internal import KeySpace
internal import LMDB

/// The command log of a folder that nobody serves, for the tools of its operator.
enum OfflineLog {
    /// Applies the commands in one transaction: all of them, or none when one is refused. A journal that the folder has goes on.
    /// - Parameter explained: what the operator is told of the refusal of the command at a place.
    /// - Throws: `.notFound` without a store; `.conflict` while a server runs; `.damaged`; what `explained` makes of a refusal.
    static func apply(_ commands: [Command], directory: String, explained: (_ place: Int, ContexError) -> ContexError = { $1 }) throws {
        // Opened for reading first: a folder that holds no store must not become one.
        _ = try Database.openForReading(directory: directory)
        do {
            let environment = try Environment(store: DatabaseConfiguration(directory: directory).storePath)
            var transaction = try environment.beginWrite()
            guard try StoreFormat.verify(transaction.view), let model = try VectorModel.load(transaction.view) else {
                throw ContexError(.storeNotFound, "the store in \(directory) is empty")
            }
            let window: JournalWindow = try Journal().isKept(in: transaction.view) ? .all : .off
            let applier = Applier(dimension: model.dimension, matcher: NeedMatcher(), journal: window)
            for (place, command) in commands.enumerated() {
                do {
                    _ = try applier.apply(command, draft: JournalText.draft(command), in: &transaction)
                } catch {
                    throw explained(place, ContexError(anyError: error))
                }
            }
            try transaction.commit()
        } catch let error as LMDBError {
            throw Database.openFailure(error, directory)
        }
    }
}
