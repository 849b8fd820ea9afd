// A whole server in this process, on free ports and a folder of its own, and plain requests to it.

import AsyncHTTPClient
import Assembly
import Base
import Content
import Engine
import Foundation
import NIOCore
import NIOHTTP1
import TestSupport

struct TestAnswer {
    let status: Int
    let headers: [String: String]
    let bytes: [UInt8]
    var json: JSONValue { (try? JSONParser.parse(bytes)) ?? .null }
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The real model when it is there, else vectors made of hashed words: enough for everything but the quality of search.
enum TestModels {
    static let hashed = Models(
        identity: "hashed words", dimension: 384,
        embed: { texts in
            texts.map { text in
                var vector = [Float](repeating: 0, count: 384)
                for word in text.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
                    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
                    for byte in word.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
                    vector[Int(hash % 384)] += 1
                }
                let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
                return length == 0 ? [1] + vector.dropFirst() : vector.map { $0 / length }
            }
        }, countTokens: { max(1, $0.utf8.count / 4) })
}

final class TestServer: Sendable {
    let server: Server
    let folder: TemporaryFolder
    var http: Server.Address { server.http! }

    /// A server that has stopped refuses connections, and that must be heard at once.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration.singletonConfiguration
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// - Parameter folder: of a server before, for a restart.
    init(folder: TemporaryFolder = TemporaryFolder(), _ change: (inout ServerConfiguration) -> Void = { _ in }) async throws {
        self.folder = folder
        var configuration = ServerConfiguration()
        configuration.dataFolder = folder.path + "/data"
        configuration.httpPort = 0
        configuration.respPort = 0
        configuration.wirePort = 0
        if let model = TestData.model { configuration.modelFolder = model.path }
        change(&configuration)
        server = try await Server.start(configuration, models: TestData.model == nil ? TestModels.hashed : nil)
    }

    func call(_ method: String, _ path: String, _ body: JSONValue? = nil, headers: [String: String] = [:]) async throws -> TestAnswer {
        try await call(method, path, bytes: body.map { JSONPrinter.bytes($0) }, headers: headers)
    }

    func call(_ method: String, _ path: String, bytes: [UInt8]?, headers: [String: String] = [:]) async throws -> TestAnswer {
        var request = HTTPClientRequest(url: "http://\(http)\(path)")
        request.method = .init(rawValue: method)
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let bytes {
            request.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: bytes))
        }
        let response = try await Self.client.execute(request, timeout: .seconds(60))
        let body = try await response.body.collect(upTo: 64 << 20)
        return TestAnswer(
            status: Int(response.status.code), headers: Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { $1 },
            bytes: Array(body.readableBytesView))
    }

    @discardableResult
    func publish(_ project: String, _ key: String, _ data: JSONValue) async throws -> TestAnswer {
        try await call("POST", "/api/v1/data/publish", ["project_id": .string(project), "data_key": .string(key), "data": data])
    }

    func query(_ project: String, _ text: String, _ more: [(String, JSONValue)] = []) async throws -> TestAnswer {
        try await call(
            "POST", "/api/v1/projects/\(project)/query",
            .object(JSONObject([("query", .string(text)), ("response_format", "json"), ("threshold", .integer(0))] + more)))
    }

    func register(_ project: String, _ agent: String, _ needs: [String]) async throws -> TestAnswer {
        try await call(
            "POST", "/api/v1/agents/register",
            [
                "project_id": .string(project), "agent_id": .string(agent), "data_needs": .array(needs.map(JSONValue.string)),
                "response_format": "json",
            ])
    }

    /// The sequences of all events of a project, in order.
    func sequences(_ project: String) async throws -> [Int] {
        let events = try await call("GET", "/api/v1/projects/\(project)/events?count=100000").json["events"]?.arrayValue ?? []
        return events.compactMap { $0["sequence"]?.stringValue.flatMap(Int.init) }
    }
}
