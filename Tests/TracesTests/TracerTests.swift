import Base
import Content
import TestSupport
import Testing
import TraceExport
import Traces

@Suite struct TracerTests {
    @Test func offThereIsNothing() {
        let tracer = Tracer()
        #expect(!tracer.isOn && tracer.open("a", .server) == nil && tracer.counts == .init())
        tracer.begin(share: 1)
        #expect(tracer.isOn && tracer.open("a", .server) != nil)
        tracer.stop()
        #expect(!tracer.isOn && tracer.open("a", .server) == nil)
    }

    @Test func spansMakeATree() throws {
        let tracer = Tracer()
        tracer.begin(share: 1)
        let cause = try #require(TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", state: "a=1"))
        let root = try #require(tracer.open("GET /", .server, after: cause))
        root.set("http.request.method", "GET")
        root.set("nothing", nil)
        let child = try #require(root.child("query"))
        child.note("embed", from: 5, to: 9)
        child.end(failure: "it failed")
        child.end()
        child.set("late", "no")
        root.end()
        let spans = tracer.take(10)
        #expect(spans.map(\.name) == ["embed", "query", "GET /"])
        #expect(spans.allSatisfy { $0.context.trace == cause.trace && $0.context.isSampled && $0.context.state == "a=1" && $0.begun <= $0.ended })
        #expect(spans[2].parent == cause.span && spans[1].parent == root.context.span && spans[0].parent == child.context.span)
        #expect(Set(spans.map(\.context.span)).count == 3)
        #expect(spans[0].ended - spans[0].begun == 4 && spans[1].failure == "it failed" && spans[1].attributes.isEmpty && spans[2].failure == nil)
        #expect(spans[2].attributes == [.init(name: "http.request.method", value: "GET")])
        // Of the clock of the wall: some time after 2025.
        #expect(spans[2].begun > 1_735_689_600_000_000_000)
    }

    @Test func theCallerDecidesOverItsTraces() throws {
        let tracer = Tracer()
        tracer.begin(share: 0)
        #expect(tracer.open("a", .server)?.context.isSampled == false)
        let kept = try #require(TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
        tracer.open("a", .server, after: kept)?.end()
        #expect(tracer.counts.kept == 1)
        tracer.begin(share: 1)
        let left = try #require(TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"))
        let span = try #require(tracer.open("a", .server, after: left))
        // It still says whose it is.
        #expect(span.child("b") == nil && span.context.trace == left.trace && span.context.parent.hasSuffix("-00"))
        span.note("c", from: 0, to: 1)
        span.end()
        #expect(tracer.counts.kept == 1)
    }

    @Test(arguments: [0.01, 0.25, 0.9])
    func theShareIsKept(_ share: Double) {
        let tracer = Tracer()
        tracer.begin(share: share)
        let count = 20_000
        let kept = (0..<count).count { _ in tracer.open("a", .server)?.context.isSampled == true }
        // Five standard deviations.
        #expect(abs(Double(kept) - share * Double(count)) < 5 * (share * (1 - share) * Double(count)).squareRoot(), "\(kept) of \(count)")
    }

    @Test func whatNobodyTakesIsBounded() async {
        let tracer = Tracer(waitingMax: 100)
        tracer.begin(share: 1)
        await withTaskGroup { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<50 { tracer.open("a", .server)?.end() } } }
        }
        #expect(tracer.counts == .init(waiting: 100, kept: 100, dropped: 300))
        #expect(tracer.take(60).count == 60 && tracer.take(60).count == 40 && tracer.take(60).isEmpty)
        tracer.lost(7)
        #expect(tracer.counts == .init(waiting: 0, kept: 100, dropped: 307))
        let span = tracer.open("a", .server)
        for number in 0..<100 { span?.set("k\(number)", .text(String(repeating: "x", count: 5_000))) }
        span?.end()
        let attributes = tracer.take(1)[0].attributes
        #expect(attributes.count == 64 && attributes.allSatisfy { if case .text(let text) = $0.value { text.utf8.count == 1_024 } else { false } })
    }

    @Test func whatComesLaterFindsItsTrace() throws {
        let tracer = Tracer()
        tracer.begin(share: 1)
        let contexts = (0..<9_000).compactMap { _ in tracer.open("a", .server)?.context }
        for (place, context) in contexts.enumerated() { tracer.remember(context, of: "p\(place)") }
        #expect(tracer.recall("p8999") == contexts[8_999] && tracer.recall("p808") == contexts[808])
        // Of the last 8,192 only.
        #expect(tracer.recall("p807") == nil && tracer.recall("p0") == nil)
    }

    /// The golden text: an export as collectors read it.
    @Test func isWrittenAsOTLP() throws {
        let tracer = Tracer()
        tracer.begin(share: 1)
        let cause = try #require(TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", state: "a=1"))
        let span = try #require(tracer.open("POST /x", .server, after: cause))
        span.set("text", "a\"b")
        span.set("count", .integer(-3))
        span.set("share", .number(0.5))
        span.set("flag", .flag(true))
        span.end(failure: "broken")
        let taken = tracer.take(1)
        let document = String(decoding: OTLPDocument.spans(taken, resource: [("service.name", "contex")], version: "9"), as: UTF8.self)
        #expect(
            document
                == #"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"contex"}}]},"#
                + #""scopeSpans":[{"scope":{"name":"contex","version":"9"},"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","#
                + #""spanId":"\#(taken[0].context.span)","name":"POST /x","kind":2,"startTimeUnixNano":"\#(taken[0].begun)","#
                + #""endTimeUnixNano":"\#(taken[0].ended)","flags":1,"parentSpanId":"00f067aa0ba902b7","traceState":"a=1","#
                + #""attributes":[{"key":"text","value":{"stringValue":"a\"b"}},{"key":"count","value":{"intValue":"-3"}},"#
                + #"{"key":"share","value":{"doubleValue":0.5}},{"key":"flag","value":{"boolValue":true}}],"status":{"code":2,"message":"broken"}}]}]}]}"#)
    }
}
