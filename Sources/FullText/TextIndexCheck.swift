public import Base
internal import KeySpace
public import LMDB

/// What the index must hold of a text, in a few bytes.
public struct TextSignature: Sendable, Hashable {
    let length: Int
    let goesOn: Bool
    let terms: UInt64
    let positions: UInt32

    /// - Complexity: O(length of the text).
    public init(_ text: AnalyzedText) {
        (length, goesOn) = (text.length, text.goesOn)
        terms = (0..<text.distinct).reduce(0) { $0 &+ Self.hash(text.bytes[text.range($1)], text.counts[$1]) }
        positions = PositionRecord.bytes(text).map { CRC32C.of($0) } ?? 0
    }

    /// FNV-1a over the term, then mixed with the number (SplitMix64): a sum of these does not depend on their order.
    static func hash(_ term: some Swift.Collection<UInt8>, _ count: UInt32) -> UInt64 {
        var random = SeededRandom(seed: PositionRecord.hash(term) ^ UInt64(count) &* 0x9E37_79B9_7F4A_7C15)
        return random.next()
    }
}

/// The invariants of the index, read from every one of its records.
public enum TextIndexCheck {
    /// What is wrong, a sentence each, at most `findingsMax`; empty when all is well.
    ///
    /// Checked are every seal; the statistics against the lengths; order, size and keys of all records; each term's count against its
    /// postings; every block's impacts against its postings; and that the postings, the length and the positions of each node
    /// are those of `expected`, by an order-free sum of hashes a node, so that memory is O(nodes + terms) and not O(postings).
    /// - Complexity: O(postings).
    public static func findings(_ index: TextIndex, expected: [NodeID: TextSignature], in view: borrowing TransactionView) throws -> [String] {
        var inspection = Inspection(index)
        var state = TextIndex.State()
        do {
            state = try index.state(in: view)
        } catch {
            inspection.findings.append("state: \(error)")
        }
        try view.scan(prefix: index.scope.key(.textLengths)) { key, value in
            inspection.lengths(Array(key), value)
            return .onward
        }
        for kind in [KeyKind.textTerms, .textRecent] {
            inspection.lastTerm = []
            try view.scan(prefix: index.scope.key(kind)) { key, value in
                inspection.terms(Array(key), value, kind)
                return .onward
            }
        }
        try view.scan(prefix: index.scope.key(.posting)) { key, value in
            inspection.segment(Array(key), value)
            return .onward
        }
        try view.scan(prefix: index.scope.key(.textPositions)) { key, value in
            inspection.positions(Array(key), value, expected)
            return .onward
        }
        inspection.compare(state, expected)
        return Array(inspection.findings.prefix(findingsMax))
    }

    public static let findingsMax = 100

    private struct Inspection {
        let index: TextIndex
        var findings: [String] = []

        private struct Term {
            var documents: Int
            var found: Int
            let tailFirst: UInt32
            let tailLast: UInt32
            var lastNode: UInt32?
        }
        private var levels = DictionaryLevels()
        private var ofLengths: [UInt32: UInt32] = [:]
        private var ofPostings: [UInt32: (sum: UInt64, length: Int)] = [:]
        private var withPositions: Set<UInt32> = []
        /// The node whose order of terms came last.
        private var lastOrder: UInt32 = 0
        private var dictionary: [[UInt8]: Term] = [:]
        var lastTerm: [UInt8] = []

        init(_ index: TextIndex) { self.index = index }

        mutating func lengths(_ key: [UInt8], _ value: RawSpan) {
            do {
                guard key.count == TenantScope.prefixBytes + 4, UInt32(lastOf: key) < 1 << 19 else { throw RecordReader.damaged }
                let payload = Array(try Seal.open(key: key, value: value, version: 1))
                let values = try LengthRecord.unpack(payload)
                let first = UInt32(lastOf: key) * UInt32(LengthRecord.nodes)
                for (place, value) in values.enumerated() where value > 0 { ofLengths[first + UInt32(place)] = value - 1 }
                if LengthRecord.pack(values) != payload { findings.append("lengths \(UInt32(lastOf: key)): the record is not in its shortest form") }
            } catch {
                findings.append("lengths under \(key): \(error)")
            }
        }

        mutating func terms(_ key: [UInt8], _ value: RawSpan, _ kind: KeyKind) {
            do {
                let payload = Array(try Seal.open(key: key, value: value, version: 1))
                if kind == .textTerms { levels.termsBytes += payload.count } else { levels.recentBytes += payload.count }
                try unsafe payload.withUnsafeBytes { buffer in
                    var walk = unsafe TermBlockWalk(buffer)
                    repeat {
                        let isFirst = walk.reader.position == 0
                        try walk.next()
                        if isFirst, !key[TenantScope.prefixBytes...].elementsEqual(walk.term) {
                            findings.append("a dictionary record stands under a key that is not its first term '\(text(walk.term))'")
                        }
                        if isFirst, !lastTerm.isEmpty, !lastTerm.lexicographicallyPrecedes(walk.term) {
                            findings.append("the dictionary is out of order at '\(text(walk.term))'")
                        }
                        let entry = try walk.entry()
                        count(entry.nodes, entry.counts, walk.term)
                        if kind == .textTerms {
                            levels.termsLast = max(levels.termsLast, entry.nodes[entry.nodes.count - 1])
                            dictionary[walk.term] = Term(
                                documents: entry.documents, found: entry.nodes.count, tailFirst: entry.nodes[0],
                                tailLast: entry.nodes[entry.nodes.count - 1])
                        } else {
                            if entry.hasBlocks { findings.append("'\(text(walk.term))' counts more recent texts than it has") }
                            if let term = dictionary[walk.term], term.tailLast >= entry.nodes[0] {
                                findings.append("'\(text(walk.term))' has recent postings among the merged ones")
                            }
                        }
                        lastTerm = walk.term
                    } while !walk.isAtEnd
                }
            } catch {
                findings.append("dictionary under \(key): \(error)")
            }
        }

        mutating func segment(_ key: [UInt8], _ value: RawSpan) {
            guard let end = key[TenantScope.prefixBytes...].firstIndex(of: 0), key.count == end + 5 else {
                findings.append("postings under a key that is none: \(key)")
                return
            }
            let name = Array(key[TenantScope.prefixBytes..<end])
            do {
                let segment = try PostingSegment(Array(try Seal.open(key: key, value: value, version: 1)), first: UInt32(lastOf: key))
                guard var term = dictionary[name] else {
                    findings.append("postings of '\(text(name))', which the dictionary does not have")
                    return
                }
                for block in segment.blocks {
                    if block.first <= term.lastNode ?? 0 && term.lastNode != nil || block.last >= term.tailFirst {
                        findings.append("blocks of '\(text(name))' overlap at node \(block.first)")
                    }
                    term.lastNode = block.last
                    term.found += block.nodes.count
                    for (node, count) in zip(block.nodes, block.counts) where !block.impacts.covers(count, ofLengths[node] ?? 0) {
                        findings.append("the impacts of a block of '\(text(name))' do not cover node \(node)")
                    }
                    count(block.nodes, block.counts, name)
                }
                dictionary[name] = term
            } catch {
                findings.append("postings of '\(text(name))': \(error)")
            }
        }

        mutating func positions(_ key: [UInt8], _ value: RawSpan, _ expected: [NodeID: TextSignature]) {
            do {
                guard key.count == TenantScope.prefixBytes + 4 else { throw RecordReader.damaged }
                let payload = Array(try Seal.open(key: key, value: value, version: 1))
                try unsafe payload.withUnsafeBytes { buffer in
                    var walk = unsafe PositionBlock.Walk(buffer, first: UInt32(lastOf: key))
                    var texts = 0
                    while let record = try unsafe walk.next() {
                        texts += 1
                        if !withPositions.insert(walk.node).inserted || walk.node < lastOrder {
                            findings.append("node \(walk.node): the order of its terms is in a record of other nodes")
                        }
                        lastOrder = walk.node
                        if let signature = expected[NodeID(rawValue: walk.node)], signature.positions != CRC32C.of(unsafe Array(record)) {
                            findings.append("node \(walk.node): its terms stand in another order")
                        }
                    }
                    if buffer.count > PositionBlock.bytesMax, texts > 1 {
                        findings.append("positions from node \(UInt32(lastOf: key)) on: \(buffer.count) bytes, more than a record holds")
                    }
                }
            } catch {
                findings.append("positions under \(key): \(error)")
            }
        }

        private mutating func count(_ nodes: [UInt32], _ counts: [UInt32], _ term: [UInt8]) {
            for (node, count) in zip(nodes, counts) {
                let before = ofPostings[node] ?? (0, 0)
                ofPostings[node] = (before.sum &+ TextSignature.hash(term, count), before.length + Int(count))
            }
        }

        mutating func compare(_ state: TextIndex.State, _ expected: [NodeID: TextSignature]) {
            for (term, entry) in dictionary.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) where entry.documents != entry.found {
                findings.append("'\(text(term))' counts \(entry.documents) texts and has \(entry.found) postings")
            }
            let beginnings = expected.values.filter { !$0.goesOn }
            let real = TextStatistics(
                documents: ofLengths.count, totalLength: ofLengths.values.reduce(0) { $0 + Int($1) }, beginnings: beginnings.count,
                totalLogLength: beginnings.reduce(0) { $0 + TextStatistics.logLength($1.length) })
            if state.statistics != real { findings.append("the statistics are \(state.statistics), lengths and texts give \(real)") }
            let kept = state.levels
            if (kept.termsBytes, kept.recentBytes) != (levels.termsBytes, levels.recentBytes) || kept.termsLast < levels.termsLast {
                findings.append("the state tells other sizes of the dictionaries than they have")
            }
            let nodes = Set(expected.keys.map(\.rawValue))
            for node in nodes.union(ofLengths.keys).union(ofPostings.keys).union(withPositions).sorted() {
                guard let signature = expected[NodeID(rawValue: node)] else {
                    findings.append("node \(node) is indexed and should not be")
                    continue
                }
                guard let length = ofLengths[node] else {
                    findings.append("node \(node) is not indexed")
                    continue
                }
                let postings = ofPostings[node] ?? (0, 0)
                if Int(length) != signature.length || postings.length != signature.length || postings.sum != signature.terms {
                    findings.append("node \(node): the index holds another text than is expected")
                }
                if withPositions.contains(node) != (state.options.positions && signature.length >= 2) {
                    findings.append("node \(node): the order of its terms is \(withPositions.contains(node) ? "kept and should not be" : "missing")")
                }
            }
        }

        private func text(_ term: [UInt8]) -> String { String(decoding: term, as: UTF8.self) }

    }
}
