// Erasing a project, or a key with all that it ever held. What is done in the store: Apply/ApplyErasure.swift.

public import Audit
public import Base
internal import KeySpace
internal import LMDB
internal import Measures
internal import Needs

extension Database {
    /// Erases a project, or a key with its history. When this returns nothing of it can be read, and the pages that it lay on are free; a compacted
    /// copy of the store is without it (`contex compact`).
    /// - Parameter key: nil: the project.
    /// - Returns: not signed.
    /// - Throws: `.projectNotFound`, `.dataNotFound`; what a write throws: then it goes on after the next start, or when it is asked for again.
    public func erase(_ tenant: TenantID, project: Name, key: Name? = nil, by publisher: Publisher? = nil) async throws -> ErasureReceipt {
        while true {
            if key == nil { try await removeAgents(tenant, of: project) }
            do {
                let first = try await erasing(tenant, .begin(project: project, key: key), by: publisher)
                return try await finishErasure(tenant, first.number)
            } catch let error as ContexError where key == nil && error.code == .conflict {
                // Somebody registered in between.
                continue
            }
        }
    }

    /// Goes on with erasures that a stop has cut off.
    /// - Returns: the receipts.
    @discardableResult
    public func resumeErasures(_ tenant: TenantID) async throws -> [ErasureReceipt] {
        let open = try await read { try ErasureRecord.all(tenant, in: $0).map(\.number) }
        var receipts: [ErasureReceipt] = []
        for number in open {
            do {
                receipts.append(try await finishErasure(tenant, number))
            } catch let error as ContexError where error.code == .notFound {
                // Whoever began it has asked again, and was quicker.
                continue
            }
        }
        return receipts
    }

    /// So many steps of an erasure and no more, as a process that is killed would take them; for tests.
    package func eraseInSteps(_ tenant: TenantID, project: Name, key: Name?, count: Int, steps: Int) async throws {
        func submitted(_ step: Command.Erase.Step) async throws -> ErasureStep {
            let outcome = try await submit(.erase(.init(tenant: tenant, step: step, count: count, publisher: nil, time: now())))
            guard case .erasing(let done) = outcome else { throw outcome.mismatch }
            return done
        }
        let number = try await submitted(.begin(project: project, key: key)).number
        var left = steps - 1
        for step in [Command.Erase.Step.journal(number), .content(number)] {
            while left > 0 {
                left -= 1
                if try await !submitted(step).hasMore { break }
            }
        }
    }

    private func finishErasure(_ tenant: TenantID, _ number: UInt64) async throws -> ErasureReceipt {
        while try await erasing(tenant, .journal(number)).hasMore { try Task.checkCancellation() }
        while try await erasing(tenant, .content(number)).hasMore { try Task.checkCancellation() }
        let last = try await erasing(tenant, .finish(number))
        let done = last.progress
        if done.key == nil { queryUse.forget(done.project, of: tenant) }
        answers.removeAll()
        measures.erasures.add()
        return ErasureReceipt(
            tenant: tenant, number: number, position: last.position, time: now(), project: done.project, key: done.key, events: done.events,
            versions: done.versions, records: done.records)
    }

    private func erasing(_ tenant: TenantID, _ step: Command.Erase.Step, by publisher: Publisher? = nil) async throws -> ErasureStep {
        let count: Int
        switch step {
        case .content, .journal: count = Limits.erasedAtOnce
        case .begin, .finish: count = 0
        }
        let outcome = try await submit(.erase(.init(tenant: tenant, step: step, count: count, publisher: publisher, time: now())))
        guard case .erasing(let done) = outcome else { throw outcome.mismatch }
        return done
    }

    private func removeAgents(_ tenant: TenantID, of project: Name) async throws {
        let names = try await read { view in try Self.scope(tenant, project, view).map { try NeedStore(scope: $0).agents(in: view).map(\.name) } ?? [] }
        for name in names { _ = try await submit(.unregister(.init(tenant: tenant, agent: name, projects: [project], time: now()))) }
    }
}
