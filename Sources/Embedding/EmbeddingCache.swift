/// A text compared by its bytes. Swift's `String` calls composed and decomposed accents equal; the model does not have to.
struct ExactText: Hashable, Sendable {
    let text: String

    static func == (a: Self, b: Self) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

/// The vectors of the texts that were asked for last (least recently used goes first).
///
/// Entries are a doubly linked list inside an array, most recent at the head. An entry costs its text and 1.6 kB.
struct EmbeddingCache {
    private struct Entry {
        var key: ExactText
        var vector: [Float]
        var newer: Int
        var older: Int
    }
    private var entries: [Entry] = []
    private var places: [ExactText: Int] = [:]
    private var newest = -1
    private var oldest = -1
    private let capacity: Int
    /// Longer texts are not kept: they are rarely asked for twice, and would make the memory unbounded.
    private static let textBytesMax = 4_096

    init(capacity: Int) { self.capacity = max(0, capacity) }

    var count: Int { entries.count }

    /// - Complexity: O(length of the text).
    mutating func vector(of key: ExactText) -> [Float]? {
        guard let at = places[key] else { return nil }
        if at != newest {
            unlink(at)
            linkNewest(at)
        }
        return entries[at].vector
    }

    /// - Complexity: O(length of the text).
    mutating func insert(_ key: ExactText, _ vector: [Float]) {
        guard capacity > 0, key.text.utf8.count <= Self.textBytesMax, places[key] == nil else { return }
        let at: Int
        if entries.count < capacity {
            at = entries.count
            entries.append(Entry(key: key, vector: vector, newer: -1, older: -1))
        } else {
            at = oldest
            unlink(at)
            places[entries[at].key] = nil
            entries[at].key = key
            entries[at].vector = vector
        }
        places[key] = at
        linkNewest(at)
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
}
