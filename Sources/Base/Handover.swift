internal import CKernels
internal import Dispatch
internal import Synchronization

/// One value that one thread leaves and another waits for.
///
/// Whoever waits first looks for it again and again, for about as long as waking a thread takes: both sides are done at nearly
/// the same time, and to sleep and be woken twice would cost what the second thread wins.
public final class Handover<Value: Sendable>: Sendable {
    private let isThere = Atomic(false)
    private let left = Mutex<Result<Value, any Error>?>(nil)
    private let isLeft = DispatchSemaphore(value: 0)

    public init() {}

    /// Some 10 ns each.
    private static var looks: Int { 3_000 }

    /// The first result counts.
    public func leave(_ result: Result<Value, any Error>) {
        let isFirst = left.withLock { known in
            guard known == nil else { return false }
            known = result
            return true
        }
        guard isFirst else { return }
        isThere.store(true, ordering: .releasing)
        isLeft.signal()
    }

    /// To be called once, this or the other.
    public func take() throws -> Value {
        if !looked() { isLeft.wait() }
        return try left.withLock { $0! }.get()
    }

    /// Nil when nothing was left for so long.
    public func take(within microseconds: Int) throws -> Value? {
        if !looked(), isLeft.wait(timeout: .now() + .microseconds(microseconds)) == .timedOut { return nil }
        return try left.withLock { $0! }.get()
    }

    private func looked() -> Bool {
        for _ in 0..<Self.looks where !isThere.load(ordering: .acquiring) { ck_pause() }
        return isThere.load(ordering: .acquiring)
    }
}
