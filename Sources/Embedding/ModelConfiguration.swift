internal import Base
internal import FoundationEssentials

/// The sizes of a BERT encoder, out of `config.json` and `sentence_bert_config.json`.
struct ModelConfiguration: Sendable {
    /// As the model's makers call it.
    let name: String
    let hidden: Int
    let heads: Int
    let layers: Int
    let intermediate: Int
    let vocabulary: Int
    let positions: Int
    let epsilon: Float
    /// Tokens of the longest text, frame tokens included.
    let sequence: Int

    /// Columns of one head; the kernels are written for it.
    static let headColumns = 32

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
        let layer_norm_eps: Float
    }
    private struct Sentence: Decodable { let max_seq_length: Int }

    private static let fileBytesMax = 1 << 20

    private static func decode<Value: Decodable>(_ type: Value.Type, _ folder: String, _ name: String) throws(ContexError) -> Value {
        let bytes = try readModelFile(folder, name, atMost: fileBytesMax)
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw modelFolderError("\(name) is no JSON with the fields of a BERT sentence model")
        }
    }

    init(folder: String) throws(ContexError) {
        let encoder = try Self.decode(Encoder.self, folder, "config.json")
        let sentence = try Self.decode(Sentence.self, folder, "sentence_bert_config.json")
        func check(_ holds: Bool, _ what: String) throws(ContexError) {
            if !holds { throw modelFolderError("config.json describes a model that this encoder does not run: \(what)") }
        }
        try check(encoder.model_type == "bert", "model_type is \(encoder.model_type), bert is expected")
        try check(encoder.hidden_act == "gelu", "hidden_act is \(encoder.hidden_act), gelu is expected")
        // Upper bounds far above any model that a server runs on a processor, so that no size overflows below.
        let sides = [encoder.hidden_size, encoder.intermediate_size]
        try check(sides.allSatisfy { $0 > 0 && $0 <= 1 << 14 && $0 % 16 == 0 }, "sizes \(sides), multiples of 16 up to 16384 are expected")
        try check(
            encoder.num_attention_heads > 0 && encoder.num_attention_heads <= 512
                && encoder.hidden_size == encoder.num_attention_heads * Self.headColumns,
            "\(encoder.num_attention_heads) heads in \(encoder.hidden_size) columns, \(Self.headColumns) columns a head are expected")
        try check((1...128).contains(encoder.num_hidden_layers), "\(encoder.num_hidden_layers) layers")
        try check((1...1 << 22).contains(encoder.vocab_size), "a vocabulary of \(encoder.vocab_size)")
        try check((2...1 << 14).contains(encoder.max_position_embeddings), "\(encoder.max_position_embeddings) positions")
        try check(encoder.layer_norm_eps >= 0 && encoder.layer_norm_eps < 1, "layer_norm_eps \(encoder.layer_norm_eps)")
        guard sentence.max_seq_length >= 2, sentence.max_seq_length <= encoder.max_position_embeddings else {
            throw modelFolderError("sentence_bert_config.json wants \(sentence.max_seq_length) tokens, 2 to \(encoder.max_position_embeddings) are possible")
        }
        name = encoder._name_or_path?.split(separator: "/").last.map(String.init) ?? "bert"
        hidden = encoder.hidden_size
        heads = encoder.num_attention_heads
        layers = encoder.num_hidden_layers
        intermediate = encoder.intermediate_size
        vocabulary = encoder.vocab_size
        positions = encoder.max_position_embeddings
        epsilon = encoder.layer_norm_eps
        sequence = sentence.max_seq_length
    }
}
