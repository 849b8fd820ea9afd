import Base
import Foundation
import FullText
import KeySpace
import LMDB
import TestSupport
import Testing

/// nDCG@10 of BM25 on the public sets, beside the figures of another implementation of the same formula.
@Suite(.enabled(if: TestData.hasData)) struct RelevanceTests {
    struct Line: Decodable {
        let _id: String
        let title: String?
        let text: String
    }

    static func lines(_ set: String, _ file: String) throws -> [Line] {
        try TestData.file("retrieval/\(set)/\(file)").split(separator: UInt8(ascii: "\n")).map { try JSONDecoder().decode(Line.self, from: $0) }
    }

    /// What the work costs this thread's processor, whatever else the machine does.
    func processorTime(_ body: () throws -> Void) rethrows -> Duration {
        func now() -> Duration {
            var time = timespec()
            unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
        }
        let start = now()
        try body()
        return now() - start
    }

    @Test(arguments: [("scifact", 0.6828), ("cacm", 0.4802), ("bfcl-static", 0.8538), ("cosqa-dev", 0.3828)])
    func nDCG(set: String, expected: Double) throws {
        let folder = TemporaryFolder()
        let environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
        let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)))
        let corpus = try Self.lines(set, "corpus.jsonl")
        var write = try environment.beginWrite()
        let adding = try processorTime {
            for (number, line) in corpus.enumerated() {
                try index.add(NodeID(rawValue: UInt32(number)), AnalyzedText((line.title ?? "") + " " + line.text), in: &write)
            }
        }
        try write.commit()

        var judgements: [String: [String: Double]] = [:]
        for row in String(decoding: try TestData.file("retrieval/\(set)/qrels.tsv"), as: UTF8.self).split(separator: "\n").dropFirst() {
            let fields = row.split(separator: "\t").map(String.init)
            judgements[fields[0], default: [:]][fields[1]] = Double(fields[2])!
        }
        let queries = Dictionary(uniqueKeysWithValues: try Self.lines(set, "queries.jsonl").map { ($0._id, TextQuery($0.text)) })
        var sum = 0.0
        var searching = Duration.zero
        for (query, relevant) in judgements {
            var matches: [TextMatch] = []
            searching += try processorTime {
                matches = try environment.read { try index.search(queries[query]!, count: 10, in: $0) }
            }
            let gain = matches.enumerated().reduce(0) { $0 + (relevant[corpus[Int($1.element.node.rawValue)]._id] ?? 0) / log2(Double($1.offset) + 2) }
            let ideal = relevant.values.sorted(by: >).prefix(10).enumerated().reduce(0) { $0 + $1.element / log2(Double($1.offset) + 2) }
            if ideal > 0 { sum += gain / ideal }
        }
        let mean = sum / Double(judgements.count)
        print("\(set): nDCG@10 \(mean) (reference \(expected)); \(adding / corpus.count) an add, \(searching / judgements.count) a query")
        #expect(mean >= expected - 0.005)
    }
}
