public import Base
internal import FoundationEssentials
internal import Hashing
internal import Synchronization
public import Tokens

/// A sentence model in memory: word pieces in, unit vectors out.
///
/// Any folder of a BERT sentence model as sentence-transformers writes it will do (all-MiniLM-L6 and L12, bge, e5 and
/// the like): sizes, pooling and the longest text come from its configuration files.
public final class EmbeddingModel: Sendable {
    /// Components of a vector.
    public let dimension: Int
    /// As the model's makers call it.
    public let name: String
    /// SHA-256 of everything that the vectors depend on (weights, vocabulary, sizes, pooling), in hexadecimal. The precision is
    /// left out: vectors of the two precisions are made to be compared with each other.
    public let contentHash: String
    /// Name and the first 16 digits of the hash: two models with the same identity give comparable vectors, vectors that
    /// were stored with another identity must be computed anew.
    public var identity: String { "\(name)@\(contentHash.prefix(16))" }
    /// Of what is published. Questions are in float32 always.
    public let precision: EmbeddingPrecision
    /// The tokenizer that belongs to the model, out of the same folder.
    public let tokenizer: WordPieceTokenizer
    /// Tokens of the longest text, frame tokens included: what `tokenizer.ids` should be limited to.
    public let sequenceLimit: Int
    /// The kernels in use, for the log.
    public let matrixKernels: String
    /// Whether the weights are mapped from a packed file, shared with other processes, and not in this one's memory.
    public let isMapped: Bool

    private let vocabulary: Int
    private let encoder: BertEncoder
    /// Of int8.
    private let bytesEncoder: BertEncoder?
    private let configuration: ModelConfiguration
    private let idleScratch = Mutex<[EncoderScratch]>([])

    /// Rows of the largest batch: past 256 the products gain nothing, and scratch space is 8 kB a row.
    private let batchTokensMax: Int
    private static let vocabularyBytesMax = 64 << 20

    /// - Parameter folder: with `model.safetensors`, `config.json`, `sentence_bert_config.json`, `vocab.txt`. When the folder can be
    ///   written, the weights are packed into files of it the first time (`model.float32.packed`, 45 MB, and `model.int8.packed`, 11 MB).
    /// - Throws: `ContexError` with one line that says which file is wrong and what to do. A file that `SHA256SUMS` in the
    ///   folder lists with another digest is refused.
    /// - Complexity: about 15 ms with a packed file in the page cache, 0.3 s without.
    public init(folder: String, precision: EmbeddingPrecision = .float32) throws(ContexError) {
        let checksums = try Self.checksums(folder)
        let configuration = try ModelConfiguration(folder: folder)
        let words = try readModelFile(folder, "vocab.txt", atMost: Self.vocabularyBytesMax)
        for name in ["vocab.txt"] + ModelConfiguration.fileNames where checksums[name] != nil {
            let digest = SHA256.digest(name == "vocab.txt" ? words : try readModelFile(folder, name, atMost: Self.vocabularyBytesMax)).hex
            guard digest == checksums[name] else {
                throw modelFolderError("\(name) is damaged: its SHA-256 is \(digest), \(Self.checksumsName) says \(checksums[name]!)")
            }
        }
        let tokenizer: WordPieceTokenizer
        do {
            tokenizer = try WordPieceTokenizer(vocabulary: words)
        } catch {
            throw modelFolderError(error.description)
        }
        guard tokenizer.count == configuration.vocabulary else {
            throw modelFolderError("vocab.txt has \(tokenizer.count) pieces, config.json says \(configuration.vocabulary)")
        }
        let whole = try PackedModel.open(folder: folder, configuration: configuration, precision: .float32, checksums: checksums) { [] }
        let encoder = BertEncoder(whole, configuration)
        let bytes = precision == .float32 ? nil : try PackedModel.open(
            folder: folder, configuration: configuration, precision: precision, checksums: checksums
        ) { InputStatistics.measure(encoder, configuration, tokenizer) }
        if let bytes, bytes.sourceDigest != whole.sourceDigest { throw modelFolderError("\(PackedModel.sourceName) was replaced while it was read") }
        self.encoder = encoder
        bytesEncoder = bytes.map { BertEncoder(whole, products: $0, configuration) }
        matrixKernels = encoder.kernels
        isMapped = whole.isMapped && bytes?.isMapped != false
        contentHash = SHA256.digest(whole.sourceDigest.bytes, SHA256.digest(words).bytes, Array(configuration.fingerprint.utf8)).hex
        name = configuration.name
        dimension = configuration.hidden
        sequenceLimit = configuration.sequence
        batchTokensMax = max(256, configuration.sequence)
        vocabulary = configuration.vocabulary
        self.precision = precision
        self.configuration = configuration
        self.tokenizer = tokenizer
    }

    private static let checksumsName = "SHA256SUMS"

    /// Digest by file name, as sha256sum writes them; none when the folder has no such file.
    private static func checksums(_ folder: String) throws(ContexError) -> [String: String] {
        guard FileManager.default.fileExists(atPath: folder + "/" + checksumsName) else { return [:] }
        let text = String(decoding: try readModelFile(folder, checksumsName, atMost: 1 << 20), as: UTF8.self)
        var found: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count == 2, fields[0].utf8.count == 64 else {
                throw modelFolderError("\(checksumsName) has a line that is no digest and name: \(line.prefix(80))")
            }
            found[String(fields[1].drop { $0 == "*" })] = fields[0].lowercased()
        }
        return found
    }

    /// The unit vectors of token sequences, in order. Computes on the calling thread, so keep it off the cooperative pool;
    /// any number of threads may call at once.
    ///
    /// - Parameters:
    ///   - batch: each of 1 to `sequenceLimit` tokens, as `tokenizer.ids` makes them.
    ///   - precision: float32, or the model's; left out: the model's.
    ///   - betweenLayers: called after each layer, on this thread, where something more urgent may be done.
    /// - Complexity: 10.6 million multiply-adds a token; at least one reading of the weights (21 MB) for each 256 tokens.
    public func embed(tokens batch: [[Int32]], in precision: EmbeddingPrecision? = nil, betweenLayers: (() -> Void)? = nil) -> [[Float]] {
        let encoder = encoder(of: precision ?? self.precision)
        for sequence in batch {
            precondition((1...sequenceLimit).contains(sequence.count), "a sequence of \(sequence.count) tokens, at most \(sequenceLimit)")
            for token in sequence { precondition(token >= 0 && token < vocabulary, "token \(token) in a vocabulary of \(vocabulary)") }
        }
        let scratch = idleScratch.withLock { $0.popLast() } ?? EncoderScratch(configuration, tokens: batchTokensMax)
        defer { idleScratch.withLock { $0.append(scratch) } }
        var vectors: [[Float]] = []
        vectors.reserveCapacity(batch.count)
        var start = 0
        while start < batch.count {
            var end = start
            var tokens = 0
            while end < batch.count && tokens + batch[end].count <= batchTokensMax {
                tokens += batch[end].count
                end += 1
            }
            vectors += unsafe encoder.encode(batch[start..<end], scratch: scratch, betweenLayers)
            start = end
        }
        return vectors
    }

    private func encoder(of precision: EmbeddingPrecision) -> BertEncoder {
        guard precision == .int8 else { return encoder }
        guard let bytesEncoder else { preconditionFailure("a model of \(self.precision.rawValue) has no products in int8") }
        return bytesEncoder
    }
}
