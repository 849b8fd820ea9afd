import Base
import Foundation
import FullText
import KeySpace
import LMDB
import TestSupport
import Testing

/// The dumb twin: everything in dictionaries, every score from the formula, in Double.
struct NaiveScorer {
    var texts: [NodeID: [String: Int]] = [:]

    var totalLength: Int { texts.values.reduce(0) { $0 + $1.values.reduce(0, +) } }

    func scores(_ query: String) -> [NodeID: Double] {
        let count = Double(texts.count)
        let average = Double(totalLength) / max(1, count)
        var scores: [NodeID: Double] = [:]
        for term in Analyzer().terms(query) {
            let frequency = Double(texts.values.count { $0[term] != nil })
            let idf = Foundation.log(1 + (count - frequency + 0.5) / (frequency + 0.5))
            for (node, text) in texts {
                guard let inText = text[term] else { continue }
                let length = Double(text.values.reduce(0, +))
                scores[node, default: 0] += idf * Double(inText) / (Double(inText) + 1.2 * (0.25 + 0.75 * length / average))
            }
        }
        return scores
    }
}

@Suite struct TextIndexTests {
    let folder = TemporaryFolder()
    let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 7)))

    func open() throws -> Environment {
        try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
    }

    static func frequencies(_ text: String) -> [String: Int] {
        Analyzer().terms(text).reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// Words of very uneven frequency, so that some terms have many blocks and some one posting.
    static func text(_ random: inout SeededRandom) -> String {
        let words = random.unit() < 0.03 ? 0 : Int.random(in: 1...30, using: &random)
        return (0..<words).map { _ in "w\(Int(random.unit() * random.unit() * random.unit() * 60))" }.joined(separator: " ")
    }

    static func expectEqual(_ naive: NaiveScorer, _ index: TextIndex, _ query: String, _ view: borrowing TransactionView) throws {
        let expected = naive.scores(query)
        let found = try index.search(TextQuery(query), count: 10_000, in: view)
        #expect(found.count == expected.count)
        for match in found {
            let score = try #require(expected[match.node])
            #expect(abs(Double(match.score) - score) <= 1e-5 * score)
        }
        for (a, b) in zip(found, found.dropFirst()) { #expect(a.score > b.score || (a.score == b.score && a.node < b.node)) }
        #expect(try index.search(TextQuery(query), count: 5, in: view) == Array(found.prefix(5)))
        let weights = try index.weights(TextQuery(query), in: view)
        let nodes = found.map(\.node)
        #expect(try index.scores(weights, of: nodes, in: view) == found.map(\.score))
        for match in found.prefix(20) {
            let text = try #require(try index.analyzedText(of: match.node, in: view))
            #expect(weights.score(text) == match.score)
            #expect(weights.explain(text).map(\.score).reduce(0, +) == match.score)
            #expect(match.score < weights.ceiling)
        }
    }

    /// Adds in rising and in any order, updates, removes: after every step the statistics are exact, after each round the
    /// scores, their order and every invariant.
    @Test(arguments: [true, false]) func agreesWithTheNaiveScorer(rising: Bool) throws {
        var random = SeededRandom(seed: testSeed("agreesWithTheNaiveScorer"))
        let environment = try open()
        var naive = NaiveScorer()
        var next: UInt32 = 0
        for round in 0..<12 {
            var write = try environment.beginWrite()
            for _ in 0..<150 {
                let removing = random.unit() < (round % 4 == 3 ? 0.9 : 0.2)
                let known = naive.texts.keys.sorted()
                if removing, let node = known.randomElement(using: &random) {
                    #expect(try index.remove(node, in: &write))
                    #expect(try !index.remove(node, in: &write))
                    naive.texts[node] = nil
                } else {
                    next += UInt32.random(in: 1...3, using: &random)
                    let fresh = NodeID(rawValue: rising ? next : UInt32.random(in: 0...(round % 3 == 0 ? 2_000 : .max), using: &random))
                    let node = random.unit() < 0.2 ? known.randomElement(using: &random) ?? fresh : fresh
                    let text = Self.text(&random)
                    try index.add(node, AnalyzedText(text), in: &write)
                    naive.texts[node] = Self.frequencies(text)
                }
                let statistics = try index.statistics(in: write.view)
                #expect(statistics == TextStatistics(documents: naive.texts.count, totalLength: naive.totalLength))
            }
            for _ in 0..<5 {
                let query = Self.text(&random)
                try Self.expectEqual(naive, index, query, write.view)
                let weights = try index.weights(TextQuery(query), in: write.view)
                for (term, _, documentFrequency) in weights.terms {
                    #expect(documentFrequency == naive.texts.values.count { $0[term] != nil })
                }
            }
            #expect(try TextIndexCheck.findings(index, expectedNodes: Set(naive.texts.keys), in: write.view) == [])
            try write.commit()
        }
        var write = try environment.beginWrite()
        for node in naive.texts.keys.sorted() { try index.remove(node, in: &write) }
        try write.commit()
        #expect(try environment.statistics().entries == 0)
    }

    @Test func survivesReopening() throws {
        var random = SeededRandom(seed: testSeed("survivesReopening"))
        var naive = NaiveScorer()
        do {
            let environment = try open()
            var write = try environment.beginWrite()
            for number in 1...600 {
                let text = Self.text(&random)
                try index.add(NodeID(rawValue: UInt32(number)), AnalyzedText(text), in: &write)
                naive.texts[NodeID(rawValue: UInt32(number))] = Self.frequencies(text)
            }
            try write.commit()
        }
        try open().read { view in
            try Self.expectEqual(naive, index, "w1 w2 w2 w40 nowhere", view)
            #expect(try TextIndexCheck.findings(index, expectedNodes: Set(naive.texts.keys), in: view) == [])
        }
    }

    /// The same calls in two stores leave the same bytes; an emptied index leaves none, and none of its neighbour's go.
    @Test func isDeterministicAndScoped() throws {
        let seed = testSeed("isDeterministicAndScoped")
        var stores: [[[UInt8]]] = []
        for _ in 0..<2 {
            let folder = TemporaryFolder()
            let environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
            var random = SeededRandom(seed: seed)
            var write = try environment.beginWrite()
            let neighbour = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 8)))
            try neighbour.add(NodeID(rawValue: 1), AnalyzedText("w1 alone"), in: &write)
            for _ in 0..<800 {
                let node = NodeID(rawValue: UInt32.random(in: 0...400, using: &random))
                if random.unit() < 0.3 {
                    try index.remove(node, in: &write)
                } else {
                    try index.add(node, AnalyzedText(Self.text(&random)), in: &write)
                }
            }
            stores.append(try Self.dump(write.view))
            try index.removeAll(in: &write)
            #expect(try index.statistics(in: write.view).documents == 0)
            #expect(try index.search(TextQuery("w1"), count: 5, in: write.view) == [])
            #expect(try neighbour.search(TextQuery("w1"), count: 5, in: write.view).map(\.node) == [NodeID(rawValue: 1)])
            #expect(try TextIndexCheck.findings(neighbour, expectedNodes: [NodeID(rawValue: 1)], in: write.view) == [])
            try write.commit()
        }
        #expect(stores[0] == stores[1])
    }

    static func dump(_ view: borrowing TransactionView) throws -> [[UInt8]] {
        var records: [[UInt8]] = []
        try view.scan(prefix: []) { key, value in
            records += [Array(key), Array(value)]
            return .onward
        }
        return records
    }

    /// Format 1, byte for byte (docs/formats/fulltext-v1.md), and read back by hand-made bytes.
    @Test func goldenRecords() throws {
        let environment = try open()
        var write = try environment.beginWrite()
        try index.add(NodeID(rawValue: 300), AnalyzedText("Cats cat; dogs"), in: &write)
        try index.add(NodeID(rawValue: 301), AnalyzedText("cat"), in: &write)
        let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 7))
        let golden: [(key: [UInt8], payload: [UInt8])] = [
            (scope.key(.textState), [2, 4]),
            (scope.key(.posting, bytes: Array("cat\0".utf8)), [2, 2, 0xAC, 0x02, 1, 0, 2, 3, 1, 1, 1]),
            (scope.key(.posting, bytes: Array("dog\0".utf8)), [1, 1, 0xAC, 0x02, 0, 0, 1, 3]),
            (scope.key(.textDocument, UInt32(300)), [3, 2, 3] + Array("cat".utf8) + [2, 3] + Array("dog".utf8) + [1]),
            (scope.key(.textDocument, UInt32(301)), [1, 1, 3] + Array("cat".utf8) + [1]),
        ]
        var records: [(key: [UInt8], payload: [UInt8])] = []
        try write.view.scanRecords(prefix: scope.prefix) { key, payload in
            records.append((key, Array(payload)))
            return .onward
        }
        #expect(records.map(\.key) == golden.map(\.key))
        #expect(records.map(\.payload) == golden.map(\.payload))
        // 130 texts with one term: a block of 128 under its first node, a tail of two.
        for node in 1_000..<1_130 { try index.add(NodeID(rawValue: UInt32(node)), AnalyzedText("z"), in: &write) }
        let postings: [UInt8] = (0..<128).flatMap { [$0 == 0 ? 0 : 1, 1, 1] }
        #expect(try write.view.loadBytes(scope.key(.posting, bytes: Array("z\0".utf8) + [0, 0, 3, 0xE8])) == [0x80, 1, 0xE8, 7, 127] + postings)
        #expect(try write.view.loadBytes(scope.key(.posting, bytes: Array("z\0".utf8))) == [0x82, 1, 2, 0xE8, 8, 1, 0, 1, 1, 1, 1, 1])
    }

    /// Every record of the index, in turn: a flipped bit, gone altogether, or another payload under a sound seal.
    @Test func checkFindsEveryPlantedDamage() throws {
        let environment = try open()
        var expected: Set<NodeID> = []
        var write = try environment.beginWrite()
        for number in 1...300 {
            try index.add(NodeID(rawValue: UInt32(number)), AnalyzedText("common word\(number % 5) only\(number)"), in: &write)
            expected.insert(NodeID(rawValue: UInt32(number)))
        }
        #expect(try TextIndexCheck.findings(index, expectedNodes: expected, in: write.view) == [])
        #expect(try !TextIndexCheck.findings(index, expectedNodes: expected.union([NodeID(rawValue: 999)]), in: write.view).isEmpty)
        #expect(try !TextIndexCheck.findings(index, expectedNodes: expected.subtracting([NodeID(rawValue: 5)]), in: write.view).isEmpty)
        let records = try Self.dump(write.view)
        for at in stride(from: 0, to: records.count, by: 2) {
            let (key, value) = (records[at], records[at + 1])
            var flipped = value
            flipped[flipped.count - 1] ^= 1
            try write.put(key, flipped)
            #expect(try !TextIndexCheck.findings(index, expectedNodes: expected, in: write.view).isEmpty)
            var payload = Array(value.dropFirst(6))
            payload[payload.count - 1] ^= 2
            try write.store(key, payload)
            #expect(try !TextIndexCheck.findings(index, expectedNodes: expected, in: write.view).isEmpty, "\(key)")
            try write.delete(key)
            #expect(try !TextIndexCheck.findings(index, expectedNodes: expected, in: write.view).isEmpty)
            try write.put(key, value)
        }
        #expect(try TextIndexCheck.findings(index, expectedNodes: expected, in: write.view) == [])
    }

    /// No payload, however odd, under a sound seal does more than throw.
    @Test func oddBytesNeverTrap() throws {
        var random = SeededRandom(seed: testSeed("oddBytesNeverTrap"))
        let environment = try open()
        var write = try environment.beginWrite()
        for number in 1...300 { try index.add(NodeID(rawValue: UInt32(number)), AnalyzedText("common rare\(number)"), in: &write) }
        let records = try Self.dump(write.view)
        for _ in 0..<2_000 {
            let at = Int.random(in: 0..<records.count / 2, using: &random) * 2
            var payload = Array(records[at + 1].dropFirst(6))
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                switch Int.random(in: 0...2, using: &random) {
                case 0 where !payload.isEmpty: payload[Int.random(in: 0..<payload.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                case 1 where !payload.isEmpty: payload.removeLast(Int.random(in: 1...payload.count, using: &random))
                default: payload.append(UInt8.random(in: 0...255, using: &random))
                }
            }
            try write.store(records[at], payload)
            _ = try? index.search(TextQuery("common rare7"), count: 10, in: write.view)
            let weights = try? index.weights(TextQuery("common rare7 rare9"), in: write.view)
            if let weights { _ = try? index.scores(weights, of: (1...300).map { NodeID(rawValue: $0) }, in: write.view) }
            _ = try TextIndexCheck.findings(index, expectedNodes: [], in: write.view)
            _ = try? index.remove(NodeID(rawValue: UInt32.random(in: 1...300, using: &random)), in: &write)
            _ = try? index.add(NodeID(rawValue: UInt32.random(in: 1...300, using: &random)), AnalyzedText("common again"), in: &write)
            try write.put(records[at], records[at + 1])
        }
    }

    @Test func edges() throws {
        let environment = try open()
        var write = try environment.beginWrite()
        let query = TextQuery("some words")
        #expect(try index.search(query, count: 10, in: write.view) == [])
        let empty = try index.weights(query, in: write.view)
        #expect(empty.statistics.averageLength == 0)
        #expect(empty.score(AnalyzedText("some words")) >= 0)
        try index.add(NodeID(rawValue: .max), AnalyzedText(""), in: &write)
        #expect(try index.statistics(in: write.view) == TextStatistics(documents: 1, totalLength: 0))
        try index.add(NodeID(rawValue: 0), AnalyzedText("some words, the"), in: &write)
        try index.add(NodeID(rawValue: .max), AnalyzedText("words"), in: &write)
        #expect(try index.search(query, count: 10, in: write.view).map(\.node.rawValue) == [0, .max])
        #expect(try index.search(query, count: 0, in: write.view) == [])
        #expect(try index.search(TextQuery("the of"), count: 10, in: write.view) == [])
        let weights = try index.weights(query, in: write.view)
        #expect(try index.scores(weights, of: [NodeID(rawValue: 0), NodeID(rawValue: 5)], in: write.view)[1] == nil)
        // Twice the word, twice the share.
        let once = try index.search(TextQuery("some"), count: 1, in: write.view)[0].score
        let twice = try index.search(TextQuery("some somes"), count: 1, in: write.view)[0].score
        #expect(abs(twice - 2 * once) < 1e-6)
        #expect(TextQuery((0..<5_000).map { "q\($0)x" }.joined(separator: " ")).terms.count == TextQuery.termsMax)
    }
}
