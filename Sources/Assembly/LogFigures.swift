// What the log did, and which of its entries are told once. An error that comes again a hundred times a second says nothing new, and must not
// fill a disk: after the first one its like are counted, and the next line says how many there were.

package import Logging
internal import Measures
internal import Synchronization

/// Of the process, as the log is.
package final class LogFigures: Sendable {
    static let shared = LogFigures()

    /// An entry that is like one before, within so many seconds, is counted only.
    package static let windowSeconds: UInt64 = 60
    /// Entries that are remembered; of more kinds each is written.
    package static let rememberedMax = 512

    private struct State {
        var known: [String: (since: UInt64, count: Int)] = [:]
        var lines: [Logger.Level: Int] = [:]
        var held = 0
        var lost = 0
    }
    private let state = Mutex(State())

    package init() {}

    /// What is to be done with an entry.
    package enum Verdict: Equatable {
        /// - Parameter repeated: entries like it that were held back before.
        case write(repeated: Int)
        case hold
    }

    /// - Parameter likeness: what makes two entries the same, nil for one that is always written.
    package func judge(_ level: Logger.Level, _ likeness: String?, at second: UInt64 = Stopwatch.now / 1_000_000_000) -> Verdict {
        state.withLock { state in
            guard let likeness else {
                state.lines[level, default: 0] += 1
                return .write(repeated: 0)
            }
            if let known = state.known[likeness], second - known.since < Self.windowSeconds {
                state.known[likeness]?.count += 1
                state.held += 1
                return .hold
            }
            let repeated = state.known[likeness]?.count ?? 0
            if state.known[likeness] == nil, state.known.count >= Self.rememberedMax {
                state.known = state.known.filter { second - $0.value.since < Self.windowSeconds }
            }
            if state.known[likeness] != nil || state.known.count < Self.rememberedMax { state.known[likeness] = (second, 0) }
            state.lines[level, default: 0] += 1
            return .write(repeated: repeated)
        }
    }

    func lost() { state.withLock { $0.lost += 1 } }

    func measure(_ registry: MeasureRegistry) {
        registry.counters("contex_log_lines", "Lines of the log, by level", ["level"]) { [self] in
            let lines = state.withLock { $0.lines }
            return Logger.Level.allCases.map { ([$0.rawValue], lines[$0] ?? 0) }
        }
        registry.counter("contex_log_lines_held_back", "Entries that were only counted, since the same was logged a moment before") { [self] in
            state.withLock { $0.held }
        }
        registry.counter("contex_log_lines_lost", "Entries that could not be written") { [self] in state.withLock { $0.lost } }
    }
}
