// Small BERT models with random weights, as sentence-transformers would lay them out, and a forward pass over them in double
// precision that shares no code with the encoder.
import Base
import Foundation
import TestSupport

struct SyntheticModel {
    var hidden = 64
    var heads = 4
    var layers = 2
    var intermediate = 128
    var positions = 40
    var sequence = 32
    var types = 2
    var classification = false
    var prefix = ""
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + "abcdefghijklmnopqrstuvwxyz".map { String($0) }

    /// By tensor name, without prefix.
    var tensors: [String: (shape: [Int], values: [Float])] = [:]

    init(seed: UInt64, _ change: (inout Self) -> Void) {
        change(&self)
        var random = SeededRandom(seed: seed)
        func add(_ name: String, _ shape: [Int], around middle: Double = 0, scale: Double) {
            tensors[name] = (shape, (0..<shape.reduce(1, *)).map { _ in Float(middle + (random.unit() * 2 - 1) * scale) })
        }
        func addNorm(_ name: String) {
            add(name + ".weight", [hidden], around: 1, scale: 0.3)
            add(name + ".bias", [hidden], scale: 0.2)
        }
        add("embeddings.word_embeddings.weight", [words.count, hidden], scale: 1)
        add("embeddings.position_embeddings.weight", [positions, hidden], scale: 0.5)
        add("embeddings.token_type_embeddings.weight", [types, hidden], scale: 0.5)
        addNorm("embeddings.LayerNorm")
        for layer in 0..<layers {
            let name = "encoder.layer.\(layer)."
            for (linear, outputs, depth) in [
                ("attention.self.query", hidden, hidden), ("attention.self.key", hidden, hidden), ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden), ("intermediate.dense", intermediate, hidden), ("output.dense", hidden, intermediate),
            ] {
                add(name + linear + ".weight", [outputs, depth], scale: 2 / Double(depth).squareRoot())
                add(name + linear + ".bias", [outputs], scale: 0.2)
            }
            addNorm(name + "attention.output.LayerNorm")
            addNorm(name + "output.LayerNorm")
        }
    }

    func write(to folder: URL) throws {
        let config: [String: Any] = [
            "model_type": "bert", "hidden_act": "gelu", "hidden_size": hidden, "num_attention_heads": heads, "num_hidden_layers": layers,
            "intermediate_size": intermediate, "vocab_size": words.count, "max_position_embeddings": positions, "type_vocab_size": types,
            "layer_norm_eps": 1e-12, "_name_or_path": "makers/synthetic",
        ]
        try JSONSerialization.data(withJSONObject: config).write(to: folder.appendingPathComponent("config.json"))
        try Data("{\"max_seq_length\": \(sequence)}".utf8).write(to: folder.appendingPathComponent("sentence_bert_config.json"))
        try Data((words.joined(separator: "\n") + "\n").utf8).write(to: folder.appendingPathComponent("vocab.txt"))
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("1_Pooling"), withIntermediateDirectories: true)
        try Data("{\"pooling_mode_cls_token\": \(classification), \"pooling_mode_mean_tokens\": \(!classification)}".utf8)
            .write(to: folder.appendingPathComponent("1_Pooling/config.json"))
        var header: [String: Any] = ["__metadata__": ["format": "pt"]]
        var data = Data()
        for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
            let bytes = tensor.values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * $0)) } }
            header[prefix + name] = ["dtype": "F32", "shape": tensor.shape, "data_offsets": [data.count, data.count + bytes.count]]
            data += bytes
        }
        var json = try JSONSerialization.data(withJSONObject: header)
        while json.count % 8 != 0 { json.append(32) }
        try (DamagedModelTests.littleEndian(UInt64(json.count)) + json + data).write(to: folder.appendingPathComponent("model.safetensors"))
    }

    /// The unit vector of a sequence, in double precision.
    func vector(_ tokens: [Int32]) -> [Double] {
        func values(_ name: String) -> [Double] { tensors[name]!.values.map(Double.init) }
        func norm(_ x: [Double], _ name: String) -> [Double] {
            let (scale, shift) = (values(name + ".weight"), values(name + ".bias"))
            let mean = x.reduce(0, +) / Double(hidden)
            let deviation = (x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(hidden) + 1e-12).squareRoot()
            return x.indices.map { (x[$0] - mean) / deviation * scale[$0] + shift[$0] }
        }
        func linear(_ x: [Double], _ name: String) -> [Double] {
            let (weight, bias) = (values(name + ".weight"), values(name + ".bias"))
            return bias.indices.map { output in x.indices.reduce(bias[output]) { $0 + x[$1] * weight[output * x.count + $1] } }
        }
        let (word, position) = (values("embeddings.word_embeddings.weight"), values("embeddings.position_embeddings.weight"))
        let type = values("embeddings.token_type_embeddings.weight")
        var rows = tokens.enumerated().map { place, token in
            norm((0..<hidden).map { word[Int(token) * hidden + $0] + position[place * hidden + $0] + type[$0] }, "embeddings.LayerNorm")
        }
        let width = hidden / heads
        for layer in 0..<layers {
            let name = "encoder.layer.\(layer)."
            let parts = ["query", "key", "value"].map { part in rows.map { linear($0, name + "attention.self." + part) } }
            let context = rows.indices.map { row in
                (0..<heads).flatMap { head -> [Double] in
                    let columns = head * width..<(head + 1) * width
                    let scores = rows.indices.map { other in columns.reduce(0.0) { $0 + parts[0][row][$1] * parts[1][other][$1] } / Double(width).squareRoot() }
                    let weights = scores.map { exp($0 - scores.max()!) }
                    let total = weights.reduce(0, +)
                    return columns.map { column in rows.indices.reduce(0.0) { $0 + weights[$1] * parts[2][$1][column] } / total }
                }
            }
            rows = rows.indices.map { row in
                let attended = linear(context[row], name + "attention.output.dense")
                let mixed = norm(zip(attended, rows[row]).map { $0 + $1 }, name + "attention.output.LayerNorm")
                let wide = linear(mixed, name + "intermediate.dense").map { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }
                return norm(zip(linear(wide, name + "output.dense"), mixed).map { $0 + $1 }, name + "output.LayerNorm")
            }
        }
        let pooled = (0..<hidden).map { column in
            classification ? rows[0][column] : rows.reduce(0) { $0 + $1[column] } / Double(rows.count)
        }
        let length = pooled.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return pooled.map { $0 / length }
    }
}
