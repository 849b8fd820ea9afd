import Base
import FullText
import KeySpace
import LMDB
import TestSupport
import Testing

/// The bytes of docs/formats/fulltext-v1.md. Every later build must write and read them.
@Suite struct GoldenTests {
    /// Short terms, one over 64 bytes, one of other letters, and one term in more texts than a block holds.
    static let texts: [(node: UInt32, text: String)] =
        [(300, "Cats cat; dogs"), (301, "cat"), (302, "Überraschung 日本 " + String(repeating: "x", count: 70))]
        + (1_000..<1_130).map { ($0, "z") }

    @Test func goldenBytesAreWritten() throws {
        let store = try TestStore()
        let index = TextIndex(scope: store.scope)
        try store.write { (transaction: inout WriteTransaction) throws in
            for (node, text) in Self.texts { try index.add(NodeID(rawValue: node), AnalyzedText(text), in: &transaction) }
        }
        #expect(try store.records() == GoldenRecord.file("fulltext-v1/records.txt"))
    }

    @Test func goldenBytesAreRead() throws {
        let store = try TestStore(records: try GoldenRecord.file("fulltext-v1/records.txt"))
        let index = TextIndex(scope: store.scope)
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try TextIndexCheck.findings(index, expectedNodes: Set(Self.texts.map { NodeID(rawValue: $0.node) }), in: view) == [])
            #expect(try index.statistics(in: view).documents == Self.texts.count)
            for (node, text) in Self.texts {
                let found = try index.analyzedText(of: NodeID(rawValue: node), in: view)?.frequencies.map { "\($0.term) \($0.count)" }
                #expect(found == AnalyzedText(text).frequencies.map { "\($0.term) \($0.count)" })
            }
            #expect(try index.search(TextQuery("dog"), count: 5, in: view).map(\.node.rawValue) == [300])
            #expect(try index.search(TextQuery("z"), count: 200, in: view).count == 130)
        }
    }
}
