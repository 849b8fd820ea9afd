internal import Access
internal import Addresses
public import Base
public import Engine
internal import Hashing
public import Outbox

/// What an administrator says of a new endpoint.
public struct EndpointDraft: Sendable {
    public var name: String
    public var url: String
    public var description: String?
    public var events: [String]
    public var categories: [String]
    public var projects: [String]
    public var timeoutSeconds: Int
    public var retriesMax: Int

    public init(
        name: String, url: String, description: String?, events: [String], categories: [String], projects: [String], timeoutSeconds: Int, retriesMax: Int
    ) {
        self.name = name
        self.url = url
        self.description = description
        self.events = events
        self.categories = categories
        self.projects = projects
        self.timeoutSeconds = timeoutSeconds
        self.retriesMax = retriesMax
    }
}

// Endpoints that a key with some projects makes are of these projects, and no others does it see: an endpoint is told of what everybody does.
extension Operations {
    /// Whether the caller may ask what there is to be told of.
    public func eventKinds(by caller: Caller) async throws { try await perform(.listEventKinds, project: nil, by: caller) { _ in } }

    /// - Throws: `.invalid`; `.reachExceeded` for projects beyond the caller's; `.limited`.
    public func createEndpoint(_ draft: EndpointDraft, by caller: Caller) async throws -> WebhookEndpoint {
        try await perform(.createEndpoint, project: nil, by: caller) { principal in
            try Self.check(events: draft.events, categories: draft.categories)
            let time = database.currentTime()
            let number = try SecureRandom.bytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } | 1
            let endpoint = WebhookEndpoint(
                number: number, name: draft.name, description: draft.description, url: draft.url, events: draft.events, categories: draft.categories,
                projects: try Self.projects(draft.projects, of: principal), isActive: true, timeoutSeconds: UInt8(clamping: draft.timeoutSeconds),
                retriesMax: UInt8(clamping: draft.retriesMax), createdAt: time, updatedAt: time, secret: try Self.secret())
            return try await database.create(endpoint, of: principal.tenant)
        }
    }

    /// Those of the caller's projects, by the time at which they were made.
    public func endpoints(isActive: Bool?, by caller: Caller) async throws -> [WebhookEndpoint] {
        try await perform(.listEndpoints, project: nil, by: caller) { principal in
            try await database.endpoints(principal.tenant).filter { Self.sees(principal, $0) && (isActive == nil || $0.isActive == isActive) }
        }
    }

    /// - Throws: `.notFound`
    public func endpoint(_ id: String, by caller: Caller) async throws -> EndpointStatus {
        try await perform(.showEndpoint, project: nil, by: caller) { try await endpoint(id, of: $0) }
    }

    /// - Throws: `.notFound`; as `createEndpoint`.
    public func updateEndpoint(_ id: String, _ patch: EndpointPatch, by caller: Caller) async throws -> WebhookEndpoint {
        try await perform(.changeEndpoint, project: nil, by: caller) { principal in
            let present = try await endpoint(id, of: principal).endpoint
            var patch = patch
            try Self.check(events: patch.events ?? [], categories: patch.categories ?? [])
            patch.projects = try patch.projects.map { try Self.projects($0, of: principal) }
            return try await database.update(present.number, of: principal.tenant, patch)
        }
    }

    /// The present secret goes on beside the new one for a day.
    /// - Throws: `.notFound`
    public func rotateSecret(_ id: String, by caller: Caller) async throws -> WebhookEndpoint {
        try await perform(.changeEndpoint, project: nil, by: caller) { principal in
            let present = try await endpoint(id, of: principal).endpoint
            let until = Timestamp(rawValue: database.currentTime().rawValue + Int64(Limits.secretOverlapSeconds) * 1_000_000)
            return try await database.rotate(present.number, of: principal.tenant, to: Self.secret(), previousUntil: until)
        }
    }

    /// - Throws: `.notFound`
    public func removeEndpoint(_ id: String, by caller: Caller) async throws {
        try await perform(.removeEndpoint, project: nil, by: caller) { principal in
            try await database.removeEndpoint(endpoint(id, of: principal).endpoint.number, of: principal.tenant)
        }
    }

    /// The last tries, newest first.
    /// - Throws: `.notFound`
    public func attempts(ofEndpoint id: String, limit: Int, by caller: Caller) async throws -> [DeliveryAttempt] {
        try await perform(.showEndpoint, project: nil, by: caller) { principal in
            try await database.attempts(endpoint(id, of: principal).endpoint.number, of: principal.tenant, limit: limit)
        }
    }

    /// Sends an event to this endpoint, whatever its filters say.
    /// - Returns: the id of the event.
    /// - Throws: `.notFound`; `.invalid` for a type that there is not.
    public func testEndpoint(_ id: String, _ type: String, data: JSONObject, by caller: Caller) async throws -> String {
        try await perform(.testEndpoint, project: nil, by: caller) { principal in
            guard let kind = EventKind(name: type) else { throw Self.unknown("event_type", type) }
            return try await database.test(endpoint(id, of: principal).endpoint.number, of: principal.tenant, kind, data: data)
        }
    }

    // MARK: - Dead letters

    /// What the deliveries of an agent or an endpoint have given up, oldest first.
    /// - Throws: `.notFound`; `.conflict` as in `agent`.
    public func deadLetters(_ subject: LetterSubject, after number: UInt64, limit: Int, by caller: Caller) async throws -> DeadLetterPage {
        try await perform(subject.action(.readDeliveries, .showEndpoint), project: subject.project, by: caller) { principal in
            try await database.deadLetters(lane(of: subject, principal, caller), after: number, limit: limit)
        }
    }

    /// Sends dead letters again, each once; none named: all.
    /// - Returns: how many.
    /// - Throws: `.notFound`; `.conflict` as in `agent`.
    public func replayLetters(_ subject: LetterSubject, _ numbers: [UInt64], by caller: Caller) async throws -> Int {
        try await perform(subject.action(.replayDeliveries, .changeEndpoint), project: subject.project, by: caller) { principal in
            try await database.replayLetters(lane(of: subject, principal, caller), numbers)
        }
    }

    /// Throws dead letters away; none named: all.
    /// - Returns: how many.
    /// - Throws: `.notFound`; `.conflict` as in `agent`.
    public func removeLetters(_ subject: LetterSubject, _ numbers: [UInt64], by caller: Caller) async throws -> Int {
        try await perform(subject.action(.replayDeliveries, .changeEndpoint), project: subject.project, by: caller) { principal in
            try await database.removeLetters(lane(of: subject, principal, caller), numbers)
        }
    }

    private func lane(of subject: LetterSubject, _ principal: Principal, _ caller: Caller) async throws -> DeliveryLane {
        switch subject {
        case .agent(let agent, let project):
            let meant = try await registered(agent, project, principal, for: .readDeliveries, caller)
            return DeliveryLane(tenant: principal.tenant, .agent(agent, project: meant.project))
        case .endpoint(let id): return DeliveryLane(tenant: principal.tenant, .endpoint(try await endpoint(id, of: principal).endpoint.number))
        }
    }

    // MARK: - Rules

    private func endpoint(_ id: String, of principal: Principal) async throws -> EndpointStatus {
        let missing = ContexError(.endpointNotFound, "Endpoint '\(id.excerpt())' not found")
        guard let number = WebhookEndpoint.number(of: id) else { throw missing }
        let found = try await database.endpoint(principal.tenant, number)
        guard Self.sees(principal, found.endpoint) else { throw missing }
        return found
    }

    private static func sees(_ principal: Principal, _ endpoint: WebhookEndpoint) -> Bool {
        principal.projects.isAll || !endpoint.projects.isEmpty && endpoint.projects.allSatisfy(principal.projects.includes)
    }

    private static func projects(_ given: [String], of principal: Principal) throws(ContexError) -> [String] {
        for project in given { _ = try Name(project, field: "project_ids") }
        guard !principal.projects.isAll else { return given }
        if given.isEmpty { return principal.projects.projects }
        guard given.allSatisfy(principal.projects.includes) else {
            throw ContexError(.reachExceeded, "project_ids has projects that your key does not reach")
        }
        return given
    }

    private static func check(events: [String], categories: [String]) throws(ContexError) {
        for event in events where EventKind(name: event) == nil { throw unknown("events", event) }
        for category in categories where EventKind.Category(rawValue: category) == nil { throw unknown("categories", category) }
    }

    private static func unknown(_ field: String, _ text: String) -> ContexError {
        .invalid(
            field: field, kind: "value_error",
            message: "Value error, there is no '\(text.excerpt())': GET /api/v1/webhooks/events lists what there is")
    }

    /// As the original makes them: 32 bytes in 43 characters.
    private static func secret() throws(ContexError) -> String { Base64URL.encode(try SecureRandom.bytes(32)) }
}

/// Whose deliveries.
public enum LetterSubject: Sendable {
    /// - Parameter project: nil: the one that the agent's id means.
    case agent(Name, project: Name?)
    case endpoint(String)

    fileprivate var project: Name? { if case .agent(_, let project) = self { project } else { nil } }

    fileprivate func action(_ agents: Action, _ endpoints: Action) -> Action {
        if case .agent = self { agents } else { endpoints }
    }
}
