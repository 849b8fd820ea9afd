import Base
import Foundation
import TestSupport
import Testing
import Wire

/// Tests/Golden/wire-v1: bytes that every later build, and every other client, reads as this one wrote them. Written once (CONTEX_TEST_WRITE=1).
///
/// A line a vector. `frame NAME KIND FLAGS STREAM PAYLOAD BYTES` and `message TYPE FIELDS BYTES`: bytes in hexadecimal (`-` for none), the fields as
/// JSON by their numbers.
@Suite struct GoldenTests {
    private static let file = TestData.checkout.appendingPathComponent("Tests/Golden/wire-v1/vectors.txt")

    private static func hex(_ bytes: [UInt8]) -> String { bytes.isEmpty ? "-" : hexadecimal(bytes) }

    private static func lines() -> [String] {
        var hello = WireHello()
        (hello.versionMin, hello.versionMax, hello.features, hello.apiKey, hello.client) = (1, 1, 1, "ck_0123456789", "golden/1")
        let publish = {
            var publish = WirePublish()
            (publish.project, publish.key, publish.json) = ("app", "tech", Array(#"{"db":"LMDB"}"#.utf8))
            publish.vector = [1, -0.5, 0.25]
            return publish
        }()
        let frames: [(String, Frame)] = [
            ("hello", Frame(.hello, payload: hello.encoded)), ("ping", Frame(.ping, payload: Array("12345678".utf8))),
            ("pong-empty", Frame(.pong)),
            ("publish", Frame(.request, stream: 1, payload: WireRequest(.publish, deadlineMilliseconds: 1_500, body: publish.encoded).encoded)),
            ("part", Frame(.request, .more, stream: 4_294_967_295, payload: [0, 255])), ("opened", Frame(.answer, .open, stream: 3)),
            ("refused", Frame(.error, stream: 2, payload: WireError(ContexError(.agentNotFound, "Agent not found")).encoded)),
            ("credit", Frame(.credit, stream: 3, payload: WireCredit(updates: 100).encoded)), ("cancel", Frame(.cancel, stream: 3)),
        ]
        var lines = frames.map { name, frame in
            var bytes: [UInt8] = []
            frame.append(to: &bytes)
            return "frame \(name) \(frame.kind.rawValue) \(frame.flags.rawValue) \(frame.stream) \(hex(frame.payload)) \(hex(bytes))"
        }
        for (place, type) in allMessages.enumerated() {
            lines.append(line(type, seed: 0x5EED + UInt64(place), share: 10))
            lines.append(line(type, seed: 0xFEED + UInt64(place), share: 5))
        }
        return lines
    }

    private static func line<M: WireMessage>(_ type: M.Type, seed: UInt64, share: Int) -> String {
        var (message, filler) = (M(), Filler(seed: seed, share: share, depth: 2))
        try? message.fields(&filler)
        return "message \(type) \(WireTeller.text(message)) \(hex(message.encoded))"
    }

    @Test func theVectorsAreAsTheyWere() throws {
        let lines = Self.lines()
        let head = "# Frames and messages of the binary protocol, version 1 (docs/protocol.md). Never edited: what is added gets a file of its own.\n"
        if ProcessInfo.processInfo.environment["CONTEX_TEST_WRITE"] == "1", !FileManager.default.fileExists(atPath: Self.file.path) {
            try Data((head + lines.joined(separator: "\n") + "\n").utf8).write(to: Self.file)
        }
        let kept = try String(contentsOf: Self.file, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
        #expect(kept.count == lines.count)
        for (kept, line) in zip(kept, lines) { #expect(kept == line) }
    }

    @Test func theVectorsAreRead() throws {
        let kept = try String(contentsOf: Self.file, encoding: .utf8).split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        var count = 0
        for parts in kept where parts[0] == "frame" {
            var decoder = FrameDecoder(payloadMax: 1_000, expectingPreface: false)
            decoder.feed(bytes(parts[6]))
            let frame = try #require(try decoder.next())
            #expect("\(frame.kind.rawValue) \(frame.flags.rawValue) \(frame.stream) \(Self.hex(frame.payload))" == parts[2...5].joined(separator: " "))
            count += 1
        }
        for parts in kept where parts[0] == "message" {
            let type = try #require(allMessages.first { "\($0)" == parts[1] })
            #expect(try read(type, bytes(parts[parts.count - 1])) == parts[2..<parts.count - 1].joined(separator: " "), "\(parts[1])")
            count += 1
        }
        #expect(count == kept.count - 1)
    }

    private func read<M: WireMessage>(_ type: M.Type, _ bytes: [UInt8]) throws -> String { WireTeller.text(try M(decoding: bytes)) }

    private func bytes(_ hex: String) -> [UInt8] {
        guard hex != "-" else { return [] }
        let digits = Array(hex.utf8)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)! }
    }
}
