// The search of one project on one snapshot, for queries and for the needs of a registration, in four steps:
//
//     candidates (Candidates.swift)  ->  both scores of each  ->  one similarity and the threshold  ->  nodes of the best (FoundNode.swift)

internal import Attributes
internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Measures
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

    /// Whether its signs keep nodes out.
    func hasDemands(_ mode: SearchMode) -> Bool { syntax(mode, Analyzer(.simple))?.hasDemands ?? false }
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
    /// Nothing was as the signs of the query ask: its words were searched.
    var ignoresSigns = false
    /// Who wants to know how long it takes.
    var watch: QueryWatch? = nil
    /// Of the answer, see `QueryRequest`.
    var groups = false
    var ofDocumentMax: Int? = nil

    /// What a search found, copied out of the snapshot.
    struct Retrieved {
        let candidates: Candidates
        /// Best first.
        var hits: [(hit: Hit, found: FoundNode, origin: MatchOrigin)] = []
        /// Of the records and their metadata.
        var bytes = 0
        /// Matches behind them that were left, so that the answer does not become larger than it may be.
        var left = 0
        /// Of pages: there are matches behind these.
        var hasMore = false
    }

    /// Places of the ranking that are wanted for `count` answers: of a page also those before it, and one behind it, which says that there are more.
    private func places(_ count: Int) -> Int { page.map { $0.offset + count + 1 } ?? count }

    /// At most `count` nodes (or documents) of at least the threshold, in the order of `fusion`, equal ones by node number; no more than
    /// `Limits.answerBytes` of them, and at least one.
    func retrieve(_ question: Question, count: Int, in view: borrowing TransactionView) throws -> Retrieved {
        let (candidates, folding) = try folded(question, count: places(count), in: view)
        var origins = OriginReader(scope)
        return try bounded(candidates, folding, count) { try origins.origin(of: $0.record.document, in: view) }
    }

    /// The candidates, and what is left of their ranking when each node has one place: `count` of them, and so many more `beside`, in case.
    /// Where passages of few nodes hold all of it, the indexes are asked for more.
    func folded(
        _ question: Question, count: Int, beside: Int = 0, tellsWhy: Bool = false, in view: borrowing TransactionView
    ) throws -> (candidates: Candidates, folding: NodeFolding) {
        let documents = DocumentStore(scope: scope)
        var search = self
        var wanted = count
        // Long nodes, by each of their entries: a node of megabytes is read once, and not for each of its passages.
        var long: [NodeID: IndexedUnit] = [:]
        while true {
            let candidates = try Candidates(question, count: wanted, depth: depth, of: search, tellsWhy: tellsWhy, in: view)
            let choice = candidates.choice
            watch?.note(nearest: candidates.nearestMatches.count, lexical: candidates.lexicalMatches.count)
            let ranking = Stopwatch()
            defer { watch?.note(.fuse, ranking) }
            let (folding, isShort) = try fold(candidates, count: count, beside: beside) { entry in
                let unit = try long[entry] ?? documents.unit(of: entry, in: view)
                if unit.run != nil, long[entry] == nil { for each in unit.entries { long[each] = unit } }
                return try FoundNode(unit, offset: Int(entry.rawValue - unit.first.rawValue), choice)
            }
            let asked = Candidates.count(for: wanted, mode, hasWholes: candidates.hasWholes)
            guard page == nil, isShort, candidates.mayHaveMore, asked < Limits.widenedCandidates else { return (candidates, folding) }
            wanted = mode == .hybrid ? asked : 4 * asked
            search.textSide = nil
        }
    }

    /// - Returns: also whether places stayed free although the candidates that were folded could have come from farther down.
    private func fold(
        _ candidates: Candidates, count: Int, beside: Int, _ resolve: (NodeID) throws -> FoundNode
    ) rethrows -> (folding: NodeFolding, isShort: Bool) {
        var folding = NodeFolding(count: count + beside, groups: groups, ofDocumentMax: ofDocumentMax)
        let best = rank(candidates, best: count + beside)
        for hit in best { folding.take(hit, try resolve(hit.node)) }
        guard !folding.isFull, best.count == count + beside else { return (folding, false) }
        let all = rank(candidates)
        for hit in all.dropFirst(best.count) where !folding.isFull { folding.take(hit, try resolve(hit.node)) }
        // Where many candidates are below the threshold, those behind them are too.
        return (folding, folding.hasFolded && folding.kept.count < count && 2 * all.count > candidates.scored.count)
    }

    private func bounded(
        _ candidates: Candidates, _ folding: NodeFolding, _ count: Int, origin: (FoundNode) throws -> MatchOrigin
    ) rethrows -> Retrieved {
        var found = Retrieved(candidates: candidates)
        var kept = folding.kept[...]
        if let page {
            kept = kept.dropFirst(page.offset)
            found.hasMore = kept.count > count
            kept = kept.prefix(count)
        }
        for (place, (hit, node)) in kept.enumerated() {
            let own = try origin(node)
            let bytes = node.others.reduce(node.byteCount + own.bytes) { $0 + $1.found.byteCount }
            if place > 0, found.bytes + bytes > Limits.answerBytes {
                if page == nil { found.left = kept.count - place } else { found.hasMore = true }
                break
            }
            found.bytes += bytes
            found.hits.append((hit, node, own))
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
        var rank = page?.offset ?? 0
        func match(_ hit: Hit, _ node: FoundNode, _ origin: MatchOrigin) throws -> Match {
            rank += 1
            let explanation = explain ? try self.explanation(of: hit, rank: rank, node, found.candidates) : nil
            var match = try Match(node, similarity: Double(hit.similarity), explanation: explanation)
            match.take(origin)
            return match
        }
        return try found.hits.map { entry in
            var first = try match(entry.hit, entry.found, entry.origin)
            first.others = try entry.found.others.map { try match($0.hit, $0.found, .none) }
            return first
        }
    }

    /// At most `count` nodes of a project's past, bounded like those of the present.
    func retrieve(_ question: Question, count: Int, among past: PastNodes, _ countTokens: (String) -> Int) throws -> Retrieved {
        let (candidates, folding) = try folded(question, count: places(count), among: past, countTokens)
        return bounded(candidates, folding, count) {
            MatchOrigin(metadata: past.unit(ofNode: $0.node).attributes.metadata, provenance: nil)
        }
    }

    func folded(
        _ question: Question, count: Int, beside: Int = 0, among past: PastNodes, _ countTokens: (String) -> Int
    ) throws -> (candidates: Candidates, folding: NodeFolding) {
        var wanted = count
        while true {
            let candidates = Candidates(question, count: wanted, depth: depth, of: mode, passing: passing, among: past)
            let choice = candidates.choice
            let (folding, isShort) = try fold(candidates, count: count, beside: beside) { try past.found($0, choice, countTokens) }
            guard page == nil, isShort, candidates.mayHaveMore else { return (candidates, folding) }
            wanted *= 4
        }
    }

    /// A candidate with its similarity.
    struct Hit {
        /// The entry of the indexes: the number of a node, or of a further passage of one.
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
    func explanation(of hit: Hit, rank: Int?, _ found: FoundNode, _ candidates: Candidates) throws(ContexError) -> Explanation {
        Explanation(
            mode: mode, rank: rank, similarity: Double(hit.similarity), threshold: threshold, parts: hit.parts.contributions(mode),
            cosine: hit.parts.cosine.map(Double.init), bm25: Double(hit.parts.bm25), bm25Ceiling: Double(candidates.weights.ceiling),
            terms: candidates.weights.explain(AnalyzedText(try found.indexedText, analyzer: candidates.analyzer)).map { ($0.term, Double($0.score)) }
                + (hit.parts.whole > 0 ? [("(document)", Double(hit.parts.whole))] : []),
            fusion: fusion.method, vectorRank: candidates.vectorRank(of: hit.node), textRank: candidates.textRank(of: hit.node),
            weights: weights(hit))
    }

    private func weights(_ hit: Hit) -> [(name: String, value: Double)] {
        let fused = fusion.method == .calibrated || mode != .hybrid
            ? [] : [("semantic", fusion.weights.semantic), ("keyword", fusion.weights.keyword)]
        return hit.parts.calibrated.weights + fused
    }
}
