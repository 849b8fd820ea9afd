public import Base
public import Maintenance

/// `Maintenance/LineImport` with the model of a folder.
public enum Importing {
    /// - Parameter configuration: as the server that serves the folder has it; ports and authentication do not matter.
    /// - Throws: what `LineImport.run` throws, and `.unavailable` for the model folder.
    public static func run(
        _ configuration: ServerConfiguration, name: String, options: LineImport.Options, input: @escaping () throws -> [UInt8],
        skipped: (_ line: Int, ContexError) -> Void, progress: (LineImport.Progress) -> Void
    ) async throws -> LineImport.Report {
        let folder = try await ModelFolder.load(configuration)
        defer { folder.close() }
        return try await LineImport.run(
            configuration: configuration.database, models: folder.models, name: name, options: options, input: input, skipped: skipped,
            progress: progress)
    }
}
