// Names that come from outside, as label values: a hundred of them at most have figures of their own, all others share one place. A
// stranger with ten thousand project names costs ten thousand additions, and no series.
//
// The first hundred names get a place. Later ones are counted among `other`, and the busiest of those, as far as a bounded table knows
// them, take the place of the least busy ones when `elect` is called, which is before figures are read: what had the place is added to
// `other`, so no sum over a family ever falls. A place that changes hands begins at 0, as a counter after a restart does.

internal import Synchronization

public final class LabelSlots: Sendable {
    public static let namedMax = 100
    /// Names without a place that are watched.
    static let watchedMax = 256
    /// What the place of all others is called.
    public static let otherName = "other"
    /// Places; the last is that of all others.
    static let slots = namedMax + 1
    private static let other = namedMax
    /// How much busier somebody must have been to take a place away.
    private static let lead: UInt64 = 2

    private struct State {
        var places: [String: Int] = [:]
        var names: [String] = []
        /// Uses since the last election, and half of those before, of each place.
        var uses = [UInt64](repeating: 0, count: LabelSlots.namedMax)
        var watched: [String: UInt64] = [:]
        var cells: [(cells: Cells, width: Int)] = []
    }
    private let state = Mutex(State())

    public init() {}

    /// The place of a name.
    /// - Complexity: O(1); with more than `watchedMax` names beside the named ones O(`watchedMax`).
    public func slot(of name: String) -> Int {
        state.withLock { state in
            if let place = state.places[name] {
                state.uses[place] += 1
                return place
            }
            // Who is called as all others are is one of them.
            guard name != Self.otherName else { return Self.other }
            if state.names.count < Self.namedMax {
                let place = state.names.count
                state.names.append(name)
                state.places[name] = place
                state.uses[place] = 1
                return place
            }
            if let uses = state.watched[name] {
                state.watched[name] = uses + 1
            } else if state.watched.count < Self.watchedMax {
                state.watched[name] = 1
            } else if let least = state.watched.min(by: { $0.value < $1.value }) {
                // Space saving: the newcomer inherits, so that nobody who is often there stays unknown.
                state.watched[least.key] = nil
                state.watched[name] = least.value + 1
            }
            return Self.other
        }
    }

    /// Cells with `width` for each place, whose content goes with the names.
    func attach(_ cells: Cells, width: Int) {
        precondition(cells.count == width * Self.slots)
        state.withLock { $0.cells.append((cells, width)) }
    }

    /// Gives places to those who were busier than who has them.
    public func elect() {
        state.withLock { state in
            for (name, uses) in state.watched.sorted(by: { $0.value > $1.value }) {
                guard let place = state.uses.indices.min(by: { state.uses[$0] < state.uses[$1] }), uses > Self.lead * state.uses[place] + 1 else { break }
                for (cells, width) in state.cells {
                    for offset in 0..<width { cells.move(place * width + offset, to: Self.other * width + offset) }
                }
                state.places[state.names[place]] = nil
                state.watched[name] = nil
                state.names[place] = name
                state.places[name] = place
                state.uses[place] = uses
            }
            for place in state.uses.indices { state.uses[place] /= 2 }
            state.watched = state.watched.mapValues { $0 / 2 }.filter { $0.value > 0 }
        }
    }

    /// Who has a place, and all others.
    var occupied: [(name: String, place: Int)] {
        state.withLock { state in state.names.enumerated().map { ($1, $0) } } + [(Self.otherName, Self.other)]
    }

    /// Who has a place.
    public var names: [String] { state.withLock { $0.names } }
}
