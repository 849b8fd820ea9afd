import Base
import TestSupport
import Testing
import Traces

@Suite struct TraceContextTests {
    private static let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func isReadAndWritten() throws {
        let context = try #require(TraceContext(parent: Self.parent, state: "a=1,b=2", baggage: "user=7"))
        #expect("\(context.trace)" == "4bf92f3577b34da6a3ce929d0e0e4736" && "\(context.span)" == "00f067aa0ba902b7" && context.isSampled)
        #expect(context.parent == Self.parent && context.state == "a=1,b=2" && context.baggage == "user=7")
        let leading = "00-00000000000000000000000000000001-0000000000000001-00"
        #expect(TraceContext(parent: leading)?.parent == leading)
        #expect(TraceContext(parent: leading)?.isSampled == false)
        // Other flags than the first say nothing here; a later version is read as far as it is known.
        #expect(TraceContext(parent: Self.parent.dropLast(2) + "02")?.isSampled == false)
        #expect(TraceContext(parent: "01" + Self.parent.dropFirst(2) + "-more")?.isSampled == true)
        #expect(TraceContext(parent: "fe" + Self.parent.dropFirst(2))?.isSampled == true)
    }

    /// The cases of the standard, and what strangers send.
    @Test(arguments: [
        "", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more", " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
    ])
    func whatIsNoneIsNone(_ text: String) {
        #expect(TraceContext(parent: text) == nil)
        #expect(TraceContext(parent: text + String(repeating: "x", count: 10_000)) == nil)
    }

    @Test func whatIsTooMuchIsLetGo() throws {
        func context(_ state: String, _ baggage: String = "") throws -> TraceContext {
            try #require(TraceContext(parent: Self.parent, state: state, baggage: baggage))
        }
        #expect(try context(String(repeating: "a", count: 513)).state == "" && context(String(repeating: "a", count: 512)).state != "")
        #expect(try context((0..<33).map { "k\($0)=v" }.joined(separator: ",")).state == "")
        #expect(try context("a=\r\nx: y").state == "" && context("", "a\nb").baggage == "")
        #expect(try context("", String(repeating: "b", count: 1_025)).baggage == "" && context("", "b=1").baggage == "b=1")
    }

    @Test func randomBytesNeverMatter() {
        var random = SeededRandom(seed: testSeed("traceparent"))
        let digits = Array("0123456789abcdefABCDEFg-".utf8)
        for _ in 0..<20_000 {
            var text = Array(Self.parent.utf8)
            for _ in 0..<Int.random(in: 0...4, using: &random) { text[Int.random(in: 0..<text.count, using: &random)] = digits.randomElement(using: &random)! }
            if Bool.random(using: &random) { text.removeLast(Int.random(in: 0...text.count, using: &random)) }
            let given = String(decoding: text, as: UTF8.self)
            // What is read says what came; version and flags are our own.
            if let context = TraceContext(parent: given) { #expect(context.parent.dropFirst(2).dropLast(2) == given.dropFirst(2).prefix(51)) }
        }
    }
}
