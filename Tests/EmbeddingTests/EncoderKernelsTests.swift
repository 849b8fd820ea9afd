// Each kernel at each width against plain arithmetic in double precision, on random numbers.
import Base
import CKernels
import Foundation
import TestSupport
import Testing

/// What the processor has, portable first.
private let levels = Array(CK_SIMD_PORTABLE...ck_simd_level())

struct EncoderKernelsTests {
    func random(_ count: Int, _ random: inout SeededRandom, scale: Double = 1) -> [Float] {
        (0..<count).map { _ in Float((random.unit() * 2 - 1) * scale) }
    }

    func expectNear(_ a: [Float], _ b: [Double], within: Double, _ what: String) {
        #expect(a.count == b.count)
        let worst = zip(a, b).map { abs(Double($0) - $1) / max(1, abs($1)) }.max() ?? 0
        #expect(worst <= within, "\(what): off by \(worst)")
    }

    /// The weights as the packed halves hold them.
    func rounded(_ w: [Float]) -> [Float] { w.map { Float(Float16($0)) } }

    @Test func halvesAreRoundedToNearest() {
        var source = SeededRandom(seed: testSeed("halvesAreRoundedToNearest"))
        var values: [Float] = [0, -0.0, 1, -1, 65_504, 65_519.996, -65_519, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1.ffcp-15, 0x1.ffep-15, 0x1p-40]
        for _ in 0..<200_000 { values.append(Float(bitPattern: UInt32(truncatingIfNeeded: source.next()))) }
        // Halfway between two halves, where ties go to even.
        for bits in UInt16(0)..<0x7bff { values.append((Float(Float16(bitPattern: bits)) + Float(Float16(bitPattern: bits + 1))) / 2) }
        var halves = [UInt16](repeating: 0, count: values.count)
        let outside = unsafe ck_encoder_halves(values, &halves, values.count)
        var expectedOutside = 0
        for (value, half) in zip(values, halves) {
            let expected = Float16(value)
            if !expected.isFinite {
                expectedOutside += 1
                #expect(half & 0x7c00 == 0x7c00)
            } else if half != expected.bitPattern {
                Issue.record("\(value): \(half), expected \(expected.bitPattern)")
                return
            }
        }
        #expect(outside == expectedOutside)
    }

    /// Every finite half, widened.
    @Test(arguments: levels)
    func gather(_ level: Int32) {
        let columns = 64
        let words = (UInt16.min...UInt16.max).map { $0 & 0x7c00 == 0x7c00 ? 0 : $0 }
        let tokens = (0..<Int32(words.count / columns)).reversed().map { $0 }
        var positions = [Float](repeating: 0, count: words.count)
        for at in 0..<columns { positions[at] = Float(at) }
        var out = [Float](repeating: .nan, count: words.count)
        unsafe ck_encoder_gather(level, words, positions, tokens, tokens.count, columns, &out)
        for (place, token) in tokens.enumerated() {
            for column in 0..<columns {
                let expected = Float(Float16(bitPattern: words[Int(token) * columns + column])) + positions[place * columns + column]
                guard out[place * columns + column] == expected else {
                    Issue.record("half \(words[Int(token) * columns + column]): \(out[place * columns + column]), expected \(expected)")
                    return
                }
            }
        }
    }

    @Test(arguments: levels, [false, true])
    func layerNorm(_ level: Int32, withResidual: Bool) {
        var source = SeededRandom(seed: testSeed("layerNorm"))
        let (rows, columns) = (5, 384)
        var x = random(rows * columns, &source, scale: 4)
        let residual = random(rows * columns, &source)
        let (scale, shift) = (random(columns, &source), random(columns, &source))
        var expected: [Double] = []
        for row in 0..<rows {
            let sums = (0..<columns).map { Double(x[row * columns + $0]) + (withResidual ? Double(residual[row * columns + $0]) : 0) }
            let mean = sums.reduce(0, +) / Double(columns)
            let variance = sums.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
            for (column, value) in sums.enumerated() {
                expected.append((value - mean) / (variance + 1e-12).squareRoot() * Double(scale[column]) + Double(shift[column]))
            }
        }
        unsafe residual.withUnsafeBufferPointer { residual in
            unsafe ck_encoder_layer_norm(level, &x, withResidual ? residual.baseAddress : nil, scale, shift, rows, columns, 1e-12)
        }
        expectNear(x, expected, within: 5e-6, "layer norm")
    }

    @Test(arguments: levels)
    func pool(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("pool"))
        let x = random(7 * 64, &source)
        let means = (0..<64).map { column in (0..<7).reduce(0.0) { $0 + Double(x[$1 * 64 + column]) } / 7 }
        let length = means.reduce(0) { $0 + $1 * $1 }.squareRoot()
        var out = [Float](repeating: 0, count: 64)
        unsafe ck_encoder_pool(level, x, 7, 64, &out)
        expectNear(out, means.map { $0 / length }, within: 1e-6, "pool")
        unsafe ck_encoder_pool(level, [Float](repeating: 0, count: 64), 1, 64, &out)
        #expect(out.allSatisfy { $0 == 0 })
    }

    /// Every size of a tile, several tiles, more depth than is widened at once; columns beside the product stay as they are.
    @Test(arguments: levels)
    func project(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("project"))
        for (rows, outputs, depth) in (1...29).map({ ($0, 32, 32) }) + [(2, 64, 96), (70, 32, 1536), (113, 64, 384), (5, 96, 288)] {
            let (a, w, bias) = (random(rows * (depth + 8), &source), random(outputs * depth, &source), random(outputs, &source))
            var packed = [UInt16](repeating: 0, count: w.count)
            #expect(unsafe ck_encoder_pack(w, outputs, depth, &packed) == 0)
            let weights = rounded(w)
            let stride = outputs + 4
            for (gelu, biased) in [(false, true), (true, true), (false, false)] {
                var c = [Float](repeating: 7, count: rows * stride)
                var expected: [Double] = []
                for row in 0..<rows {
                    for output in 0..<outputs {
                        let sum = (0..<depth).reduce(biased ? Double(bias[output]) : 0) {
                            $0 + Double(a[row * (depth + 8) + $1]) * Double(weights[output * depth + $1])
                        }
                        expected.append(gelu ? 0.5 * sum * (1 + erf(sum / 2.0.squareRoot())) : sum)
                    }
                    expected += [7, 7, 7, 7]
                }
                unsafe bias.withUnsafeBufferPointer { bias in
                    unsafe ck_encoder_project(
                        level, a, depth + 8, packed, biased ? bias.baseAddress : nil, gelu ? 1 : 0, &c, stride, rows, outputs, depth)
                }
                expectNear(c, expected, within: 1e-4, "\(rows) x \(outputs) x \(depth), gelu \(gelu), bias \(biased)")
            }
        }
    }

    /// GELU over its whole range: inputs of one column, weights 1.
    @Test(arguments: levels)
    func gelu(_ level: Int32) {
        let values = stride(from: Float(-12), through: 12, by: 1.0 / 64).map { $0 }
        var w = [Float](repeating: 0, count: 32 * 32)
        for output in 0..<32 { w[output * 32] = 1 }
        var packed = [UInt16](repeating: 0, count: w.count)
        unsafe ck_encoder_pack(w, 32, 32, &packed)
        var a = [Float](repeating: 0, count: values.count * 32)
        for (row, value) in values.enumerated() { a[row * 32] = value }
        let bias = [Float](repeating: 0.25, count: 32)
        var c = [Float](repeating: 0, count: values.count * 32)
        unsafe ck_encoder_project(level, a, 32, packed, bias, 1, &c, 32, values.count, 32, 32)
        let expected = values.flatMap { value -> [Double] in
            let x = Double(value) + 0.25
            return [Double](repeating: 0.5 * x * (1 + erf(x / 2.0.squareRoot())), count: 32)
        }
        expectNear(c, expected, within: 1e-6, "gelu")
    }

    let group = Int(CK_GROUP)

    /// A group of one row as it is quantised: balanced, shifted, turned when it is whole.
    func turned(_ x: ArraySlice<Double>) -> [Double] {
        guard x.count == group else { return Array(x) }
        let x = Array(x)
        // An element of Hadamard's matrix: the parity of the bits that row and column have in common.
        return x.indices.map { row in x.indices.reduce(0) { $0 + ((row & $1).nonzeroBitCount % 2 == 0 ? 1 : -1) * x[$1] } }
    }

    /// For weights that are each rounded by themselves.
    func noPushes(_ depth: Int) -> [Float] { [Float](repeating: 0, count: (depth + 383) / 384 * 384 * 384) }

    /// Inputs within half a step of what they stand for.
    @Test(arguments: levels)
    func bytesStandForTheirNumbers(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("bytesStandForTheirNumbers"))
        let (rows, depth) = (5, 288)
        let groups = (depth + group - 1) / group
        var x = random(rows * depth, &source, scale: 3)
        for at in 0..<128 { x[at] = 2.5 }
        x[200] = 40
        let factors = (0..<depth).map { _ in Float(0.5 + source.unit()) }
        let offsets = random(depth, &source)
        for gelu in [false, true] {
            var bytes = [UInt8](repeating: 0, count: x.count)
            var scales = [Float](repeating: .nan, count: rows * groups)
            unsafe ck_encoder_quantise(level, x, gelu ? 1 : 0, factors, offsets, &bytes, &scales, rows, depth)
            for row in 0..<rows {
                let values = (0..<depth).map { column in
                    let value = Double(x[row * depth + column])
                    return (gelu ? 0.5 * value * (1 + erf(value / 2.0.squareRoot())) : value) * Double(factors[column]) - Double(offsets[column])
                }
                for number in 0..<groups {
                    let scale = Double(scales[row * groups + number])
                    let wanted = turned(values[number * group..<min(depth, number * group + group)])
                    for (column, value) in wanted.enumerated() {
                        let byte = Double(bytes[row * depth + number * group + column])
                        #expect(abs((byte - 128) * scale - value) <= scale * 0.501 + 1e-4)
                    }
                    #expect(abs(scale - wanted.map(abs).max()! / 127) < 1e-5)
                }
            }
        }
        // Nothing but zeros, and what is no number, end nowhere.
        let zeros = [Float](repeating: 0, count: depth)
        for value in [Float(0), .nan, .infinity] {
            var bytes = [UInt8](repeating: 0, count: depth)
            var scales = [Float](repeating: .nan, count: groups)
            unsafe ck_encoder_quantise(level, [Float](repeating: value, count: depth), 0, factors, zeros, &bytes, &scales, 1, depth)
            if value == 0 { #expect(bytes.allSatisfy { $0 == 128 } && scales.allSatisfy { $0 == 0 }) }
        }
    }

    /// Every level makes the same bytes of the same numbers, and the same sums of the same bytes, bit for bit.
    @Test func bytesAreTheSameAtEveryLevel() {
        var source = SeededRandom(seed: testSeed("bytesAreTheSameAtEveryLevel"))
        for (rows, outputs, depth) in [(1, 32, 32), (7, 64, 96), (6, 96, 128), (13, 32, 288), (9, 64, 384), (5, 32, 1536)] {
            let groups = (depth + group - 1) / group
            // Some columns far larger than the others, as in models.
            let x = (0..<rows * depth).map { Float((source.unit() * 2 - 1) * ($0 % 37 == 0 ? 50 : 1)) }
            let (w, bias) = (random(outputs * depth, &source), random(outputs, &source))
            let factors = (0..<depth).map { _ in Float(0.1 + source.unit()) }
            let offsets = random(depth, &source)
            var packed = [Int8](repeating: 0, count: outputs * depth)
            var (scales, sums) = ([Float](repeating: .nan, count: groups * outputs), [Int32](repeating: 0, count: groups * outputs))
            unsafe ck_encoder_pack_bytes(w, outputs, depth, factors, noPushes(depth), &packed, &scales, &sums, outputs)
            var first: (bytes: [UInt8], scales: [UInt32], products: [UInt32])?
            for level in levels {
                var bytes = [UInt8](repeating: 0, count: x.count)
                var scalesOfX = [Float](repeating: .nan, count: rows * groups)
                unsafe ck_encoder_quantise(level, x, 0, factors, offsets, &bytes, &scalesOfX, rows, depth)
                var c = [Float](repeating: .nan, count: rows * outputs)
                unsafe ck_encoder_project_bytes(level, bytes, scalesOfX, packed, scales, sums, bias, &c, rows, outputs, depth)
                let this = (bytes: bytes, scales: scalesOfX.map(\.bitPattern), products: c.map(\.bitPattern))
                guard let known = first else {
                    first = this
                    continue
                }
                let same = this.bytes == known.bytes && this.scales == known.scales && this.products == known.products
                #expect(same, "level \(level), \(rows) x \(outputs) x \(depth)")
            }
        }
    }

    /// Against integers that Swift adds up; weights within half a step of what they stand for.
    @Test(arguments: levels)
    func projectBytes(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("projectBytes"))
        for (rows, outputs, depth) in (1...13).map({ ($0, 32, 32) }) + [(3, 64, 128), (8, 96, 384), (7, 32, 1536), (5, 64, 416), (50, 32, 160)] {
            let groups = (depth + group - 1) / group
            let a = (0..<rows * depth).map { _ in UInt8(truncatingIfNeeded: source.next()) }
            let w = random(outputs * depth, &source)
            // A hundredth, as inputs of the size of 1 have it: the sums stay of the size of the bias.
            let scalesOfA = random(rows * groups, &source, scale: 0.01)
            let bias = random(outputs, &source)
            let factors = (0..<depth).map { _ in Float(0.5 + source.unit()) }
            var packed = [Int8](repeating: 0, count: outputs * depth)
            var (scales, sums) = ([Float](repeating: .nan, count: groups * outputs), [Int32](repeating: 0, count: groups * outputs))
            unsafe ck_encoder_pack_bytes(w, outputs, depth, factors, noPushes(depth), &packed, &scales, &sums, outputs)
            func byte(_ output: Int, _ k: Int) -> Int { Int(packed[output / 32 * depth * 32 + k / 4 * 128 + output % 32 * 4 + k % 4]) }
            for output in 0..<outputs {
                let balanced = (0..<depth).map { Double(w[output * depth + $0]) / Double(factors[$0]) }
                for number in 0..<groups {
                    let depths = number * group..<min(depth, number * group + group)
                    let wanted = turned(balanced[depths]).map { depths.count == group ? $0 / Double(group) : $0 }
                    let scale = Double(scales[number * outputs + output])
                    for (k, value) in zip(depths, wanted) { #expect(abs(Double(byte(output, k)) * scale - value) <= scale * 0.501 + 1e-6) }
                    #expect(Int(sums[number * outputs + output]) == -128 * depths.reduce(0) { $0 + byte(output, $1) })
                }
            }
            var c = [Float](repeating: .nan, count: rows * outputs)
            unsafe ck_encoder_project_bytes(level, a, scalesOfA, packed, scales, sums, bias, &c, rows, outputs, depth)
            var expected: [Double] = []
            for row in 0..<rows {
                for output in 0..<outputs {
                    var sum = Double(bias[output])
                    for number in 0..<groups {
                        let depths = number * group..<min(depth, number * group + group)
                        let integers = depths.reduce(0) { $0 + (Int(a[row * depth + $1]) - 128) * byte(output, $1) }
                        sum += Double(scales[number * outputs + output]) * Double(scalesOfA[row * groups + number]) * Double(integers)
                    }
                    expected.append(sum)
                }
            }
            expectNear(c, expected, within: 5e-5, "\(rows) x \(outputs) x \(depth)")
        }
    }

    /// What is balanced and turned on both sides multiplies to what it was; and where columns go together, as in models, weights whose errors
    /// are made up for by others come nearer to it than weights that are each rounded by themselves.
    @Test func errorsAreMadeUpFor() {
        var source = SeededRandom(seed: testSeed("errorsAreMadeUpFor"))
        // Two blocks, the second with a short group.
        let (rows, outputs, depth, causes) = (512, 32, 480, 40)
        let mixing = random(causes * depth, &source)
        let x = (0..<rows).flatMap { _ -> [Float] in
            let cause = random(causes, &source)
            return (0..<depth).map { column in
                let mixed = (0..<causes).reduce(Float(0)) { $0 + cause[$1] * mixing[$1 * depth + column] }
                return mixed + Float(source.unit() * 0.2) + (column % 40 == 0 ? 3 : 0)
            }
        }
        let w = random(outputs * depth, &source)
        var (sums, products) = ([Double](repeating: 0, count: depth), noPushes(depth))
        unsafe ck_encoder_observe(x, 301, depth, &sums, &products)
        unsafe Array(x[(301 * depth)...]).withUnsafeBufferPointer { unsafe ck_encoder_observe($0.baseAddress!, rows - 301, depth, &sums, &products) }
        let means = sums.map { $0 / Double(rows) }
        func covariance(_ a: Int, _ b: Int) -> Double {
            (0..<rows).reduce(0.0) { $0 + Double(x[$1 * depth + a]) * Double(x[$1 * depth + b]) } / Double(rows) - means[a] * means[b]
        }
        for (a, b) in [(0, 0), (3, 200), (383, 383), (384, 384), (390, 479)] {
            let product = products[(a / 384 * 384 + a % 384) * 384 + b % 384]
            #expect(abs(Double(product) / Double(rows) - means[a] * means[b] - covariance(a, b)) < 1e-3)
        }
        let factors = (0..<depth).map { _ in Float(0.5 + source.unit()) }
        let offsets = (0..<depth).map { Float(means[$0]) * factors[$0] }
        let bias = (0..<outputs).map { output in Float((0..<depth).reduce(0.0) { $0 + Double(w[output * depth + $1]) * means[$1] }) }
        var pushes = noPushes(depth)
        for block in 0..<2 {
            let count = min(384, depth - block * 384)
            var matrix = [Double](repeating: 0, count: 384 * 384)
            for a in 0..<count { for b in 0..<count { matrix[a * 384 + b] = covariance(block * 384 + a, block * 384 + b) } }
            unsafe factors.withUnsafeBufferPointer { factors in
                unsafe pushes.withUnsafeMutableBufferPointer { pushes in
                    unsafe ck_encoder_pushes(&matrix, count, factors.baseAddress! + block * 384, 0.01, pushes.baseAddress! + block * 384 * 384)
                }
            }
        }
        func meanSquare(_ pushes: [Float]) -> Double {
            let groups = (depth + group - 1) / group
            var packed = [Int8](repeating: 0, count: outputs * depth)
            var (scales, sums) = ([Float](repeating: .nan, count: groups * outputs), [Int32](repeating: 0, count: groups * outputs))
            unsafe ck_encoder_pack_bytes(w, outputs, depth, factors, pushes, &packed, &scales, &sums, outputs)
            // The weights that the bytes stand for, in double precision: inputs are not rounded here.
            var sum = 0.0
            for row in 0..<rows {
                let balanced = (0..<depth).map { Double(x[row * depth + $0]) * Double(factors[$0]) - Double(offsets[$0]) }
                let input = (0..<groups).flatMap { turned(balanced[$0 * group..<min(depth, $0 * group + group)]) }
                for output in 0..<outputs {
                    let exact = (0..<depth).reduce(0.0) { $0 + Double(x[row * depth + $1]) * Double(w[output * depth + $1]) }
                    var product = Double(bias[output])
                    for k in 0..<depth {
                        let byte = Double(packed[output / 32 * depth * 32 + k / 4 * 128 + output % 32 * 4 + k % 4])
                        product += input[k] * byte * Double(scales[k / group * outputs + output])
                    }
                    sum += (product - exact) * (product - exact)
                }
            }
            return sum / Double(rows * outputs)
        }
        let (alone, together) = (meanSquare(noPushes(depth)), meanSquare(pushes))
        print("errors of weights: \(alone) alone, \(together) made up for")
        #expect(alone < 0.05 && together < alone / 2)
    }

    @Test(arguments: levels, [32, 48, 64])
    func attention(_ level: Int32, columns: Int) {
        var source = SeededRandom(seed: testSeed("attention"))
        let stride = 3 * columns
        for length in [1, 2, 3, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 100, 256] {
            let x = random(length * stride, &source, scale: length % 2 == 0 ? 3 : 30)
            var scratch = [Float](repeating: .nan, count: (columns + 32) * ((length + 15) / 16 * 16))
            var out = [Float](repeating: .nan, count: length * columns)
            func at(_ row: Int, _ part: Int, _ column: Int) -> Double { Double(x[row * stride + part * columns + column]) }
            var expected: [Double] = []
            for row in 0..<length {
                let scores = (0..<length).map { other in
                    (0..<columns).reduce(0.0) { $0 + at(row, 0, $1) * at(other, 1, $1) } / Double(columns).squareRoot()
                }
                let top = scores.max()!
                let weights = scores.map { exp($0 - top) }
                let total = weights.reduce(0, +)
                for column in 0..<columns { expected.append((0..<length).reduce(0.0) { $0 + weights[$1] * at($1, 2, column) } / total) }
            }
            unsafe x.withUnsafeBufferPointer { x in
                let queries = x.baseAddress!
                unsafe ck_encoder_attention_head(
                    level, queries, queries + columns, queries + 2 * columns, stride, length, columns, &scratch, &out, columns)
            }
            // Scores of hundreds lose absolute precision in float32 before the exponential.
            expectNear(out, expected, within: length % 2 == 0 ? 2e-5 : 2e-2, "length \(length)")
        }
    }
}
