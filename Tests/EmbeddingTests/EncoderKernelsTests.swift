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

    @Test(arguments: levels)
    func gelu(_ level: Int32) {
        var values = stride(from: Float(-12), through: 12, by: 1.0 / 256).map { $0 }
        while values.count % 16 != 0 { values.append(0) }
        let bias = [Float](repeating: 0.25, count: values.count)
        let expected = values.map { value -> Double in
            let x = Double(value) + 0.25
            return 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
        }
        unsafe ck_encoder_gelu(level, &values, bias, 1, values.count)
        expectNear(values, expected, within: 1e-6, "gelu")
    }

    @Test(arguments: levels)
    func addBias(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("addBias"))
        var x = random(3 * 64, &source)
        let bias = random(32, &source)
        let expected = x.enumerated().map { $0 % 64 < 32 ? Double($1 + bias[$0 % 64]) : Double($1) }
        unsafe ck_encoder_add_bias(level, &x, 64, bias, 3, 32)
        expectNear(x, expected, within: 0, "bias")
    }

    @Test(arguments: levels)
    func layerNorm(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("layerNorm"))
        let (rows, columns) = (5, 384)
        var x = random(rows * columns, &source, scale: 4)
        let residual = random(rows * columns, &source)
        let (bias, scale, shift) = (random(columns, &source), random(columns, &source), random(columns, &source))
        var expected: [Double] = []
        for row in 0..<rows {
            let sums = (0..<columns).map { Double(x[row * columns + $0]) + Double(bias[$0]) + Double(residual[row * columns + $0]) }
            let mean = sums.reduce(0, +) / Double(columns)
            let variance = sums.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
            for (column, value) in sums.enumerated() {
                expected.append((value - mean) / (variance + 1e-12).squareRoot() * Double(scale[column]) + Double(shift[column]))
            }
        }
        unsafe ck_encoder_layer_norm(level, &x, bias, residual, scale, shift, rows, columns, 1e-12)
        expectNear(x, expected, within: 5e-6, "layer norm")
    }

    @Test(arguments: levels)
    func meanPool(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("meanPool"))
        let x = random(7 * 48, &source)
        let means = (0..<48).map { column in (0..<7).reduce(0.0) { $0 + Double(x[$1 * 48 + column]) } / 7 }
        let length = means.reduce(0) { $0 + $1 * $1 }.squareRoot()
        var out = [Float](repeating: 0, count: 48)
        unsafe ck_encoder_mean_pool(level, x, 7, 48, &out)
        expectNear(out, means.map { $0 / length }, within: 1e-6, "mean pool")
        unsafe ck_encoder_mean_pool(level, [Float](repeating: 0, count: 48), 1, 48, &out)
        #expect(out.allSatisfy { $0 == 0 })
    }

    /// Every remainder of the row blocks, and more rows than pass by one panel of weights.
    @Test(arguments: levels)
    func project(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("project"))
        for (rows, outputs, depth) in (1...14).map({ ($0, 8, 48) }) + [(2, 4, 16), (70, 4, 1536), (300, 8, 384)] {
            let (a, w) = (random(rows * depth, &source), random(outputs * depth, &source))
            let stride = outputs + 4
            var c = [Float](repeating: 7, count: rows * stride)
            var expected: [Double] = []
            for row in 0..<rows {
                for output in 0..<outputs {
                    expected.append((0..<depth).reduce(0.0) { $0 + Double(a[row * depth + $1]) * Double(w[output * depth + $1]) })
                }
                expected += [7, 7, 7, 7]
            }
            unsafe ck_encoder_project(level, a, w, &c, stride, rows, outputs, depth)
            expectNear(c, expected, within: 3e-5, "\(rows) x \(outputs) x \(depth)")
        }
    }

    @Test(arguments: levels)
    func attention(_ level: Int32) {
        var source = SeededRandom(seed: testSeed("attention"))
        let stride = 96
        for length in [1, 2, 3, 8, 9, 31, 32, 33, 64, 65, 100, 256] {
            let x = random(length * stride, &source, scale: length % 2 == 0 ? 3 : 30)
            var scratch = [Float](repeating: .nan, count: 64 * ((length + 31) / 32 * 32))
            var out = [Float](repeating: .nan, count: length * 32)
            func at(_ row: Int, _ part: Int, _ column: Int) -> Double { Double(x[row * stride + part * 32 + column]) }
            var expected: [Double] = []
            for row in 0..<length {
                let scores = (0..<length).map { other in (0..<32).reduce(0.0) { $0 + at(row, 0, $1) * at(other, 1, $1) } / 32.0.squareRoot() }
                let top = scores.max()!
                let weights = scores.map { exp($0 - top) }
                let total = weights.reduce(0, +)
                for column in 0..<32 { expected.append((0..<length).reduce(0.0) { $0 + weights[$1] * at($1, 2, column) } / total) }
            }
            unsafe x.withUnsafeBufferPointer { x in
                let queries = x.baseAddress!
                unsafe ck_encoder_attention_head(level, queries, queries + 32, queries + 64, stride, length, &scratch, &out, 32)
            }
            // Scores of hundreds lose absolute precision in float32 before the exponential.
            expectNear(out, expected, within: length % 2 == 0 ? 2e-5 : 2e-2, "length \(length)")
        }
    }
}
