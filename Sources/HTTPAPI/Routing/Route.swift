internal import Base
public import Service

/// One thing that can be asked of the server. Router, OpenAPI document, human page and the proof of the role matrix all
/// come from these values; a route without an action does not compile.
public struct Route: Sendable {
    /// Under which prefixes the route answers.
    public enum Bases: Sendable {
        /// As it stands.
        case root
        /// `/api/v1`
        case current
        /// `/api/v1`, and `/api` for callers of old.
        case currentAndLegacy

        public var prefixes: [String] {
            switch self {
            case .root: [""]
            case .current: ["/api/v1"]
            case .currentAndLegacy: ["/api/v1", "/api"]
            }
        }
    }

    /// What the answer is made of, for the documents.
    public struct AnswerShape: Sendable {
        public let contentType: String
        /// When the request asks for another format.
        public let otherContentTypes: [String]
        /// One object of the answer as people read it.
        public let example: String
    }

    /// The content type of an answer that is only a redirection: it has none.
    static let leadsElsewhere = ""
    /// Of a route after whose answer the connection speaks WebSocket.
    static let becomesSocket = "websocket"

    public let method: String
    /// After the prefix: `/projects/{project_id}/query`.
    public let path: String
    public let bases: Bases
    public let action: Action
    /// Answered without a key even when authentication is on.
    public let isPublic: Bool
    /// Heading under which people find it.
    public let group: String
    public let summary: String
    public let pathFields: [FieldShape]
    public let queryFields: [FieldShape]
    public let body: BodyShape
    public let answer: AnswerShape
    let handler: @Sendable (Call) async throws -> APIAnswer

    init(
        _ method: String, _ path: String, bases: Bases = .currentAndLegacy, action: Action, isPublic: Bool = false, group: String,
        _ summary: String, path pathFields: [FieldShape] = [], query queryFields: [FieldShape] = [], body: BodyShape = .none,
        answers contentType: String = "application/json", or otherContentTypes: [String] = [], _ example: String,
        handler: @escaping @Sendable (Call) async throws -> APIAnswer
    ) {
        self.method = method
        self.path = path
        self.bases = bases
        self.action = action
        self.isPublic = isPublic
        self.group = group
        self.summary = summary
        self.pathFields = pathFields
        self.queryFields = queryFields
        self.body = body
        answer = AnswerShape(contentType: contentType, otherContentTypes: otherContentTypes, example: example)
        self.handler = handler
    }

    /// Where the project stands that the request names: its scope is checked before anything else is looked at.
    public enum ProjectPlace: Sendable { case path, body, none }
    public var projectPlace: ProjectPlace {
        if pathFields.contains(where: { $0.name == Fields.project.shape.name }) { return .path }
        switch body {
        case .object(let fields), .form(let fields):
            // One that may be left out is the operation's to look at.
            return fields.contains { $0.name == Fields.project.shape.name && $0.isRequired } ? .body : .none
        default: return .none
        }
    }
}

/// A request on its way through a handler: who asks, and what was given, checked.
struct Call: Sendable {
    let operations: Operations
    let caller: Caller
    let server: ServerFacts
    let path: FieldValues
    let query: FieldValues
    let bodyContent: BodyContent
    /// Of the request among those that are worked on; nil inside the process, where nobody counts.
    var place: RequestPlace? = nil
    /// As it came, without its body.
    let request: APIRequest
    let streams: StreamPlaces
    let streamComment: Duration
    /// Who speaks MCP; nil: nobody does.
    let guest: GuestProtocol?

    /// As it was sent: path and query.
    var target: String { request.target }

    /// The tenant that it is of, for answers that name it; nil where there are not several.
    var tenantName: String? { operations.tenantName(operations.tenant(of: caller)) }

    /// The object in the body.
    var body: FieldValues { bodyContent.fields }
}

/// What answers tell of the server itself.
struct ServerFacts: Sendable {
    let version: String
    let startedAt: Timestamp
    let clock: any WallClock
}
