import Base
import Search
import TestSupport
import Testing

@Suite struct CalibrationTests {
    @Test func risesInBothPartsAndStaysInside() {
        var random = SeededRandom(seed: testSeed("risesInBothPartsAndStaysInside"))
        for _ in 0..<10_000 {
            let ceiling = Float(random.unit() * 60)
            let bounds = Calibration.standard.bounds
            let score = CalibratedScore(ceiling: ceiling, cut: bounds.lowerBound + Float(random.unit()) * (bounds.upperBound - bounds.lowerBound))
            let (cosine, bm25) = (Float(random.unit() * 2 - 1), ceiling * Float(random.unit()))
            let similarity = score.similarity(cosine: cosine, bm25: bm25)
            #expect(similarity > 0 && similarity < 1)
            #expect(score.similarity(cosine: cosine - 0.02, bm25: bm25) < similarity)
            if ceiling > 1 { #expect(score.similarity(cosine: cosine, bm25: bm25 * 0.9 - 0.01) < similarity) }
        }
    }

    /// A query without a term, an empty project, rounding over the ceiling: never NaN, never outside.
    @Test func edges() {
        let cases: [(cosine: Float, bm25: Float, ceiling: Float)] = [
            (0, 0, 0), (1, 0, 0), (-1, 0, 0), (1, 5.001, 5), (1, 1, 0), (0, 0, 1e-30), (0, 1e-30, 1e-30), (1.0001, 60, 60), (1, 1e9, 1e9),
        ]
        for cut in [Calibration.standard.bounds.lowerBound, Calibration.standard.bounds.upperBound] {
            for (cosine, bm25, ceiling) in cases {
                let similarity = CalibratedScore(ceiling: ceiling, cut: cut).similarity(cosine: cosine, bm25: bm25)
                #expect(similarity >= 0 && similarity <= 1, "\(cosine) \(bm25) \(ceiling) \(similarity)")
            }
            #expect(
                CalibratedScore(ceiling: 0, cut: cut).similarity(cosine: 0.4, bm25: 3)
                    == CalibratedScore(ceiling: 0, cut: cut).similarity(cosine: 0.4, bm25: 0))
        }
    }
}
