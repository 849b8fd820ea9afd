internal import Access
public import Base
public import Engine
public import Tenants

extension Operations {
    private func several() throws(ContexError) {
        guard database.tenants.isOn else {
            throw ContexError(.tenancyOff, "This server has one tenant: start it with MULTI_TENANT_ENABLED=true to have several")
        }
    }

    /// - Throws: `.tenantExists`, `.invalid`, `.limited`, `.tenancyOff`
    public func createTenant(_ draft: TenantDraft, by caller: Caller) async throws -> TenantRecord {
        try await perform(.createTenant, project: nil, by: caller) { _ in
            try several()
            return try await database.createTenant(draft)
        }
    }

    /// Newest first.
    /// - Throws: `.tenancyOff`
    public func tenants(plan: Plan?, isActive: Bool?, limit: Int, offset: Int, by caller: Caller) async throws -> [TenantRecord] {
        try await perform(.listTenants, project: nil, by: caller) { _ in
            try several()
            let fitting = database.tenants.all.reversed().filter { (plan == nil || $0.plan == plan) && (isActive == nil || $0.isActive == isActive) }
            return Array(fitting.dropFirst(offset).prefix(limit))
        }
    }

    /// The operator sees every tenant, an administrator of all of a tenant's projects his own; another one is not there for him.
    private func seen(_ name: String, by principal: Principal) throws(ContexError) -> TenantRecord {
        try several()
        guard let tenant = database.tenants.tenant(named: name), principal.isOperator || principal.home == tenant.number else {
            throw ContexError(.tenantNotFound, "Tenant '\(name.excerpt())' not found")
        }
        return tenant
    }

    /// - Throws: `.tenantNotFound`, `.tenancyOff`
    public func tenant(_ name: String, by caller: Caller) async throws -> TenantRecord {
        try await perform(.showTenant, project: nil, by: caller) { try seen(name, by: $0) }
    }

    /// What it has used.
    /// - Throws: `.tenantNotFound`, `.tenancyOff`
    public func usage(ofTenant name: String, by caller: Caller) async throws -> TenantReport {
        try await perform(.showTenant, project: nil, by: caller) { try await database.report(of: seen(name, by: $0).name) }
    }

    /// - Throws: `.tenantNotFound`, `.invalid`, `.badRequest`, `.tenancyOff`
    public func updateTenant(_ name: String, _ patch: TenantPatch, by caller: Caller) async throws -> TenantRecord {
        try await perform(.changeTenant, project: nil, by: caller) { try await database.updateTenant(seen(name, by: $0).name, patch) }
    }

    /// - Throws: `.tenantNotFound`, `.tenantNotEmpty`, `.badRequest`, `.tenancyOff`
    public func removeTenant(_ name: String, isForced: Bool, by caller: Caller) async throws {
        try await perform(.removeTenant, project: nil, by: caller) { try await database.removeTenant(seen(name, by: $0).name, isForced: isForced) }
    }

    /// - Throws: `.tenantNotFound`, `.tenancyOff`
    public func resetUsage(ofTenant name: String, by caller: Caller) async throws {
        try await perform(.resetTenantUsage, project: nil, by: caller) { try await database.resetUsage(of: seen(name, by: $0).name) }
    }

    /// By name.
    /// - Throws: `.tenantNotFound`, `.tenancyOff`
    public func projects(ofTenant name: String, by caller: Caller) async throws -> [Name] {
        try await perform(.listTenantProjects, project: nil, by: caller) { try await database.projectNames(of: seen(name, by: $0).number) }
    }

    /// - Throws: `.tenantNotFound`, `.quotaExceeded`, `.tenancyOff`
    public func addProject(_ project: Name, toTenant name: String, by caller: Caller) async throws {
        try await perform(.addTenantProject, project: nil, by: caller) { try await database.addProject(project, to: seen(name, by: $0).name) }
    }

    /// - Throws: `.tenantNotFound`, `.projectNotFound`, `.projectNotEmpty`, `.tenancyOff`
    public func removeProject(_ project: Name, fromTenant name: String, by caller: Caller) async throws {
        try await perform(.removeTenantProject, project: nil, by: caller) { try await database.removeProject(project, from: seen(name, by: $0).name) }
    }
}
