public import Base
internal import Addresses
internal import Content
internal import KeySpace
internal import LMDB
public import Outbox

/// How deliveries to an endpoint go.
public struct EndpointStatus: Sendable {
    public let endpoint: WebhookEndpoint
    public var delivery: DeliveryStatus
}

extension Database {
    /// By the time at which they were made.
    public func endpoints(_ tenant: TenantID) async throws -> [WebhookEndpoint] {
        try await read { view in try EventOutbox(tenant: tenant).endpoints(in: view) }
    }

    /// - Throws: `.notFound`
    public func endpoint(_ tenant: TenantID, _ number: UInt64) async throws -> EndpointStatus {
        var status = try await read { view in
            let outbox = EventOutbox(tenant: tenant)
            guard let endpoint = try outbox.endpoint(number, in: view),
                let state = try DeliveryLedger(scope: outbox.scope, lane: number).state(in: view)
            else { throw DeliveryLane(tenant: tenant, .endpoint(number)).notFound }
            let last = try outbox.state(in: view).last
            return EndpointStatus(endpoint: endpoint, delivery: DeliveryStatus(state, pending: Int(clamping: last - min(last, state.settled))))
        }
        status.delivery.breaker = breaker(of: status.endpoint.url)
        return status
    }

    /// - Throws: `.invalid` for an address that every delivery would refuse; `.limited`.
    public func create(_ endpoint: WebhookEndpoint, of tenant: TenantID) async throws -> WebhookEndpoint {
        var endpoint = endpoint
        endpoint.url = try checkedTarget(endpoint.url)
        return try await change(tenant, endpoint.number, .create(endpoint))!
    }

    /// - Throws: `.notFound`; `.invalid` as `create`.
    public func update(_ number: UInt64, of tenant: TenantID, _ patch: EndpointPatch) async throws -> WebhookEndpoint {
        var patch = patch
        if let url = patch.url { patch.url = try checkedTarget(url) }
        return try await change(tenant, number, .update(patch))!
    }

    /// - Throws: `.notFound`
    public func rotate(_ number: UInt64, of tenant: TenantID, to secret: String, previousUntil: Timestamp) async throws -> WebhookEndpoint {
        try await change(tenant, number, .rotate(secret: secret, until: previousUntil))!
    }

    /// - Throws: `.notFound`
    public func removeEndpoint(_ number: UInt64, of tenant: TenantID) async throws { _ = try await change(tenant, number, .remove) }

    private func change(_ tenant: TenantID, _ number: UInt64, _ change: Command.ChangeEndpoint.Change) async throws -> WebhookEndpoint? {
        switch try await submit(.changeEndpoint(.init(tenant: tenant, number: number, change: change, time: now()))) {
        case .endpoint(let endpoint): return endpoint
        case .done: return nil
        case let other: throw other.mismatch
        }
    }

    /// Sends an event to one endpoint, whatever its filters say.
    /// - Returns: the id of the event.
    /// - Throws: `.notFound`
    public func test(_ number: UInt64, of tenant: TenantID, _ kind: EventKind, data: JSONObject) async throws -> String {
        let outcome = try await submit(
            .announce(
                .init(tenant: tenant, kind: kind, project: "", endpoint: number, data: JSONPrinter.bytes(.object(data)), time: now())))
        guard case .announced(let event) = outcome else { throw outcome.mismatch }
        return MessageID.event(event, tenant)
    }

    /// The last tries of an endpoint, newest first.
    /// - Throws: `.notFound`
    public func attempts(_ number: UInt64, of tenant: TenantID, limit: Int) async throws -> [DeliveryAttempt] {
        try await read { view in
            let outbox = EventOutbox(tenant: tenant)
            guard try outbox.endpoint(number, in: view) != nil else { throw DeliveryLane(tenant: tenant, .endpoint(number)).notFound }
            return try DeliveryLedger(scope: outbox.scope, lane: number).attempts(limit: limit, in: view)
        }
    }

    public func currentTime() -> Timestamp { now() }

    private func checkedTarget(_ text: String) throws(ContexError) -> String {
        let url: WebhookURL
        do throws(ContexError) {
            url = try WebhookURL(WebAddress.checked(text, field: "url"))
            try configuration.webhookTargets?.check(url)
        } catch {
            throw .invalid(
                error.code, field: "url", kind: "value_error", message: error.message.replacing("webhook_url", with: "url"))
        }
        guard configuration.webhookTargets != nil else {
            throw ContexError.invalid(
                .webhookRefused, field: "url", kind: "value_error", message: "Value error, webhooks are switched off on this server")
        }
        return url.text
    }
}
