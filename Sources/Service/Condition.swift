// How the server is doing, in few words: modes in which it does less than it should. Each is read off what happens anyway, so asking costs
// nothing, and each ends by itself when what caused it does.

internal import Engine
internal import Measures
internal import Synchronization

/// Ways in which a server does less than it should.
public enum DegradedMode: String, Sendable, CaseIterable {
    /// It stops: what runs is finished, nothing new should come.
    case draining
    /// The last commit failed (a full disk): reads go on, writes are refused.
    case readOnly = "read_only"
    /// Requests wait for memory that others hold.
    case memoryFull = "memory_full"
    /// A snapshot is open for longer than any request takes, so no page that it sees is used again and the file grows.
    case snapshotHeld = "snapshot_held"
    /// Receivers of webhooks that failed again and again are not called for a while.
    case webhooksHeld = "webhooks_held"
    /// Little is left of the file system of the data folder.
    case diskLow = "disk_low"
    /// Stored data is damaged: of projects in quarantine nothing is answered, the others go on.
    case dataDamaged = "data_damaged"
}

/// What a part that Service does not know says of itself.
public struct HealthProbe: Sendable {
    public let name: String
    /// Figures, the mode that it is the cause of, and a sentence that says what to do.
    public let look: @Sendable () -> (details: [(name: String, value: String)], mode: DegradedMode?, message: String?)

    public init(name: String, look: @escaping @Sendable () -> (details: [(name: String, value: String)], mode: DegradedMode?, message: String?)) {
        (self.name, self.look) = (name, look)
    }
}

final class Condition: Sendable {
    let isDraining = Atomic(false)
    let probes = Mutex<[HealthProbe]>([])
}

extension Operations {
    /// Seconds after which a snapshot is held: queries take one at most, copies of the store are not the server's.
    static let snapshotSecondsMax = 60.0

    public func add(_ probe: HealthProbe) { condition.probes.withLock { $0.append(probe) } }
    var probes: [HealthProbe] { condition.probes.withLock { $0 } }

    /// From here on it is not ready for more; what comes is still answered.
    public func beginDraining() { condition.isDraining.store(true, ordering: .relaxed) }
    var isDraining: Bool { condition.isDraining.load(ordering: .relaxed) }

    public var degradedModes: [DegradedMode] {
        var modes = Set(probes.compactMap { $0.look().mode })
        if isDraining { modes.insert(.draining) }
        if database.areWritesFailing { modes.insert(.readOnly) }
        if memory.working.waitingCount + memory.arriving.waitingCount > 0 { modes.insert(.memoryFull) }
        if database.oldestSnapshotSeconds > Self.snapshotSecondsMax { modes.insert(.snapshotHeld) }
        if let webhooks = database.deliveryHealth, webhooks.openBreakers > 0 { modes.insert(.webhooksHeld) }
        if !database.quarantine.isEmpty { modes.insert(.dataDamaged) }
        return DegradedMode.allCases.filter(modes.contains)
    }

    func measureCondition() {
        registry.gauges("contex_degraded", "1 while the server does less than it should, by how (docs/operating.md)", ["mode"]) { [weak self] in
            guard let self else { return [] }
            let modes = degradedModes
            return DegradedMode.allCases.map { ([$0.rawValue], modes.contains($0) ? 1 : 0) }
        }
        let gates: [(name: String, gate: MemoryGate)] = [("arriving", memory.arriving), ("working", memory.working), ("answering", memory.answering)]
        registry.gauges(
            "contex_inflight_bytes", "Memory that requests hold: bodies on their way, what is worked on, and answers that wait for their readers",
            ["gate"]
        ) {
            gates.map { ([$0.name], Double($0.gate.held)) }
        }
        registry.gauges("contex_inflight_waiting_requests", "Requests that wait for it", ["gate"]) { gates.map { ([$0.name], Double($0.gate.waitingCount)) } }
        registry.gauges("contex_inflight_limit_bytes", "What all may hold together, small requests apart", ["gate"]) {
            gates.map { ([$0.name], Double($0.gate.total)) }
        }
    }
}
