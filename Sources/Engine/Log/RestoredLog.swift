internal import Base
internal import Content
internal import Journal
internal import KeySpace
package import LMDB

/// The command log of a store that is being restored: what the journal of its origin has next is applied to it, as often as there is more.
///
/// No folder, no model and no pepper are needed: commands carry what was computed.
package final class RestoredLog {
    private let environment: Environment
    private let applier: Applier
    private let keepsJournal: Bool

    /// - Throws: `.notFound` without a store; `.conflict` when its indexes hold the texts of another rule than this build's, or are half made.
    package init(_ environment: Environment) throws {
        self.environment = environment
        let (model, keepsJournal) = try environment.read { view in
            guard try StoreFormat.verify(view), let model = try VectorModel.load(view) else {
                throw ContexError(.storeNotFound, "the store to restore into is empty")
            }
            return (model, try Journal().isKept(in: view))
        }
        guard model.texts == SearchText.version, model.rebuild == nil else {
            throw ContexError(
                .reindexNeeded,
                "the backup has indexes of another build, or half rebuilt ones: the commands after it can only be applied by the build that made it")
        }
        applier = Applier(dimension: model.dimension, matcher: NeedMatcher(), journal: keepsJournal ? .all : .off)
        self.keepsJournal = keepsJournal
    }

    /// Applies them in one transaction, all or none.
    /// - Throws: `.conflict` when they do not follow from where the store is; `.damaged` for one that cannot be read, and for one that does not
    ///   do here what it did there.
    package func apply(_ entries: [JournalEntry]) throws {
        var transaction = try environment.beginWrite()
        for entry in entries {
            func failure(_ code: ErrorCode, _ reason: String) -> ContexError { ContexError(code, "the command of position \(entry.position): \(reason)") }
            let before = try StorePosition.load(transaction.view).position
            guard entry.position == before.next else { throw failure(.conflict, "the store is at \(before)") }
            do {
                let command = try CommandCodec.decode(entry.command)
                let draft = keepsJournal ? JournalText.draft(command) : nil
                let (outcome, _) = try applier.apply(command, draft: draft, in: &transaction)
                if case .stale = outcome { throw ContexError.damaged("it was prepared on another state than this one") }
            } catch {
                let error = ContexError(anyError: error)
                throw failure(error.code, error.message)
            }
            guard try StorePosition.load(transaction.view) == StorePosition(position: entry.position, time: entry.time) else {
                throw failure(.damaged, "it changed nothing here")
            }
        }
        try transaction.commit()
        environment.growFile()
    }
}
