internal import Access
internal import Base
internal import Engine
internal import Journal

/// How the server is.
public struct ServerHealth: Sendable {
    public enum Status: String, Sendable { case healthy, degraded, unhealthy }
    public struct Component: Sendable {
        public let name: String
        public let status: Status
        public let message: String?
        public let details: [(name: String, value: String)]
    }
    public let status: Status
    public let components: [Component]
}

extension Operations {
    /// Health, from a real read of the store and a real embedding. Figures of the whole server, and the words of what failed, are for
    /// administrators of all projects: to anybody else they would tell what goes on in projects that he cannot see.
    public func health(by caller: Caller) async throws -> ServerHealth {
        try await perform(.showHealth, project: nil, by: caller) { principal in
            let isTold = principal.isAdministratorOfAll
            let store = try await database.status()
            let model: ServerHealth.Component
            do {
                let dimension = try await database.probeModel()
                var details = [("embedding_dim", "\(dimension)")]
                if isTold, let cache = database.cacheUse {
                    details += [
                        ("cache_hits", "\(cache.hits)"), ("cache_misses", "\(cache.misses)"), ("cache_entries", "\(cache.entries)"),
                        ("cache_bytes", "\(cache.bytes)"),
                    ]
                }
                model = .init(name: "embedding_model", status: .healthy, message: nil, details: details)
            } catch {
                model = .init(name: "embedding_model", status: .unhealthy, message: isTold ? ContexError(from: error).message : nil, details: [])
            }
            var parts: [ServerHealth.Component] = [
                .init(
                    name: "store", status: store.trouble == nil ? .healthy : .degraded,
                    message: isTold ? store.trouble.map { "The disk takes no writes (\($0)); reads go on" } : nil,
                    details: isTold
                        ? [
                            ("bytes_used", "\(store.bytesUsed)"), ("entries", "\(store.entries)"), ("projects", "\(store.projects)"),
                            ("pending_writes", "\(store.pendingWrites)"), ("position", "\(store.position.position)"),
                            ("position_time", store.position.time.iso8601),
                        ] : []),
                model,
            ]
            if let webhooks = database.deliveryHealth { parts.append(Self.component(webhooks, isTold: isTold)) }
            let isUnhealthy = parts.contains { $0.status == .unhealthy }
            return ServerHealth(status: isUnhealthy ? .unhealthy : store.trouble == nil ? .healthy : .degraded, components: parts)
        }
    }

    /// Receivers that are down are no fault of the server: it stays healthy.
    private static func component(_ webhooks: DeliveryHealth, isTold: Bool) -> ServerHealth.Component {
        .init(
            name: "webhooks", status: webhooks.openBreakers > 0 ? .degraded : .healthy, message: nil,
            details: isTold
                ? [
                    ("delivered", "\(webhooks.delivered)"), ("given_up", "\(webhooks.givenUp)"), ("waiting_receivers", "\(webhooks.waiting)"),
                    ("running", "\(webhooks.running)"), ("open_breakers", "\(webhooks.openBreakers)"),
                ] : [])
    }
}
