import Base
import Testing
import TestSupport

@Suite struct BytesTests {
    /// One field of a record, so that a random list of them can be written, read back and compared.
    enum Field: Equatable {
        case u8(UInt8), u16(UInt16), u32(UInt32), u64(UInt64), i64(Int64), varint(UInt64), blob([UInt8]), text(String), bool(Bool)
        case floats([UInt32]), f64(UInt64)

        static func random(using random: inout SeededRandom) -> Field {
            func bits() -> UInt64 { random.next() >> UInt64.random(in: 0...63, using: &random) }
            switch Int.random(in: 0...10, using: &random) {
            case 0: return .u8(UInt8(truncatingIfNeeded: bits()))
            case 1: return .u16(UInt16(truncatingIfNeeded: bits()))
            case 2: return .u32(UInt32(truncatingIfNeeded: bits()))
            case 3: return .u64(bits())
            case 4: return .i64(Int64(bitPattern: bits()))
            case 5: return .varint(bits())
            case 6: return .blob((0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) })
            case 7: return .text(String((0..<Int.random(in: 0...50, using: &random)).map { _ in "aé😀\u{0}\u{301}z".randomElement(using: &random)! }))
            case 8: return .bool(Bool.random(using: &random))
            case 9: return .floats((0..<Int.random(in: 0...9, using: &random)).map { _ in Float(random.unit()).bitPattern })
            default: return .f64(random.unit().bitPattern)
            }
        }

        func write(to writer: inout ByteWriter) {
            switch self {
            case .u8(let value): writer.u8(value)
            case .u16(let value): writer.u16(value)
            case .u32(let value): writer.u32(value)
            case .u64(let value): writer.u64(value)
            case .i64(let value): writer.i64(value)
            case .varint(let value): writer.varint(value)
            case .blob(let value): writer.blob(value)
            case .text(let value): writer.text(value)
            case .bool(let value): writer.bool(value)
            case .floats(let value): writer.floats(value.map { Float(bitPattern: $0) })
            case .f64(let value): writer.f64(Double(bitPattern: value))
            }
        }

        func read(from reader: inout ByteReader) throws(ByteError) -> Field {
            switch self {
            case .u8: .u8(try reader.u8())
            case .u16: .u16(try reader.u16())
            case .u32: .u32(try reader.u32())
            case .u64: .u64(try reader.u64())
            case .i64: .i64(try reader.i64())
            case .varint: .varint(try reader.varint())
            case .blob: .blob(Array(try reader.blob()))
            case .text: .text(try reader.text())
            case .bool: .bool(try reader.bool())
            case .floats(let value): .floats(try reader.floats(value.count).map(\.bitPattern))
            case .f64: .f64(try reader.f64().bitPattern)
            }
        }
    }

    @Test func roundTripAndEveryTruncation() throws {
        var random = SeededRandom(seed: testSeed("roundTripAndEveryTruncation"))
        for _ in 0..<300 {
            let fields = (0..<Int.random(in: 1...8, using: &random)).map { _ in Field.random(using: &random) }
            var writer = ByteWriter()
            for field in fields { field.write(to: &writer) }

            // Read out of the middle of a longer array: a slice's indices do not begin at zero.
            let framed = [9, 9, 9] + writer.bytes + [9]
            var reader = ByteReader(framed[3..<framed.count - 1])
            for field in fields { #expect(try field.read(from: &reader) == field) }
            #expect(reader.offset == writer.bytes.count)
            try reader.end()

            for length in 0..<writer.bytes.count {
                var short = ByteReader(writer.bytes[..<length])
                #expect(throws: ByteError.self) { for field in fields { _ = try field.read(from: &short) } }
            }
        }
    }

    @Test(arguments: [
        (0, [0x00]), (1, [0x01]), (127, [0x7f]), (128, [0x80, 0x01]), (300, [0xac, 0x02]), (16_383, [0xff, 0x7f]), (16_384, [0x80, 0x80, 0x01]),
        (UInt64.max, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ] as [(UInt64, [UInt8])])
    func varintBytes(value: UInt64, bytes: [UInt8]) throws {
        var writer = ByteWriter()
        writer.varint(value)
        #expect(writer.bytes == bytes)
        var reader = ByteReader(bytes)
        #expect(try reader.varint() == value)
        try reader.end()
    }

    @Test func malformedVarints() {
        var overflow = ByteReader([UInt8](repeating: 0xff, count: 9) + [0x02])
        #expect(throws: ByteError.malformed(at: 9)) { try overflow.varint() }
        var eleven = ByteReader([UInt8](repeating: 0x80, count: 10) + [0x01])
        #expect(throws: ByteError.malformed(at: 9)) { try eleven.varint() }
        var open = ByteReader([0x80, 0x80])
        #expect(throws: ByteError.truncated(at: 2)) { try open.varint() }
        var large = ByteReader([0x81, 0x08])
        #expect(throws: ByteError.malformed(at: 0)) { try large.count(limit: 1024) }
        var fits = ByteReader([0x80, 0x08])
        #expect((try? fits.count(limit: 1024)) == 1024)
    }

    @Test func malformedFields() {
        var lying = ByteReader([0x05, 1, 2])
        #expect(throws: ByteError.truncated(at: 1)) { try lying.blob() }
        var flag = ByteReader([2])
        #expect(throws: ByteError.malformed(at: 0)) { try flag.bool() }
        for bad: [UInt8] in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]] {
            var text = ByteReader([UInt8(bad.count)] + bad)
            #expect(throws: ByteError.malformed(at: 0)) { try text.text() }
        }
        var excess = ByteReader([1, 2, 3])
        #expect(throws: Never.self) { try excess.u8() }
        #expect(throws: ByteError.excess(at: 1)) { try excess.end() }
        var floats = ByteReader([0, 0, 0, 0])
        #expect(throws: ByteError.truncated(at: 0)) { try floats.floats(2) }
        #expect(throws: ByteError.truncated(at: 0)) { try floats.floats(Int.max) }
        #expect(throws: ByteError.truncated(at: 0)) { try floats.floats(-1) }
        #expect(throws: ByteError.truncated(at: 0)) { try floats.raw(-1) }
    }

    @Test func fixedNumbersKeepOrder() {
        var random = SeededRandom(seed: testSeed("fixedNumbersKeepOrder"))
        for _ in 0..<500 {
            let a = random.next() >> UInt64.random(in: 0...63, using: &random)
            let b = random.next() >> UInt64.random(in: 0...63, using: &random)
            var first = ByteWriter()
            first.u64(a)
            var second = ByteWriter()
            second.u64(b)
            #expect((a < b) == first.bytes.lexicographicallyPrecedes(second.bytes))
        }
    }

    /// Numbers as keys have them: in the order of their bytes, and read from either end, whatever stands at the other.
    @Test func bigEndianNumbersAtBothEnds() {
        var random = SeededRandom(seed: testSeed("big-endian"))
        func check<T: FixedWidthInteger & UnsignedInteger>(_ number: T, _ more: [UInt8]) {
            var bytes: [UInt8] = []
            bytes.append(bigEndian: number)
            #expect(bytes == (0..<T.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
            #expect(T(firstOf: bytes + more) == number)
            #expect(T(lastOf: more + bytes) == number)
        }
        for _ in 0..<2_000 {
            let more = (0..<Int.random(in: 0...9, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            let bits = random.next() >> UInt64.random(in: 0...63, using: &random)
            check(bits, more)
            check(UInt32(truncatingIfNeeded: bits), more)
            check(UInt16(truncatingIfNeeded: bits), more)
            check(UInt8(truncatingIfNeeded: bits), more)
        }
        // Fewer bytes than a number has, as a damaged key may: no trap.
        for count in 0..<8 {
            let bytes = [UInt8](1...8).prefix(count)
            let number = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            #expect(UInt64(firstOf: Array(bytes)) == number && UInt64(lastOf: Array(bytes)) == number)
        }
    }
}
