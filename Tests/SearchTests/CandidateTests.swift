import Base
import Search
import TestSupport
import Testing

/// What the lists of both sides become.
@Suite struct CandidateTests {
    /// Against a dictionary: every node once, in the order of its first mention, with the scores it was given.
    @Test func bothScoresOfEachNode() {
        var random = SeededRandom(seed: testSeed("bothScoresOfEachNode"))
        for _ in 0..<200 {
            let range = 1 + random.next() % 500
            let cosines = (0..<Int(random.next() % 120)).map { _ in (NodeID(rawValue: UInt32(random.next() % range)), Float(random.unit())) }
            let scores = (0..<Int(random.next() % 120)).map { _ in (NodeID(rawValue: UInt32(random.next() % range)), Float(random.unit() * 30)) }
            var table = ScoreTable(nodesMax: cosines.count + scores.count, ceiling: 10, cut: 4)
            var (order, cosine, bm25): ([NodeID], [NodeID: Float], [NodeID: Float]) = ([], [:], [:])
            for (node, value) in cosines {
                if cosine[node] == nil { order.append(node) }
                cosine[node] = value
                table.note(node, cosine: value)
            }
            for (node, value) in scores {
                if cosine[node] == nil, bm25[node] == nil { order.append(node) }
                bm25[node] = value
                table.note(node, bm25: value)
            }
            #expect(table.scored.map(\.node) == order)
            for (node, parts) in table.scored {
                #expect(parts.cosine == cosine[node] && parts.bm25 == bm25[node] ?? 0 && parts.cut == 4)
                #expect(parts.ceiling == max(10, parts.bm25))
            }
        }
    }

    @Test func whoIsAdmitted() {
        func nodes(_ numbers: UInt32...) -> NodeSet { NodeSet(numbers.map { NodeID(rawValue: $0) }) }
        func admitted(_ admission: Admission) -> [UInt32] { (0..<10).filter { admission.admits(NodeID(rawValue: $0)) } }
        var admission = Admission()
        #expect(admission.admitsAll && admitted(admission).count == 10)
        admission.exclude(nodes(3))
        #expect(!admission.admitsAll && admitted(admission) == [0, 1, 2, 4, 5, 6, 7, 8, 9])
        admission.meet(nodes(1, 3, 5, 7))
        #expect(admitted(admission) == [1, 5, 7])
        var other = Admission()
        other.meet(nodes(5, 7, 9))
        other.exclude(nodes(7))
        admission.meet(other)
        #expect(admitted(admission) == [5])
        other.meet(nodes())
        #expect(!other.admitsAll && admitted(other).isEmpty)
    }
}
