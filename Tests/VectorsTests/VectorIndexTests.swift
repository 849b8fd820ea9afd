import Base
import Foundation
import KeySpace
import LMDB
import TestSupport
import Testing
import Vectors

/// Graphs small enough to look at after every step.
@Suite struct VectorIndexTests {
    let small = HNSWParameters(M: 4, M0: 8, efConstruction: 32, efSearch: 32, exactBelow: 0)

    func node(_ number: some BinaryInteger) -> NodeID { NodeID(rawValue: UInt32(number)) }

    @Test func anEmptyIndexAnswersNothing() throws {
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 3)
        try store.environment.read { (view: borrowing TransactionView) throws in
            #expect(try index.count(in: view) == 0)
            #expect(try index.search([1, 0, 0], count: 5, in: view) == [])
            #expect(try index.exactSearch([1, 0, 0], count: 5, in: view) == [])
            #expect(try index.vector(of: node(1), in: view) == nil)
            #expect(try index.cosines([1, 0, 0], of: [node(1)], in: view) == [nil])
            #expect(try VectorIndexCheck.findings(index, expectedNodes: [], in: view) == [])
        }
        try store.write { (transaction: inout WriteTransaction) throws in #expect(try !index.remove(node(1), in: &transaction)) }
        #expect(try store.everything().isEmpty)
    }

    @Test func threeVectorsByHand() throws {
        let store = try IndexStore()
        // 0.8 lies between two halves.
        let slanting = VectorMath.stored([0.6, 0.8, 0])
        #expect(slanting[1] == 0x1.998p-1)
        for parameters in [small, HNSWParameters()] {
            let index = VectorIndex(scope: store.scope, dimension: 3, parameters: parameters)
            try store.write {
                try index.removeAll(in: &$0)
                try index.insert(node(1), [1, 0, 0], in: &$0)
                try index.insert(node(2), [0, 1, 0], in: &$0)
                try index.insert(node(UInt32.max), [0.6, 0.8, 0], in: &$0)
            }
            try store.environment.read { (view: borrowing TransactionView) throws in
                let answer = try index.search([0, 1, 0], count: 10, in: view)
                #expect(answer.map(\.node) == [node(2), node(UInt32.max), node(1)])
                #expect(answer.map(\.cosine) == [1, slanting[1], 0])
                #expect(try index.search([0, 1, 0], count: 1, in: view).count == 1)
                #expect(try index.search([0, 1, 0], count: 0, in: view).isEmpty)
                #expect(try index.cosines([1, 0, 0], of: [node(2), node(9), node(1)], in: view) == [0, nil, 1])
                #expect(try index.vector(of: node(UInt32.max), in: view) == slanting)
                #expect(try index.count(in: view) == 3)
            }
            #expect(try store.findings(index, [1, 2, .max]) == [])
        }
    }

    @Test func badVectorsAreRefusedBeforeAnythingIsWritten() throws {
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 3)
        try store.write { (transaction: inout WriteTransaction) throws in
            for vector: [Float] in [[], [1, 0], [1, 0, 0, 0], [0, 0, 0], [2, 0, 0], [.nan, 0, 0], [.infinity, 0, 0]] {
                #expect(throws: ContexError.self) { try index.insert(node(1), vector, in: &transaction) }
            }
            for query: [Float] in [[1, 0], [.nan, 0, 0]] {
                #expect(throws: ContexError.self) { _ = try index.search(query, count: 1, in: transaction.view) }
            }
            #expect(transaction.mutationCount == 0)
        }
        try store.write { try index.insert(node(1), [1, 0, 0], in: &$0) }
        let other = VectorIndex(scope: store.scope, dimension: 4)
        let error = #expect(throws: ContexError.self) { _ = try store.environment.read { _ = try other.count(in: $0) } }
        #expect(error?.category == .conflict)
    }

    @Test func equalBytesChangeNothing() throws {
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 3, parameters: small)
        try store.write { try index.insert(node(1), [1, 0, 0], in: &$0) }
        try store.write {
            try index.insert(node(1), [1, 0, 0], in: &$0)
            #expect($0.mutationCount == 0)
        }
        // Nor do numbers that differ by less than what is stored of them.
        try store.write { try index.insert(node(2), [0.6, 0.8, 0], in: &$0) }
        try store.write {
            try index.insert(node(2), [0.6, 0.80001, 0], in: &$0)
            #expect($0.mutationCount == 0)
        }
    }

    /// Vectors that meet in what is stored of them are twins, whether they come one by one or in bulk.
    @Test func whatIsStoredAsEqualIsEqual() throws {
        let near: [[Float]] = [[0.6, 0.8, 0], [0.6, 0.80001, 0], [0.6, 0.79999, 0], [0, 1, 0]]
        let (single, bulk) = (try IndexStore(), try IndexStore())
        let index = VectorIndex(scope: single.scope, dimension: 3, parameters: small)
        try single.write { for (id, vector) in near.enumerated() { try index.insert(node(id), vector, in: &$0) } }
        let build = VectorBulkBuild(index, threads: 1)
        try bulk.write { try build.add(near.enumerated().map { (node($0), $1) }, in: &$0) }
        try build.link(in: bulk.environment)
        try bulk.write { (transaction: inout WriteTransaction) throws in #expect(try build.write(in: &transaction)) }
        for store in [single, bulk] {
            #expect(try store.findings(index, 0..<4) == [])
            try store.environment.read { (view: borrowing TransactionView) throws in
                var twins = 0
                try view.scanRecords(prefix: store.scope.key(.vectorLinks)) { _, payload in
                    if Array(payload)[0] == 255 { twins += 1 }
                    return .onward
                }
                #expect(twins == 2)
                #expect(try index.mean(in: view) == VectorMean(near.map(VectorMath.stored), dimension: 3))
            }
        }
    }

    /// Random inserts, replacements and removals beside a dictionary; the whole graph is checked after every few.
    @Test(arguments: [2, 16]) func agreesWithADictionary(dimension: Int) throws {
        let seed = testSeed("agreesWithADictionary \(dimension)")
        var random = SeededRandom(seed: seed)
        var samples = VectorSamples(seed: seed, dimension: dimension, clusters: 5, spread: 4)
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: dimension, parameters: small)
        var oracle: [UInt32: [Float]] = [:]
        for round in 0..<120 {
            // Growing, shrinking to nothing, growing again.
            let growth = round % 60 < 35 ? 3 : 1
            try store.write { (transaction: inout WriteTransaction) throws in
                for _ in 0..<10 {
                    if random.next() % 4 < growth {
                        let id = UInt32(random.next() % 300)
                        // Now and then a vector that is there already, under another number.
                        let vector = random.next() % 8 == 0 ? oracle.min { $0.key < $1.key }?.value ?? samples.next() : samples.next()
                        try index.insert(node(id), vector, in: &transaction)
                        oracle[id] = vector
                    } else {
                        let id = oracle.keys.sorted().randomElement(using: &random) ?? 0
                        #expect(try index.remove(node(id), in: &transaction) == (oracle.removeValue(forKey: id) != nil))
                    }
                }
            }
            #expect(try store.findings(index, oracle.keys) == [])
            let query = samples.next()
            try store.environment.read { (view: borrowing TransactionView) throws in
                try expectMean(of: oracle, index, in: view)
                let answer = try index.search(query, count: 400, effort: .candidates(400), in: view)
                #expect(Set(answer.map(\.node.rawValue)) == Set(oracle.keys), "every node is reached and no removed one is")
                #expect(answer == (try index.exactSearch(query, count: 400, in: view)))
            }
        }
        try store.write { (transaction: inout WriteTransaction) throws in
            for id in oracle.keys.sorted() { #expect(try index.remove(node(id), in: &transaction)) }
        }
        #expect(try store.everything().isEmpty)
    }

    /// The mean after any history is, to the bit, that of the vectors that are there, in whatever order they are added up; and within rounding that
    /// of floating-point numbers.
    private func expectMean(of oracle: [UInt32: [Float]], _ index: VectorIndex, in view: borrowing TransactionView) throws {
        let mean = try index.mean(in: view)
        guard !oracle.isEmpty else {
            #expect(mean == nil)
            return
        }
        #expect(mean == VectorMean(oracle.keys.sorted().map { oracle[$0]! }, dimension: index.dimension))
        #expect(mean == VectorMean(oracle.keys.sorted(by: >).map { oracle[$0]! }, dimension: index.dimension))
        for place in 0..<index.dimension {
            let naive = oracle.values.reduce(0.0) { $0 + Double($1[place]) } / Double(oracle.count)
            #expect(abs(naive - Double(mean?.components[place] ?? .nan)) < 2e-7)
        }
    }

    @Test func theMeanByHand() throws {
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 3, parameters: small)
        #expect(try store.environment.read { try index.mean(in: $0) } == nil)
        try store.write {
            try index.insert(node(1), [1, 0, 0], in: &$0)
            try index.insert(node(2), [1, 0, 0], in: &$0)
            try index.insert(node(3), [0, 0, -1], in: &$0)
            try index.insert(node(4), [0.6, 0.8, 0], in: &$0)
            try index.insert(node(4), [0, 1, 0], in: &$0)
        }
        let mean = try #require(try store.environment.read { try index.mean(in: $0) })
        #expect(mean.components == [0.5, 0.25, -0.25])
        #expect(mean.cosine([1, 0, 0][...]) == 0.5 && mean.cosine([0, 0, 1][...]) == -0.25)
        #expect(VectorMean([], dimension: 2).components == [0, 0])
        // Another dimension is a conflict, as for a search.
        #expect(throws: ContexError.self) {
            try store.environment.read { _ = try VectorIndex(scope: store.scope, dimension: 4).mean(in: $0) }
        }
    }

    @Test func sameOperationsGiveSameBytes() throws {
        let seed = testSeed("sameOperationsGiveSameBytes")
        func run(batch: Int) throws -> [[UInt8]: [UInt8]] {
            var random = SeededRandom(seed: seed)
            var samples = VectorSamples(seed: seed, dimension: 24, clusters: 8)
            let store = try IndexStore()
            let index = VectorIndex(scope: store.scope, dimension: 24, parameters: HNSWParameters(M: 8, M0: 16, efConstruction: 60))
            for _ in 0..<600 / batch {
                try store.write { (transaction: inout WriteTransaction) throws in
                    for _ in 0..<batch {
                        let id = node(random.next() % 250)
                        if random.next() % 4 == 0 { try index.remove(id, in: &transaction) } else { try index.insert(id, samples.next(), in: &transaction) }
                    }
                }
            }
            return try store.everything()
        }
        let first = try run(batch: 1)
        #expect(first.count > 100)
        #expect(try run(batch: 1) == first)
        #expect(try run(batch: 60) == first, "how operations are grouped into transactions leaves no trace")
    }

    @Test func projectsDoNotMeet() throws {
        let store = try IndexStore()
        let here = VectorIndex(scope: store.scope, dimension: 2, parameters: small)
        let there = VectorIndex(
            scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 8)), dimension: 2, parameters: small)
        try store.write {
            try here.insert(node(1), [1, 0], in: &$0)
            try there.insert(node(2), [1, 0], in: &$0)
            try here.removeAll(in: &$0)
        }
        try store.environment.read { (view: borrowing TransactionView) throws in
            #expect(try here.count(in: view) == 0)
            #expect(try there.search([1, 0], count: 9, in: view).map(\.node) == [node(2)])
        }
    }

    @Test func aReopenedStoreAnswersAsBefore() throws {
        var samples = VectorSamples(seed: testSeed("aReopenedStoreAnswersAsBefore"), dimension: 32, clusters: 6)
        let vectors = samples.next(400)
        let queries = samples.next(20)
        let folder = TemporaryFolder()
        let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))
        let index = VectorIndex(scope: scope, dimension: 32, parameters: HNSWParameters(M: 8, M0: 16, exactBelow: 0))
        func answers(_ environment: Environment) throws -> [[VectorMatch]] {
            try environment.read { view in try queries.map { try index.search($0, count: 10, in: view) } }
        }
        var before: [[VectorMatch]] = []
        do {
            let environment = try IndexStore.open(folder)
            var write = try environment.beginWrite()
            for (id, vector) in vectors.enumerated() { try index.insert(node(id), vector, in: &write) }
            try write.commit()
            var dropped = try environment.beginWrite()
            try index.insert(node(1_000), vectors[0], in: &dropped)
            try index.remove(node(3), in: &dropped)
            before = try answers(environment)
        }
        #expect(try answers(try IndexStore.open(folder)) == before)
    }

    /// A graph keeps the bounds that it was built with.
    @Test func otherParametersReadAnExistingGraph() throws {
        var samples = VectorSamples(seed: testSeed("otherParametersReadAnExistingGraph"), dimension: 16, clusters: 4)
        let store = try IndexStore()
        let narrow = VectorIndex(scope: store.scope, dimension: 16, parameters: small)
        let wide = VectorIndex(scope: store.scope, dimension: 16, parameters: HNSWParameters(exactBelow: 0))
        try store.write { for id in 0..<100 { try narrow.insert(node(id), samples.next(), in: &$0) } }
        try store.write { for id in 100..<200 { try wide.insert(node(id), samples.next(), in: &$0) } }
        #expect(try store.findings(narrow, 0..<200) == [])
        #expect(try store.findings(wide, 0..<200) == [])
    }

    /// A state that names more slots than there are records of is damage, before anything is made for so many.
    @Test func aStateClaimsNoMoreThanThereIs() throws {
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 3, parameters: small)
        try store.write { for (id, vector) in [[1, 0, 0], [0, 1, 0], [0, 0, 1]].enumerated() { try index.insert(node(id), vector.map(Float.init), in: &$0) } }
        let key = store.scope.key(.vectorState)
        let sound = try #require(try store.environment.read { (view: borrowing TransactionView) throws in try view.loadBytes(key) })
        for slots in [4, 256, 257, 1 << 20, (1 << 31) - 1] as [UInt32] {
            var state = sound
            for place in 0..<4 { state[6 + place] = UInt8(truncatingIfNeeded: slots >> UInt32(24 - 8 * place)) }
            var transaction = try store.environment.beginWrite()
            try transaction.store(key, state)
            for attempt in 0..<3 {
                do {
                    switch attempt {
                    case 0: _ = try index.search([1, 0, 0], count: 1, in: transaction.view)
                    case 1: _ = try index.vector(of: node(0), in: transaction.view)
                    default: try index.insert(node(9), [1, 0, 0], in: &transaction)
                    }
                    Issue.record("a state of \(slots) slots was read")
                } catch let error as ContexError {
                    #expect(error.category == .damaged && error.message.contains("slots"), "\(slots)")
                }
            }
        }
    }
}
