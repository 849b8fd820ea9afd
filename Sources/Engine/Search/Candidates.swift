// The nodes that either index finds, each with both its true scores: a node that one side found is not given 0 on the other.

internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Measures
internal import Search
internal import Vectors

struct Candidates {
    /// Of the vector index, nearest first; empty in `.keyword` mode, and for a question without a vector.
    let nearestMatches: [VectorMatch]
    /// Of the text index, best first; empty in `.semantic` mode.
    let lexicalMatches: [TextMatch]
    /// The query's terms under the statistics of the snapshot.
    let weights: QueryWeights
    /// Of the project's text index: what its texts and so the query went through.
    let analyzer: Analyzer
    /// The nodes that the query's signs and fields leave; what the text index demands by itself is in it when there is a vector, or when
    /// `tellsWhy` is asked for.
    let admission: Admission
    /// The decision cut of the question: what a candidate must sum up to for a similarity of 0.5.
    let decisionCut: Float
    /// All of both.
    let scored: [(node: NodeID, parts: ScoreParts)]
    /// One of the indexes gave as many as it was asked for: it may have more.
    let mayHaveMore: Bool
    /// Documents may have several entries.
    let hasWholes: Bool
    /// Of the question's fields, when it has some that only nodes know.
    private let fields: QueryFields?
    /// Which of gathered nodes answers.
    var choice: NodeChoice { NodeChoice(weights: weights, analyzer: analyzer, fields: fields) }

    /// What each index is asked for in hybrid mode: enough that fusion rarely misses a node that is middling on both sides.
    /// Words alone are asked for as many as are looked at again, where that may change the order.
    static func count(for answers: Int, _ mode: SearchMode, hasWholes: Bool) -> Int {
        switch mode {
        case .hybrid: max(100, 4 * answers)
        case .keyword: hasWholes ? Wholes.lookMax(answers) : answers
        case .semantic: answers
        }
    }

    /// - Parameter depth: what each index is asked for; nil: what `count` answers need.
    init(_ question: Question, count: Int, depth: Int? = nil, of search: NodeSearch, tellsWhy: Bool = false, in view: borrowing TransactionView) throws {
        let vectors = VectorIndex(scope: search.scope, dimension: search.dimension)
        let texts = TextIndex(scope: search.scope)
        hasWholes = try DocumentStore(scope: search.scope).hasWholes(in: view)
        analyzer = try texts.options(in: view).analyzer
        var query = TextSide.Ask.Query.plain(question.text, analyzer)
        var admission = Admission()
        if let passing = search.passing { admission.meet(passing) }
        var fields = admission
        var asked: QueryFields?
        if let syntax = question.syntax(search.mode, analyzer) {
            let resolved = try texts.resolve(syntax, in: view)
            query = .resolved(resolved)
            let own = QueryFields(syntax.fields)
            asked = own
            fields.meet(try own.admission(search.scope, in: view))
            admission = fields
            if search.mode != .keyword || tellsWhy { admission.meet(try texts.selection(resolved, in: view)) }
        }
        self.admission = admission
        self.fields = asked
        let wanted = depth ?? Self.count(for: count, search.mode, hasWholes: hasWholes)
        func graph(in view: borrowing TransactionView) throws -> [VectorMatch] {
            guard let vector = question.vector else { return [] }
            let walking = Stopwatch()
            defer { search.watch?.note(.vectors, walking) }
            return try admission.admitsAll
                ? vectors.search(vector, count: wanted, effort: search.effort, in: view)
                : vectors.search(vector, count: wanted, effort: search.effort, filter: admission.filter, in: view)
        }
        if search.mode == .semantic {
            (nearestMatches, lexicalMatches, weights) = (try graph(in: view), [], try texts.weights(query.resolved, in: view))
            decisionCut = Calibration.standard.cut(weights.features, meanCosine: 0)
            scored = Self.scored(nearestMatches, lexicalMatches, [], weights, decisionCut)
            mayHaveMore = nearestMatches.count >= wanted
            return
        }
        let ask = TextSide.Ask(
            snapshot: view.state, texts: texts, query: query, count: wanted, fields: fields, vectors: vectors,
            vector: search.mode == .hybrid ? question.vector : nil, watch: search.watch)
        let text: TextSide.Retrieved
        if search.mode == .keyword {
            (nearestMatches, text) = ([], try ask.search(in: view, known: []) { [] })
        } else if let side = search.textSide {
            (nearestMatches, text) = try side.search(ask, in: view) { try graph(in: $0) }
        } else {
            let answer = try graph(in: view)
            let nodes = answer.map(\.node)
            (nearestMatches, text) = (answer, try ask.search(in: view, known: nodes) { nodes })
        }
        (lexicalMatches, weights) = (text.matches, text.weights)
        decisionCut = try search.decisionCut(question, weights, in: view)
        let first = Self.scored(nearestMatches + text.cosines, lexicalMatches + text.others, text.exact, weights, decisionCut)
        scored = try search.lookingAgain(first, weights, count: depth == nil ? count : Wholes.pagedCount, in: view)
        mayHaveMore = max(nearestMatches.count, lexicalMatches.count) >= wanted
    }

    /// The same from nodes in memory, each of which is looked at.
    init(_ question: Question, count: Int, depth: Int? = nil, of mode: SearchMode, passing: NodeSet?, among past: PastNodes) {
        analyzer = past.analyzer
        hasWholes = true
        let texts = past.texts
        var fields: QueryFields?
        let query: ResolvedTextQuery
        if let syntax = question.syntax(mode, analyzer) {
            query = texts.resolve(syntax)
            fields = QueryFields(syntax.fields)
        } else {
            query = ResolvedTextQuery(TextQuery(question.text, analyzer: analyzer))
        }
        weights = texts.weights(query)
        let wanted = depth ?? Self.count(for: count, mode, hasWholes: hasWholes)
        var fits = [Bool](repeating: false, count: past.entryCount)
        for unit in past.units {
            let fitting = fields.map { fields in unit.records.contains { fields.admit($0, unit.attributes) } } ?? true
            for entry in unit.entries { fits[entry] = fitting && passing?.contains(PastNodes.id(entry)) ?? true }
        }
        var admission = Admission()
        let admitted = fits.indices.filter { fits[$0] && texts.admits(query, $0) }
        if admitted.count < past.entryCount { admission.meet(.only(admitted.map(PastNodes.id))) }
        self.admission = admission
        self.fields = fields
        lexicalMatches =
            mode == .semantic
            ? [] : texts.search(query, weights, count: wanted) { fits[$0] }.map { TextMatch(node: PastNodes.id($0.place), score: $0.score) }
        var cosines: [VectorMatch] = []
        let vector = mode == .keyword ? nil : question.vector
        if let vector {
            for place in admitted {
                guard let cosine = past.cosine(vector, PastNodes.id(place)) else { continue }
                cosines.append(VectorMatch(node: PastNodes.id(place), cosine: cosine))
            }
            cosines.sort { $0.cosine != $1.cosine ? $0.cosine > $1.cosine : $0.node < $1.node }
        }
        nearestMatches = Array(cosines.prefix(wanted))
        var scores = lexicalMatches
        var exact: [(node: NodeID, rarity: Rarity)] = []
        for place in admitted where mode != .semantic {
            if let rarity = weights.exactWord(texts[place]) { exact.append((PastNodes.id(place), rarity)) }
        }
        let lexical = NodeSet(lexicalMatches.map(\.node))
        for (node, _) in exact where !lexical.contains(node) { scores.append(TextMatch(node: node, score: weights.score(texts[PastNodes.place(node)]))) }
        if mode == .hybrid {
            let (found, scored) = (NodeSet(nearestMatches.map(\.node)), NodeSet(scores.map(\.node)))
            cosines = nearestMatches
            for match in scores where !found.contains(match.node) {
                guard let cosine = vector.flatMap({ past.cosine($0, match.node) }) else { continue }
                cosines.append(VectorMatch(node: match.node, cosine: cosine))
            }
            for match in nearestMatches where !scored.contains(match.node) {
                scores.append(TextMatch(node: match.node, score: weights.score(texts[PastNodes.place(match.node)])))
            }
        }
        decisionCut = Calibration.standard.cut(weights.features, meanCosine: mode == .hybrid ? vector.map(past.meanCosine) ?? 0 : 0)
        let first = Self.scored(mode == .hybrid ? cosines : nearestMatches, scores, exact, weights, decisionCut)
        scored = NodeSearch.lookingAgain(first, weights, mode, count: depth == nil ? count : Wholes.pagedCount, among: past)
        mayHaveMore = max(nearestMatches.count, lexicalMatches.count) >= wanted
    }

    /// Both scores of each node that has one of them; without a vector there is no cosine, without a shared word the other is 0.
    private static func scored(
        _ cosines: [VectorMatch], _ scores: [TextMatch], _ exact: [(node: NodeID, rarity: Rarity)], _ weights: QueryWeights, _ cut: Float
    ) -> [(node: NodeID, parts: ScoreParts)] {
        var table = ScoreTable(nodesMax: cosines.count + scores.count, ceiling: weights.ceiling, cut: cut, shareCut: weights.shareCut)
        for match in cosines { table.note(match.node, cosine: match.cosine) }
        for match in scores { table.note(match.node, bm25: match.score) }
        for (node, rarity) in exact { table.note(node, ExactWord(rarity)) }
        return table.scored
    }

    /// Places count from 1; nil when the node is not among the candidates of that side.
    func vectorRank(of node: NodeID) -> Int? { nearestMatches.firstIndex { $0.node == node }.map { $0 + 1 } }
    func textRank(of node: NodeID) -> Int? { lexicalMatches.firstIndex { $0.node == node }.map { $0 + 1 } }
}

extension NodeSearch {
    /// The decision cut of a question; in a mode that has no use for it, without the vectors' part.
    func decisionCut(_ question: Question, _ weights: QueryWeights, in view: borrowing TransactionView) throws -> Float {
        guard mode == .hybrid, let vector = question.vector else { return Calibration.standard.cut(weights.features, meanCosine: 0) }
        let mean = try VectorIndex(scope: scope, dimension: dimension).mean(in: view)
        return Calibration.standard.cut(weights.features, meanCosine: mean?.cosine(vector[...]) ?? 0)
    }

    /// Both true scores of any nodes, candidates or not.
    /// - Parameter cut: of the question.
    func scores(
        of nodes: [NodeID], _ question: Question, _ weights: QueryWeights, cut: Float, in view: borrowing TransactionView
    ) throws -> [ScoreParts] {
        let nothing = [Float?](repeating: nil, count: nodes.count)
        let cosines = try question.vector.map { try VectorIndex(scope: scope, dimension: dimension).cosines($0, of: nodes, in: view) } ?? nothing
        let texts = TextIndex(scope: scope)
        let scores = mode == .semantic ? nothing : try texts.scores(weights, of: nodes, in: view)
        let exact = mode == .semantic ? [:] : try texts.exact(weights, in: view)
        let gains = mode == .semantic ? [Float](repeating: 0, count: nodes.count) : try gains(of: nodes, weights, in: view)
        return nodes.indices.map { place in
            let bm25 = scores[place] ?? 0
            return ScoreParts(
                cosine: cosines[place], bm25: bm25, ceiling: max(weights.ceiling, bm25), cut: cut, shareCut: weights.shareCut,
                exactWord: exact[nodes[place]].map { ExactWord($0) }
            ).gaining(gains[place])
        }
    }

    /// The same of nodes of the past.
    func scores(of nodes: [NodeID], _ question: Question, _ weights: QueryWeights, cut: Float, among past: PastNodes) -> [ScoreParts] {
        nodes.map { node in
            let text = past.texts[PastNodes.place(node)]
            let bm25 = mode == .semantic ? 0 : weights.score(text)
            return ScoreParts(
                cosine: question.vector.flatMap { past.cosine($0, node) }, bm25: bm25, ceiling: max(weights.ceiling, bm25), cut: cut,
                shareCut: weights.shareCut,
                exactWord: mode == .semantic ? nil : weights.exactWord(text).map { ExactWord($0) }
            ).gaining(mode == .semantic ? 0 : past.gain(node, weights))
        }
    }
}
