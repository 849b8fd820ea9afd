import Base
import Inboxes
import KeySpace
import LMDB
import TestSupport
import Testing

/// The bytes of inboxes, as docs/formats/inboxes-v1.md has them.
@Suite struct InboxRecordTests {
    private static let entries: [(entry: InboxEntry, matches: [InboxMatch])] = [
        (
            InboxEntry(sequence: Sequence(rawValue: 3), reason: .firstMatch, agent: 1, needs: [0, 300]),
            [
                InboxMatch(
                    need: 0, node: NodeID(rawValue: 7), mode: 1, similarity: 0.75, threshold: 0.5, cosine: -0.25, bm25: 3.5, ceiling: 8, cut: 4,
                    shareCut: 0.25, exactWord: .alone),
                InboxMatch(
                    need: 300, node: NodeID(rawValue: 4_000_000_000), mode: 3, similarity: 1, threshold: 0.3, cosine: nil, bm25: 2, ceiling: 2, cut: 0,
                    shareCut: 0, exactWord: nil),
            ]
        ),
        (InboxEntry(sequence: Sequence(rawValue: 70_000), reason: .update, agent: 1, needs: []), []),
        (
            InboxEntry(sequence: Sequence(rawValue: 70_001), reason: .update, agent: 2, needs: [1]),
            [
                InboxMatch(
                    need: 1, node: NodeID(rawValue: 1), mode: 2, similarity: 0.5, threshold: 0.5, cosine: 0.5, bm25: 0, ceiling: 0, cut: 0, shareCut: 0,
                    exactWord: .rare)
            ]
        ),
        (InboxEntry(sequence: Sequence(rawValue: 70_009), reason: .deletion, agent: 2, needs: []), []),
    ]

    private func write(_ store: TestStore) throws {
        try store.write { (transaction: inout WriteTransaction) throws in
            let inbox = Inbox(scope: store.scope, number: 5)
            for (entry, matches) in Self.entries { try inbox.append(entry, matches: matches, in: &transaction) }
            let other = Inbox(scope: store.scope, number: 6)
            for (entry, matches) in Self.entries.prefix(3) { try other.append(entry, matches: matches, in: &transaction) }
            try other.remove(upTo: Sequence(rawValue: 3), isRead: false, in: &transaction)
            try other.remove(upTo: Sequence(rawValue: 70_000), isRead: true, in: &transaction)
        }
    }

    @Test func goldenBytesAreWritten() throws {
        let store = try TestStore()
        try write(store)
        try GoldenRecord.rewriteIfAsked("inboxes-v1/records.txt", try store.records())
        #expect(try store.records() == GoldenRecord.file("inboxes-v1/records.txt"))
    }

    @Test func goldenBytesAreRead() throws {
        let store = try TestStore(records: try GoldenRecord.file("inboxes-v1/records.txt"))
        try store.read { (view: borrowing TransactionView) throws in
            let inbox = Inbox(scope: store.scope, number: 5)
            var read: [InboxEntry] = []
            try inbox.forEach(after: .zero, in: view) { entry in
                read.append(entry)
                return .onward
            }
            #expect(read == Self.entries.map(\.entry))
            for (entry, matches) in Self.entries { #expect(try inbox.matches(of: entry.sequence, in: view) == matches) }
            let state = try Inbox(scope: store.scope, number: 6).state(in: view)
            #expect(state.count == 1 && state.last.rawValue == 70_001 && state.acknowledged.rawValue == 70_000 && state.expired.rawValue == 3)
            #expect(try Inbox.numbers(store.scope, in: view) == [5, 6])
            for number in [5, 6] as [UInt32] {
                #expect(try Inbox(scope: store.scope, number: number).findings(head: Sequence(rawValue: 70_009), in: view) == [])
            }
        }
    }

    @Test func damagedRecordsAreRefused() throws {
        let store = try TestStore()
        try write(store)
        for (number, sequence) in [(5, 3), (6, 70_001)] as [(UInt32, UInt64)] {
            let inbox = Inbox(scope: store.scope, number: number)
            #expect(try store.decoderFaults(under: store.scope.key(.inboxEntry, number, sequence)) { (view: borrowing TransactionView) throws in
                try inbox.forEach(after: .zero, in: view) { _ in .onward }
            } == [])
            #expect(try store.decoderFaults(under: store.scope.key(.inboxState, number)) { (view: borrowing TransactionView) throws in
                _ = try inbox.state(in: view)
            } == [])
        }
    }
}
