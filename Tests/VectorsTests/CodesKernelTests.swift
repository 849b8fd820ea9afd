import CKernels
import Foundation
import TestSupport
import Testing
import Base

/// The kernels of quantised codes against the plainest arithmetic, at every instruction set that the processor has.
@Suite struct CodesKernelTests {
    static let padded = [128, 256, 384, 512, 1_152]

    /// What a code says: its levels, one by one.
    func levels(_ bits: Int, _ code: [UInt8], _ padded: Int) -> [Int] {
        (0..<padded).map { place in
            if bits == 8 { return Int(code[place]) }
            let byte = code[place / 128 * 64 + place % 64]
            return Int(place % 128 < 64 ? byte & 15 : byte >> 4)
        }
    }

    @Test(arguments: [4, 8]) func productsAgreeWithPlainSums(bits: Int) {
        var random = SeededRandom(seed: testSeed("productsAgreeWithPlainSums \(bits)"))
        for padded in Self.padded {
            let bytes = ck_codes_bytes(Int32(bits), padded)
            // One byte more, and the code begins at the second: no alignment.
            let codes = (0..<9).map { number in (0...bytes).map { _ in number == 0 ? UInt8(255) : UInt8(truncatingIfNeeded: random.next()) } }
            for extreme in [false, true] {
                let query = (0..<padded).map { _ in extreme ? Int8(-128) : Int8(truncatingIfNeeded: random.next()) }
                let wanted = codes.map { code in
                    zip(levels(bits, Array(code[1...]), padded), query).reduce(0) { $0 + $1.0 * Int($1.1) }
                }
                for level in 0...ck_codes_level() {
                    var out = [Int32](repeating: 0, count: codes.count)
                    let flat = codes.flatMap { $0 }
                    unsafe flat.withUnsafeBufferPointer { base in
                        let pointers: [UnsafePointer<UInt8>?] = unsafe codes.indices.map { unsafe base.baseAddress! + $0 * (bytes + 1) + 1 }
                        unsafe pointers.withUnsafeBufferPointer {
                            unsafe ck_codes_products(level, Int32(bits), query, padded, $0.baseAddress!, codes.count, &out)
                        }
                    }
                    #expect(out.map(Int.init) == wanted, "\(padded) dimensions, level \(level)")
                }
            }
        }
    }

    @Test(arguments: [4, 8]) func aCodeIsNearItsVector(bits: Int) {
        var random = SeededRandom(seed: testSeed("aCodeIsNearItsVector \(bits)"))
        let padded = 384
        func vector() -> [Float] { VectorSamples.unit((0..<padded).map { _ in VectorSamples.gauss(&random) }) }
        var worst: Float = 0
        for _ in 0..<50 {
            let (x, y) = (vector(), vector())
            var code = [UInt8](repeating: 0, count: ck_codes_bytes(Int32(bits), padded))
            let factor = unsafe ck_codes_encode(Int32(bits), x, padded, &code)
            let zero: Float = bits == 4 ? 7.5 : 128
            let decoded = levels(bits, code, padded).map { factor * (Float($0) - zero) }
            let own = zip(x, decoded).reduce(Float(0)) { $0 + $1.0 * $1.1 }
            #expect(abs(own - 1) < 1e-4, "the factor makes the product with itself exact")
            let (estimate, truth) = (zip(y, decoded).reduce(Float(0)) { $0 + $1.0 * $1.1 }, zip(y, x).reduce(Float(0)) { $0 + $1.0 * $1.1 })
            worst = max(worst, abs(estimate - truth))
            // Expanded, the code is the same numbers.
            var (query, sum) = ([Int8](repeating: 0, count: padded), Int32(0))
            unsafe ck_codes_expand(Int32(bits), code, padded, &query, &sum)
            #expect(query.map(Int.init) == levels(bits, code, padded).map { bits == 4 ? 2 * $0 - 15 : $0 - 128 })
            #expect(sum == query.reduce(0) { $0 + Int32($1) })
        }
        print("aCodeIsNearItsVector: \(bits) bits, worst error of 50 products \(worst)")
        #expect(worst < (bits == 4 ? 0.03 : 0.003))
    }

    @Test func zerosAndOneComponentHaveCodes() {
        var code = [UInt8](repeating: 1, count: 64)
        #expect(unsafe ck_codes_encode(4, [Float](repeating: 0, count: 128), 128, &code) == 0)
        var axis = [Float](repeating: 0, count: 128)
        axis[77] = -1
        let factor = unsafe ck_codes_encode(4, axis, 128, &code)
        #expect(factor > 0 && factor.isFinite)
    }

    @Test func rotationKeepsLengthsAndAngles() {
        var random = SeededRandom(seed: testSeed("rotationKeepsLengthsAndAngles"))
        let padded = 384
        let signs = (0..<2 * padded).map { _ in random.next() & 1 == 0 ? Float(1) : -1 }
        let places = (Array(0..<UInt32(padded)).shuffled(using: &random) + Array(0..<UInt32(padded)).shuffled(using: &random))
        func rotated(_ x: [Float]) -> [Float] {
            var (x, scratch) = (x, [Float](repeating: 0, count: padded))
            unsafe ck_codes_rotate(&x, &scratch, signs, places, padded)
            return x
        }
        let x = VectorSamples.unit((0..<padded).map { _ in VectorSamples.gauss(&random) })
        let y = VectorSamples.unit((0..<padded).map { _ in VectorSamples.gauss(&random) })
        func dot(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        #expect(abs(dot(rotated(x), rotated(x)) - 1) < 1e-4)
        #expect(abs(dot(rotated(x), rotated(y)) - dot(x, y)) < 1e-4)
    }
}
