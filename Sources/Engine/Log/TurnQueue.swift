// What waits, in turns: each holder has a line of its own, and the lines are served one item each, round and round. One holder alone is served as by
// any queue. So whoever brings ten thousand things waits behind himself, and the next one behind one of them.

internal import DequeModule

package struct TurnQueue<Holder: Hashable & Sendable, Item: Sendable>: Sendable {
    private var lines: [Holder: Deque<Item>] = [:]
    /// The holders that have something waiting, the next one first.
    private var turns: Deque<Holder> = []
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }
    package var holders: Int { turns.count }

    package func count(of holder: Holder) -> Int { lines[holder]?.count ?? 0 }

    package mutating func append(_ items: [Item], of holder: Holder) {
        guard !items.isEmpty else { return }
        if lines[holder] == nil { turns.append(holder) }
        lines[holder, default: []].append(contentsOf: items)
        count += items.count
    }

    /// - Complexity: O(1)
    package mutating func popFirst() -> Item? {
        guard let holder = turns.popFirst(), let item = lines[holder]?.popFirst() else { return nil }
        if lines[holder]?.isEmpty == false { turns.append(holder) } else { lines[holder] = nil }
        count -= 1
        return item
    }

    /// Whether so many more of a holder are to be refused, so that no more than `most` wait: with all places taken each holder has his share still.
    package func isFull(for holder: Holder, adding more: Int, most: Int) -> Bool {
        guard count + more > most else { return false }
        let others = holders - (lines[holder] == nil ? 0 : 1)
        return count(of: holder) + more > most / (others + 1)
    }
}
