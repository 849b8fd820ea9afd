// The way of a request through the edge, in the order that keeps strangers from learning anything:
//
//   is it meant for this server: 400, 421  ->  a browser's question before a request (no key)  ->  the page that it comes from: 403
//   ->  length of its first line: 414, size of the body: 413, its codings: 415, 501  ->  who asks: 401  ->  which route: 404, 405, 307
//   ->  may the role do that, in that project: 403  ->  what the body is: 415  ->  body  ->  is it well formed: 422
//   ->  may it in the body's project: 403  ->  the operation
//
// Unknown paths answer 401 before 404. Operations authenticates and authorises again: it trusts no adapter. What the edge adds
// is only that no fault of a body is explained to somebody who may not send it.

internal import Access
internal import Answers
internal import Base
internal import Measures
public import Logging
public import Service

/// All rules of the HTTP edge, without a socket.
public struct APIHandler: Sendable {
    let operations: Operations
    let configuration: HTTPAPIConfiguration
    let logger: Logger
    let facts: ServerFacts
    let streams: StreamPlaces
    private let measures: HTTPMeasures
    private let guest: GuestProtocol?
    private let matcher: RouteMatcher
    private let crossOrigin: CrossOrigin
    private let hosts: HostRule

    /// - Parameter guest: who answers the messages of `/mcp`; nil: nobody does.
    public init(
        operations: Operations, configuration: HTTPAPIConfiguration, guest: GuestProtocol? = nil, logger: Logger = Logger(label: "contex.http")
    ) {
        self.guest = guest
        self.operations = operations
        self.configuration = configuration
        self.logger = logger
        let clock = SystemClock()
        facts = ServerFacts(version: configuration.version, startedAt: clock.now(), clock: clock)
        let streams = StreamPlaces(configuration.streams)
        self.streams = streams
        measures = HTTPMeasures(operations.registry)
        operations.registry.gauge("contex_http_streams", "Event streams and WebSockets that follow something") { Double(streams.count) }
        matcher = RouteMatcher(RouteTable.all)
        crossOrigin = CrossOrigin(origins: configuration.corsOrigins, allowsCredentials: configuration.corsCredentials)
        hosts = HostRule(
            bound: configuration.host, allowed: configuration.allowedHosts, authenticationRequired: operations.authenticationRequired)
    }

    // MARK: - Two steps: the head decides whether the body is read at all

    /// What the head of a request leads to.
    public enum Admission: Sendable {
        /// The answer is known; the body does not matter.
        case answered(APIAnswer)
        /// The body may come, up to `configuration.bodyBytesMax`.
        case admitted(AdmittedRequest)
    }

    /// A request whose sender may ask for its route.
    public struct AdmittedRequest: Sendable {
        let request: APIRequest
        let requestID: String
        let caller: Caller
        let principal: Principal
        let route: Route
        let path: FieldValues
        let pathErrors: [ValidationError]
        let coding: ContentCoding

        /// Who the memory for it is held for.
        var address: String? { request.address }
        var keyID: String? { principal.holderID }
    }

    /// An answer that is known and not complete: meter and audit have not heard of it (`said`).
    struct KnownAnswer: Sendable {
        let answer: APIAnswer
        let request: APIRequest
        let requestID: String
        /// nil when the head was not admitted.
        var admitted: AdmittedRequest? = nil
    }

    /// `admit` in two steps, of which the first waits for nobody.
    enum Examination: Sendable {
        case admitted(AdmittedRequest)
        case answered(KnownAnswer)
    }

    public func admit(_ request: APIRequest) async -> Admission {
        switch examine(request) {
        case .admitted(let admitted): .admitted(admitted)
        case .answered(let known): .answered(await said(known))
        }
    }

    func examine(_ request: APIRequest) -> Examination {
        let request = operations.hasTenants ? request.inTenant() : request
        let requestID = RequestID.of(request)
        do {
            switch try examine(request, requestID: requestID) {
            case .admitted(let admitted): return .admitted(admitted)
            case .answered(let answer): return .answered(KnownAnswer(answer: answer, request: request, requestID: requestID))
            }
        } catch {
            return .answered(KnownAnswer(answer: .error(error, requestID: requestID), request: request, requestID: requestID))
        }
    }

    func said(_ known: KnownAnswer) async -> APIAnswer {
        let watch = Stopwatch()
        let answer = await refused(known.answer, known.request, known.requestID, known.admitted)
        measures.answered(known.admitted?.route, status: answer.status, watch)
        return answer
    }

    /// Tells meter and audit of an answer that is a refusal of this edge's own, and completes it.
    /// - Parameter admitted: nil when the head was not admitted; then only the route tells what was asked for.
    private func refused(_ answer: APIAnswer, _ request: APIRequest, _ requestID: String, _ admitted: AdmittedRequest? = nil) async -> APIAnswer {
        guard let refusal = answer.refusal, !refusal.isRecorded else { return complete(answer, request, requestID, admitted?.caller.rate) }
        var action = admitted?.route.action
        var project: Name? = nil
        if let admitted, admitted.route.projectPlace == .path, admitted.pathErrors.isEmpty { project = admitted.path[Fields.project] }
        if admitted == nil, case .route(let route, _) = matcher.match(method: request.method, path: request.path) { action = route.action }
        let caller = admitted?.caller ?? caller(of: request, requestID)
        let said = await operations.refuse(action, project: project, by: caller, refusal)
        let isOverTheirShare = said.category == .limited && refusal.category != .limited
        return complete(isOverTheirShare ? .error(said, requestID: requestID) : answer, request, requestID, caller.rate)
    }

    private func caller(of request: APIRequest, _ requestID: String) -> Caller {
        Caller(
            apiKey: request.apiKey, address: request.address, requestID: requestID, client: request.header("User-Agent")?.excerpt(), method: request.method,
            endpoint: String(request.path).excerpt(bytes: Limits.echoBytes), tenant: operations.hasTenants ? request.tenant : nil,
            rate: operations.showsStandings ? RateReport() : nil, certificate: request.certificate)
    }

    /// Before anything is known of who asks: a refusal, or an answer that needs no key.
    private func answerBeforeKey(_ request: APIRequest) throws -> APIAnswer? {
        guard request.count(of: "Host") == 1, let name = request.header("Host"), Authority(name) != nil,
            let authority = Authority(request.statedHost.map(String.init) ?? name)
        else {
            throw ContexError.badRequest("A request names the server in exactly one Host header, as a name or address and perhaps a port")
        }
        guard hosts.admits(authority) else {
            return .refusal(
                .hostUnknown, "This server does not answer for the host \(authority.host.excerpt()): CONTEX_ALLOWED_HOSTS lists the names that it has")
        }
        if let answer = crossOrigin.preflight(request) { return answer }
        if let answer = crossOrigin.refusal(request, authority: authority) { return answer }
        guard request.target.utf8.count <= Limits.targetBytes else {
            return .refusal(.targetTooLong, "Path and query are too long: at most \(Limits.targetBytes) bytes are accepted")
        }
        if let length = request.announcedBytes, length > configuration.bodyBytesMax { throw bodyTooLarge }
        if let coding = request.header("Transfer-Encoding"), coding.lowercased() != "chunked" {
            return .refusal(.transferCodingUnsupported, "Of the transfer codings only chunked is known, not \(coding.excerpt())")
        }
        return nil
    }

    private func examine(_ request: APIRequest, requestID: String) throws -> Admission {
        if let answer = try answerBeforeKey(request) { return .answered(answer) }
        let coding = try ContentCoding(request.header("Content-Encoding"))

        let caller = caller(of: request, requestID)
        let match = matcher.match(method: request.method, path: request.path)
        var (needsNoKey, place) = (Self.isPublic(request.path), Action.Place.anywhere)
        if case .route(let route, _) = match { (needsNoKey, place) = (route.isPublic, route.action.place) }
        let principal = needsNoKey ? Principal.anonymous : try operations.authenticate(caller, for: place)
        if let named = request.pathTenant, let other = request.header(APIRequest.tenantHeader), other != named {
            throw ContexError.badRequest("The path names another tenant than \(APIRequest.tenantHeader)")
        }

        switch match {
        case .none:
            return .answered(.refusal(.pathUnknown, "Not Found"))
        case .otherMethod(let allowed):
            let methods = ("Allow", allowed.joined(separator: ", "))
            let answer =
                request.method == "OPTIONS"
                ? APIAnswer(status: 204, headers: [methods]) : APIAnswer.refusal(.methodNotAllowed, "Method Not Allowed", headers: [methods])
            return .answered(answer)
        case .otherSlash(let path):
            return .answered(.redirect(to: request.tenantPath + path + request.target.dropFirst(request.path.count)))
        case .route(let route, let parameters):
            if !needsNoKey { try operations.authorise(principal, route.action, project: nil, from: caller, isPreliminary: true) }
            var errors: [ValidationError] = []
            let path = FieldValues(parameters: parameters, shapes: route.pathFields, in: "path", into: &errors)
            if route.projectPlace == .path, errors.isEmpty {
                try operations.authorise(principal, route.action, project: path[Fields.project], from: caller, isPreliminary: true)
            }
            if request.announcesBody { try route.body.check(contentType: request.header("Content-Type")) }
            return .admitted(
                AdmittedRequest(
                    request: request, requestID: requestID, caller: caller, principal: principal, route: route, path: path,
                    pathErrors: errors, coding: coding))
        }
    }

    /// Open to everyone whether or not something is there.
    private static func isPublic(_ path: Substring) -> Bool {
        path == "/" || ["/health", "/sandbox", "/static", "/favicon.ico", "/api/docs", "/api/openapi.json"].contains { path.hasPrefix($0) }
    }

    /// - Parameters:
    ///   - body: is taken, so that it is gone once it has been parsed.
    ///   - memory: what the request may hold; nil inside the process, where nobody counts.
    public func answer(_ admitted: AdmittedRequest, body: RequestBytes, memory: RequestMemory? = nil) async -> APIAnswer {
        await answer(admitted, body: body, memory: memory, place: nil)
    }

    func answer(_ admitted: AdmittedRequest, body: RequestBytes, memory: RequestMemory?, place: RequestPlace?) async -> APIAnswer {
        await traced(admitted) { await untraced(admitted, body: body, memory: memory, place: place) }
    }

    private func untraced(_ admitted: AdmittedRequest, body: RequestBytes, memory: RequestMemory?, place: RequestPlace?) async -> APIAnswer {
        let watch = Stopwatch()
        var answer: APIAnswer
        do {
            answer = try await run(admitted, body, memory, place)
        } catch {
            answer = .error(error, requestID: admitted.requestID)
            if (error as? ContexError)?.category.isOurs ?? !(error is ValidationFailure || error is Refusal) {
                logger.error(
                    "\(admitted.route.method) \(admitted.route.path) failed",
                    metadata: ["request": "\(admitted.requestID)", "error": "\(error)"])
            }
        }
        logger.debug(
            "\(admitted.route.method) \(admitted.route.path) \(answer.status)",
            metadata: ["request": "\(admitted.requestID)", "duration_ms": "\(Double(watch.nanoseconds / 1_000) / 1_000)"])
        answer = await refused(answer, admitted.request, admitted.requestID, admitted)
        measures.answered(admitted.route, status: answer.status, watch)
        return answer
    }

    private func run(_ admitted: AdmittedRequest, _ box: RequestBytes, _ memory: RequestMemory?, _ place: RequestPlace?) async throws -> APIAnswer {
        guard box.count <= configuration.bodyBytesMax else { throw bodyTooLarge }
        let route = admitted.route
        var errors = admitted.pathErrors
        let query = FieldValues(parameters: admitted.request.query, shapes: route.queryFields, in: "query", into: &errors)
        let measure = try box.peek { bytes in try admitted.coding.measure(bytes, bytesMax: configuration.bodyBytesMax) }
        try await memory?.takeForWork(on: admitted, measure, configuration)
        let body = try read(admitted, box, measure, into: &errors)
        guard errors.isEmpty else { throw ValidationFailure(errors) }
        if route.projectPlace == .body {
            try operations.authorise(
                admitted.principal, route.action, project: body.fields[Fields.project], from: admitted.caller, isPreliminary: true)
        }
        let answer = try await route.handler(
            Call(
                operations: operations, caller: admitted.caller, server: facts, path: admitted.path, query: query, bodyContent: body, place: place,
                request: admitted.request, streams: streams, streamComment: configuration.streamComment, guest: guest))
        try memory?.hold(answer, of: admitted)
        return answer
    }

    /// In a function of its own, so that the bytes are gone when it returns.
    private func read(
        _ admitted: AdmittedRequest, _ box: RequestBytes, _ measure: BodyMeasure, into errors: inout [ValidationError]
    ) throws -> BodyContent {
        let bytes = try admitted.coding.decode(box.take(), count: measure.bytes, bytesMax: configuration.bodyBytesMax)
        return try admitted.route.body.read(bytes, contentType: admitted.request.header("Content-Type"), into: &errors)
    }

    // MARK: - Refusals of the socket side

    private var bodyTooLarge: ContexError {
        ContexError(.bodyTooLarge, "Request body too large: at most \(configuration.bodyBytesMax) bytes are accepted")
    }

    /// The body that was sent in pieces went over the limit.
    func refuseBody(of admitted: AdmittedRequest) -> KnownAnswer { refuse(admitted, bodyTooLarge) }

    func refuse(_ admitted: AdmittedRequest, _ error: ContexError) -> KnownAnswer {
        KnownAnswer(
            answer: .error(error, requestID: admitted.requestID), request: admitted.request, requestID: admitted.requestID, admitted: admitted)
    }

    /// More requests at once than the server works on.
    func refuseBusy(_ request: APIRequest) -> KnownAnswer {
        let requestID = RequestID.of(request)
        let busy = ContexError(.busy, "The server is working on \(configuration.requestsMax) requests already; try again")
        return KnownAnswer(answer: .error(busy, requestID: requestID), request: request, requestID: requestID)
    }

    /// What came is no request, so there is nothing of it that the answer could depend on.
    func refuseUnread(_ code: ErrorCode, _ text: String) -> APIAnswer {
        .refusal(code, text, headers: AnswerHeaders.ofRefusals + [(AnswerHeaders.errorCode, code.rawValue)])
    }

    private func complete(_ answer: APIAnswer, _ request: APIRequest, _ requestID: String, _ rate: RateReport? = nil) -> APIAnswer {
        var answer = answer
        for quota in rate?.quotas ?? [] { answer.headers.append(TenantShape.warning(quota)) }
        if let standing = rate?.standing { answer.headers += RateShape.headers(standing, now: facts.clock.now()) }
        if answer.fault != nil {
            if ProblemShape.isAskedFor(by: request) {
                ProblemShape.reshape(&answer, requestID: requestID)
            } else if OpenAIShape.isSpoken(at: request.path) {
                OpenAIShape.reshape(&answer)
            }
        }
        if answer.status == 401, let challenge = RouteTable.challenge(request) { answer.headers.append(challenge) }
        AnswerHeaders.complete(&answer, for: request, requestID: requestID, crossOrigin: crossOrigin, sendsHSTS: configuration.hsts)
        return answer
    }

    /// Both steps at once, for a body that is there.
    public func answer(_ request: APIRequest, body: [UInt8] = []) async -> APIAnswer {
        switch await admit(request) {
        case .answered(let answer): answer
        case .admitted(let admitted): await answer(admitted, body: RequestBytes(body))
        }
    }
}
