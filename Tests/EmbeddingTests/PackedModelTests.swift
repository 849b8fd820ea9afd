// The packed file beside a model: made once, taken while the source is the same, made anew when it is damaged or the source changed.
import Base
import Embedding
import Foundation
import Hashing
import TestSupport
import Testing

struct PackedModelTests {
    let folder = TemporaryFolder()
    let tokens: [[Int32]] = [[2, 5, 6, 7, 3], [2, 9, 3]]

    init() throws { try SyntheticModel(seed: 7) { _ in }.write(to: folder.url) }

    func url(_ name: String) -> URL { folder.url.appendingPathComponent(name) }
    func model(_ precision: EmbeddingPrecision = .float32) throws -> EmbeddingModel { try EmbeddingModel(folder: folder.path, precision: precision) }
    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains("packed") }.sorted() }

    @Test(arguments: EmbeddingPrecision.allCases)
    func madeOnceAndMappedThen(_ precision: EmbeddingPrecision) throws {
        let first = try model(precision)
        #expect(first.isMapped)
        // The products in int8 are beside the whole model, which questions are asked with.
        #expect(try names() == (precision == .int8 ? ["model.float32.packed", "model.int8.packed"] : ["model.float32.packed"]))
        let packed = url("model.\(precision.rawValue).packed")
        let bytes = try Data(contentsOf: packed)
        let second = try model(precision)
        #expect(second.isMapped && second.identity == first.identity)
        #expect(second.embed(tokens: tokens) == first.embed(tokens: tokens))
        #expect(try Data(contentsOf: packed) == bytes)
        let mode = try #require(try FileManager.default.attributesOfItem(atPath: packed.path)[.posixPermissions] as? Int)
        #expect(mode == 0o644)
    }

    @Test func precisionsHaveOneIdentity() throws {
        #expect(try model(.float32).identity == model(.int8).identity)
        #expect(try model(.int8).embed(tokens: tokens, in: .float32) == model(.float32).embed(tokens: tokens))
    }

    /// What int8 is packed by is the same each time.
    @Test func packingTwiceGivesTheSameBytes() throws {
        _ = try model(.int8)
        let first = try Data(contentsOf: url("model.int8.packed"))
        try FileManager.default.removeItem(at: url("model.int8.packed"))
        _ = try model(.int8)
        #expect(try Data(contentsOf: url("model.int8.packed")) == first)
    }

    /// A folder in the place of the packed file stands for a model folder that cannot be written.
    @Test(arguments: EmbeddingPrecision.allCases)
    func whatCannotBeWrittenStaysInMemory(_ precision: EmbeddingPrecision) throws {
        let expected = try model(precision).embed(tokens: tokens)
        let name = "model.\(precision.rawValue).packed"
        let before = try names()
        try FileManager.default.removeItem(at: url(name))
        try FileManager.default.createDirectory(at: url(name), withIntermediateDirectories: false)
        let inMemory = try model(precision)
        #expect(!inMemory.isMapped)
        #expect(inMemory.embed(tokens: tokens) == expected)
        #expect(try names() == before, "no half-written file is left")
    }

    @Test(arguments: EmbeddingPrecision.allCases)
    func everyDamageIsFoundAndRepaired(_ precision: EmbeddingPrecision) throws {
        let expected = try model(precision).embed(tokens: tokens)
        let packed = url("model.\(precision.rawValue).packed")
        let whole = try Data(contentsOf: packed)
        var random = SeededRandom(seed: testSeed("everyDamageIsFoundAndRepaired"))
        func damage(_ bytes: Data, _ what: String) throws {
            try bytes.write(to: packed)
            let repaired = try model(precision)
            #expect(repaired.embed(tokens: tokens) == expected && repaired.isMapped, "\(what)")
            #expect(try Data(contentsOf: packed) == whole, "\(what)")
        }
        // Of the header only the first 112 bytes mean something; all of the payload does. The header is read by the same lines for both.
        let header = Array(stride(from: 0, to: 112, by: precision == .float32 ? 1 : 8))
        for place in header + (0..<header.count).map({ _ in Int.random(in: 4_096..<whole.count, using: &random) }) {
            var bytes = whole
            bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            try damage(bytes, "byte \(place)")
        }
        for length in [0, 1, 100, 4_095, 4_096, whole.count - 1] { try damage(whole.prefix(length), "cut to \(length)") }
        try damage(whole + Data([0]), "one byte more")
    }

    @Test(arguments: EmbeddingPrecision.allCases)
    func aNewSourceIsPackedAnew(_ precision: EmbeddingPrecision) throws {
        let first = try model(precision)
        try SyntheticModel(seed: 8) { _ in }.write(to: folder.url)
        let second = try model(precision)
        #expect(second.identity != first.identity)
        #expect(second.embed(tokens: tokens) != first.embed(tokens: tokens))
        // The first one's file was replaced, not written into: its pages are still what they were.
        try SyntheticModel(seed: 7) { _ in }.write(to: folder.url)
        #expect(try model(precision).embed(tokens: tokens) == first.embed(tokens: tokens))
    }

    @Test func sumsThatDoNotHoldRefuse() throws {
        func sums() throws -> String {
            try ["model.safetensors", "vocab.txt", "config.json", "sentence_bert_config.json", "1_Pooling/config.json"].map {
                SHA256.digest(try [UInt8](Data(contentsOf: url($0)))).hex + "  \($0)"
            }.joined(separator: "\n") + "\n"
        }
        let good = try sums()
        try Data(good.utf8).write(to: url("SHA256SUMS"))
        let expected = try model().identity
        #expect(try model().identity == expected)
        for name in ["model.safetensors", "vocab.txt", "config.json", "sentence_bert_config.json", "1_Pooling/config.json"] {
            let bytes = try Data(contentsOf: url(name))
            var flipped = bytes
            // The last blank of JSON, a letter of a word, a bit of a weight: all would load without the sums.
            if name.hasSuffix(".json") { flipped.append(10) } else { flipped[flipped.count - 2] ^= 1 }
            try flipped.write(to: url(name))
            let error = try #require(throws: ContexError.self, "\(name)") { try model() }
            #expect(error.category == .unavailable && error.message.contains(name) && error.message.contains("SHA256SUMS"), "\(error.message)")
            try bytes.write(to: url(name))
        }
        #expect(try model().identity == expected)
        // The packed file is good, but not of the source that the sums want.
        try Data(good.replacingOccurrences(of: good.prefix(8), with: "00000000").utf8).write(to: url("SHA256SUMS"))
        #expect(throws: ContexError.self) { try model() }
        try Data("no digest\n".utf8).write(to: url("SHA256SUMS"))
        #expect(throws: ContexError.self) { try model() }
    }

    @Test(arguments: [
        ("embeddings.word_embeddings.weight", 70_000), ("embeddings.word_embeddings.weight", .nan), ("embeddings.position_embeddings.weight", .nan),
        ("encoder.layer.1.output.dense.weight", -.infinity), ("encoder.layer.0.output.dense.bias", .nan), ("embeddings.LayerNorm.bias", .infinity),
    ] as [(String, Float)], EmbeddingPrecision.allCases)
    func weightsThatAreNoNumbersRefuse(_ fault: (name: String, value: Float), _ precision: EmbeddingPrecision) throws {
        var synthetic = SyntheticModel(seed: 7) { _ in }
        synthetic.tensors[fault.name]!.values[17] = fault.value
        try synthetic.write(to: folder.url)
        let error = try #require(throws: ContexError.self) { try model(precision) }
        #expect(error.message.contains("65504"))
        #expect(try names().isEmpty)
    }

    @Test func manyAtOnce() async throws {
        let identities = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 { group.addTask { try model(.int8).identity } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(identities.count == 1)
        #expect(try names() == ["model.float32.packed", "model.int8.packed"])
        #expect(try model(.int8).isMapped)
    }
}
