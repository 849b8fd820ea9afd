// Reading the audit trail, and writing into it what no command of its own changes.

public import Audit
public import Base
internal import Documents
internal import LMDB
public import Rates

extension Database {
    /// Writes down what changed nothing: refusals, logins, what was taken out.
    /// - Throws: `.storageFull`, `.busy`: then none of it is written.
    public func note(_ tenant: TenantID, _ drafts: [AuditDraft], keptDays: Int) async throws {
        guard !drafts.isEmpty else { return }
        _ = try await submit(.noteAudit(.init(tenant: tenant, drafts: drafts, keptDays: keptDays, time: now())))
    }

    public func auditPage(_ tenant: TenantID, _ query: AuditQuery) async throws -> AuditPage {
        try await readHeavily { try AuditLog(tenant: tenant).find(query, in: $0) }
    }

    /// - Throws: `.auditRecordNotFound`
    public func auditRecord(_ tenant: TenantID, _ sequence: UInt64) async throws -> AuditRecord {
        guard let record = try await read({ try AuditLog(tenant: tenant).record(sequence, in: $0) }) else {
            throw ContexError(.auditRecordNotFound, "Audit event '\(AuditID.text(tenant: tenant, sequence))' not found")
        }
        return record
    }

    /// Where the trail stands; nil when nothing was ever written down.
    public func auditState(_ tenant: TenantID) async throws -> AuditLog.State? { try await read { try AuditLog(tenant: tenant).state(in: $0) } }

    /// Walks the whole chain.
    /// - Throws: `.damaged` with the place where it was changed, left out or cut off.
    public func verifyAudit(_ tenant: TenantID) async throws -> AuditLog.State? {
        try await readHeavily { view in
            let log = AuditLog(tenant: tenant)
            try log.verify(in: view)
            return try log.state(in: view)
        }
    }

    // MARK: - Rate limits

    /// The limits that were set.
    public func rateRules(_ tenant: TenantID) async throws -> [RateRule] { try await read { try RateRules.all($0, scope: Self.registryScope(tenant)) } }

    /// - Throws: `.invalid` for a limit out of range; `.limited` for one too many.
    public func setRateLimit(_ tenant: TenantID, _ rule: RateRule) async throws {
        let change = Command.SetRateLimit.Change.set(perMinute: rule.perMinute)
        _ = try await submit(.setRateLimit(.init(tenant: tenant, subject: rule.subject, rateClass: rule.rateClass, change: change, time: now())))
    }

    /// - Throws: `.notFound`
    public func removeRateLimit(_ tenant: TenantID, _ subject: RateSubject, _ rateClass: RateClass) async throws {
        _ = try await submit(.setRateLimit(.init(tenant: tenant, subject: subject, rateClass: rateClass, change: .remove, time: now())))
    }
}
