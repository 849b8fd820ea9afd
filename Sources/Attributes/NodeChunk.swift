// The nodes of one value among 8,192 that follow each other, in whichever of three forms is the shortest: their numbers, runs
// of numbers, or a bit for each.
//
// Source: Lemire, Kai, Kaser, "Consistently faster and smaller compressed bitmaps with Roaring", Software: Practice and
// Experience 46(11), 2016 (arXiv 1603.06549). Roaring's chunks are of 65,536 numbers; ours are smaller, because a chunk is a value in LMDB
// that every publish into it writes anew: bits for 8,192 are 1,024 bytes, which stay inside a page of the tree, where 8,192
// bytes would be three pages apart from it.

internal import Base
internal import LMDB

struct NodeChunk: Equatable {
    /// Nodes of one chunk, as a shift.
    static let shift: UInt32 = 13
    static let nodes = 1 << shift
    static let words = nodes / 64

    static func number(of node: NodeID) -> UInt32 { node.rawValue >> shift }
    static func place(of node: NodeID) -> Int { Int(node.rawValue) % nodes }

    private(set) var bits = [UInt64](repeating: 0, count: words)

    func contains(_ place: Int) -> Bool { bits[place / 64] & 1 << UInt64(place % 64) != 0 }
    mutating func insert(_ place: Int) { bits[place / 64] |= 1 << UInt64(place % 64) }
    mutating func remove(_ place: Int) { bits[place / 64] &= ~(1 << UInt64(place % 64)) }
    var count: Int { bits.reduce(0) { $0 + $1.nonzeroBitCount } }

    // MARK: - Bytes

    private enum Form {
        static let places: UInt8 = 1
        static let runs: UInt8 = 2
        static let bits: UInt8 = 3
    }

    /// The shortest form; of forms that are equally short the first.
    /// - Precondition: not empty: such a chunk has no record.
    func encode() -> [UInt8] {
        let count = count
        precondition(count > 0, "an empty chunk of nodes has no record")
        let runs = runs(upTo: min(count / 2, Self.nodes / 32))
        var bytes: [UInt8] = []
        if let runs, 2 * runs.count < count {
            bytes.reserveCapacity(1 + 4 * runs.count)
            bytes.append(Form.runs)
            for run in runs {
                bytes.append(bigEndian: UInt16(run.first))
                bytes.append(bigEndian: UInt16(run.last - run.first))
            }
        } else if 2 * count <= Self.nodes / 8 {
            bytes.reserveCapacity(1 + 2 * count)
            bytes.append(Form.places)
            forEach { bytes.append(bigEndian: UInt16($0)) }
        } else {
            bytes.reserveCapacity(1 + Self.nodes / 8)
            bytes.append(Form.bits)
            for word in bits {
                for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
            }
        }
        return bytes
    }

    init() {}

    init(_ payload: RawSpan) throws {
        try Self.read(payload) { bits[$0] |= $1 }
    }

    /// Adds a record's nodes to a set.
    static func add(_ payload: RawSpan, chunk: UInt32, to set: inout NodeSet) throws {
        let base = Int(chunk) * words
        try read(payload) { set.formUnion($1, at: base + $0) }
    }

    /// Gives the words that have a node in them, some of them in pieces.
    /// - Throws: `.damaged` for bytes that `encode` does not make, except that it does not look whether the form is the shortest.
    @inline(__always)
    private static func read(_ payload: RawSpan, _ body: (_ word: Int, _ bits: UInt64) -> Void) throws {
        try unsafe payload.withUnsafeBytes { bytes in
            /// Two bytes that the callers have made sure of.
            func number(_ offset: Int) -> Int { unsafe Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }
            let rest = bytes.count - 1
            guard rest > 0 else { throw damage("is empty") }
            switch unsafe bytes[0] {
            case Form.places:
                guard rest % 2 == 0 else { throw damage("has half a number") }
                var last = -1
                for offset in stride(from: 1, to: bytes.count, by: 2) {
                    let place = number(offset)
                    guard place > last, place < nodes else { throw damage("has numbers out of order") }
                    body(place >> 6, 1 << UInt64(place & 63))
                    last = place
                }
            case Form.runs:
                guard rest % 4 == 0 else { throw damage("has half a run") }
                var last = -2
                for offset in stride(from: 1, to: bytes.count, by: 4) {
                    var place = number(offset)
                    let end = place + number(offset + 2)
                    guard place > last + 1, end < nodes else { throw damage("has runs out of order") }
                    last = end
                    while place <= end {
                        let width = min(64 - place & 63, end - place + 1)
                        body(place >> 6, (UInt64.max >> UInt64(64 - width)) << UInt64(place & 63))
                        place += width
                    }
                }
            case Form.bits:
                guard rest == nodes / 8 else { throw damage("has \(rest) bytes of bits, not \(nodes / 8)") }
                for word in 0..<words {
                    body(word, UInt64(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: 1 + 8 * word, as: UInt64.self)))
                }
            default: throw damage("is of a form that this build does not know")
            }
        }
    }

    private static func damage(_ what: String) -> ContexError { .damaged("a chunk of nodes in the attribute index \(what): run 'contex check'") }

    // MARK: - Walking

    func forEach(_ body: (Int) -> Void) {
        for (place, word) in bits.enumerated() {
            var rest = word
            while rest != 0 {
                body(place * 64 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
    }

    /// The runs of set bits, nil when there are more than `most`.
    private func runs(upTo most: Int) -> [(first: Int, last: Int)]? {
        // A run begins at each bit whose lower neighbour is not set.
        var (begins, carry) = (0, UInt64(0))
        for word in bits {
            begins += (word & ~(word << 1 | carry)).nonzeroBitCount
            carry = word >> 63
        }
        guard begins <= most else { return nil }
        var runs: [(first: Int, last: Int)] = []
        runs.reserveCapacity(begins)
        forEach { place in
            if let last = runs.last, last.last + 1 == place { runs[runs.count - 1].last = place } else { runs.append((place, place)) }
        }
        return runs
    }
}
