// What a fresh node is to a standing need: the similarity that a query of the same words would give it.

internal import Attributes
internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
public import Needs
public import Search
internal import Vectors

/// Scores by the statistics of one moment.
struct NeedScorer {
    let scope: TenantScope
    let routing: Command.Routing
    private let index: TextIndex
    let analyzer: Analyzer
    private let project: Calibration.Project
    let mean: VectorMean?

    init(_ scope: TenantScope, dimension: Int, _ routing: Command.Routing, in view: borrowing TransactionView) throws {
        self.scope = scope
        self.routing = routing
        index = TextIndex(scope: scope)
        analyzer = try index.options(in: view).analyzer
        project = Calibration.standard.project(try index.statistics(in: view).features)
        mean = try VectorIndex(scope: scope, dimension: dimension).mean(in: view)
    }

    func mode(_ need: StandingNeed) -> SearchMode { need.settings.mode.map { SearchMode($0) } ?? routing.mode }

    func threshold(_ need: StandingNeed) -> Double { need.settings.minSimilarity ?? routing.threshold }

    /// How near a need is to the project, and its least cut: without a shared term it scores no more than under that.
    func cut(ofVector vector: [Float]) -> (meanCosine: Float, least: Float) {
        let cosine = vector.isEmpty ? 0 : mean?.cosine(vector[...]) ?? 0
        return (cosine, Calibration.standard.leastCut(project, meanCosine: cosine))
    }

    /// Of all needs whose cosine to the mean is at least this.
    func leastCut(meanCosine cosine: Float, deviation: Float = 0) -> Float {
        Calibration.standard.leastCut(project, meanCosine: cosine, deviation: deviation)
    }

    /// A match of a need and a unit: which node, and how similar its best passage is.
    struct Score {
        let node: NodeID
        let similarity: Double
        /// Of the best passage.
        let parts: ScoreParts
        let mode: SearchMode
        /// What the similarity had to be.
        let threshold: Double
    }

    /// nil when the unit does not reach the need's threshold.
    /// - Parameter terms: of the unit; nil looks them up.
    func score(
        _ need: StandingNeed, _ query: ResolvedTextQuery, _ unit: FreshUnit, _ terms: FreshTerms? = nil, in view: borrowing TransactionView
    ) throws -> Score? {
        let (mode, threshold) = (mode(need), threshold(need))
        let cut = mode == .hybrid ? cut(ofVector: need.vector) : (meanCosine: 0, least: 0)
        var best: (similarity: Double, parts: ScoreParts)?
        var weights: QueryWeights?
        for passage in unit.passages {
            let cosine = !need.vector.isEmpty && !passage.vector.isEmpty ? VectorMath.dot(need.vector[...], passage.vector) : nil
            var parts = ScoreParts(cosine: cosine, bm25: 0, ceiling: 0, cut: cut.least)
            var gain: Float = 0
            if mode != .semantic {
                // Terms are looked up only where the score can depend on them.
                let sharesTerm = passage.text.hasTerm(of: query.query)
                if sharesTerm || (mode == .hybrid && Double(parts.similarity(mode)) >= threshold) {
                    let known = try weights ?? index.weights(query, known: { terms?.documents(of: $0) }, in: view)
                    weights = known
                    if sharesTerm {
                        parts.bm25 = known.score(passage.text)
                        gain = known.gain(passage.text, in: unit.whole)
                        parts.exactWord = known.exactWord(passage.text).map { ExactWord($0) }
                    }
                    parts.ceiling = known.ceiling
                    if mode == .hybrid {
                        parts.cut = Calibration.standard.cut(known.features, meanCosine: cut.meanCosine)
                        parts.shareCut = known.shareCut
                    }
                    parts = parts.gaining(gain)
                }
            }
            // Without a vector only a word they share is a reason, however low the threshold.
            if mode != .keyword, cosine == nil, parts.bm25 == 0 { continue }
            let similarity = Double(parts.similarity(mode))
            if similarity > best?.similarity ?? -.infinity { best = (similarity, parts) }
        }
        guard let best, best.similarity >= threshold else { return nil }
        return Score(node: unit.node(answering: weights), similarity: best.similarity, parts: best.parts, mode: mode, threshold: threshold)
    }

    func query(_ need: StandingNeed) -> ResolvedTextQuery { ResolvedTextQuery(TextQuery(need.text, analyzer: analyzer)) }
}

extension StandingNeed {
    /// Whether it may match nodes of a document at all.
    /// - Throws: `.damaged` for a filter that is none.
    func admits(_ document: @autoclosure () throws -> DocumentAttributes?) throws -> Bool {
        guard let text = settings.filter else { return true }
        guard let document = try document() else { return false }
        return try Filter(stored: text).passes(document)
    }
}

extension Filter {
    /// One that was checked when it came.
    init(stored text: String) throws {
        do {
            self = try Filter(EventData.parsed(Array(text.utf8)))
        } catch {
            throw ContexError.damaged("a need has a filter that cannot be read: run 'contex check'")
        }
    }
}

extension SearchMode {
    init(_ mode: NeedSettings.Mode) {
        switch mode {
        case .hybrid: self = .hybrid
        case .semantic: self = .semantic
        case .keyword: self = .keyword
        }
    }

    public var ofNeeds: NeedSettings.Mode {
        switch self {
        case .hybrid: .hybrid
        case .semantic: .semantic
        case .keyword: .keyword
        }
    }
}
