internal import Base

/// What the index takes of one text: its terms, how often each occurs, and in what order.
public struct AnalyzedText: Sendable {
    /// Terms with repeats.
    public let length: Int
    /// Distinct terms in the order of their bytes, one after another.
    let bytes: [UInt8]
    /// Where each of them ends.
    let ends: [Int]
    /// How often each occurs.
    let counts: [UInt32]
    /// The text, term by term: places among the distinct ones.
    let order: [UInt32]
    /// It goes on from another text: a passage behind the first of a node, or of a document of prose. It counts in all statistics but those of a
    /// typical text, or one long text among short ones would make each of them look short.
    public let goesOn: Bool

    /// - Complexity: O(length + distinct x log distinct).
    public init(_ text: String, analyzer: Analyzer = .init(), goesOn: Bool = false) {
        self.init(analyzer.list(text), goesOn: goesOn)
    }

    /// Passages of one node in their order, or one text.
    /// - Parameter goesOn: the first of them.
    public static func passages(_ texts: [String], analyzer: Analyzer, goesOn: Bool) -> [AnalyzedText] {
        texts.enumerated().map { AnalyzedText($1, analyzer: analyzer, goesOn: goesOn || $0 > 0) }
    }

    init(_ list: consuming TermList, goesOn: Bool = false) {
        self.goesOn = goesOn
        length = list.count
        let sorted = list.table.sorted()
        var (bytes, ends): ([UInt8], [Int]) = ([], [])
        bytes.reserveCapacity(list.table.byteCount)
        ends.reserveCapacity(sorted.count)
        var places = [UInt32](repeating: 0, count: sorted.count)
        for (place, came) in sorted.enumerated() {
            places[came] = UInt32(place)
            bytes += list.table.term(came)
            ends.append(bytes.count)
        }
        var counts = [UInt32](repeating: 0, count: sorted.count)
        // In the list's own memory: this is the largest part of a text.
        var order: [UInt32] = []
        swap(&order, &list.order)
        for at in order.indices {
            let place = places[Int(order[at])]
            counts[Int(place)] += 1
            order[at] = place
        }
        (self.bytes, self.ends, self.counts, self.order) = (bytes, ends, counts, order)
    }

    /// A text of which only its words are known.
    init(length: Int, bytes: [UInt8], ends: [Int], counts: [UInt32]) {
        (self.length, self.bytes, self.ends, self.counts, order, goesOn) = (length, bytes, ends, counts, [], false)
    }

    var distinct: Int { ends.count }

    func range(_ place: Int) -> Range<Int> { (place == 0 ? 0 : ends[place - 1])..<ends[place] }

    /// Distinct terms in the order of their UTF-8 bytes, and how often each occurs.
    public var frequencies: [(term: String, count: Int)] {
        ends.indices.map { (term: String(decoding: bytes[range($0)], as: UTF8.self), count: Int(counts[$0])) }
    }

    /// How often `term` occurs.
    /// - Complexity: O(log distinct).
    func frequency(of term: String) -> Int { place(of: Array(term.utf8)).map { Int(counts[$0]) } ?? 0 }

    /// How often a term occurs.
    /// - Complexity: O(log distinct).
    public func count(of term: ArraySlice<UInt8>) -> Int { place(of: term).map { Int(counts[$0]) } ?? 0 }

    /// Whether the text has a term of a query.
    /// - Complexity: O(query terms x log distinct).
    public func hasTerm(of query: TextQuery) -> Bool { query.terms.indices.contains { place(of: query.bytes($0)) != nil } }

    /// A term's place among the distinct ones, nil when the text lacks it.
    func place(of term: some Swift.Sequence<UInt8>) -> Int? {
        let place = lowerBound(term)
        return place < distinct && bytes[range(place)].elementsEqual(term) ? place : nil
    }

    /// The place of the first term at or after `wanted`.
    func lowerBound(_ wanted: some Swift.Sequence<UInt8>) -> Int {
        var (low, high) = (0, distinct)
        while low < high {
            let middle = (low + high) / 2
            if bytes[range(middle)].lexicographicallyPrecedes(wanted) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Terms in the order of a text: places in a table of the distinct ones.
struct TermList {
    var table = TermTable()
    var order: [UInt32] = []

    var count: Int { order.count }

    mutating func append(_ bytes: [UInt8], _ range: Range<Int>? = nil) {
        order.append(UInt32(table.place(of: bytes, range ?? bytes.indices)))
    }

    func text(_ place: Int) -> String { String(decoding: table.term(Int(order[place])), as: UTF8.self) }
}
