// Whether the disk takes what is written: what health says of a server that can read and not write.

internal import Glibc
internal import LMDB
internal import Synchronization

final class WriteCondition: Sendable {
    private struct Failure: Sendable {
        let time: ContinuousClock.Instant
        let reason: String
    }

    private let folder: String
    private let last = Mutex<Failure?>(nil)

    /// For so long a failure is told when the disk has room again and nobody has written since.
    private static let memory = Duration.seconds(5)
    /// With less room than this no commit is expected to succeed.
    private static let roomBytes: UInt64 = 1 << 20

    init(folder: String) { self.folder = folder }

    /// A commit is on the disk.
    func succeeded() { last.withLock { $0 = nil } }

    /// A commit failed, or a transaction could not begin; other errors than the disk's are none of its.
    func failed(_ error: any Error) {
        guard let error = error as? LMDBError, error.isStorageFull || error.code == .panic else { return }
        last.withLock { $0 = Failure(time: .now, reason: "\(error)") }
    }

    /// Why nothing can be written; nil when it can, as far as is known.
    var trouble: String? {
        guard let failure = last.withLock({ $0 }) else { return nil }
        if ContinuousClock.now - failure.time < Self.memory { return failure.reason }
        var status = statvfs()
        guard unsafe statvfs(folder, &status) == 0 else { return failure.reason }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize) < Self.roomBytes ? failure.reason : nil
    }
}
