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
    /// - Parameter inputs: of the products, in their order; for int8.
    func pack(into payload: UnsafeMutableRawPointer, _ layout: PackedLayout, inputs: [InputStatistics]) throws(ContexError) -> Int {
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
        typealias Part = (name: String, outputs: Int, depth: Int)
        func packHalves(_ linear: PackedLayout.Linear, _ parts: ArraySlice<Part>) throws(ContexError) {
            var output = 0
            for (name, outputs, depth) in parts {
                let weights = unsafe try source(name + ".weight", [outputs, depth])
                unsafe outside += ck_encoder_pack(weights, outputs, depth, halves(linear.weights + output * depth * 2))
                unsafe floats(linear.bias + output * 4).update(from: try source(name + ".bias", [outputs]), count: outputs)
                output += outputs
            }
        }
        func packBytes(_ linear: PackedLayout.Linear, _ parts: ArraySlice<Part>, _ input: InputStatistics) throws(ContexError) {
            let depth = linear.depth
            var squares = [Double](repeating: 0, count: depth)
            for part in parts {
                let weights = unsafe try source(part.name + ".weight", [part.outputs, depth])
                for at in 0..<part.outputs * depth { unsafe squares[at % depth] += Double(weights[at]) * Double(weights[at]) }
            }
            let (factors, offsets) = input.balance(squares)
            let pushes = input.pushes(factors)
            unsafe floats(linear.factors).update(from: factors, count: depth)
            unsafe floats(linear.offsets).update(from: offsets, count: depth)
            let taken = zip(factors, offsets).map { Double($1) / Double($0) }
            var output = 0
            for part in parts {
                let weights = unsafe try source(part.name + ".weight", [part.outputs, depth])
                let bias = unsafe try source(part.name + ".bias", [part.outputs])
                unsafe ck_encoder_pack_bytes(
                    weights, part.outputs, depth, factors, pushes, (payload + linear.weights + output * depth).assumingMemoryBound(to: Int8.self),
                    floats(linear.scales + output * 4), (payload + linear.sums + output * 4).assumingMemoryBound(to: Int32.self), linear.outputs)
                for row in 0..<part.outputs {
                    var sum = unsafe Double(bias[row])
                    for column in 0..<depth { unsafe sum += Double(weights[row * depth + column]) * taken[column] }
                    unsafe floats(linear.bias + (output + row) * 4).pointee = Float(sum)
                }
                output += part.outputs
            }
        }
        for (number, layer) in layout.layers.enumerated() {
            let parts = Self.linears(number, configuration)
            for (place, (linear, parts)) in zip(layer.linears, [parts[0..<3], parts[3..<4], parts[4..<5], parts[5..<6]]).enumerated() {
                switch linear.precision {
                case .float32: try packHalves(linear, parts)
                case .int8: try packBytes(linear, parts, inputs[4 * number + place])
                }
            }
        }
        guard let frame = layout.frame else { return outside }
        unsafe outside += ck_encoder_halves(
            try source(Self.words, [configuration.vocabulary, hidden]), halves(frame.words), configuration.vocabulary * hidden)
        let places = unsafe try source(Self.positions, [configuration.positions, hidden])
        let type = unsafe try source(Self.types, [configuration.types, hidden])
        let sums = unsafe floats(frame.positions)
        for at in 0..<configuration.positions * hidden { unsafe sums[at] = places[at] + type[at % hidden] }
        try pack(frame.inputNorm, Self.inputNorm)
        for (number, norms) in frame.norms.enumerated() {
            let names = Self.norms(number)
            try pack(norms.mixing, names[0])
            try pack(norms.output, names[1])
        }
        return outside
    }
}
