import Base
import Foundation
import TestSupport
import Testing

@Suite struct PortableMathTests {
    private func distance(_ a: Double, _ b: Double) -> Double { a == b ? 0 : abs(a - b) / b.ulp }

    @Test func logarithmsAgreeWithTheLibrary() {
        var random = SeededRandom(seed: testSeed("portable logarithm"))
        for _ in 0..<20_000 {
            let x = Foundation.exp((random.unit() - 0.5) * 1_400)
            #expect(distance(PortableMath.log(x), Foundation.log(x)) <= 2, "log \(x)")
            let near = 1 + (random.unit() - 0.5) * 1e-3
            #expect(distance(PortableMath.log(near), Foundation.log(near)) <= 2, "log \(near)")
        }
        #expect(PortableMath.log(1) == 0)
        #expect(PortableMath.log(0) == -.infinity)
        #expect(PortableMath.log(-1).isNaN)
        #expect(PortableMath.log(.infinity) == .infinity)
    }

    @Test func exponentialsAgreeWithTheLibrary() {
        var random = SeededRandom(seed: testSeed("portable exponential"))
        for _ in 0..<20_000 {
            let x = (random.unit() - 0.5) * 1_400
            #expect(distance(PortableMath.exp(x), Foundation.exp(x)) <= 2, "exp \(x)")
        }
        #expect(PortableMath.exp(0.0) == 1)
        #expect(PortableMath.exp(-800.0) == 0)
        #expect(PortableMath.exp(800.0) == .infinity)
        #expect(PortableMath.exp(Double.nan).isNaN)
    }

    @Test func exponentialsOfFloatsAgreeAndRise() {
        var random = SeededRandom(seed: testSeed("portable exponential of floats"))
        for _ in 0..<20_000 {
            let x = Float((random.unit() - 0.5) * 170)
            let (found, exact) = (PortableMath.exp(x), Float(Foundation.exp(Double(x))))
            #expect(abs(found - exact) <= exact.ulp, "exp \(x)")
            #expect(PortableMath.exp(x.nextUp) >= found, "exp after \(x)")
        }
        #expect(PortableMath.exp(Float(0)) == 1)
        #expect(PortableMath.exp(Float(-105)) == 0 && PortableMath.exp(-Float.infinity) == 0)
        #expect(PortableMath.exp(Float(89)) == .infinity && PortableMath.exp(Float.infinity) == .infinity)
        #expect(PortableMath.exp(Float.nan).isNaN)
    }

    /// Bits that any machine must give: what is stored and decided hangs on them.
    @Test func bitsAreTheSameEverywhere() {
        #expect(PortableMath.log(10).bitPattern == 4_612_367_379_483_415_830)
        #expect(PortableMath.exp(1.0).bitPattern == 4_613_303_445_314_885_482)
        #expect(PortableMath.exp(Float(1)).bitPattern == 1_076_754_516)
    }
}
