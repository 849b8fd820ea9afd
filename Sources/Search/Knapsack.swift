// The best set of things that fits: each has a value and a weight, the weights of those taken may sum to the capacity, and no
// more than so many may be taken (0/1 knapsack with a bound on the count).
//
// Branch and bound, depth first, in the order of density (Horowitz and Sahni, "Computing partitions with applications to the
// knapsack problem", JACM 21(2), 1974; Martello and Toth, "Knapsack Problems", 1990, section 2.5). A branch is left when not
// even a fraction of the next thing, or the largest values for the places that are left, would bring it over the best set
// known. The search begins with two sets that cost nothing to find: by density, and by value; and it ends after `stepsMax`
// looks, so that no instance costs more than some milliseconds.
//
// What is certain: the set fits; it is worth at least as much as both first sets; it is the best one when `isBest` says so. When the
// bound on the count does not bind, the density set or the single most valuable thing is at least half of the best (Dantzig, 1957),
// and so is the answer.

struct Knapsack {
    struct Thing {
        /// >= 0
        let value: Double
        /// >= 0
        let weight: Int
    }

    /// Ascending places of what is taken.
    let taken: [Int]
    /// False when the search ended before it had looked everywhere.
    let isBest: Bool

    /// Looks of one search: each costs some comparisons with what is next by density.
    private static let stepsMax = 20_000
    /// Values are added as whole numbers, so that no sum depends on the way to it.
    private static let unit = Double(1 << 32)

    /// - Complexity: O(n log n) and at most `stepsMax` looks of O(things that fit).
    init(_ things: [Thing], capacity: Int, countMax: Int) {
        let usable = things.indices.filter { things[$0].weight <= capacity }
        func density(_ place: Int) -> Double { things[place].value / Double(max(things[place].weight, 1)) }
        let order = usable.sorted { (-density($0), $0) < (-density($1), $1) }
        let values = order.map { Int((things[$0].value * Self.unit).rounded()) }
        let weights = order.map { things[$0].weight }

        func greedy(_ places: some Sequence<Int>) -> (value: Int, taken: [Int]) {
            var (rest, value, taken) = (capacity, 0, [Int]())
            for place in places where taken.count < countMax && weights[place] <= rest {
                rest -= weights[place]
                value += values[place]
                taken.append(place)
            }
            return (value, taken)
        }
        var best = greedy(order.indices)
        let byValue = greedy(order.indices.sorted { (-values[$0], order[$0]) < (-values[$1], order[$1]) })
        if byValue.value > best.value { best = byValue }

        // The most that so many of the things from a place on can be worth, whatever they weigh.
        var largest = [Int](repeating: 0, count: order.count + 1)
        for place in order.indices.reversed() { largest[place] = max(values[place], largest[place + 1]) }
        func bound(_ from: Int, _ rest: Int, _ places: Int) -> Int {
            let (byCount, overflow) = largest[from].multipliedReportingOverflow(by: places)
            var (rest, value, place) = (rest, 0, from)
            while place < order.count, weights[place] <= rest {
                rest -= weights[place]
                value += values[place]
                place += 1
            }
            if place < order.count { value += Int((Double(values[place]) * Double(rest) / Double(weights[place])).rounded(.up)) }
            return overflow ? value : min(value, byCount)
        }

        var stack: [Int] = []
        var (value, rest, place, steps) = (0, capacity, 0, 0)
        while steps < Self.stepsMax {
            steps += 1
            if value > best.value { best = (value, stack) }
            if place < order.count, stack.count < countMax, value + bound(place, rest, countMax - stack.count) > best.value {
                if weights[place] <= rest {
                    stack.append(place)
                    value += values[place]
                    rest -= weights[place]
                }
                place += 1
            } else if let last = stack.popLast() {
                value -= values[last]
                rest += weights[last]
                place = last + 1
            } else {
                break
            }
        }
        isBest = steps < Self.stepsMax
        taken = best.taken.map { order[$0] }.sorted()
    }
}
