// The one way from a command to the bytes of the store.
//
// A function of the command and of what the store holds, nothing else: it reads no clock, asks no model, draws no random number, and waits
// for nobody. It is run by the writer's thread for what clients want (Log/Writer.swift), and by the readers of a journal (Log/JournalText.swift).
// Apart from the tools that work on a folder that nobody serves (Maintenance), nothing else writes: `tools/tidy`
// holds that.
//
// A command that is refused is refused before its first write, or undone with its transaction: Writer.swift has the rules.

internal import Base
internal import Documents
package import Journal
internal import KeySpace
package import LMDB
internal import Vectors

package struct Applier: Sendable {
    /// Of the store's vectors.
    let dimension: Int
    let matcher: NeedMatcher
    let journal: JournalWindow

    package init(dimension: Int, matcher: NeedMatcher, journal: JournalWindow = .off) {
        self.dimension = dimension
        self.matcher = matcher
        self.journal = journal
    }

    /// What a command may touch, and what it leaves.
    struct Work {
        /// The place that the command has among all that changed the store.
        let position: Position
        /// Takes what the indexes are to get, for whoever writes many documents together; nil writes it at once.
        let indexing: ImportIndexing?
        var effects = Effects()
        /// The event that a publish left, where the journal finds its data again.
        var event: (scope: TenantScope, sequence: Sequence)?

        /// The log of a project has more than before, or is another one.
        mutating func grows(_ tenant: TenantID, _ project: Name, isReplaced: Bool = false) {
            effects.logs[ProjectLog(tenant: tenant, project: project), default: false] = isReplaced
        }
    }

    /// Applies a command, and gives it the next position if it changed anything that is not only this server's.
    ///
    /// - Parameters:
    ///   - draft: the command as the journal is to keep it; nil keeps none.
    /// - Throws: whatever refuses it (`.notFound`, `.conflict`, `.invalid`, `.limited`), `.storageFull`, `.damaged`.
    package func apply(
        _ command: Command, draft: JournalDraft? = nil, indexing: ImportIndexing? = nil, in transaction: inout WriteTransaction
    ) throws -> (outcome: Outcome, effects: Effects) {
        let before = try StorePosition.load(transaction.view)
        guard before.position.rawValue < .max else { throw ContexError.damaged("the store says that it has had more commands than there can be") }
        var work = Work(position: before.position.next, indexing: indexing)
        try refuseGone(command.tenant, in: transaction.view)
        let mutations = transaction.mutationCount
        let outcome = try outcome(of: whole(command, in: transaction.view), &work, in: &transaction)
        try removeParts(of: command, in: &transaction)
        if transaction.mutationCount > mutations, !command.isLocal {
            let reached = StorePosition(position: work.position, time: command.time)
            try reached.store(in: &transaction)
            if let draft, journal != .off {
                try Journal().append(draft, at: reached, event: work.event, window: journal, in: &transaction)
            }
        }
        return (outcome, work.effects)
    }

    /// What a publish would do, by doing it: the caller gives the transaction up.
    func rehearse(_ command: Command.Publish, in transaction: inout WriteTransaction) throws -> Rehearsal {
        var work = Work(position: try StorePosition.load(transaction.view).position.next, indexing: nil)
        work.effects.reached = []
        guard case .published(let receipt) = try publish(command, &work, in: &transaction) else {
            throw ContexError(.bug, "a publish with every vector was called stale")
        }
        let scope = try ProjectRegistry(tenant: command.tenant).scope(of: command.project, in: transaction.view)
        let nodes = try scope.flatMap { try DocumentStore(scope: $0).document(command.key, in: transaction.view)?.nodes.count } ?? 0
        return Rehearsal(project: command.project, key: command.key, changed: receipt.changed, nodes: nodes, agents: work.effects.reached ?? [])
    }

    func outcome(of command: Command, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        switch command {
        case .publish(let command): try publish(command, &work, in: &transaction)
        case .delete(let command): try delete(command, &work, in: &transaction)
        case .register(let command): try register(command, &work, in: &transaction)
        case .unregister(let command): try unregister(command, &work, in: &transaction)
        case .setAnalyzer(let command): try setAnalyzer(command, &work, in: &transaction)
        case .changeKeys(let command): try changeKeys(command, &work, in: &transaction)
        case .importProject(let command): try importProject(command, &work, in: &transaction)
        case .keepQueries(let command): try keepQueries(command, in: &transaction)
        case .acknowledge(let command): try acknowledge(command, in: &transaction)
        case .expireInboxes(let command): try expireInboxes(command, in: &transaction)
        case .noteDeliveries(let command): try noteDeliveries(command, in: &transaction)
        case .changeLetters(let command): try changeLetters(command, &work, in: &transaction)
        case .changeEndpoint(let command): try changeEndpoint(command, &work, in: &transaction)
        case .announce(let command): try announce(command, &work, in: &transaction)
        case .setRateLimit(let command): try setRateLimit(command, &work, in: &transaction)
        case .noteAudit(let command): try noteAudit(command, in: &transaction)
        case .trim(let command): try trim(command, in: &transaction)
        case .setRetention(let command): try setRetention(command, &work, in: &transaction)
        case .erase(let command): try erase(command, &work, in: &transaction)
        case .changeAccounts(let command): try changeAccounts(command, &work, in: &transaction)
        case .changeRoles(let command): try changeRoles(command, &work, in: &transaction)
        case .setGrants(let command): try setGrants(command, &work, in: &transaction)
        case .changeTenant(let command): try changeTenant(command, &work, in: &transaction)
        case .eraseTenant(let command): try eraseTenant(command, in: &transaction)
        case .setTenancy(let command): try setTenancy(command, &work, in: &transaction)
        case .keepPart(let command): try keepPart(command, in: &transaction)
        case .assembled: throw ContexError(.bug, "a command in parts is made whole before it is applied")
        case .judge(let command): try judge(command, in: &transaction)
        case .attributed(let command): try audited(command, &work, in: &transaction)
        }
    }
}
