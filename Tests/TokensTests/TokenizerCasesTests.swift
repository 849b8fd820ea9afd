// The 1,000 cases that the reference libraries answered, and texts made to hurt.
import Base
import Foundation
import TestSupport
import Testing
import Tokens

struct TokenizerCase: Decodable {
    let id: Int
    let text: String
    let wordpiece_ids: [Int32]
    let cl100k_ids: [Int32]
    let cl100k_count: Int

    static func all() throws -> [TokenizerCase] {
        try TestData.file("tokenizers/cases.jsonl").split(separator: 10).map { try JSONDecoder().decode(TokenizerCase.self, from: Data($0)) }
    }
}

func wordPieces() throws -> WordPieceTokenizer {
    try WordPieceTokenizer(vocabulary: [UInt8](TestData.file("tokenizers/minilm/vocab.txt")))
}
func cl100k() throws -> CL100KTokenizer {
    try CL100KTokenizer(ranks: [UInt8](TestData.file("tokenizers/cl100k_base.tiktoken")))
}

@Suite(.enabled(if: TestData.hasData))
struct TokenizerCasesTests {
    @Test func everyCaseOfWordPiece() throws {
        let tokenizer = try wordPieces()
        let cases = try TokenizerCase.all()
        #expect(cases.count == 1_000)
        for item in cases {
            let ids = tokenizer.ids(item.text, limit: nil)
            #expect(ids == item.wordpiece_ids, "case \(item.id): \(item.text.prefix(80))")
            var cut = item.wordpiece_ids
            if cut.count > 256 { cut = Array(cut.prefix(255)) + [102] }
            #expect(tokenizer.ids(item.text) == cut, "case \(item.id) at 256")
        }
    }

    @Test func everyCaseOfCL100K() throws {
        let tokenizer = try cl100k()
        for item in try TokenizerCase.all() {
            #expect(tokenizer.ids(item.text) == item.cl100k_ids, "case \(item.id): \(item.text.prefix(80))")
            #expect(tokenizer.count(item.text) == item.cl100k_count)
            #expect(tokenizer.text(item.cl100k_ids.map(Int.init)) == item.text, "case \(item.id)")
        }
    }

    /// Longer than any word: it is counted in parts, whatever stands around it.
    @Test func wordsOfMegabytesAreCountedInParts() throws {
        let tokenizer = try cl100k()
        let long = String(repeating: "ab", count: 1_200_000)
        let whole = tokenizer.ids("a word, \(long) and words").count
        let counted = tokenizer.count("a word, \(long) and words")
        #expect(abs(counted - whole) <= 4, "\(counted) of \(whole)")
    }

    @Test func textsOfIdsThatAreNone() throws {
        let tokenizer = try cl100k()
        #expect(tokenizer.text([]) == "")
        #expect(tokenizer.text([9906, 1917]) == "Hello world")
        // Half a character: the tokens of an emoji, one by one.
        #expect(tokenizer.ids("\u{1F680}").allSatisfy { tokenizer.text([Int($0)])?.unicodeScalars.allSatisfy { $0 == "\u{FFFD}" } == true })
        for bad in [-1, 100_256, 100_257, 1 << 40, .max, .min] { #expect(tokenizer.text([9906, bad]) == nil) }
    }

    @Test func emptyTextIsTheTwoFrameTokens() throws {
        #expect(try wordPieces().ids("") == [101, 102])
        #expect(try wordPieces().ids(" \u{0}\u{200B}\n") == [101, 102])
        #expect(try cl100k().ids("").isEmpty)
    }

    @Test func limitsCountTheFrameTokens() throws {
        let tokenizer = try wordPieces()
        #expect(tokenizer.ids("one two three", limit: 4) == [101, 2028, 2048, 102])
        #expect(tokenizer.ids("unaffable", limit: 3).count == 3)
        #expect(tokenizer.ids("one", limit: 2) == [101, 102])
        #expect(tokenizer.ids("one", limit: 0) == [101, 102])
    }

    @Test func specialTokensInTextAreTakenAsTheLibraryTakesThem() throws {
        #expect(try wordPieces().ids("a[MASK]b [CLS]") == [101, 1037, 103, 1038, 101, 102])
        #expect(try wordPieces().ids("[mask]").count > 3)
    }

    /// The limit is what a quadratic merger would not keep on an idle machine, and a linear one keeps on a busy one.
    @Test(.timeLimit(.minutes(10)))
    func aMegabyteWithoutASpaceIsNotQuadratic() throws {
        let million = String(repeating: "a", count: 1 << 20)
        #expect(try wordPieces().ids(million) == [101, 100, 102])
        // Eight letters a token, as in the cases of 512 letters.
        #expect(try cl100k().count(million) == (1 << 20) / 8)
        #expect(try cl100k().count(String(repeating: " ", count: 1 << 20)) > 1_000)
        #expect(try cl100k().count(String(repeating: "\u{1F600}", count: 1 << 18)) > 1_000)
    }

    /// Pieces just below and above the length at which the merger changes its method.
    @Test func bothMergersAgree() throws {
        let tokenizer = try cl100k()
        var random = SeededRandom(seed: testSeed("bothMergersAgree"))
        let letters = Array("etaoinshrdlucmfwyp")
        for _ in 0..<300 {
            let word = String((0..<Int.random(in: 90...100, using: &random)).map { _ in letters.randomElement(using: &random)! })
            let short = tokenizer.ids(word)
            // A long word that ends in a rare letter: its first tokens are those of the short one, up to the seam.
            let long = tokenizer.ids(word + String(repeating: "\u{11A8}", count: 10))
            #expect(long.prefix(short.count - 4) == short.prefix(short.count - 4), "\(word)")
        }
    }
}
