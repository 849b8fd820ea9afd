import Codings
import Foundation
import TestSupport
import Testing

/// The samples are Python's: `gzip.compress`, `zlib.compress`, and the latter without its frame.
@Suite("Compressed bodies") struct InflationTests {
    private static func bytes(_ base64: String) -> [UInt8] { Array(Data(base64Encoded: base64)!) }
    private static let text = Array(#"{"a":"hello hello hello"}"#.utf8)
    private static let gzip = bytes("H4sIAAAAAAACA6tWSlSyUspIzcnJV0AilWoBQ7BcuRkAAAA=")
    private static let zlib = bytes("eJyrVkpUslLKSM3JyVdAIpVqAWovCJg=")
    private static let bounds = InflationBounds(bytesMax: 1_000, ratioMax: 100, bytesFree: 1_000)
    private static func length(_ bytesMax: Int) -> InflationBounds { InflationBounds(bytesMax: bytesMax, ratioMax: 1_000, bytesFree: 1 << 20) }

    @Test func everyFrame() throws {
        #expect(try Inflation.gzip(Self.gzip, within: Self.bounds) == Self.text)
        #expect(try Inflation.gzip(Self.gzip + Self.gzip, within: Self.bounds) == Self.text + Self.text)
        #expect(try Inflation.deflate(Self.zlib, within: Self.bounds) == Self.text)
        #expect(try Inflation.deflate(Array(Self.zlib.dropFirst(2).dropLast(4)), within: Self.bounds) == Self.text)
    }

    @Test func everyCutAndEveryFlippedByteIsRefusedOrRead() throws {
        for frame in [Self.gzip, Self.zlib] {
            for length in 0..<frame.count {
                #expect(throws: InflationError.damaged) {
                    frame[0] == 0x1F
                        ? try Inflation.gzip(Array(frame[..<length]), within: Self.bounds) : try Inflation.deflate(Array(frame[..<length]), within: Self.bounds)
                }
            }
        }
        for place in Self.gzip.indices {
            var damaged = Self.gzip
            damaged[place] ^= 0x10
            // The header's time, flags and system mean nothing to the content.
            if let read = try? Inflation.gzip(damaged, within: Self.bounds) { #expect(read == Self.text && place < 10, "\(place)") }
        }
        #expect(throws: InflationError.damaged) { try Inflation.gzip(Self.gzip + [0], within: Self.bounds) }
        #expect(throws: InflationError.damaged) { try Inflation.gzip(Self.text, within: Self.bounds) }
    }

    /// 65,536 zeros in 96 bytes.
    @Test func bombs() throws {
        let bomb = Self.bytes("H4sIAAAAAAACA+3BAQEAAACAkP6v7ggK" + String(repeating: "A", count: 84) + "auuOl9cAAAEA")
        #expect(try Inflation.gzip(bomb, within: Self.length(1 << 20)).count == 65_536)
        #expect(throws: InflationError.tooLong(bytesMax: 65_535)) { try Inflation.gzip(bomb, within: Self.length(65_535)) }
        #expect(throws: InflationError.grows(ratioMax: 10)) {
            try Inflation.gzip(bomb, within: InflationBounds(bytesMax: 1 << 20, ratioMax: 10, bytesFree: 1_000))
        }
        // Many small frames are one large one.
        let many = Array([[UInt8]](repeating: bomb, count: 100).joined())
        #expect(throws: InflationError.tooLong(bytesMax: 1 << 20)) { try Inflation.gzip(many, within: Self.length(1 << 20)) }
    }
}

extension Inflation {
    /// All that comes out.
    fileprivate static func gzip(_ bytes: [UInt8], within bounds: InflationBounds) throws(InflationError) -> [UInt8] {
        var all: [UInt8] = []
        let count = try gzip(bytes, within: bounds) { all += $0 }
        #expect(count == all.count)
        return all
    }

    fileprivate static func deflate(_ bytes: [UInt8], within bounds: InflationBounds) throws(InflationError) -> [UInt8] {
        var all: [UInt8] = []
        let count = try deflate(bytes, within: bounds) { all += $0 }
        #expect(count == all.count)
        return all
    }
}
