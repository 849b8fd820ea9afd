public import Maintenance

/// `Maintenance/Reindex` with the model of a folder.
public enum Reindexing {
    /// - Parameters:
    ///   - configuration: as the server that serves the folder has it; ports and authentication do not matter.
    ///   - change: of one project's analyser.
    /// - Throws: what `Reindex.run` throws, and `.unavailable` for the model folder.
    public static func run(
        _ configuration: ServerConfiguration, change: Reindex.AnalyzerChange? = nil,
        progress: (_ step: Reindex.Step, _ done: Int, _ all: Int) -> Void
    ) async throws -> Reindex.Report {
        let folder = try await ModelFolder.load(configuration)
        defer { folder.close() }
        return try await Reindex.run(configuration: configuration.database, models: folder.models, change: change, progress: progress)
    }
}
