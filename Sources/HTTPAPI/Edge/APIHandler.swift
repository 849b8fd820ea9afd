// The way of a request through the edge, in the order that keeps strangers from learning anything:
//
//   a browser's question before a request (no key)  ->  size  ->  who asks: 401  ->  which route: 404, 405, 307
//   ->  may the role do that, in that project: 403  ->  body  ->  is it well formed: 422  ->  may it in the body's project: 403
//   ->  the operation
//
// Unknown paths answer 401 before 404. Operations authenticates and authorises again: it trusts no adapter. What the edge adds
// is only that no fault of a body is explained to somebody who may not send it.

internal import Access
internal import Base
public import Logging
public import Service

/// All rules of the HTTP edge, without a socket.
public struct APIHandler: Sendable {
    let operations: Operations
    let configuration: HTTPAPIConfiguration
    let logger: Logger
    let facts: ServerFacts
    private let matcher: RouteMatcher
    private let crossOrigin: CrossOrigin

    public init(operations: Operations, configuration: HTTPAPIConfiguration, logger: Logger = Logger(label: "contex.http")) {
        self.operations = operations
        self.configuration = configuration
        self.logger = logger
        let clock = SystemClock()
        facts = ServerFacts(version: configuration.version, startedAt: clock.now(), clock: clock)
        matcher = RouteMatcher(RouteTable.all)
        crossOrigin = CrossOrigin(origins: configuration.corsOrigins, allowsCredentials: configuration.corsCredentials)
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
    }

    public func admit(_ request: APIRequest) -> Admission {
        let requestID = RequestID.of(request)
        do {
            return try examine(request, requestID: requestID)
        } catch {
            return .answered(complete(.error(error, requestID: requestID), request, requestID))
        }
    }

    private func examine(_ request: APIRequest, requestID: String) throws -> Admission {
        if let answer = crossOrigin.preflight(request) { return .answered(complete(answer, request, requestID)) }
        if let length = request.header("Content-Length").flatMap({ Int($0) }), length > configuration.bodyBytesMax { throw bodyTooLarge }

        let caller = Caller(
            apiKey: request.apiKey, address: request.address, requestID: requestID, client: request.header("User-Agent"))
        let match = matcher.match(method: request.method, path: request.path)
        let needsNoKey: Bool = if case .route(let route, _) = match { route.isPublic } else { Self.isPublic(request.path) }
        let principal = needsNoKey ? Principal.anonymous : try operations.authenticate(caller)

        switch match {
        case .none:
            return .answered(complete(.detail("Not Found", status: 404), request, requestID))
        case .otherMethod(let allowed):
            let answer = APIAnswer.detail("Method Not Allowed", status: 405, headers: [("Allow", allowed.joined(separator: ", "))])
            return .answered(complete(answer, request, requestID))
        case .otherSlash(let path):
            return .answered(complete(.redirect(to: path + request.target.dropFirst(request.path.count)), request, requestID))
        case .route(let route, let parameters):
            if !needsNoKey { try operations.authorise(principal, route.action, project: nil) }
            var errors: [ValidationError] = []
            let path = FieldValues(parameters: parameters, shapes: route.pathFields, in: "path", into: &errors)
            if route.projectPlace == .path, errors.isEmpty {
                try operations.authorise(principal, route.action, project: path[Fields.project])
            }
            return .admitted(
                AdmittedRequest(
                    request: request, requestID: requestID, caller: caller, principal: principal, route: route, path: path,
                    pathErrors: errors))
        }
    }

    /// Open to everyone whether or not something is there.
    private static func isPublic(_ path: Substring) -> Bool {
        path == "/" || ["/health", "/sandbox", "/static", "/favicon.ico", "/api/docs", "/api/openapi.json"].contains { path.hasPrefix($0) }
    }

    public func answer(_ admitted: AdmittedRequest, body bytes: [UInt8]) async -> APIAnswer {
        let started = ContinuousClock.now
        var answer: APIAnswer
        do {
            answer = try await run(admitted, body: bytes)
        } catch {
            answer = .error(error, requestID: admitted.requestID)
            if (error as? ContexError)?.category.isOurs ?? !(error is ValidationFailure) {
                logger.error(
                    "\(admitted.route.method) \(admitted.route.path) failed",
                    metadata: ["request": "\(admitted.requestID)", "error": "\(error)"])
            }
        }
        logger.debug(
            "\(admitted.route.method) \(admitted.route.path) \(answer.status)",
            metadata: ["request": "\(admitted.requestID)", "duration": "\(ContinuousClock.now - started)"])
        return complete(answer, admitted.request, admitted.requestID)
    }

    private func run(_ admitted: AdmittedRequest, body bytes: [UInt8]) async throws -> APIAnswer {
        guard bytes.count <= configuration.bodyBytesMax else { throw bodyTooLarge }
        let route = admitted.route
        var errors = admitted.pathErrors
        let query = FieldValues(parameters: admitted.request.query, shapes: route.queryFields, in: "query", into: &errors)
        let body = try route.body.read(bytes, contentType: admitted.request.header("Content-Type"), into: &errors)
        guard errors.isEmpty else { throw ValidationFailure(errors) }
        if route.projectPlace == .body {
            try operations.authorise(admitted.principal, route.action, project: body.fields[Fields.project])
        }
        return try await route.handler(
            Call(
                operations: operations, caller: admitted.caller, server: facts, target: admitted.request.target, path: admitted.path,
                query: query, bodyContent: body))
    }

    // MARK: - Refusals of the socket side

    private var bodyTooLarge: ContexError {
        ContexError(.tooLarge, "Request body too large: at most \(configuration.bodyBytesMax) bytes are accepted")
    }

    /// The body that was sent in pieces went over the limit.
    public func refuseBody(of admitted: AdmittedRequest) -> APIAnswer {
        complete(.error(bodyTooLarge, requestID: admitted.requestID), admitted.request, admitted.requestID)
    }

    /// More requests at once than the server works on.
    public func refuseBusy(_ request: APIRequest) -> APIAnswer {
        let requestID = RequestID.of(request)
        let busy = ContexError(.unavailable, "The server is working on \(configuration.requestsMax) requests already; try again")
        return complete(.error(busy, requestID: requestID), request, requestID)
    }

    private func complete(_ answer: APIAnswer, _ request: APIRequest, _ requestID: String) -> APIAnswer {
        var answer = answer
        AnswerHeaders.complete(&answer, for: request, requestID: requestID, crossOrigin: crossOrigin, sendsHSTS: configuration.hsts)
        return answer
    }

    /// Both steps at once, for a body that is there.
    public func answer(_ request: APIRequest, body: [UInt8] = []) async -> APIAnswer {
        switch admit(request) {
        case .answered(let answer): answer
        case .admitted(let admitted): await answer(admitted, body: body)
        }
    }
}
