// One query: what it finds on a snapshot, and the answer made of that when the snapshot has been let go.
//
// A query that only asks for the best so many takes them as they come. One with a budget or with diversity chooses (ContextPacking)
// among `poolFactor` times as many, because what takes the place of a match that is too large, or says nothing new, stands
// behind them. Records and vectors are copied out of the snapshot; parsing, encoding and counting need none.

internal import Attributes
internal import Base
internal import Content
internal import Documents
internal import Events
internal import FullText
internal import KeySpace
internal import LMDB
internal import Search
internal import Vectors

struct QuerySearch: Sendable {
    let tenant: TenantID
    let request: QueryRequest
    /// Unit length: the asker's own, or that of the text; nil in `.keyword` mode, and for a text that the model cannot read.
    private(set) var vector: [Float]?
    /// The model cannot read the text.
    private(set) var isUnread = false
    let dimension: Int
    let mode: SearchMode
    let fusion: Fusion
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
        fusion = try Fusion(method: request.fusion, weights: request.weights, mode: mode)
        threshold = request.threshold ?? configuration.threshold
        if request.page != nil, request.maxTokens != nil || request.diversity != nil || !request.pinned.isEmpty || !request.explainKeys.isEmpty {
            throw .invalid(
                field: request.page?.cursor == nil ? "limit" : "cursor", kind: "value_error",
                message: "Value error, pages show matches as they are ranked: leave out max_tokens, diversity, pinned and explain_keys, or limit and cursor")
        }
        countTokens = models.countTokens
    }

    /// The text whose vector has yet to be computed, without its signs: as typed, as the original does it, when the vectors decide alone.
    var textToEmbed: String? {
        guard vector == nil, mode != .keyword else { return nil }
        return mode == .semantic || !TextSearchQuery.mayHaveSigns(request.text)
            ? request.text : TextSearchQuery(request.text, isField: QueryFields.isField).plainText
    }

    /// - Parameter vector: of `textToEmbed`.
    mutating func ask(_ vector: [Float]) {
        isUnread = vector.isEmpty
        self.vector = isUnread ? nil : vector
    }

    private var notes: [String] {
        guard isUnread else { return [] }
        return [
            mode == .semantic
                ? "The embedding model cannot read this text, so nothing is near to it: ask in mode 'hybrid' or 'keyword'"
                : "The embedding model cannot read this text: words alone decided"
        ]
    }

    private var question: Question { Question(text: request.text, vector: vector, hasSyntax: true) }

    /// Candidates of a choice for each match.
    private static let poolFactor = 4
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
        /// Of its document.
        let metadata: JSONObject
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
        let explainedKeys: [ExplainedKey]
        /// Of `entries` with their vectors.
        let bytes: Int
        /// Matches that were left, so that the answer does not become larger than it may be.
        let left: Int
    }

    struct ExplainedKey {
        let key: String
        let nodes: [NodeID]
        /// Of `nodes` the one most like the query.
        let best: Entry?
    }

    enum Retrieved {
        case noProject
        case matches(NodeSearch, NodeSearch.Retrieved?)
        case pool(Pool)
        case past(NodeSearch, PastState)

        /// About the bytes that it holds.
        var bytes: Int {
            switch self {
            case .noProject, .past: 0
            case .matches(_, let found): found?.bytes ?? 0
            case .pool(let pool): pool.bytes
            }
        }
    }

    /// A state of a project's past: equal ones are the same.
    struct PastState: Hashable {
        let scope: TenantScope
        let sequence: Sequence
    }

    /// An answer, or what it takes to make one of the past.
    enum Outcome: Sendable {
        case answer(QueryAnswer)
        case past(NodeSearch, PastState)
    }

    // MARK: - On the snapshot

    /// - Parameter textSide: when another thread may help.
    func run(in view: borrowing TransactionView, _ database: Database, _ textSide: TextSide? = nil) throws -> Retrieved {
        let scope = try Database.scope(tenant, request.project, view)
        var past = try request.asOf.flatMap { try database.pastSequence($0, scope, in: view) }
        guard let scope else {
            // No project has given one.
            if let cursor = request.page?.cursor { _ = try PageCursor(cursor, of: .matches) }
            return .noProject
        }
        var search = NodeSearch(
            scope: scope, dimension: dimension, mode: mode, threshold: threshold, fusion: fusion, explain: request.explain, effort: effort, textSide: textSide)
        if let page = request.page {
            search.page = try MatchPage(page, scope, asOf: past, question: fingerprint, in: view)
            past = search.page?.past
        }
        if let past { return .past(search, PastState(scope: scope, sequence: past)) }
        let question = question
        if let filter = request.filter { try search.admit(filter, in: view) }
        if isPlain {
            let isNone = search.filtered?.passing == 0
            return .matches(search, isNone ? nil : try search.retrieve(question, count: search.page?.limit ?? request.topK, in: view))
        }

        let documents = DocumentStore(scope: scope)
        let index = VectorIndex(scope: scope, dimension: dimension)
        let candidates = try Candidates(question, count: poolMax, of: search, tellsWhy: !request.explainKeys.isEmpty, in: view)
        var keys = NamedKeys(scope)
        var metadata = try MetadataReader(scope, in: view)
        return .pool(
            try pool(search, candidates) {
                try keys.nodes($0, in: view)
            } record: {
                try documents.indexed($0, in: view)
            } metadata: {
                try metadata.metadata(of: $1.document, in: view).metadata
            } scores: {
                try search.scores(of: $0, question, candidates.weights, cut: candidates.decisionCut, in: view)
            } vector: {
                try index.vector(of: $0, in: view)
            })
    }

    private var poolMax: Int { chooses ? Self.poolFactor * request.topK : request.topK }

    /// - Parameters:
    ///   - nodesOfKey: the nodes that a key stands for.
    ///   - record, metadata, scores, vector: of nodes.
    private func pool(
        _ search: NodeSearch, _ candidates: Candidates, nodesOfKey: (String) throws -> [NodeID], record: (NodeID) throws -> NodeRecord,
        metadata: (NodeID, NodeRecord) throws -> JSONObject, scores: ([NodeID]) throws -> [ScoreParts], vector: (NodeID) throws -> [Float]?
    ) throws -> Pool {
        let ranked = search.rank(candidates)
        let ranks = Dictionary(uniqueKeysWithValues: ranked.enumerated().map { ($1.node, $0 + 1) })
        func entries(_ nodes: [NodeID], isPinned: Bool) throws -> [Entry] {
            try zip(nodes, try scores(nodes)).map { node, parts in
                let hit = NodeSearch.Hit(node: node, parts: parts, similarity: parts.similarity(mode))
                let record = try record(node)
                return Entry(hit: hit, rank: ranks[node], record: record, metadata: try metadata(node, record), isPinned: isPinned)
            }
        }

        var pinned: [NodeID] = []
        var isPinned: Set<NodeID> = []
        var missing: [String] = []
        for key in request.pinned {
            let nodes = try nodesOfKey(key)
            if nodes.isEmpty { missing.append(key) }
            for node in nodes where pinned.count < Self.pinnedMax && isPinned.insert(node).inserted { pinned.append(node) }
        }
        // All that is held is counted; the first is taken however large it is.
        var pool: [Entry] = []
        var (bytes, left) = (0, 0)
        for node in pinned {
            let entry = try entries([node], isPinned: true)[0]
            guard pool.isEmpty || bytes + entry.record.byteCount <= Limits.answerBytes else {
                left += 1
                continue
            }
            bytes += entry.record.byteCount
            pool.append(entry)
        }
        let pinnedCount = pool.count
        for hit in ranked where !isPinned.contains(hit.node) {
            let place = pool.count - pinnedCount
            if place == poolMax { break }
            let record = try record(hit.node)
            if !pool.isEmpty, bytes + record.byteCount > Limits.answerBytes {
                if place < request.topK { left += 1 }
                break
            }
            bytes += record.byteCount
            pool.append(
                Entry(hit: hit, rank: ranks[hit.node], record: record, metadata: try metadata(hit.node, record), isPinned: false))
        }

        var vectors: [[Float]] = []
        if let diversity = request.diversity, diversity > 0 {
            let nothing = [Float](repeating: 0, count: dimension)
            for entry in pool { vectors.append(try vector(entry.hit.node) ?? nothing) }
        }

        var explained: [ExplainedKey] = []
        for key in request.explainKeys {
            let nodes = try nodesOfKey(key)
            let scored = Array(nodes.prefix(Self.explainedNodesMax))
            let similarities = try scores(scored).map { $0.similarity(mode) }
            let best = scored.indices.max { (similarities[$0], $1) < (similarities[$1], $0) }
            explained.append(ExplainedKey(key: key, nodes: nodes, best: try best.map { try entries([scored[$0]], isPinned: false)[0] }))
        }
        return Pool(
            search: search, candidates: candidates, entries: pool, vectors: vectors, missingPins: missing, explainedKeys: explained,
            bytes: bytes + 4 * dimension * vectors.count, left: left)
    }

    // MARK: - After it

    /// - Throws: `.bug` when data cannot be written in the format of the answer.
    func outcome(of retrieved: Retrieved) throws -> Outcome {
        switch retrieved {
        case .past(let search, let draft): .past(search, draft)
        case .pool(let pool): .answer(try choose(among: pool))
        case .matches(let search, let found):
            .answer(
                QueryAnswer(
                    query: request.text, matches: try found.map(search.matches) ?? [], filtered: search.filtered, left: found?.left ?? 0,
                    paging: search.paging(found), notes: notes))
        case .noProject:
            .answer(
                QueryAnswer(
                    query: request.text, matches: [], packing: report(.init(), missingPins: request.pinned),
                    explained: request.explainKeys.map {
                        KeyExplanation(key: $0, outcome: .notThere, nodeKey: nil, nodes: 0, duplicateOf: nil, explanation: nil)
                    }, filtered: request.filter.map { _ in .init(passing: 0, nodes: 0) }, paging: request.page.map { _ in .init(next: nil) }))
        }
    }

    /// The answer of a past state, in which every node is looked at.
    func answer(_ search: NodeSearch, among past: PastNodes) throws -> QueryAnswer {
        let question = question
        var search = search
        if let filter = request.filter { search.admit(filter, among: past) }
        if isPlain {
            let found = try search.retrieve(question, count: search.page?.limit ?? request.topK, among: past, countTokens)
            return QueryAnswer(
                query: request.text, matches: try search.matches(found), filtered: search.filtered, left: found.left, paging: search.paging(found),
                notes: notes)
        }
        let candidates = Candidates(question, count: poolMax, of: mode, passing: search.passing, among: past)
        return try choose(
            among: pool(search, candidates) { key in
                let ofDocument = past.nodes.indices.filter { ExactText(past.nodes[$0].record.documentKey) == ExactText(key) }
                if !ofDocument.isEmpty { return ofDocument.map(PastNodes.id) }
                return past.nodes.indices.filter { ExactText(past.nodes[$0].record.nodeKey) == ExactText(key) }.map(PastNodes.id)
            } record: {
                try past.record(of: $0, countTokens)
            } metadata: { node, _ in
                past[node].attributes.metadata
            } scores: { [search] in
                search.scores(of: $0, question, candidates.weights, cut: candidates.decisionCut, among: past)
            } vector: {
                past[$0].vector
            })
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
        func parsed(_ place: Int) throws(ContexError) -> JSONValue {
            if let known = data[place] { return known }
            let value = MatchData.wrapped(try EventData.parsed(entries[place].record.data))
            data[place] = value
            return value
        }
        var counted: [Int: Int] = [:]
        let (selection, head) = try packing.select(candidates) { place in
            if let known = counted[place] { return known }
            let count = try scale.tokens(of: parsed(place))
            counted[place] = count
            return count
        } cosine: { a, b in
            Double(VectorMath.dot(pool.vectors[a][...], pool.vectors[b]))
        } head: { place, tokensMax in
            try scale.head(of: parsed(place), tokensMax: tokensMax)
        }

        var tokens = selection.tokens
        var matches: [Match] = []
        for place in selection.kept {
            let entry = entries[place]
            let explanation = request.explain ? try pool.search.explanation(of: entry.hit, rank: entry.rank, entry.record, pool.candidates) : nil
            let isCut = head != nil && selection.head?.place == place
            var match = Match(
                entry.hit.node, entry.record, data: try isCut ? head! : parsed(place), similarity: Double(entry.hit.similarity), explanation: explanation,
                isCut: isCut)
            match.isPinned = entry.isPinned
            match.metadata = entry.metadata
            if request.maxTokens != nil {
                let count = isCut ? try scale.tokens(of: match.data) : counted[place]
                if isCut { tokens += count ?? 0 }
                match.tokens = count
            }
            matches.append(match)
        }

        let report = report(selection, entries, tokens: tokens, isCut: head != nil || pool.left > 0, missingPins: pool.missingPins)
        return QueryAnswer(query: request.text, matches: matches, packing: report, explained: try pool.explainedKeys.map { try explain($0, pool, selection) },
            filtered: pool.search.filtered, left: pool.left, notes: notes)
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

    private func explain(_ asked: ExplainedKey, _ pool: Pool, _ selection: ContextPacking.Selection) throws(ContexError) -> KeyExplanation {
        let nodes = Set(asked.nodes)
        func told(_ entry: Entry?, _ outcome: KeyExplanation.Outcome, of other: String? = nil) throws(ContexError) -> KeyExplanation {
            KeyExplanation(
                key: asked.key, outcome: outcome, nodeKey: entry?.record.nodeKey, nodes: asked.nodes.count, duplicateOf: other,
                explanation: try entry.map { (entry) throws(ContexError) in
                    try pool.search.explanation(of: entry.hit, rank: entry.rank, entry.record, pool.candidates)
                })
        }
        if let place = selection.kept.first(where: { nodes.contains(pool.entries[$0].hit.node) }) { return try told(pool.entries[place], .match) }
        guard let best = asked.best else { return try told(nil, .notThere) }
        if let duplicate = selection.duplicates.first(where: { pool.entries[$0.place].hit.node == best.hit.node }) {
            return try told(best, .duplicate, of: pool.entries[duplicate.of].record.nodeKey)
        }
        if selection.omitted.contains(where: { pool.entries[$0].hit.node == best.hit.node }) { return try told(best, .maxTokens) }
        if !pool.candidates.admission.admits(best.hit.node) { return try told(best, .filteredOut) }
        if Double(best.hit.similarity) < threshold { return try told(best, .belowThreshold) }
        guard let rank = best.rank else { return try told(best, .notACandidate) }
        return try told(best, rank > request.topK ? .beyondTopK : .diversity)
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
