import Base
import Content
import Engine
import Foundation
import HTTPAPI
import Service
import TestSupport
import Testing
import Traces

/// What a request leaves in its trace, and what it says of it.
@Suite(.serialized) struct TraceTests {
    private static let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    private func take(_ harness: Harness) -> [Span] { harness.operations.tracer.take(1_000) }

    @Test func withoutACollectorThereIsNothing() async throws {
        let harness = try Harness()
        let answer = await harness.send("GET", "/health", headers: [("traceparent", Self.parent)])
        #expect(answer.status == 200 && answer.header("X-Trace-Id") == nil && answer.header("traceresponse") == nil && take(harness).isEmpty)
        await harness.close()
    }

    @Test func aPublishIsOneTree() async throws {
        let harness = try Harness()
        harness.operations.tracer.begin(share: 0)
        let answer = await harness.send(
            "POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"k","data":{"t":"zebra crossing"}}"#,
            headers: [("traceparent", Self.parent), ("tracestate", "a=1"), ("tracestate", "b=2"), ("Content-Type", "application/json")])
        #expect(answer.status == 200)
        let spans = take(harness)
        let root = try #require(spans.last)
        #expect(root.name == "POST /api/v1/data/publish" && root.kind == .server && "\(root.context.trace)" == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(root.parent.map { "\($0)" } == "00f067aa0ba902b7" && root.context.state == "a=1,b=2" && root.failure == nil)
        #expect(answer.header("X-Trace-Id") == "\(root.context.trace)" && answer.header("X-Span-Id") == "\(root.context.span)")
        #expect(answer.header("traceresponse") == root.context.parent)
        #expect(root.attributes.contains(.init(name: "http.response.status_code", value: .integer(200))))
        #expect(root.attributes.contains(.init(name: "http.route", value: "/api/v1/data/publish")))
        let operation = try #require(spans.first { $0.name == "contex publish" })
        #expect(operation.parent == root.context.span && operation.attributes.contains(.init(name: "db.namespace", value: "p")))
        let stages = spans.filter { $0.parent == operation.context.span }
        #expect(stages.map(\.name) == ["prepare", "embed", "wait", "apply", "commit"])
        // Each lies inside what it is a part of, on one clock.
        for span in stages { #expect(operation.begun <= span.begun && span.begun <= span.ended && span.ended <= operation.ended, "\(span.name)") }
        #expect(root.begun <= operation.begun && operation.ended <= root.ended)
        #expect(Set(spans.map(\.context.span)).count == spans.count && spans.count == 7)
        // Whoever is told of it later goes on in its trace.
        #expect(harness.operations.tracer.recall("1/1/p") == operation.context)
        await harness.close()
    }

    @Test func aQueryShowsItsStages() async throws {
        let harness = try Harness()
        _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"k","data":{"t":"zebra crossing"}}"#)
        harness.operations.tracer.begin(share: 1)
        _ = await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"zebra"}"#)
        let spans = take(harness)
        let operation = try #require(spans.first { $0.name == "contex query" })
        let names = Set(spans.filter { $0.parent == operation.context.span }.map(\.name))
        #expect(names.isSuperset(of: ["embed", "wait", "snapshot", "vectors", "text", "fuse", "answer"]), "\(names)")
        #expect(operation.attributes.contains(.init(name: "gen_ai.operation.name", value: "retrieval")))
        #expect(operation.attributes.contains(.init(name: "db.response.returned_rows", value: .integer(1))))
        #expect(spans.last?.parent == nil && spans.last?.name == "POST /api/v1/projects/{project_id}/query")
        await harness.close()
    }

    @Test func refusalsAndStrangers() async throws {
        let harness = try Harness()
        harness.operations.tracer.begin(share: 1)
        let missing = await harness.send("GET", "/api/v1/projects/p/data/k")
        #expect(missing.status == 404)
        var spans = take(harness)
        // The operation failed; the server did what it should.
        #expect(spans.first { $0.name == "contex showData" }?.failure != nil && spans.last?.failure == nil)
        #expect(spans.first { $0.name == "contex showData" }?.attributes.contains(.init(name: "error.type", value: "data_not_found")) == true)
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01"
        let later: String = "ff" + Self.parent.dropFirst(2)
        let headers: [String] = ["x", String(repeating: "0", count: 10_000), later, zeros]
        for header in headers {
            let answer = await harness.send("GET", "/health", headers: [("traceparent", header)])
            #expect(answer.status == 200 && answer.header("X-Trace-Id")?.count == 32)
            spans = take(harness)
            #expect(spans.count == 1 && spans[0].parent == nil && "\(spans[0].context.trace)" != "4bf92f3577b34da6a3ce929d0e0e4736")
        }
        // Two are none; and one that is not kept is passed on as such.
        let two = await harness.send("GET", "/health", headers: [("traceparent", Self.parent), ("Traceparent", Self.parent)])
        #expect(two.header("X-Trace-Id") != "4bf92f3577b34da6a3ce929d0e0e4736" && take(harness).count == 1)
        let unkept = await harness.send("GET", "/health", headers: [("traceparent", String(Self.parent.dropLast(2)) + "00")])
        #expect(unkept.header("X-Trace-Id") == "4bf92f3577b34da6a3ce929d0e0e4736" && unkept.header("traceresponse")?.hasSuffix("-00") == true)
        #expect(take(harness).isEmpty)
        await harness.close()
    }
}
