internal import Documents
internal import FullText
package import KeySpace
package import LMDB
internal import Vectors

/// The index entries of the documents of one transaction, written together at its end: text in one large group, vectors into the graph
/// one by one or aside, for a bulk build.
package final class ImportIndexing {
    private struct Entries {
        let isBulk: Bool
        var passages: [FreshPassage] = []
    }

    private let dimension: Int
    private var entries: [TenantScope: Entries] = [:]
    private var scopes: [TenantScope] = []
    private var after: [(scope: TenantScope, step: Step)] = []

    /// What follows when the indexes have everything: told the terms of all that the project got.
    typealias Step = (FreshTerms, inout WriteTransaction, inout Effects) throws -> Void

    package init(dimension: Int) { self.dimension = dimension }

    private func index(_ scope: TenantScope) -> VectorIndex { VectorIndex(scope: scope, dimension: dimension) }

    /// Whether the project's vectors are set apart.
    package func isBulk(_ scope: TenantScope, in view: borrowing TransactionView) throws -> Bool {
        if let known = entries[scope] { return known.isBulk }
        let isBulk = try VectorBulkBuild.stored(index(scope), in: view) != nil
        entries[scope] = Entries(isBulk: isBulk)
        scopes.append(scope)
        return isBulk
    }

    /// Puts the vectors of a project that `isBulk` was asked about aside, none or those that it has.
    package func makeBulk(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        _ = try VectorBulkBuild.reopen(index(scope), in: &transaction)
        entries[scope] = Entries(isBulk: true)
    }

    package var hasBulk: Bool { entries.values.contains { $0.isBulk && !$0.passages.isEmpty } }

    /// Of a project that `isBulk` was asked about.
    /// - Parameter after: runs when the indexes have the passages.
    func add(_ units: [FreshUnit], _ scope: TenantScope, after: @escaping Step) {
        entries[scope]!.passages += units.flatMap(\.passages)
        self.after.append((scope, after))
    }

    package func write(in transaction: inout WriteTransaction, _ effects: inout Effects) throws {
        var terms: [TenantScope: FreshTerms] = [:]
        for scope in scopes {
            let (passages, isBulk) = (entries[scope]!.passages, entries[scope]!.isBulk)
            let readable = passages.filter { !$0.vector.isEmpty }
            if isBulk {
                try VectorBulkBuild(index(scope), threads: 1).add(readable.map { ($0.entry, $0.vector) }, in: &transaction)
            } else {
                for passage in readable { try index(scope).insert(passage.entry, passage.vector, in: &transaction) }
            }
            let written = try TextIndex(scope: scope).apply(passages.map { TextChange(node: $0.entry, new: $0.text) }, in: &transaction)
            terms[scope] = try NeedLevels.raise(written, scope, in: &transaction)
        }
        for (scope, step) in after { try step(terms[scope]!, &transaction, &effects) }
    }
}
