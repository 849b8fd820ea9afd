import Base
import Foundation
import FullText
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite struct TextIndexTests {
    let folder = TemporaryFolder()
    let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 7)))

    func open() throws -> Environment {
        try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
    }

    /// Words of very uneven frequency, so that some terms have many blocks and some one posting.
    static func text(_ random: inout SeededRandom, words: Int = 60) -> String {
        let count = random.unit() < 0.03 ? 0 : Int.random(in: 1...30, using: &random)
        return (0..<count).map { _ in "w\(Int(random.unit() * random.unit() * random.unit() * Double(words)))" }.joined(separator: " ")
    }

    /// What the writer of a batch knows of its terms is what the index says.
    func expectFrequencies(_ batch: BatchTerms, in view: borrowing TransactionView) throws {
        let terms = (0..<batch.count).map { String(decoding: batch.term($0), as: UTF8.self) }
        #expect(zip(terms, terms.dropFirst()).allSatisfy { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        let looked = try index.documentFrequencies(of: terms, in: view)
        #expect(try index.documentFrequencies(of: batch, Array(terms.indices), in: view) == looked)
    }

    enum Numbers: CaseIterable { case rising, dense, sparse }

    /// Adds, updates and removals, alone and in batches, in rising and any order, with the store closed in between: after every
    /// step the statistics are exact, after each round the results, their order and every invariant.
    @Test(arguments: Numbers.allCases) func agreesWithTheNaiveScorer(numbers: Numbers) throws {
        var random = SeededRandom(seed: testSeed("agreesWithTheNaiveScorer"))
        var naive = NaiveIndex()
        var next: UInt32 = 0
        for round in 0..<14 {
            let environment = try open()
            var write = try environment.beginWrite()
            for _ in 0..<(round % 2 == 0 ? 120 : 4) {
                var changes: [TextChange] = []
                var after = naive
                for _ in 0..<(round % 2 == 0 ? 1 : Int.random(in: 1...150, using: &random)) {
                    let removing = random.unit() < (round % 5 == 4 ? 0.9 : 0.2)
                    next += UInt32.random(in: 1...3, using: &random)
                    let fresh: UInt32 =
                        switch numbers {
                        case .rising: next
                        case .dense: UInt32.random(in: 0...2_000, using: &random)
                        case .sparse: UInt32.random(in: 0...(.max), using: &random)
                        }
                    let known = naive.nodes.randomElement(using: &random)
                    let node = removing || random.unit() < 0.2 ? known ?? NodeID(rawValue: fresh) : NodeID(rawValue: fresh)
                    if changes.contains(where: { $0.node == node }) { continue }
                    let text = removing ? nil : Self.text(&random)
                    changes.append(TextChange(node: node, old: naive.analyzed[node], new: text.map { AnalyzedText($0) }))
                    after[node] = text
                }
                let batch = try index.apply(changes, in: &write)
                try expectFrequencies(batch, in: write.view)
                naive = after
                #expect(try index.statistics(in: write.view) == naive.statistics)
            }
            for _ in 0..<4 { try index.expectEqual(naive, Self.text(&random) + " w0 nowhere", in: write.view) }
            #expect(try TextIndexCheck.findings(index, expected: naive.signatures, in: write.view) == [])
            try write.commit()
        }
        let environment = try open()
        try environment.read { view in try index.expectEqual(naive, "w1 w2 w2 w40 nowhere", in: view) }
        var write = try environment.beginWrite()
        for node in naive.nodes { try index.put(node, nil, &naive, in: &write) }
        try write.commit()
        #expect(try environment.statistics().entries == 0)
    }

    /// Ten thousand texts: many windows, many records of blocks, terms that are passed over; then a churn of removals that empties most.
    @Test func agreesOverManyWindows() throws {
        var random = SeededRandom(seed: testSeed("agreesOverManyWindows"))
        let environment = try open()
        var naive = NaiveIndex()
        var write = try environment.beginWrite()
        var changes: [TextChange] = []
        for number in 0..<20_000 {
            let node = NodeID(rawValue: UInt32(number))
            let text = Self.text(&random, words: 3_000)
            naive[node] = text
            changes.append(TextChange(node: node, new: naive.analyzed[node]))
            if number == 9_999 || number % 256 == 255 && number > 10_000 || number == 19_999 {
                let batch = try index.apply(changes, in: &write)
                try expectFrequencies(batch, in: write.view)
                changes = []
            }
        }
        // Enough that steps of the rolling merge were taken, and that something is recent.
        let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 7))
        for kind in [KeyKind.textTerms, .textRecent] { #expect(try Self.count(scope.key(kind), in: write.view) > 5) }
        let queries = (0..<6).map { _ in Self.text(&random, words: 3_000) } + ["w0 w1 w2 w3", "w0", "w2900 w0 w7", "w5 w5 w80 w700"]
        for query in queries { try index.expectEqual(naive, query, in: write.view) }
        #expect(try TextIndexCheck.findings(index, expected: naive.signatures, in: write.view) == [])
        var kept = 20_000
        while kept > 500 {
            let nodes = naive.nodes.filter { _ in random.unit() < 0.5 }
            let batch = try index.apply(nodes.map { TextChange(node: $0, old: naive.analyzed[$0], new: nil) }, in: &write)
            try expectFrequencies(batch, in: write.view)
            for node in nodes { naive[node] = nil }
            kept -= nodes.count
            for query in queries.suffix(4) { try index.expectEqual(naive, query, in: write.view) }
            #expect(try TextIndexCheck.findings(index, expected: naive.signatures, in: write.view) == [])
        }
    }

    /// A bulk build and one text at a time give the same answers.
    @Test func bulkEqualsOneByOne() throws {
        var random = SeededRandom(seed: testSeed("bulkEqualsOneByOne"))
        let environment = try open()
        let other = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 8)))
        var write = try environment.beginWrite()
        let texts = (0..<2_000).map { _ in AnalyzedText(Self.text(&random, words: 500)) }
        try index.apply(texts.enumerated().map { TextChange(node: NodeID(rawValue: UInt32($0.offset)), new: $0.element) }, in: &write)
        for (number, text) in texts.enumerated() { try other.add(NodeID(rawValue: UInt32(number)), text, in: &write) }
        for _ in 0..<50 {
            let query = TextQuery(Self.text(&random, words: 500))
            #expect(try index.search(query, count: 100, in: write.view) == other.search(query, count: 100, in: write.view))
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
            var naive = NaiveIndex()
            var write = try environment.beginWrite()
            let neighbour = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 8)))
            let alone = AnalyzedText("w1 alone")
            try neighbour.add(NodeID(rawValue: 1), alone, in: &write)
            for _ in 0..<800 {
                let node = NodeID(rawValue: UInt32.random(in: 0...400, using: &random))
                try index.put(node, random.unit() < 0.3 ? nil : Self.text(&random), &naive, in: &write)
            }
            stores.append(try Self.dump(write.view))
            try index.removeAll(in: &write)
            #expect(try index.statistics(in: write.view).documents == 0)
            #expect(try index.search(TextQuery("w1"), count: 5, in: write.view) == [])
            #expect(try neighbour.search(TextQuery("w1"), count: 5, in: write.view).map(\.node) == [NodeID(rawValue: 1)])
            #expect(try TextIndexCheck.findings(neighbour, expected: [NodeID(rawValue: 1): TextSignature(alone)], in: write.view) == [])
            try write.commit()
        }
        #expect(stores[0] == stores[1])
    }

    static func count(_ prefix: [UInt8], in view: borrowing TransactionView) throws -> Int {
        var count = 0
        try view.scan(prefix: prefix) { _, _ in
            count += 1
            return .onward
        }
        return count
    }

    static func dump(_ view: borrowing TransactionView) throws -> [[UInt8]] {
        var records: [[UInt8]] = []
        try view.scan(prefix: []) { key, value in
            records += [Array(key), Array(value)]
            return .onward
        }
        return records
    }

    /// Format 1, byte for byte (docs/formats/fulltext-v1.md): written as in Tests/Golden, and read from there.
    @Test func goldenRecords() throws {
        let environment = try open()
        var write = try environment.beginWrite()
        try index.configure(TextIndexOptions(analyzer: Analyzer(.code)), in: &write)
        let analyzer = Analyzer(.code)
        func change(_ node: Int, _ text: String?) -> TextChange {
            TextChange(node: NodeID(rawValue: UInt32(node)), new: text.map { AnalyzedText($0, analyzer: analyzer) })
        }
        try index.apply([change(300, "cat dog cat catalogue"), change(301, "cat"), change(20_000, "")], in: &write)
        // 130 texts with one term: a block of 128 under its first node, a tail of two.
        try index.apply((0..<130).map { change(1_000 + 3 * $0, String(repeating: "zoo ", count: 1 + $0 % 3)) }, in: &write)
        let dump = try Self.dump(write.view)
        let written = stride(from: 0, to: dump.count, by: 2).map { GoldenRecord(key: dump[$0], value: dump[$0 + 1]) }
        try GoldenRecord.rewriteIfAsked("fulltext-v1/records.txt", written)
        #expect(written == (try GoldenRecord.file("fulltext-v1/records.txt")))
        let weights = try index.weights(TextQuery("zoo cat", analyzer: analyzer), in: write.view)
        #expect(weights.terms.map(\.documentFrequency) == [2, 130])
    }

    /// Every record of the index, in turn: a flipped bit, gone altogether, or another payload under a sound seal.
    @Test func checkFindsEveryPlantedDamage() throws {
        let environment = try open()
        var naive = NaiveIndex()
        var write = try environment.beginWrite()
        for number in 1...300 {
            let common = String(repeating: "common ", count: 1 + number % 3)
            try index.put(NodeID(rawValue: UInt32(number)), common + "word\(number % 5) only\(number)", &naive, in: &write)
        }
        let expected = naive.signatures
        #expect(try TextIndexCheck.findings(index, expected: expected, in: write.view) == [])
        let other = TextSignature(AnalyzedText("another text"))
        for change in [(NodeID(rawValue: 999), other), (NodeID(rawValue: 5), other), (NodeID(rawValue: 5), nil)] {
            var changed = expected
            changed[change.0] = change.1
            #expect(try !TextIndexCheck.findings(index, expected: changed, in: write.view).isEmpty)
        }
        let records = try Self.dump(write.view)
        for at in stride(from: 0, to: records.count, by: 2) {
            let (key, value) = (records[at], records[at + 1])
            var flipped = value
            flipped[flipped.count - 1] ^= 1
            try write.put(key, flipped)
            #expect(try !TextIndexCheck.findings(index, expected: expected, in: write.view).isEmpty)
            var payload = Array(value.dropFirst(6))
            payload[payload.count - 1] ^= 2
            try write.store(key, payload)
            #expect(try !TextIndexCheck.findings(index, expected: expected, in: write.view).isEmpty, "\(key)")
            try write.delete(key)
            #expect(try !TextIndexCheck.findings(index, expected: expected, in: write.view).isEmpty, "\(key)")
            try write.put(key, value)
        }
        #expect(try TextIndexCheck.findings(index, expected: expected, in: write.view) == [])
    }

    /// Orders of terms lie many to a record of a page, a long one alone; what is removed leaves no crowd of small records.
    @Test func ordersOfTermsShareRecords() throws {
        let environment = try open()
        var random = SeededRandom(seed: testSeed("ordersOfTermsShareRecords"))
        var naive = NaiveIndex()
        var write = try environment.beginWrite()
        func records() throws -> [Int] {
            var sizes: [Int] = []
            try write.view.scan(prefix: TenantScope(tenant: .standard, project: ProjectID(rawValue: 7)).key(.textPositions)) { _, value in
                sizes.append(value.byteCount - 6)
                return .onward
            }
            return sizes
        }
        for number in 0..<2_000 as Range<UInt32> {
            try index.put(NodeID(rawValue: 3 * number), "first w\(number % 50) then another of w\(number % 7)", &naive, in: &write)
        }
        let full = try records()
        // All but the last are full, to within one text.
        #expect(full.count < 12 && full.dropLast().allSatisfy { $0 > 4_000 && $0 <= 4_074 })
        let long = (0..<4_000).map { "l\($0)" }.joined(separator: " ")
        for node in [1, 3_001, 9_000] as [UInt32] { try index.put(NodeID(rawValue: node), long, &naive, in: &write) }
        #expect(try records().filter { $0 > 4_074 }.count == 3)
        #expect(try TextIndexCheck.findings(index, expected: naive.signatures, in: write.view) == [])
        for (phrase, count) in [(#"+"w8 then another of w1""#, 6), (#"+"l17 l18 l19""#, 3), (#"+"another w1 l0""#, 0)] {
            let query = try index.resolve(TextSearchQuery(phrase), in: write.view)
            #expect(try index.search(query, count: 10_000, in: write.view).count == count, "\(phrase)")
        }
        for node in naive.nodes.shuffled(using: &random).dropLast(150) { try index.put(node, nil, &naive, in: &write) }
        #expect(try TextIndexCheck.findings(index, expected: naive.signatures, in: write.view) == [])
        let left = try records()
        #expect(left.count <= 6, "\(left)")
    }

    /// No payload, however odd, under a sound seal does more than throw.
    @Test func oddBytesNeverTrap() throws {
        var random = SeededRandom(seed: testSeed("oddBytesNeverTrap"))
        let environment = try open()
        var naive = NaiveIndex()
        var write = try environment.beginWrite()
        for number in 1...300 { try index.put(NodeID(rawValue: UInt32(number)), "common rare\(number) words", &naive, in: &write) }
        let records = try Self.dump(write.view)
        for _ in 0..<4_000 {
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
            _ = try? index.search(TextQuery("rare7 word"), count: 1_000, in: write.view)
            let weights = try? index.weights(TextQuery("common rare7 rare9"), in: write.view)
            if let weights { _ = try? index.scores(weights, of: (1...300).map { NodeID(rawValue: $0) }, in: write.view) }
            _ = try TextIndexCheck.findings(index, expected: naive.signatures, in: write.view)
            for _ in 0..<3 {
                let node = NodeID(rawValue: UInt32.random(in: 1...302, using: &random))
                let new = random.unit() < 0.5 ? AnalyzedText("common again") : nil
                // What it wrote before it threw is part of the odd bytes of this round.
                _ = try? index.apply([TextChange(node: node, old: naive.analyzed[node], new: new)], in: &write)
            }
            for (key, value) in zip(stride(from: 0, to: records.count, by: 2), stride(from: 1, to: records.count, by: 2)) {
                if try write.view.copy(records[key]) != records[value] { try write.put(records[key], records[value]) }
            }
            for (place, key) in try Self.dump(write.view).enumerated() where place % 2 == 0 && !records.contains(key) { try write.delete(key) }
        }
    }

    /// By whole numbers what the C library's logarithm gives.
    @Test func logLengthsAreExact() {
        #expect([0, 1, 3, 1_023, (1 << 32) - 2].map(TextStatistics.logLength) == [0, 65_536, 131_072, 655_360, 2_097_151])
        var random = SeededRandom(seed: testSeed("logLengthsAreExact"))
        for length in Array(0..<2_000) + (0..<5_000).map({ _ in Int(exp2(random.unit() * 31.99)) }) {
            let exact = log2(Double(length) + 1) * 65_536
            let found = Double(TextStatistics.logLength(length))
            // Rounded down, and 16 squarings may lose the last bit.
            #expect(found <= exact && found > exact - 2, "\(length): \(found), \(exact)")
        }
        #expect(abs(TextStatistics(documents: 2, totalLength: 18, totalLogLength: [3, 15].map(TextStatistics.logLength).reduce(0, +)).typicalLength - 8) < 1e-9)
    }

    /// Further passages of a text count in everything but what a typical text is.
    @Test func whatGoesOnIsNoTextOfItsOwn() throws {
        let environment = try open()
        var write = try environment.beginWrite()
        let passages = AnalyzedText.passages(["one two three", "four five six seven eight", "one nine"], analyzer: Analyzer(), goesOn: false)
        #expect(passages.map(\.goesOn) == [false, true, true])
        #expect(AnalyzedText.passages(["one"], analyzer: Analyzer(), goesOn: true).map(\.goesOn) == [true])
        for (number, text) in passages.enumerated() { try index.add(NodeID(rawValue: UInt32(number)), text, in: &write) }
        try index.add(NodeID(rawValue: 9), AnalyzedText("ten"), in: &write)
        let statistics = try index.statistics(in: write.view)
        #expect(statistics.documents == 4 && statistics.totalLength == 11 && statistics.beginnings == 2)
        #expect(abs(statistics.typicalLength - (4.0 * 2).squareRoot()) < 1e-4)
        #expect(TextCollection(passages + [AnalyzedText("ten")]).statistics == statistics)
        var signatures = Dictionary(uniqueKeysWithValues: passages.enumerated().map { (NodeID(rawValue: UInt32($0)), TextSignature($1)) })
        signatures[NodeID(rawValue: 9)] = TextSignature(AnalyzedText("ten"))
        #expect(try TextIndexCheck.findings(index, expected: signatures, in: write.view) == [])
        // A check knows the difference.
        signatures[NodeID(rawValue: 1)] = TextSignature(AnalyzedText("four five six seven eight"))
        #expect(try TextIndexCheck.findings(index, expected: signatures, in: write.view).contains { $0.hasPrefix("the statistics are") })
        for (number, text) in passages.enumerated() { #expect(try index.remove(NodeID(rawValue: UInt32(number)), text, in: &write)) }
        #expect(try index.statistics(in: write.view) == TextStatistics(documents: 1, totalLength: 1, totalLogLength: TextStatistics.logLength(1)))
        try write.commit()
    }

    @Test func edges() throws {
        let environment = try open()
        var write = try environment.beginWrite()
        let query = TextQuery("some words")
        #expect(try index.search(query, count: 10, in: write.view) == [])
        let empty = try index.weights(query, in: write.view)
        #expect(empty.statistics.averageLength == 0)
        #expect(empty.statistics.typicalLength == 1)
        #expect(empty.score(AnalyzedText("some words")) >= 0)
        var naive = NaiveIndex()
        try index.put(NodeID(rawValue: .max), "", &naive, in: &write)
        #expect(try index.statistics(in: write.view) == TextStatistics(documents: 1, totalLength: 0, totalLogLength: 0))
        try index.put(NodeID(rawValue: 0), "some words, the", &naive, in: &write)
        try index.put(NodeID(rawValue: .max), "words", &naive, in: &write)
        #expect(try index.search(query, count: 10, in: write.view).map(\.node.rawValue) == [0, .max])
        #expect(try index.search(query, count: 0, in: write.view) == [])
        #expect(try index.search(TextQuery("the of"), count: 10, in: write.view) == [])
        let weights = try index.weights(query, in: write.view)
        #expect(try index.scores(weights, of: [NodeID(rawValue: 0), NodeID(rawValue: 5)], in: write.view)[1] == nil)
        #expect(try index.length(of: NodeID(rawValue: 0), in: write.view) == 2)
        #expect(try index.length(of: NodeID(rawValue: 1), in: write.view) == nil)
        // Twice the word, twice the share.
        let once = try index.search(TextQuery("some"), count: 1, in: write.view)[0].score
        let twice = try index.search(TextQuery("some somes"), count: 1, in: write.view)[0].score
        #expect(abs(twice - 2 * once) < 1e-6)
        #expect(TextQuery((0..<5_000).map { "q\($0)x" }.joined(separator: " ")).terms.count == TextQuery.termsMax)
        // What is said to be there must be there.
        #expect(throws: ContexError.self) { try index.add(NodeID(rawValue: 0), AnalyzedText("again"), in: &write) }
        #expect(throws: ContexError.self) { try index.remove(NodeID(rawValue: 0), AnalyzedText("never, ever so"), in: &write) }
        #expect(try !index.remove(NodeID(rawValue: 77), AnalyzedText("nothing"), in: &write))
        let change = TextChange(node: NodeID(rawValue: 78), new: AnalyzedText("twice"))
        #expect(throws: ContexError.self) { try index.apply([change, change], in: &write) }
    }

    @Test func optionsAreChosenOnce() throws {
        let environment = try open()
        var write = try environment.beginWrite()
        #expect(try index.options(in: write.view) == TextIndexOptions())
        let code = TextIndexOptions(analyzer: Analyzer(.code), positions: false)
        try index.configure(code, in: &write)
        #expect(try index.options(in: write.view) == code)
        let text = AnalyzedText("func theThing()", analyzer: code.analyzer)
        try index.add(NodeID(rawValue: 1), text, in: &write)
        try index.configure(code, in: &write)
        #expect(throws: ContexError.self) { try index.configure(TextIndexOptions(), in: &write) }
        #expect(try index.search(TextQuery("thing", analyzer: code.analyzer), count: 5, in: write.view).count == 1)
        try index.removeAll(in: &write)
        #expect(try index.options(in: write.view) == code)
        try index.configure(TextIndexOptions(), in: &write)
        try write.commit()
        #expect(try environment.statistics().entries == 0)
    }

    /// An index of another version of the rules is refused, but can be emptied: that is how a rebuild begins.
    @Test func anotherVersionOfTheAnalyserCanOnlyBeEmptied() throws {
        let environment = try open()
        var write = try environment.beginWrite()
        try index.configure(TextIndexOptions(analyzer: Analyzer(.code)), in: &write)
        try index.add(NodeID(rawValue: 1), AnalyzedText("func", analyzer: Analyzer(.code)), in: &write)
        let key = TenantScope(tenant: .standard, project: ProjectID(rawValue: 7)).key(.textState)
        var state = try #require(try write.view.loadBytes(key))
        #expect(state[1] == Analyzer.version)
        state[1] = Analyzer.version + 1
        try write.store(key, state)
        #expect(throws: ContexError.self) { try index.options(in: write.view) }
        #expect(throws: ContexError.self) { try index.search(TextQuery("func"), count: 1, in: write.view) }
        try index.removeAll(in: &write)
        #expect(try index.options(in: write.view) == TextIndexOptions(analyzer: Analyzer(.code)))
        #expect(try index.statistics(in: write.view).documents == 0)
    }

    /// So is one whose state cannot be read beyond how it was made.
    @Test func aStateCutShortCanBeEmptied() throws {
        let environment = try open()
        var write = try environment.beginWrite()
        try index.configure(TextIndexOptions(analyzer: Analyzer(.code), positions: false), in: &write)
        try index.add(NodeID(rawValue: 1), AnalyzedText("func", analyzer: Analyzer(.code)), in: &write)
        let key = TenantScope(tenant: .standard, project: ProjectID(rawValue: 7)).key(.textState)
        let state = try #require(try write.view.loadBytes(key))
        try write.store(key, Array(state.dropLast()))
        let error = #expect(throws: ContexError.self) { try index.statistics(in: write.view) }
        #expect(error?.category == .damaged && error?.message.contains("contex reindex") == true)
        try index.removeAll(in: &write)
        #expect(try index.options(in: write.view) == TextIndexOptions(analyzer: Analyzer(.code), positions: false))
        for short in [[], [9, 1, 0], [0, 1]] as [[UInt8]] {
            try write.store(key, short)
            #expect(throws: ContexError.self) { try index.removeAll(in: &write) }
        }
    }
}
