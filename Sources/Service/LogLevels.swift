// What is logged, while the server runs. The logging system is the process's, so this is too.

public import Logging
internal import Synchronization

/// Which entries are written: from a level on, which parts of the server (`contex.http`, `contex.webhooks`) may have for themselves.
public final class LogLevels: Sendable {
    public static let shared = LogLevels()

    /// Of one part. Asked before every entry, also before those that are not written.
    public final class Level: Sendable {
        private let own = Atomic<Int>(-1)
        private let levels: LogLevels

        fileprivate init(_ levels: LogLevels) { self.levels = levels }

        /// - Parameter floor: below which nothing is written unless this part has a level of its own.
        public func value(floor: Logger.Level) -> Logger.Level {
            let own = own.load(ordering: .relaxed)
            return own >= 0 ? Logger.Level.allCases[own] : max(floor, levels.general)
        }

        fileprivate func set(_ level: Logger.Level?) { own.store(level.flatMap { Logger.Level.allCases.firstIndex(of: $0) } ?? -1, ordering: .relaxed) }
        fileprivate var value: Logger.Level? {
            let own = own.load(ordering: .relaxed)
            return own >= 0 ? Logger.Level.allCases[own] : nil
        }
    }

    private let common = Atomic(Logger.Level.allCases.firstIndex(of: .info) ?? 0)
    private let parts = Mutex<[String: Level]>([:])

    private init() {}

    /// What holds for every part that has no level of its own.
    public var general: Logger.Level {
        get { Logger.Level.allCases[common.load(ordering: .relaxed)] }
        set { common.store(Logger.Level.allCases.firstIndex(of: newValue) ?? 0, ordering: .relaxed) }
    }

    /// The level of a part, which is known from here on.
    public func level(of part: String) -> Level {
        parts.withLock { parts in
            if let known = parts[part] { return known }
            let level = Level(self)
            parts[part] = level
            return level
        }
    }

    /// The parts that there are, and what each has for itself.
    public var own: [(part: String, level: Logger.Level?)] {
        parts.withLock { parts in parts.sorted { $0.key < $1.key }.map { ($0.key, $0.value.value) } }
    }

    /// - Parameter level: nil: what all have.
    /// - Returns: false when there is no such part.
    public func set(_ level: Logger.Level?, of part: String) -> Bool {
        guard let known = parts.withLock({ $0[part] }) else { return false }
        known.set(level)
        return true
    }
}
