import Access
import Base
import Content
import Engine
import Foundation
import MCPMessages
import MCPServer
import Service
import TestSupport
import Tokens

/// The endpoint over a real store, without a socket and without the model: a text's vector is made of its words. Tokens are counted by the
/// real encoding where its ranks are.
final class MCPHarness: Sendable {
    let folder = TemporaryFolder()
    let database: Database
    let operations: Operations
    let endpoint: MCPEndpoint

    static let tokenizer: CL100KTokenizer? = TestData.root.flatMap { _ in
        try? CL100KTokenizer(ranks: [UInt8](TestData.file("tokenizers/cl100k_base.tiktoken")))
    }

    static func count(_ text: String) -> Int { tokenizer?.count(text) ?? text.utf8.count / 3 + 1 }

    init(authentication: Bool = false) throws {
        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.mapBytes = 1 << 30
        database = try Database(
            configuration: configuration,
            models: Models(identity: "hashed words", dimension: 384, embed: { texts in texts.map(Self.vector) }, countTokens: Self.count))
        operations = Operations(database: database, authenticationRequired: authentication)
        endpoint = MCPEndpoint(operations: operations, version: "test")
    }

    private static func vector(_ text: String) -> [Float] {
        var vector = [Float](repeating: 0, count: 384)
        for word in text.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
            var hash: UInt64 = 14_695_981_039_346_656_037
            for byte in word.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
            vector[Int(hash % 384)] += 1
        }
        let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return norm == 0 ? [1] + vector.dropFirst() : vector.map { $0 / norm }
    }

    static func caller(_ key: String? = nil) -> Caller { Caller(apiKey: key, address: nil, requestID: "test", client: nil) }

    enum Era: CaseIterable { case handshake, stateless }

    /// A request and its answer, as a client of the era writes it.
    func request(
        _ method: String, _ params: JSONObject = JSONObject(), era: Era = .stateless, key: String? = nil, comment: Duration = .milliseconds(50)
    ) async throws -> JSONValue {
        guard case .message(let bytes, _) = await reply(method, params, era: era, key: key, comment: comment) else { return .null }
        return try JSONParser.parse(bytes, maximumDepth: 200)
    }

    func reply(
        _ method: String, _ params: JSONObject = JSONObject(), era: Era = .stateless, key: String? = nil, comment: Duration = .milliseconds(50)
    ) async -> MCPReply {
        var params = params
        if era == .stateless {
            params["_meta"] = [
                "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": .object(JSONObject()),
            ]
        }
        let body = JSONPrinter.bytes(["jsonrpc": "2.0", "id": .integer(1), "method": .string(method), "params": .object(params)])
        return await endpoint.answer(MCPPost(body: body, caller: Self.caller(key), comment: comment))
    }

    func call(_ tool: String, _ arguments: JSONValue, era: Era = .stateless, key: String? = nil) async throws -> JSONValue {
        try await request("tools/call", JSONObject([("name", .string(tool)), ("arguments", arguments)]), era: era, key: key)["result"] ?? .null
    }

    /// What a tool says; fails the test when it is a refusal.
    func answer(_ tool: String, _ arguments: JSONValue, key: String? = nil) async throws -> JSONValue {
        let result = try await call(tool, arguments, key: key)
        guard result["isError"] == .bool(false), let object = result["structuredContent"] else { throw Refused(result: result) }
        return object
    }

    struct Refused: Error { let result: JSONValue }

    /// The refusal that a tool answers with.
    func refusal(_ tool: String, _ arguments: JSONValue, key: String? = nil) async throws -> JSONValue {
        let result = try await call(tool, arguments, key: key)
        guard result["isError"] == .bool(true), let text = result["content"]?.arrayValue?.first?["text"]?.stringValue else { throw Refused(result: result) }
        return try JSONParser.parse(text: text)
    }

    func publish(_ project: String, _ key: String, _ data: JSONValue, apiKey: String? = nil) async throws {
        _ = try await operations.publish(
            PublishCommand(project: try Name(project, field: "p"), key: try Name(key, field: "k"), data: data), by: Self.caller(apiKey))
    }

    func close() async { await database.close() }
}
