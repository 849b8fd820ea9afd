internal import Base
internal import Journal
internal import KeySpace
internal import LMDB

extension JournalText {
    /// Takes what the entries refer to of a project's log into them: the log is about to be replaced.
    /// - Complexity: O(journal).
    static func keepEvents(of scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let journal = Journal()
        guard let state = try journal.state(in: transaction.view) else { return }
        var next = state.first
        // A few at a time: the walk may not go on over entries that change.
        while true {
            var found: JournalRecord?
            try journal.forEach(from: next, in: transaction.view) { record in
                guard record.reference?.scope == scope else { return .onward }
                found = record
                return .stop
            }
            guard let record = found else { return }
            try journal.makeWhole(record, body: try whole(record, in: transaction.view), in: &transaction)
            guard record.position < state.last else { return }
            next = record.position.next
        }
    }
}
