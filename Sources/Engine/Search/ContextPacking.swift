/// Cuts matches to a budget of tokens.
///
/// When all fit, nothing changes. Else the best match of each need goes in first, in the order of the needs, as far as it
/// fits, so that no need is left without context because another is talkative; then what is left by similarity, each that
/// fits the rest. A match larger than the whole budget is dropped.
/// - Complexity: O(n log n).
enum ContextPacking {
    static func cut(_ needs: [(need: String, matches: [Match])], tokens budget: Int) -> [(need: String, matches: [Match])] {
        let total = needs.reduce(0) { $0 + $1.matches.reduce(0) { $0 + $1.tokenCount } }
        guard total > budget else { return needs }
        var kept = needs.map { Array(repeating: false, count: $0.matches.count) }
        var rest = budget
        func take(_ need: Int, _ place: Int) {
            let cost = needs[need].matches[place].tokenCount
            guard cost <= rest else { return }
            rest -= cost
            kept[need][place] = true
        }
        for need in needs.indices where !needs[need].matches.isEmpty { take(need, 0) }
        let others = needs.indices.flatMap { need in needs[need].matches.indices.dropFirst().map { (need, $0) } }
        let bestFirst = others.sorted { a, b in
            let (x, y) = (needs[a.0].matches[a.1].similarity, needs[b.0].matches[b.1].similarity)
            return x == y ? a < b : x > y
        }
        for (need, place) in bestFirst { take(need, place) }
        return needs.indices.map { need in
            (needs[need].need, needs[need].matches.indices.filter { kept[need][$0] }.map { needs[need].matches[$0] })
        }
    }
}
