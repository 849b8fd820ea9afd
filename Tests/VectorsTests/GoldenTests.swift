import Base
import KeySpace
import LMDB
import TestSupport
import Testing
import Vectors

/// The bytes of docs/formats/vectors-v1.md. Every later build must write and read them. In two dimensions each dot product is
/// the same sum on every processor.
@Suite struct GoldenTests {
    let nodes = (1...12).map { NodeID(rawValue: $0) }
    /// Eight directions, four of them twice: members on two levels, and twins.
    let vectors: [[Float]] = [
        [1, 0], [0, 1], [-1, 0], [0, -1], [0.6, 0.8], [-0.6, 0.8], [-0.6, -0.8], [0.6, -0.8], [1, 0], [0, 1], [1, 0], [0.6, 0.8],
    ]

    func index(_ store: TestStore) -> VectorIndex {
        VectorIndex(scope: store.scope, dimension: 2, parameters: HNSWParameters(M: 4, M0: 8, efConstruction: 16, exactBelow: 0))
    }

    @Test func goldenBytesAreWritten() throws {
        let store = try TestStore()
        try store.write { (transaction: inout WriteTransaction) throws in
            for (node, vector) in zip(nodes, vectors) { try index(store).insert(node, vector, in: &transaction) }
        }
        #expect(try store.records() == GoldenRecord.file("vectors-v1/records.txt"))
    }

    @Test func goldenBytesAreRead() throws {
        let store = try TestStore(records: try GoldenRecord.file("vectors-v1/records.txt"))
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try VectorIndexCheck.findings(index(store), expectedNodes: Set(nodes), in: view) == [])
            #expect(try index(store).count(in: view) == 12)
            for (node, vector) in zip(nodes, vectors) { #expect(try index(store).vector(of: node, in: view) == vector) }
            #expect(try index(store).search([1, 0], count: 3, in: view).map(\.node.rawValue) == [1, 9, 11])
        }
    }
}
