public import Maintenance

/// `Maintenance/Replay` into the folder of a configuration.
public enum Replaying {
    /// - Parameters:
    ///   - source: the data folder whose journal is read.
    ///   - configuration: of the folder that it is applied to; model, ports and authentication do not matter.
    /// - Throws: what `Replay.run` throws.
    public static func run(
        from source: String, to configuration: ServerConfiguration, progress: (_ step: Replay.Step, _ done: Int, _ all: Int) -> Void
    ) async throws -> Replay.Report {
        try await Replay.run(from: source, to: configuration.database, progress: progress)
    }
}
