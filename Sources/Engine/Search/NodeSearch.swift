// The search of one project on one snapshot, for queries and for the needs of a registration, in four steps:
//
//     candidates (Candidates.swift)  ->  both scores of each  ->  one similarity and the threshold  ->  records of the best

internal import Attributes
internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Search
internal import Vectors

/// What is looked for: words, their vector, or both.
struct Question {
    let text: String
    /// Unit length; nil in `.keyword` mode, and for a text that the model cannot read.
    let vector: [Float]?
    /// A query's signs count (docs/query-syntax.md); a need is plain words.
    var hasSyntax = false

    /// The signs of the text, nil when it is plain words.
    func syntax(_ mode: SearchMode, _ analyzer: Analyzer) -> TextSearchQuery? {
        guard hasSyntax, mode != .semantic, TextSearchQuery.mayHaveSigns(text) else { return nil }
        let syntax = TextSearchQuery(text, analyzer: analyzer, isField: QueryFields.isField)
        return syntax.isPlain ? nil : syntax
    }
}

struct NodeSearch {
    let scope: TenantScope
    let dimension: Int
    let mode: SearchMode
    let threshold: Double
    var fusion = Fusion.calibrated
    var explain = false
    /// Of the search among vectors; nil leaves it to the index.
    var effort: SearchEffort? = nil
    /// The nodes that may be found, of a past the places; nil: all.
    var passing: NodeSet? = nil
    /// With a filter: how many pass, of how many.
    var filtered: QueryAnswer.Filtered? = nil
    /// nil: the best, and no more.
    var page: MatchPage? = nil
    /// In hybrid mode, when another thread was asked to help; good for one search.
    var textSide: TextSide? = nil

    /// What a search found, copied out of the snapshot.
    struct Retrieved {
        let candidates: Candidates
        /// Best first.
        var hits: [(hit: Hit, record: NodeRecord, metadata: JSONObject)] = []
        /// Of the records and their metadata.
        var bytes = 0
        /// Matches behind them that were left, so that the answer does not become larger than it may be.
        var left = 0
        /// Of pages: there are matches behind these.
        var hasMore = false
    }

    /// The hits that are wanted of all candidates.
    private func wanted(_ candidates: Candidates, _ count: Int, _ found: inout Retrieved) -> ArraySlice<Hit> {
        guard let page else { return rank(candidates, best: count)[...] }
        let hits = rank(candidates, best: page.offset + count + 1).dropFirst(page.offset)
        found.hasMore = hits.count > count
        return hits.prefix(count)
    }

    /// At most `count` nodes of at least the threshold, in the order of `fusion`, equal ones by node number; no more than `Limits.answerBytes` of
    /// them, and at least one.
    func retrieve(_ question: Question, count: Int, in view: borrowing TransactionView) throws -> Retrieved {
        var found = Retrieved(candidates: try Candidates(question, count: count, depth: depth, of: self, in: view))
        let documents = DocumentStore(scope: scope)
        var metadata = try MetadataReader(scope, in: view)
        let hits = wanted(found.candidates, count, &found)
        for (place, hit) in hits.enumerated() {
            let record = try documents.indexed(hit.node, in: view)
            let own = try metadata.metadata(of: record.document, in: view)
            let bytes = record.byteCount + own.bytes
            if place > 0, found.bytes + bytes > Limits.answerBytes {
                if page == nil { found.left = hits.count - place } else { found.hasMore = true }
                break
            }
            found.bytes += bytes
            found.hits.append((hit, record, own.metadata))
        }
        return found
    }

    private var depth: Int? { page == nil ? nil : Limits.pagedMatches }

    /// Where a page goes on, for one that was asked for.
    func paging(_ found: Retrieved?) -> QueryAnswer.Paging? {
        guard let page else { return nil }
        return .init(next: found?.hasMore == true ? page.next(after: found?.hits.count ?? 0) : nil)
    }

    /// The answer that was found.
    /// - Throws: `.damaged`
    func matches(_ found: Retrieved) throws -> [Match] {
        try found.hits.enumerated().map { place, entry in
            let explanation = explain ? try self.explanation(of: entry.hit, rank: (page?.offset ?? 0) + place + 1, entry.record, found.candidates) : nil
            var match = try Match(entry.hit.node, entry.record, similarity: Double(entry.hit.similarity), explanation: explanation)
            match.metadata = entry.metadata
            return match
        }
    }

    /// At most `count` nodes of a project's past, bounded like those of the present.
    func retrieve(_ question: Question, count: Int, among past: PastNodes, _ countTokens: (String) -> Int) throws -> Retrieved {
        var found = Retrieved(candidates: Candidates(question, count: count, depth: depth, of: mode, passing: passing, among: past))
        let hits = wanted(found.candidates, count, &found)
        for (place, hit) in hits.enumerated() {
            let bytes = past[hit.node].byteCount
            if place > 0, found.bytes + bytes > Limits.answerBytes {
                if page == nil { found.left = hits.count - place } else { found.hasMore = true }
                break
            }
            found.bytes += bytes
            found.hits.append((hit, try past.record(of: hit.node, countTokens), past[hit.node].attributes.metadata))
        }
        return found
    }

    /// A candidate with its similarity.
    struct Hit {
        let node: NodeID
        let parts: ScoreParts
        let similarity: Float
        /// What the hits are ordered by.
        let rank: Double

        /// - Parameter rank: nil orders by the similarity.
        init(node: NodeID, parts: ScoreParts, similarity: Float, rank: Double? = nil) {
            self.node = node
            self.parts = parts
            self.similarity = similarity
            self.rank = rank ?? Double(similarity)
        }
    }

    /// The candidates of at least the threshold, best first.
    /// - Parameter count: more are not wanted.
    func rank(_ candidates: Candidates, best count: Int = .max) -> [Hit] {
        var order: [NodeID: Double]?
        if mode == .hybrid, fusion.method != .calibrated {
            order = fusion.order(
                nearest: candidates.nearestMatches.map(\.node), lexical: candidates.lexicalMatches.map(\.node),
                parts: Dictionary(uniqueKeysWithValues: candidates.scored.map { ($0.node, $0.parts) }))
        }
        var hits: [Hit] = []
        hits.reserveCapacity(candidates.scored.count)
        for (node, parts) in candidates.scored {
            let similarity = parts.similarity(mode)
            guard Double(similarity) >= threshold else { continue }
            hits.append(Hit(node: node, parts: parts, similarity: similarity, rank: order?[node]))
        }
        if count > 0, hits.count / 2 > count {
            // Numbers are sorted in a fraction of the time.
            let least = hits.map(\.rank).sorted(by: >)[count - 1]
            hits.removeAll { $0.rank < least }
        }
        hits.sort { $0.rank == $1.rank ? $0.node < $1.node : $0.rank > $1.rank }
        return Array(hits.prefix(count))
    }

    /// - Parameter rank: the place among all that reach the threshold, nil when it does not.
    func explanation(of hit: Hit, rank: Int?, _ record: NodeRecord, _ candidates: Candidates) throws(ContexError) -> Explanation {
        Explanation(
            mode: mode, rank: rank, similarity: Double(hit.similarity), threshold: threshold, parts: hit.parts.contributions(mode),
            cosine: hit.parts.cosine.map(Double.init), bm25: Double(hit.parts.bm25), bm25Ceiling: Double(candidates.weights.ceiling),
            terms: candidates.weights.explain(AnalyzedText(try record.indexedText, analyzer: candidates.analyzer)).map { ($0.term, Double($0.score)) },
            fusion: fusion.method, vectorRank: candidates.vectorRank(of: hit.node), textRank: candidates.textRank(of: hit.node),
            weights: weights(hit))
    }

    private func weights(_ hit: Hit) -> [(name: String, value: Double)] {
        let fused = fusion.method == .calibrated || mode != .hybrid
            ? [] : [("semantic", fusion.weights.semantic), ("keyword", fusion.weights.keyword)]
        return hit.parts.calibrated.weights + fused
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
