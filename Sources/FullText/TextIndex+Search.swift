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
            search.scored = try open(query, found, weights, &reader, memory).all
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
            var cursors = TermCursors(terms: weights.terms.count)
            for (place, term) in weights.terms.enumerated() where term.documentFrequency > 0 {
                let bytes = Array(term.term.utf8)
                guard let found = try reader.find(bytes[...]) else { continue }
                cursors.append(try reader.open(bytes[...], found, weight: weights.weights[place], weights.lengthNorm, memory), at: place)
            }
            return try scores(weights, of: nodes, cursors, PositionReader(scope), in: view)
        }
    }

    private func scores(
        _ weights: QueryWeights, of nodes: [NodeID], _ cursors: TermCursors, _ positions: PositionReader, in view: borrowing TransactionView
    ) throws -> [Float?] {
        let order = nodes.indices.sorted { nodes[$0] < nodes[$1] }
        let lengths = try lengths(of: nodes, order, in: view)
        var sums = [Int32](repeating: 0, count: nodes.count)
        var shared = [Int](repeating: 0, count: nodes.count)
        cursors.rewind()
        for cursor in cursors.all {
            let scale = cursor.scale
            for place in order {
                guard let length = lengths[place], let count = try cursor.find(nodes[place].rawValue), count > 0 else { continue }
                sums[place] &+= LengthNorm.share(scale, count: count, length: length)
                shared[place] += 1
            }
        }
        var scores = nodes.indices.map { lengths[$0] == nil ? nil : weights.score(sums[$0]) }
        guard !weights.lifts.isEmpty else { return scores }
        // Most of them are near by meaning alone: no phrase stands in a text with fewer of the words.
        let least = weights.lifts.map { Set($0.places).count }.min() ?? 0
        try lift(&scores, weights, of: nodes, order.filter { shared[$0] >= least }, lengths, cursors, positions, in: view)
        return scores
    }

    /// Of all nodes with a rare exact word of a query, how rare.
    public func exact(_ weights: QueryWeights, in view: borrowing TransactionView) throws -> [NodeID: Rarity] {
        if weights.exact.isEmpty { return [:] }
        let exact = try exact(ResolvedTextQuery(TextQuery(terms: [])), weights, false, where: nil, in: view)
        return Dictionary(uniqueKeysWithValues: exact.map { ($0.node, $0.rarity) })
    }

    /// Terms of the nodes' texts, nil of those without one. Each record is opened once.
    /// - Parameter order: the places of the nodes, by rising node.
    func lengths(of nodes: [NodeID], _ order: [Int], in view: borrowing TransactionView) throws -> [UInt32?] {
        var lengths = [UInt32?](repeating: nil, count: nodes.count)
        var open: (chunk: UInt32, lengths: LengthView?)?
        for place in order {
            let chunk = nodes[place].rawValue / UInt32(LengthRecord.nodes)
            if open?.chunk != chunk { open = (chunk, try lengthView(chunk, in: view)) }
            lengths[place] = open?.lengths?.length(of: nodes[place].rawValue)
        }
        return lengths
    }

    /// How many texts have each term of a query, looked up where it is not known.
    private func frequencies(
        of query: TextQuery, _ reader: inout TermReader, known: (ArraySlice<UInt8>) -> Int?
    ) throws -> [Int] {
        var found: [Int] = []
        found.reserveCapacity(query.terms.count)
        for place in query.terms.indices {
            let term = query.bytes(place)
            found.append(try known(term) ?? reader.find(term)?.documents ?? 0)
        }
        return found
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
    ) throws -> TermCursors {
        var cursors = TermCursors(terms: found.count)
        for place in found.indices {
            guard let term = found[place] else { continue }
            cursors.append(try reader.open(query.bytes(place), term, weight: weights.weights[place], weights.lengthNorm, memory), at: place)
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

/// Cursors of the terms of a query that some text has.
private struct TermCursors {
    /// In the order of terms.
    private(set) var all: [PostingCursor] = []
    /// Of each term of the query.
    private var places: [PostingCursor?]

    init(terms: Int) {
        places = Array(repeating: nil, count: terms)
        all.reserveCapacity(terms)
    }

    mutating func append(_ cursor: PostingCursor, at place: Int) {
        all.append(cursor)
        places[place] = cursor
    }

    func rewind() {
        for cursor in all { cursor.rewind() }
    }

    /// Whether a node has all of some terms. Nodes are asked for in rising order.
    func has(_ node: UInt32, all terms: [Int]) throws -> Bool {
        for term in terms {
            guard let cursor = places[term], try cursor.find(node) ?? 0 > 0 else { return false }
        }
        return true
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
    /// Runs of terms that lift a text in which they stand one after another.
    let lifts: [[String]]
    let excluded: [(terms: [String], isPhrase: Bool)]
    /// What each prefix stands for: for the score one word, however many terms it has.
    let prefixes: [(word: String, terms: [String])]
    /// Without what its prefixes stand for.
    private let words: [ExactText: Int]

    /// A query of plain words.
    public init(_ query: TextQuery) {
        self.query = query
        (required, phrases, lifts, excluded, prefixes, words) = ([], [], [], [], [], [:])
    }

    /// - Parameter terms: those of the dictionary that begin with a prefix, the most frequent ones, at most so many.
    init(_ syntax: TextSearchQuery, terms: (TextSearchQuery.Prefix, Int) throws -> [String]) rethrows {
        var all = syntax.words
        words = syntax.words.reduce(into: [:]) { $0[ExactText($1), default: 0] += 1 }
        var groups: [[String]] = syntax.required.map { [$0] }
        var prefixes: [(word: String, terms: [String])] = []
        for prefix in syntax.prefixes.prefix(TextIndex.prefixesMax) {
            let terms = try terms(prefix, TextIndex.prefixTermsMax)
            for term in terms where words[ExactText(term)] == nil { all.append(term) }
            prefixes.append((prefix.whole ?? prefix.text, terms))
            if syntax.requiredPrefixes.contains(prefix) { groups.append(terms) }
        }
        var excluded = syntax.excluded
        for prefix in syntax.excludedPrefixes.prefix(TextIndex.prefixesMax) {
            excluded += try terms(prefix, TextIndex.demandsMax).map { ([$0], false) }
        }
        query = TextQuery(terms: all, exact: syntax.exact, order: syntax.order)
        var seen: Set<[ExactText]> = []
        required = groups.prefix(TextIndex.demandsMax).filter { seen.insert($0.map { ExactText($0) }).inserted }
        phrases = Array(syntax.phrases.prefix(TextIndex.phrasesMax))
        var said: Set<[ExactText]> = []
        lifts = Array(syntax.lifts.filter { said.insert($0.map { ExactText($0) }).inserted }.prefix(TextIndex.liftsMax))
        self.excluded = Array(excluded.prefix(TextIndex.demandsMax))
        self.prefixes = prefixes
    }

    /// Whether texts must or must not have something, beside a score.
    public var hasDemands: Bool { !required.isEmpty || !excluded.isEmpty }

    /// What a phrase adds to a text in which it stands, of the sum of its words' idf: one in quotation marks, and two words that follow each
    /// other in the query (docs/decisions/0057-plain-language-first.md).
    private static let liftOfPhrase: Float = 0.5
    static let liftOfPair: Float = 0.1

    /// The weights of the whole query from those of its terms. What it says beside plain words never makes a text worth less: phrases only
    /// add, and of a prefix the ceiling counts its most frequent term where that is less than the word itself. (A sum over all 64 would make
    /// any one of them worth next to nothing.)
    /// - Parameter positions: whether the index knows the order of terms.
    func settled(_ weights: QueryWeights, positions: Bool) -> QueryWeights {
        var weights = weights
        if !prefixes.isEmpty {
            let idfs = Dictionary(uniqueKeysWithValues: weights.terms.map { (ExactText($0.term), $0.idf) })
            let counts = weights.terms.map { words[ExactText($0.term)] ?? 0 }
            var ceiling = zip(counts, weights.terms).reduce(0) { $0 + Float($1.0) * $1.1.idf }
            for prefix in prefixes {
                guard let least = prefix.terms.compactMap({ idfs[ExactText($0)] }).min() else { continue }
                ceiling += min(0, least - (idfs[ExactText(prefix.word)] ?? 0))
            }
            weights = weights.with(ceiling: max(0, ceiling), counts: counts)
        }
        return positions ? weights.with(lifts: lifts(weights)) : weights
    }

    private func lifts(_ weights: QueryWeights) -> [QueryWeights.Lift] {
        var pairs: [(place: Int, pair: TextQuery.Pair, idf: Float)] = []
        for (place, pair) in query.pairs.enumerated() {
            let (first, second) = (weights.terms[pair.first], weights.terms[pair.second])
            if first.documentFrequency > 0, second.documentFrequency > 0 { pairs.append((place, pair, first.idf + second.idf)) }
        }
        if pairs.count > TextIndex.pairsMax {
            pairs.sort { $0.idf != $1.idf ? $0.idf > $1.idf : $0.place < $1.place }
            pairs.removeLast(pairs.count - TextIndex.pairsMax)
        }
        let standing = pairs.map { QueryWeights.Lift(places: [$0.pair.first, $0.pair.second], score: Self.liftOfPair * $0.idf, isAsked: false) }
        if lifts.isEmpty { return standing }
        let places = Dictionary(uniqueKeysWithValues: weights.terms.enumerated().map { (ExactText($1.term), $0) })
        return lifts.compactMap { phrase in
            let places = phrase.compactMap { places[ExactText($0)] }
            // A term that no text has, or that is past the limit of terms: no text has the phrase.
            guard places.count == phrase.count, places.allSatisfy({ weights.terms[$0].documentFrequency > 0 }) else { return nil }
            return QueryWeights.Lift(places: places, score: Self.liftOfPhrase * places.reduce(0) { $0 + weights.terms[$1].idf }, isAsked: true)
        } + standing
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
    /// Phrases that lift texts, the first of a query, and how long one may be: who quotes more finds it by its words.
    static let liftsMax = 8
    static let liftTermsMax = 32
    /// Pairs of words that follow each other, those of the rarest words. With `liftsMax` they are at most 32 (`PhraseRuns`).
    static let pairsMax = 16

    /// The best texts by words that are looked at for phrases, when so many are wanted: phrases change the order among the first.
    static func look(for count: Int) -> Int { max(32, count) }

    /// Looks up what the prefixes of a query stand for.
    /// - Complexity: O(terms with the prefixes), of which `prefixScanMax` are read.
    public func resolve(_ syntax: TextSearchQuery, in view: borrowing TransactionView) throws -> ResolvedTextQuery {
        try ResolvedTextQuery(syntax) { try terms($0, count: $1, in: view) }
    }

    /// The query under the statistics of now, its ceiling that of its words.
    /// - Parameter known: of a term how many texts have it, nil where it is to be looked up.
    /// - Complexity: O(terms x log n).
    public func weights(
        _ resolved: ResolvedTextQuery, known: (ArraySlice<UInt8>) -> Int? = { _ in nil }, in view: borrowing TransactionView
    ) throws -> QueryWeights {
        let state = try state(in: view)
        var reader = try TermReader(self, state, in: view)
        let frequencies = try frequencies(of: resolved.query, &reader, known: known)
        let weights = QueryWeights(resolved.query, documentFrequencies: frequencies, statistics: state.statistics)
        return resolved.settled(weights, positions: state.options.positions)
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

    /// What a search with its syntax finds.
    public struct Answer {
        /// Best first.
        public let matches: [TextMatch]
        /// Of the other nodes that were to be scored, and of those that have a rare exact word; 0 of a node without a text.
        public let others: [TextMatch]
        /// The nodes with a rare exact word, the rarest of each.
        public let exact: [(node: NodeID, rarity: Rarity)]
        public let weights: QueryWeights
    }

    /// The same with the weights of the query, the nodes with a rare exact word, and the scores of other nodes: each term is looked up once for all.
    /// - Parameter nodes: is given the nodes that were found and says which others to score.
    public func search(
        _ resolved: ResolvedTextQuery, count: Int, alsoScoring nodes: ([NodeID]) throws -> [NodeID], where filter: ((NodeID) throws -> Bool)? = nil,
        in view: borrowing TransactionView
    ) throws -> Answer {
        try SearchMemory.lend { memory in
            let state = try state(in: view)
            var reader = try TermReader(self, state, in: view)
            let (found, bare) = try find(resolved.query, &reader, state.statistics)
            let weights = resolved.settled(bare, positions: state.options.positions)
            let cursors = try open(resolved.query, found, weights, &reader, memory)
            let look = weights.lifts.isEmpty ? count : count > 0 ? Self.look(for: count) : 0
            let positions = PositionReader(scope)
            var matches = try search(resolved, weights, cursors.all, count: look, state.options, &reader, memory, where: filter, in: view)
            if !weights.lifts.isEmpty {
                // A text with a phrase may be further behind by its words.
                var known = Set(matches.map(\.node))
                for lift in weights.lifts where lift.isAsked {
                    cursors.rewind()
                    let lifted = try search(
                        resolved, lift: weights.phrase(lift), weights, cursors.all, count: look, state.options, &reader, memory, where: filter, in: view)
                    matches += lifted.filter { known.insert($0.node).inserted }
                }
                // Who is behind the last of those wanted by more than all phrases together stays behind it.
                if matches.count > count, let last = matches.map(\.score).sorted(by: >).dropFirst(count - 1).first {
                    // Of the sums that are compared, each may be rounded.
                    let most = weights.lifts.reduce(0) { $0 + $1.score } * 1.000_1
                    matches.removeAll { $0.score + most < last * 0.999_9 }
                }
                let nodes = matches.map(\.node)
                let order = nodes.indices.sorted { nodes[$0] < nodes[$1] }
                var scores = matches.map(\.score).map(Optional.some)
                try lift(&scores, weights, of: nodes, order, lengths(of: nodes, order, in: view), cursors, positions, in: view)
                matches = zip(matches, scores).map { TextMatch(node: $0.node, score: $1 ?? $0.score) }
                matches.sort { $0.score != $1.score ? $0.score > $1.score : $0.node < $1.node }
                matches.removeLast(max(0, matches.count - count))
            }
            let exact = weights.exact.isEmpty || count == 0 ? [] : try self.exact(resolved, weights, state.options.positions, where: filter, in: view)
            var known = Set(matches.map(\.node))
            var others = exact.map(\.node).filter { known.insert($0).inserted }
            others += try nodes(matches.map(\.node) + others).filter { known.insert($0).inserted }
            let scores = others.isEmpty ? [] : try scores(weights, of: others, cursors, positions, in: view)
            return Answer(matches: matches, others: zip(others, scores).map { TextMatch(node: $0, score: $1 ?? 0) }, exact: exact, weights: weights)
        }
    }

    /// The nodes with a rare exact word that the demands and the filter leave.
    private func exact(
        _ resolved: ResolvedTextQuery, _ weights: QueryWeights, _ hasPositions: Bool, where filter: ((NodeID) throws -> Bool)?,
        in view: borrowing TransactionView
    ) throws -> [(node: NodeID, rarity: Rarity)] {
        var exact: [(node: NodeID, rarity: Rarity)] = []
        var known: Set<NodeID> = []
        for rarity in [Rarity.alone, .rare] {
            let words = weights.exact.filter { $0.rarity == rarity }.map { weights.terms[$0.place].term }
            if words.isEmpty { continue }
            for node in try nodes(having: [words] + resolved.required, without: resolved, resolved.phrases, hasPositions, in: view)
            where try filter?(node) ?? true && known.insert(node).inserted { exact.append((node, rarity)) }
        }
        return exact
    }

    /// Adds to the scores of some nodes what the phrases of a query are worth that stand there, in the order of the phrases.
    ///
    /// The order of terms is read first: a run of hashes that stands there is almost always the phrase. Only what seems to stand is looked up in
    /// the postings, whether its terms are in the text.
    /// - Parameters:
    ///   - order: the places of the nodes that may have one, by rising node.
    ///   - lengths: of their texts.
    private func lift(
        _ scores: inout [Float?], _ weights: QueryWeights, of nodes: [NodeID], _ order: [Int], _ lengths: [UInt32?], _ cursors: TermCursors,
        _ positions: PositionReader, in view: borrowing TransactionView
    ) throws {
        let runs = PhraseRuns(weights.lifts.map(weights.phrase))
        cursors.rewind()
        for place in order {
            guard let length = lengths[place], var score = scores[place] else { continue }
            let node = nodes[place].rawValue
            var standing = try positions.standing(runs, node, length: Int(length), in: view)
            guard standing != 0 else { continue }
            while standing != 0 {
                let lift = weights.lifts[standing.trailingZeroBitCount]
                standing &= standing - 1
                if try cursors.has(node, all: lift.places) { score += lift.score }
            }
            scores[place] = score
        }
    }

    /// - Parameter lift: only texts in which this phrase stands.
    private func search(
        _ resolved: ResolvedTextQuery, lift: [String] = [], _ weights: QueryWeights, _ cursors: [PostingCursor], count: Int, _ options: TextIndexOptions,
        _ reader: inout TermReader, _ memory: SearchMemory, where filter: ((NodeID) throws -> Bool)?, in view: borrowing TransactionView
    ) throws -> [TextMatch] {
        guard count > 0 else { return [] }
        let norm = weights.lengthNorm
        var search = TextSearch(self, norm, count: count, memory)
        search.scored = cursors
        for group in resolved.required + Set(lift.map { ExactText($0) }).sorted().map({ [$0.text] }) {
            let cursors = try open(group, weight: 0, norm, &reader, memory)
            if cursors.isEmpty { return [] }
            search.required.append(cursors.map(\.cursor))
        }
        if options.positions { search.phrases = (resolved.phrases + (lift.isEmpty ? [] : [lift])).map(Self.hashes) }
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
