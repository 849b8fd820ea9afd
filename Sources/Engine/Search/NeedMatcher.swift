// Standing queries: each publish is held against every need of its project, with the score and the threshold of a query.
//
// Needs are kept in memory per project, their vectors in one flat array, and read again when the store's generation
// number says that agents came or went. One publish of n new nodes costs (n + 1) x needs dot products of 384 numbers (10,000
// needs: about 1 ms each; the one more says how near each need is to the project) plus, for the needs that share a term with the node or
// whose cosine alone may do, one look-up per term.
//
// Source of the idea: percolation in search engines; Yan and Garcia-Molina, "The SIFT information dissemination system",
// TODS 24(4), 1999.

internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Needs
internal import Search
internal import Synchronization
internal import Vectors

/// A passage that has just been written, with what matching needs of it.
struct FreshPassage {
    /// Its number in the indexes.
    let entry: NodeID
    /// No numbers for a text that the model cannot read.
    let vector: [Float]
    let text: AnalyzedText
}

/// The passages of a node that has just been written, or the one of several that are gathered.
struct FreshUnit {
    let nodes: [NodeID]
    let passages: [FreshPassage]
    /// Of each gathered node.
    fileprivate let nodeTexts: [AnalyzedText]

    init(_ unit: IndexedUnit, vectors: [[Float]], _ analyzed: (texts: [AnalyzedText], ofNodes: [AnalyzedText])) throws(ContexError) {
        guard vectors.count == unit.entries.count, analyzed.texts.count == vectors.count else {
            throw .damaged("'\(unit.records[0].nodeKey)' has \(unit.entries.count) passages and \(vectors.count) vectors")
        }
        nodes = unit.nodes
        passages = zip(unit.entries, zip(vectors, analyzed.texts)).map { FreshPassage(entry: $0, vector: $1.0, text: $1.1) }
        nodeTexts = analyzed.ofNodes
    }

    /// The node that a need's words stand in: of gathered ones that with the most of them, else the first.
    fileprivate func node(answering weights: QueryWeights?) -> NodeID {
        guard let weights, !nodeTexts.isEmpty else { return nodes[0] }
        return nodes[weights.best(of: nodeTexts)]
    }
}

extension QueryWeights {
    /// The place of the text that has the most of the query; of equal ones the first.
    func best(of texts: [AnalyzedText]) -> Int {
        var (best, most) = (0, Float(0))
        for (place, text) in texts.enumerated() {
            let score = score(text)
            if score > most { (best, most) = (place, score) }
        }
        return best
    }
}

/// Why an agent hears of a node.
struct NeedMatch {
    let node: NodeID
    /// The place of the need among the agent's: the first of them that the node matches.
    let need: UInt32
    let similarity: Double
}

package final class NeedMatcher: Sendable {
    /// The needs of one project as of one generation.
    final class Standing: Sendable {
        struct Need: Sendable {
            let agent: UInt32
            let index: UInt32
            let query: ResolvedTextQuery
            /// The model can read it.
            let hasVector: Bool
        }
        let generation: UInt64
        /// Of the project's text index: what the needs' words went through.
        let analyzer: Analyzer
        let names: [UInt32: Name]
        let needs: [Need]
        /// needs x dimension; zeros for a need without a vector.
        let vectors: [Float]

        init(generation: UInt64, analyzer: Analyzer, names: [UInt32: Name], needs: [Need], vectors: [Float]) {
            self.generation = generation
            self.analyzer = analyzer
            self.names = names
            self.needs = needs
            self.vectors = vectors
        }
    }

    private let known = Mutex<[TenantScope: Standing]>([:])

    /// Forgets everything: to be called when a transaction was aborted, because a generation that was seen in it may come again
    /// with other needs.
    package func forget() { known.withLock { $0 = [:] } }

    func standing(_ scope: TenantScope, dimension: Int, in view: borrowing TransactionView) throws -> Standing {
        let store = NeedStore(scope: scope)
        let generation = try store.generation(in: view)
        let analyzer = try TextIndex(scope: scope).options(in: view).analyzer
        if let standing = known.withLock({ $0[scope] }), standing.generation == generation, standing.analyzer == analyzer { return standing }
        let records = try store.needs(in: view)
        let standing = Standing(
            generation: generation, analyzer: analyzer,
            names: Dictionary(uniqueKeysWithValues: try store.agents(in: view).map { ($0.number, $0.name) }),
            needs: records.map {
                Standing.Need(
                    agent: $0.agent, index: $0.index, query: ResolvedTextQuery(TextQuery($0.text, analyzer: analyzer)), hasVector: !$0.vector.isEmpty)
            },
            vectors: records.flatMap { $0.vector.isEmpty ? [Float](repeating: 0, count: dimension) : $0.vector })
        known.withLock { $0[scope] = standing }
        return standing
    }

    /// The agents whose needs match, and with which nodes, in the order of nodes. Of a node the passage counts that is most like the need.
    func match(
        _ units: [FreshUnit], scope: TenantScope, dimension: Int, routing: Command.Routing, in view: borrowing TransactionView
    ) throws -> [UInt32: [NeedMatch]] {
        let (mode, threshold) = (routing.mode, routing.threshold)
        let standing = try standing(scope, dimension: dimension, in: view)
        guard !standing.needs.isEmpty else { return [:] }
        let index = TextIndex(scope: scope)
        func vector(_ place: Int) -> ArraySlice<Float> { standing.vectors[place * dimension..<(place + 1) * dimension] }
        // Of each need, how near it is to the project, and its least cut: without a shared term it scores no more than under that.
        var cuts: [(meanCosine: Float, least: Float)] = []
        if mode == .hybrid {
            let project = Calibration.standard.project(try index.statistics(in: view).features)
            let mean = try VectorIndex(scope: scope, dimension: dimension).mean(in: view)
            cuts = standing.needs.indices.map { place in
                let cosine = mean?.cosine(vector(place)) ?? 0
                return (cosine, Calibration.standard.leastCut(project, meanCosine: cosine))
            }
        }
        var matched: [UInt32: [NeedMatch]] = [:]
        for unit in units {
            // The needs of an agent stand one after another.
            var done: UInt32?
            let terms = unit.passages.map { Set($0.text.frequencies.map(\.term)) }
            for (place, need) in standing.needs.enumerated() where need.agent != done {
                var best = -Double.infinity
                var weights: QueryWeights?
                for (passage, terms) in zip(unit.passages, terms) {
                    let cosine = need.hasVector && !passage.vector.isEmpty ? VectorMath.dot(vector(place), passage.vector) : nil
                    var parts = ScoreParts(cosine: cosine, bm25: 0, ceiling: 0, cut: mode == .hybrid ? cuts[place].least : 0)
                    if mode != .semantic {
                        // Terms are looked up only where the score can depend on them.
                        let sharesTerm = need.query.query.terms.contains(where: terms.contains)
                        if sharesTerm || (mode == .hybrid && Double(parts.similarity(mode)) >= threshold) {
                            let known = try weights ?? index.weights(need.query, in: view)
                            weights = known
                            if sharesTerm {
                                parts.bm25 = known.score(passage.text)
                                parts.exactWord = known.exactWord(passage.text).map { ExactWord($0) }
                            }
                            parts.ceiling = known.ceiling
                            if mode == .hybrid {
                                parts.cut = Calibration.standard.cut(known.features, meanCosine: cuts[place].meanCosine)
                                parts.shareCut = known.shareCut
                            }
                        }
                    }
                    // Without a vector only a word they share is a reason, however low the threshold.
                    if mode != .keyword, cosine == nil, parts.bm25 == 0 { continue }
                    best = max(best, Double(parts.similarity(mode)))
                }
                guard best >= threshold else { continue }
                matched[need.agent, default: []].append(NeedMatch(node: unit.node(answering: weights), need: need.index, similarity: best))
                done = need.agent
            }
        }
        return matched
    }
}
