// One query: what it finds on a snapshot, and the answer made of that when the snapshot has been let go.
//
// A query that only asks for the best so many takes them as they come. One with a budget or with diversity chooses (ContextPacking)
// among `poolFactor` times as many, because what takes the place of a match that is too large, or says nothing new, stands
// behind them. Records and vectors are copied out of the snapshot; parsing, encoding and counting need none.

internal import Base
internal import Content
internal import Documents
internal import KeySpace
internal import LMDB
internal import Vectors

struct QuerySearch: Sendable {
    let tenant: TenantID
    let request: QueryRequest
    /// Unit length: the asker's own, or that of the text; nil in `.keyword` mode.
    var vector: [Float]?
    let dimension: Int
    let mode: SearchMode
    let effort: SearchEffort?
    let threshold: Double
    let countTokens: @Sendable (String) -> Int

    /// - Throws: `.invalid`, as `Database.query`.
    init(_ tenant: TenantID, _ request: QueryRequest, _ configuration: DatabaseConfiguration, _ models: Models) throws(ContexError) {
        self.tenant = tenant
        self.request = request
        vector = if let own = request.vector { try VectorIndex.unit(own, dimension: models.dimension, field: "query_vector") } else { nil }
        effort = try request.effort()
        dimension = models.dimension
        mode = try request.mode(standard: configuration.mode)
        threshold = request.threshold ?? configuration.threshold
        countTokens = models.countTokens
    }

    /// Whether the text's vector has yet to be computed.
    var needsVector: Bool { vector == nil && mode != .keyword }

    /// Candidates of a choice for each match.
    private static let poolFactor = 4
    /// Bytes of data beyond the `topK` best that a choice is made among.
    private static let poolBytesMax = 16 << 20
    /// Nodes that all pinned keys together may stand for, the first of them.
    private static let pinnedMax = 200
    /// Nodes of one document that are scored for an explanation.
    private static let explainedNodesMax = 2_000

    private var chooses: Bool { request.maxTokens != nil || request.diversity != nil }
    private var isPlain: Bool { !chooses && request.pinned.isEmpty && request.explainKeys.isEmpty }

    /// A node that may be in the answer, or that the answer tells of.
    struct Entry {
        let hit: NodeSearch.Hit
        /// Place among all candidates that reach the threshold.
        let rank: Int?
        let record: NodeRecord
        let isPinned: Bool
    }

    /// What there is to choose among.
    struct Pool {
        let search: NodeSearch
        let candidates: Candidates
        /// Pinned first, in their order; then best first.
        let entries: [Entry]
        /// Of the entries, with diversity.
        let vectors: [[Float]]
        let missingPins: [String]
        let named: [Named]
    }

    struct Named {
        let key: String
        let nodes: [NodeID]
        /// Of `nodes` the one most like the query.
        let best: Entry?
    }

    enum Found {
        case noProject
        case matches([Match])
        case pool(Pool)

        /// About the bytes that it holds.
        var bytes: Int {
            switch self {
            case .noProject: 0
            case .matches(let matches): matches.reduce(0) { $0 + $1.description.utf8.count * 4 }
            case .pool(let pool): pool.entries.reduce(0) { $0 + $1.record.data.count + $1.record.description.utf8.count }
            }
        }
    }

    // MARK: - On the snapshot

    func run(in view: borrowing TransactionView) throws -> Found {
        guard let scope = try Database.scope(tenant, request.project, view) else { return .noProject }
        let search = NodeSearch(scope: scope, dimension: dimension, mode: mode, threshold: threshold, explain: request.explain, effort: effort)
        let question = Question(text: request.text, vector: vector)
        if isPlain { return .matches(try search.matches(question, count: request.topK, in: view)) }

        let documents = DocumentStore(scope: scope)
        let candidates = try Candidates(question, count: chooses ? Self.poolFactor * request.topK : request.topK, of: search, in: view)
        let ranked = search.rank(candidates)
        let ranks = Dictionary(uniqueKeysWithValues: ranked.enumerated().map { ($1.node, $0 + 1) })
        var keys = NamedKeys(scope)
        func entries(_ nodes: [NodeID], isPinned: Bool, in view: borrowing TransactionView) throws -> [Entry] {
            let scores = try search.scores(of: nodes, question, candidates.weights, in: view)
            var found: [Entry] = []
            for (node, parts) in zip(nodes, scores) {
                let hit = NodeSearch.Hit(node: node, parts: parts, similarity: parts.similarity(mode))
                found.append(Entry(hit: hit, rank: ranks[node], record: try documents.indexed(node, in: view), isPinned: isPinned))
            }
            return found
        }

        var pinned: [NodeID] = []
        var isPinned: Set<NodeID> = []
        var missing: [String] = []
        for key in request.pinned {
            let nodes = try keys.nodes(key, in: view)
            if nodes.isEmpty { missing.append(key) }
            for node in nodes where pinned.count < Self.pinnedMax && isPinned.insert(node).inserted { pinned.append(node) }
        }
        var pool = try entries(pinned, isPinned: true, in: view)
        var bytes = 0
        for hit in ranked where !isPinned.contains(hit.node) {
            let place = pool.count - pinned.count
            if place == (chooses ? Self.poolFactor * request.topK : request.topK) || place >= request.topK && bytes > Self.poolBytesMax { break }
            let record = try documents.indexed(hit.node, in: view)
            if place >= request.topK { bytes += record.data.count + record.description.utf8.count }
            pool.append(Entry(hit: hit, rank: ranks[hit.node], record: record, isPinned: false))
        }

        var vectors: [[Float]] = []
        if let diversity = request.diversity, diversity > 0 {
            let index = VectorIndex(scope: scope, dimension: dimension)
            let nothing = [Float](repeating: 0, count: dimension)
            for entry in pool { vectors.append(try index.vector(of: entry.hit.node, in: view) ?? nothing) }
        }

        var named: [Named] = []
        for key in request.explainKeys {
            let nodes = try keys.nodes(key, in: view)
            let scored = Array(nodes.prefix(Self.explainedNodesMax))
            let similarities = try search.scores(of: scored, question, candidates.weights, in: view).map { $0.similarity(mode) }
            let best = scored.indices.max { (similarities[$0], $1) < (similarities[$1], $0) }
            named.append(Named(key: key, nodes: nodes, best: try best.map { try entries([scored[$0]], isPinned: false, in: view)[0] }))
        }
        return .pool(Pool(search: search, candidates: candidates, entries: pool, vectors: vectors, missingPins: missing, named: named))
    }

    // MARK: - After it

    /// - Throws: `.bug` when data cannot be written in the format of the answer.
    func answer(_ found: Found) throws -> QueryAnswer {
        switch found {
        case .noProject:
            return QueryAnswer(
                query: request.text, matches: [], packing: report(.init(), missingPins: request.pinned),
                explained: request.explainKeys.map {
                    KeyExplanation(key: $0, outcome: .notThere, nodeKey: nil, nodes: 0, duplicateOf: nil, explanation: nil)
                })
        case .matches(let matches): return QueryAnswer(query: request.text, matches: matches)
        case .pool(let pool): return try choose(among: pool)
        }
    }

    private func choose(among pool: Pool) throws -> QueryAnswer {
        let entries = pool.entries
        let scale = TokenScale(format: request.format, budget: request.maxTokens ?? .max, count: countTokens)
        let packing = ContextPacking(budget: request.maxTokens, diversity: request.diversity ?? 0, countMax: request.topK)
        var sayings: [Saying: Int] = [:]
        let candidates = entries.enumerated().map { place, entry in
            let saying = Saying(description: ExactText(entry.record.description), data: entry.record.data)
            let twin = sayings[saying] ?? place
            sayings[saying] = twin
            return ContextPacking.Candidate(relevance: Double(entry.hit.similarity), twin: chooses ? twin : place, isPinned: entry.isPinned)
        }
        var data = [JSONValue?](repeating: nil, count: entries.count)
        func parsed(_ place: Int) -> JSONValue {
            if let known = data[place] { return known }
            let value = MatchData.wrapped(EventData.parsed(entries[place].record.data))
            data[place] = value
            return value
        }
        var counted: [Int: Int] = [:]
        func select(cuts: Bool) throws -> ContextPacking.Selection {
            try packing.select(candidates, cuts: cuts) { place in
                if let known = counted[place] { return known }
                let count = try scale.tokens(of: parsed(place))
                counted[place] = count
                return count
            } cosine: { a, b in
                Double(VectorMath.dot(pool.vectors[a][...], pool.vectors[b]))
            }
        }
        var selection = try select(cuts: true)
        var head: JSONValue?
        if let cut = selection.head {
            head = try scale.head(of: parsed(cut.place), tokensMax: cut.tokensMax)
            if head == nil { selection = try select(cuts: false) }
        }

        var tokens = selection.tokens
        var matches: [Match] = []
        for place in selection.kept {
            let entry = entries[place]
            let explanation = request.explain ? pool.search.explanation(of: entry.hit, rank: entry.rank, entry.record, pool.candidates) : nil
            let isCut = head != nil && selection.head?.place == place
            var match = Match(
                entry.hit.node, entry.record, data: isCut ? head! : parsed(place), similarity: Double(entry.hit.similarity), explanation: explanation,
                isCut: isCut)
            match.isPinned = entry.isPinned
            if request.maxTokens != nil {
                let count = isCut ? try scale.tokens(of: match.data) : counted[place]
                if isCut { tokens += count ?? 0 }
                match.tokens = count
            }
            matches.append(match)
        }

        let report = report(selection, entries, tokens: tokens, isCut: head != nil, missingPins: pool.missingPins)
        return QueryAnswer(query: request.text, matches: matches, packing: report, explained: pool.named.map { explain($0, pool, selection) })
    }

    /// Nil for a query that asked for no choice.
    private func report(
        _ selection: ContextPacking.Selection, _ entries: [Entry] = [], tokens: Int = 0, isCut: Bool = false, missingPins: [String]
    ) -> PackingReport? {
        guard chooses || !request.pinned.isEmpty else { return nil }
        func key(_ place: Int) -> String { entries[place].record.nodeKey }
        let firstMax = entries.count { $0.isPinned } + request.topK
        return PackingReport(
            maxTokens: request.maxTokens, tokens: request.maxTokens == nil ? nil : tokens, diversity: request.diversity ?? 0,
            omitted: selection.omitted.map(key), duplicates: selection.duplicates.filter { $0.place < firstMax }.map { (key($0.place), key($0.of)) },
            missingPins: missingPins, isBest: selection.isBest, isTruncated: !selection.omitted.isEmpty || isCut)
    }

    /// What a node says: equal ones are twins.
    private struct Saying: Hashable {
        let description: ExactText
        let data: [UInt8]
    }

    private func explain(_ named: Named, _ pool: Pool, _ selection: ContextPacking.Selection) -> KeyExplanation {
        let nodes = Set(named.nodes)
        func told(_ entry: Entry?, _ outcome: KeyExplanation.Outcome, of other: String? = nil) -> KeyExplanation {
            KeyExplanation(
                key: named.key, outcome: outcome, nodeKey: entry?.record.nodeKey, nodes: named.nodes.count, duplicateOf: other,
                explanation: entry.map { pool.search.explanation(of: $0.hit, rank: $0.rank, $0.record, pool.candidates) })
        }
        if let place = selection.kept.first(where: { nodes.contains(pool.entries[$0].hit.node) }) { return told(pool.entries[place], .match) }
        guard let best = named.best else { return told(nil, .notThere) }
        if let duplicate = selection.duplicates.first(where: { pool.entries[$0.place].hit.node == best.hit.node }) {
            return told(best, .duplicate, of: pool.entries[duplicate.of].record.nodeKey)
        }
        if selection.omitted.contains(where: { pool.entries[$0].hit.node == best.hit.node }) { return told(best, .maxTokens) }
        if Double(best.hit.similarity) < threshold { return told(best, .belowThreshold) }
        guard let rank = best.rank else { return told(best, .notACandidate) }
        return told(best, rank > request.topK ? .beyondTopK : .diversity)
    }
}

/// Counts data in the format of an answer.
struct TokenScale: Sendable {
    let format: AnswerFormat
    let budget: Int
    let count: @Sendable (String) -> Int
    /// JSON as `json.dumps` prints it, for the agents of old; the other formats have one way.
    var jsonStyle = JSONStyle.compact

    /// The longest token of cl100k: a text of more bytes than so many for each token of a budget is over it without being counted.
    private static let tokenBytesMax = 128

    func bytes(of data: JSONValue) throws -> Int { try format.encode(data, jsonStyle: jsonStyle).count }

    /// `.max` when it is over the budget by far.
    func tokens(of data: JSONValue) throws -> Int { try tokens(of: data, atMost: budget) }

    private func tokens(of data: JSONValue, atMost limit: Int) throws -> Int {
        let bytes = try format.encode(data, jsonStyle: jsonStyle)
        if bytes.count / Self.tokenBytesMax > limit { return .max }
        return count(String(decoding: bytes, as: UTF8.self))
    }

    func head(of data: JSONValue, tokensMax: Int) throws -> JSONValue? {
        try DataHead.largest(of: data) { try tokens(of: $0, atMost: tokensMax) <= tokensMax }
    }
}
