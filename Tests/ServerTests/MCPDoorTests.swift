import Assembly
import Base
import Content
import Foundation
import TestSupport
import Testing

/// MCP through the whole server: its listener, its rules for strangers, and the command that speaks on standard output.
@Suite("The Model Context Protocol over the server's doors")
struct MCPDoorTests {
    private static func message(_ method: String, _ params: JSONObject = JSONObject()) -> JSONValue {
        ["jsonrpc": "2.0", "id": .integer(1), "method": .string(method), "params": .object(params)]
    }

    private static func call(_ tool: String, _ arguments: JSONValue) -> JSONValue {
        message("tools/call", JSONObject([("name", .string(tool)), ("arguments", arguments)]))
    }

    @Test func aToolIsCalledOverHTTP() async throws {
        let server = try await TestServer()
        let published = try await server.call("POST", "/mcp", Self.call("publish", ["project": "shop", "key": "tech", "data": ["db": "PostgreSQL database"]]))
        #expect(published.status == 200 && published.json["result"]?["structuredContent"]?["seq"] == .integer(1))
        // What one door took in the other shows.
        let held = try await server.call("GET", "/api/v1/projects/shop/data/tech")
        #expect(held.json["data"]?["db"] == "PostgreSQL database")
        let found = try await server.call("POST", "/mcp", Self.call("query_context", ["project": "shop", "question": "PostgreSQL database"]))
        #expect(found.json["result"]?["structuredContent"]?["matches"]?.arrayValue?.first?["key"] == "tech")
        await server.server.stop()
    }

    @Test func strangersAreRefusedBeforeTheProtocol() async throws {
        let server = try await TestServer { $0.authenticationRequired = true }
        let list = Self.message("tools/list")
        let refused = try await server.call("POST", "/mcp", list)
        #expect(refused.status == 401 && refused.headers["www-authenticate"]?.hasPrefix("Bearer resource_metadata=\"http://127.0.0.1:") == true)
        let metadata = try await server.call("GET", "/.well-known/oauth-protected-resource/mcp")
        #expect(metadata.json["resource"] == .string("http://\(server.http)/mcp"))
        let key = try #require(server.server.bootstrapKey)
        #expect(try await server.call("POST", "/mcp", list, headers: ["Authorization": "Bearer \(key)"]).status == 200)
        #expect(try await server.call("POST", "/mcp", list, headers: ["X-API-Key": key, "Origin": "http://evil.example"]).status == 403)
        #expect(try await server.call("GET", "/mcp", headers: ["X-API-Key": key]).status == 405)
        // Elsewhere a refusal challenges nobody.
        #expect(try await server.call("GET", "/api/v1/projects").headers["www-authenticate"] == nil)
        await server.server.stop()
    }

    /// A call that waits takes no place among the requests that are worked on, and ends when the server does.
    @Test func whoWaitsIsAnsweredWhenTheServerStops() async throws {
        let server = try await TestServer { $0.stopSeconds = 20 }
        _ = try await server.call("POST", "/mcp", Self.call("register_need", ["project": "shop", "agent": "a", "needs": .array(["anything"])]))
        async let waiting = server.call("POST", "/mcp", Self.call("wait_for_updates", ["project": "shop", "agent": "a", "timeout_seconds": .integer(60)]))
        try await Task.sleep(for: .milliseconds(300))
        let started = ContinuousClock.now
        await server.server.stop()
        let answer = try await waiting
        #expect(answer.status == 200 && answer.json["result"]?["structuredContent"]?["updates"] == .array([]))
        #expect(ContinuousClock.now - started < .seconds(15))
    }

    @Test func aFolderIsOpenedWithoutAPort() async throws {
        let server = try await TestServer { configuration in
            (configuration.httpPort, configuration.respPort, configuration.wirePort) = (nil, nil, nil)
            configuration.servesInProcess = true
        }
        #expect(server.server.http == nil && server.server.wire == nil && server.server.resp == nil)
        await server.server.stop()
        var configuration = ServerConfiguration()
        (configuration.httpPort, configuration.respPort, configuration.wirePort) = (nil, nil, nil)
        await #expect(throws: ContexError.self) { try await Server.start(configuration) }
    }

    @Test(.enabled(if: ContexBinary.isThere && TestData.hasModel)) func theCommandSpeaksOnStandardOutput() throws {
        let folder = TemporaryFolder()
        let lines = [
            Self.message("initialize", JSONObject([("protocolVersion", "2025-11-25"), ("capabilities", .object(JSONObject()))])),
            Self.call("publish", ["project": "shop", "key": "tech", "data": ["db": "PostgreSQL"]]),
        ].map { JSONPrinter.text($0) }
        let outcome = try ContexBinary.run(["mcp", "--data-dir", folder.path + "/data"], input: lines.joined(separator: "\n") + "\n")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let answers = outcome.output.split(separator: "\n").compactMap { try? JSONParser.parse(text: String($0)) }
        #expect(answers.count == 2 && answers.contains { $0["result"]?["protocolVersion"] == "2025-11-25" })
        #expect(answers.contains { $0["result"]?["structuredContent"]?["seq"] == .integer(1) })
        let check = try ContexBinary.run(["check", "--data-dir", folder.path + "/data"])
        #expect(check.status == 0, "\(check.output)")
        #expect(try ContexBinary.run(["mcp", "--data-dir", folder.path, "--server", "http://127.0.0.1:1"]).status == 2)
    }
}
