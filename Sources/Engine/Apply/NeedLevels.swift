// The index of needs is told how frequent terms have become (Needs/NeedWords.swift): by whoever brings texts into the text index, before they
// are held against needs, and by whoever brings needs.

internal import Base
internal import FullText
package import KeySpace
package import LMDB
package import Needs

package enum NeedLevels {
    /// Of the terms of texts that the text index has just got.
    /// - Returns: those of them that needs say.
    static func raise(_ batch: BatchTerms, _ scope: TenantScope, in transaction: inout WriteTransaction) throws -> FreshTerms {
        let terms = try FreshTerms(batch, scope, in: transaction.view)
        try NeedStore(scope: scope).raiseLevels(terms.said, documents: terms.documents, in: &transaction)
        return terms
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

    private static func raise(_ terms: [String], _ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let store = NeedStore(scope: scope)
        let said = try store.saidTerms(of: terms.lazy.map { Array($0.utf8)[...] }, in: transaction.view)
        let documents = try TextIndex(scope: scope).documentFrequencies(of: said.map { terms[$0.place] }, in: transaction.view)
        try store.raiseLevels(said, documents: documents, in: &transaction)
    }
}
