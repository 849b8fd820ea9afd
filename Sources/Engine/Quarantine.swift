// Projects whose data is damaged on this disk, held apart so that the others go on and nothing is answered or written by guess.
//
//     a read, a write or the scrubber meets damage -> enter: every door refuses the project, and writes to it before they begin
//     a clean look at all of it                    -> leave (Maintenance/Scrubbing/Scrubber.swift looks, and the next start begins with nobody in it)
//
// It is in memory and nowhere else. What is broken is this copy of the store, not what was published: a follower, a replay and a backup have
// nothing to do with it, so it is no command, has no record, and apply does not know of it. Who is still damaged after a start is found
// again at the first touch of it. A command that comes with a position (of a journal) is not refused for it: it is applied, or meets the
// damage itself and stops, as a follower must.

public import Base
internal import Needs
internal import Synchronization

public final class Quarantine: Sendable {
    public struct Entry: Sendable, Equatable {
        public let tenant: TenantID
        public let project: Name
        /// What was met first.
        public let reason: String
        public let since: Timestamp
    }

    private struct Place: Hashable {
        let tenant: TenantID
        let project: Name
    }

    private let places = Mutex<[Place: Entry]>([:])
    /// Of them; so that whoever asks while nothing is wrong takes no lock.
    private let count = Atomic(0)
    private let entered = Mutex<(@Sendable (Entry) -> Void)?>(nil)

    /// Who is told of each project that comes in; set once at start. Called on the thread that met the damage: it only hands over.
    public func observe(_ body: @escaping @Sendable (Entry) -> Void) { entered.withLock { $0 = body } }

    public var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    /// By tenant and name.
    public var entries: [Entry] {
        if isEmpty { return [] }
        return places.withLock { $0.values.sorted { ($0.tenant.rawValue, $0.project) < ($1.tenant.rawValue, $1.project) } }
    }

    public func holds(_ tenant: TenantID, _ project: Name) -> Bool {
        !isEmpty && places.withLock { $0[Place(tenant: tenant, project: project)] != nil }
    }

    /// What whoever asks for something of a project is told while it is in quarantine; else nil.
    public func refusal(_ tenant: TenantID, _ project: Name) -> ContexError? {
        guard holds(tenant, project) else { return nil }
        return ContexError(
            .quarantined,
            "project '\(project)' is in quarantine: its data on this server's disk is damaged, so nothing of it is answered or written until it is "
                + "sound again. Its operator stops the server and runs 'contex check --repair', or restores it from a backup",
            project: project.text)
    }

    /// - Throws: `.quarantined`
    public func check(_ tenant: TenantID, _ project: Name) throws(ContexError) {
        if let refusal = refusal(tenant, project) { throw refusal }
    }

    public func enter(_ tenant: TenantID, _ project: Name, reason: String, at time: Timestamp) {
        let entry = Entry(tenant: tenant, project: project, reason: reason, since: time)
        let isNew = places.withLock { places in
            guard places.updateValue(places[Place(tenant: tenant, project: project)] ?? entry, forKey: Place(tenant: tenant, project: project)) == nil
            else { return false }
            count.store(places.count, ordering: .releasing)
            return true
        }
        if isNew { entered.withLock { $0 }?(entry) }
    }

    /// - Returns: whether it was in.
    @discardableResult
    public func leave(_ tenant: TenantID, _ project: Name) -> Bool {
        places.withLock { places in
            defer { count.store(places.count, ordering: .releasing) }
            return places.removeValue(forKey: Place(tenant: tenant, project: project)) != nil
        }
    }
}

/// What a look at all that one project has on the disk has found.
public struct ProjectLook: Sendable {
    /// None: it is sound.
    public var findings: [String] = []
    public var records = 0

    public init() {}
}

extension Database {
    /// Puts the project into quarantine whose damaged data somebody has met; of other errors, and of damage that is no project's, nothing is noted.
    public func meet(_ error: ContexError, _ tenant: TenantID, _ project: Name?) {
        guard error.code == .damaged, let project = error.project.map({ Name(stored: $0) }) ?? project else { return }
        quarantine.enter(tenant, project, reason: error.message, at: now())
    }

    /// What is done with a project, and the damage that is met there.
    /// - Throws: `.quarantined` before anything is done; what `body` throws.
    public func guarding<T>(_ tenant: TenantID, _ project: Name, _ body: () async throws -> T) async throws -> T {
        try quarantine.check(tenant, project)
        do {
            return try await body()
        } catch {
            let failure = ContexError(anyError: error).damage(in: project)
            meet(failure, tenant, project)
            throw failure
        }
    }
}

extension Command {
    /// The projects whose records it changes, as far as it names them; what goes over all that a tenant has names none.
    var projects: [Name] {
        switch self {
        case .publish(let command): [command.project]
        case .delete(let command): [command.project]
        case .register(let command): [command.search.project]
        case .unregister(let command): command.projects
        case .setAnalyzer(let command): [command.project]
        case .importProject(let command): [command.project]
        case .acknowledge(let command): [command.project]
        case .judge(let command): [command.project]
        case .trim(let command): [command.project]
        case .setRetention(let command): [command.project]
        case .changeLetters(let command): if case .agent(_, let project) = command.lane { [project] } else { [] }
        case .erase(let command): if case .begin(let project, _) = command.step { [project] } else { [] }
        case .attributed(let attributed): attributed.command.projects
        // An import in parts was refused before its first one.
        case .keepPart, .assembled: []
        case .changeKeys, .keepQueries, .expireInboxes, .noteDeliveries, .changeEndpoint, .announce, .setRateLimit, .noteAudit, .changeAccounts, .changeRoles,
            .setGrants, .changeTenant, .eraseTenant, .setTenancy:
            []
        }
    }
}
