// Where what lies in a packed model, computed from the model's sizes alone. docs/formats/packed-model-v1.md draws it.

internal import CKernels

/// The arithmetic of the large products.
public enum EmbeddingPrecision: String, Sendable, CaseIterable {
    /// Weights kept as float16, widened in registers; sums in float32.
    case float32
    /// Weights and inputs as bytes, sums as 32-bit integers; everything else in float32.
    case int8
}

/// Offsets into the payload, each a multiple of 64 bytes.
struct PackedLayout: Sendable {
    struct Linear: Sendable {
        enum Format: Sendable { case halves, bytes }
        let format: Format
        let outputs: Int
        let depth: Int
        let weights: Int
        /// Of each group of depths and output, float32; bytes only.
        let scales: Int
        /// Of the weights of each group and output, as their bytes have them, float32; bytes only.
        let sums: Int
        let bias: Int
    }
    struct Norm: Sendable {
        let scale: Int
        let shift: Int
    }
    struct Layer: Sendable {
        /// Query, key and value, one under the other.
        let attention: Linear
        let mixing: Linear
        let mixingNorm: Norm
        let widening: Linear
        let narrowing: Linear
        let outputNorm: Norm
    }

    /// Halves.
    let words: Int
    /// Floats; the embedding of token type 0 is added in.
    let positions: Int
    let inputNorm: Norm
    let layers: [Layer]
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
        func linear(_ outputs: Int, _ depth: Int, _ format: Linear.Format) -> Linear {
            let bytes = format == .bytes
            let scales = bytes ? outputs * Self.groups(depth) * 4 : 0
            return Linear(
                format: format, outputs: outputs, depth: depth, weights: take(outputs * depth * (bytes ? 1 : 2)),
                scales: take(scales), sums: take(scales), bias: take(outputs * 4))
        }
        let hidden = configuration.hidden
        func norm() -> Norm { Norm(scale: take(hidden * 4), shift: take(hidden * 4)) }
        let format: Linear.Format = precision == .int8 ? .bytes : .halves
        words = take(configuration.vocabulary * hidden * 2)
        positions = take(configuration.positions * hidden * 4)
        inputNorm = norm()
        layers = (0..<configuration.layers).map { _ in
            Layer(
                attention: linear(3 * hidden, hidden, format), mixing: linear(hidden, hidden, format), mixingNorm: norm(),
                widening: linear(configuration.intermediate, hidden, format), narrowing: linear(hidden, configuration.intermediate, format),
                outputNorm: norm())
        }
        byteCount = end
    }
}
