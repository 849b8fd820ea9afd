// The index of needs is told how frequent terms have become (Needs/NeedWords.swift): by whoever brings texts into the text index, before they
// are held against needs, and by whoever brings needs.

internal import Base
internal import FullText
package import KeySpace
package import LMDB
package import Needs

package enum NeedLevels {
    /// Of the terms of texts that the text index has got.
    static func raise(_ texts: [AnalyzedText], _ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let store = NeedStore(scope: scope)
        guard try store.needSlots(in: transaction.view) > 0 else { return }
        var terms: Set<ExactText> = []
        for text in texts { for (term, _) in text.frequencies { terms.insert(ExactText(term)) } }
        try raise(terms.sorted().map(\.text), scope, in: &transaction)
    }

    /// Of the words of needs that the index of needs has got.
    package static func raise(_ needs: [NeedRecord], _ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        try raise(Set(needs.flatMap { $0.terms.map { ExactText($0.text) } }).sorted().map(\.text), scope, in: &transaction)
    }

    /// Gives the needs the words of the project's analyser.
    static func renew(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let analyzer = try TextIndex(scope: scope).options(in: transaction.view).analyzer
        let store = NeedStore(scope: scope)
        try store.reanalyze(in: &transaction) { StandingNeed.terms($0, analyzer) }
        try raise(try store.levels(in: transaction.view).map(\.term), scope, in: &transaction)
    }

    static func raise(_ terms: [String], _ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let store = NeedStore(scope: scope)
        let said = try store.saidTerms(of: terms, in: transaction.view)
        let documents = try TextIndex(scope: scope).documentFrequencies(of: said, in: transaction.view)
        try store.raiseLevels(zip(said, documents).map { ($0, $1) }, in: &transaction)
    }
}
