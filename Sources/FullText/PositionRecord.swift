// The order of a text's terms, for phrases.
//
// A phrase is sought in texts that are known to have all its terms, and how often (from the postings). So a record need not
// hold the terms, only tell them apart: each position holds a hash of its term, of just so many bits and with just such a seed
// that no two terms of this text share one. In a text that has the term, the hash then means the term and nothing else:
// the answer is exact. A text of 50 distinct terms takes 9 to 11 bits a position.
//
//     bits u8 | seed u8 | hashes, packed like postings
//
// A search without a phrase never reads these records. They lie many together (PositionBlock.swift).

internal import Base
internal import CKernels

enum PositionRecord {
    private static let bitsMax = 32

    /// Nil for a text of fewer than two terms: there is no phrase in it.
    static func bytes(_ text: AnalyzedText) -> [UInt8]? {
        guard text.length >= 2 else { return nil }
        let sums = (0..<text.distinct).map { hash(text.bytes[text.range($0)]) }
        // n terms in n^2 / 4 places meet once in two or three tries.
        var bits = min(bitsMax, max(2, 2 * (Int.bitWidth - text.distinct.leadingZeroBitCount) - 2))
        while true {
            for seed in UInt8.min..<16 {
                let places = sums.map { place($0, seed: seed, bits: bits) }
                if bits < bitsMax, !areDistinct(places) { continue }
                return pack(text.order.map { places[Int($0)] }, bits: bits, seed: seed)
            }
            bits = min(bitsMax, bits + 1)
        }
    }

    private static func areDistinct(_ places: [UInt32]) -> Bool {
        let sorted = places.sorted()
        return zip(sorted, sorted.dropFirst()).allSatisfy { $0 != $1 }
    }

    private static func pack(_ values: [UInt32], bits: Int, seed: UInt8) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(bits), seed]
        let size = (values.count * bits + 7) / 8
        // The buffer has the size that the kernel fills.
        bytes += unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            unsafe ck_pack(values, values.count, UInt32(bits), buffer.baseAddress!)
            count = size
        }
        return bytes
    }

    static func hash(_ term: some Swift.Collection<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in term { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    private static func place(_ hash: UInt64, seed: UInt8, bits: Int) -> UInt32 {
        let mixed = (hash ^ UInt64(seed) &* 0xD6E8_FEB8_6659_FD93) &* 0x9E37_79B9_7F4A_7C15
        return UInt32(truncatingIfNeeded: ((mixed ^ mixed >> 32) &* 0x9E37_79B9_7F4A_7C15) >> UInt64(64 - bits))
    }

    /// Whether the terms of these hashes, all of them in the text, stand one after another.
    /// - Complexity: O(length of the text).
    static func holds(_ phrase: [UInt64], length: Int, _ record: UnsafeRawBufferPointer) throws -> Bool {
        var reader = unsafe RecordReader(record)
        let bits = Int(try reader.byte())
        let seed = try reader.byte()
        guard bits >= 1, bits <= bitsMax, reader.remaining == (length * bits + 7) / 8 else { throw RecordReader.damaged }
        if length < phrase.count { return false }
        let wanted = phrase.map { place($0, seed: seed, bits: bits) }
        var start = 0
        while start + wanted.count <= length {
            var matched = 0
            while matched < wanted.count, value(reader, start + matched, bits) == wanted[matched] { matched += 1 }
            if matched == wanted.count { return true }
            start += 1
        }
        return false
    }

    /// Which of some runs of terms stand one after another, a bit for each. Where the text has all terms of a run that is exact; where it lacks one,
    /// another of the same hash may stand in its place.
    /// - Complexity: O(length of the text + runs x places where one may begin).
    static func standing(_ runs: PhraseRuns, length: Int, _ record: UnsafeRawBufferPointer) throws -> UInt32 {
        var reader = unsafe RecordReader(record)
        let bits = Int(try reader.byte())
        let seed = try reader.byte()
        guard bits >= 1, bits <= bitsMax, reader.remaining == (length * bits + 7) / 8 else { throw RecordReader.damaged }
        // The kernel may fill whole blocks.
        let capacity = (length + BlockHeader.postingsMax - 1) / BlockHeader.postingsMax * BlockHeader.postingsMax
        return unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: capacity + runs.terms.count) { values in
            // 128 values end with a byte.
            for start in stride(from: 0, to: length, by: BlockHeader.postingsMax) {
                let offset = start / 8 * bits
                unsafe ck_unpack_counts(
                    kernelLevel, reader.here.assumingMemoryBound(to: UInt8.self) + offset, reader.remaining - offset, UInt32(bits),
                    min(BlockHeader.postingsMax, length - start), values.baseAddress! + start)
            }
            let wanted = unsafe values.baseAddress! + capacity
            // The kernel adds 1.
            for (place, hash) in runs.terms.enumerated() { unsafe wanted[place] = self.place(hash, seed: seed, bits: bits) &+ 1 }
            // Where no run begins, as almost everywhere, one look at each of two sets says so.
            var (firsts, seconds): (UInt64, UInt64) = (0, 0)
            for run in runs.runs {
                firsts |= unsafe 1 << UInt64(wanted[run.first] & 63)
                seconds |= unsafe 1 << UInt64(wanted[run.second] & 63)
            }
            var standing: UInt32 = 0
            for start in 0..<max(0, length - 1)
            where unsafe firsts >> UInt64(values[start] & 63) & seconds >> UInt64(values[start + 1] & 63) & 1 != 0 {
                for (number, run) in runs.runs.enumerated() where unsafe values[start] == wanted[run.first] && values[start + 1] == wanted[run.second] {
                    guard start + run.count <= length else { continue }
                    var matched = 2
                    while matched < run.count, unsafe values[start + matched] == wanted[runs.places[run.start + matched]] { matched += 1 }
                    if matched == run.count { standing |= 1 << UInt32(number) }
                }
            }
            return standing
        }
    }

    /// - Precondition: the record has that many values (`holds` makes sure).
    @inline(__always)
    private static func value(_ reader: RecordReader, _ index: Int, _ bits: Int) -> UInt32 {
        let bit = index * bits
        var word: UInt64 = 0
        for place in 0..<min(5, reader.remaining - bit / 8) {
            word |= unsafe UInt64(reader.here.load(fromByteOffset: bit / 8 + place, as: UInt8.self)) << UInt64(8 * place)
        }
        return UInt32(truncatingIfNeeded: word >> UInt64(bit % 8) & (1 << UInt64(bits) - 1))
    }
}

/// Runs of two terms or more that are sought in the order of many texts' terms.
struct PhraseRuns {
    /// Hashes of all their terms.
    fileprivate let terms: [UInt64]
    fileprivate let runs: [Run]
    /// In `terms`, of one run after another.
    fileprivate let places: [Int]

    /// No array in it: it is looked at for each text.
    fileprivate struct Run: BitwiseCopyable {
        /// In `places`.
        let start: Int
        let count: Int
        /// In `terms`.
        let first: Int
        let second: Int
    }

    /// - Parameter phrases: at most 32.
    init(_ phrases: [[String]]) {
        assert(phrases.count <= 32 && phrases.allSatisfy { $0.count >= 2 })
        var terms: [UInt64] = []
        var known: [UInt64: Int] = [:]
        var places: [Int] = []
        runs = phrases.map { phrase in
            let start = places.count
            for term in phrase {
                let hash = PositionRecord.hash(term.utf8)
                let place = known[hash] ?? terms.count
                if place == terms.count {
                    known[hash] = place
                    terms.append(hash)
                }
                places.append(place)
            }
            return Run(start: start, count: phrase.count, first: places[start], second: places[start + 1])
        }
        self.terms = terms
        self.places = places
    }
}
