internal import Access
public import Base
public import Engine
internal import Synchronization

extension Operations {
    /// Who looks at all that a project has on the disk; set once at start.
    public func setLooker(_ look: @escaping @Sendable (TenantID, Name) async throws -> ProjectLook) { looker.withLock { $0 = look } }

    /// Looks at all that a project has on the disk. One that is sound leaves the quarantine, one that is not is in it from now on.
    /// - Throws: `.projectNotFound`; `.unavailable` where nobody looks.
    public func check(project: Name, by caller: Caller) async throws -> (look: ProjectLook, isQuarantined: Bool) {
        try await perform(.checkProject, project: project, by: caller) { principal in
            guard let look = looker.withLock({ $0 }) else { throw ContexError(.unavailable, "this server does not look at its disk by itself") }
            let found = try await look(principal.tenant, project)
            return (found, database.quarantine.holds(principal.tenant, project))
        }
    }

    /// The damage among the outcomes of a batch, each of which is of a project of its own.
    func meetDamage<T>(_ outcomes: [Result<T, ContexError>], of projects: [Name], _ principal: Principal) {
        for (outcome, project) in zip(outcomes, projects) {
            if case .failure(let error) = outcome { database.meet(error, principal.tenant, project) }
        }
    }

    /// What the caller may know of the quarantine: what is in it of the projects that he sees.
    func quarantined(_ principal: Principal, _ caller: Caller) -> [Quarantine.Entry] {
        database.quarantine.entries.filter { entry in
            entry.tenant == principal.tenant && maySee(.listProjects, of: entry.project.text, principal, caller)
        }
    }
}
