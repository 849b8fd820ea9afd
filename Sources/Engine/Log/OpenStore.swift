// The environment for as long as the database is open, and again after LMDB has given it up.
//
// A write of the meta page that fails (the last write of a commit) leaves LMDB not knowing what the disk has: from then on it refuses
// every transaction, reads as well, with MDB_PANIC. What helps is to close the environment and to open the files again: the failed commit
// is not there, everything before it is. But LMDB must not have one file open twice in a process (closing one takes the locks of the
// other), so the old one has to be left by everybody first:
//
//     open --(a transaction cannot begin: MDB_PANIC)--> leaving --(the last one has let go of it, the next one comes)--> open
//
// Whoever comes in `leaving` waits for those who are in, `waitSeconds` at most; then the answer is `.storeReopening`, and the next one
// tries again. So reads go on after some milliseconds, and writes when the disk takes them: nothing has to be done by hand.

internal import Base
internal import Glibc
internal import KeySpace
public import LMDB
internal import Measures
internal import Synchronization

public final class OpenStore: Sendable {
    private enum State: Sendable {
        case open(Environment)
        /// Nobody gets the old one any more; who has it still uses it.
        case leaving(EnvironmentEnd)
        case closed
    }

    private let path: String
    private let options: Environment.Options
    private let state: Mutex<State>
    private let waitSeconds: Double
    private let reopened = Atomic(0)
    /// Snapshots that are read from.
    let reads = UnderWay()

    /// - Parameter waitSeconds: how long a request waits for those who are in. A read takes milliseconds.
    public init(_ environment: Environment, waitSeconds: Double = 2) {
        self.waitSeconds = waitSeconds
        path = environment.path
        options = environment.options
        state = Mutex(.open(environment))
    }

    /// How often the store was opened anew.
    public var reopenings: Int { reopened.load(ordering: .relaxed) }

    /// May wait (see above), so not on the cooperative pool.
    /// - Throws: `.stopping` once closed; `.storeReopening`
    public func environment() throws -> Environment {
        let deadline = ContinuousClock.now + .seconds(waitSeconds)
        while true {
            if let environment = try found() { return environment }
            guard ContinuousClock.now < deadline else {
                throw ContexError(.storeReopening, "A write to the disk has failed, and the store waits for reads to end before it is opened anew; try again")
            }
            usleep(1_000)
        }
    }

    /// nil: somebody is still in the old one.
    private func found() throws -> Environment? {
        try state.withLock { state in
            switch state {
            case .open(let environment): return environment
            case .closed: throw ContexError(.stopping, "The store is closed")
            case .leaving(let end):
                guard end.hasCome else { return nil }
                do {
                    let environment = try Environment(store: path, options: options)
                    state = .open(environment)
                    reopened.add(1, ordering: .relaxed)
                    return environment
                } catch {
                    throw ContexError(.storeReopening, "A write to the disk has failed, and the store cannot be opened anew (\(error)); try again")
                }
            }
        }
    }

    /// Takes the environment out of use, unless somebody else has done it.
    private func leave(_ end: EnvironmentEnd) {
        // Let go of outside the lock: the last one closes the files.
        let old: Environment? = state.withLock { state in
            guard case .open(let environment) = state, environment.end === end else { return nil }
            state = .leaving(end)
            return environment
        }
        _ = consume old
    }

    private func begin<T: ~Copyable>(_ transaction: (Environment) throws(LMDBError) -> T) throws -> T {
        let end: EnvironmentEnd
        do {
            let environment = try environment()
            end = environment.end
            do throws(LMDBError) {
                return try transaction(environment)
            } catch {
                guard error.code == .panic else { throw error }
            }
        }
        leave(end)
        return try transaction(environment())
    }

    /// Reads one snapshot; the view and every span from it end with `body`, which must not begin another.
    public func read<R>(_ body: (borrowing TransactionView) throws -> R) throws -> R {
        let transaction = try begin { environment throws(LMDBError) in try environment.beginRead() }
        let place = reads.begin()
        defer { reads.end(place) }
        return try body(transaction.view)
    }

    /// The one write transaction.
    public func beginWrite() throws -> WriteTransaction {
        try begin { environment throws(LMDBError) in try environment.beginWrite() }
    }

    public func close() {
        let old: State = state.withLock { state in
            defer { state = .closed }
            return state
        }
        _ = consume old
    }
}
