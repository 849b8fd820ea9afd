internal import NIOCore
internal import Service

/// A body on its way in: what has come, at what pace, and the memory that is held for it. The connection has the socket.
///
/// A class, so that the bytes are in one place and never copied while they grow.
final class RequestArrival {
    enum Step {
        case onward
        /// More than a body may have.
        case tooLarge
        /// A byte now and then.
        case tooSlow
    }

    /// Memory is asked for in steps of so many bytes.
    private static let memoryStep = 64 << 10

    let admitted: APIHandler.AdmittedRequest
    let lease: MemoryLease
    private let bytesMax: Int
    /// Memory is asked for in such pieces: a small body for what it is.
    private let step: Int
    private var bytes: [UInt8] = []
    private(set) var count = 0
    private var pace: BodyPace

    /// - Parameter announced: what `Content-Length` says.
    init(of admitted: APIHandler.AdmittedRequest, announced: Int?, _ lease: MemoryLease, bytesMax: Int, pace: BodyPace) {
        self.admitted = admitted
        self.lease = lease
        self.bytesMax = bytesMax
        self.pace = pace
        step = min(Self.memoryStep, max(1, announced ?? Self.memoryStep))
        if let announced { bytes.reserveCapacity(min(announced, bytesMax)) }
    }

    /// What must be asked for before this is taken; nothing for what will be refused.
    func needed(for buffer: ByteBuffer) -> Int {
        let after = count + buffer.readableBytes
        guard after > lease.held, after <= bytesMax else { return 0 }
        return (after - lease.held + step - 1) / step * step
    }

    func take(_ buffer: ByteBuffer) -> Step {
        count += buffer.readableBytes
        guard pace.bears(count) else { return .tooSlow }
        guard count <= bytesMax else {
            bytes = []
            return .tooLarge
        }
        bytes.append(contentsOf: buffer.readableBytesView)
        return .onward
    }

    /// Time that the sender is not to blame for.
    func excuse(_ duration: Duration) { pace.excuse(duration) }

    func finish() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }
}

/// Whether a body comes fast enough. Asked at each piece: a sender of none is idle, and the idle timeout's.
struct BodyPace {
    private var started = ContinuousClock.now
    private let grace: Duration
    private let bytesPerSecondMin: Int

    init(_ configuration: HTTPAPIConfiguration) {
        grace = configuration.idleTimeout
        bytesPerSecondMin = configuration.bodyBytesPerSecondMin
    }

    func bears(_ count: Int) -> Bool {
        ContinuousClock.now - started <= grace + .seconds(count / max(1, bytesPerSecondMin))
    }

    mutating func excuse(_ duration: Duration) { started += duration }
}
