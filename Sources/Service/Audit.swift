internal import Access
public import Audit
public import Base
internal import Engine

/// Records by what they are.
public struct AuditTally: Sendable {
    public private(set) var total = 0
    public private(set) var kinds: [AuditKind: Int] = [:]
    public private(set) var severities: [AuditSeverity: Int] = [:]
    public private(set) var results: [AuditResult: Int] = [:]

    mutating func add(_ record: AuditRecord) {
        total += 1
        kinds[record.draft.kind, default: 0] += 1
        severities[record.draft.severity, default: 0] += 1
        results[record.draft.result, default: 0] += 1
    }
}

extension Operations {
    /// - Throws: `.reachExceeded` for an administrator of some projects only.
    public func auditPage(_ query: AuditQuery, by caller: Caller) async throws -> AuditPage {
        try await perform(.readAudit, project: nil, by: caller) { principal in
            return try await database.auditPage(principal.tenant, query)
        }
    }

    /// - Throws: `.auditRecordNotFound`; `.reachExceeded`
    public func auditRecord(_ id: String, by caller: Caller) async throws -> AuditRecord {
        try await perform(.readAudit, project: nil, by: caller) { principal in
            guard let sequence = AuditID.sequence(id, tenant: principal.tenant) else {
                throw ContexError(.auditRecordNotFound, "Audit event '\(id.excerpt())' not found")
            }
            return try await database.auditRecord(principal.tenant, sequence)
        }
    }

    /// How many records there are since a time.
    /// - Complexity: O(records since then).
    public func auditTally(from start: Timestamp, by caller: Caller) async throws -> AuditTally {
        try await perform(.readAudit, project: nil, by: caller) { principal in
            var (tally, query) = (AuditTally(), AuditQuery())
            (query.from, query.limit) = (start, 5_000)
            repeat {
                let page = try await database.auditPage(principal.tenant, query)
                for record in page.records { tally.add(record) }
                query.before = page.next
            } while query.before != nil
            return tally
        }
    }

    /// The whole chain, looked at now.
    /// - Throws: `.damaged`; `.reachExceeded`
    public func verifyAudit(by caller: Caller) async throws -> AuditLog.State? {
        try await perform(.readAudit, project: nil, by: caller) { principal in
            return try await database.verifyAudit(principal.tenant)
        }
    }
}
