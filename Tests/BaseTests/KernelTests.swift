// The kernels of the CPU at hand against the portable ones, and CRC-32C against RFC 3720, appendix B.4.
import Base
import CKernels
import Testing
import TestSupport

@Suite struct CRC32CTests {
    static let vectors: [([UInt8], UInt32)] = [
        ([], 0),
        ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
        ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
        (Array(0..<32), 0x46dd_794e),
        ((0..<32).reversed(), 0x113f_db5c),
        (
            [
                0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0,
                0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
            ], 0xd996_3a56
        ),
        (Array("123456789".utf8), 0xe306_9283),
    ]

    @Test(arguments: vectors) func published(bytes: [UInt8], expected: UInt32) {
        #expect(CRC32C.of(bytes) == expected)
        #expect(unsafe ck_crc32c_portable(0, bytes, bytes.count) == expected)
        var spanned = CRC32C()
        unsafe spanned.update(bytes.span.bytes)
        #expect(spanned.value == expected)
    }

    @Test func hardwareEqualsPortable() {
        var random = SeededRandom(seed: testSeed("hardwareEqualsPortable"))
        let bytes = (0..<5_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        for _ in 0..<2_000 {
            let start = Int.random(in: 0...100, using: &random)
            let count = Int.random(in: 0...(Bool.random(using: &random) ? 40 : 4_900), using: &random)
            let seed = UInt32.random(in: 0...UInt32.max, using: &random)
            unsafe bytes.withUnsafeBytes { buffer in
                let base = unsafe buffer.baseAddress! + start
                #expect(unsafe ck_crc32c(seed, base, count) == ck_crc32c_portable(seed, base, count))
            }
        }
    }

    @Test func piecesAreOneMessage() {
        var random = SeededRandom(seed: testSeed("piecesAreOneMessage"))
        for _ in 0..<200 {
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            let cut = Int.random(in: 0...bytes.count, using: &random)
            var sum = CRC32C()
            sum.update(Array(bytes[..<cut]))
            sum.update(Array(bytes[cut...]))
            #expect(sum.value == CRC32C.of(bytes))
        }
    }
}

@Suite struct DotProductTests {
    /// What every level does, said once more: 32 sums, nothing fused, halves added to halves.
    private func dot(_ a: [Float], _ b: [Float]) -> Float {
        var sums = [Float](repeating: 0, count: 32)
        for place in a.indices { sums[place % 32] += a[place] * b[place] }
        while sums.count > 1 { sums = zip(sums.prefix(sums.count / 2), sums.suffix(sums.count / 2)).map { $0 + $1 } }
        return sums[0]
    }

    /// Lengths around every width of register, at every alignment that LMDB may give (two bytes) and at odd ones.
    @Test func everyLevelGivesTheSameBits() {
        var random = SeededRandom(seed: testSeed("dotProduct"))
        for count in Array(0...70) + [127, 128, 129, 384, 385, 768, 1_000] {
            for offset in 0..<4 {
                let a = (0..<count).map { _ in Float(random.unit() * 2 - 1) }
                // Now and then sums that cancel, and numbers of very different size.
                let b = offset == 3 ? a.enumerated().map { $0 % 2 == 0 ? $1 : -1 / ($1 + 2) } : (0..<count).map { _ in Float(random.unit() * 2 - 1) }
                var left = ByteWriter()
                left.raw([UInt8](repeating: 0, count: offset))
                left.floats(a)
                var right = ByteWriter()
                right.floats(b)
                let products = unsafe left.bytes.withUnsafeBytes { l in
                    unsafe right.bytes.withUnsafeBytes { r in
                        let base = unsafe l.baseAddress.map { unsafe $0 + offset }
                        return unsafe [ck_dot_f32(base, r.baseAddress, count)]
                            + (0...ck_simd_level()).map { unsafe ck_dot_f32_at($0, base, r.baseAddress, count) }
                    }
                }
                let expected = dot(a, b)
                for (level, product) in products.enumerated() {
                    #expect(product.bitPattern == expected.bitPattern, "\(count) floats at \(offset), level \(level - 1): \(product), not \(expected)")
                }
                let exact = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                // Each of at most `count` sums and as many products is off by half a unit in the last place of what is below `count`.
                #expect(abs(Double(expected) - exact) <= Double(count + 1) * Double(Float.ulpOfOne), "\(count) floats at \(offset)")
            }
        }
    }

    /// Bits that any machine must give.
    @Test func bitsAreTheSameEverywhere() {
        let a = (0..<100).map { Float($0 % 17) / 7 - 1 }
        let b = (0..<100).map { Float($0 % 13) / 11 - 0.5 }
        let product = unsafe a.withUnsafeBufferPointer { x in unsafe b.withUnsafeBufferPointer { y in unsafe ck_dot_f32(x.baseAddress, y.baseAddress, 100) } }
        #expect(product.bitPattern == 3_204_012_474)
    }
}

/// Halves against Swift's own, and products of them against the sum that halves.c describes, at every level that the CPU has.
@Suite struct HalvesTests {
    @Test func everyHalfIsItsFloat() {
        let halves = (0...UInt16.max).map(\.littleEndian)
        var floats = [Float](repeating: 0, count: halves.count)
        unsafe ck_halves_widen(halves, &floats, halves.count)
        for (half, float) in zip(0...UInt16.max, floats) {
            let expected = Float(Float16(bitPattern: half))
            #expect(float.bitPattern == expected.bitPattern || (float.isNaN && expected.isNaN), "\(half)")
        }
    }

    @Test func floatsAreRoundedToTheNearestHalf() {
        var random = SeededRandom(seed: testSeed("floatsAreRoundedToTheNearestHalf"))
        // Of every size that a component has, and the middles between two halves.
        var floats = (0..<20_000).map { _ in Float(random.unit() * 2 - 1) * Float(sign: .plus, exponent: -Int(random.next() % 30), significand: 1) }
        for half in stride(from: UInt16(0), to: 0x3C00, by: 7) {
            floats.append((Float(Float16(bitPattern: half)) + Float(Float16(bitPattern: half + 1))) / 2)
        }
        var halves = [UInt16](repeating: 0, count: floats.count)
        #expect(unsafe ck_encoder_halves(floats, &halves, floats.count) == 0)
        for (float, half) in zip(floats, halves) { #expect(half == Float16(float).bitPattern, "\(float)") }
    }

    @Test func productsAreTheSameAtEveryLevel() {
        var random = SeededRandom(seed: testSeed("productsAreTheSameAtEveryLevel"))
        for count in Array(0...70) + [127, 128, 129, 384, 385, 768, 1_000] {
            for offset in 0..<4 {
                let a = (0..<count).map { _ in Float(random.unit() * 2 - 1) }
                let b = (0..<count).map { _ in Float16(random.unit() * 2 - 1) }
                var sums = [Float](repeating: 0, count: 32)
                for place in 0..<count { sums[place % 32] += a[place] * Float(b[place]) }
                for half in [16, 8, 4, 2, 1] { for place in 0..<half { sums[place] += sums[place + half] } }
                var left = ByteWriter()
                left.raw([UInt8](repeating: 0, count: offset))
                left.floats(a)
                let widened = b.map(Float.init)
                #expect(unsafe ck_dot_f32(a, widened, count).bitPattern == sums[0].bitPattern, "\(count) numbers")
                let right = [UInt8](repeating: 0, count: offset) + b.flatMap { [UInt8(truncatingIfNeeded: $0.bitPattern), UInt8($0.bitPattern >> 8)] }
                for level in CK_SIMD_PORTABLE...max(CK_SIMD_PORTABLE, ck_simd_level()) {
                    let product = unsafe left.bytes.withUnsafeBytes { l in
                        unsafe right.withUnsafeBytes { r in
                            // An empty array has no address.
                            count == 0 ? Float(0) : unsafe ck_dot_f16_at(level, l.baseAddress! + offset, r.baseAddress! + offset, count)
                        }
                    }
                    #expect(product.bitPattern == sums[0].bitPattern, "\(count) numbers at \(offset), level \(level)")
                }
            }
        }
    }
}
