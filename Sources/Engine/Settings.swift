// What a project may choose for itself: how its texts are analysed.
//
// The analyser is kept in the state of the text index (fulltext-v1.md), with the version of its rules, because it says what the
// index holds. A change makes the text index anew in one transaction: whoever reads sees the old one until the commit and the new
// one after it, and a process that is killed leaves the one or the other. Other writes wait meanwhile, so
// projects over `Limits.analyzerNodes` are changed by `contex reindex --analyzer`, with the server stopped.

public import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB

public struct ProjectSettings: Sendable, Equatable {
    /// One of `analyzerNames`.
    public let analyzer: String
    /// Of the analyser's rules.
    public let analyzerVersion: Int

    public static let analyzerNames = Analyzer.Kind.allCases.map(\.name)

    init(_ options: TextIndexOptions) {
        analyzer = options.analyzer.kind.name
        analyzerVersion = Int(Analyzer.version)
    }
}

extension Database {
    /// - Throws: `.notFound` for a project that nothing was ever put into, and whose settings nobody chose.
    public func settings(_ tenant: TenantID, project: Name) async throws -> ProjectSettings {
        try await read { view in
            guard let scope = try Self.scope(tenant, project, view) else { throw ContexError(.projectNotFound, "Project not found") }
            return ProjectSettings(try TextIndex(scope: scope).options(in: view))
        }
    }

    /// Chooses the analyser of a project, which is entered now if it is new. Nothing is written when it is what it is. Whom an agent follows
    /// stays as it was found; the next publish is held against its needs with the new analyser.
    /// - Returns: with the number of nodes whose texts were indexed anew.
    /// - Throws: `.invalid` for an unknown name, `.conflict` for a project with too many nodes.
    public func setAnalyzer(_ tenant: TenantID, project: Name, _ name: String) async throws -> (settings: ProjectSettings, nodes: Int) {
        guard let kind = Analyzer.Kind(name: name) else {
            throw ContexError.invalid(
                field: "analyzer", kind: "enum", message: "Input should be one of \(ProjectSettings.analyzerNames.joined(separator: ", "))")
        }
        let time = now()
        return try await writer.submit { transaction, _ in
            if let known = try Self.scope(tenant, project, transaction.view) {
                let options = try TextIndex(scope: known).options(in: transaction.view)
                if options.analyzer.kind == kind { return (ProjectSettings(options), 0) }
                let nodes = try TextIndex(scope: known).statistics(in: transaction.view).documents
                guard nodes <= Limits.analyzerNodes else {
                    throw ContexError(
                        .conflict,
                        "The project has \(nodes) nodes, the analyser of at most \(Limits.analyzerNodes) is changed while the server runs: stop it and "
                            + "run 'contex reindex --project \(project) --analyzer \(name)'")
                }
            }
            let scope = try ProjectRegistry(tenant: tenant).scopeCreating(project, at: time, in: &transaction)
            let index = TextIndex(scope: scope)
            var options = try index.options(in: transaction.view)
            options.analyzer = Analyzer(kind)
            try index.removeAll(in: &transaction)
            try index.configure(options, in: &transaction)
            var (from, nodes) = (NodeID(rawValue: 0), 0)
            while true {
                let batch = try DocumentStore(scope: scope).nodes(from: from, count: Self.analyzerBatch, in: transaction.view)
                guard let last = batch.last else { break }
                try index.apply(
                    batch.map { TextChange(node: $0.id, new: AnalyzedText(try $0.record.indexedText, analyzer: options.analyzer)) }, in: &transaction)
                nodes += batch.count
                guard last.id.rawValue < .max else { break }
                from = NodeID(rawValue: last.id.rawValue + 1)
            }
            return (ProjectSettings(options), nodes)
        }
    }

    /// Nodes that are read and analysed at a time: what the memory of a change is for.
    private static let analyzerBatch = 8_192
}
