internal import Engine
public import Maintenance

/// `Maintenance/Repair` with the model of a folder, which is loaded only when it is asked for.
public enum Repairing {
    /// - Parameter configuration: as the server that serves the folder has it; ports and authentication do not matter.
    /// - Throws: what `Repair.run` throws, and `.unavailable` for the model folder.
    public static func run(_ configuration: ServerConfiguration, progress: (Repair.Step) -> Void) async throws -> Repair.Report {
        var folder: ModelFolder?
        defer { folder?.close() }
        return try await Repair.run(
            configuration: configuration.database,
            models: {
                if let folder { return folder.models }
                let loaded = try await ModelFolder.load(configuration)
                folder = loaded
                return loaded.models
            }, progress: progress)
    }
}
