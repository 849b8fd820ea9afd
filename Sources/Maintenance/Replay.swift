// The journal of one folder, applied to another: an empty one, or one that stands where the journal goes on.
//
//     read the whole journal and hold every entry against its place, its link and its digest   ->   apply, group by group
//
// Nothing is applied before everything was read, so a journal that is damaged anywhere changes nothing.

internal import Access
public import Base
internal import Content
public import Engine
internal import Journal
internal import KeySpace
internal import LMDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

public enum Replay {
    public struct Report: Sendable {
        /// Where the folder stood, and where it stands now.
        public let from: Position
        public let to: Position
        /// When the last command was proposed.
        public let time: Timestamp
        public var applied: Int { Int(clamping: to.rawValue - from.rawValue) }
    }

    public enum Step: Sendable {
        case verifying
        case applying
    }

    /// - Parameters:
    ///   - source: the data folder whose journal is read, beside its server too.
    ///   - target: the data folder that it is applied to, made when it is not there.
    /// - Throws: `.notFound` when the source has no journal; `.conflict` when the journal does not go on from where the target is, or a server has
    ///   the target open; `.damaged` with the position and what is wrong there. Nothing is applied then.
    /// - Complexity: O(journal), read twice; what applying costs.
    public static func run(
        from source: String, to target: DatabaseConfiguration, progress: (_ step: Step, _ done: Int, _ all: Int) -> Void = { _, _, _ in }
    ) async throws -> Report {
        let environment = try Database.openForReading(directory: source)
        let (model, state) = try readVerified(environment) { view in
            guard try StoreFormat.verify(view), let model = try VectorModel.load(view) else {
                throw ContexError(.storeNotFound, "the store in \(source) is empty")
            }
            guard let state = try Journal().state(in: view) else {
                throw ContexError.notFound("\(source) has no journal: it is kept from the start on with CONTEX_JOURNAL")
            }
            return (model, state)
        }
        guard model.texts == SearchText.version, model.rebuild == nil else {
            throw ContexError(.reindexNeeded, "the store in \(source) has indexes of another build, or half rebuilt ones: run 'contex reindex' on it first")
        }
        let all = Int(clamping: state.last.rawValue - state.first.rawValue + 1)
        var verified = 0
        try environment.read { view in
            try Journal().verified(in: view) { record in
                _ = try JournalText.whole(record, in: view)
                verified += 1
                if verified % 256 == 0 || verified == all { progress(.verifying, verified, all) }
            }
        }
        try copyPepper(from: source, to: target.directory)
        let models = Models(
            identity: model.identity, dimension: model.dimension,
            embed: { (_: [String]) in throw ContexError(.bug, "a journal was applied, and something asked for an embedding") }, countTokens: { _ in 0 })
        let database = try Database(configuration: target, models: models)
        do {
            let report = try await apply(environment, state, to: database, source, all, progress)
            await database.close()
            return report
        } catch {
            await database.close()
            throw error
        }
    }

    /// A source with a damaged page is refused before LMDB reads it.
    private static func readVerified<R>(_ environment: Environment, _ body: (borrowing TransactionView) throws -> R) throws -> R {
        do {
            return try environment.readVerified(body)
        } catch {
            throw ContexError(anyError: error)
        }
    }

    private static func apply(
        _ environment: Environment, _ state: Journal.State, to database: Database, _ source: String, _ all: Int,
        _ progress: (Step, Int, Int) -> Void
    ) async throws -> Report {
        let start = try await database.position().position
        guard start.next >= state.first, start <= state.last else {
            throw ContexError(
                .conflict,
                "the journal of \(source) reaches from position \(state.first) to \(state.last), and the folder stands at \(start): "
                    + "begin with an empty folder, or with a copy of the store that the journal goes on from")
        }
        let own = try database.readHere { try Journal().state(in: $0) }
        if let own, own.last == start, let there = try environment.read({ try JournalText.link(at: start, in: $0) }), there != own.link {
            throw ContexError(.conflict, "the folder has another past: at position \(start) its journal differs from that of \(source)")
        }
        var reached = start
        while reached < state.last {
            let entries = try environment.read { try JournalText.entries(after: reached, count: 1_000, bytesMax: Limits.catchUpBytes, in: $0) }
            guard let last = entries.last else { throw ContexError.damaged("the journal has no entry of position \(reached.next)") }
            try await database.follow(entries)
            reached = last.position
            progress(.applying, min(all, Int(clamping: reached.rawValue - state.first.rawValue + 1)), all)
        }
        return Report(from: start, to: reached, time: try await database.position().time)
    }

    /// Keys are hashed under the secret of their folder: without it they would open nothing.
    private static func copyPepper(from source: String, to target: String) throws {
        let (mine, theirs) = (DatabaseConfiguration(directory: target).pepperPath, DatabaseConfiguration(directory: source).pepperPath)
        let files = FileManager.default
        guard files.fileExists(atPath: theirs), !files.fileExists(atPath: mine) else { return }
        try files.createDirectory(atPath: target, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try files.copyItem(atPath: theirs, toPath: mine)
    }
}
