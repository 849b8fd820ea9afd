// Reads everything in the background, again and again, so that damage is found before somebody asks for what is damaged. What it finds of a project
// puts that one into quarantine; a look at one project that finds nothing takes it out.
//
//     pass:   StoreReader, step by step -> a pause that holds it to its pace -> the next step     (at most `bytesPerSecond`, and a tenth of a core)
//     look:   the same of one project without pauses, and then its records against each other, if there are not too many of them

public import Base
internal import Documents
public import Engine
internal import KeySpace
internal import LMDB
internal import Synchronization

public final class Scrubber: Sendable {
    /// How it stands.
    public struct Standing: Sendable {
        public var passes = 0
        /// When a pass over all of the store ended.
        public var lastPass: Timestamp?
        public var isRunning = false
        /// Of the pass that runs, from 0 to 1.
        public var share = 0.0
        public var records = 0
        public var bytes = 0
        public var findings = 0
        /// Scopes that were written to so much that what they add up to could not be compared, in all passes.
        public var scopesUnsettled = 0
        /// What the last pass has found that is no project's.
        public var elsewhere: [String] = []
    }

    /// Something for the log.
    public enum Remark: Sendable {
        case entered(Quarantine.Entry)
        case left(project: String)
        case found(String)
        case failed(String)
    }

    /// A project with more nodes is not held against its indexes while it is served: that takes a snapshot of some seconds.
    static let nodesOfLook = 20_000
    /// Of a core, whatever the pace.
    private static let shareOfCore = 0.1
    /// One that comes back into quarantine so soon after a look that found nothing stays there; and so long a pass that failed waits.
    private static let trust = Duration.seconds(600)

    private let database: Database
    private let interval: Duration
    private let bytesPerSecond: Int
    private let remark: @Sendable (Remark) -> Void
    private let standing = Mutex(Standing())
    private let suspects = Suspects()

    /// What is to be looked at, and when a look found nothing last.
    private final class Suspects: Sendable {
        struct State {
            var waiting: [Quarantine.Entry] = []
            var clean: [String: ContinuousClock.Instant] = [:]
        }
        let state = Mutex(State())
    }

    /// - Parameters:
    ///   - interval: from the end of a pass to the beginning of the next.
    ///   - remark: called on any thread.
    public init(_ database: Database, interval: Duration, bytesPerSecond: Int, remark: @escaping @Sendable (Remark) -> Void) {
        (self.database, self.interval, self.bytesPerSecond, self.remark) = (database, interval, max(1, bytesPerSecond), remark)
        database.quarantine.observe { [suspects, remark] entry in
            remark(.entered(entry))
            suspects.state.withLock { $0.waiting.append(entry) }
        }
    }

    public var now: Standing { standing.withLock { $0 } }

    /// Looks at what comes into quarantine; and, if `passes`, reads everything again and again. Ends when its task is cancelled.
    /// - Parameter delay: before the first pass.
    public func run(passes: Bool, after delay: Duration) async {
        await withTaskGroup { group in
            group.addTask { [self] in
                while (try? await Task.sleep(for: .milliseconds(200))) != nil { await lookAtSuspects() }
            }
            guard passes else { return }
            group.addTask { [self] in
                var wait = min(delay, interval)
                while (try? await Task.sleep(for: wait)) != nil {
                    wait = interval
                    do {
                        try await pass()
                    } catch is CancellationError {
                        return
                    } catch {
                        standing.withLock { $0.isRunning = false }
                        remark(.failed(ContexError(anyError: error).message))
                        wait = min(interval, Self.trust)
                    }
                }
            }
        }
    }

    // MARK: - Passes

    /// Reads everything once, at its pace.
    /// - Throws: `CancellationError`; what keeps a snapshot from being begun.
    public func pass() async throws {
        standing.withLock { standing in
            standing.isRunning = true
            standing.share = 0
        }
        defer { standing.withLock { $0.isRunning = false } }
        let scopes = try await database.onHeavyPool { [database] in try database.readHere { try StoreReader.all(in: $0) } }
        var reader = StoreReader()
        var seen: Set<StoreReader.Finding> = []
        var elsewhere: [String] = []
        while reader.place != nil {
            try Task.checkCancellation()
            let before = reader
            let watch = ContinuousClock.now
            let (next, findings) = try await database.onHeavyPool { [database] in
                var reader = before
                let findings = try reader.step(database.environment())
                return (reader, findings)
            }
            let took = ContinuousClock.now - watch
            reader = next
            for finding in findings where seen.insert(finding).inserted {
                if try await !quarantine(finding) { elsewhere.append(finding.text) }
                remark(.found(finding.text))
            }
            let (bytes, records) = (reader.bytes - before.bytes, reader.records - before.records)
            standing.withLock { standing in
                standing.share = reader.share(of: scopes)
                standing.bytes += bytes
                standing.records += records
                standing.findings = seen.count
            }
            let pause = max(.seconds(Double(bytes) / Double(bytesPerSecond)), took * ((1 - Self.shareOfCore) / Self.shareOfCore))
            if reader.place != nil { try await Task.sleep(for: pause) }
        }
        let (time, unsettled) = (database.currentTime(), reader.scopesUnsettled)
        standing.withLock { [elsewhere] standing in
            standing.passes += 1
            standing.share = 1
            standing.lastPass = time
            standing.elsewhere = elsewhere
            standing.scopesUnsettled += unsettled
        }
    }

    /// - Returns: false when it is no project's.
    private func quarantine(_ finding: StoreReader.Finding) async throws -> Bool {
        guard let scope = finding.scope, scope != .system, scope != scope.registry else { return false }
        let name = try await database.onHeavyPool { [database] in
            try database.readHere { view in try ProjectRegistry(tenant: scope.tenant).entries(in: view).first { $0.project == scope.project }?.name }
        }
        guard let name else { return false }
        database.quarantine.enter(scope.tenant, name, reason: finding.text, at: database.currentTime())
        return true
    }

    // MARK: - Looks

    /// Looks at all that a project has on the disk: sound, it leaves the quarantine; else it is in it from now on.
    /// - Throws: `.projectNotFound`
    public func look(_ tenant: TenantID, _ project: Name) async throws -> ProjectLook {
        let scope = try await database.onHeavyPool { [database] in
            try database.readHere { try ProjectRegistry(tenant: tenant).scope(of: project, in: $0) }
        }
        guard let scope else {
            database.quarantine.leave(tenant, project)
            throw ContexError(.projectNotFound, "Project not found")
        }
        var reader = StoreReader(scope)
        var look = ProjectLook()
        while reader.place != nil, look.findings.count < IntegrityCheck.findingsMax {
            try Task.checkCancellation()
            let before = reader
            let (next, findings) = try await database.onHeavyPool { [database] in
                var reader = before
                let findings = try reader.step(database.environment())
                return (reader, findings)
            }
            reader = next
            // Of pages that others have a part in too.
            for finding in findings where !look.findings.contains(finding.text) { look.findings.append(finding.text) }
        }
        look.records = reader.records
        if look.findings.isEmpty {
            look.findings = try await database.onHeavyPool { [database] in
                try database.readHere { view in
                    guard try DocumentStore(scope: scope).nodeIDs(in: view).count <= Self.nodesOfLook else { return [] }
                    return IntegrityCheck.findings(scope, database.models.dimension, in: view)
                }
            }
        }
        if let reason = look.findings.first {
            database.quarantine.enter(tenant, project, reason: reason, at: database.currentTime())
        } else {
            suspects.state.withLock { $0.clean[Self.place(tenant, project)] = .now }
            if database.quarantine.leave(tenant, project) { remark(.left(project: project.text)) }
        }
        return look
    }

    private static func place(_ tenant: TenantID, _ project: Name) -> String { "\(tenant.rawValue)/\(project.text)" }

    /// What was met may have been a mistake of ours and no damage: what a look finds nothing wrong with is let go, once in a while.
    private func lookAtSuspects() async {
        let waiting = suspects.state.withLock { state in
            let due = state.waiting.filter { entry in
                state.clean[Self.place(entry.tenant, entry.project)].map { ContinuousClock.now - $0 > Self.trust } ?? true
            }
            state.waiting = []
            return due
        }
        for entry in waiting {
            do {
                _ = try await look(entry.tenant, entry.project)
            } catch {
                remark(.failed("project '\(entry.project)': \(ContexError(anyError: error).message)"))
            }
        }
    }
}
