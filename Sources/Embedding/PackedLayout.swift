// Where what lies in a packed model, computed from the model's sizes alone. docs/formats/packed-model-v2.md draws it.

internal import CKernels

/// The arithmetic of the large products.
public enum EmbeddingPrecision: String, Sendable, CaseIterable {
    /// Weights kept as float16, widened in registers; sums in float32.
    case float32
    /// Weights and inputs as bytes, sums as 32-bit integers; everything else in float32.
    case int8
}

/// Offsets into the payload, each a multiple of 64 bytes. The products of a precision have a file of their own; all else (words, positions,
/// norms) is the same for both and lies in that of float32.
struct PackedLayout: Sendable {
    struct Linear: Sendable {
        let precision: EmbeddingPrecision
        let outputs: Int
        let depth: Int
        let weights: Int
        let bias: Int
        /// What each column of the input is multiplied with, and what is then taken from it, float32; int8 only, as the next two.
        let factors: Int
        let offsets: Int
        /// Of each group of depths and output, float32.
        let scales: Int
        /// -128 times the sum of the bytes of each group and output, integers of 32 bits.
        let sums: Int
    }
    struct Layer: Sendable {
        /// Query, key and value, one under the other.
        let attention: Linear
        let mixing: Linear
        let widening: Linear
        let narrowing: Linear

        /// In the order in which a pass uses them.
        var linears: [Linear] { [attention, mixing, widening, narrowing] }
    }
    struct Norm: Sendable {
        let scale: Int
        let shift: Int
    }
    /// What is not a product.
    struct Frame: Sendable {
        /// Halves.
        let words: Int
        /// Floats; the embedding of token type 0 is added in.
        let positions: Int
        let inputNorm: Norm
        /// Of each layer, after the mixing and after the narrowing.
        let norms: [(mixing: Norm, output: Norm)]
    }

    let layers: [Layer]
    /// Of float32 only.
    let frame: Frame?
    /// Of the payload.
    let byteCount: Int

    /// Groups of depths that have scales of their own.
    static func groups(_ depth: Int) -> Int { (depth + Int(CK_GROUP) - 1) / Int(CK_GROUP) }

    init(_ configuration: ModelConfiguration, _ precision: EmbeddingPrecision) {
        var end = 0
        func take(_ bytes: Int) -> Int {
            defer { end += (bytes + 63) / 64 * 64 }
            return end
        }
        func linear(_ outputs: Int, _ depth: Int, _ precision: EmbeddingPrecision) -> Linear {
            let bytes = precision == .int8
            let (columns, scales) = bytes ? (depth * 4, outputs * Self.groups(depth) * 4) : (0, 0)
            return Linear(
                precision: precision, outputs: outputs, depth: depth, weights: take(outputs * depth * (bytes ? 1 : 2)), bias: take(outputs * 4),
                factors: take(columns), offsets: take(columns), scales: take(scales), sums: take(scales))
        }
        let (hidden, wide) = (configuration.hidden, configuration.intermediate)
        func norm() -> Norm { Norm(scale: take(hidden * 4), shift: take(hidden * 4)) }
        layers = (0..<configuration.layers).map { number in
            // No error of its size costs as much as that of the last mixing, and no product is smaller: it stays as it is.
            let mixed = number == configuration.layers - 1 ? EmbeddingPrecision.float32 : precision
            return Layer(
                attention: linear(3 * hidden, hidden, precision), mixing: linear(hidden, hidden, mixed), widening: linear(wide, hidden, precision),
                narrowing: linear(hidden, wide, precision))
        }
        switch precision {
        case .float32:
            frame = Frame(
                words: take(configuration.vocabulary * hidden * 2), positions: take(configuration.positions * hidden * 4), inputNorm: norm(),
                norms: (0..<configuration.layers).map { _ in (norm(), norm()) })
        case .int8: frame = nil
        }
        byteCount = end
    }
}
