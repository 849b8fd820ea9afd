internal import Base
internal import FoundationEssentials

/// What kind of BERT sentence model a folder holds: everything by which the models of the family differ, out of
/// `config.json`, `sentence_bert_config.json`, `tokenizer_config.json` and `1_Pooling/config.json`.
struct ModelConfiguration: Sendable, Equatable {
    /// What becomes of the vectors of a text's tokens.
    enum Pooling: String, Sendable {
        /// Their mean (MiniLM, mpnet, e5).
        case mean
        /// That of the first token, `[CLS]` (bge).
        case classification
    }

    /// As the model's makers call it, or the folder's name.
    let name: String
    let hidden: Int
    let heads: Int
    let layers: Int
    let intermediate: Int
    let vocabulary: Int
    let positions: Int
    let types: Int
    let epsilon: Float
    /// Tokens of the longest text, frame tokens included.
    let sequence: Int
    let pooling: Pooling

    var headColumns: Int { hidden / heads }

    private struct Encoder: Decodable {
        let _name_or_path: String?
        let model_type: String
        let hidden_act: String
        let hidden_size: Int
        let num_attention_heads: Int
        let num_hidden_layers: Int
        let intermediate_size: Int
        let vocab_size: Int
        let max_position_embeddings: Int
        let type_vocab_size: Int?
        let position_embedding_type: String?
        let layer_norm_eps: Float
    }
    private struct Sentence: Decodable { let max_seq_length: Int }
    private struct Tokenization: Decodable {
        let do_lower_case: Bool?
        let tokenize_chinese_chars: Bool?
        let strip_accents: Bool?
    }
    /// One of these is true in a model that this encoder runs.
    private struct PoolingModes: Decodable {
        let pooling_mode_cls_token: Bool?
        let pooling_mode_mean_tokens: Bool?
        let pooling_mode_max_tokens: Bool?
        let pooling_mode_mean_sqrt_len_tokens: Bool?
        let pooling_mode_weightedmean_tokens: Bool?
        let pooling_mode_lasttoken: Bool?

        var names: [String] {
            [
                ("cls_token", pooling_mode_cls_token), ("mean_tokens", pooling_mode_mean_tokens), ("max_tokens", pooling_mode_max_tokens),
                ("mean_sqrt_len_tokens", pooling_mode_mean_sqrt_len_tokens), ("weightedmean_tokens", pooling_mode_weightedmean_tokens),
                ("lasttoken", pooling_mode_lasttoken),
            ].filter { $0.1 == true }.map(\.0)
        }
    }

    static let fileNames = ["config.json", "sentence_bert_config.json", "tokenizer_config.json", "1_Pooling/config.json"]
    private static let fileBytesMax = 1 << 20

    private static func decode<Value: Decodable>(_ type: Value.Type, _ folder: String, _ name: String) throws(ContexError) -> Value {
        let bytes = try readModelFile(folder, name, atMost: fileBytesMax)
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw modelFolderError("\(name) is no JSON with the fields of a BERT sentence model")
        }
    }

    private static func decodeIfThere<Value: Decodable>(_ type: Value.Type, _ folder: String, _ name: String) throws(ContexError) -> Value? {
        FileManager.default.fileExists(atPath: folder + "/" + name) ? try decode(type, folder, name) : nil
    }

    init(folder: String) throws(ContexError) {
        let encoder = try Self.decode(Encoder.self, folder, Self.fileNames[0])
        let sentence = try Self.decode(Sentence.self, folder, Self.fileNames[1])
        let tokenization = try Self.decodeIfThere(Tokenization.self, folder, Self.fileNames[2])
        let modes = try Self.decodeIfThere(PoolingModes.self, folder, Self.fileNames[3])
        func check(_ holds: Bool, _ what: String) throws(ContexError) {
            if !holds { throw modelFolderError("config.json describes a model that this encoder does not run: \(what)") }
        }
        try check(encoder.model_type == "bert", "model_type is \(encoder.model_type), bert is expected")
        try check(encoder.hidden_act == "gelu", "hidden_act is \(encoder.hidden_act), gelu is expected")
        let positionType = encoder.position_embedding_type ?? "absolute"
        try check(positionType == "absolute", "position_embedding_type is \(positionType), absolute is expected")
        // Upper bounds far above any model that a server runs on a processor, so that no size overflows below.
        let sides = [encoder.hidden_size, encoder.intermediate_size]
        try check(sides.allSatisfy { $0 > 0 && $0 <= 1 << 14 && $0 % 32 == 0 }, "sizes \(sides), multiples of 32 up to 16384 are expected")
        try check(
            encoder.num_attention_heads > 0 && encoder.hidden_size % (16 * encoder.num_attention_heads) == 0,
            "\(encoder.num_attention_heads) heads in \(encoder.hidden_size) columns, a multiple of 16 columns a head is expected")
        try check((1...128).contains(encoder.num_hidden_layers), "\(encoder.num_hidden_layers) layers")
        try check((1...1 << 22).contains(encoder.vocab_size), "a vocabulary of \(encoder.vocab_size)")
        try check((2...1 << 14).contains(encoder.max_position_embeddings), "\(encoder.max_position_embeddings) positions")
        try check((1...1 << 10).contains(encoder.type_vocab_size ?? 2), "\(encoder.type_vocab_size ?? 2) types of tokens")
        try check(encoder.layer_norm_eps >= 0 && encoder.layer_norm_eps < 1, "layer_norm_eps \(encoder.layer_norm_eps)")
        guard sentence.max_seq_length >= 2, sentence.max_seq_length <= encoder.max_position_embeddings else {
            throw modelFolderError("sentence_bert_config.json wants \(sentence.max_seq_length) tokens, 2 to \(encoder.max_position_embeddings) are possible")
        }
        // The tokenizer is that of the uncased models.
        guard tokenization?.do_lower_case ?? true, tokenization?.tokenize_chinese_chars ?? true, tokenization?.strip_accents ?? true else {
            throw modelFolderError("tokenizer_config.json asks for a cased tokenizer, the uncased one is what there is")
        }
        switch modes?.names ?? ["mean_tokens"] {
        case ["mean_tokens"]: pooling = .mean
        case ["cls_token"]: pooling = .classification
        case let names: throw modelFolderError("1_Pooling/config.json asks for pooling by \(names), mean_tokens or cls_token is expected")
        }
        let named = encoder._name_or_path.flatMap { $0.split(separator: "/").last } ?? folder.split(separator: "/").last
        name = named.map(String.init) ?? "bert"
        hidden = encoder.hidden_size
        heads = encoder.num_attention_heads
        layers = encoder.num_hidden_layers
        intermediate = encoder.intermediate_size
        vocabulary = encoder.vocab_size
        positions = encoder.max_position_embeddings
        types = encoder.type_vocab_size ?? 2
        epsilon = encoder.layer_norm_eps
        sequence = sentence.max_seq_length
    }

    /// What the vectors depend on beside weights and vocabulary, as text for the model's digest.
    var fingerprint: String {
        "\(hidden)/\(heads)/\(layers)/\(intermediate)/\(vocabulary)/\(positions)/\(epsilon)/\(sequence)/\(pooling.rawValue)"
    }
}
