internal import Base
internal import Engine
internal import Logging
internal import Maintenance
internal import Measures
internal import Service

/// The scrubber of a server, and what it says.
enum Scrubbing {
    /// Before the first pass: a server that has just started has other things to read.
    private static let delay = Duration.seconds(60)

    /// - Returns: a task that runs until it is cancelled.
    static func begin(_ database: Database, _ operations: Operations, _ configuration: ServerConfiguration, _ logger: Logger) -> Task<Void, Never> {
        let hours = configuration.scrubHours
        let scrubber = Scrubber(
            database, interval: .seconds(3_600 * max(1, hours)), bytesPerSecond: configuration.scrubMebibytes << 20
        ) { remark in
            switch remark {
            case .entered(let entry):
                logger.error(
                    "a project is in quarantine: its data is damaged",
                    metadata: ["project": "\(entry.project)", "tenant": "\(entry.tenant)", "reason": "\(entry.reason)"])
            case .left(let project):
                logger.notice("a project has left the quarantine: a look at all of it has found nothing", metadata: ["project": "\(project)"])
            case .found(let finding): logger.error("stored data is damaged", metadata: ["finding": "\(finding)"])
            case .failed(let reason): logger.warning("what is stored could not be looked at", metadata: ["reason": "\(reason)"])
            }
        }
        operations.setLooker { [weak scrubber] tenant, project in
            guard let scrubber else { throw ContexError(.stopping, "The server is stopping") }
            return try await scrubber.look(tenant, project)
        }
        operations.add(
            HealthProbe(name: "scrubber") { [weak scrubber] in
                guard let now = scrubber?.now else { return ([], nil, nil) }
                let isDamaged = !now.elsewhere.isEmpty
                return (
                    [
                        ("last_pass", now.lastPass?.iso8601 ?? "never"), ("running", "\(now.isRunning)"), ("share", "\((now.share * 1_000).rounded() / 1_000)"),
                        ("findings", "\(now.findings)"),
                    ], isDamaged ? .dataDamaged : nil,
                    isDamaged ? "what is no project's is damaged: \(now.elsewhere[0]). Stop the server and run 'contex check --repair'" : nil
                )
            })
        measure(scrubber, database, operations.registry)
        return Task { await scrubber.run(passes: hours > 0, after: delay) }
    }

    private static func measure(_ scrubber: Scrubber, _ database: Database, _ registry: MeasureRegistry) {
        registry.gauge("contex_quarantined_projects", "Projects of which nothing is answered or written, since their data is damaged") { [weak database] in
            database.map { Double($0.quarantine.entries.count) }
        }
        registry.counter("contex_scrub_passes", "Passes over all that is stored that came to their end") { [weak scrubber] in scrubber?.now.passes }
        registry.gauge("contex_scrub_last_pass_timestamp_seconds", "When the last of them ended; 0: none since the start") { [weak scrubber] in
            scrubber.map { $0.now.lastPass.map { Double($0.rawValue) / 1_000_000 } ?? 0 }
        }
        registry.gauge("contex_scrub_share", "How far the pass that runs is, from 0 to 1") { [weak scrubber] in scrubber?.now.share }
        registry.counter("contex_scrub_read_bytes", "Bytes of records that passes have read") { [weak scrubber] in scrubber?.now.bytes }
        registry.gauge("contex_scrub_findings", "What the last pass, or the one that runs, has found to be damaged") { [weak scrubber] in
            scrubber.map { Double($0.now.findings) }
        }
        registry.counter("contex_scrub_unsettled", "Projects whose sums could not be compared in a pass, since they were written to all the time") {
            [weak scrubber] in scrubber?.now.scopesUnsettled
        }
    }
}
