internal import Base
internal import CKernels

/// The tensors of a BERT encoder under the names that the transformers library gives them, float32, and their way into the
/// packed form.
@safe struct SourceWeights {
    private let file: SafetensorsFile
    private let configuration: ModelConfiguration
    /// Some folders call the encoder `bert.`.
    private let prefix: String

    /// - Throws: when a tensor is missing or has another shape; every one is looked at here, so that packing cannot fail.
    init(_ file: SafetensorsFile, _ configuration: ModelConfiguration) throws(ContexError) {
        self.file = file
        self.configuration = configuration
        prefix = file.has("bert.embeddings.word_embeddings.weight") ? "bert." : ""
        let hidden = configuration.hidden
        func look(_ name: String, _ shape: [Int]) throws(ContexError) { _ = unsafe try file.floats(prefix + name, shape) }
        func lookAtNorm(_ name: String) throws(ContexError) {
            try look(name + ".weight", [hidden])
            try look(name + ".bias", [hidden])
        }
        try look(Self.words, [configuration.vocabulary, hidden])
        try look(Self.positions, [configuration.positions, hidden])
        try look(Self.types, [configuration.types, hidden])
        try lookAtNorm(Self.inputNorm)
        for layer in 0..<configuration.layers {
            for (name, outputs, depth) in Self.linears(layer, configuration) {
                try look(name + ".weight", [outputs, depth])
                try look(name + ".bias", [outputs])
            }
            for name in Self.norms(layer) { try lookAtNorm(name) }
        }
    }

    private static let words = "embeddings.word_embeddings.weight"
    private static let positions = "embeddings.position_embeddings.weight"
    private static let types = "embeddings.token_type_embeddings.weight"
    private static let inputNorm = "embeddings.LayerNorm"

    /// Query, key, value, mixing, widening, narrowing.
    private static func linears(_ layer: Int, _ configuration: ModelConfiguration) -> [(name: String, outputs: Int, depth: Int)] {
        let name = "encoder.layer.\(layer)."
        let hidden = configuration.hidden
        return [
            (name + "attention.self.query", hidden, hidden), (name + "attention.self.key", hidden, hidden),
            (name + "attention.self.value", hidden, hidden), (name + "attention.output.dense", hidden, hidden),
            (name + "intermediate.dense", configuration.intermediate, hidden), (name + "output.dense", hidden, configuration.intermediate),
        ]
    }

    private static func norms(_ layer: Int) -> [String] {
        ["encoder.layer.\(layer).attention.output.LayerNorm", "encoder.layer.\(layer).output.LayerNorm"]
    }

    /// Fills the payload; returns how many weights are no numbers or such as float16 cannot hold.
    func pack(into payload: UnsafeMutableRawPointer, _ layout: PackedLayout) throws(ContexError) -> Int {
        let hidden = configuration.hidden
        var outside = 0
        func floats(_ offset: Int) -> UnsafeMutablePointer<Float> { unsafe (payload + offset).assumingMemoryBound(to: Float.self) }
        func halves(_ offset: Int) -> UnsafeMutablePointer<UInt16> { unsafe (payload + offset).assumingMemoryBound(to: UInt16.self) }
        func source(_ name: String, _ shape: [Int]) throws(ContexError) -> UnsafePointer<Float> {
            let numbers = unsafe try file.floats(prefix + name, shape)
            for at in 0..<shape.reduce(1, *) where unsafe !numbers[at].isFinite { outside += 1 }
            return unsafe numbers
        }
        func pack(_ norm: PackedLayout.Norm, _ name: String) throws(ContexError) {
            unsafe floats(norm.scale).update(from: try source(name + ".weight", [hidden]), count: hidden)
            unsafe floats(norm.shift).update(from: try source(name + ".bias", [hidden]), count: hidden)
        }
        func pack(_ linear: PackedLayout.Linear, _ parts: ArraySlice<(name: String, outputs: Int, depth: Int)>) throws(ContexError) {
            var output = 0
            for (name, outputs, depth) in parts {
                let weight = unsafe try source(name + ".weight", [outputs, depth])
                unsafe floats(linear.bias + output * 4).update(from: try source(name + ".bias", [outputs]), count: outputs)
                switch linear.format {
                case .halves:
                    unsafe outside += ck_encoder_pack(weight, outputs, depth, halves(linear.weights + output * depth * 2))
                case .bytes:
                    unsafe ck_encoder_pack_bytes(
                        weight, outputs, depth, (payload + linear.weights + output * depth).assumingMemoryBound(to: Int8.self),
                        floats(linear.scales + output * 4), floats(linear.sums + output * 4), linear.outputs)
                }
                output += outputs
            }
        }
        unsafe outside += ck_encoder_halves(
            try source(Self.words, [configuration.vocabulary, hidden]), halves(layout.words), configuration.vocabulary * hidden)
        let places = unsafe try source(Self.positions, [configuration.positions, hidden])
        let type = unsafe try source(Self.types, [configuration.types, hidden])
        let sums = unsafe floats(layout.positions)
        for at in 0..<configuration.positions * hidden { unsafe sums[at] = places[at] + type[at % hidden] }
        try pack(layout.inputNorm, Self.inputNorm)
        for (number, layer) in layout.layers.enumerated() {
            let linears = Self.linears(number, configuration)
            try pack(layer.attention, linears[0..<3])
            try pack(layer.mixing, linears[3..<4])
            try pack(layer.widening, linears[4..<5])
            try pack(layer.narrowing, linears[5..<6])
            let norms = Self.norms(number)
            try pack(layer.mixingNorm, norms[0])
            try pack(layer.outputNorm, norms[1])
        }
        return outside
    }
}
