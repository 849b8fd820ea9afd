// Between commands and the journal: what is entered, and how it is read again.
//
// A publish has its data, metadata and own vector in its event, which stays: the entry refers to it. Everything else is entered whole.

public import Base
internal import Events
package import Hashing
public import Journal
internal import KeySpace
package import LMDB

/// A command with its place, as followers and backups take it.
public struct JournalEntry: Sendable, Equatable {
    public let position: Position
    /// When it was proposed.
    public let time: Timestamp
    /// Whole: docs/formats/commands-v1.md.
    public let command: [UInt8]

    public init(position: Position, time: Timestamp, command: [UInt8]) {
        self.position = position
        self.time = time
        self.command = command
    }
}

package enum JournalText {
    /// - Complexity: O(size of the command); one SHA-256 over it.
    static func draft(_ command: Command) -> JournalDraft {
        JournalDraft(digest: SHA256.digest(CommandCodec.encode(command)), body: CommandCodec.encode(command, eliding: true))
    }

    /// The whole command of an entry.
    /// - Throws: `.damaged` when it cannot be read, when its event is gone, or when it is not what was entered.
    package static func whole(_ record: JournalRecord, in view: borrowing TransactionView) throws -> [UInt8] {
        let whole = CommandCodec.encode(try CommandCodec.decode(record.body, event: elided(record, in: view)))
        guard SHA256.digest(whole) == record.digest else { throw ContexError.damaged("the command is not the one that was entered") }
        return whole
    }

    private static func elided(_ record: JournalRecord, in view: borrowing TransactionView) throws -> ElidedEvent? {
        guard let reference = record.reference else { return nil }
        guard let event = try EventLog(scope: reference.scope).event(reference.sequence, in: view), event.position == record.position else { return nil }
        return ElidedEvent(
            type: event.type, format: event.format, data: event.data, vector: event.vector, metadata: event.metadata, publisher: event.publisher)
    }

    /// Entries after a position, whole, oldest first; no more bytes than `bytesMax`, but one at least.
    package static func entries(after position: Position, count: Int, bytesMax: Int, in view: borrowing TransactionView) throws -> [JournalEntry] {
        guard position.rawValue < .max else { return [] }
        var (entries, bytes, due) = ([JournalEntry](), 0, position.next)
        try Journal().forEach(from: position.next, in: view) { record in
            guard record.position == due else { throw ContexError.damaged("the journal has no entry of position \(due)") }
            let command = try whole(record, in: view)
            if !entries.isEmpty, bytes + command.count > bytesMax { return .stop }
            entries.append(JournalEntry(position: record.position, time: record.time, command: command))
            bytes += command.count
            guard due.rawValue < .max else { return .stop }
            due = due.next
            return entries.count < count ? .onward : .stop
        }
        return entries
    }

    /// The link of an entry; nil when it is not there.
    package static func link(at position: Position, in view: borrowing TransactionView) throws -> SHA256Digest? {
        var link: SHA256Digest?
        try Journal().forEach(from: position, in: view) { record in
            if record.position == position { link = record.link }
            return .stop
        }
        return link
    }
}

extension Database {
    /// The journal after a position, oldest first, whole commands: no more than `bytesMax` of them, but one at least.
    /// - Throws: `.notFound` when the window does not reach back so far; `.damaged`.
    public func journal(after position: Position, count: Int = 1_000, bytesMax: Int = Limits.catchUpBytes) async throws -> [JournalEntry] {
        try await readHeavily { view in
            let reached = try StorePosition.load(view).position
            if position == reached { return [] }
            guard let state = try Journal().state(in: view), position < reached, position.next >= state.first else {
                throw ContexError.notFound("the journal does not reach back to position \(position)")
            }
            return try JournalText.entries(after: position, count: count, bytesMax: bytesMax, in: view)
        }
    }

    /// How far this store has come.
    public func position() async throws -> StorePosition { try await read { try StorePosition.load($0) } }

    /// Applies what another store's journal has next, in its order, each durable when this returns.
    /// - Throws: `.conflict` when they do not follow from where this store is; `.damaged` for one that cannot be read: then none is applied. When
    ///   one is refused here that was not refused there, those before it are applied, and the stores differ.
    public func follow(_ entries: [JournalEntry]) async throws(ContexError) {
        var proposals: [Proposal] = []
        for entry in entries {
            let command: Command
            do throws(ContexError) { command = try CommandCodec.decode(entry.command) } catch {
                throw .damaged("the journal at position \(entry.position): \(error.message)")
            }
            proposals.append(
                Proposal(command, draft: configuration.journal == .off ? nil : JournalText.draft(command), position: entry.position))
        }
        for (entry, outcome) in zip(entries, await log.submit(proposals)) {
            if case .failure(let error) = outcome {
                throw ContexError(error.code, "the command of position \(entry.position) was refused: \(error.message)")
            }
        }
    }
}

/// Encoded commands, for those who carry them and do not apply them.
public enum EncodedCommand {
    /// What is left of a command when it is read and encoded again: itself, but for fields that this build does not know.
    /// - Throws: `.damaged` for another version, an unknown kind, and bytes that are no whole command.
    public static func canonical(_ bytes: [UInt8]) throws(ContexError) -> [UInt8] { CommandCodec.encode(try CommandCodec.decode(bytes)) }
}
