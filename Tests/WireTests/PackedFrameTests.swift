import Base
import Codings
import Foundation
import TestSupport
import Testing
import Wire

@Suite struct PackedFrameTests {
    private static let file = TestData.checkout.appendingPathComponent("Tests/Golden/wire-zstd-v1/vectors.txt")
    private static let text = Array((0..<60).map { #"{"key":"record-\#($0)","value":\#($0 * 7)}"# }.joined(separator: ",").utf8)

    private func unpacked(_ payload: [UInt8], most: Int = 1 << 18) throws(WireFault) -> Frame {
        try Frame(.answer, [.packed, .more], stream: 3, payload: payload).unpacked(most: most) { try? Zstandard.decompress($0, byteCount: $1) }
    }

    private func packed(_ bytes: [UInt8]) -> [UInt8]? {
        var compressor = ZstandardCompressor(level: 1)
        return Frame.packed(bytes[...]) { compressor.compress($0) }
    }

    private static func bytes(_ digits: Substring) -> [UInt8] {
        let digits = Array(digits)
        return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }

    /// `frame NAME KIND FLAGS STREAM PAYLOAD BYTES`: the payload as it was, the bytes as they came. Written once, by Python's client;
    /// never edited. How small another library makes them is its own.
    @Test func everyVectorIsReadAsItWasWritten() throws {
        let lines = try String(contentsOf: Self.file, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.count == 2)
        for line in lines {
            let parts = line.split(separator: " ")
            var decoder = FrameDecoder(payloadMax: 1 << 18, expectingPreface: false)
            decoder.takesPacked = true
            decoder.feed(Self.bytes(parts[6]))
            let frame = try #require(try decoder.next())
            #expect(String(frame.kind.rawValue) == parts[2] && String(frame.flags.rawValue) == parts[3] && String(frame.stream) == parts[4])
            let plain = try frame.unpacked(most: 1 << 18) { try? Zstandard.decompress($0, byteCount: $1) }
            #expect(hexadecimal(plain.payload) == parts[5])
        }
    }

    @Test func whatIsPackedComesBackAndKeepsItsFlags() throws {
        let small = try #require(packed(Self.text))
        #expect(small.count < Self.text.count / 2)
        let frame = try unpacked(small)
        #expect(frame.payload == Self.text && frame.flags == .more)
        // Little, what does not get smaller, and what grows too much are sent as they are.
        #expect(packed(Array(Self.text.prefix(Frame.packedBytesMin - 1))) == nil)
        var random = SeededRandom(seed: 5)
        #expect(packed((0..<4_096).map { _ in UInt8.random(in: 0...255, using: &random) }) == nil)
        #expect(packed([UInt8](repeating: 7, count: 65_536)) == nil)
    }

    @Test func bombsAndLiesAreRefusedBeforeAnythingIsTaken() throws {
        var compressor = ZstandardCompressor(level: 1)
        let zeros = compressor.compress([UInt8](repeating: 0, count: 200_000))
        let honest = try #require(packed(Self.text))
        func size(_ count: Int) -> [UInt8] { [UInt8(count >> 24 & 255), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] }
        let cases: [([UInt8], Int, WireFault)] = [
            (size(200_000) + zeros, 1 << 18, .unpackable),
            (size(300_000) + zeros, 1 << 18, .frameTooLarge(bytes: 300_000, most: 1 << 18)),
            (honest, 100, .frameTooLarge(bytes: Self.text.count, most: 100)), (size(Self.text.count - 1) + honest.dropFirst(4), 1 << 18, .unpackable),
            (size(Self.text.count + 1) + honest.dropFirst(4), 1 << 18, .unpackable), (honest + [0], 1 << 18, .unpackable),
            (Array(honest.dropLast()), 1 << 18, .unpackable), (size(0) + honest.dropFirst(4), 1 << 18, .unpackable), ([], 1 << 18, .unpackable),
            (size(4), 1 << 18, .unpackable), (size(600) + [UInt8](repeating: 1, count: 600), 1 << 18, .unpackable),
        ]
        for (payload, most, fault) in cases {
            #expect(throws: fault) { try unpacked(payload, most: most) }
        }
    }

    @Test func nothingIsPackedThatWasNotAgreedOn() throws {
        var bytes: [UInt8] = []
        Frame(.request, .packed, stream: 1, payload: try #require(packed(Self.text))).append(to: &bytes)
        var decoder = FrameDecoder(payloadMax: 1 << 18, expectingPreface: false)
        decoder.feed(bytes)
        #expect(throws: WireFault.unknownFlags(4)) { try decoder.next() }
        for kind in [Frame.Kind.ping, .credit, .error] {
            var bytes: [UInt8] = []
            Frame.append(kind, .packed, stream: kind == .ping ? 0 : 1, [1, 2, 3], to: &bytes)
            var decoder = FrameDecoder(payloadMax: 1 << 18, expectingPreface: false)
            decoder.takesPacked = true
            decoder.feed(bytes)
            #expect(throws: WireFault.unknownFlags(4)) { try decoder.next() }
        }
    }
}
