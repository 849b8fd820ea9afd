public import Engine

/// `Engine/Reindex` with the model of a folder.
public enum Reindexing {
    /// - Parameter configuration: as the server that serves the folder has it; ports and authentication do not matter.
    /// - Throws: what `Reindex.run` throws, and `.unavailable` for the model folder.
    public static func run(
        _ configuration: ServerConfiguration, progress: (_ step: Reindex.Step, _ done: Int, _ all: Int) -> Void
    ) async throws -> Reindex.Report {
        let folder = try await ModelFolder.load(configuration)
        defer { folder.close() }
        return try await Reindex.run(configuration: configuration.database, models: folder.models, progress: progress)
    }
}
