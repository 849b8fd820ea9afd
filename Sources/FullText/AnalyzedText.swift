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

    /// - Complexity: O(length + distinct x log distinct).
    public init(_ text: String, analyzer: Analyzer = .init()) {
        self.init(analyzer.list(text))
    }

    init(_ list: TermList) {
        length = list.count
        // Sorted by the first eight bytes as one number, then by all: most pairs differ in the number.
        var keys: [(key: UInt64, place: Int)] = []
        keys.reserveCapacity(list.count)
        for place in 0..<list.count { keys.append((Self.key(list.bytes[list.range(place)]), place)) }
        keys.sort {
            if $0.key != $1.key { return $0.key < $1.key }
            let (a, b) = (list.bytes[list.range($0.place)], list.bytes[list.range($1.place)])
            if a.count <= 8, a.count == b.count { return false }
            return a.lexicographicallyPrecedes(b)
        }
        var (bytes, ends, counts): ([UInt8], [Int], [UInt32]) = ([], [], [])
        bytes.reserveCapacity(list.bytes.count)
        var order = [UInt32](repeating: 0, count: list.count)
        var previous: (key: UInt64, range: Range<Int>) = (0, 0..<0)
        for (key, place) in keys {
            let range = list.range(place)
            let isSame = !ends.isEmpty && key == previous.key && range.count == previous.range.count
                && (range.count <= 8 || list.bytes[range] == list.bytes[previous.range])
            if isSame {
                counts[counts.count - 1] += 1
            } else {
                bytes += list.bytes[range]
                ends.append(bytes.count)
                counts.append(1)
                previous = (key, range)
            }
            order[place] = UInt32(ends.count - 1)
        }
        (self.bytes, self.ends, self.counts, self.order) = (bytes, ends, counts, order)
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

    /// A term's place among the distinct ones, nil when the text lacks it.
    func place(of term: [UInt8]) -> Int? {
        let place = lowerBound(term)
        return place < distinct && bytes[range(place)].elementsEqual(term) ? place : nil
    }

    /// The place of the first term at or after `wanted`.
    func lowerBound(_ wanted: [UInt8]) -> Int {
        var (low, high) = (0, distinct)
        while low < high {
            let middle = (low + high) / 2
            if bytes[range(middle)].lexicographicallyPrecedes(wanted) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The first eight bytes, most significant first.
    @inline(__always)
    private static func key(_ term: ArraySlice<UInt8>) -> UInt64 {
        var key: UInt64 = 0
        for byte in term.prefix(8) { key = key << 8 | UInt64(byte) }
        return term.count < 8 ? key << UInt64(8 * (8 - term.count)) : key
    }
}

/// Terms in the order of a text, one after another in one array.
struct TermList {
    var bytes: [UInt8] = []
    var ends: [Int] = []

    var count: Int { ends.count }

    func range(_ place: Int) -> Range<Int> { (place == 0 ? 0 : ends[place - 1])..<ends[place] }

    mutating func append(_ term: some Swift.Collection<UInt8>) {
        bytes += term
        ends.append(bytes.count)
    }

    func text(_ place: Int) -> String { String(decoding: bytes[range(place)], as: UTF8.self) }
}
