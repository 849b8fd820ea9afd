// A dictionary from byte strings to numbers, made for vocabularies: filled once, asked millions of times.
//
// All keys lie in one array, end to end, and the hash table holds 4-byte entry numbers, so that 100,000 tokens are
// three allocations instead of 100,000. FNV-1a is the hash because it grows byte by byte: a tokenizer that looks up
// every prefix of a word pays for each byte once.

/// An open-addressing table (linear probing, at most half full) over byte strings.
struct ByteTable: Sendable {
    /// FNV-1a, 64 bits (Fowler, Noll, Vo).
    struct Hash {
        private var state: UInt64 = 0xcbf2_9ce4_8422_2325
        mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
        /// FNV's low bits mix poorly for short keys; a multiplication brings the high ones down.
        var value: UInt64 { (state &* 0x9E37_79B9_7F4A_7C15) >> 24 }
    }

    private var keys: [UInt8] = []
    /// Entry e is `keys[starts[e]..<starts[e + 1]]`.
    private var starts: [UInt32] = [0]
    private var values: [Int32] = []
    /// Entry number + 1; 0 is free.
    private var slots: [UInt32]
    private let mask: Int
    private(set) var longestKey = 0

    /// - Parameter capacity: entries that will be inserted, at most.
    init(capacity: Int, keyBytes: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
        mask = size - 1
        keys.reserveCapacity(keyBytes)
        starts.reserveCapacity(capacity + 1)
        values.reserveCapacity(capacity)
    }

    var count: Int { values.count }

    /// - Precondition: fewer entries so far than the capacity the table was made with.
    /// - Returns: false when the key is there already; the table stays as it was.
    mutating func insert(_ bytes: Span<UInt8>, _ range: Range<Int>, value: Int32) -> Bool {
        var hash = Hash()
        for i in range { hash.add(bytes[i]) }
        if find(bytes, range, hash) != nil { return false }
        precondition(values.count * 2 < slots.count, "ByteTable is full at \(values.count) entries")
        for i in range { keys.append(bytes[i]) }
        starts.append(UInt32(keys.count))
        values.append(value)
        longestKey = max(longestKey, range.count)
        var slot = Int(truncatingIfNeeded: hash.value) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = UInt32(values.count)
        return true
    }

    func value(ofEntry entry: Int) -> Int32 { values[entry] }

    func key(ofEntry entry: Int) -> ArraySlice<UInt8> { keys[Int(starts[entry])..<Int(starts[entry + 1])] }

    /// - Complexity: O(length of the key).
    func find(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int32? {
        guard range.count <= longestKey else { return nil }
        var hash = Hash()
        for i in range { hash.add(bytes[i]) }
        return find(bytes, range, hash)
    }

    /// The same with a hash the caller has already: it must be that of these bytes.
    func find(_ bytes: Span<UInt8>, _ range: Range<Int>, _ hash: Hash) -> Int32? {
        var slot = Int(truncatingIfNeeded: hash.value) & mask
        while true {
            let entry = Int(slots[slot])
            if entry == 0 { return nil }
            let start = Int(starts[entry - 1])
            if Int(starts[entry]) - start == range.count {
                var i = 0
                while i < range.count && keys[start + i] == bytes[range.lowerBound + i] { i += 1 }
                if i == range.count { return values[entry - 1] }
            }
            slot = (slot + 1) & mask
        }
    }
}
