import Base
import KeySpace
import LMDB
import Rates
import TestSupport
import Testing

@Suite("Limits that were set")
struct RateRuleTests {
    private static let rules = [
        RateRule(subject: .tenant, rateClass: .other, perMinute: 600), RateRule(subject: .project("p"), rateClass: .publish, perMinute: nil),
        RateRule(subject: .project(String(repeating: "ü", count: 255)), rateClass: .query, perMinute: 0),
        RateRule(subject: .key("0123456789abcdef"), rateClass: .publish, perMinute: RateAllowances.most),
    ]

    @Test func goldenBytes() throws {
        let store = try TestStore()
        try store.write { (transaction: inout WriteTransaction) throws in
            for rule in Self.rules { try RateRules.set(rule, in: &transaction, scope: store.scope) }
        }
        try GoldenRecord.rewriteIfAsked("rates-v1/records.txt", store.records())
        #expect(try store.records() == GoldenRecord.file("rates-v1/records.txt"))
        let read = try TestStore(records: try GoldenRecord.file("rates-v1/records.txt"))
        try read.read { (view: borrowing TransactionView) throws in
            #expect(try Set(RateRules.all(view, scope: read.scope)) == Set(Self.rules))
        }
    }

    @Test func whatIsOutOfRangeIsRefusedAndChangesNothing() throws {
        let store = try TestStore()
        for limit in [-1, RateAllowances.most + 1, .max] {
            #expect(throws: ContexError.self) {
                try store.write { (transaction: inout WriteTransaction) throws in
                    try RateRules.set(RateRule(subject: .tenant, rateClass: .query, perMinute: limit), in: &transaction, scope: store.scope)
                }
            }
        }
        #expect(try store.records().isEmpty)
    }

    @Test func theNarrowestHolds() {
        let book = RateBook(
            standard: RateAllowances(),
            rules: [
                RateRule(subject: .tenant, rateClass: .publish, perMinute: 10), RateRule(subject: .project("p"), rateClass: .publish, perMinute: nil),
                RateRule(subject: .key("k"), rateClass: .publish, perMinute: 3),
            ])
        #expect(book.limit(.publish, key: "k", project: "p") == 3)
        #expect(book.limit(.publish, key: "other", project: "p") == nil)
        #expect(book.limit(.publish, key: nil, project: "q") == 10)
        #expect(book.limit(.query, key: "k", project: "p") == 200)
        book.replace(with: [])
        #expect(book.limit(.publish, key: "k", project: "p") == 100)
    }

    @Test func subjectsAreReadAsTheyAreWritten() {
        for subject in [RateSubject.tenant, .project("a"), .key("b")] { #expect(RateSubject(kind: subject.kind, id: subject.id) == subject) }
        for (kind, id) in [("tenant", "a"), ("project", nil), ("key", nil), ("plan", "a"), ("", nil)] as [(String, String?)] {
            #expect(RateSubject(kind: kind, id: id) == nil)
        }
    }
}
