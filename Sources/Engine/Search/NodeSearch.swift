// The search of one project on one snapshot, for queries and for the needs of a registration, in four steps:
//
//     candidates (Candidates.swift)  ->  both scores of each  ->  one similarity and the threshold  ->  records of the best

internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Vectors

/// What is looked for: words, their vector, or both.
struct Question {
    let text: String
    /// Unit length; nil in `.keyword` mode.
    let vector: [Float]?
}

struct NodeSearch {
    let scope: TenantScope
    let dimension: Int
    let mode: SearchMode
    let threshold: Double
    var explain = false
    /// Of the search among vectors; nil leaves it to the index.
    var effort: SearchEffort? = nil

    /// At most `count` nodes of at least the threshold, best first, equal ones by node number.
    func matches(_ question: Question, count: Int, in view: borrowing TransactionView) throws -> [Match] {
        let candidates = try Candidates(question, count: count, of: self, in: view)
        let ranked = rank(candidates)
        let documents = DocumentStore(scope: scope)
        return try ranked.prefix(count).enumerated().map { place, hit in
            let record = try documents.indexed(hit.node, in: view)
            let explanation = explain ? self.explanation(of: hit, rank: place + 1, record, candidates) : nil
            return Match(hit.node, record, similarity: Double(hit.similarity), explanation: explanation)
        }
    }

    /// A candidate with its similarity.
    struct Hit {
        let node: NodeID
        let parts: ScoreParts
        let similarity: Float
    }

    /// The candidates of at least the threshold, best first.
    func rank(_ candidates: Candidates) -> [Hit] {
        var hits: [Hit] = []
        for (node, parts) in candidates.parts {
            let similarity = parts.similarity(mode)
            if Double(similarity) >= threshold { hits.append(Hit(node: node, parts: parts, similarity: similarity)) }
        }
        return hits.sorted { $0.similarity == $1.similarity ? $0.node < $1.node : $0.similarity > $1.similarity }
    }

    /// - Parameter rank: the place among all that reach the threshold, nil when it does not.
    func explanation(of hit: Hit, rank: Int?, _ record: NodeRecord, _ candidates: Candidates) -> Explanation {
        Explanation(
            mode: mode, rank: rank, similarity: Double(hit.similarity), threshold: threshold, parts: hit.parts.contributions(mode),
            cosine: Double(hit.parts.cosine), bm25: Double(hit.parts.bm25), bm25Ceiling: Double(candidates.weights.ceiling),
            terms: candidates.weights.explain(AnalyzedText(record.description)).map { ($0.term, Double($0.score)) },
            vectorRank: candidates.vectorRank(of: hit.node), textRank: candidates.textRank(of: hit.node),
            weights: FusionWeights.standard.named)
    }
}

extension DocumentStore {
    /// The record of a node that an index names.
    func indexed(_ node: NodeID, in view: borrowing TransactionView) throws -> NodeRecord {
        guard let record = try self.node(node, in: view) else {
            throw ContexError.damaged("node \(node.rawValue) is indexed but is not there: run 'contex check'")
        }
        return record
    }
}
