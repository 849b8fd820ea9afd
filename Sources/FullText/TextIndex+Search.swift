public import Base
internal import KeySpace
public import LMDB

extension TextIndex {
    /// The `count` best texts of a query, best first, equal scores by node number: what scoring every text and sorting would give.
    /// - Parameter filter: says whether a node may be among them; asked only about nodes that would be.
    /// - Complexity: at worst O(postings of the query's terms), about 1 ns each; most blocks of frequent terms are passed over.
    public func search(
        _ query: TextQuery, count: Int, where filter: ((NodeID) throws -> Bool)? = nil, in view: borrowing TransactionView
    ) throws -> [TextMatch] {
        guard count > 0 else { return [] }
        return try SearchMemory.lend { memory in
            let state = try state(in: view)
            var reader = try TermReader(self, state, in: view)
            let (found, weights) = try find(query, &reader, state.statistics)
            var search = TextSearch(self, weights.lengthNorm, count: count, memory)
            search.scored = try open(query, found, weights, &reader, memory)
            return try search.run(weights, where: filter, in: view)
        }
    }

    /// The query under the statistics of now.
    /// - Complexity: O(terms x log n).
    public func weights(_ query: TextQuery, in view: borrowing TransactionView) throws -> QueryWeights {
        let state = try state(in: view)
        var reader = try TermReader(self, state, in: view)
        return try find(query, &reader, state.statistics).weights
    }

    /// The scores of some nodes, 0 of a text with none of the terms, nil of a node without a text.
    /// - Complexity: O(terms x (their blocks + nodes)), nodes sorted.
    public func scores(_ weights: QueryWeights, of nodes: [NodeID], in view: borrowing TransactionView) throws -> [Float?] {
        try SearchMemory.lend { memory in
            var reader = try TermReader(self, state(in: view), in: view)
            var cursors: [PostingCursor] = []
            for (place, term) in weights.terms.enumerated() where term.documentFrequency > 0 {
                let bytes = Array(term.term.utf8)
                guard let found = try reader.find(bytes[...]) else { continue }
                cursors.append(try reader.open(bytes[...], found, weight: weights.weights[place], weights.lengthNorm, memory))
            }
            return try scores(weights, of: nodes, cursors, in: view)
        }
    }

    /// - Parameter cursors: of the query's terms, at their beginning.
    private func scores(
        _ weights: QueryWeights, of nodes: [NodeID], _ cursors: [PostingCursor], in view: borrowing TransactionView
    ) throws -> [Float?] {
        let order = nodes.indices.sorted { nodes[$0] < nodes[$1] }
        let lengths = try lengths(of: nodes, order, in: view)
        var sums = [Int32](repeating: 0, count: nodes.count)
        for cursor in cursors {
            let scale = cursor.scale
            for place in order {
                guard let length = lengths[place], let count = try cursor.find(nodes[place].rawValue), count > 0 else { continue }
                sums[place] &+= LengthNorm.share(scale, count: count, length: length)
            }
        }
        return nodes.indices.map { lengths[$0] == nil ? nil : weights.score(sums[$0]) }
    }

    /// Terms of the nodes' texts, nil of those without one. Each record is opened once.
    /// - Parameter order: the places of the nodes, by rising node.
    private func lengths(of nodes: [NodeID], _ order: [Int], in view: borrowing TransactionView) throws -> [UInt32?] {
        var lengths = [UInt32?](repeating: nil, count: nodes.count)
        var open: (chunk: UInt32, lengths: LengthView?)?
        for place in order {
            let chunk = nodes[place].rawValue / UInt32(LengthRecord.nodes)
            if open?.chunk != chunk { open = (chunk, try lengthView(chunk, in: view)) }
            lengths[place] = open?.lengths?.length(of: nodes[place].rawValue)
        }
        return lengths
    }

    /// The query's terms in the dictionary, and its weights.
    private func find(
        _ query: TextQuery, _ reader: inout TermReader, _ statistics: TextStatistics
    ) throws -> (found: [FoundTerm?], weights: QueryWeights) {
        var found: [FoundTerm?] = []
        found.reserveCapacity(query.terms.count)
        for place in query.terms.indices { found.append(try reader.find(query.bytes(place))) }
        return (found, QueryWeights(query, documentFrequencies: found.map { $0?.documents ?? 0 }, statistics: statistics))
    }

    private func open(
        _ query: TextQuery, _ found: [FoundTerm?], _ weights: QueryWeights, _ reader: inout TermReader, _ memory: SearchMemory
    ) throws -> [PostingCursor] {
        var cursors: [PostingCursor] = []
        cursors.reserveCapacity(found.count)
        for place in found.indices {
            guard let term = found[place] else { continue }
            cursors.append(try reader.open(query.bytes(place), term, weight: weights.weights[place], weights.lengthNorm, memory))
        }
        return cursors
    }

    func lengthView(_ chunk: UInt32, in view: borrowing TransactionView) throws -> LengthView? {
        guard let record = try view.load(scope.key(.textLengths, chunk)) else { return nil }
        // The pointer stays good beyond the closure: the page is mapped and unchanged as long as the view.
        return try unsafe record.withUnsafeBytes { buffer in
            var reader = unsafe RecordReader(buffer)
            return try LengthView(&reader)
        }
    }
}

// MARK: - With the syntax

/// A query with its prefixes spelled out, as of one snapshot.
public struct ResolvedTextQuery: Sendable {
    /// All terms that count: what `scores` wants.
    public let query: TextQuery
    /// Each of these groups must have a term that is there.
    let required: [[String]]
    /// Runs of terms that must stand one after another.
    let phrases: [[String]]
    let excluded: [(terms: [String], isPhrase: Bool)]
    /// What each prefix stands for: for the score one word, however many terms it has.
    let prefixes: [[String]]

    /// A query of plain words.
    public init(_ query: TextQuery) {
        self.query = query
        (required, phrases, excluded, prefixes) = ([], [], [], [])
    }

    /// - Parameter terms: those of the dictionary that begin with a prefix, the most frequent ones, at most so many.
    init(_ syntax: TextSearchQuery, terms: (TextSearchQuery.Prefix, Int) throws -> [String]) rethrows {
        var words = syntax.words
        var groups: [[String]] = syntax.required.map { [$0] }
        var prefixes: [[String]] = []
        for prefix in syntax.prefixes.prefix(TextIndex.prefixesMax) {
            let terms = try terms(prefix, TextIndex.prefixTermsMax)
            words += terms
            prefixes.append(terms)
            if syntax.requiredPrefixes.contains(prefix) { groups.append(terms) }
        }
        var excluded = syntax.excluded
        for prefix in syntax.excludedPrefixes.prefix(TextIndex.prefixesMax) {
            excluded += try terms(prefix, TextIndex.demandsMax).map { ([$0], false) }
        }
        query = TextQuery(terms: words)
        var seen: Set<[ExactText]> = []
        required = groups.prefix(TextIndex.demandsMax).filter { seen.insert($0.map { ExactText($0) }).inserted }
        phrases = Array(syntax.phrases.prefix(TextIndex.phrasesMax))
        self.excluded = Array(excluded.prefix(TextIndex.demandsMax))
        self.prefixes = prefixes
    }

    /// Whether texts must or must not have something, beside a score.
    public var hasDemands: Bool { !required.isEmpty || !excluded.isEmpty }

    /// What a text can well be expected to reach: of a prefix only its most frequent term. A sum over all 64 would make any one of them
    /// worth next to nothing.
    func ceiling(_ weights: QueryWeights) -> Float {
        if prefixes.isEmpty { return weights.ceiling }
        let idfs = Dictionary(uniqueKeysWithValues: weights.terms.map { (ExactText($0.term), $0.idf) })
        var ceiling = weights.ceiling
        for group in prefixes {
            let group = group.compactMap { idfs[ExactText($0)] }
            guard let least = group.min() else { continue }
            ceiling += least - group.reduce(0, +)
        }
        return max(0, ceiling)
    }
}

/// Which texts the demands of a query leave.
public enum TextSelection: Sendable {
    case all
    /// In the order of their numbers, as below.
    case only([NodeID])
    case except([NodeID])
}

extension TextIndex {
    /// Terms that a prefix stands for: the most frequent of those that begin with it.
    public static let prefixTermsMax = 64
    /// Terms of the dictionary that are looked at for one prefix.
    static let prefixScanMax = 16_384
    /// What a query may demand of a text (`+`, phrases' terms), and how much exclude; more is left out.
    static let demandsMax = 1_024
    /// Phrases that are compared with the order of a text's terms; of more, only the terms count.
    static let phrasesMax = 64
    /// Prefixes that a query may have; more are left out.
    static let prefixesMax = 16

    /// Looks up what the prefixes of a query stand for.
    /// - Complexity: O(terms with the prefixes), of which `prefixScanMax` are read.
    public func resolve(_ syntax: TextSearchQuery, in view: borrowing TransactionView) throws -> ResolvedTextQuery {
        try ResolvedTextQuery(syntax) { try terms($0, count: $1, in: view) }
    }

    /// The query under the statistics of now, its ceiling that of its words.
    /// - Complexity: O(terms x log n).
    public func weights(_ resolved: ResolvedTextQuery, in view: borrowing TransactionView) throws -> QueryWeights {
        let weights = try weights(resolved.query, in: view)
        return weights.with(ceiling: resolved.ceiling(weights))
    }

    /// The best texts of a query with its syntax; a query that only excludes finds nothing.
    ///
    /// Without positions (`TextIndexOptions`) a phrase is found where all its terms are.
    /// - Complexity: as the plain search, and one record for each text that could be among the best and has all terms of a phrase.
    public func search(
        _ resolved: ResolvedTextQuery, count: Int, where filter: ((NodeID) throws -> Bool)? = nil, in view: borrowing TransactionView
    ) throws -> [TextMatch] {
        try search(resolved, count: count, alsoScoring: { _ in [] }, where: filter, in: view).matches
    }

    /// The same with the weights of the query, and the scores of other nodes: each term is looked up once for all.
    /// - Parameter nodes: is given the matches and says which nodes to score; those among the matches are left out.
    /// - Returns: `others` in the order of `nodes`, 0 of a node without a text.
    public func search(
        _ resolved: ResolvedTextQuery, count: Int, alsoScoring nodes: ([TextMatch]) throws -> [NodeID], where filter: ((NodeID) throws -> Bool)? = nil,
        in view: borrowing TransactionView
    ) throws -> (matches: [TextMatch], others: [TextMatch], weights: QueryWeights) {
        try SearchMemory.lend { memory in
            let state = try state(in: view)
            var reader = try TermReader(self, state, in: view)
            let (found, weights) = try find(resolved.query, &reader, state.statistics)
            let cursors = try open(resolved.query, found, weights, &reader, memory)
            let matches = try search(resolved, weights, cursors, count: count, state.options, &reader, memory, where: filter, in: view)
            let matched = Set(matches.map(\.node))
            let others = try nodes(matches).filter { !matched.contains($0) }
            for cursor in cursors { cursor.rewind() }
            let scores = others.isEmpty ? [] : try scores(weights, of: others, cursors, in: view)
            return (matches, zip(others, scores).map { TextMatch(node: $0, score: $1 ?? 0) }, weights.with(ceiling: resolved.ceiling(weights)))
        }
    }

    private func search(
        _ resolved: ResolvedTextQuery, _ weights: QueryWeights, _ cursors: [PostingCursor], count: Int, _ options: TextIndexOptions,
        _ reader: inout TermReader, _ memory: SearchMemory, where filter: ((NodeID) throws -> Bool)?, in view: borrowing TransactionView
    ) throws -> [TextMatch] {
        guard count > 0 else { return [] }
        let norm = weights.lengthNorm
        var search = TextSearch(self, norm, count: count, memory)
        search.scored = cursors
        for group in resolved.required {
            let cursors = try open(group, weight: 0, norm, &reader, memory)
            if cursors.isEmpty { return [] }
            search.required.append(cursors.map(\.cursor))
        }
        if options.positions { search.phrases = resolved.phrases.map(Self.hashes) }
        search.excluded = try exclusions(resolved, options.positions, norm, &reader, memory)
        return try search.run(weights, where: filter, in: view)
    }

    /// Cursors of what is excluded, without what no text has.
    private func exclusions(
        _ resolved: ResolvedTextQuery, _ hasPositions: Bool, _ norm: LengthNorm, _ reader: inout TermReader, _ memory: SearchMemory
    ) throws -> [(terms: [PostingCursor], phrase: [UInt64]?)] {
        var groups: [(terms: [PostingCursor], phrase: [UInt64]?)] = []
        for (terms, isPhrase) in resolved.excluded {
            let distinct = Set(terms.map { ExactText($0) })
            let cursors = try open(distinct.sorted().map(\.text), weight: 0, norm, &reader, memory)
            // A term that no text has: no text has all.
            guard cursors.count == distinct.count else { continue }
            groups.append((cursors.map(\.cursor), isPhrase && hasPositions ? Self.hashes(terms) : nil))
        }
        return groups
    }

    // MARK: - All texts that the demands leave

    /// What each term adds while texts are only told apart: that any sum of 1,024 shares fits, and none is rounded to 0.
    private static let presence: Float = 524_288

    /// The texts that have what a query demands and nothing of what it excludes: for a search by other means.
    /// - Complexity: O(postings of the rarest thing demanded), or without demands O(postings of what is excluded).
    public func selection(_ resolved: ResolvedTextQuery, in view: borrowing TransactionView) throws -> TextSelection {
        guard resolved.hasDemands else { return .all }
        let hasPositions = try options(in: view).positions
        if resolved.required.isEmpty { return .except(try excludedNodes(resolved, hasPositions, in: view)) }
        return .only(try nodes(having: resolved.required, without: resolved, resolved.phrases, hasPositions, in: view))
    }

    /// The nodes with a term of each group and with the phrases: walks the postings of the rarest group and looks the others up.
    private func nodes(
        having groups: [[String]], without exclusions: ResolvedTextQuery?, _ phrases: [[String]], _ hasPositions: Bool,
        in view: borrowing TransactionView
    ) throws -> [NodeID] {
        try SearchMemory.lend { memory in
            // Only whether a term is there counts: no length.
            let norm = LengthNorm(averageLength: 0)
            var reader = try TermReader(self, state(in: view), in: view)
            var opened: [(cursors: [PostingCursor], documents: Int)] = []
            for group in groups {
                let cursors = try open(group, weight: Self.presence, norm, &reader, memory)
                if cursors.isEmpty { return [] }
                opened.append((cursors.map(\.cursor), cursors.reduce(0) { $0 + $1.documents }))
            }
            guard let rarest = opened.indices.min(by: { opened[$0].documents < opened[$1].documents }) else { return [] }
            var search = TextSearch(self, norm, count: 1, memory)
            search.scored = opened[rarest].cursors
            search.required = opened.indices.filter { $0 != rarest }.map { opened[$0].cursors }
            if hasPositions { search.phrases = phrases.map(Self.hashes) }
            if let exclusions { search.excluded = try self.exclusions(exclusions, hasPositions, norm, &reader, memory) }
            let none = QueryWeights(TextQuery(terms: []), documentFrequencies: [], statistics: .none)
            var nodes: [NodeID] = []
            _ = try search.run(
                none,
                where: { node in
                    nodes.append(node)
                    return false
                }, in: view)
            return nodes
        }
    }

    private func excludedNodes(_ resolved: ResolvedTextQuery, _ hasPositions: Bool, in view: borrowing TransactionView) throws -> [NodeID] {
        var found: Set<NodeID> = []
        // All single words in one walk.
        let single = Set(resolved.excluded.filter { $0.terms.count == 1 }.map { ExactText($0.terms[0]) })
        found.formUnion(try nodes(having: [single.sorted().map(\.text)], without: nil, [], hasPositions, in: view))
        for (terms, isPhrase) in resolved.excluded where terms.count > 1 {
            let distinct = Set(terms.map { ExactText($0) }).map { [$0.text] }
            found.formUnion(try nodes(having: distinct, without: nil, isPhrase ? [terms] : [], hasPositions, in: view))
        }
        return found.sorted()
    }

    private static func hashes(_ phrase: [String]) -> [UInt64] { phrase.map { PositionRecord.hash($0.utf8) } }

    /// Cursors of those of the terms that some text has.
    private func open(
        _ terms: [String], weight: Float, _ norm: LengthNorm, _ reader: inout TermReader, _ memory: SearchMemory
    ) throws -> [(cursor: PostingCursor, documents: Int)] {
        var cursors: [(cursor: PostingCursor, documents: Int)] = []
        for term in terms {
            let bytes = Array(term.utf8)
            guard let found = try reader.find(bytes[...]) else { continue }
            cursors.append((try reader.open(bytes[...], found, weight: weight, norm, memory), found.documents))
        }
        return cursors
    }

    /// The terms that begin with a prefix, and what the word is alone; the most frequent when there are more than `count`.
    private func terms(_ prefix: TextSearchQuery.Prefix, count: Int, in view: borrowing TransactionView) throws -> [String] {
        let wanted = Array(prefix.text.utf8)
        var counts: [[UInt8]: Int] = [:]
        for kind in [KeyKind.textTerms, .textRecent] {
            let key = scope.key(kind)
            var scanned = 0
            // The record in whose stretch the prefix falls, then those after it.
            var start = key
            try view.scanRecords(prefix: key, from: key + wanted, .descending) { recordKey, _ in
                start = recordKey
                return .stop
            }
            try view.scanRecords(prefix: key, from: start) { _, payload in
                try unsafe payload.withUnsafeBytes { buffer in
                    var walk = unsafe TermBlockWalk(buffer)
                    while !walk.isAtEnd {
                        try walk.next()
                        let documents = Int(try walk.documents())
                        if walk.term.starts(with: wanted) {
                            counts[walk.term, default: 0] += documents
                            scanned += 1
                        } else if wanted.lexicographicallyPrecedes(walk.term) {
                            return .stop
                        }
                        if scanned >= Self.prefixScanMax { return .stop }
                    }
                    return .onward
                }
            }
        }
        let found = counts.map { (term: String(decoding: $0.key, as: UTF8.self), documents: $0.value) }
        return Self.mostFrequent(found, prefix, count: count)
    }

    /// - Parameter found: the terms with the prefix, at most `prefixScanMax`.
    static func mostFrequent(_ found: [(term: String, documents: Int)], _ prefix: TextSearchQuery.Prefix, count: Int) -> [String] {
        let sorted = found.sorted { $0.documents != $1.documents ? $0.documents > $1.documents : ExactText($0.term) < ExactText($1.term) }
        var terms = sorted.prefix(count).map(\.term)
        if let whole = prefix.whole, !terms.contains(where: { ExactText($0) == ExactText(whole) }) { terms.append(whole) }
        return terms
    }
}
