// The forward pass of BERT (Devlin et al. 2018, doi 10.18653/v1/N19-1423) with mean or [CLS] pooling (Reimers, Gurevych 2019,
// doi 10.18653/v1/D19-1410).
//
// A batch is packed: the tokens of all its sequences follow each other as the rows of one matrix, without padding. All but
// attention treats rows alike, so the large products see many rows; attention runs per sequence and head on its own rows.
// So a vector depends on nothing else in the batch (but for the rounding of a product's last bits).
//
//     hidden  [T x 384]   = LayerNorm(word + position + type)
//     6 times:
//       projected [T x 1152] = hidden * (Q | K | V)T + bias
//       context   [T x 384]  = softmax(Q KT / sqrt 32) V, for each sequence and each of 12 heads
//       for each block of up to 112 rows:
//         mixed   = LayerNorm(context * OT + bias + hidden)
//         wide    [112 x 1536] = GELU(mixed * IT + bias)
//         hidden  = LayerNorm(wide * DT + bias + mixed)
//     vector [384] = mean of the sequence's rows, at unit length
//
// (Sizes of MiniLM-L6; they come from the configuration.) One token costs 10.6 million multiply-adds and 8 kB of scratch space. The weights
// of the six layers are 21 MB as halves, read once a block; for a query of 8 tokens the reading and the arithmetic take
// about the same time and overlap. Blocks keep the widest matrix in the second-level cache.
//
// With bytes (EmbeddingPrecision.int8) each large product first quantises its input row by row; all else is the same, and out of the same
// memory.

internal import Base
internal import CKernels

/// Scratch space of one forward pass, reused by whoever comes next.
///
/// `@unchecked Sendable`: one thread has it at a time (`EmbeddingModel` hands it out and takes it back under its lock).
@safe final class EncoderScratch: @unchecked Sendable {
    let hidden, projected, context, mixed, wide, attention: UnsafeMutablePointer<Float>
    /// A block of inputs as bytes, with the scale of each row's groups.
    let bytes: UnsafeMutablePointer<UInt8>
    let scales: UnsafeMutablePointer<Float>
    private let memory: UnsafeMutableRawPointer

    init(_ configuration: ModelConfiguration, tokens: Int) {
        let columns = configuration.hidden
        let block = min(tokens, BertEncoder.blockRows)
        let padded = (configuration.sequence + 15) / 16 * 16
        let deepest = max(columns, configuration.intermediate)
        let groups = block * PackedLayout.groups(deepest)
        let sizes = [
            tokens * columns, tokens * columns * 3, tokens * columns, block * columns, block * configuration.intermediate,
            (configuration.headColumns + 32) * padded, groups, block * deepest / 4,
        ].map { ($0 + 15) / 16 * 16 }
        // Every part begins on a cache line.
        unsafe memory = UnsafeMutableRawPointer.allocate(byteCount: sizes.reduce(0, +) * 4, alignment: 64)
        let floats = unsafe memory.bindMemory(to: Float.self, capacity: sizes.reduce(0, +))
        func part(_ index: Int) -> UnsafeMutablePointer<Float> { unsafe floats + sizes[..<index].reduce(0, +) }
        unsafe hidden = part(0)
        unsafe projected = part(1)
        unsafe context = part(2)
        unsafe mixed = part(3)
        unsafe wide = part(4)
        unsafe attention = part(5)
        unsafe scales = part(6)
        unsafe bytes = UnsafeMutableRawPointer(part(7)).assumingMemoryBound(to: UInt8.self)
    }

    deinit { unsafe memory.deallocate() }
}

/// The pass over the weights of a packed model.
///
/// `@unchecked Sendable`: the pointers are into the packed models, which this value keeps and nobody writes.
@safe struct BertEncoder: @unchecked Sendable {
    /// The weights of the products.
    private let products: PackedModel
    /// Everything else.
    private let whole: PackedModel
    private let frame: PackedLayout.Frame
    private let configuration: ModelConfiguration
    private let level: Int32

    /// Called with the input of a product: its place (four a layer, in their order), first row, count of rows.
    typealias Observer = (_ place: Int, _ input: UnsafePointer<Float>, _ rows: Int) -> Void

    /// Rows of the matrices between the two norms of a layer: eight full tiles with AVX-512; the widest matrix has 690 kB.
    static let blockRows = 112

    /// - Parameters:
    ///   - whole: of float32.
    ///   - products: of either precision; left out: those of `whole`.
    init(_ whole: PackedModel, products: PackedModel? = nil, _ configuration: ModelConfiguration) {
        self.whole = whole
        self.products = products ?? whole
        frame = whole.layout.frame!
        self.configuration = configuration
        level = ck_simd_level()
    }

    /// The kernels in use, for the log.
    var kernels: String {
        #if arch(arm64)
        return level == CK_SIMD_PORTABLE ? "portable" : "NEON"
        #else
        return switch level {
        case CK_SIMD_VNNI: "AVX-512 VNNI"
        case CK_SIMD_AVX512: "AVX-512"
        case CK_SIMD_AVX2: "AVX2"
        default: "portable"
        }
        #endif
    }

    private func framed(_ offset: Int) -> UnsafePointer<Float> { unsafe (whole.payload + offset).assumingMemoryBound(to: Float.self) }

    /// The unit vectors of the sequences, in order.
    ///
    /// - Precondition: no sequence is empty or longer than the configuration's, their tokens together fit the scratch
    ///   space, and every token is in the vocabulary; `EmbeddingModel.embed` sees to it.
    /// - Complexity: 10.6 million multiply-adds a token, plus 2 x 384 x length a token and layer for attention.
    func encode(
        _ sequences: ArraySlice<[Int32]>, scratch: EncoderScratch, _ betweenLayers: (() -> Void)?, observer: Observer? = nil
    ) -> [[Float]] {
        let columns = configuration.hidden
        let hidden = unsafe scratch.hidden
        let words = unsafe (whole.payload + frame.words).assumingMemoryBound(to: UInt16.self)
        var rows = 0
        for sequence in sequences {
            unsafe ck_encoder_gather(
                level, words, framed(frame.positions), sequence, sequence.count, columns, hidden + rows * columns)
            rows += sequence.count
        }
        unsafe normalise(hidden, residual: nil, frame.inputNorm, rows)
        for layer in products.layout.layers.indices {
            unsafe run(layer, sequences, rows, scratch, observer)
            betweenLayers?()
        }
        var vectors: [[Float]] = []
        vectors.reserveCapacity(sequences.count)
        var row = 0
        for sequence in sequences {
            let pooled = configuration.pooling == .mean ? sequence.count : 1
            vectors.append(
                unsafe [Float](unsafeUninitializedCapacity: columns) { buffer, count in
                    unsafe ck_encoder_pool(level, hidden + row * columns, pooled, columns, buffer.baseAddress!)
                    count = columns
                })
            row += sequence.count
        }
        return vectors
    }

    /// One layer: hidden to hidden.
    private func run(_ number: Int, _ sequences: ArraySlice<[Int32]>, _ rows: Int, _ scratch: EncoderScratch, _ observer: Observer?) {
        let (layer, norms) = (products.layout.layers[number], frame.norms[number])
        let place = 4 * number
        let columns = configuration.hidden
        let stride = 3 * columns
        let headColumns = configuration.headColumns
        for block in blocks(rows) {
            let hidden = unsafe scratch.hidden + block.lowerBound * columns
            unsafe observer?(place, hidden, block.count)
            unsafe project(hidden, layer.attention, into: scratch.projected + block.lowerBound * stride, rows: block.count, scratch)
        }
        var row = 0
        for sequence in sequences {
            for head in 0..<configuration.heads {
                let offset = head * headColumns
                let query = unsafe scratch.projected + row * stride + offset
                unsafe ck_encoder_attention_head(
                    level, query, query + columns, query + 2 * columns, stride, sequence.count, headColumns, scratch.attention,
                    scratch.context + row * columns + offset, columns)
            }
            row += sequence.count
        }
        for block in blocks(rows) {
            let context = unsafe scratch.context + block.lowerBound * columns
            let hidden = unsafe scratch.hidden + block.lowerBound * columns
            unsafe observer?(place + 1, context, block.count)
            unsafe project(context, layer.mixing, into: scratch.mixed, rows: block.count, scratch)
            unsafe normalise(scratch.mixed, residual: hidden, norms.mixing, block.count)
            unsafe observer?(place + 2, scratch.mixed, block.count)
            unsafe project(scratch.mixed, layer.widening, gelu: .after, into: scratch.wide, rows: block.count, scratch)
            unsafe observer?(place + 3, scratch.wide, block.count)
            unsafe project(scratch.wide, layer.narrowing, gelu: .before, into: hidden, rows: block.count, scratch)
            unsafe normalise(hidden, residual: scratch.mixed, norms.output, block.count)
        }
    }

    /// All rows in parts of nearly equal size.
    private func blocks(_ rows: Int) -> [Range<Int>] {
        let count = (rows + Self.blockRows - 1) / Self.blockRows
        return (0..<count).map { rows * $0 / count..<rows * ($0 + 1) / count }
    }

    private func normalise(_ x: UnsafeMutablePointer<Float>, residual: UnsafePointer<Float>?, _ norm: PackedLayout.Norm, _ rows: Int) {
        unsafe ck_encoder_layer_norm(
            level, x, residual, framed(norm.scale), framed(norm.shift), rows, configuration.hidden, configuration.epsilon)
    }

    /// Where the GELU between the two products is applied: by the first as it stores its sums in float32, by the second as it
    /// quantises its input with bytes. Each of the two does it or leaves it to the other.
    private enum GELU { case none, after, before }

    /// c = a times the weights transposed, plus bias.
    private func project(
        _ a: UnsafePointer<Float>, _ linear: PackedLayout.Linear, gelu: GELU = .none, into c: UnsafeMutablePointer<Float>, rows: Int,
        _ scratch: EncoderScratch
    ) {
        let weights = unsafe products.payload + linear.weights
        func floats(_ offset: Int) -> UnsafePointer<Float> { unsafe (products.payload + offset).assumingMemoryBound(to: Float.self) }
        switch linear.precision {
        case .float32:
            unsafe ck_encoder_project(
                level, a, linear.depth, weights.assumingMemoryBound(to: UInt16.self), floats(linear.bias), gelu == .after ? 1 : 0, c,
                linear.outputs, rows, linear.outputs, linear.depth)
        case .int8:
            unsafe ck_encoder_quantise(
                level, a, gelu == .before ? 1 : 0, floats(linear.factors), floats(linear.offsets), scratch.bytes, scratch.scales, rows,
                linear.depth)
            unsafe ck_encoder_project_bytes(
                level, scratch.bytes, scratch.scales, weights.assumingMemoryBound(to: Int8.self), floats(linear.scales),
                (products.payload + linear.sums).assumingMemoryBound(to: Int32.self), floats(linear.bias), c, rows, linear.outputs, linear.depth)
        }
    }
}
