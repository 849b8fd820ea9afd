import Base
import Foundation
import LMDB
import Vectors

/// Recall and speed of whole searches, each in a transaction of its own, as a server answers it.
enum Searching {
    static func curve(_ folder: String, _ vectors: VectorFile, first: Int, truth path: String, parameters: HNSWParameters, efs: [Int]) throws {
        let environment = try Measuring.reader(folder)
        let index = VectorIndex(scope: Measuring.scope, parameters: parameters)
        let queries = (first..<vectors.count).map { vectors[$0] }
        let truth = try Truth(path)
        for ef in efs {
            var found = 0
            for (number, query) in queries.enumerated() {
                let answer = try environment.read { try index.search(query, count: 10, effort: .candidates(ef), in: $0) }
                found += truth.hits(number, answer.lazy.map { Int($0.node.rawValue) })
            }
            var rates: [Double] = []
            var times: [Double] = []
            for _ in 0..<5 {
                let start = Measuring.processorSeconds()
                for query in queries {
                    let began = Measuring.seconds()
                    _ = try environment.read { try index.search(query, count: 10, effort: .candidates(ef), in: $0) }
                    times.append((Measuring.seconds() - began) * 1e6)
                }
                rates.append(Double(queries.count) / (Measuring.processorSeconds() - start))
            }
            Measuring.report([
                ("command", "search"), ("ef", ef), ("recall", Double(found) / Double(10 * queries.count)), ("perSecond", Measuring.median(rates)),
                ("slowest", rates.min()!), ("fastest", rates.max()!), ("p50Microseconds", Measuring.median(times)),
                ("p95Microseconds", Measuring.percentile(times, 0.95)),
            ])
        }
    }
}
