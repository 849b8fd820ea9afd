// The model against the vectors of sentence-transformers, and texts at the edges.
import Embedding
import Foundation
import TestSupport
import Testing
import Tokens

/// One model for all suites of this target; loading it twice would only map it twice.
let sharedModel: EmbeddingModel? = TestData.model.flatMap { try? EmbeddingModel(folder: $0.path) }

/// The same with products in int8 for what is published.
let sharedBytesModel: EmbeddingModel? = TestData.model.flatMap { try? EmbeddingModel(folder: $0.path, precision: .int8) }

func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var product = 0.0
    var squaresA = 0.0
    var squaresB = 0.0
    for (x, y) in zip(a, b) {
        product += Double(x) * Double(y)
        squaresA += Double(x) * Double(x)
        squaresB += Double(y) * Double(y)
    }
    return product / (squaresA * squaresB).squareRoot()
}

struct ReferenceText: Decodable {
    let id: Int
    let text: String

    static func all() throws -> (texts: [String], vectors: [[Float]]) {
        let texts = try TestData.file("embeddings/texts.jsonl").split(separator: 10).map { try JSONDecoder().decode(Self.self, from: Data($0)) }
        let bytes = try [UInt8](TestData.file("embeddings/vectors.f32"))
        let floats = stride(from: 0, to: bytes.count, by: 4).map { at in
            Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) })
        }
        return (texts.map(\.text), texts.map { Array(floats[$0.id * 384..<($0.id + 1) * 384]) })
    }
}

@Suite(.enabled(if: TestData.hasModel))
struct ModelVectorsTests {
    let model: EmbeddingModel

    init() throws { model = try #require(sharedModel) }

    func embed(_ text: String) -> [Float] { model.embed(tokens: [model.tokenizer.ids(text)])[0] }

    @Test(.enabled(if: TestData.hasData))
    func everyReferenceVectorAloneAndInABatch() throws {
        let (texts, expected) = try ReferenceText.all()
        #expect(texts.count == 250)
        let tokens = texts.map { model.tokenizer.ids($0) }
        let sampled = stride(from: 0, to: texts.count, by: 4).map { $0 }
        let together = model.embed(tokens: sampled.map { tokens[$0] })
        var worst = 1.0
        for (index, sequence) in tokens.enumerated() {
            let alone = model.embed(tokens: [sequence])[0]
            let similarity = cosine(alone, expected[index])
            worst = min(worst, similarity)
            #expect(similarity >= 0.99999, "text \(index): \(texts[index].prefix(60))")
            guard index % 4 == 0 else { continue }
            #expect(cosine(together[index / 4], expected[index]) >= 0.99999, "text \(index) in a batch")
            #expect(cosine(together[index / 4], alone) >= 0.999999, "text \(index): a batch must not matter")
        }
        print("worst cosine with the reference: \(worst), kernels \(model.matrixKernels)")
    }

    @Test(.enabled(if: TestData.hasData))
    func bytesStayNearTheReference() throws {
        let (texts, expected) = try ReferenceText.all()
        let bytes = try #require(sharedBytesModel)
        #expect(bytes.identity == model.identity && bytes.precision == .int8)
        let vectors = bytes.embed(tokens: texts.map { model.tokenizer.ids($0) })
        var (worst, sum) = (1.0, 0.0)
        for (index, vector) in vectors.enumerated() {
            let similarity = cosine(vector, expected[index])
            worst = min(worst, similarity)
            sum += similarity
            #expect(similarity >= 0.9992, "text \(index): \(texts[index].prefix(60))")
        }
        let mean = sum / Double(texts.count)
        #expect(mean >= 0.99985)
        print("int8: worst cosine with the reference \(worst), mean \(mean)")
    }

    /// What shares a batch with a text leaves no bit of its vector changed, in either precision.
    @Test(arguments: EmbeddingPrecision.allCases)
    func aBatchChangesNoBit(_ precision: EmbeddingPrecision) throws {
        let model = try #require(sharedBytesModel)
        let texts = (0..<40).map { "entry \($0) of many " + String(repeating: "lorem ipsum ", count: $0 * 7 % 61) } + ["", "one", "two words"]
        let tokens = texts.map { model.tokenizer.ids($0) }
        let together = model.embed(tokens: tokens, in: precision)
        let backwards = model.embed(tokens: tokens.reversed(), in: precision)
        for (index, sequence) in tokens.enumerated() {
            let alone = model.embed(tokens: [sequence], in: precision)[0].map(\.bitPattern)
            #expect(together[index].map(\.bitPattern) == alone, "text \(index)")
            #expect(backwards[tokens.count - 1 - index].map(\.bitPattern) == alone, "text \(index)")
        }
    }

    /// A model for bytes answers questions as one for float32 does.
    @Test func float32IsTheSameInBothModels() throws {
        let bytes = try #require(sharedBytesModel)
        let tokens = ["how do agents get the context they need", "", "Bananas are rich in potassium"].map { model.tokenizer.ids($0) }
        #expect(bytes.embed(tokens: tokens, in: .float32) == model.embed(tokens: tokens))
        #expect(bytes.embed(tokens: tokens) == bytes.embed(tokens: tokens, in: .int8))
        #expect(bytes.embed(tokens: tokens) != model.embed(tokens: tokens))
    }

    @Test(arguments: [
        "", " \n\t", "\u{0}", "a\u{0}b", "\u{1F600}\u{1F468}\u{200D}\u{1F469}", "\u{10FFFD}\u{E000}", "\u{0301}\u{0301}", "[MASK]", "\u{0C77}",
    ])
    func oddTextsHaveUnitVectors(_ text: String) {
        let vector = embed(text)
        #expect(vector.count == 384)
        let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }
        #expect(abs(length - 1) < 1e-5)
    }

    /// Pieces and first components as sentence-transformers 6.2.0 gives them. A lone surrogate, which its tokenizer refuses, cannot
    /// be in a String.
    @Test(arguments: [
        ("", [], [-0.118838, 0.048299, -0.002548, -0.011011]),
        (" \n\t", [], [-0.118838, 0.048299, -0.002548, -0.011011]),
        ("\u{0}", [], [-0.118838, 0.048299, -0.002548, -0.011011]),
        ("a\u{0}b", [11_113], [-0.024979, 0.02941, -0.060809, 0.054342]),
        ("\u{1F600}\u{1F468}\u{200D}\u{1F469}\u{1F680}", [100], [-0.041596, -0.024682, 0.077893, -0.006149]),
        ("\u{2764}\u{FE0F} \u{1F44D}\u{1F3FD}", [100, 100], [0.004037, 0.015092, 0.08048, 0.001147]),
        ("\u{10FFFD}\u{E000}", [], [-0.118838, 0.048299, -0.002548, -0.011011]),
        ("\u{301}\u{301}", [], [-0.118838, 0.048299, -0.002548, -0.011011]),
        ("\u{C77}", [100], [-0.041596, -0.024682, 0.077893, -0.006149]),
        (String(repeating: "x", count: 1 << 20), [100], [-0.041596, -0.024682, 0.077893, -0.006149]),
    ] as [(String, [Int32], [Double])])
    func oddTextsAreThoseOfSentenceTransformers(_ text: String, pieces: [Int32], components: [Double]) {
        #expect(model.tokenizer.ids(text) == [101] + pieces + [102])
        for (component, expected) in zip(embed(text), components) { #expect(abs(Double(component) - expected) < 2e-4) }
    }

    @Test func aMegabyteOfOneWordIsOneUnknownWord() {
        #expect(embed(String(repeating: "x", count: 1 << 20)) == embed("\u{10FFFF}"))
    }

    @Test func whatTheModelDoesNotSeeChangesNothing() {
        #expect(embed("Caf\u{E9}") == embed("cafe\u{301}\u{0}"))
        #expect(embed("") == embed(" \n"))
    }

    @Test func meaningIsNear() {
        let question = embed("How do I reset my password?")
        #expect(cosine(question, embed("Steps to recover account access")) > cosine(question, embed("Bananas are rich in potassium")))
    }

    @Test func emptyBatch() { #expect(model.embed(tokens: []).isEmpty) }

    @Test func threadsDoNotDisturbEachOther() async {
        let texts = (0..<64).map { "text number \($0) " + String(repeating: "word ", count: $0) }
        let expected = texts.map { embed($0) }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for (index, text) in texts.enumerated() { #expect(embed(text) == expected[index]) }
                }
            }
        }
    }

    @Test func identityIsStable() throws {
        #expect(model.dimension == 384)
        #expect(model.sequenceLimit == 256)
        #expect(try EmbeddingModel(folder: #require(TestData.model).path).identity == model.identity)
    }
}
