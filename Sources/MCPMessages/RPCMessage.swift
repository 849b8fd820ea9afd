// JSON-RPC 2.0, as the Model Context Protocol uses it: bytes in, messages out.
//
//     {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {...}}      a request: it is answered
//     {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {...}}  a notification: it is not
//     {"jsonrpc": "2.0", "id": 7, "result": {...}}                              an answer: this server asks nothing, so it expects none
//
// `params` is an object and never a list; an id is a text or a whole number and never null.

public import Base
internal import Content

/// The id of a request, which goes back with its answer exactly as it came.
public enum MessageID: Sendable, Hashable {
    case text(String)
    case number(JSONNumber)

    public var json: JSONValue {
        switch self {
        case .text(let text): .string(text)
        case .number(let number): .number(number)
        }
    }

    /// nil for what is none.
    public init?(_ value: JSONValue) {
        switch value {
        case .string(let text) where text.utf8.count <= MCPLimits.idBytes: self = .text(text)
        case .number(let number) where number.text.utf8.count <= MCPLimits.idBytes && number.text.utf8.allSatisfy(Self.isWhole): self = .number(number)
        default: return nil
        }
    }

    private static func isWhole(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || byte == UInt8(ascii: "-") }
}

public struct RPCRequest: Sendable {
    public let id: MessageID
    public let method: String
    public let params: JSONObject

    public init(id: MessageID, method: String, params: JSONObject) {
        self.id = id
        self.method = method
        self.params = params
    }

    /// What goes with a request beside what it asks for.
    public var meta: JSONObject? { params["_meta"]?.objectValue }
}

public enum RPCMessage: Sendable {
    case request(RPCRequest)
    case notification(method: String, params: JSONObject)
    case answer
}

/// What came in one piece.
public enum RPCInput: Sendable {
    case message(RPCMessage)
    /// One outcome each, in order.
    case batch([Result<RPCMessage, RPCFault>])
}

/// Why a message is refused, as the protocol says it. What an operation refused is in `cause`.
public struct RPCFault: Error, Sendable, CustomStringConvertible {
    /// Codes of JSON-RPC, and those that the Model Context Protocol has added.
    public enum Code: Int, Sendable, CaseIterable {
        case unparsed = -32700
        case invalidRequest = -32600
        case methodUnknown = -32601
        case invalidParams = -32602
        case internalError = -32603
        case headerMismatch = -32020
        case revisionUnsupported = -32022
        /// Of the first era; later there is no code of its own for it.
        case resourceMissing = -32002

        /// Of the answer over HTTP, where every request is complete in itself.
        public var httpStatus: Int {
            switch self {
            case .methodUnknown: 404
            case .internalError: 200
            case .unparsed, .invalidRequest, .invalidParams, .headerMismatch, .revisionUnsupported, .resourceMissing: 400
            }
        }
    }

    public let code: Code
    public let message: String
    public let data: JSONValue?
    /// Of the message, when it could be read.
    public var id: MessageID?

    public init(_ code: Code, _ message: String, data: JSONValue? = nil, id: MessageID? = nil) {
        self.code = code
        self.message = message.excerpt(bytes: 4 * Limits.echoBytes)
        self.data = data
        self.id = id
    }

    public var description: String { "\(code.rawValue): \(message)" }

    /// The answer that says so; the id is null when it is not known.
    public var bytes: [UInt8] {
        var error = JSONObject([("code", .integer(code.rawValue)), ("message", .string(message))])
        if let data { error["data"] = data }
        return JSONPrinter.bytes(["jsonrpc": "2.0", "id": id?.json ?? .null, "error": .object(error)])
    }
}

extension RPCInput {
    /// - Parameter depthMax: levels of arrays and objects.
    /// - Throws: for bytes that are no JSON, and for JSON that is no message and no list of some.
    /// - Complexity: O(bytes).
    public init(_ bytes: [UInt8], depthMax: Int = Limits.nestingDepth + MCPLimits.envelopeLevels) throws(RPCFault) {
        let value: JSONValue
        do throws(JSONParseError) {
            value = try JSONParser.parse(bytes, maximumDepth: depthMax)
        } catch {
            throw RPCFault(.unparsed, "The message is not JSON: \(error)")
        }
        guard case .array(let items) = value else {
            self = .message(try RPCMessage(value))
            return
        }
        guard !items.isEmpty, items.count <= MCPLimits.batchItems else {
            throw RPCFault(.invalidRequest, "A batch has 1 to \(MCPLimits.batchItems) messages, this one has \(items.count)")
        }
        self = .batch(items.map { item in Result { () throws(RPCFault) in try RPCMessage(item) } })
    }
}

extension RPCMessage {
    init(_ value: JSONValue) throws(RPCFault) {
        guard case .object(let members) = value else { throw RPCFault(.invalidRequest, "A message is an object") }
        let id = members["id"].flatMap(MessageID.init)
        func refused(_ text: String) -> RPCFault { RPCFault(.invalidRequest, text, id: id) }
        guard members["jsonrpc"] == "2.0" else { throw refused("A message says \"jsonrpc\": \"2.0\"") }
        if members["id"] != nil, id == nil { throw refused("An id is a text or a whole number, of at most \(MCPLimits.idBytes) bytes") }
        guard let named = members["method"] else {
            guard id != nil, (members["result"] == nil) != (members["error"] == nil) else { throw refused("A message has a method, a result or an error") }
            self = .answer
            return
        }
        guard let method = named.stringValue, !method.isEmpty, method.utf8.count <= MCPLimits.wordBytes else {
            throw refused("A method is a text of 1 to \(MCPLimits.wordBytes) bytes")
        }
        var params = JSONObject()
        switch members["params"] {
        case nil: break
        case .object(let given)?: params = given
        default: throw refused("params is an object")
        }
        if let meta = params["_meta"], meta.objectValue == nil { throw RPCFault(.invalidParams, "params._meta is an object", id: id) }
        self = id.map { .request(RPCRequest(id: $0, method: method, params: params)) } ?? .notification(method: method, params: params)
    }
}

/// Messages of the server.
public enum RPCPrinter {
    public static func result(_ result: JSONObject, of id: MessageID) -> [UInt8] {
        JSONPrinter.bytes(["jsonrpc": "2.0", "id": id.json, "result": .object(result)])
    }

    public static func notification(_ method: String, _ params: JSONObject) -> [UInt8] {
        JSONPrinter.bytes(["jsonrpc": "2.0", "method": .string(method), "params": .object(params)])
    }

    /// Answers to the messages of a batch.
    public static func batch(_ answers: [[UInt8]]) -> [UInt8] { JSONMembers.list(answers) }
}
