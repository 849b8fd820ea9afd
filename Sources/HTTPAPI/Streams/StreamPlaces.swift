internal import Access
internal import Base
internal import Service
internal import Synchronization

/// The connections that follow something: how many there are, of whom, and what waits for each.
final class StreamPlaces: Sendable {
    private struct State {
        var ledger: ReaderLedger
        var cuts: [ReaderLedger.ID: @Sendable () -> Void] = [:]
        var lastID: ReaderLedger.ID = 0
    }
    private let state: Mutex<State>

    init(_ bounds: ReaderLedger.Bounds) { state = Mutex(State(ledger: ReaderLedger(bounds))) }

    var count: Int { state.withLock { $0.ledger.count } }

    /// - Parameters:
    ///   - address: nil inside the process.
    ///   - key: nil while authentication is off.
    /// - Throws: `.limited` when the address or the key has as many as it may, `.unavailable` when all places are taken.
    func enter(address: String?, key: String?) throws(ContexError) -> StreamPlace {
        let origin = ReaderLedger.origin(address ?? "local")
        let (id, refusal) = state.withLock { state -> (ReaderLedger.ID, ReaderLedger.Refusal?) in
            state.lastID += 1
            let id = state.lastID
            if let refusal = state.ledger.admit(id, from: origin, isStranger: false) { return (id, refusal) }
            guard let key, let refusal = state.ledger.setKey(key, of: id) else { return (id, nil) }
            state.ledger.remove(id)
            return (id, refusal)
        }
        switch refusal {
        case nil: return StreamPlace(id, in: self)
        case .addressFull(let most): throw ContexError(.limited, "Your address follows as much as one may: \(most) connections; close some")
        case .keyFull(let most): throw ContexError(.limited, "This API key follows as much as one may: \(most) connections; close some")
        case .full, .strangers: throw ContexError(.busy, "As many connections follow something as this server bears; try again")
        }
    }

    fileprivate func leave(_ id: ReaderLedger.ID) {
        state.withLock { state in
            state.ledger.remove(id)
            state.cuts[id] = nil
        }
    }

    fileprivate func setCut(_ cut: @escaping @Sendable () -> Void, of id: ReaderLedger.ID) { state.withLock { $0.cuts[id] = cut } }

    fileprivate func setUnsent(_ bytes: Int, of id: ReaderLedger.ID) {
        let cuts = state.withLock { state in state.ledger.setOwn(bytes, of: id).compactMap { state.cuts.removeValue(forKey: $0) } }
        for cut in cuts { cut() }
    }
}

/// One of them, for as long as it is held.
final class StreamPlace: Sendable {
    private let id: ReaderLedger.ID
    private let places: StreamPlaces

    fileprivate init(_ id: ReaderLedger.ID, in places: StreamPlaces) {
        self.id = id
        self.places = places
    }

    deinit { places.leave(id) }

    /// - Parameter cut: closes the connection: of all that are over their share it reads the slowest.
    func onCut(_ cut: @escaping @Sendable () -> Void) { places.setCut(cut, of: id) }

    /// What waits for the client to take it.
    func setUnsent(_ bytes: Int) { places.setUnsent(bytes, of: id) }
}

extension Call {
    /// For whoever asks.
    /// - Throws: as `enter`.
    func streamPlace() throws(ContexError) -> StreamPlace {
        try streams.enter(address: caller.address, key: try operations.authenticate(caller).holderID)
    }
}
