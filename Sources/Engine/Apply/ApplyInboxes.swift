internal import Base
internal import Documents
internal import Events
internal import Inboxes
internal import KeySpace
internal import LMDB
internal import Needs

extension Applier {
    func acknowledge(_ command: Command.Acknowledge, in transaction: inout WriteTransaction) throws -> Outcome {
        guard let scope = try ProjectRegistry(tenant: command.tenant).scope(of: command.project, in: transaction.view),
            let agent = try NeedStore(scope: scope).agent(command.agent, in: transaction.view)
        else { throw ContexError(.agentNotFound, "Agent not found") }
        let inbox = Inbox(scope: scope, number: agent.inbox)
        let head = try EventLog(scope: scope).head(in: transaction.view)
        let state = try inbox.state(in: transaction.view)
        let oldest = InboxCursor(epoch: head.epoch, sequence: state.expired)
        let sequence = try Database.place(command.cursor, oldest: oldest) ?? .zero
        guard sequence <= head.sequence else { throw Database.beyond(command.cursor, head.sequence, oldest: oldest) }
        // What is acknowledged stays so.
        guard state.acknowledged < sequence else { return .removed(0) }
        return .removed(try inbox.remove(upTo: sequence, isRead: true, in: &transaction))
    }

    /// - Returns: `.removed` with `count` when there may be more.
    func expireInboxes(_ command: Command.ExpireInboxes, in transaction: inout WriteTransaction) throws -> Outcome {
        var gone = 0
        for project in try ProjectRegistry(tenant: command.tenant).entries(in: transaction.view).map(\.project).sorted() {
            let scope = TenantScope(tenant: command.tenant, project: project)
            for number in try Inbox.numbers(scope, in: transaction.view) {
                let inbox = Inbox(scope: scope, number: number)
                guard let last = try expired(inbox, before: command.before, count: command.count - gone, in: transaction.view) else { continue }
                try noteExpired(inbox, upTo: last, at: command.time, in: &transaction)
                gone += try inbox.remove(upTo: last, isRead: false, in: &transaction)
                if gone >= command.count { return .removed(gone) }
            }
        }
        return .removed(gone)
    }

    /// The last of the oldest entries, `count` at most, whose events are older than `before`.
    private func expired(_ inbox: Inbox, before: Timestamp, count: Int, in view: borrowing TransactionView) throws -> Sequence? {
        let log = EventLog(scope: inbox.scope)
        var (last, found): (Sequence?, Int) = (nil, 0)
        try inbox.forEach(after: .zero, in: view) { entry in
            guard found < count, let time = try log.recordedAt(entry.sequence, in: view), time < before else { return .stop }
            last = entry.sequence
            found += 1
            return .onward
        }
        return last
    }

    /// Forgets what every agent of a project was to read, and what was said of it: its events are about to be replaced, and other ones will have their
    /// sequences.
    func clearInboxes(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let needs = NeedStore(scope: scope)
        for name in try needs.names(in: transaction.view) {
            guard var agent = try needs.agent(name, in: transaction.view), !agent.lessons.isEmpty else { continue }
            let places = Set(agent.lessons.map(\.need))
            _ = agent.forget(need: nil, sequence: nil)
            let moved = try needs.relearn(agent, places, in: &transaction)
            try NeedLevels.raise(moved, scope, in: &transaction)
        }
        for number in try Inbox.numbers(scope, in: transaction.view) { try Inbox(scope: scope, number: number).removeAll(in: &transaction) }
    }
}
