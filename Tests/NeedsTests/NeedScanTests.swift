import Base
import KeySpace
import LMDB
import Needs
import TestSupport
import Testing

extension KeyKind {
    init?(of key: [UInt8]) {
        guard key.count >= TenantScope.prefixBytes else { return nil }
        self.init(rawValue: key[TenantScope.prefixBytes - 1])
    }
}

extension NeedStore {
    func raiseLevels(_ frequencies: [String: Int], in transaction: inout WriteTransaction) throws {
        let terms = frequencies.keys.sorted()
        let said = try saidTerms(of: terms.map { Array($0.utf8)[...] }, in: transaction.view)
        try raiseLevels(said, documents: said.map { frequencies[terms[$0.place]]! }, in: &transaction)
    }
}

extension NeedStoreTests {
    static let probe = NeedProbe(
        vector: [1, 0, 0], words: [.init(Array("order".utf8), most: 1, isRare: true), .init(Array("ünïcode".utf8), most: 2, isRare: true)])
    static let rule = NeedScanTests.rule(mode: .hybrid, threshold: 0.5, documents: 10, mean: [0.1, 0.2, 0.1], nearness: 4)
}

/// The bound against the sums that it bounds.
@Suite struct NeedScanTests {
    let store: TestStore
    let needs: NeedStore

    init() throws {
        store = try TestStore()
        needs = NeedStore(scope: store.scope)
    }

    static func rule(mode: NeedSettings.Mode, threshold: Double, documents: Int, mean: [Float]?, nearness: Float) -> NeedRule {
        NeedRule(
            mode: mode, threshold: threshold, cosine: 8, text: 6.65, points: 30, coverage: 0.35, textMax: 2.2, shareCut: 0.2,
            logDocuments: Float(PortableMath.log(Double(documents) + 1)), mean: mean, leastCut: { 2.5 + nearness * min(max($0, 0), 0.2) })
    }

    /// What a text and a need come to.
    struct Truth {
        var cosine: Float = 0
        var words: Float = 0
        var ceiling: Float = 0
        var hasRareExactWord = false

        func reaches(_ mode: NeedSettings.Mode, _ threshold: Double, hasVectors: Bool, _ rule: NeedRule, near: Float) -> Bool {
            let share = ceiling > 0 ? min(1, words / ceiling) : 0
            switch mode {
            case .semantic: return hasVectors && Double(cosine) >= threshold
            case .keyword: return Double(share) >= threshold
            case .hybrid:
                guard hasVectors else { return words > 0 && Double(share / (share + rule.shareCut)) >= threshold }
                let evidence = ceiling > 0 ? words / rule.points + rule.coverage * words / ceiling : 0
                let odds = rule.cosine * cosine + rule.text * evidence / (1 + evidence / rule.textMax) - rule.leastCut(near)
                return Double(1 / (1 + PortableMath.exp(-odds))) >= threshold
            }
        }
    }

    static func unit(_ dimension: Int, _ random: inout SeededRandom) -> [Float] {
        let numbers = (0..<dimension).map { _ in Float(random.unit() + random.unit() + random.unit() - 1.5) }
        let length = numbers.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return numbers.map { $0 / length }
    }

    static func dot(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

    /// Registrations, removals, and terms that become frequent come and go; after each round every need that a text reaches is among its candidates,
    /// in every mode, and most of the others are not.
    @Test(arguments: [3, 130, 384]) func whatATextReachesIsACandidate(_ dimension: Int) throws {
        var random = SeededRandom(seed: testSeed("whatATextReachesIsACandidate") ^ UInt64(dimension))
        let vocabulary = (0..<60).map { "word\($0)" }
        var documents = 4
        var frequencies = [String: Int](uniqueKeysWithValues: vocabulary.map { ($0, 0) })
        let memory = NeedMemory()
        var (reached, candidates, all) = (0, 0, 0)
        // Needs lie near the texts that reach them, as real ones do.
        let subjects = (0..<12).map { _ in Self.unit(dimension, &random) }
        func near(_ subject: [Float], _ random: inout SeededRandom) -> [Float] {
            let other = Self.unit(dimension, &random)
            let sum = zip(subject, other).map { $0 + 0.9 * $1 }
            let length = Self.dot(sum, sum).squareRoot()
            return sum.map { $0 / length }
        }
        var number: UInt32 = 0
        for round in 0..<12 {
            try store.write { (transaction: inout WriteTransaction) throws in
                for _ in 0..<25 {
                    let name = Name(stored: "agent\(Int.random(in: 0..<60, using: &random))")
                    if Int.random(in: 0..<4, using: &random) == 0 {
                        try needs.remove(name, in: &transaction)
                        continue
                    }
                    number += 1
                    let settings: NeedSettings = [
                        .none, .none, NeedSettings(minSimilarity: random.unit()), NeedSettings(mode: .semantic), NeedSettings(mode: .keyword),
                        NeedSettings(minSimilarity: random.unit(), mode: .hybrid),
                    ].randomElement(using: &random)!
                    let own = (0..<UInt32(Int.random(in: 0...5, using: &random))).map { index in
                        let words = vocabulary.shuffled(using: &random).prefix(Int.random(in: 0...5, using: &random))
                        return NeedRecord(
                            agent: number, index: index, text: "need \(random.next())",
                            vector: Int.random(in: 0..<8, using: &random) == 0 ? [] : near(subjects.randomElement(using: &random)!, &random),
                            terms: words.map { NeedTerm($0, count: Int.random(in: 1...3, using: &random), isExact: Bool.random(using: &random)) },
                            settings: settings)
                    }
                    var agent = NeedStoreTests.agent(name, number, needs: own.map(\.text), &random)
                    agent.settings = settings
                    try needs.register(agent, needs: own, in: &transaction)
                }
                documents += Int.random(in: 0..<(40 << (round % 4)), using: &random)
                for term in vocabulary where Int.random(in: 0..<3, using: &random) == 0 {
                    frequencies[term] = Int.random(in: 0...max(1, documents / Int.random(in: 1...40, using: &random)), using: &random)
                }
                try needs.raiseLevels(frequencies, in: &transaction)
            }
            let mean = near(subjects[0], &random).map { 0.3 * $0 }
            let threshold = [0, 0.3, 0.5, 0.9, 1].randomElement(using: &random)!
            let mode = [NeedSettings.Mode.hybrid, .hybrid, .semantic, .keyword].randomElement(using: &random)!
            let rule = Self.rule(mode: mode, threshold: threshold, documents: documents, mean: round % 3 == 0 ? nil : mean, nearness: 7)
            // More than are walked with at a time.
            let texts = (0..<11).map { _ in
                (
                    vector: Int.random(in: 0..<6, using: &random) == 0 ? [] : near(subjects.randomElement(using: &random)!, &random),
                    words: vocabulary.filter { _ in Int.random(in: 0..<6, using: &random) == 0 }
                )
            }
            func idf(_ term: String) -> Float {
                Float(PortableMath.log(Double(documents) + 1) - PortableMath.log(Double(min(documents, frequencies[term]!)) + 0.5))
            }
            let probes = texts.map { text in
                NeedProbe(
                    vector: text.vector,
                    words: text.words.map { .init(Array($0.utf8), most: 0.8 * idf($0), isRare: (1...2).contains(frequencies[$0]!)) })
            }
            try store.read { (view: borrowing TransactionView) throws in
                #expect(try needs.findings(nodes: [:], in: view) == [])
                let found = try needs.candidates(probes, rule, memory, in: view)
                for (text, found) in zip(texts, found) {
                    #expect(found.map(\.number) == found.map(\.number).sorted() && Set(found.map(\.number)).count == found.count)
                    let numbers = Set(found.map(\.number))
                    for number in 0..<UInt32(try needs.needSlots(in: view)) {
                        guard let need = try needs.need(number, in: view) else {
                            #expect(!numbers.contains(number), "number \(number) is none")
                            continue
                        }
                        all += 1
                        let hasVectors = !need.vector.isEmpty && !text.vector.isEmpty
                        var truth = Truth(cosine: hasVectors ? Self.dot(need.vector, text.vector) : 0)
                        for term in need.terms {
                            truth.ceiling += Float(term.count) * idf(term.text)
                            guard text.words.contains(term.text) else { continue }
                            truth.words += Float(term.count) * 0.8 * idf(term.text)
                            if term.isExact, (1...2).contains(frequencies[term.text]!) { truth.hasRareExactWord = true }
                        }
                        let near = need.vector.isEmpty ? 0 : rule.mean.map { Self.dot($0, need.vector) } ?? 0
                        let reaches =
                            truth.hasRareExactWord
                            || truth.reaches(
                                need.settings.mode ?? mode, need.settings.minSimilarity ?? threshold, hasVectors: hasVectors, rule, near: near)
                        if reaches { reached += 1 }
                        if reaches, !numbers.contains(number) {
                            Issue.record("need \(number) is reached (\(truth), \(need.settings)), but is no candidate in round \(round)")
                        }
                    }
                    candidates += found.count
                    // What was left is looked at again with the true cosine, by which none goes that is reached.
                    for candidate in found {
                        guard let need = try needs.need(candidate.number, in: view) else { continue }
                        let hasVectors = !need.vector.isEmpty && !text.vector.isEmpty
                        let cosine = hasVectors ? Self.dot(need.vector, text.vector) : 0
                        let near = need.vector.isEmpty ? 0 : rule.mean.map { Self.dot($0, need.vector) } ?? 0
                        var truth = Truth(cosine: cosine)
                        for term in need.terms {
                            truth.ceiling += Float(term.count) * idf(term.text)
                            if text.words.contains(term.text) { truth.words += Float(term.count) * 0.8 * idf(term.text) }
                        }
                        let reaches = truth.reaches(
                            need.settings.mode ?? mode, need.settings.minSimilarity ?? threshold, hasVectors: hasVectors, rule, near: near)
                        if reaches { #expect(candidate.mayMatch(cosine: cosine, leastCut: rule.leastCut(near), rule)) }
                    }
                }
            }
        }
        print("\(dimension) dimensions: \(reached) of \(all) reached, \(candidates) looked at")
        #expect(reached > 100 && candidates < all)
    }

    /// A list that outgrows its block goes on in others, and shrinks again.
    @Test func longListsOfWordsFallIntoBlocks() throws {
        var random = SeededRandom(seed: testSeed("longListsOfWordsFallIntoBlocks"))
        var standing: Set<UInt32> = []
        func blocks() throws -> Int { try store.records().count { KeyKind(of: $0.key) == .needTerm } }
        func check() throws {
            try store.read { (view: borrowing TransactionView) throws in
                #expect(try needs.findings(nodes: [:], in: view) == [])
                let probe = NeedProbe(vector: [], words: [.init(Array("word".utf8), most: 100, isRare: false)])
                let rule = Self.rule(mode: .keyword, threshold: 0.5, documents: 100, mean: nil, nearness: 0)
                #expect(try needs.candidates([probe], rule, NeedMemory(), in: view)[0].count == standing.count)
                #expect(try needs.levels(in: view).map(\.documentsMax) == (standing.isEmpty ? [] : [16]))
            }
        }
        func register(_ number: UInt32) throws {
            try store.write { (transaction: inout WriteTransaction) throws in
                let need = NeedRecord(
                    agent: number, index: 0, text: "need \(number)", vector: [], terms: [NeedTerm("word", count: 1, isExact: false)])
                let agent = NeedStoreTests.agent(Name(stored: "\(number)"), number, needs: [need.text], &random, NeedSettings.none)
                try needs.register(agent, needs: [need], in: &transaction)
                try needs.raiseLevels(["word": 10], in: &transaction)
            }
            standing.insert(number)
        }
        for number in 1...UInt32(900) { try register(number) }
        try check()
        #expect(try blocks() == 4)
        for number in standing.shuffled(using: &random).prefix(700) {
            try store.write { (transaction: inout WriteTransaction) throws in try needs.remove(Name(stored: "\(number)"), in: &transaction) }
            standing.remove(number)
        }
        try check()
        // Numbers that were given back are taken first, in the middle of lists.
        for number in 901...UInt32(1_500) { try register(number) }
        try check()
        #expect(try store.read { (view: borrowing TransactionView) throws in try needs.needSlots(in: view) } == 900)
        for number in standing.shuffled(using: &random) {
            try store.write { (transaction: inout WriteTransaction) throws in try needs.remove(Name(stored: "\(number)"), in: &transaction) }
            standing.remove(number)
            if standing.count % 97 == 0 { try check() }
        }
        #expect(try blocks() == 0)
    }

    /// A term that many needs say is taken to be in more texts than it is, so that few texts make all of them told; a term that few say is not. After each
    /// step the limits of every need are what its words and their levels give.
    @Test func aTermThatManyNeedsSayHasRoomToRise() throws {
        var random = SeededRandom(seed: testSeed("aTermThatManyNeedsSayHasRoomToRise"))
        func register(_ number: UInt32, _ words: [String]) throws {
            try store.write { (transaction: inout WriteTransaction) throws in
                let terms = words.sorted().map { NeedTerm($0, count: Int.random(in: 1...3, using: &random), isExact: false) }
                let need = NeedRecord(agent: number, index: 0, text: "need \(number)", vector: [], terms: terms)
                let agent = NeedStoreTests.agent(Name(stored: "\(number)"), number, needs: [need.text], &random, NeedSettings.none)
                try needs.register(agent, needs: [need], in: &transaction)
            }
        }
        func levels(_ frequencies: [String: Int] = [:]) throws -> [String: Int] {
            try store.write { (transaction: inout WriteTransaction) throws in try needs.raiseLevels(frequencies, in: &transaction) }
            return try store.read { (view: borrowing TransactionView) throws in
                #expect(try needs.findings(nodes: [:], in: view) == [])
                return Dictionary(uniqueKeysWithValues: try needs.levels(in: view).map { ($0.term, $0.documentsMax) })
            }
        }
        for number in 1...UInt32(31) { try register(number, number % 8 == 0 ? ["many", "few"] : ["many"]) }
        #expect(try levels() == ["many": 1, "few": 1])
        try register(32, ["many", "few", "other"])
        #expect(try levels() == ["many": 16, "few": 1, "other": 1])
        #expect(try levels(["many": 16, "few": 2, "other": 5]) == ["many": 16, "few": 4, "other": 16])
        // Both rise at once for needs that say both.
        #expect(try levels(["many": 17, "few": 5]) == ["many": 256, "few": 16, "other": 16])
        // Over several blocks of the list and of limits.
        for number in 33...UInt32(400) { try register(number, ["many", number % 2 == 0 ? "half" : "other"]) }
        #expect(try levels(["many": 256]) == ["many": 256, "few": 16, "half": 16, "other": 16])
        #expect(try levels(["many": 257, "half": 17, "other": 1_025]) == ["many": 4_096, "few": 16, "half": 256, "other": 16_384])
        for number in (1...UInt32(400)).shuffled(using: &random).prefix(390) {
            try store.write { (transaction: inout WriteTransaction) throws in try needs.remove(Name(stored: "\(number)"), in: &transaction) }
        }
        #expect(try levels(["many": 4_097])["many"] == 16_384)
    }

    /// A codes record that was damaged after it was found sound is not read again until it changes; one that was not is refused.
    @Test func damagedCodesAreRefused() throws {
        try NeedStoreTests(store: store, needs: needs).writeGolden(store)
        let key = store.scope.key(.needCodes, UInt32(0))
        var transaction = try store.environment.beginWrite()
        var value = Array(try #require(try transaction.view.copy(key)))
        value[20] ^= 1
        try transaction.put(key, value)
        let error = #expect(throws: ContexError.self) {
            _ = try needs.candidates([NeedStoreTests.probe], NeedStoreTests.rule, NeedMemory(), in: transaction.view)
        }
        #expect(error?.category == .damaged)
    }
}
