// Failed logins, counted by address: whoever guesses gets a few tries and then 429, at every edge alike.
//
// A valid key always passes, also from an address that is being slowed down: behind a proxy or a company's gateway sit many people,
// and one of them must not be able to lock the others out. What keeps guessing hopeless is the key itself (220 bits, or what
// `APIKeyFormat` asks of an operator's own); what this adds is that it does not pay, and that it is seen.
//
// Each address has a level. A failure raises it by one, `secondsPerFailure` of silence lower it by one; over `freeFailures` each
// further failure is refused as one too many. Levels are exact for the addresses in the table, and the table is bounded: it has two halves;
// when the younger is full the older is forgotten, so that a stranger with many addresses moves only the oldest out.

internal import Addresses
internal import Synchronization

package final class LoginGuard: Sendable {
    /// Failures of one address that are answered with 401; a script with a mistyped key shows itself in fewer.
    package static let freeFailures = 10
    /// Ten a minute from then on.
    package static let secondsPerFailure = 6
    /// However long somebody has guessed, a minute of silence is enough for one with a typing error.
    static let levelMax = freeFailures - 1 + 60 / secondsPerFailure
    /// Addresses in each half: some 100 bytes each.
    package static let addressesMax = 4_096

    package enum Verdict: Equatable {
        /// The failure so many of this address since it was last quiet.
        case refused(count: Int)
        case slowed(count: Int)
    }

    private struct Entry {
        var level: Double
        var at: ContinuousClock.Instant
        /// Failures since the level was last zero.
        var count: Int
    }
    private struct State {
        var young: [IPAddress?: Entry] = [:]
        var old: [IPAddress?: Entry] = [:]
        var total = 0
    }
    private let state = Mutex(State())

    package init() {}

    /// Failed logins since the start.
    package var total: Int { state.withLock { $0.total } }
    package var addressCount: Int { state.withLock { $0.young.count + $0.old.count } }

    /// Counts a failure.
    /// - Complexity: O(1) on average.
    package func failed(from address: String?, now: ContinuousClock.Instant) -> Verdict {
        let place = Self.place(address)
        return state.withLock { state in
            state.total += 1
            var entry = state.young[place] ?? state.old.removeValue(forKey: place) ?? Entry(level: 0, at: now, count: 0)
            let quiet = (now - entry.at) / .seconds(1) / Double(Self.secondsPerFailure)
            entry.level = max(0, entry.level - quiet)
            if entry.level == 0 { entry.count = 0 }
            entry.level = min(Double(Self.levelMax), entry.level + 1)
            entry.at = now
            entry.count += 1
            if state.young[place] == nil, state.young.count >= Self.addressesMax {
                state.old = state.young
                state.young = [:]
            }
            state.young[place] = entry
            return entry.level > Double(Self.freeFailures) ? .slowed(count: entry.count) : .refused(count: entry.count)
        }
    }

    /// Whoever has one IPv6 address has all of its /64. Text that is no address, and none, are one place of their own.
    private static func place(_ text: String?) -> IPAddress? {
        guard let text, let address = IPAddress(text.prefix { $0 != "%" }) else { return nil }
        return switch address.unmapped {
        case .v4(let value): .v4(value)
        case .v6(let value): .v6((value >> 64) << 64)
        }
    }
}

extension LoginGuard.Verdict {
    /// A flood must not fill the log as well: every failure while there are few, then each time that their number has doubled.
    var isLogged: Bool {
        switch self {
        case .refused: true
        case .slowed(let count): count == LoginGuard.freeFailures + 1 || count & (count - 1) == 0
        }
    }
}
