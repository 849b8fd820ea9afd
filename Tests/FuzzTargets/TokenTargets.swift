internal import Foundation
internal import TestSupport
internal import Tokens

extension FuzzTargets {
    static let tokens: [FuzzTarget] = [wordPiece, cl100k, vocabulary, ranks, slowTokens]

    /// The model's own files where tools/setup has unpacked them, nil without.
    private static let files: (pieces: WordPieceTokenizer, ranks: CL100KTokenizer)? = {
        guard let folder = TestData.model,
            let vocabulary = try? Data(contentsOf: folder.appendingPathComponent("vocab.txt")),
            let ranks = try? Data(contentsOf: folder.appendingPathComponent("cl100k_base.tiktoken")),
            let pieces = try? WordPieceTokenizer(vocabulary: Array(vocabulary)), let tokenizer = try? CL100KTokenizer(ranks: Array(ranks))
        else { return nil }
        return (pieces, tokenizer)
    }()

    /// All bytes, and a few pairs: enough of an alphabet for the merging to have something to do.
    static let smallRanks: [UInt8] = {
        var text = ""
        let pairs = ["th", "he", "the", " t", " the", "00", "\n\n"].map { Array($0.utf8) }
        for (rank, bytes) in ((0...255).map { [UInt8($0)] } + pairs).enumerated() { text += "\(Data(bytes).base64EncodedString()) \(rank)\n" }
        return Array(text.utf8)
    }()
    static let smallVocabulary = Array("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nab\n##b\n中\n!\n".utf8)

    private static let seedTexts = texts(
        "The cat's [MASK] naïve 123456 中文\u{301}\t\r\n  x", "don't  WON'T'll 🚀\u{200d}🚀 \u{fffd}\u{0}", "aaaaaaaaaaaaaaaa\n\n\n  ")

    static let wordPiece = FuzzTarget(
        "wordpiece", "ids of the vocabulary in the frame [CLS] ... [SEP]; a limit only cuts", seeds: seedTexts
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        let small = try WordPieceTokenizer(vocabulary: smallVocabulary)
        for tokenizer in [small, files?.pieces ?? small] {
            let all = tokenizer.ids(text, limit: nil)
            try require(all.count >= 2 && all.allSatisfy { $0 >= 0 && $0 < tokenizer.count }, "ids \(all)")
            for limit in [2, 3, 16] {
                let cut = tokenizer.ids(text, limit: limit)
                try require(cut.count == min(limit, all.count), "\(cut.count) ids of \(all.count) with a limit of \(limit)")
                try require(cut.dropLast() == all.prefix(cut.count - 1) && cut.last == all.last, "a limit changes ids")
            }
        }
    }

    static let cl100k = FuzzTarget("cl100k", "the count is that of the ids, and no more than the bytes", seeds: seedTexts) { input in
        let text = String(decoding: input, as: UTF8.self)
        let small = try CL100KTokenizer(ranks: smallRanks)
        for tokenizer in [small, files?.ranks ?? small] {
            let ids = tokenizer.ids(text)
            try require(tokenizer.count(text) == ids.count, "count \(tokenizer.count(text)), \(ids.count) ids")
            try require(ids.count <= text.utf8.count && ids.isEmpty == text.isEmpty, "\(ids.count) ids of \(text.utf8.count) bytes")
            try require(ids.allSatisfy { $0 >= 0 && $0 < 100_256 }, "ids \(ids)")
        }
    }

    /// Two bytes choose a part of the rest, which is repeated.
    static let slowTokens = FuzzTarget("slow-tokens", "a part that is repeated four times as often costs about four times as much", seeds: seedTexts) { input in
        var reader = InputReader(input)
        let bytes = RepeatedPart(&reader)
        let pieces = try files?.pieces ?? WordPieceTokenizer(vocabulary: smallVocabulary)
        let ranks = try files?.ranks ?? CL100KTokenizer(ranks: smallRanks)
        func count(_ count: Int) -> () throws -> Void {
            let text = String(decoding: bytes.repeated(to: count), as: UTF8.self)
            return {
                _ = pieces.ids(text, limit: nil)
                _ = ranks.count(text)
            }
        }
        let excess = try WorkTime.excess(factor: 4, floor: 0.1, small: count(64 << 10), large: count(256 << 10))
        try require(excess == nil, "\(excess ?? "")")
    }

    static let vocabulary = FuzzTarget(
        "vocabulary", "any bytes as vocab.txt are refused with a line, or make a tokenizer", seeds: { [smallVocabulary] }
    ) { input in
        do {
            let tokenizer = try WordPieceTokenizer(vocabulary: input)
            let ids = tokenizer.ids("a ab aab 中! [MASK]", limit: nil)
            try require(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.count }, "ids \(ids)")
        } catch let error as TokensError {
            try require(!error.reason.isEmpty, "an error without words")
        }
    }

    static let ranks = FuzzTarget(
        "ranks", "any bytes as a list of ranks are refused with a line, or make a tokenizer", inputBytesMax: 8_192, seeds: { [smallRanks] }
    ) { input in
        do {
            let tokenizer = try CL100KTokenizer(ranks: input)
            let text = "the the 00\n\n\u{0}é"
            try require(tokenizer.ids(text).count <= text.utf8.count, "more ids than bytes")
        } catch let error as TokensError {
            try require(!error.reason.isEmpty, "an error without words")
        }
    }
}
