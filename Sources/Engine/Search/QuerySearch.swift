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
internal import Measures
internal import Search
internal import Vectors

struct QuerySearch: Sendable {
    let tenant: TenantID
    let request: QueryRequest
    /// Unit length: the asker's own, or those of `textsToEmbed`, without numbers for one that the model cannot read; none in `.keyword` mode.
    var vectors: [[Float]] = []
    let dimension: Int
    let mode: SearchMode
    let fusion: Fusion
    let effort: SearchEffort?
    let threshold: Double
    let countTokens: @Sendable (String) -> Int
    /// nil in a batch.
    var watch: QueryWatch?

    /// - Throws: `.invalid`, as `Database.query`.
    init(_ tenant: TenantID, _ request: QueryRequest, _ configuration: DatabaseConfiguration, _ models: Models) throws(ContexError) {
        self.tenant = tenant
        self.request = request
        if let own = request.vector { vectors = [try VectorIndex.unit(own, dimension: models.dimension, field: "query_vector")] }
        effort = try request.effort()
        dimension = models.dimension
        mode = try request.mode(standard: configuration.mode)
        fusion = try Fusion(method: request.fusion, weights: request.weights, mode: mode)
        threshold = request.threshold ?? configuration.threshold
        if threshold < 0, mode != .semantic {
            throw .invalid(field: "threshold", kind: "greater_than_equal", message: "Input should be greater than or equal to 0")
        }
        countTokens = models.countTokens
        if request.page != nil, request.maxTokens != nil || request.diversity != nil || !request.pinned.isEmpty || !request.explainKeys.isEmpty {
            throw .invalid(
                field: request.page?.cursor == nil ? "limit" : "cursor", kind: "value_error",
                message: "Value error, pages show matches as they are ranked: leave out max_tokens, diversity, pinned and explain_keys, or limit and cursor")
        }
    }

    /// The texts whose vectors have yet to be computed: as typed, as the original does it; without its signs, where they demand something, and then
    /// as typed too, for when they leave nothing.
    var textsToEmbed: [String] {
        guard request.vector == nil, mode != .keyword else { return [] }
        guard hasSyntax, TextSearchQuery.mayHaveSigns(request.text) else { return [request.text] }
        let words = TextSearchQuery(request.text, isField: QueryFields.isField).plainText
        return words == request.text ? [words] : [words, request.text]
    }

    private var hasSyntax: Bool { mode != .semantic && request.syntax == .signs }
    private var question: Question { Question(text: request.text, vector: vectors.first?.readable, hasSyntax: hasSyntax) }
    /// The words alone.
    private var plainQuestion: Question { Question(text: request.text, vector: vectors.last?.readable) }

    private var notes: [String] {
        guard vectors.first?.isEmpty == true else { return [] }
        return [
            mode == .semantic
                ? "The embedding model cannot read this text, so nothing is near to it: ask in mode 'hybrid' or 'keyword'"
                : "The embedding model cannot read this text: words alone decided"
        ]
    }

    /// Searches for the question; where nothing is as its signs demand, for its words.
    /// - Parameter isEmpty: whether nothing was found.
    private func answeringPlainly<Found>(
        _ search: inout NodeSearch, _ find: (NodeSearch, Question) throws -> Found, isEmpty: (Found) -> Bool
    ) rethrows -> Found {
        let found = try find(search, question)
        guard isEmpty(found), question.hasDemands(mode) else { return found }
        var plain = search
        // It has been used.
        plain.textSide = nil
        plain.ignoresSigns = true
        let again = try find(plain, plainQuestion)
        if isEmpty(again) { return found }
        search = plain
        return again
    }

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
        let found: FoundNode
        let origin: MatchOrigin
        let isPinned: Bool

        var record: NodeRecord { found.record }
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
        let running = Stopwatch()
        defer { watch?.note(.snapshot, running) }
        let scope = try Database.scope(tenant, request.project, view)
        var past = try request.asOf.flatMap { try database.pastSequence($0, scope, in: view) }
        guard let scope else {
            // No project has given one.
            if let cursor = request.page?.cursor { _ = try PageCursor(cursor, of: .matches) }
            return .noProject
        }
        var search = NodeSearch(
            scope: scope, dimension: dimension, mode: mode, threshold: threshold, fusion: fusion, explain: request.explain, effort: effort, textSide: textSide)
        (search.groups, search.ofDocumentMax) = (request.groupsByDocument, ofDocumentMax)
        search.watch = watch
        if let page = request.page {
            search.page = try MatchPage(page, scope, asOf: past, question: fingerprint, in: view)
            past = search.page?.past
        }
        if let past { return .past(search, PastState(scope: scope, sequence: past)) }
        if let filter = request.filter { try search.admit(filter, in: view) }
        // Before what is over: what ends in between is not found, and ends what is kept.
        watch?.lastsUntil = try database.lastsUntil(scope, in: view)
        let over = try database.over(scope, in: view)
        if !over.isEmpty { try search.leaveOut(over, in: view) }
        if isPlain {
            if search.filtered?.passing == 0 { return .matches(search, nil) }
            let found = try answeringPlainly(&search) {
                try $0.retrieve($1, count: $0.page?.limit ?? request.topK, in: view)
            } isEmpty: {
                $0.hits.isEmpty
            }
            return .matches(search, found)
        }

        let documents = DocumentStore(scope: scope)
        let index = VectorIndex(scope: scope, dimension: dimension)
        let (candidates, folding) = try answeringPlainly(&search) {
            try $0.folded($1, count: poolMax, beside: pinnedMost, tellsWhy: !request.explainKeys.isEmpty, in: view)
        } isEmpty: {
            $0.folding.kept.isEmpty
        }
        let question = search.ignoresSigns ? plainQuestion : question
        var keys = NamedKeys(scope)
        var origins = OriginReader(scope)
        return .pool(
            try pool(search, candidates, folding) {
                let nodes = try keys.nodes($0, in: view)
                guard !over.isEmpty, let first = nodes.first, let document = try documents.node(first, in: view)?.document else { return nodes }
                return over.contains(document) ? [] : nodes
            } unit: {
                guard let record = try documents.node($0, in: view) else {
                    throw ContexError.damaged("node \($0.rawValue) is listed by its document but is not there: run 'contex check'")
                }
                let unit = try documents.unit(of: $0, record, in: view)
                return (unit, unit.entries)
            } origin: {
                try origins.origin(of: $0.record.document, in: view)
            } scores: {
                try search.scores(of: $0, question, candidates.weights, cut: candidates.decisionCut, in: view)
            } vector: {
                try index.vector(of: $0, in: view)
            })
    }

    /// Places of the ranking that pinned nodes may hold.
    private var pinnedMost: Int { request.pinned.isEmpty ? 0 : Self.pinnedMax }

    /// With groups a document shows so many.
    private var ofDocumentMax: Int? { request.nodesPerDocument ?? (request.groupsByDocument ? Limits.nodesPerGroup : nil) }

    private var poolMax: Int { chooses ? Self.poolFactor * request.topK : request.topK }

    /// - Parameters:
    ///   - nodesOfKey: the nodes that a key stands for.
    ///   - unit: of a node, with the entries of the indexes that are of it.
    ///   - origin: of a node.
    ///   - scores, vector: of entries.
    private func pool(
        _ search: NodeSearch, _ candidates: Candidates, _ folding: NodeFolding, nodesOfKey: (String) throws -> [NodeID],
        unit: (NodeID) throws -> (unit: IndexedUnit, entries: [NodeID]), origin: (FoundNode) throws -> MatchOrigin,
        scores: ([NodeID]) throws -> [ScoreParts], vector: (NodeID) throws -> [Float]?
    ) throws -> Pool {
        let ranked = search.rank(candidates)
        let ranks = Dictionary(uniqueKeysWithValues: ranked.enumerated().map { ($1.node, $0 + 1) })
        /// A node by its passage that is most like the query.
        func entry(_ node: NodeID, isPinned: Bool) throws -> Entry {
            let (unit, entries) = try unit(node)
            let scored = try scores(entries)
            let similarities = scored.map { $0.similarity(mode) }
            let best = similarities.indices.max { (similarities[$0], $1) < (similarities[$1], $0) } ?? 0
            let found = FoundNode(unit, offset: best, place: Int(node.rawValue) - Int(unit.first.rawValue))
            let hit = NodeSearch.Hit(node: entries[best], parts: scored[best], similarity: similarities[best])
            return Entry(hit: hit, rank: ranks[entries[best]], found: found, origin: try origin(found), isPinned: isPinned)
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
            let entry = try entry(node, isPinned: true)
            guard pool.isEmpty || bytes + entry.found.byteCount <= Limits.answerBytes else {
                left += 1
                continue
            }
            bytes += entry.found.byteCount
            pool.append(entry)
        }
        let pinnedCount = pool.count
        for (hit, found) in folding.kept where !isPinned.contains(found.node) {
            let place = pool.count - pinnedCount
            if place == poolMax { break }
            let size = found.others.reduce(found.byteCount) { $0 + $1.found.byteCount }
            if !pool.isEmpty, bytes + size > Limits.answerBytes {
                if place < request.topK { left += 1 }
                break
            }
            bytes += size
            pool.append(Entry(hit: hit, rank: ranks[hit.node], found: found, origin: try origin(found), isPinned: false))
        }

        var vectors: [[Float]] = []
        if let diversity = request.diversity, diversity > 0 {
            let nothing = [Float](repeating: 0, count: dimension)
            for entry in pool { vectors.append(try vector(entry.hit.node) ?? nothing) }
        }

        var explained: [ExplainedKey] = []
        for key in request.explainKeys {
            let nodes = try nodesOfKey(key)
            var best: Entry?
            for node in nodes.prefix(Self.explainedNodesMax) {
                let entry = try entry(node, isPinned: false)
                if best.map({ entry.hit.similarity > $0.hit.similarity }) ?? true { best = entry }
            }
            explained.append(ExplainedKey(key: key, nodes: nodes, best: best))
        }
        return Pool(
            search: search, candidates: candidates, entries: pool, vectors: vectors, missingPins: missing, explainedKeys: explained,
            bytes: bytes + 4 * dimension * vectors.count, left: left)
    }

    // MARK: - After it

    /// - Throws: `.bug` when data cannot be written in the format of the answer.
    func outcome(of retrieved: Retrieved) throws -> Outcome {
        let answering = Stopwatch()
        defer { watch?.note(.answer, answering) }
        return try answered(retrieved)
    }

    private func answered(_ retrieved: Retrieved) throws -> Outcome {
        switch retrieved {
        case .past(let search, let draft): .past(search, draft)
        case .pool(let pool): .answer(try choose(among: pool))
        case .matches(let search, let found):
            .answer(
                QueryAnswer(
                    query: request.text, matches: try found.map(search.matches) ?? [], filtered: search.filtered, left: found?.left ?? 0,
                    paging: search.paging(found), notes: notes, ignoresSigns: search.ignoresSigns))
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
        var search = search
        (search.groups, search.ofDocumentMax) = (request.groupsByDocument, ofDocumentMax)
        if let filter = request.filter { search.admit(filter, among: past) }
        if isPlain {
            let found = try answeringPlainly(&search) {
                try $0.retrieve($1, count: $0.page?.limit ?? request.topK, among: past, countTokens)
            } isEmpty: {
                $0.hits.isEmpty
            }
            return QueryAnswer(
                query: request.text, matches: try search.matches(found), filtered: search.filtered, left: found.left, paging: search.paging(found),
                notes: notes, ignoresSigns: search.ignoresSigns)
        }
        let (candidates, folding) = try answeringPlainly(&search) {
            try $0.folded($1, count: poolMax, beside: pinnedMost, among: past, countTokens)
        } isEmpty: {
            $0.folding.kept.isEmpty
        }
        let question = search.ignoresSigns ? plainQuestion : question
        return try choose(
            among: pool(search, candidates, folding) { key in
                let nodes = past.nodes
                let ofDocument = nodes.filter { ExactText($0.record.documentKey) == ExactText(key) }
                return (ofDocument.isEmpty ? nodes.filter { ExactText($0.record.nodeKey) == ExactText(key) } : ofDocument).map(\.id)
            } unit: {
                let unit = past.unit(ofNode: $0)
                return (unit.indexed, unit.entries.map(PastNodes.id))
            } origin: {
                MatchOrigin(metadata: past.unit(ofNode: $0.node).attributes.metadata, provenance: nil)
            } scores: { [search] in
                search.scores(of: $0, question, candidates.weights, cut: candidates.decisionCut, among: past)
            } vector: {
                past.vectors[PastNodes.place($0)]
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
        var data = PackedData(scale, entries.map(\.found))
        let (selection, head) = try packing.select(candidates) { place in
            try data.tokens(at: place)
        } cosine: { a, b in
            Double(VectorMath.dot(pool.vectors[a][...], pool.vectors[b]))
        } head: { place, tokensMax in
            try data.head(at: place, tokensMax: tokensMax)
        }
        if let maxTokens = request.maxTokens, selection.head == nil { try data.fill(maxTokens - selection.tokens, of: selection.kept) }

        var tokens = 0
        var matches: [Match] = []
        var others: [(place: Int, found: [FoundNode.Other])] = []
        for place in selection.kept {
            let entry = entries[place]
            let explanation = request.explain ? try pool.search.explanation(of: entry.hit, rank: entry.rank, entry.found, pool.candidates) : nil
            let isHead = head != nil && selection.head?.place == place
            let value = try data.value(at: place)
            var match = Match(
                entry.found, value: value, data: try isHead ? head! : data.shown(at: place), similarity: Double(entry.hit.similarity),
                explanation: explanation, isCut: isHead || data.isPassage(at: place))
            match.passage = try entry.found.passage(value)
            match.isPassage = !isHead && data.isPassage(at: place)
            match.isPinned = entry.isPinned
            match.take(entry.origin)
            others.append((matches.count, entry.found.others))
            if request.maxTokens != nil {
                let count = isHead ? try scale.tokens(of: match.data) : try data.tokens(at: place)
                tokens += count
                match.tokens = count
            }
            matches.append(match)
        }
        if let maxTokens = request.maxTokens {
            // The data of a long node has its passage; that of a gathered one does not, and what answers stands there.
            for place in matches.indices {
                if matches[place].passage?.range != nil { matches[place].passage?.text = nil }
                let more = matches[place].boundPassage(to: maxTokens - tokens, countTokens)
                tokens += more
                matches[place].tokens? += more
            }
        }
        // What else was found of a document has what room is left, best documents first.
        for (place, found) in others {
            for other in found {
                var match = try Match(other.found, similarity: Double(other.hit.similarity), explanation: nil)
                if let maxTokens = request.maxTokens {
                    if let passage = match.passageData { match = match.cut(toPassage: passage) }
                    let count = try scale.tokens(of: match.data)
                    guard count <= maxTokens - tokens else { continue }
                    tokens += count
                    if match.passage?.range != nil { match.passage?.text = nil }
                    let more = match.boundPassage(to: maxTokens - tokens, countTokens)
                    tokens += more
                    match.tokens = count + more
                }
                matches[place].others.append(match)
            }
        }

        let report = report(selection, entries, tokens: tokens, isCut: matches.contains(where: \.isCut) || pool.left > 0, missingPins: pool.missingPins)
        return QueryAnswer(query: request.text, matches: matches, packing: report, explained: try pool.explainedKeys.map { try explain($0, pool, selection) },
            filtered: pool.search.filtered, left: pool.left, ignoresSigns: pool.search.ignoresSigns)
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
                    try pool.search.explanation(of: entry.hit, rank: entry.rank, entry.found, pool.candidates)
                })
        }
        if let place = selection.kept.first(where: { nodes.contains(pool.entries[$0].found.node) }) { return try told(pool.entries[place], .match) }
        guard let best = asked.best else { return try told(nil, .notThere) }
        if let duplicate = selection.duplicates.first(where: { pool.entries[$0.place].found.node == best.found.node }) {
            return try told(best, .duplicate, of: pool.entries[duplicate.of].record.nodeKey)
        }
        if selection.omitted.contains(where: { pool.entries[$0].found.node == best.found.node }) { return try told(best, .maxTokens) }
        if !pool.candidates.admission.admits(best.hit.node) { return try told(best, .filteredOut) }
        if Double(best.hit.similarity) < threshold { return try told(best, .belowThreshold) }
        guard let rank = best.rank else { return try told(best, .notACandidate) }
        return try told(best, rank > request.topK ? .beyondTopK : .diversity)
    }
}

extension [Float] {
    /// nil without numbers.
    fileprivate var readable: [Float]? { isEmpty ? nil : self }
}

/// Counts data in the format of an answer.
struct TokenScale: Sendable {
    let format: AnswerFormat
    let budget: Int
    let count: @Sendable (String) -> Int
    /// JSON as `json.dumps` prints it, for the agents of old; the other formats have one way.
    var jsonStyle = JSONStyle.compact

    /// The longest token of cl100k: a text of more bytes than so many for each token of a budget is over it without being counted.
    static let tokenBytesMax = 128

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
