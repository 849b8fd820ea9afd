// Half a byte a dimension, from which the cosine of any vector to the need's is bounded for certain.
//
// The vector x is turned by an orthogonal map, as the graph's codes are (Vectors/VectorCode.swift), after which sixteen levels a component lose
// little of any vector. Let c be the levels at unit length, a = <x, c>, and r = x - a c what the code does not have, at right angles to c. Then for any y
//
//     <x, y> = a <c, y> + <r, y>  <=  a <c, y> + |r| |y|
//
// Beside a code stand a / |levels| (the factor) and |r| (the rest, about 0.1). y comes as whole numbers of 8 bits; how far they are from y is known
// exactly, and added.

internal import Base
internal import CKernels

struct NeedCode: Equatable {
    let bytes: [UInt8]
    /// With the product of a vector and the levels, the part of the cosine that the code knows.
    let factor: Float
    /// Length of what it does not know, rounded up.
    let rest: Float

    /// Code, factor and rest as records have them, one after another.
    var stored: [UInt8] {
        var numbers = ByteWriter(capacity: 8)
        numbers.floats([factor, rest])
        return bytes + numbers.bytes
    }

    static func padded(_ dimension: Int) -> Int { (dimension + Int(CK_CODES_BLOCK) - 1) / Int(CK_CODES_BLOCK) * Int(CK_CODES_BLOCK) }

    init(_ vector: [Float]) {
        let turned = NeedTurn.standard(Self.padded(vector.count)).turn(vector)
        var code = [UInt8](repeating: 0, count: turned.count / 2)
        _ = unsafe ck_codes_encode(4, turned, turned.count, &code)
        var (product, square, length) = (0.0, 0.0, 0.0)
        for (place, value) in turned.enumerated() {
            let byte = code[place / 128 * 64 + place % 64]
            let level = Double(place % 128 < 64 ? byte & 15 : byte >> 4) - 7.5
            product += level * Double(value)
            square += level * level
            length += Double(value) * Double(value)
        }
        bytes = code
        let known = product * product / square
        factor = Float(product / square)
        // The turn itself moves a vector by some 1e-7 of its length.
        rest = Float((max(0, length - known) * 1.000_01 + 1e-9).squareRoot()).nextUp
    }
}

/// The other side of products: a fresh text's vector, or the project's mean.
struct NeedQuery {
    let numbers: [Int8]
    let scale: Float
    /// What the levels' zero point adds to every product.
    let zero: Float
    /// Of the vector.
    let norm: Float
    /// How far the numbers are from it, with room for the arithmetic.
    let error: Float

    init(_ vector: [Float]) {
        let turned = NeedTurn.standard(NeedCode.padded(vector.count)).turn(vector)
        var numbers = [Int8](repeating: 0, count: turned.count)
        var sum: Int32 = 0
        scale = unsafe ck_codes_query(turned, turned.count, &numbers, &sum)
        zero = 7.5 * Float(sum)
        var (square, off) = (0.0, 0.0)
        for (value, number) in zip(turned, numbers) {
            let difference = Double(value) - Double(scale) * Double(number)
            square += Double(value) * Double(value)
            off += difference * difference
        }
        self.numbers = numbers
        norm = Float(square.squareRoot()) * 1.000_01
        error = Float(off.squareRoot()) * 1.000_01 + 1e-4
    }
}

/// The orthogonal map: random signs, Hadamard transforms of 128 and permutations, twice over. The same for all projects.
private struct NeedTurn: Sendable {
    let signs: [Float]
    let places: [UInt32]
    let padded: Int

    /// Of the models that there are, made once.
    private static let usual = NeedTurn(padded: 384)

    static func standard(_ padded: Int) -> NeedTurn { padded == usual.padded ? usual : NeedTurn(padded: padded) }

    private init(padded: Int) {
        self.padded = padded
        var random = SeededRandom(seed: 0x4E65_6564_7300)
        signs = (0..<2 * padded).map { _ in random.next() >> 63 == 0 ? 1 : -1 }
        var places: [UInt32] = []
        for _ in 0..<2 {
            var order = Array(0..<UInt32(padded))
            for last in stride(from: padded - 1, to: 0, by: -1) { order.swapAt(last, Int(random.next() % UInt64(last + 1))) }
            places += order
        }
        self.places = places
    }

    func turn(_ vector: [Float]) -> [Float] {
        var turned = vector + [Float](repeating: 0, count: padded - vector.count)
        var scratch = [Float](repeating: 0, count: padded)
        unsafe ck_codes_rotate(&turned, &scratch, signs, places, padded)
        return turned
    }
}
