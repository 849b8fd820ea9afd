package import Base
internal import Journal
internal import Traces

/// A command on its way to the log.
struct Proposal: Sendable {
    let command: Command
    /// As the journal is to keep it; nil where none is kept.
    var draft: JournalDraft?
    /// The position that it must get, for whoever follows another store; nil takes the next.
    var position: Position?
    /// Of whoever proposes it.
    let span = OpenSpan.current

    init(_ command: Command, draft: JournalDraft? = nil, position: Position? = nil) {
        self.command = command
        self.draft = draft
        self.position = position
    }
}

/// What stands between "decided" and "applied": brings commands into one order, applies them in it, and answers when they are safe.
///
/// The local form is the writer's group commit. A replicated one puts a stream in between: the order is the stream's, and every node
/// applies it into its own store.
protocol CommandLog: Sendable {
    /// Applies the proposals in order, each by itself, and answers each once it is durable (or refused).
    func submit(_ proposals: [Proposal]) async -> [Result<Outcome, ContexError>]
    /// What a publish would do now, of which nothing stays.
    /// - Throws: `.busy` when too many wait; whatever would refuse the publish.
    func rehearse(_ command: Command.Publish) async throws(ContexError) -> Rehearsal
    /// Proposals that wait.
    var waitingCount: Int { get }
    /// Lets what is waiting finish and takes nothing more.
    func close() async
}

extension Database {
    /// The commands in order, each by itself, in the name of whoever asks (`Attribution`).
    func submit(_ commands: [Command]) async -> [Result<Outcome, ContexError>] {
        let commands = Attribution.current.map { attribution in commands.map { attribution.of($0) } } ?? commands
        guard configuration.journal != .off else { return await log.submit(commands.map { Proposal($0) }) }
        do {
            // What is large would keep the thread of somebody's connection.
            let isHeavy = commands.reduce(0) { $0 + $1.weight } > Limits.lightBytes
            let drafts = isHeavy ? try await onHeavyPool { commands.map(JournalText.draft) } : commands.map(JournalText.draft)
            return await log.submit(zip(commands, drafts).map { Proposal($0, draft: $1) })
        } catch {
            let failure = ContexError(anyError: error)
            return commands.map { _ in .failure(failure) }
        }
    }

    func submit(_ command: Command) async throws(ContexError) -> Outcome { try await submit([command])[0].get() }
}

extension Outcome {
    /// An outcome of another kind than its command's.
    package var mismatch: ContexError { ContexError(.bug, "a command came to an outcome of another kind") }
}
