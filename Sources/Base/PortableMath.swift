/// Logarithm and exponential by additions, multiplications and divisions alone, which IEEE 754 rounds in one way: the same bits on every
/// machine and with every C library. Libraries promise no such thing of theirs, and what is stored or decided must not depend on them.
public enum PortableMath {
    /// ln 2 in two parts: the first has its last 32 bits zero, so that its product with an exponent is exact.
    private static let ln2High = 6.93147180369123816490e-01
    private static let ln2Low = 1.90821492927058770002e-10

    /// The natural logarithm, within 2 units in the last place.
    ///
    /// x = 2^k m with m in 1/sqrt 2 ... sqrt 2; ln m = 2 artanh s with s = (m - 1) / (m + 1), whose series ends after 12 terms: s^2 < 0.0295.
    /// - Parameter x: 0 gives -infinity, a negative number or none at all gives none.
    public static func log(_ x: Double) -> Double {
        guard x > 0 else { return x == 0 ? -.infinity : .nan }
        guard x.isFinite else { return x }
        var (exponent, mantissa) = (x.exponent, x.significand)
        if mantissa > 1.4142135623730951 {
            mantissa /= 2
            exponent += 1
        }
        let s = (mantissa - 1) / (mantissa + 1)
        let square = s * s
        var series = square * (1.0 / 23 + square * (1.0 / 25))
        series = square * (1.0 / 17 + square * (1.0 / 19 + square * (1.0 / 21 + series)))
        series = square * (1.0 / 11 + square * (1.0 / 13 + square * (1.0 / 15 + series)))
        series = square * (1.0 / 3 + square * (1.0 / 5 + square * (1.0 / 7 + square * (1.0 / 9 + series))))
        let k = Double(exponent)
        return k * ln2High + (2 * s + (2 * s * series + k * ln2Low))
    }

    /// e^x, within 2 units in the last place; 0 below -745, infinity above 709.8.
    ///
    /// x = k ln 2 + r with |r| <= ln 2 / 2, whose series ends after 14 terms.
    public static func exp(_ x: Double) -> Double {
        guard x == x else { return x }
        guard x < 709.78 else { return .infinity }
        guard x > -745.2 else { return 0 }
        // Adding 1.5 x 2^52 leaves no bits behind the point.
        let k = (x * 1.4426950408889634 + 0x1.8p52) - 0x1.8p52
        let r = (x - k * ln2High) - k * ln2Low
        // Divided by the factorials, the highest first.
        var series = r * (1.0 / 6_227_020_800 + r * (1.0 / 87_178_291_200))
        series = r * (1.0 / 3_628_800 + r * (1.0 / 39_916_800 + r * (1.0 / 479_001_600 + series)))
        series = r * (1.0 / 5_040 + r * (1.0 / 40_320 + r * (1.0 / 362_880 + series)))
        series = r * (1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720 + series)))
        series = 1 + r * (1 + r * (1.0 / 2 + r * (1.0 / 6 + series)))
        // In two steps: 2^k alone may be no number of full precision.
        let half = Int(k) >> 1
        return series * power(of: half) * power(of: Int(k) - half)
    }

    /// e^x, within 1 unit in the last place, at half the cost; 0 below -104, infinity above 88.7.
    ///
    /// In Double, whose range needs no second step: 9 terms leave an error of 2^-32. Summed in pairs, so that few steps wait for others.
    public static func exp(_ x: Float) -> Float {
        guard x == x else { return x }
        let x = min(max(Double(x), -200), 200)
        let k = (x * 1.4426950408889634 + 0x1.8p52) - 0x1.8p52
        let r = (x - k * ln2High) - k * ln2Low
        let (r2, low) = (r * r, (1 + r) + r * r * (1.0 / 2 + r * (1.0 / 6)))
        let high = (1.0 / 24 + r * (1.0 / 120)) + r2 * ((1.0 / 720 + r * (1.0 / 5_040)) + r2 * (1.0 / 40_320))
        return Float((low + r2 * r2 * high) * power(of: Int(k)))
    }

    /// 2^exponent for exponents that a number of full precision has.
    private static func power(of exponent: Int) -> Double { Double(bitPattern: UInt64(exponent + 1_023) << 52) }
}
