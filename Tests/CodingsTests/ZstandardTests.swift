import Base
import Codings
import TestSupport
import Testing

@Suite struct ZstandardTests {
    @Test func whatIsCompressedComesBack() throws {
        var random = SeededRandom(seed: testSeed("whatIsCompressedComesBack"))
        for level in [1, 3, 19] {
            var compressor = ZstandardCompressor(level: level)
            for count in [0, 1, 2, 255, 256, 65_537, 300_000] {
                for letters in [UInt64(2), 256] {
                    let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() % letters) }
                    let frame = compressor.compress(bytes)
                    #expect(frame.count <= Zstandard.bound(count))
                    #expect(try Zstandard.decompress(frame[...], byteCount: count) == bytes)
                    if letters == 2, count > 1_000 { #expect(frame.count * 4 < count) }
                    #expect(throws: ZstandardError.size(expected: count + 1)) { try Zstandard.decompress(frame[...], byteCount: count + 1) }
                    #expect(throws: ZstandardError.damaged) { try Zstandard.decompress((frame + frame)[...], byteCount: count) }
                    #expect(throws: ZstandardError.damaged) { try Zstandard.decompress(frame.dropLast(), byteCount: count) }
                }
            }
        }
    }

    /// RFC 8878: magic, a header that gives one byte of content size, a raw block.
    @Test func aFrameWrittenByHand() throws {
        let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x20, 0x03, 0x19, 0x00, 0x00, 0x61, 0x62, 0x63]
        #expect(try Zstandard.decompress(frame[...], byteCount: 3) == Array("abc".utf8))
        // A run of 40 MB in eleven bytes is not even begun.
        let bomb: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xA0, 0x00, 0x5A, 0x62, 0x02, 0x03, 0x00, 0x00, 0x61]
        #expect(throws: ZstandardError.self) { try Zstandard.decompress(bomb[...], byteCount: 3) }
        for bytes: [UInt8] in [[], [0x28], [1, 2, 3, 4, 5, 6, 7, 8, 9]] {
            #expect(throws: ZstandardError.damaged) { try Zstandard.decompress(bytes[...], byteCount: 1) }
        }
    }
}
