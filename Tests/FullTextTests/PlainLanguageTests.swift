import Base
import Foundation
import FullText
import KeySpace
import LMDB
import TestSupport
import Testing

/// What people write and ask is not taken for signs (QueryProse.swift).
@Suite struct PlainLanguageTests {
    private static let folder = TestData.checkout.appendingPathComponent("Tests/PlainLanguage")
    private static let fields: Set = ["data_key", "data_format", "published_by", "path"]

    private static func lines(_ url: URL) throws -> [String] {
        try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    private static func syntax(_ text: String, _ kind: Analyzer.Kind) -> TextSearchQuery {
        TextSearchQuery(text, analyzer: Analyzer(kind), isField: { name, _ in fields.contains(name) || name.hasPrefix("metadata.") })
    }

    private static func records(_ url: URL, _ member: String) throws -> [String] {
        try lines(url).compactMap { (try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])?[member] as? String }
    }

    /// Fields are the engine's: what names one and finds nothing is answered by its words there (QuerySyntaxTests).
    @Test(arguments: ["commands", "sentences"]) func nothingIsDemanded(name: String) throws {
        let lines = try Self.lines(Self.folder.appendingPathComponent("\(name).txt"))
        #expect(lines.count >= 200)
        for line in lines {
            for kind in Analyzer.Kind.allCases {
                let syntax = Self.syntax(line, kind)
                #expect(!syntax.hasDemands || !syntax.fields.isEmpty, "\(line)")
                if syntax.fields.isEmpty { #expect(syntax.plainText == line) }
            }
        }
        #expect(lines.count { !Self.syntax($0, .english).fields.isEmpty } <= 4)
    }

    @Test(.enabled(if: TestData.hasData), arguments: ["scifact", "cacm", "bfcl-static", "cosqa-dev", "embeddings"])
    func nothingOfTheSharedSetsIsDemanded(name: String) throws {
        let shared = try #require(TestData.root)
        let texts = name == "embeddings"
            ? try Self.records(shared.appendingPathComponent("embeddings/texts.jsonl"), "text")
            : try Self.records(shared.appendingPathComponent("retrieval/\(name)/queries.jsonl"), "text")
        #expect(texts.count >= 50)
        for text in texts { #expect(!Self.syntax(text, .english).hasDemands, "\(text)") }
    }

    /// What signs leave of plain words loses nothing: every text that the words find is found, with at least their score under at most their
    /// ceiling, and the cut is the same.
    @Test(arguments: Analyzer.Kind.allCases) func noTextIsWorthLess(kind: Analyzer.Kind) throws {
        let analyzer = Analyzer(kind)
        let lines = try ["commands", "sentences"].flatMap { try Self.lines(Self.folder.appendingPathComponent("\($0).txt")) }
        let texts = TextCollection(lines.map { AnalyzedText($0, analyzer: analyzer) })
        var lifted = 0
        for line in lines {
            let syntax = Self.syntax(line, kind)
            guard !syntax.hasDemands else { continue }
            let (signs, plain) = (texts.resolve(syntax), ResolvedTextQuery(TextQuery(line, analyzer: analyzer)))
            let (own, words) = (texts.weights(signs), texts.weights(plain))
            #expect(own.ceiling <= words.ceiling * 1.000_001, "\(line)")
            #expect(abs(own.deviation - words.deviation) <= 1e-4 && abs(own.knownShare - words.knownShare) <= 1e-4, "\(line)")
            let scores = Dictionary(uniqueKeysWithValues: texts.search(signs, own, count: 1_000) { _ in true }.map { ($0.place, $0.score) })
            for match in texts.search(plain, words, count: 1_000, where: { _ in true }) {
                let score = scores[match.place] ?? 0
                #expect(score >= match.score * 0.999_99, "\(line) <> \(lines[match.place])")
                if score > match.score * 1.001 { lifted += 1 }
            }
        }
        #expect(lifted > 20)
    }
}
