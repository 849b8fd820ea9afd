// The Model Context Protocol: a message comes, calls of Service are made, an answer goes. Nothing is kept between two messages, of whatever
// revision: no session, so that any server of a store can answer any of them, and a restart is not noticed.
//
//                    +-- says in _meta in which revision it is written --> 2026-07-28: every request complete in itself
//     one message ---+
//                    +-- does not -------------------------------------> 2025-03-26, 2025-06-18, 2025-11-25: `initialize` first
//
// The endpoint knows nothing of sockets. HTTP and standard input bring messages to it, each with its own `MCPPost`.

public import Base
internal import Content
internal import Engine
public import Logging
public import MCPMessages
public import Service

/// One piece of input: a message, or a batch of them.
public struct MCPPost: Sendable {
    public let body: [UInt8]
    public let caller: Caller
    /// nil where there are no headers.
    public let headers: RoutingHeaders?
    /// What the client takes as an answer; nil: it does not say, or it is asked for nothing.
    public let accept: String?
    /// After so long without anything to say a stream says that.
    public let comment: Duration
    /// Around waiting: others are worked on in its place.
    public let hold: @Sendable (@escaping @Sendable () async -> Void) async -> Void

    public init(
        body: [UInt8], caller: Caller, headers: RoutingHeaders? = nil, accept: String? = nil,
        comment: Duration = .seconds(Limits.streamCommentSeconds),
        hold: @escaping @Sendable (@escaping @Sendable () async -> Void) async -> Void = { await $0() }
    ) {
        self.body = body
        self.caller = caller
        self.headers = headers
        self.accept = accept
        self.comment = comment
        self.hold = hold
    }

    /// Whether the client takes a type; who says nothing takes any.
    func accepts(_ type: String) -> Bool {
        guard let accept else { return true }
        let family = type.prefix { $0 != "/" } + "/*"
        return accept.lowercased().split(separator: ",").contains { item in
            let name = item.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }
            return name == type || name == "*/*" || name == family
        }
    }
}

/// What goes back.
public enum MCPReply: Sendable {
    /// A message in JSON. The status is HTTP's.
    case message([UInt8], status: Int = 200)
    /// There is nothing to answer.
    case accepted
    /// The client takes no answer of the kind that this is.
    case notAcceptable
    /// Messages until nil; an empty one says that there is nothing to say. What it throws breaks the connection.
    case stream(@Sendable () async throws -> [UInt8]?)
}

public struct MCPEndpoint: Sendable {
    let operations: Operations
    let version: String
    let logger: Logger

    public init(operations: Operations, version: String, logger: Logger = Logger(label: "contex.mcp")) {
        self.operations = operations
        self.version = version
        self.logger = logger
    }

    /// Whoever waits is answered now: the server stops.
    public func endWaits() { operations.endWaits() }

    public func answer(_ post: MCPPost) async -> MCPReply {
        do throws(RPCFault) {
            switch try RPCInput(post.body) {
            case .message(let message): return await answer(message, post)
            case .batch(let items):
                guard stated(post).map({ ProtocolRevision(rawValue: $0)?.hasBatches == true }) ?? true else {
                    throw RPCFault(.invalidRequest, "A message comes by itself: batches were revision \(ProtocolRevision.march2025.rawValue)'s alone")
                }
                return await answer(items, post)
            }
        } catch {
            return await refusal(error, post, status: error.code.httpStatus)
        }
    }

    /// The revision that the header names.
    private func stated(_ post: MCPPost) -> String? { post.headers?.versions.first }

    // MARK: - One message

    private func answer(_ message: RPCMessage, _ post: MCPPost) async -> MCPReply {
        let stated = stated(post)
        let revision = stated.map { ProtocolRevision(rawValue: $0) }
        switch message {
        case .request(let request):
            let isStateless = StatelessEnvelope.isIn(request) || revision??.isStateless == true
            do throws(RPCFault) {
                guard isStateless else {
                    if let revision, revision == nil { throw StatelessEnvelope.unsupported(stated ?? "", id: request.id) }
                    return await answer(MCPCall(self, request, post, (revision ?? nil) ?? .unsaid))
                }
                return await answer(MCPCall(self, request, post, try StatelessEnvelope(request, headers: post.headers).revision))
            } catch {
                return await refusal(error, post, status: error.code.httpStatus)
            }
        case .notification:
            // What is not known cannot be heard; nothing else of one matters: what is running is ended by leaving.
            guard let revision, revision == nil else { return .accepted }
            return await refusal(StatelessEnvelope.unsupported(stated ?? "", id: nil), post, status: 400)
        case .answer:
            guard revision??.isStateless != true else {
                return await refusal(RPCFault(.invalidRequest, "This server asks nothing, so nothing is an answer to it"), post, status: 400)
            }
            return .accepted
        }
    }

    private func answer(_ call: MCPCall) async -> MCPReply {
        let (post, request) = (call.post, call.request)
        do {
            if call.opensStream {
                guard post.accepts("text/event-stream") else { return .notAcceptable }
                return .stream(try await call.listen())
            }
            guard post.accepts("application/json") else { return .notAcceptable }
            return .message(RPCPrinter.result(try await call.result(), of: request.id))
        } catch {
            let fault = call.fault(of: error)
            return await refusal(fault, post, status: call.revision.isStateless ? fault.code.httpStatus : 200, recorded: (error as? ContexError)?.isRecorded)
        }
    }

    /// One after another: what a client sends as one piece it has an order in mind for.
    private func answer(_ items: [Result<RPCMessage, RPCFault>], _ post: MCPPost) async -> MCPReply {
        var answers: [[UInt8]] = []
        for item in items {
            do throws(RPCFault) {
                let message = try item.get()
                if case .request(let request) = message, request.method == "initialize" || StatelessEnvelope.isIn(request) {
                    throw RPCFault(.invalidRequest, "\(request.method.excerpt()) comes by itself", id: request.id)
                }
                if case .message(let bytes, _) = await answer(message, post) { answers.append(bytes) }
            } catch {
                if case .message(let bytes, _) = await refusal(error, post, status: 400) { answers.append(bytes) }
            }
        }
        return answers.isEmpty ? .accepted : .message(RPCPrinter.batch(answers))
    }

    /// Says why not, once meter and audit have heard of it.
    private func refusal(_ fault: RPCFault, _ post: MCPPost, status: Int, recorded: Bool? = nil) async -> MCPReply {
        if recorded != true {
            let code: ErrorCode = fault.code == .unparsed ? .bodyUnreadable : fault.code == .internalError ? .bug : .badRequest
            await operations.refuse(.useMCP, by: post.caller, ContexError(code, fault.message))
        }
        return .message(fault.bytes, status: status)
    }
}
