// A model folder that is missing, cut or altered: one clear line, no crash.
import Base
import Embedding
import Foundation
import TestSupport
import Testing

@Suite(.enabled(if: TestData.hasModel))
struct DamagedModelTests {
    static let small = ["config.json", "sentence_bert_config.json", "vocab.txt"]

    /// A folder with the real model's files, linked; tests replace the one they damage.
    let folder = TemporaryFolder()
    let original: URL

    init() throws {
        original = try #require(TestData.model)
        for name in Self.small + ["model.safetensors"] {
            try FileManager.default.createSymbolicLink(at: folder.url.appendingPathComponent(name), withDestinationURL: original.appendingPathComponent(name))
        }
    }

    func replace(_ name: String, _ bytes: Data?) throws {
        let url = folder.url.appendingPathComponent(name)
        try FileManager.default.removeItem(at: url)
        if let bytes { try bytes.write(to: url) }
    }

    func expectRefusal(naming words: String..., sourceLocation: SourceLocation = #_sourceLocation) throws {
        let error = try #require(throws: ContexError.self, sourceLocation: sourceLocation) { try EmbeddingModel(folder: folder.path) }
        #expect(error.category == .unavailable, sourceLocation: sourceLocation)
        #expect(error.message.contains("tools/setup") && !error.message.contains("\n"), sourceLocation: sourceLocation)
        for word in words { #expect(error.message.contains(word), "\(error.message)", sourceLocation: sourceLocation) }
    }

    static func littleEndian(_ value: UInt64) -> Data { Data((0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }) }

    /// The header of the real file, changed, before its data.
    func replaceHeader(_ change: (String) -> String) throws {
        let handle = try FileHandle(forReadingFrom: original.appendingPathComponent("model.safetensors"))
        let whole = try #require(try handle.readToEnd())
        let length = whole.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var header = Data(change(String(decoding: whole[8..<8 + length], as: UTF8.self)).utf8)
        while header.count % 8 != 0 { header.append(32) }
        try replace("model.safetensors", Self.littleEndian(UInt64(header.count)) + header + whole[(8 + length)...])
    }

    @Test func theLinkedFolderIsGood() throws { #expect(throws: Never.self) { try EmbeddingModel(folder: folder.path) } }

    @Test func missingFolder() throws {
        let error = try #require(throws: ContexError.self) { try EmbeddingModel(folder: "/nowhere/at/all") }
        #expect(error.message.contains("config.json"))
    }

    @Test(arguments: small + ["model.safetensors"])
    func missingFile(_ name: String) throws {
        try replace(name, nil)
        try expectRefusal(naming: name)
    }

    @Test(arguments: small + ["model.safetensors"])
    func emptyFileAndFolderInPlaceOfAFile(_ name: String) throws {
        try replace(name, Data())
        try expectRefusal(naming: name)
        try replace(name, nil)
        try FileManager.default.createDirectory(at: folder.url.appendingPathComponent(name), withIntermediateDirectories: true)
        try expectRefusal(naming: name)
    }

    @Test(arguments: [1, 7, 8, 100, 11_415, 11_416, 1_000_000, 90_000_000])
    func truncatedWeights(_ size: Int) throws {
        try replace("model.safetensors", Data(contentsOf: original.appendingPathComponent("model.safetensors")).prefix(size))
        try expectRefusal(naming: "model.safetensors")
    }

    @Test(arguments: [UInt64.max, 1 << 63, 1 << 40, 91_000_000, 0, 1])
    func wrongHeaderLength(_ length: UInt64) throws {
        var bytes = try Data(contentsOf: original.appendingPathComponent("model.safetensors"))
        bytes.replaceSubrange(0..<8, with: Self.littleEndian(length))
        try replace("model.safetensors", bytes)
        try expectRefusal(naming: "model.safetensors")
    }

    @Test func alteredHeaders() throws {
        let key = "encoder.layer.3.output.dense.weight"
        try replaceHeader { $0.replacingOccurrences(of: key, with: "encoder.layer.3.output.dense.weighs") }
        try expectRefusal(naming: key)
        try replaceHeader { $0.replacingOccurrences(of: "[30522,384]", with: "[30521,384]") }
        try expectRefusal(naming: "word_embeddings", "[30521, 384]")
        try replaceHeader { $0.replacingOccurrences(of: "[2,384]", with: "[-2,-384]") }
        try expectRefusal(naming: "token_type_embeddings")
        try replaceHeader { $0.replacingOccurrences(of: "\"F32\"", with: "\"F16\"") }
        try expectRefusal(naming: "F16")
        try replaceHeader { $0.replacingOccurrences(of: "[793600,796672]", with: "[793600,796668]") }
        try expectRefusal(naming: "token_type_embeddings")
        try replaceHeader { $0.replacingOccurrences(of: "[793600,796672]", with: "[796672,793600]") }
        try expectRefusal(naming: "token_type_embeddings")
        try replaceHeader { $0.replacingOccurrences(of: "[793600,796672]", with: "[793600,9223372036854775807]") }
        try expectRefusal(naming: "token_type_embeddings")
        try replaceHeader { $0.replacingOccurrences(of: "[793600,796672]", with: "[793600,99999999999999999999999]") }
        try expectRefusal(naming: "model.safetensors")
        try replaceHeader { $0.replacingOccurrences(of: "[793600,796672]", with: "[793601,796673]") }
        try expectRefusal(naming: "aligned")
        try replaceHeader { _ in String(repeating: "[", count: 4_096) }
        try expectRefusal(naming: "model.safetensors")
    }

    @Test func otherArchitectures() throws {
        let config = try String(contentsOf: original.appendingPathComponent("config.json"), encoding: .utf8)
        for (old, new, word) in [
            ("\"model_type\": \"bert\"", "\"model_type\": \"mpnet\"", "mpnet"), ("\"gelu\"", "\"relu\"", "relu"),
            ("\"hidden_size\": 384", "\"hidden_size\": 768", "word_embeddings"),
            ("\"num_attention_heads\": 12", "\"num_attention_heads\": 11", "heads"),
            ("\"num_hidden_layers\": 6", "\"num_hidden_layers\": 7", "encoder.layer.6"),
            ("\"vocab_size\": 30522", "\"vocab_size\": 9", "vocab.txt"), ("\"intermediate_size\": 1536", "\"intermediate_size\": -16", "sizes"),
            ("{", "[", "config.json"),
        ] {
            try replace("config.json", Data(config.replacingOccurrences(of: old, with: new).utf8))
            try expectRefusal(naming: word)
        }
    }

    @Test func vocabularyOfAnotherModel() throws {
        let words = try Data(contentsOf: original.appendingPathComponent("vocab.txt"))
        try replace("vocab.txt", words + Data("onemoreword\n".utf8))
        try expectRefusal(naming: "vocab.txt", "30523")
        try replace("vocab.txt", words.prefix(5_000))
        try expectRefusal(naming: "vocab.txt")
    }

    @Test func identityFollowsTheWeights() throws {
        var bytes = try Data(contentsOf: original.appendingPathComponent("model.safetensors"))
        bytes[bytes.count - 384 * 384 * 4 + 10] ^= 1
        try replace("model.safetensors", bytes)
        #expect(try EmbeddingModel(folder: folder.path).identity != sharedModel?.identity)
    }
}
