internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Needs

/// The matcher's dumb twin: scores every need of every agent.
enum NeedOracle {
    /// - Complexity: O(needs x passages) scores.
    static func match(
        _ units: [FreshUnit], of document: DocumentID, _ scorer: NeedScorer, in view: borrowing TransactionView
    ) throws -> [UInt32: [NeedMatch]] {
        let needs = try NeedStore(scope: scorer.scope).needs(in: view)
        let attributes = try DocumentStore(scope: scorer.scope).document(document, in: view)?.attributes
        var matched: [UInt32: [NeedMatch]] = [:]
        for unit in units {
            // The needs of an agent stand one after another.
            var done: UInt32?
            for record in needs where record.agent != done {
                let need = record.standing
                guard let score = try scorer.score(need, scorer.query(need), unit, in: view), try need.admits(attributes) else { continue }
                matched[record.agent, default: []].append(NeedMatch(need: record.index, score: score))
                done = record.agent
            }
        }
        return matched
    }
}
