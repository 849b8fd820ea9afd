// What an agent is told when it registers: what matches its needs, packed into the size of a context.

internal import Base
internal import Content
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Needs
internal import Search
internal import Vectors

public struct InitialContext: Sendable {
    /// The matches of each need, in the order of the needs.
    public var needs: [(need: String, matches: [Match])]
    /// What the registration asked for by key, whatever it is like.
    public var pinned: [Match] = []
    /// Keys of nodes that would be there if the context might be larger.
    public var omitted: [String] = []

    public init(needs: [(need: String, matches: [Match])]) { self.needs = needs }

    /// All matches, pinned ones first.
    public var matches: [Match] { pinned + needs.flatMap(\.matches) }
    /// Something is not there, or not whole, for want of room.
    public var isTruncated: Bool { !omitted.isEmpty || matches.contains(where: \.isCut) }
}

/// The matches of many needs: a node that answers several of them is read and parsed once, and all together hold no more than an answer may.
struct SharedMatches {
    private var origins: OriginReader
    private var known: [NodeID: (match: Match, found: FoundNode)] = [:]
    private var bytes = 0
    /// Of each document the nodes that answer a need, also those that there was no room for.
    private(set) var nodes: [DocumentID: Set<NodeID>] = [:]
    /// Keys of those.
    private(set) var left: [NodeID: String] = [:]

    init(_ scope: TenantScope, in view: borrowing TransactionView) throws {
        origins = OriginReader(scope)
    }

    /// A node as a match; nil when there is no room for another.
    mutating func match(_ found: FoundNode, similarity: Double, in view: borrowing TransactionView) throws -> Match? {
        if let known = known[found.node] {
            guard found.offset != known.found.offset else { return known.match.scored(similarity) }
            var match = try Match(found, similarity: similarity, explanation: nil)
            (match.metadata, match.provenance) = (known.match.metadata, known.match.provenance)
            return match
        }
        if left[found.node] != nil { return nil }
        let own = try origins.origin(of: found.record.document, in: view)
        let size = found.byteCount + own.bytes
        guard known.isEmpty || bytes + size <= Limits.answerBytes else {
            left[found.node] = found.record.nodeKey
            nodes[found.record.document, default: []].insert(found.node)
            return nil
        }
        bytes += size
        var match = try Match(found, similarity: similarity, explanation: nil)
        match.take(own)
        known[found.node] = (match, found)
        return match
    }

    /// The nodes that answer a need.
    mutating func matches(_ folding: NodeFolding, in view: borrowing TransactionView) throws -> [Match] {
        var matches: [Match] = []
        for (hit, found) in folding.kept {
            guard let match = try match(found, similarity: Double(hit.similarity), in: view) else { continue }
            nodes[match.document, default: []].insert(found.node)
            matches.append(match)
        }
        return matches
    }
}

/// How a registration wants its context packed.
package struct ContextSettings: Sendable {
    let tokensMax: Int
    let diversity: Double
    let pinned: [String]
    let scale: TokenScale

    /// Nodes that all pinned keys together may stand for: each is scored for every need.
    private static let pinnedMax = 50

    init(_ command: RegisterCommand, _ configuration: DatabaseConfiguration, countTokens: @escaping @Sendable (String) -> Int) {
        tokensMax = min(command.maxTokens ?? .max, configuration.contextTokensMax)
        diversity = command.diversity ?? 0
        pinned = command.pinned
        // Webhooks carry JSON whatever the agent's format; its tokens were counted as `json.dumps` prints it when the node was published.
        let isTOON = command.delivery == .redis && command.responseFormat == AnswerFormat.toon.rawValue
        scale = TokenScale(format: isTOON ? .toon : .json, budget: tokensMax, count: countTokens, jsonStyle: .python)
    }

    /// The pinned nodes, each with the similarity to the need that it is most like.
    func pinned(
        for questions: [Question], _ search: NodeSearch, from shared: inout SharedMatches, in view: borrowing TransactionView
    ) throws -> [Match] {
        guard !pinned.isEmpty else { return [] }
        var keys = NamedKeys(search.scope)
        var nodes: [NodeID] = []
        for key in pinned {
            for node in try keys.nodes(key, in: view) where nodes.count < Self.pinnedMax && !nodes.contains(node) { nodes.append(node) }
        }
        let documents = DocumentStore(scope: search.scope)
        var units: [IndexedUnit] = []
        for node in nodes {
            guard let record = try documents.node(node, in: view) else {
                throw ContexError.damaged("node \(node.rawValue) is listed by its document but is not there: run 'contex check'")
            }
            units.append(try documents.unit(of: node, record, in: view))
        }
        var best = [(similarity: Float, offset: Int)](repeating: (0, 0), count: nodes.count)
        let texts = TextIndex(scope: search.scope)
        let analyzer = try texts.options(in: view).analyzer
        for question in questions {
            let weights = try texts.weights(ResolvedTextQuery(TextQuery(question.text, analyzer: analyzer)), in: view)
            let cut = try search.decisionCut(question, weights, in: view)
            for (place, unit) in units.enumerated() {
                let scores = try search.scores(of: unit.entries, question, weights, cut: cut, in: view)
                for (offset, parts) in scores.enumerated() where parts.similarity(search.mode) > best[place].similarity {
                    best[place] = (parts.similarity(search.mode), offset)
                }
            }
        }
        var matches: [Match] = []
        for (place, unit) in units.enumerated() {
            let found = FoundNode(unit, offset: best[place].offset, place: Int(nodes[place].rawValue) - Int(unit.first.rawValue))
            guard var match = try shared.match(found, similarity: Double(best[place].similarity), in: view) else { continue }
            match.isPinned = true
            matches.append(match)
        }
        return matches
    }

    /// - Complexity: O(bytes of the data) when all of it fits; else that of ContextPacking.
    func pack(
        _ needs: [(need: String, matches: [Match])], pinned: [Match], _ index: VectorIndex, in view: borrowing TransactionView
    ) throws -> InitialContext {
        let pins = Set(pinned.map(\.node))
        var context = InitialContext(needs: needs.map { ($0.need, $0.matches.filter { !pins.contains($0.node) }) })
        context.pinned = pinned
        let whole = context.matches
        let fitsWhole = try fits(whole)
        if diversity == 0, fitsWhole { return try bounded(context) }
        // What answers of the long ones; what room is left then is theirs.
        let all = fitsWhole ? whole : whole.map { $0.passageData.map($0.cut(toPassage:)) ?? $0 }

        var sayings: [Saying: Int] = [:]
        // A node says the same whichever need it answers.
        var twins: [NodeID: Int] = [:]
        var candidates: [ContextPacking.Candidate] = []
        func add(_ match: Match, need: Int) {
            func twin(of match: Match) -> Int {
                if let known = twins[match.node] { return known }
                let saying = Saying(description: ExactText(match.description), data: ExactText(JSONPrinter.text(match.data)))
                let twin = sayings[saying] ?? candidates.count
                sayings[saying] = twin
                twins[match.node] = twin
                return twin
            }
            candidates.append(.init(need: need, relevance: match.similarity, twin: twin(of: match), isPinned: match.isPinned))
        }
        for match in pinned { add(match, need: 0) }
        for (need, found) in context.needs.enumerated() { for match in found.matches { add(match, need: need) } }
        var vectors: [NodeID: [Float]] = [:]
        if diversity > 0 { for match in all where vectors[match.entry] == nil { vectors[match.entry] = try index.vector(of: match.entry, in: view) } }
        let nothing = [Float](repeating: 0, count: index.dimension)

        let packing = ContextPacking(budget: tokensMax, diversity: diversity)
        // Of two needs a long node may show two passages.
        var costs: [NodeID: Int] = [:]
        func cost(at place: Int) throws -> Int {
            if let known = costs[all[place].entry] { return known }
            let count = try self.cost(all[place])
            costs[all[place].entry] = count
            return count
        }
        let (selection, head) = try packing.select(candidates) { place in
            try cost(at: place)
        } cosine: { a, b in
            Double(VectorMath.dot((vectors[all[a].entry] ?? nothing)[...], vectors[all[b].entry] ?? nothing))
        } head: { place, tokensMax in
            try scale.head(of: all[place].data, tokensMax: tokensMax)
        }
        var kept = [Match?](repeating: nil, count: all.count)
        var rest = selection.head == nil ? tokensMax - selection.tokens : 0
        for place in selection.kept {
            kept[place] = head != nil && place == selection.head?.place ? all[place].cut(to: head!) : all[place]
            guard all[place].isPassage else { continue }
            let more = try self.cost(whole[place]) - cost(at: place)
            guard more <= rest else { continue }
            rest -= more
            kept[place] = whole[place]
        }
        var packed = InitialContext(needs: [])
        packed.pinned = kept[..<pinned.count].compactMap { $0 }
        var start = pinned.count
        for (need, matches) in context.needs {
            packed.needs.append((need, kept[start..<start + matches.count].compactMap { $0 }))
            start += matches.count
        }
        var told: Set<String> = []
        packed.omitted = selection.omitted.map { all[$0].nodeKey }.filter { told.insert($0).inserted }
        return try bounded(packed)
    }

    /// The texts of passages have what tokens the data leaves, in the order of the matches.
    private func bounded(_ context: InitialContext) throws -> InitialContext {
        guard context.matches.contains(where: { $0.passage != nil }) else { return context }
        var context = context
        var rest = tokensMax
        for match in context.matches { rest -= min(rest, try cost(match)) }
        for place in context.pinned.indices { rest -= context.pinned[place].boundPassage(to: rest, scale.count) }
        for need in context.needs.indices {
            for place in context.needs[need].matches.indices { rest -= context.needs[need].matches[place].boundPassage(to: rest, scale.count) }
        }
        return context
    }

    private struct Saying: Hashable {
        let description: ExactText
        let data: ExactText
    }

    private func cost(_ match: Match) throws -> Int {
        scale.format == .json && !match.isPassage ? match.tokenCount : try scale.tokens(of: match.data)
    }

    /// Whether all matches fit. A text has at most as many tokens as bytes, so most contexts need no count.
    private func fits(_ matches: [Match]) throws -> Bool {
        if scale.format == .json { return matches.reduce(0) { $0 + $1.tokenCount } <= tokensMax }
        var rest = tokensMax
        for match in matches where rest >= 0 { rest -= try scale.bytes(of: match.data) }
        if rest >= 0 { return true }
        rest = tokensMax
        for match in matches where rest >= 0 { rest -= min(try cost(match), tokensMax + 1) }
        return rest >= 0
    }
}
