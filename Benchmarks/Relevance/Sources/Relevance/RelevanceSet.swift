import Base
import Content
import Foundation

/// One set in BEIR's layout: corpus.jsonl, queries.jsonl, qrels.tsv.
struct RelevanceSet {
    let name: String
    /// Title, a space, text: what is indexed.
    let documents: [String]
    /// The same apart, as they would be published.
    let parts: [(title: String, text: String)]
    /// What is embedded: where the text is an object in JSON, words made of it with the title as its key; else the same.
    let modelTexts: [String]
    /// Data key and data, for publishing: the title, or the id where there is none; JSON as JSON.
    let published: [(key: String, data: JSONValue)]
    /// What the vectors of `modelTexts` are called in the cache.
    let vectors: String
    /// Judged queries only: text, and grade by index of document.
    let queries: [Query]

    typealias Query = (text: String, grades: [Int: Double])

    private struct Line: Decodable {
        let _id: String
        let title: String?
        let text: String
    }

    /// - Parameter judgements: the file with the grades.
    init(name: String, folder: URL, judgements file: String = "qrels.tsv") throws {
        func lines(_ file: String) throws -> [Line] {
            try Data(contentsOf: folder.appendingPathComponent(file)).split(separator: UInt8(ascii: "\n"))
                .map { try JSONDecoder().decode(Line.self, from: $0) }
        }
        self.name = name
        let corpus = try lines("corpus.jsonl")
        documents = corpus.map { ($0.title ?? "") + " " + $0.text }
        parts = corpus.map { ($0.title ?? "", $0.text) }
        published = corpus.map { line in
            let value = try? JSONParser.parse(text: line.text)
            return (line.title.flatMap { $0.isEmpty ? nil : $0 } ?? line._id, value?.objectValue == nil ? .string(line.text) : value!)
        }
        let isJSON = published.allSatisfy { $0.data.objectValue != nil }
        modelTexts = isJSON
            ? published.map { SearchText.embedded(key: $0.key, path: "root", kind: NodeKind.object.rawValue, value: $0.data) } : documents
        vectors = isJSON ? "corpus-words" : "corpus"
        let places = Dictionary(uniqueKeysWithValues: corpus.enumerated().map { ($1._id, $0) })
        var grades: [String: [Int: Double]] = [:]
        let judgements = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
        for row in judgements.split(separator: "\n").dropFirst() {
            let fields = row.split(separator: "\t").map(String.init)
            guard fields.count == 3, let place = places[fields[1]], let grade = Double(fields[2]) else { continue }
            grades[fields[0], default: [:]][place] = grade
        }
        queries = try lines("queries.jsonl").compactMap { line in grades[line._id].map { (line.text, $0) } }
    }
}

/// trec_eval's ndcg_cut_10: gain is the grade, discount the logarithm of rank + 1, ideal the best order of all judged.
func nDCG(_ ranking: some Swift.Sequence<Int>, _ grades: [Int: Double]) -> Double {
    func sum(_ gains: some Swift.Sequence<Double>) -> Double {
        gains.enumerated().reduce(0) { $0 + $1.element / log2(Double($1.offset) + 2) }
    }
    let ideal = sum(grades.values.sorted(by: >).prefix(10))
    return ideal > 0 ? sum(ranking.prefix(10).map { grades[$0] ?? 0 }) / ideal : 0
}
