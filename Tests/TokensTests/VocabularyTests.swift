// Vocabularies that are damaged are refused, with the line.
import TestSupport
import Testing
import Tokens

struct VocabularyTests {
    @Test func aVocabularyNeedsItsFramePieces() {
        #expect(throws: TokensError.self) { try WordPieceTokenizer(vocabulary: []) }
        #expect(throws: TokensError.self) { try WordPieceTokenizer(vocabulary: Array("[UNK]\n[CLS]\na\n".utf8)) }
        #expect(throws: Never.self) { try WordPieceTokenizer(vocabulary: Array("[UNK]\n[CLS]\n[SEP]\na\n##b".utf8)) }
    }

    @Test func aPieceThatOccursTwiceIsNamed() throws {
        let error = try #require(throws: TokensError.self) { try WordPieceTokenizer(vocabulary: Array("[UNK]\n[CLS]\n[SEP]\na\na\n".utf8)) }
        #expect(error.line == 5)
        #expect(error.description.hasPrefix("vocab.txt, line 5"))
    }

    @Test func smallVocabularyCutsGreedily() throws {
        let tokenizer = try WordPieceTokenizer(vocabulary: Array("[UNK]\r\n[CLS]\r\n[SEP]\r\nun\r\n##aff\r\n##able\r\n##a\r\n".utf8))
        #expect(tokenizer.ids("UNaffable") == [1, 3, 4, 5, 2])
        #expect(tokenizer.ids("unb") == [1, 0, 2])
    }

    @Test(arguments: ["IQ== 0\nIg", "IQ==0\n", "IQ= 0\n", "IQ== x\n", "IQ== 0 1\n", "IQ== 0\nIQ== 1\n", "IQ== 0\n", "\u{0}\u{1}", "IQ== 99999999999\n"])
    func damagedRanksAreRefused(_ text: String) {
        #expect(throws: TokensError.self) { try CL100KTokenizer(ranks: Array(text.utf8)) }
    }

    @Test(.enabled(if: TestData.hasData))
    func truncatedRanksAreRefused() throws {
        let whole = [UInt8](try TestData.file("tokenizers/cl100k_base.tiktoken"))
        // Cut before all single bytes are there, and inside a line.
        #expect(throws: TokensError.self) { try CL100KTokenizer(ranks: Array(whole.prefix(1_000))) }
        #expect(throws: TokensError.self) { try CL100KTokenizer(ranks: Array(whole.prefix(100_001))) }
    }
}
