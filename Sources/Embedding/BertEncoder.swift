// The forward pass of BERT (Devlin et al. 2018, doi 10.18653/v1/N19-1423) with mean pooling (Reimers, Gurevych 2019,
// doi 10.18653/v1/D19-1410), in float32.
//
// A batch is packed: the tokens of all its sequences follow each other as the rows of one matrix, without padding. All but
// attention treats rows alike, so the large products see many rows; attention runs per sequence and head on its own rows.
// So a vector depends on nothing else in the batch (but for the rounding of a product's last bits).
//
//     hidden  [T x 384]   = LayerNorm(word + position + type)
//     6 times:
//       projected [T x 1152] = hidden * (Q | K | V)T + bias
//       context   [T x 384]  = softmax(Q KT / sqrt 32) V, for each sequence and each of 12 heads
//       hidden               = LayerNorm(context * OT + bias + hidden)
//       wide      [T x 1536] = GELU(hidden * IT + bias)
//       hidden               = LayerNorm(wide * DT + bias + hidden)
//     vector [384] = mean of the sequence's rows, at unit length
//
// One token costs 10.6 million multiply-adds and 14 kB of scratch space. The weights of the six layers are 42 MB, read once
// a batch. For few rows that reading is the cost, and a kernel of our own that takes the weights as they lie is faster than
// OpenBLAS, which repacks them at each call; for many rows OpenBLAS is as fast or faster.

internal import Base
internal import CKernels

/// Scratch space of one forward pass, reused by whoever comes next.
///
/// `@unchecked Sendable`: one thread has it at a time (`EmbeddingModel` hands it out and takes it back under its lock).
@safe final class EncoderScratch: @unchecked Sendable {
    let hidden, projected, context, mixed, wide, attention: UnsafeMutablePointer<Float>
    private let memory: UnsafeMutableRawPointer

    init(_ configuration: ModelConfiguration, tokens: Int) {
        let columns = configuration.hidden
        let padded = (configuration.sequence + 31) / 32 * 32
        let sizes = [tokens * columns, tokens * columns * 3, tokens * columns, tokens * columns, tokens * configuration.intermediate, 64 * padded]
        // Every part begins on a cache line: all sizes are multiples of 16 floats.
        unsafe memory = UnsafeMutableRawPointer.allocate(byteCount: sizes.reduce(0, +) * 4, alignment: 64)
        let floats = unsafe memory.bindMemory(to: Float.self, capacity: sizes.reduce(0, +))
        func part(_ index: Int) -> UnsafeMutablePointer<Float> { unsafe floats + sizes[..<index].reduce(0, +) }
        unsafe hidden = part(0)
        unsafe projected = part(1)
        unsafe context = part(2)
        unsafe mixed = part(3)
        unsafe wide = part(4)
        unsafe attention = part(5)
    }

    deinit { unsafe memory.deallocate() }
}

/// The weights of an encoder, where they lie in the mapped file, and the pass over them.
///
/// `@unchecked Sendable`: the pointers are into `file`, which this value keeps and nobody writes.
@safe struct BertEncoder: @unchecked Sendable {
    @safe private struct Linear {
        let weight: UnsafePointer<Float>
        let bias: UnsafePointer<Float>
        let outputs: Int
        let depth: Int
    }
    @safe private struct Norm {
        let scale: UnsafePointer<Float>
        let shift: UnsafePointer<Float>
    }
    private struct Layer {
        let query, key, value, output, intermediate, reduction: Linear
        let attentionNorm, outputNorm: Norm
    }

    private let file: SafetensorsFile
    private let configuration: ModelConfiguration
    private let library: OpenBLAS
    private let words, positions, types: UnsafePointer<Float>
    private let inputNorm: Norm
    private let layers: [Layer]
    private let level: Int32
    /// From so many rows on OpenBLAS multiplies; the two were equal at 64 rows with AVX-512 (decision 0003).
    private let libraryRowsMin: Int

    init(file: SafetensorsFile, configuration: ModelConfiguration, library: OpenBLAS) throws(ContexError) {
        let hidden = configuration.hidden
        func linear(_ name: String, _ outputs: Int, _ depth: Int) throws(ContexError) -> Linear {
            unsafe Linear(
                weight: try file.floats(name + ".weight", [outputs, depth]), bias: try file.floats(name + ".bias", [outputs]),
                outputs: outputs, depth: depth)
        }
        func norm(_ name: String) throws(ContexError) -> Norm {
            unsafe Norm(scale: try file.floats(name + ".weight", [hidden]), shift: try file.floats(name + ".bias", [hidden]))
        }
        self.file = file
        self.configuration = configuration
        self.library = library
        unsafe words = try file.floats("embeddings.word_embeddings.weight", [configuration.vocabulary, hidden])
        unsafe positions = try file.floats("embeddings.position_embeddings.weight", [configuration.positions, hidden])
        unsafe types = try file.floats("embeddings.token_type_embeddings.weight", [2, hidden])
        inputNorm = try norm("embeddings.LayerNorm")
        var layers: [Layer] = []
        for index in 0..<configuration.layers {
            let name = "encoder.layer.\(index)."
            layers.append(
                Layer(
                    query: try linear(name + "attention.self.query", hidden, hidden),
                    key: try linear(name + "attention.self.key", hidden, hidden),
                    value: try linear(name + "attention.self.value", hidden, hidden),
                    output: try linear(name + "attention.output.dense", hidden, hidden),
                    intermediate: try linear(name + "intermediate.dense", configuration.intermediate, hidden),
                    reduction: try linear(name + "output.dense", hidden, configuration.intermediate),
                    attentionNorm: try norm(name + "attention.output.LayerNorm"), outputNorm: try norm(name + "output.LayerNorm")))
        }
        self.layers = layers
        level = ck_simd_level()
        libraryRowsMin = level == CK_SIMD_AVX512 ? 64 : 16
    }

    /// The unit vectors of the sequences, in order.
    ///
    /// - Precondition: no sequence is empty or longer than the configuration's, their tokens together fit the scratch
    ///   space, and every token is in the vocabulary; `EmbeddingModel.embed` sees to it.
    /// - Complexity: 10.6 million multiply-adds a token, plus 2 x 384 x length a token and layer for attention.
    func encode(_ sequences: ArraySlice<[Int32]>, scratch: EncoderScratch) -> [[Float]] {
        let columns = configuration.hidden
        let rows = sequences.reduce(0) { $0 + $1.count }
        let hidden = unsafe scratch.hidden
        var row = 0
        for sequence in sequences {
            let start = unsafe hidden + row * columns
            for (index, token) in sequence.enumerated() {
                unsafe (start + index * columns).update(from: words + Int(token) * columns, count: columns)
            }
            unsafe ck_encoder_layer_norm(
                level, start, types, positions, inputNorm.scale, inputNorm.shift, sequence.count, columns, configuration.epsilon)
            row += sequence.count
        }
        for layer in layers { attend(layer, sequences, rows, scratch) }
        var vectors: [[Float]] = []
        vectors.reserveCapacity(sequences.count)
        row = 0
        for sequence in sequences {
            vectors.append(
                unsafe [Float](unsafeUninitializedCapacity: columns) { buffer, count in
                    unsafe ck_encoder_mean_pool(level, hidden + row * columns, sequence.count, columns, buffer.baseAddress!)
                    count = columns
                })
            row += sequence.count
        }
        return vectors
    }

    /// One layer: hidden to hidden.
    private func attend(_ layer: Layer, _ sequences: ArraySlice<[Int32]>, _ rows: Int, _ scratch: EncoderScratch) {
        let columns = configuration.hidden
        let stride = 3 * columns
        for (part, linear) in [layer.query, layer.key, layer.value].enumerated() {
            unsafe project(scratch.hidden, linear, into: scratch.projected + part * columns, stride: stride, rows: rows)
            unsafe ck_encoder_add_bias(level, scratch.projected + part * columns, stride, linear.bias, rows, columns)
        }
        var row = 0
        for sequence in sequences {
            for head in 0..<configuration.heads {
                let offset = head * ModelConfiguration.headColumns
                let query = unsafe scratch.projected + row * stride + offset
                unsafe ck_encoder_attention_head(
                    level, query, query + columns, query + 2 * columns, stride, sequence.count, scratch.attention,
                    scratch.context + row * columns + offset, columns)
            }
            row += sequence.count
        }
        unsafe project(scratch.context, layer.output, into: scratch.mixed, stride: columns, rows: rows)
        unsafe ck_encoder_layer_norm(
            level, scratch.mixed, layer.output.bias, scratch.hidden, layer.attentionNorm.scale, layer.attentionNorm.shift, rows,
            columns, configuration.epsilon)
        unsafe project(scratch.mixed, layer.intermediate, into: scratch.wide, stride: configuration.intermediate, rows: rows)
        unsafe ck_encoder_gelu(level, scratch.wide, layer.intermediate.bias, rows, configuration.intermediate)
        unsafe project(scratch.wide, layer.reduction, into: scratch.hidden, stride: columns, rows: rows)
        unsafe ck_encoder_layer_norm(
            level, scratch.hidden, layer.reduction.bias, scratch.mixed, layer.outputNorm.scale, layer.outputNorm.shift, rows,
            columns, configuration.epsilon)
    }

    /// c = a times the weights transposed, without the bias.
    private func project(
        _ a: UnsafePointer<Float>, _ linear: Linear, into c: UnsafeMutablePointer<Float>, stride: Int, rows: Int
    ) {
        if rows < libraryRowsMin {
            unsafe ck_encoder_project(level, a, linear.weight, c, stride, rows, linear.outputs, linear.depth)
        } else {
            unsafe library.project(a, linear.weight, into: c, stride: stride, rows: rows, outputs: linear.outputs, depth: linear.depth)
        }
    }
}
