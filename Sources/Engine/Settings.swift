// What a project may choose for itself: how its texts are analysed.
//
// The analyser is kept in the state of the text index (fulltext-v1.md), with the version of its rules, because it says what the
// index holds. How it is changed: Apply/ApplySettings.swift.

public import Base
internal import Documents
internal import FullText
internal import KeySpace

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
        let outcome = try await submit(.setAnalyzer(.init(tenant: tenant, project: project, kind: kind, time: now())))
        guard case .analyzerSet(let settings, let nodes) = outcome else { throw outcome.mismatch }
        return (settings, nodes)
    }
}
