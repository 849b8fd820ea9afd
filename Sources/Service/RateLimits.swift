internal import Access
public import Base
internal import Engine
public import Rates

extension Operations {
    /// Where the caller stands with each class; of a class without a limit nothing.
    public func rateStandings(project: Name? = nil, by caller: Caller) async throws -> [(rateClass: RateClass, standing: RateStanding?)] {
        try await perform(.showRateLimits, project: nil, by: caller) { principal in
            RateClass.allCases.map { ($0, rates?.standing($0, principal, project, caller)) }
        }
    }

    /// Whether anything is counted at all.
    public var limitsRates: Bool { rates != nil }

    /// The limits that were set; the server's own come with them.
    public func rateRules(by caller: Caller) async throws -> (standard: RateAllowances, rules: [RateRule]) {
        try await perform(.setRateLimits, project: nil, by: caller) { principal in
            return (database.rateBook.standard, try await database.rateRules(principal.tenant))
        }
    }

    /// - Throws: `.invalid` for a limit out of range or a subject whose id cannot be one; `.reachExceeded`; `.keyNotFound`
    public func setRateLimit(_ rule: RateRule, by caller: Caller) async throws {
        try await perform(.setRateLimits, project: nil, by: caller) { principal in
            switch rule.subject {
            case .tenant: break
            case .project(let name): _ = try Name(name, field: "id")
            case .key(let id):
                let known = try await database.keys(principal.tenant).contains { $0.keyID.text == id }
                guard known else { throw ContexError(.keyNotFound, "Key not found") }
            }
            try await database.setRateLimit(principal.tenant, rule)
        }
    }

    /// - Throws: `.notFound`; `.reachExceeded`
    public func removeRateLimit(_ subject: RateSubject, _ rateClass: RateClass, by caller: Caller) async throws {
        try await perform(.setRateLimits, project: nil, by: caller) { principal in
            try await database.removeRateLimit(principal.tenant, subject, rateClass)
        }
    }
}
