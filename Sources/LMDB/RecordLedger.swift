// What a transaction changes, kept count of: so that a record which is gone, or is an older one again, can be noticed although its seal is right.
//
// Every put and delete goes through `WriteTransaction`, so it is done there, and no store can forget it. Of each group of records (all that
// have the same first nine bytes of key) a transaction notes how many came and went, and the sum of what stands for each. The ledger, which
// belongs to the layer that knows what keys and values are, writes the new sums before the commit.
//
// A sum, because its parts may come and go in any order; of each record a hash of its key, of the first bytes of its value and of its length:
// there the value's own checksum stands, so the value itself is not read again. That is against mistakes: of a disk, of a copy, of our own.
// Whoever may write to the file can make records with the same sum.

/// Records that have one beginning of their keys.
public struct RecordGroup: Hashable, Sendable {
    /// The first eight bytes, the highest first; what a shorter key does not have is zero.
    public let scope: UInt64
    /// The ninth.
    public let kind: UInt8

    public init(scope: UInt64, kind: UInt8) {
        self.scope = scope
        self.kind = kind
    }

    public init(key: borrowing RawSpan) {
        var scope: UInt64 = 0
        if key.byteCount >= 9 {
            scope = unsafe key.unsafeLoadUnaligned(as: UInt64.self).bigEndian
            kind = unsafe key.unsafeLoad(fromByteOffset: 8, as: UInt8.self)
        } else {
            for place in 0..<min(8, key.byteCount) {
                unsafe scope |= UInt64(key.unsafeLoad(fromByteOffset: place, as: UInt8.self)) << UInt64(56 - 8 * place)
            }
            kind = 0
        }
        self.scope = scope
    }
}

/// How many records there are, and the sum of their hashes: two sums of 64 bits, each of a hash of its own. All of it wraps, so that records
/// may go before they have come.
public struct RecordSum: Hashable, Sendable {
    public var count: UInt64
    public var first: UInt64
    public var second: UInt64

    public static let zero = RecordSum(count: 0, first: 0, second: 0)

    public init(count: UInt64, first: UInt64, second: UInt64) {
        self.count = count
        self.first = first
        self.second = second
    }

    /// Of one record. docs/formats/keyspace-v1.md has the rule.
    ///
    /// Each step is a bijection of the state and of the word, so two records that differ in one word only are never the same to it.
    public init(key: borrowing RawSpan, value: borrowing RawSpan) {
        var one: UInt64 = 0x243F_6A88_85A3_08D3
        var two: UInt64 = 0x1319_8A2E_0370_7344
        func mix(_ word: UInt64) {
            one = (one ^ word) &* 0x9E37_79B9_7F4A_7C15
            one ^= one &>> 29
            two = (two ^ word) &* 0xD6E8_FEB8_6659_FD93
            two ^= two &>> 32
        }
        var place = 0
        while place + 8 <= key.byteCount {
            unsafe mix(key.unsafeLoadUnaligned(fromByteOffset: place, as: UInt64.self).littleEndian)
            place += 8
        }
        mix(Self.word(key, place..<key.byteCount))
        mix(Self.word(value, 0..<min(Self.valueBytes, value.byteCount)))
        mix(UInt64(key.byteCount) | UInt64(value.byteCount) &<< 16)
        count = 1
        first = Self.spread(one)
        second = Self.spread(two)
    }

    /// Of a value: what its envelope has before the payload.
    private static let valueBytes = 6

    private static func word(_ bytes: borrowing RawSpan, _ places: Range<Int>) -> UInt64 {
        var word: UInt64 = 0
        for place in places { unsafe word |= UInt64(bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self)) &<< UInt64(8 &* (place &- places.lowerBound)) }
        return word
    }

    /// The end of MurmurHash3: every bit of the state reaches every bit of what is added.
    private static func spread(_ state: UInt64) -> UInt64 {
        var bits = state
        bits ^= bits &>> 33
        bits = bits &* 0xFF51_AFD7_ED55_8CCD
        bits ^= bits &>> 33
        bits = bits &* 0xC4CE_B9FE_1A85_EC53
        return bits ^ bits &>> 33
    }

    public static func += (sum: inout RecordSum, other: RecordSum) {
        sum.count &+= other.count
        sum.first &+= other.first
        sum.second &+= other.second
    }

    public static func -= (sum: inout RecordSum, other: RecordSum) {
        sum.count &-= other.count
        sum.first &-= other.first
        sum.second &-= other.second
    }
}

/// Keeps the sums of a store in the store.
public protocol RecordLedger: Sendable {
    /// Writes what has changed, without being counted itself (`putUncounted`).
    /// - Parameters:
    ///   - changes: of each group, what came less what went, since the transaction began or since this was last called.
    ///   - bytes: of keys and values of each group, the same.
    func settle(_ changes: [RecordGroup: RecordSum], bytes: [RecordGroup: Int], in transaction: inout WriteTransaction) throws(LMDBError)
}

extension RecordGroup {
    /// The first four bytes of the keys.
    public var holder: UInt32 { UInt32(truncatingIfNeeded: scope >> 32) }
}

/// What one transaction has changed so far.
final class RecordChanges {
    private var groups: [RecordGroup: Int] = [:]
    private var sums: [RecordSum] = []
    /// Bytes of keys and values, of the same group.
    private var weights: [Int] = []
    /// Records that are written after each other are mostly of one group.
    private var last: (group: RecordGroup, place: Int)?

    private func place(_ group: RecordGroup) -> Int {
        if let last, last.group == group { return last.place }
        let place: Int
        if let known = groups[group] {
            place = known
        } else {
            place = sums.count
            groups[group] = place
            sums.append(.zero)
            weights.append(0)
        }
        last = (group, place)
        return place
    }

    func came(_ key: borrowing RawSpan, _ value: borrowing RawSpan) {
        let place = place(RecordGroup(key: key))
        sums[place] += RecordSum(key: key, value: value)
        weights[place] &+= key.byteCount &+ value.byteCount
    }

    func went(_ key: borrowing RawSpan, _ value: borrowing RawSpan) {
        let place = place(RecordGroup(key: key))
        sums[place] -= RecordSum(key: key, value: value)
        weights[place] &-= key.byteCount &+ value.byteCount
    }

    /// Records of a group that came, less those that went.
    func records(of group: RecordGroup) -> Int { groups[group].map { Int(truncatingIfNeeded: sums[$0].count) } ?? 0 }

    /// Bytes that came under keys with this beginning and of other kinds than these, less those that went.
    /// - Complexity: O(groups).
    func bytes(of holder: UInt32, leavingOut kinds: Set<UInt8>) -> Int {
        groups.reduce(0) { $1.key.holder == holder && !kinds.contains($1.key.kind) ? $0 + weights[$1.value] : $0 }
    }

    /// What there is, and from now on nothing.
    func take() -> (sums: [RecordGroup: RecordSum], bytes: [RecordGroup: Int]) {
        let changes = groups.mapValues { sums[$0] }.filter { $0.value != .zero }
        let bytes = groups.mapValues { weights[$0] }.filter { $0.value != 0 }
        groups.removeAll(keepingCapacity: true)
        sums.removeAll(keepingCapacity: true)
        weights.removeAll(keepingCapacity: true)
        last = nil
        return (changes, bytes)
    }
}
