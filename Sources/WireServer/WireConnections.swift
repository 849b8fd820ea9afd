internal import NIOCore
internal import Synchronization

/// The connections that are open, what they may have at once, and what all of them did.
final class WireConnections: Sendable {
    private struct Owner {
        var connections = 0
        var strangers = 0
        var requests = 0
        var isEmpty: Bool { connections == 0 && requests == 0 }
    }
    private struct Place {
        let channel: any Channel
        let address: String
        var key: String?
        var isStranger = true
    }
    private struct State {
        var places: [ObjectIdentifier: Place] = [:]
        var addresses: [String: Owner] = [:]
        var keys: [String: Int] = [:]
        var strangers = 0
        var requests = 0
        var isStopping = false
        /// Who waits until the last one is closed.
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    private let bounds: WireServerConfiguration.Bounds
    let requestsAnswered = Atomic<Int>(0)
    let updatesSent = Atomic<Int>(0)
    let slowReadersCut = Atomic<Int>(0)

    init(_ bounds: WireServerConfiguration.Bounds) { self.bounds = bounds }

    var count: Int { state.withLock { $0.places.count } }
    var requestsRunning: Int { state.withLock { $0.requests } }

    // MARK: - Places

    /// - Returns: nil, or why there is no place.
    func admit(_ channel: any Channel, _ address: String) -> String? {
        state.withLock { state in
            let owner = state.addresses[address] ?? Owner()
            if state.isStopping { return "The server is stopping" }
            guard state.places.count < bounds.connectionsMax else { return "The server has \(bounds.connectionsMax) connections already" }
            guard owner.connections < bounds.connectionsPerOwnerMax else { return "Your address has \(bounds.connectionsPerOwnerMax) connections already" }
            guard state.strangers < bounds.strangersMax, owner.strangers < bounds.strangersPerAddressMax else {
                return "Too many connections have not said who they are"
            }
            state.places[ObjectIdentifier(channel)] = Place(channel: channel, address: address)
            state.strangers += 1
            state.addresses[address, default: Owner()].connections += 1
            state.addresses[address, default: Owner()].strangers += 1
            return nil
        }
    }

    /// It has said who it is.
    /// - Parameter key: the public name of its key; nil while authentication is off.
    /// - Returns: nil, or why there is no place.
    func greet(_ channel: any Channel, key: String?) -> String? {
        state.withLock { state in
            guard let place = state.places[ObjectIdentifier(channel)], place.isStranger else { return nil }
            if let key {
                guard state.keys[key, default: 0] < bounds.connectionsPerOwnerMax else {
                    return "Your API key has \(bounds.connectionsPerOwnerMax) connections already"
                }
                state.keys[key, default: 0] += 1
            }
            state.places[ObjectIdentifier(channel)]?.isStranger = false
            state.places[ObjectIdentifier(channel)]?.key = key
            state.strangers -= 1
            state.addresses[place.address]?.strangers -= 1
            return nil
        }
    }

    func remove(_ channel: any Channel) {
        let waiting = state.withLock { state in
            guard let place = state.places.removeValue(forKey: ObjectIdentifier(channel)) else { return [CheckedContinuation<Void, Never>]() }
            if place.isStranger { state.strangers -= 1 }
            state.addresses[place.address]?.connections -= 1
            if place.isStranger { state.addresses[place.address]?.strangers -= 1 }
            Self.tidy(place.address, &state)
            if let key = place.key, let count = state.keys[key] { state.keys[key] = count > 1 ? count - 1 : nil }
            guard state.isStopping, state.places.isEmpty else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    private static func tidy(_ address: String, _ state: inout State) {
        if state.addresses[address]?.isEmpty == true { state.addresses[address] = nil }
    }

    // MARK: - Requests

    func enter(_ address: String) -> Bool {
        state.withLock { state in
            guard state.requests < bounds.requestsMax, state.addresses[address]?.requests ?? 0 < bounds.requestsPerAddressMax else { return false }
            state.requests += 1
            state.addresses[address, default: Owner()].requests += 1
            return true
        }
    }

    func leave(_ address: String) {
        state.withLock { state in
            state.requests -= 1
            state.addresses[address]?.requests -= 1
            Self.tidy(address, &state)
        }
    }

    /// Of one who has lent its place while it only waits, whether or not there is one.
    func comeBack(_ address: String) {
        state.withLock { state in
            state.requests += 1
            state.addresses[address, default: Owner()].requests += 1
        }
    }

    // MARK: - All of them

    /// Tells everybody who is there; with `.stop` nobody is admitted from here on.
    func tell(_ event: WireConnection.Event) {
        let open = state.withLock { state in
            if case .keysChanged = event {} else { state.isStopping = true }
            return state.places.values.map(\.channel)
        }
        for channel in open { channel.pipeline.fireUserInboundEventTriggered(event) }
    }

    /// Returns when all are closed; to be called when they have been told.
    func closed() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if state.places.isEmpty { return true }
                state.waiting.append(continuation)
                return false
            }
            if isClosed { continuation.resume() }
        }
    }
}
