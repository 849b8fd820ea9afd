package import Base

/// The vectors of the texts that were asked for last: least recently used goes first, and nothing is answered that is older
/// than the time to live. A text is known to the scope that it was asked for and to no other, and in the precision that it was asked in.
///
/// Bounded by bytes: an entry counts its text, its vector and what it costs to keep them (1.9 kB for a short text and 384
/// components). Entries are a doubly linked list inside an array, most recent at the head; the places of those that go
/// are taken by those that come, so memory stays where the bound put it, however many texts pass.
package struct EmbeddingCache {
    private struct Key: Hashable {
        var text: ScopedText
        var precision: EmbeddingPrecision
    }
    private struct Entry {
        var key: Key
        var vector: [Float]
        var newer: Int
        var older: Int
        var stored: ContinuousClock.Instant
    }
    private var entries: [Entry] = []
    private var free: [Int] = []
    private var places: [Key: Int] = [:]
    private var newest = -1
    private var oldest = -1
    private let bytesMax: Int
    private let lifetime: Duration
    package private(set) var byteCount = 0

    /// Longer texts are not kept: they are rarely asked for twice.
    private static let textBytesMax = 4_096
    /// Entry, place in the dictionary at its load, headers and rounding of two allocations.
    private static let entryBytes = 304

    /// - Parameters:
    ///   - bytesMax: 0 for no cache.
    ///   - lifetime: from when a vector was computed; being asked for does not prolong it.
    package init(bytesMax: Int, lifetime: Duration) {
        self.bytesMax = max(0, bytesMax)
        self.lifetime = lifetime
    }

    package var count: Int { places.count }

    private static func cost(_ key: Key, _ vector: [Float]) -> Int {
        key.text.text.utf8.count + key.text.scope.byteCount + vector.count * 4 + entryBytes
    }

    /// - Complexity: O(length of the text).
    package mutating func vector(of text: ScopedText, _ precision: EmbeddingPrecision, now: ContinuousClock.Instant) -> [Float]? {
        let key = Key(text: text, precision: precision)
        guard let at = places[key] else { return nil }
        guard now - entries[at].stored < lifetime else {
            remove(at)
            return nil
        }
        if at != newest {
            unlink(at)
            linkNewest(at)
        }
        return entries[at].vector
    }

    /// - Complexity: O(length of the text), and what must go to make room.
    package mutating func insert(_ text: ScopedText, _ precision: EmbeddingPrecision, _ vector: [Float], now: ContinuousClock.Instant) {
        let key = Key(text: text, precision: precision)
        let cost = Self.cost(key, vector)
        guard text.text.utf8.count <= Self.textBytesMax, cost <= bytesMax else { return }
        if let at = places[key] { remove(at) }
        while byteCount + cost > bytesMax { remove(oldest) }
        let entry = Entry(key: key, vector: vector, newer: -1, older: -1, stored: now)
        let at: Int
        if let place = free.popLast() {
            at = place
            entries[at] = entry
        } else {
            at = entries.count
            entries.append(entry)
        }
        places[key] = at
        byteCount += cost
        linkNewest(at)
    }

    private mutating func remove(_ at: Int) {
        unlink(at)
        places[entries[at].key] = nil
        byteCount -= Self.cost(entries[at].key, entries[at].vector)
        entries[at].key.text = ScopedText("", in: .server)
        entries[at].vector = []
        free.append(at)
    }

    private mutating func unlink(_ at: Int) {
        let (newer, older) = (entries[at].newer, entries[at].older)
        if newer >= 0 { entries[newer].older = older } else { newest = older }
        if older >= 0 { entries[older].newer = newer } else { oldest = newer }
    }

    private mutating func linkNewest(_ at: Int) {
        entries[at].newer = -1
        entries[at].older = newest
        if newest >= 0 { entries[newest].newer = at } else { oldest = at }
        newest = at
    }

    /// List, dictionary and sums agree. Each finding is a sentence; for tests.
    /// - Complexity: O(entries).
    package func checkInvariants() -> [String] {
        var faults: [String] = []
        var (at, before, seen, bytes) = (newest, -1, 0, 0)
        while at >= 0, seen <= places.count {
            if entries[at].newer != before || places[entries[at].key] != at { faults.append("entry \(at) is wrongly linked") }
            bytes += Self.cost(entries[at].key, entries[at].vector)
            seen += 1
            (before, at) = (at, entries[at].older)
        }
        if before != oldest || seen != places.count { faults.append("\(seen) entries in the list, \(places.count) known") }
        if seen + free.count != entries.count || Set(free).count != free.count { faults.append("\(free.count) places free beside \(seen) of \(entries.count)") }
        if bytes != byteCount || bytes > bytesMax { faults.append("\(bytes) bytes, counted \(byteCount), at most \(bytesMax)") }
        return faults
    }
}
