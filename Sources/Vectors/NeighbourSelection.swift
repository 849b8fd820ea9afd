internal import Base
internal import CKernels
internal import LMDB

/// Algorithm 4 of the paper: of candidates ranked by nearness to a base, those that are nearer to the base than to any
/// candidate kept before. What it prunes can be reached through what it keeps, so the links spread out in all directions
/// instead of crowding into the nearest cluster.
///
/// Equal similarity prunes too: of many equal vectors one is kept, and the other places stay free for links that lead out.
struct NeighbourSelection {
    /// Nearest first.
    private(set) var kept: [UInt32] = []
    /// Nearest first.
    private(set) var pruned: [UInt32] = []

    /// - Parameter bound: stops when so many are kept; candidates after that are in neither list.
    init(
        ranked: [Candidate], bound: Int, _ access: GraphAccess, _ quantiser: Quantiser, _ scratch: SearchScratch, in view: borrowing TransactionView
    ) throws {
        let side = scratch.expanded
        let (padded, bits) = (access.layout.padded, Int32(access.layout.bits))
        for candidate in ranked {
            if kept.count == bound { return }
            let code = try unsafe access.code(candidate.slot, in: view)
            var isKept = true
            if !kept.isEmpty {
                // The codes of the kept lie in the scratch from their number on.
                unsafe quantiser.expand(code, factor: GraphAccess.factor(code), side)
                // Most candidates that are pruned are pruned by one of the first.
                var start = 0
                while isKept && start < kept.count {
                    let count = min(8, kept.count - start)
                    unsafe ck_codes_products(quantiser.level, bits, side.query, padded, scratch.codes + start, count, scratch.products)
                    for place in 0..<count {
                        let factor = unsafe GraphAccess.factor(scratch.codes[start + place]!)
                        let similarity = unsafe factor * side.scale * (Float(scratch.products[place]) - side.offset)
                        if similarity >= candidate.similarity { isKept = false }
                    }
                    start += count
                }
            }
            if isKept {
                unsafe scratch.codes[kept.count] = code
                kept.append(candidate.slot)
            } else {
                pruned.append(candidate.slot)
            }
        }
    }

    /// The paper's keepPrunedConnections: the kept, and when they are fewer than the bound, the nearest of the pruned.
    func filled(to bound: Int) -> [UInt32] { kept + pruned.prefix(max(0, bound - kept.count)) }
}
