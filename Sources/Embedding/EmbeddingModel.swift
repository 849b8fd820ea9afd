public import Base
internal import Hashing
internal import Synchronization
public import Tokens

/// A sentence model in memory: word pieces in, unit vectors out.
public final class EmbeddingModel: Sendable {
    /// Components of a vector.
    public let dimension: Int
    /// The model's name and a digest of what its vectors depend on: two models with the same identity give the same
    /// vectors, so vectors stored with another identity must be computed anew.
    public let identity: String
    /// The tokenizer that belongs to the model, out of the same folder.
    public let tokenizer: WordPieceTokenizer
    /// Tokens of the longest text, frame tokens included: what `tokenizer.ids` should be limited to.
    public let sequenceLimit: Int
    /// The kernels that OpenBLAS chose, for the log.
    public let matrixKernels: String

    private let vocabulary: Int
    private let encoder: BertEncoder
    private let configuration: ModelConfiguration
    private let idleScratch = Mutex<[EncoderScratch]>([])

    /// Rows of the largest batch: past 256 the products gain nothing, and scratch space is 14 kB a row.
    private let batchTokensMax: Int
    private static let vocabularyBytesMax = 64 << 20

    /// - Parameter folder: with `model.safetensors`, `config.json`, `sentence_bert_config.json`, `vocab.txt`.
    /// - Throws: `ContexError` with one line that says which file is wrong and what to do.
    /// - Complexity: a few milliseconds; the weights are mapped and read when first used.
    public init(folder: String) throws(ContexError) {
        let configuration = try ModelConfiguration(folder: folder)
        let words = try readModelFile(folder, "vocab.txt", atMost: Self.vocabularyBytesMax)
        let tokenizer: WordPieceTokenizer
        do {
            tokenizer = try WordPieceTokenizer(vocabulary: words)
        } catch {
            throw modelFolderError(error.description)
        }
        guard tokenizer.count == configuration.vocabulary else {
            throw modelFolderError("vocab.txt has \(tokenizer.count) pieces, config.json says \(configuration.vocabulary)")
        }
        let file = try SafetensorsFile(path: folder + "/model.safetensors", name: "model.safetensors")
        encoder = try BertEncoder(file: file, configuration: configuration, library: try OpenBLAS.shared.get())
        matrixKernels = try OpenBLAS.shared.get().coreName
        let digest = SHA256.digest(file.fingerprint(), words, Array(String(configuration.sequence).utf8))
        identity = "\(configuration.name)@\(digest.hex.prefix(16))"
        dimension = configuration.hidden
        sequenceLimit = configuration.sequence
        batchTokensMax = max(256, configuration.sequence)
        vocabulary = configuration.vocabulary
        self.configuration = configuration
        self.tokenizer = tokenizer
    }

    /// The unit vectors of token sequences, in order. Computes on the calling thread, so keep it off the cooperative pool;
    /// any number of threads may call at once.
    ///
    /// - Parameter batch: each of 1 to `sequenceLimit` tokens, as `tokenizer.ids` makes them.
    /// - Complexity: 10.6 million multiply-adds a token; at least one reading of the weights (42 MB) for each 256 tokens.
    public func embed(tokens batch: [[Int32]]) -> [[Float]] {
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
            vectors += encoder.encode(batch[start..<end], scratch: scratch)
            start = end
        }
        return vectors
    }
}
