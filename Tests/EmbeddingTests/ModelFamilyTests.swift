// Other models of the family: their sizes and pooling come from the folder.
import Base
import Embedding
import Foundation
import TestSupport
import Testing

struct ModelFamilyTests {
    static let changes: [(name: String, change: @Sendable (inout SyntheticModel) -> Void)] = [
        ("small heads", { _ in }),
        ("[CLS], wide heads, prefix", { ($0.hidden, $0.heads, $0.classification, $0.prefix) = (128, 2, true, "bert.") }),
        ("three groups with a short one", { ($0.hidden, $0.heads, $0.intermediate, $0.layers) = (288, 9, 416, 3) }),
        ("one type of tokens, odd lengths", { ($0.hidden, $0.heads, $0.types, $0.positions, $0.sequence) = (96, 2, 1, 37, 37) }),
    ]

    @Test(arguments: changes.indices, EmbeddingPrecision.allCases)
    func againstDoublePrecision(_ index: Int, _ precision: EmbeddingPrecision) throws {
        let seed = testSeed("againstDoublePrecision \(Self.changes[index].name)")
        let folder = TemporaryFolder()
        let synthetic = SyntheticModel(seed: seed, Self.changes[index].change)
        try synthetic.write(to: folder.url)
        let model = try EmbeddingModel(folder: folder.path, precision: precision)
        #expect(model.dimension == synthetic.hidden && model.sequenceLimit == synthetic.sequence && model.name == "synthetic")
        var random = SeededRandom(seed: seed)
        let sequences = [1, 2, 3, 9, 16, 17, synthetic.sequence].map { length in
            (0..<length).map { _ in Int32.random(in: 0..<Int32(synthetic.words.count), using: &random) }
        }
        for (tokens, vector) in zip(sequences, model.embed(tokens: sequences)) {
            let similarity = cosine(vector, synthetic.vector(tokens).map(Float.init))
            #expect(similarity >= (precision == .float32 ? 0.99999 : 0.995), "\(tokens.count) tokens")
        }
    }

    @Test func otherPoolingAndCasesAreRefused() throws {
        let folder = TemporaryFolder()
        try SyntheticModel(seed: 1) { _ in }.write(to: folder.url)
        func write(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: folder.url.appendingPathComponent(name)) }
        func refusal() throws -> String { try #require(throws: ContexError.self) { try EmbeddingModel(folder: folder.path) }.message }
        #expect(throws: Never.self) { try EmbeddingModel(folder: folder.path) }
        try write("1_Pooling/config.json", "{\"pooling_mode_max_tokens\": true}")
        #expect(try refusal().contains("max_tokens"))
        try write("1_Pooling/config.json", "{\"pooling_mode_mean_tokens\": true, \"pooling_mode_cls_token\": true}")
        #expect(try refusal().contains("1_Pooling/config.json"))
        try write("1_Pooling/config.json", "{\"pooling_mode_mean_tokens\": true}")
        try write("tokenizer_config.json", "{\"do_lower_case\": false}")
        #expect(try refusal().contains("tokenizer_config.json"))
        try write("tokenizer_config.json", "{\"do_lower_case\": true}")
        #expect(throws: Never.self) { try EmbeddingModel(folder: folder.path) }
    }

    @Test func identityFollowsWhatTheVectorsDependOn() throws {
        var identities: Set<String> = []
        for (seed, change) in [
            (UInt64(1), { _ in }), (2, { _ in }), (1, { $0.classification = true }), (1, { $0.heads = 2 }), (1, { $0.sequence = 31 }),
        ] as [(UInt64, (inout SyntheticModel) -> Void)] {
            let folder = TemporaryFolder()
            try SyntheticModel(seed: seed, change).write(to: folder.url)
            let model = try EmbeddingModel(folder: folder.path)
            #expect(model.contentHash.count == 64 && model.identity == "synthetic@" + model.contentHash.prefix(16))
            identities.insert(model.identity)
        }
        #expect(identities.count == 5)
    }
}
