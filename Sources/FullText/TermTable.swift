/// Distinct terms, each with a place in the order in which they came: the bytes one after another, and open addressing to find them by.
///
/// A term that comes again costs nothing more, so a text of ten megabytes that repeats its words is small here.
struct TermTable {
    private var bytes: [UInt8] = []
    private var ends: [UInt32] = []
    private var hashes: [UInt32] = []
    /// Place of a term plus one, 0 when free; a power of two of them, at most half taken.
    private var slots: [UInt32]

    /// Of this process: whoever does not know it cannot make terms that all want one slot.
    private static let seed = UInt64.random(in: .min ... .max)

    /// - Parameter slots: to begin with, a power of two.
    init(slots: Int = 64) { self.slots = [UInt32](repeating: 0, count: slots) }

    var count: Int { ends.count }
    var byteCount: Int { bytes.count }

    func range(_ place: Int) -> Range<Int> { (place == 0 ? 0 : Int(ends[place - 1]))..<Int(ends[place]) }

    func term(_ place: Int) -> ArraySlice<UInt8> { bytes[range(place)] }

    @inline(__always)
    private static func hash(_ term: ArraySlice<UInt8>) -> UInt32 {
        var hash = seed
        for byte in term { hash = (hash ^ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15 }
        return UInt32(truncatingIfNeeded: hash >> 32)
    }

    /// The place of a term, nil when it is not there.
    func place(of term: ArraySlice<UInt8>) -> Int? {
        let short = Self.hash(term)
        var slot = Int(short) & (slots.count - 1)
        while slots[slot] != 0 {
            let place = Int(slots[slot]) - 1
            if hashes[place] == short, bytes[range(place)] == term { return place }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The place of a term, which is put in when it is new.
    mutating func place(of source: [UInt8], _ range: Range<Int>) -> Int {
        let short = Self.hash(source[range])
        var slot = Int(short) & (slots.count - 1)
        while slots[slot] != 0 {
            let place = Int(slots[slot]) - 1
            if hashes[place] == short, bytes[self.range(place)] == source[range] { return place }
            slot = (slot + 1) & (slots.count - 1)
        }
        bytes += source[range]
        ends.append(UInt32(bytes.count))
        hashes.append(short)
        slots[slot] = UInt32(ends.count)
        if ends.count * 2 > slots.count { grow() }
        return ends.count - 1
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 4)
        for (place, hash) in hashes.enumerated() {
            var slot = Int(hash) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(place + 1)
        }
    }

    /// Places in the order of the terms' bytes: by the first eight as one number, in which most pairs differ, then by all.
    func sorted() -> [Int] {
        var keys: [(key: UInt64, place: UInt32)] = []
        keys.reserveCapacity(count)
        for place in 0..<count {
            let range = range(place)
            var key: UInt64 = 0
            for at in range.prefix(8) { key = key << 8 | UInt64(bytes[at]) }
            if range.count < 8 { key <<= UInt64(8 * (8 - range.count)) }
            keys.append((key, UInt32(place)))
        }
        keys.sort { $0.key != $1.key ? $0.key < $1.key : term(Int($0.place)).lexicographicallyPrecedes(term(Int($1.place))) }
        return keys.map { Int($0.place) }
    }
}
