internal import NIOCore
internal import Service
internal import Synchronization

/// The connections that are open: how many of one address, and who must be told when the server stops.
final class HTTPConnections: Sendable {
    private struct State {
        var open: [ObjectIdentifier: any Channel] = [:]
        var byAddress: [String: Int] = [:]
        var isStopping = false
        /// Who waits until the last one is closed.
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    private let perAddressMax: Int

    init(perAddressMax: Int) { self.perAddressMax = perAddressMax }

    var count: Int { state.withLock { $0.open.count } }

    /// False: its address has too many, or the server stops.
    func admit(_ channel: any Channel, _ address: String) -> Bool {
        state.withLock { state in
            guard !state.isStopping, state.byAddress[address, default: 0] < perAddressMax else { return false }
            state.byAddress[address, default: 0] += 1
            state.open[ObjectIdentifier(channel)] = channel
            return true
        }
    }

    func remove(_ channel: any Channel, _ address: String) {
        let waiting = state.withLock { state in
            guard state.open.removeValue(forKey: ObjectIdentifier(channel)) != nil, let count = state.byAddress[address] else {
                return [CheckedContinuation<Void, Never>]()
            }
            state.byAddress[address] = count > 1 ? count - 1 : nil
            guard state.isStopping, state.open.isEmpty else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Admits nobody from here on, and tells everybody who is there.
    func tell(_ event: HTTPConnection.Event) {
        let open = state.withLock { state in
            state.isStopping = true
            return Array(state.open.values)
        }
        for channel in open { channel.pipeline.fireUserInboundEventTriggered(event) }
    }

    /// Returns when all are closed; to be called when they have been told.
    func closed() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if state.open.isEmpty { return true }
                state.waiting.append(continuation)
                return false
            }
            if isClosed { continuation.resume() }
        }
    }
}

/// How many requests are worked on.
final class RunningRequests: Sendable {
    private let count = Mutex(0)
    private let max: Int

    init(max: Int) { self.max = max }

    func enter() -> Bool {
        count.withLock { count in
            guard count < max else { return false }
            count += 1
            return true
        }
    }
    var running: Int { count.withLock { $0 } }
    var hasRoom: Bool { running < max }
    func leave() { count.withLock { $0 -= 1 } }

    /// Of one who has lent its place, whether or not there is one.
    func comeBack() { count.withLock { $0 += 1 } }
}

/// The place of a request among those that are worked on, and the memory that it holds there.
struct RequestPlace: Sendable {
    let running: RunningRequests
    let memory: MemoryLease
    /// What a waiting request is taken to hold.
    static let waitingBytes = 4 << 10

    init(_ running: RunningRequests, _ memory: MemoryLease) {
        self.running = running
        self.memory = memory
    }

    /// Runs what only waits, while others work in its place.
    func lent(_ waiting: @Sendable () async -> Void) async {
        memory.settle(at: Self.waitingBytes)
        running.leave()
        await waiting()
        running.comeBack()
    }
}

/// Which bodies may come to their end though the memory for bodies on their way is taken: one of an address, and `max` of all.
///
/// Without it, bodies that have each a part of that memory could all wait for the rest of it, until all are refused.
final class Finishers: Sendable {
    private let addresses = Mutex<Set<String>>([])
    private let max: Int

    init(max: Int) { self.max = max }

    func enter(_ address: String) -> Bool {
        addresses.withLock { addresses in addresses.count < max && addresses.insert(address).inserted }
    }
    func leave(_ address: String) { addresses.withLock { _ = $0.remove(address) } }
}
