import Base
import Foundation
import KeySpace
import LMDB
import Synchronization
import TestSupport
import Testing
import Vectors

@Suite struct BulkBuildTests {
    func node(_ number: some BinaryInteger) -> NodeID { NodeID(rawValue: UInt32(number)) }

    func build(_ store: IndexStore, _ index: VectorIndex, _ vectors: [[Float]], threads: Int, group: Int) throws {
        let build = VectorBulkBuild(index, threads: threads)
        for start in stride(from: 0, to: vectors.count, by: group) {
            try store.write {
                try build.add((start..<min(start + group, vectors.count)).map { (node(3 * $0), vectors[$0]) }, in: &$0)
            }
        }
        try build.link(in: store.environment)
        var done = false
        while !done { try store.write { done = try build.write(records: 700, in: &$0) } }
    }

    @Test func equalsItselfOnAnyThreadsAndIsAGoodGraph() throws {
        var samples = VectorSamples(seed: testSeed("equalsItselfOnAnyThreads"), dimension: 64, clusters: 30)
        var vectors = samples.next(3_000)
        for place in stride(from: 10, to: 3_000, by: 50) { vectors[place] = vectors[place / 100 * 7] }
        for place in 2_000..<2_040 { vectors[place] = vectors[1_999] }
        let queries = samples.next(100)
        var all: [[[UInt8]: [UInt8]]] = []
        for (threads, group) in [(1, 3_000), (3, 257)] {
            let store = try IndexStore()
            let index = VectorIndex(scope: store.scope, dimension: 64, parameters: HNSWParameters(exactBelow: 0))
            try build(store, index, vectors, threads: threads, group: group)
            #expect(try store.findings(index, (0..<3_000).map { UInt32(3 * $0) }) == [])
            #expect(try store.environment.read { try index.mean(in: $0) } == VectorMean(vectors, dimension: 64))
            #expect(try store.recall(index, queries) >= 0.98)
            var everything = try store.everything()
            // How many slots the first codes record has room for depends on how many came at once, until it is full.
            #expect(everything.count > 3_000)
            everything[[]] = nil
            all.append(everything)
            // The graph goes on as any other.
            try store.write { (transaction: inout WriteTransaction) throws in
                for id in 0..<200 { try index.remove(node(3 * id), in: &transaction) }
                for id in 0..<100 { try index.insert(node(20_000 + id), samples.next(), in: &transaction) }
            }
            #expect(try store.findings(index, (200..<3_000).map { UInt32(3 * $0) } + (20_000..<20_100).map { UInt32($0) }) == [])
        }
        #expect(all[0] == all[1])
    }

    @Test func resumesAfterTheLastCommitAndExcludesOtherWriters() throws {
        var samples = VectorSamples(seed: testSeed("resumesAfterTheLastCommit"), dimension: 32, clusters: 6)
        let vectors = samples.next(400)
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 32, parameters: HNSWParameters(exactBelow: 0))
        let first = VectorBulkBuild(index, threads: 2)
        try store.write { try first.add((0..<250).map { (node($0), vectors[$0]) }, in: &$0) }
        // A crash in the middle of the next group.
        var lost = try store.environment.beginWrite()
        try first.add((250..<300).map { (node($0), vectors[$0]) }, in: &lost)
        _ = consume lost
        #expect(try store.environment.read { try VectorBulkBuild.stored(index, in: $0) } == 250)
        #expect(try store.environment.read { try index.search(vectors[0], count: 5, in: $0) } == [])
        // Needs are matched while a bulk build goes on, by the mean of what it has.
        #expect(try store.environment.read { try index.mean(in: $0) } == VectorMean(vectors[..<250], dimension: 32))
        let refused = #expect(throws: ContexError.self) { try store.write { try index.insert(node(999), vectors[0], in: &$0) } }
        #expect(refused?.category == .conflict)
        let second = VectorBulkBuild(index, threads: 2)
        let twice = #expect(throws: ContexError.self) { try store.write { try second.add([(node(0), vectors[0])], in: &$0) } }
        #expect(twice?.category == .conflict)
        try store.write { try second.add((250..<400).map { (node($0), vectors[$0]) }, in: &$0) }
        #expect(throws: ContexError.self) { try store.write { _ = try second.write(in: &$0) } }
        #expect(throws: CancellationError.self) { try second.link(in: store.environment) { linked, of in linked < of / 2 } }
        var last = 0
        try second.link(in: store.environment) { linked, of in
            last = linked
            return of == 400
        }
        #expect(last == 400)
        var done = false
        while !done { try store.write { done = try second.write(records: 150, in: &$0) } }
        #expect(try store.findings(index, 0..<400) == [])
        #expect(try store.environment.read { try VectorBulkBuild.stored(index, in: $0) } == nil)
        let full = #expect(throws: ContexError.self) { try store.write { try second.add([(node(1_000), vectors[0])], in: &$0) } }
        #expect(full?.category == .conflict)
        try store.write { try index.removeAll(in: &$0) }
        #expect(try store.everything().isEmpty)
    }
}

/// An index that is taken apart and built anew.
@Suite struct ReopenTests {
    func node(_ number: some BinaryInteger) -> NodeID { NodeID(rawValue: UInt32(number)) }

    /// Without a gap, with gaps everywhere, with most of it gone (so that the first codes record gets smaller).
    @Test(arguments: [(0, 700), (250, 700), (600, 700), (690, 700), (5, 6)]) func whatItHadAndWhatIsAddedIsThere(gone: Int, of count: Int) throws {
        var samples = VectorSamples(seed: testSeed("whatItHadAndWhatIsAdded \(gone)"), dimension: 64, clusters: 9)
        var random = SeededRandom(seed: testSeed("whatItHadAndWhatIsAdded gaps \(gone)"))
        var vectors = samples.next(count)
        for place in stride(from: 3, to: count, by: 40) { vectors[place] = vectors[1] }
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 64, parameters: HNSWParameters(exactBelow: 0))
        let removed = Set((0..<count).shuffled(using: &random).prefix(gone))
        try store.write { (transaction: inout WriteTransaction) throws in
            for place in vectors.indices { try index.insert(node(place * 2), vectors[place], in: &transaction) }
            for place in removed.sorted() { try index.remove(node(place * 2), in: &transaction) }
        }
        let kept = (0..<count).filter { !removed.contains($0) }
        try store.write { (transaction: inout WriteTransaction) throws in
            #expect(try VectorBulkBuild.reopen(index, in: &transaction) == kept.count)
            #expect(try VectorBulkBuild.reopen(index, in: &transaction) == kept.count)
        }
        #expect(try store.environment.read { try index.search(vectors[1], count: 5, in: $0) } == [])
        let build = VectorBulkBuild(index, threads: 2)
        let added = samples.next(300)
        try store.write { try build.add(added.indices.map { (node(10_001 + $0), added[$0]) }, in: &$0) }
        try build.link(in: store.environment)
        var isDone = false
        while !isDone { try store.write { isDone = try build.write(records: 200, in: &$0) } }
        let nodes = kept.map { UInt32($0 * 2) } + added.indices.map { UInt32(10_001 + $0) }
        #expect(try store.findings(index, nodes) == [])
        try store.environment.read { (view: borrowing TransactionView) throws in
            for place in kept { #expect(try index.vector(of: node(place * 2), in: view) == vectors[place]) }
            for place in added.indices { #expect(try index.vector(of: node(10_001 + place), in: view) == added[place]) }
            for place in removed { #expect(try index.vector(of: node(place * 2), in: view) == nil) }
        }
        #expect(try store.recall(index, samples.next(50)) >= 0.95)
        // The index goes on as any other.
        try store.write { (transaction: inout WriteTransaction) throws in
            for place in kept.prefix(50) { try index.remove(node(place * 2), in: &transaction) }
            for place in 0..<80 { try index.insert(node(20_000 + place), samples.next(), in: &transaction) }
        }
        let rest = nodes.dropFirst(min(50, kept.count)) + (20_000..<20_080).map { UInt32($0) }
        #expect(try store.findings(index, rest) == [])
        // And is taken apart again, now that its slots are in an order of their own; gaps are where `remove` left them.
        try store.write { (transaction: inout WriteTransaction) throws in
            for place in 0..<90 { try index.remove(node(10_001 + place), in: &transaction) }
            #expect(try VectorBulkBuild.reopen(index, in: &transaction) == rest.count - 90)
        }
        try build.link(in: store.environment)
        isDone = false
        while !isDone { try store.write { isDone = try build.write(records: 200, in: &$0) } }
        #expect(try store.findings(index, rest.filter { !(10_001..<10_091).contains($0) }) == [])
        try store.environment.read { (view: borrowing TransactionView) throws in
            for place in kept.dropFirst(50) { #expect(try index.vector(of: node(place * 2), in: view) == vectors[place]) }
            for place in 90..<300 { #expect(try index.vector(of: node(10_001 + place), in: view) == added[place]) }
        }
        #expect(try store.recall(index, samples.next(50)) >= 0.95)
    }

    @Test func anEmptyIndexStaysEmpty() throws {
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 64)
        try store.write { (transaction: inout WriteTransaction) throws in #expect(try VectorBulkBuild.reopen(index, in: &transaction) == 0) }
        #expect(try store.everything().isEmpty)
    }
}

/// Filters, efforts, bad input, many readers.
@Suite struct SearchTests {
    func node(_ number: some BinaryInteger) -> NodeID { NodeID(rawValue: UInt32(number)) }

    /// Recall@10 among the passing at each selectivity, by all three ways.
    @Test func filteredRecall() throws {
        let seed = testSeed("filteredRecall")
        var samples = VectorSamples(seed: seed, dimension: 64, clusters: 40)
        var random = SeededRandom(seed: seed)
        var vectors = samples.next(6_000)
        for place in 5_000..<5_300 { vectors[place] = vectors[4_999] }
        let queries = samples.next(50) + [vectors[4_999]]
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 64)
        let build = VectorBulkBuild(index, threads: 2)
        try store.write { try build.add(vectors.enumerated().map { (node($0.offset), $0.element) }, in: &$0) }
        try build.link(in: store.environment)
        try store.write { (transaction: inout WriteTransaction) throws in #expect(try build.write(in: &transaction)) }
        for share in [0.9, 0.5, 0.1, 0.01, 0.001] {
            var chosen: Set<Int> = []
            for place in 0..<6_000 where random.unit() < share { chosen.insert(place) }
            let passing = chosen
            let filters = [NodeFilter(nodes: chosen.map { node($0) }), NodeFilter { passing.contains(Int($0.rawValue)) }]
            for (kind, filter) in filters.enumerated() {
                var (found, wanted) = (0, 0)
                try store.environment.read { (view: borrowing TransactionView) throws in
                    for query in queries {
                        let truth = try index.exactSearch(query, count: 6_000, in: view).filter { passing.contains(Int($0.node.rawValue)) }.prefix(10)
                        let answer = try index.search(query, count: 10, filter: filter, in: view)
                        #expect(answer.allSatisfy { passing.contains(Int($0.node.rawValue)) })
                        #expect(Set(answer.map(\.node)).count == answer.count)
                        #expect(answer.count == truth.count)
                        found += min(truth.count, answer.count { $0.cosine >= (truth.last?.cosine ?? 1) - 1e-6 })
                        wanted += truth.count
                    }
                }
                print("filteredRecall: share \(share), \(kind == 0 ? "set" : "test"): \(found) of \(wanted)")
                #expect(Double(found) >= 0.95 * Double(wanted))
            }
        }
        try store.environment.read { (view: borrowing TransactionView) throws in
            #expect(try index.search(queries[0], count: 5_000, in: view) == (try index.exactSearch(queries[0], count: 5_000, in: view)))
            #expect(try index.search(queries[0], count: 9_000, filter: NodeFilter { $0.rawValue % 2 == 0 }, in: view).count == 3_000)
            #expect(try index.search(queries[0], count: 10, filter: NodeFilter(nodes: []), in: view) == [])
            #expect(try index.search(queries[0], count: 10, filter: NodeFilter { _ in false }, in: view) == [])
            #expect(try index.search(queries[0], count: 10, filter: NodeFilter(nodes: [node(70_000_000)]), in: view) == [])
        }
    }

    /// Small random indexes with equal and nearly equal vectors against the exact search; a failing case is made smaller first.
    @Test func agreesWithExactSearchAndShrinks() throws {
        var random = SeededRandom(seed: testSeed("agreesWithExactSearchAndShrinks"))
        func fails(_ vectors: [[Float]], _ query: [Float], _ count: Int, bits: Int) throws -> Bool {
            let store = try IndexStore()
            let parameters = HNSWParameters(M: 4, M0: 8, efConstruction: 16, exactBelow: 0, codeBits: bits)
            let index = VectorIndex(scope: store.scope, dimension: 4, parameters: parameters)
            try store.write { (transaction: inout WriteTransaction) throws in
                for (id, vector) in vectors.enumerated() { try index.insert(node(id), vector, in: &transaction) }
            }
            return try store.environment.read { (view: borrowing TransactionView) throws in
                let answer = try index.search(query, count: count, effort: .candidates(vectors.count + 1), in: view)
                let exact = try index.exactSearch(query, count: count, in: view)
                return answer.map(\.cosine) != exact.map(\.cosine) || answer.count != min(count, vectors.count)
            }
        }
        for round in 0..<60 {
            let base = (0..<3).map { _ in VectorSamples.unit((0..<4).map { _ in VectorSamples.gauss(&random) }) }
            var vectors: [[Float]] = (0..<Int(random.next() % 60)).map { _ in
                random.next() % 3 == 0
                    ? base[Int(random.next() % 3)]
                    : VectorSamples.unit(base[Int(random.next() % 3)].map { $0 + 1e-4 * VectorSamples.gauss(&random) })
            }
            let query = VectorSamples.unit((0..<4).map { _ in VectorSamples.gauss(&random) })
            // Among near-equals the estimate cannot tell who is first; with all of them compared the answer is exact.
            let count = 100
            let bits = round % 2 == 0 ? 4 : 8
            guard try fails(vectors, query, count, bits: bits) else { continue }
            var at = 0
            while at < vectors.count {
                var fewer = vectors
                fewer.remove(at: at)
                if try fails(fewer, query, count, bits: bits) { vectors = fewer } else { at += 1 }
            }
            Issue.record("round \(round), \(bits) bits, \(count) of \(vectors), query \(query)")
            return
        }
    }

    @Test func efforts() throws {
        var samples = VectorSamples(seed: testSeed("efforts"), dimension: 48, clusters: 20)
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 48, parameters: HNSWParameters(exactBelow: 0))
        try store.write { (transaction: inout WriteTransaction) throws in
            for id in 0..<1_500 { try index.insert(node(id), samples.next(), in: &transaction) }
        }
        let queries = samples.next(100)
        try store.environment.read { (view: borrowing TransactionView) throws in
            func found(_ effort: SearchEffort) throws -> Int {
                try queries.reduce(0) { sum, query in
                    let truth = Set(try index.exactSearch(query, count: 10, in: view).map(\.node))
                    return sum + (try index.search(query, count: 10, effort: effort, in: view).count { truth.contains($0.node) })
                }
            }
            #expect(try found(.recall(0.95)) >= 950)
            #expect(try found(.recall(0.99)) >= 990)
            #expect(try found(.candidates(1_500)) >= 999)
            for count in [0, 1, 1_500, 4_000] {
                #expect(try index.search(queries[0], count: count, effort: .candidates(0), in: view).count == min(count, 1_500))
            }
        }
    }

    @Test func vectorsFromOutsideAreChecked() throws {
        let good = try VectorIndex.unit([3, 0, 4], dimension: 3, field: "vector")
        #expect(good == [0.6, 0, 0.8])
        #expect(try VectorIndex.unit([1e38, 1e38, 0], dimension: 3, field: "vector").allSatisfy(\.isFinite))
        for bad: [Float] in [[], [1, 2], [1, 2, 3, 4], [0, 0, 0], [.nan, 1, 1], [1, .infinity, 1], [-.infinity, 0, 0]] {
            let error = #expect(throws: ContexError.self) { _ = try VectorIndex.unit(bad, dimension: 3, field: "query_vector") }
            #expect(error?.category == .invalid)
            #expect(error?.field == "query_vector")
        }
    }

    /// Readers on their own snapshots beside a writer: each answers as an exact search of its snapshot does.
    @Test func manyReadersBesideAWriter() throws {
        let seed = testSeed("manyReadersBesideAWriter")
        var samples = VectorSamples(seed: seed, dimension: 32, clusters: 8)
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 32, parameters: HNSWParameters(M: 8, M0: 16, exactBelow: 0))
        try store.write { (transaction: inout WriteTransaction) throws in
            for id in 0..<600 { try index.insert(node(id), samples.next(), in: &transaction) }
        }
        let queries = samples.next(40)
        let faults = Mutex<[String]>([])
        let stop = Atomic(false)
        let group = DispatchGroup()
        for reader in 0..<3 {
            DispatchQueue.global().async(group: group) {
                var round = reader
                repeat {
                    round += 1
                    do {
                        let query = queries[round % queries.count]
                        let (answer, exact) = try store.environment.read { view in
                            (try index.search(query, count: 5, effort: .candidates(200), in: view), try index.exactSearch(query, count: 5, in: view))
                        }
                        if answer.map(\.cosine) != exact.map(\.cosine) { faults.withLock { $0.append("\(answer) is not \(exact)") } }
                    } catch {
                        faults.withLock { $0.append("\(error)") }
                    }
                } while !stop.load(ordering: .relaxed)
            }
        }
        var random = SeededRandom(seed: seed)
        for _ in 0..<60 {
            try store.write { (transaction: inout WriteTransaction) throws in
                for _ in 0..<5 {
                    try index.insert(node(random.next() % 900), samples.next(), in: &transaction)
                    try index.remove(node(random.next() % 900), in: &transaction)
                }
            }
            // A transaction that comes to nothing, whose number LMDB gives again.
            var dropped = try store.environment.beginWrite()
            try index.insert(node(5_000), samples.next(), in: &dropped)
            _ = consume dropped
        }
        stop.store(true, ordering: .relaxed)
        group.wait()
        let found = faults.withLock { $0 }
        // 200 of 600 candidates: a miss of the graph is possible, damage is not.
        #expect(found.filter { !$0.contains("is not") } == [])
        #expect(found.count <= 3, "\(found.prefix(3))")
    }

    /// Rounds of replacing everything must not make the store grow.
    @Test func freedSlotsAreUsedAgain() throws {
        var samples = VectorSamples(seed: testSeed("freedSlotsAreUsedAgain"), dimension: 64, clusters: 10)
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 64, parameters: HNSWParameters(M: 8, M0: 16, efConstruction: 40, exactBelow: 0))
        var first = 0
        func replace(_ count: Int) throws {
            for start in stride(from: 0, to: count, by: 50) {
                try store.write { (transaction: inout WriteTransaction) throws in
                    for id in first + start..<first + start + 50 { try index.remove(node(id), in: &transaction) }
                    for id in first + 500 + start..<first + 550 + start { try index.insert(node(id), samples.next(), in: &transaction) }
                }
            }
            first += count
        }
        try store.write { (transaction: inout WriteTransaction) throws in
            for id in 0..<500 { try index.insert(node(id), samples.next(), in: &transaction) }
        }
        try replace(500)
        let before = try store.everything().values.reduce(0) { $0 + $1.count }
        for _ in 0..<4 { try replace(500) }
        let after = try store.everything().values.reduce(0) { $0 + $1.count }
        print("freedSlotsAreUsedAgain: \(before) bytes, after four more rounds \(after)")
        #expect(after <= before + before / 50)
        #expect(try store.findings(index, UInt32(first)..<UInt32(first + 500)) == [])
    }
}
