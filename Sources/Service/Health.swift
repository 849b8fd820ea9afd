internal import Access
internal import Base
internal import Engine
internal import Journal
internal import Measures

/// How the server is.
public struct ServerHealth: Sendable {
    public enum Status: String, Sendable { case healthy, degraded, unhealthy }
    public struct Component: Sendable {
        public let name: String
        public let status: Status
        public let message: String?
        public let details: [(name: String, value: String)]
    }
    public let components: [Component]
    /// In which it does less than it should.
    public let modes: [DegradedMode]

    /// The worst that is the server's own: receivers that are down are no fault of it.
    public var status: Status {
        let own = components.filter { $0.name != ServerHealth.webhooks }.map(\.status)
        return own.contains(.unhealthy) ? .unhealthy : own.contains(.degraded) ? .degraded : .healthy
    }

    /// Whether requests should be sent here.
    public var isReady: Bool { status != .unhealthy && !modes.contains(.draining) }

    fileprivate static let webhooks = "webhooks"
}

extension Operations {
    /// Milliseconds from which on the store and the model are slow: the original's.
    private static let storeMillisecondsMax = 100.0
    private static let modelMillisecondsMax = 1_000.0

    /// Health, from a real read of the store and a real embedding. Figures of the whole server, and the words of what failed, are for
    /// administrators of all projects: to anybody else they would tell what goes on in projects that he cannot see.
    public func health(by caller: Caller) async throws -> ServerHealth {
        try await perform(.showHealth, project: nil, by: caller) {
            await health(isTold: $0.isOperator, quarantined: $0.isOperator ? database.quarantine.entries : quarantined($0, caller))
        }
    }

    /// The same for a door of the operator's own, which asks for no key and tells no figures.
    public func health() async -> ServerHealth { await health(isTold: false, quarantined: []) }

    /// - Parameter quarantined: the projects that may be named.
    private func health(isTold: Bool, quarantined: [Quarantine.Entry]) async -> ServerHealth {
        let modes = degradedModes
        var parts: [ServerHealth.Component] = []
        func part(_ name: String, _ status: ServerHealth.Status, _ message: String?, _ details: [(String, String)]) {
            let told = isTold ? details : details.filter { Self.isOpen($0.0) }
            parts.append(.init(name: name, status: status, message: isTold ? message : nil, details: told.map { ($0.0, $0.1) }))
        }
        await look(at: modes, part)
        await lookAtModel(part)
        part("notifier", .healthy, nil, [("waiting_readers", "\(database.waitingReaders)")])
        if let webhooks = database.deliveryHealth {
            part(
                ServerHealth.webhooks, webhooks.openBreakers > 0 ? .degraded : .healthy,
                webhooks.openBreakers > 0 ? "\(webhooks.openBreakers) receivers are not called for a while, since they failed again and again" : nil,
                [
                    ("delivered", "\(webhooks.delivered)"), ("given_up", "\(webhooks.givenUp)"), ("waiting_receivers", "\(webhooks.waiting)"),
                    ("running", "\(webhooks.running)"), ("open_breakers", "\(webhooks.openBreakers)"),
                ])
        }
        let held = memory.working.held + memory.arriving.held + memory.answering.held
        part(
            "memory", modes.contains(.memoryFull) ? .degraded : .healthy,
            modes.contains(.memoryFull) ? "requests wait for memory: CONTEX_MAX_INFLIGHT_BYTES is what they have together" : nil,
            [("inflight_bytes", "\(held)"), ("waiting", "\(memory.working.waitingCount + memory.arriving.waitingCount)")])
        parts.append(integrity(quarantined))
        for probe in probes {
            let found = probe.look()
            part(probe.name, found.mode == nil ? .healthy : .degraded, found.message, found.details.map { ($0.name, $0.value) })
        }
        return ServerHealth(components: parts, modes: modes)
    }

    /// What a detail says is the same on every server of this kind.
    private static func isOpen(_ detail: String) -> Bool { detail == "embedding_dim" }

    /// Names the projects in quarantine to whoever may see them; to others it only is not healthy.
    private func integrity(_ named: [Quarantine.Entry]) -> ServerHealth.Component {
        let isSound = database.quarantine.isEmpty
        let names = named.map(\.project.text).joined(separator: ", ")
        return .init(
            name: "integrity", status: isSound ? .healthy : .degraded,
            message: named.isEmpty
                ? nil : "damaged, and in quarantine: \(names). Stop the server and run 'contex check --repair', or restore them from a backup",
            details: named.isEmpty ? [] : [("quarantined_projects", names)])
    }

    private typealias Part = (_ name: String, _ status: ServerHealth.Status, _ message: String?, _ details: [(String, String)]) -> Void

    private func look(at modes: [DegradedMode], _ part: Part) async {
        let watch = Stopwatch()
        do {
            let store = try await database.status()
            let indexes = try await database.indexSizes()
            let latency = Double(watch.nanoseconds / 1_000) / 1_000
            let isSlow = latency > Self.storeMillisecondsMax
            let isHeld = modes.contains(.snapshotHeld)
            let isReadOnly = modes.contains(.readOnly) || store.trouble != nil
            part(
                "store", isSlow || isHeld ? .degraded : .healthy,
                isHeld ? "a snapshot is open for \(Int(database.oldestSnapshotSeconds)) s, and the file grows" : isSlow ? "a read takes long" : nil,
                [
                    ("latency_ms", "\(latency)"), ("bytes_used", "\(store.bytesUsed)"), ("entries", "\(store.entries)"), ("projects", "\(store.projects)"),
                    ("pending_writes", "\(store.pendingWrites)"), ("position", "\(store.position.position)"), ("position_time", store.position.time.iso8601),
                    ("reopenings", "\(database.reopenings)"),
                ])
            part(
                "writer", isReadOnly ? .degraded : .healthy,
                isReadOnly ? "the last commit failed: reads go on, writes are refused until the disk takes them\(store.trouble.map { " (\($0))" } ?? "")" : nil,
                [("waiting", "\(store.pendingWrites)")])
            part("vector_index", .healthy, nil, [("projects", "\(indexes.projects)"), ("entries", "\(indexes.vectors)")])
            part("text_index", .healthy, nil, [("projects", "\(indexes.projects)"), ("entries", "\(indexes.texts)")])
        } catch {
            let reason = ContexError(from: error).message
            part("store", .unhealthy, reason, [("reopenings", "\(database.reopenings)")])
            part("writer", .unhealthy, reason, [])
            part("vector_index", .unhealthy, reason, [])
            part("text_index", .unhealthy, reason, [])
        }
    }

    private func lookAtModel(_ part: Part) async {
        let watch = Stopwatch()
        do {
            let dimension = try await database.probeModel()
            let latency = Double(watch.nanoseconds / 1_000) / 1_000
            var details = [("embedding_dim", "\(dimension)"), ("latency_ms", "\(latency)")]
            if let cache = database.cacheUse {
                details += [
                    ("cache_hits", "\(cache.hits)"), ("cache_misses", "\(cache.misses)"), ("cache_entries", "\(cache.entries)"),
                    ("cache_bytes", "\(cache.bytes)"),
                ]
            }
            let isSlow = latency > Self.modelMillisecondsMax
            part("embedding_model", isSlow ? .degraded : .healthy, isSlow ? "an embedding takes long: texts wait for the model" : nil, details)
        } catch {
            part("embedding_model", .unhealthy, ContexError(from: error).message, [])
        }
    }
}
