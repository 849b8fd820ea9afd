public import Base
internal import KeySpace
public import LMDB

/// The invariants of the index, read from every one of its records.
public enum TextIndexCheck {
    /// What is wrong, a sentence each, at most `findingsMax`; empty when all is well.
    ///
    /// Checked are every seal; the statistics against the texts; the texts against `expectedNodes`; each text's length against its
    /// frequencies; order and size of blocks; each term's count against its postings; and that postings and texts say the same of
    /// each node, both ways, by an order-free sum of hashes a node, so that memory is O(nodes) and not O(postings).
    /// - Complexity: O(postings).
    public static func findings(_ index: TextIndex, expectedNodes: Set<NodeID>, in view: borrowing TransactionView) throws -> [String] {
        var inspection = Inspection(index)
        try view.scan(prefix: index.scope.key(.textDocument)) { key, value in
            inspection.text(Array(key), value)
            return .onward
        }
        try view.scan(prefix: index.scope.key(.posting)) { key, value in
            inspection.posting(Array(key), value)
            return .onward
        }
        inspection.finishTerm()
        do {
            inspection.compare(try index.statistics(in: view), expectedNodes)
        } catch {
            inspection.findings.append("statistics: \(error)")
        }
        return Array(inspection.findings.prefix(findingsMax))
    }

    public static let findingsMax = 100

    private struct Inspection {
        let index: TextIndex
        var findings: [String] = []
        private var ofTexts: [UInt32: UInt64] = [:]
        private var ofPostings: [UInt32: UInt64] = [:]
        private var totalLength = 0
        private var term: [UInt8]?
        private var documents = 0
        private var found = 0
        private var tailFirst: UInt32 = 0
        private var lastNode: UInt32?

        init(_ index: TextIndex) { self.index = index }

        mutating func text(_ key: [UInt8], _ value: RawSpan) {
            guard key.count == TenantScope.prefixBytes + 4 else {
                findings.append("text record under a key of \(key.count) bytes")
                return
            }
            let node = Self.number(key)
            ofTexts[node] = 0
            do {
                let text = try AnalyzedText(bytes: Array(try Seal.open(key: key, value: value, version: 1)))
                totalLength += text.length
                if text.frequencies.reduce(0, { $0 + $1.count }) != text.length {
                    findings.append("node \(node): its length is not the sum of its frequencies")
                }
                for (next, previous) in zip(text.frequencies.dropFirst(), text.frequencies) where ExactText(next.term) <= ExactText(previous.term) {
                    findings.append("node \(node): its terms are out of order at '\(next.term)'")
                }
                for (term, count) in text.frequencies {
                    ofTexts[node]! &+= Self.hash(Array(term.utf8), UInt32(truncatingIfNeeded: count), UInt32(truncatingIfNeeded: text.length))
                }
            } catch {
                findings.append("text of node \(node): \(error)")
            }
        }

        mutating func posting(_ key: [UInt8], _ value: RawSpan) {
            guard let end = key[TenantScope.prefixBytes...].firstIndex(of: 0) else {
                findings.append("posting record without a term's end")
                return
            }
            let name = Array(key[TenantScope.prefixBytes..<end])
            do {
                if name != term {
                    finishTerm()
                    term = name
                }
                let payload = Array(try Seal.open(key: key, value: value, version: 1))
                if key.count == end + 1 {
                    let record = try TermRecord(payload)
                    documents = record.documents
                    tailFirst = record.tail.first
                    count(try record.tail.postings(), name)
                } else {
                    let block = try PostingBlock(bytes: payload)
                    if key.count != end + 5 || Self.number(key) != block.first || block.count == 0 {
                        findings.append("a block of '\(text(name))' stands under a key that is not its own")
                    }
                    if block.first <= lastNode ?? 0 && lastNode != nil || block.last >= tailFirst {
                        findings.append("blocks of '\(text(name))' overlap at node \(block.first)")
                    }
                    lastNode = block.last
                    count(try block.postings(), name)
                }
            } catch {
                findings.append("postings of '\(text(name))': \(error)")
            }
        }

        private mutating func count(_ postings: [Posting], _ name: [UInt8]) {
            found += postings.count
            for posting in postings { ofPostings[posting.node, default: 0] &+= Self.hash(name, posting.frequency, posting.length) }
        }

        mutating func finishTerm() {
            if let term, found != documents { findings.append("'\(text(term))' counts \(documents) texts and has \(found) postings") }
            (term, documents, found, tailFirst, lastNode) = (nil, 0, 0, 0, nil)
        }

        mutating func compare(_ statistics: TextStatistics, _ expectedNodes: Set<NodeID>) {
            let real = TextStatistics(documents: ofTexts.count, totalLength: totalLength)
            if statistics != real {
                findings.append("the statistics are \(statistics), the texts give \(real)")
            }
            let expected = Set(expectedNodes.map(\.rawValue))
            for node in expected.subtracting(ofTexts.keys).sorted() { findings.append("node \(node) is not indexed") }
            for node in Set(ofTexts.keys).subtracting(expected).sorted() { findings.append("node \(node) is indexed and should not be") }
            for node in Set(ofTexts.keys).union(ofPostings.keys).sorted() where ofTexts[node, default: 0] != ofPostings[node, default: 0] {
                findings.append("node \(node): its text and its postings differ")
            }
        }

        private func text(_ term: [UInt8]) -> String { String(decoding: term, as: UTF8.self) }

        private static func number(_ key: [UInt8]) -> UInt32 { key.suffix(4).reduce(0) { $0 << 8 | UInt32($1) } }

        /// FNV-1a over the term, then mixed with the numbers (SplitMix64).
        private static func hash(_ term: [UInt8], _ frequency: UInt32, _ length: UInt32) -> UInt64 {
            var hash: UInt64 = 0xCBF2_9CE4_8422_2325
            for byte in term { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            var random = SeededRandom(seed: hash ^ (UInt64(frequency) << 32 | UInt64(length)) &* 0x9E37_79B9_7F4A_7C15)
            return random.next()
        }
    }
}
