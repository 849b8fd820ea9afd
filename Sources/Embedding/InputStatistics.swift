// What the inputs of a product are like, and what is made of it before weights and inputs become bytes (docs/decisions/0064).
//
// A product of 384 or 1,536 columns has a few that are ten or twenty times as large as the others, and many that lie around something else
// than 0. As they are, they cost the others their precision, and the rounding of their own weights costs the most. So, once, as weights are packed:
//
//     x -> (x - mean) * factor      the mean's share goes into the bias, exact; the factor makes columns of alike weight, the inverse goes
//                                   into the weights
//       -> turned                   64 columns each become their 64 sums with signs: what stands out is spread
//       -> bytes                    of the weights: each one's error is made up for by the next ones, as the inputs' covariance says
//
// Means, factors and covariances are those of one pass of the float32 encoder over `CalibrationTexts`. (Pieces drawn from the vocabulary
// without sense do half as well: what stands out in a real text does not stand out in them.)

internal import CKernels
internal import Tokens

/// Means and covariances of the columns of one product's input.
struct InputStatistics {
    private static let block = Int(CK_BLOCK)
    private let columns: Int
    private var rows = 0
    private var sums: [Double]
    /// Of each block, as `ck_encoder_observe` adds them up.
    private var products: [Float]

    init(columns: Int) {
        self.columns = columns
        sums = [Double](repeating: 0, count: columns)
        products = [Float](repeating: 0, count: (columns + Self.block - 1) / Self.block * Self.block * Self.block)
    }

    private mutating func observe(_ x: UnsafePointer<Float>, _ rows: Int) {
        unsafe ck_encoder_observe(x, rows, columns, &sums, &products)
        self.rows += rows
    }

    // MARK: Measuring

    /// Of all products of a model, in their order.
    static func measure(_ encoder: BertEncoder, _ configuration: ModelConfiguration, _ tokenizer: WordPieceTokenizer) -> [InputStatistics] {
        let sequences = CalibrationTexts.all.map { tokenizer.ids($0, limit: configuration.sequence) }
        let scratch = EncoderScratch(configuration, tokens: sequences.reduce(0) { max($0, $1.count) })
        var statistics = (0..<configuration.layers).flatMap { _ in
            [configuration.hidden, configuration.hidden, configuration.hidden, configuration.intermediate].map { InputStatistics(columns: $0) }
        }
        for sequence in sequences {
            _ = unsafe encoder.encode([sequence], scratch: scratch, nil) { place, input, rows in unsafe statistics[place].observe(input, rows) }
        }
        return statistics
    }

    // MARK: Use

    private func mean(_ column: Int) -> Double { rows > 0 ? sums[column] / Double(rows) : 0 }

    private func covariance(_ a: Int, _ b: Int) -> Double {
        let (first, last) = (min(a, b), max(a, b))
        let product = products[(first / Self.block * Self.block + first % Self.block) * Self.block + last % Self.block]
        return rows > 0 ? Double(product) / Double(rows) - mean(a) * mean(b) : 0
    }

    /// What each column is multiplied with, and what is taken from it then.
    /// - Parameter weights: the sum of the squares of each column's weights.
    func balance(_ weights: [Double]) -> (factors: [Float], offsets: [Float]) {
        // Three eighths of the difference between columns go into the weights (a quarter, a half and more are worse). A column that never
        // changes, or has no weight, is as the least.
        func eighths(_ squares: [Double]) -> [Double] {
            let least = squares.reduce(0, +) / Double(squares.count) * 1e-3
            return squares.map { max($0, least, 1e-30).squareRoot().squareRoot().squareRoot().squareRoot() }
        }
        let (heights, deviations) = (eighths(weights), eighths((0..<columns).map { covariance($0, $0) }))
        let factors = zip(heights, deviations).map { height, deviation in
            Float(height * height * height * height * height / (deviation * deviation * deviation))
        }
        return (factors, factors.indices.map { Float(mean($0) * Double(factors[$0])) })
    }

    /// Added to the variance of each column, as a part of their mean: texts that were not measured differ. From 0.03 to 0.3 it is all the same.
    private static let damping = 0.1

    /// By what an error of each weight is made up for, block by block (`ck_encoder_pushes`).
    func pushes(_ factors: [Float]) -> [Float] {
        var pushes = [Float](repeating: 0, count: products.count)
        var matrix = [Double](repeating: 0, count: Self.block * Self.block)
        for begin in stride(from: 0, to: columns, by: Self.block) {
            let count = min(Self.block, columns - begin)
            for row in 0..<count { for column in 0..<count { matrix[row * Self.block + column] = covariance(begin + row, begin + column) } }
            unsafe factors.withUnsafeBufferPointer { factors in
                unsafe pushes.withUnsafeMutableBufferPointer { pushes in
                    unsafe ck_encoder_pushes(&matrix, count, factors.baseAddress! + begin, Self.damping, pushes.baseAddress! + begin * Self.block)
                }
            }
        }
        return pushes
    }
}
