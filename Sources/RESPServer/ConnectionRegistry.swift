internal import NIOCore
internal import Synchronization

/// The connections that are open, and what all of them did.
final class ConnectionRegistry: Sendable {
    enum Admission { case admitted, full, stopping }

    private struct State {
        var connections: [Int64: any Channel] = [:]
        var isStopping = false
    }

    private let state = Mutex(State())
    private let connectionsMax: Int
    private let lastID = Atomic<Int64>(0)
    let subscriptions = Atomic<Int>(0)
    let messagesDelivered = Atomic<Int>(0)
    let slowReadersCut = Atomic<Int>(0)

    init(connectionsMax: Int) { self.connectionsMax = connectionsMax }

    func nextID() -> Int64 { lastID.add(1, ordering: .relaxed).newValue }

    var count: Int { state.withLock { $0.connections.count } }

    func admit(_ id: Int64, _ channel: any Channel) -> Admission {
        state.withLock { state in
            guard !state.isStopping else { return .stopping }
            guard state.connections.count < connectionsMax else { return .full }
            state.connections[id] = channel
            return .admitted
        }
    }

    func remove(_ id: Int64) { state.withLock { $0.connections[id] = nil } }

    /// Admits nobody from here on; returns who is there.
    func stop() -> [any Channel] {
        state.withLock { state in
            state.isStopping = true
            return Array(state.connections.values)
        }
    }
}
