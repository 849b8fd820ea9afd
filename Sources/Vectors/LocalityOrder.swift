// In which order the slots of an index that is built at once lie: near ones near to each other.
//
// A walk reads links and codes of nodes that are near the query. With slots numbered as the vectors came, each of these lies on a page
// and in cache lines of its own; numbered by nearness they share both, and walks wait less for memory (Coleman, Segarra, Smola &
// Shrivastava, "Graph Reordering for Cache-Efficient Near Neighbor Search", NeurIPS 2022, measure such orders; this one is simpler than
// theirs and looks at the vectors, not at the graph).
//
// All slots are split in halves again and again, down to a few: along the direction in which a sample of them varies. That direction begins
// as the difference of two of them; then, some times over, the sample is split at its middle, and the direction is from the mean of one half
// to the mean of the other, which turns it towards the sample's first principal component. All products are sums of whole numbers, so the order is the
// same on every processor.

internal import Base
internal import CKernels
internal import LMDB

enum LocalityOrder {
    /// Not split any more.
    private static let leaf = 16
    private static let sampleMax = 256
    private static let rounds = 4

    /// The slots `0..<count`, near ones near.
    /// - Complexity: O(n log² n) time, the sorting; 12 bytes of memory for each.
    static func of(
        _ count: Int, _ access: GraphAccess, _ quantiser: Quantiser, _ scratch: SearchScratch, in view: borrowing TransactionView
    ) throws -> [UInt32] {
        let layout = access.layout
        var order = Array(0..<UInt32(count))
        var ranked: [Int64] = []
        ranked.reserveCapacity(count)
        let side = scratch.expanded
        /// The expanded codes of the sample, and the direction.
        var sample = [Int8](repeating: 0, count: sampleMax * layout.padded)
        var direction = [Float](repeating: 0, count: layout.padded)
        var sums = [Int32](repeating: 0, count: layout.padded)

        /// Product with the direction in the upper half, slot in the lower, ascending.
        func rank(_ slots: some RandomAccessCollection<UInt32>, in view: borrowing TransactionView) throws {
            var sum: Int32 = 0
            _ = unsafe ck_codes_query(direction, layout.padded, side.query, &sum)
            ranked.removeAll(keepingCapacity: true)
            var rest = slots[...]
            while !rest.isEmpty {
                let batch = rest.prefix(64)
                rest = rest.dropFirst(64)
                for (place, slot) in batch.enumerated() {
                    let code = try unsafe access.code(slot, in: view)
                    unsafe ck_prefetch_bytes(code, layout.codeBytes)
                    unsafe scratch.codes[place] = code
                }
                unsafe ck_codes_products(
                    quantiser.level, Int32(layout.bits), side.query, layout.padded, scratch.codes, batch.count, scratch.products)
                for (place, slot) in batch.enumerated() { unsafe ranked.append(Int64(scratch.products[place]) << 32 | Int64(slot)) }
            }
            ranked.sort()
        }

        var open = [0..<count]
        while let range = open.popLast() {
            guard range.count > leaf else { continue }
            let step = (range.count + sampleMax - 1) / sampleMax
            let slots = stride(from: range.lowerBound, to: range.upperBound, by: step).map { order[$0] }
            /// Where a slot's code is in the sample.
            var places: [UInt32: Int] = [:]
            for (place, slot) in slots.enumerated() {
                var sum: Int32 = 0
                let code = try unsafe access.code(slot, in: view)
                unsafe sample.withUnsafeMutableBufferPointer {
                    unsafe ck_codes_expand(Int32(layout.bits), code, layout.padded, $0.baseAddress! + place * layout.padded, &sum)
                }
                places[slot] = place
            }
            let last = (slots.count - 1) * layout.padded
            for at in direction.indices { direction[at] = Float(Int(sample[at]) - Int(sample[last + at])) }
            for _ in 0..<rounds {
                try rank(slots, in: view)
                for at in sums.indices { sums[at] = 0 }
                for (place, entry) in ranked.enumerated() {
                    let first = places[UInt32(truncatingIfNeeded: entry)]! * layout.padded
                    let sign: Int32 = place < ranked.count / 2 ? -1 : 1
                    for at in sums.indices { sums[at] &+= sign &* Int32(sample[first + at]) }
                }
                for at in direction.indices { direction[at] = Float(sums[at]) }
            }
            try rank(order[range], in: view)
            for (place, entry) in ranked.enumerated() { order[range.lowerBound + place] = UInt32(truncatingIfNeeded: entry) }
            let middle = range.lowerBound + range.count / 2
            open.append(middle..<range.upperBound)
            open.append(range.lowerBound..<middle)
        }
        return order
    }
}
