internal import Base
internal import KeySpace

/// What the index keeps of one text: its length in terms, and how often each term occurs.
public struct AnalyzedText: Sendable {
    /// Terms with repeats.
    public let length: Int
    /// Distinct terms in the order of their UTF-8 bytes.
    public let frequencies: [(term: String, count: Int)]

    /// - Complexity: O(length + distinct x log distinct).
    public init(_ text: String, analyzer: Analyzer = .init()) {
        self.init(terms: analyzer.terms(text))
    }

    init(terms: [String]) {
        var counts: [ExactText: Int] = [:]
        for term in terms { counts[ExactText(term), default: 0] += 1 }
        length = terms.count
        frequencies = counts.sorted { $0.key < $1.key }.map { (term: $0.key.text, count: $0.value) }
    }

    /// How often `term` occurs.
    /// - Complexity: O(log distinct).
    func frequency(of term: String) -> Int {
        var (low, high) = (0, frequencies.count)
        let wanted = ExactText(term)
        while low < high {
            let middle = (low + high) / 2
            if ExactText(frequencies[middle].term) < wanted { low = middle + 1 } else { high = middle }
        }
        return low < frequencies.count && ExactText(frequencies[low].term) == wanted ? frequencies[low].count : 0
    }
}

// The record of one text: docs/formats/fulltext-v1.md.
extension AnalyzedText {
    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 8 + frequencies.count * 10)
        writer.varint(UInt64(length))
        writer.varint(UInt64(frequencies.count))
        for (term, count) in frequencies {
            writer.text(term)
            writer.varint(UInt64(count))
        }
        return writer.bytes
    }

    init(bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        length = try reader.count()
        let distinct = try reader.count(limit: bytes.count)
        var frequencies: [(term: String, count: Int)] = []
        frequencies.reserveCapacity(distinct)
        for _ in 0..<distinct { frequencies.append((try reader.text(), try reader.count())) }
        try reader.end()
        self.frequencies = frequencies
    }
}
