internal import Base
internal import Engine
internal import Logging

/// What lets things go while the server runs: documents whose time is over, erasures that a stop cut off, and, if it is switched on, retention.
enum Retaining {
    private static let expirySeconds = 1

    /// - Returns: tasks that run until they are cancelled.
    static func begin(_ database: Database, minutes: Int?, attribution: Attribution?, logger: Logger) -> [Task<Void, Never>] {
        var tasks = [
            Task { [weak database] in
                for tenant in database?.tenants.numbers ?? [] {
                    do {
                        let done = try await Attribution.$current.withValue(attribution) { try await database?.resumeErasures(tenant) } ?? []
                        if !done.isEmpty { logger.notice("erasures that were cut off are done", metadata: ["count": "\(done.count)"]) }
                    } catch {
                        logger.error("an erasure waits for the next start, or for being asked for again", metadata: ["reason": "\(error)"])
                    }
                }
                // What failed is not told every second.
                var hasFailed = false
                while (try? await Task.sleep(for: .seconds(expirySeconds))) != nil {
                    do {
                        for tenant in database?.tenants.numbers ?? [] { try await database?.deleteExpired(tenant) }
                        hasFailed = false
                    } catch {
                        if !hasFailed { logger.warning("documents whose time is over stay; they are not found", metadata: ["reason": "\(error)"]) }
                        hasFailed = true
                    }
                }
            }
        ]
        if let minutes {
            tasks.append(
                Task { [weak database] in
                    while (try? await Task.sleep(for: .seconds(60 * minutes))) != nil {
                        for tenant in database?.tenants.numbers ?? [] {
                            do {
                                let report = try await Attribution.$current.withValue(attribution) { try await database?.cleanUp(tenant) }
                                guard let report else { return }
                                logger.info(
                                    "retention ran",
                                    metadata: ["by_age": "\(report.byAge)", "by_count": "\(report.byCount)", "agents": "\(report.agents)"])
                            } catch {
                                logger.warning("retention did not come to its end", metadata: ["reason": "\(error)"])
                            }
                        }
                    }
                })
        }
        return tasks
    }
}
