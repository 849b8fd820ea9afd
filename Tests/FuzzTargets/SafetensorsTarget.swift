internal import Base
internal import Embedding
internal import Foundation
internal import TestSupport

extension FuzzTargets {
    /// A model folder with a vocabulary of eleven pieces; the weights are what is fuzzed.
    private static let model: TemporaryFolder = {
        let folder = TemporaryFolder()
        let configuration = """
            {"model_type": "bert", "hidden_act": "gelu", "hidden_size": 32, "num_attention_heads": 1, "num_hidden_layers": 1,
             "intermediate_size": 32, "vocab_size": 11, "max_position_embeddings": 8, "layer_norm_eps": 1e-12}
            """
        let files = [("config.json", configuration), ("sentence_bert_config.json", #"{"max_seq_length": 8}"#), ("vocab.txt", String(decoding: smallVocabulary, as: UTF8.self))]
        for (name, text) in files { try! Data(text.utf8).write(to: folder.url.appendingPathComponent(name)) }
        return folder
    }()

    private static func file(header: String, data: Int) -> [UInt8] {
        let header = Array(header.utf8)
        return (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + [UInt8](repeating: 0, count: data)
    }

    static let safetensors = FuzzTarget(
        "safetensors", "any bytes as model.safetensors are refused in one line",
        seeds: {
            let embeddings = #"{"embeddings.word_embeddings.weight": {"dtype": "F32", "shape": [11, 32], "data_offsets": [0, 1408]}, "#
            let positions = #""embeddings.position_embeddings.weight": {"dtype": "F32", "shape": [8, 32], "data_offsets": [1408, 2432]}}  "#
            return [file(header: embeddings + positions, data: 2_432), file(header: "{}", data: 0), file(header: #"{"__metadata__": {"a": "b"}}"#, data: 3)]
        }
    ) { input in
        try Data(input).write(to: model.url.appendingPathComponent("model.safetensors"))
        do {
            _ = try EmbeddingModel(folder: model.path)
            throw FuzzFinding("a file of \(input.count) bytes was taken for the weights")
        } catch let error as ContexError {
            try require(error.category == .unavailable && !error.message.contains("\n"), "refused as \(error)")
        }
    }
}
