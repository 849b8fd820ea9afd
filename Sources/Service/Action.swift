public import Access

/// Every operation there is. A new one does not compile without a rule here.
public enum Action: String, Sendable, CaseIterable {
    case publish, publishBatch, deleteData, listData, showData, exportData, importData
    case query, queryBatch, embed
    case registerAgent, registerAgentBatch, listAgents, showAgent, removeAgent, subscribe, readInbox, acknowledgeInbox
    case rehearse, tryNeeds, judgeDelivery
    case readEvents, followEvents, readVersions, restoreVersion, openSocket
    case listProjects, showSettings, changeSettings
    case createKey, listKeys, revokeKey, confirmKey, changeKey, rotateKey
    case assignRole, listRoles, showRole, removeRole, listPermissions
    case showHealth, showMetrics, showLogLevel, changeLogLevel
    case readDeliveries, replayDeliveries
    case useMCP
    case listEventKinds, createEndpoint, listEndpoints, showEndpoint, changeEndpoint, removeEndpoint, testEndpoint
    case showRateLimits, setRateLimits, readAudit
    case showRetention, setRetention, cleanUp, eraseData, eraseProject
    case checkProject
    case createAccount, listAccounts, showAccount, changeAccount, removeAccount, createAccountKey, removeAccountKey
    case issueToken, validateToken, showTokenKeys, rotateTokenKey
    case listCustomRoles, putCustomRole, removeCustomRole, setPermissions, explainPermission
    case createTenant, listTenants, showTenant, changeTenant, removeTenant, resetTenantUsage
    case listTenantProjects, addTenantProject, removeTenantProject

    /// What is of all projects together, and so for nobody whose key has only some.
    public var concernsAllProjects: Bool {
        switch self {
        case .setRateLimits, .readAudit, .rotateTokenKey, .putCustomRole, .removeCustomRole, .createTenant, .listTenants, .showTenant, .changeTenant,
            .removeTenant, .resetTenantUsage, .listTenantProjects, .addTenantProject, .removeTenantProject:
            true
        default: false
        }
    }

    /// Whose it is, where there are several tenants.
    public enum Place: Sendable {
        /// A tenant's: the request must be one's.
        case tenant
        /// Nobody's: any valid key will do, and no tenant need be named.
        case anywhere
        /// The server's: for the operator alone, who is an administrator of all projects of the standard tenant.
        case server
    }

    public var place: Place {
        switch self {
        case .showMetrics, .showLogLevel, .changeLogLevel, .rotateTokenKey: .server
        case .createTenant, .listTenants, .changeTenant, .removeTenant, .resetTenantUsage, .addTenantProject, .removeTenantProject: .server
        // A tenant's own administrators may see it: `Operations.seen` says which one.
        case .showTenant, .listTenantProjects: .anywhere
        case .showHealth, .listPermissions, .listEventKinds, .issueToken, .validateToken, .showTokenKeys: .anywhere
        case .publish, .publishBatch, .deleteData, .listData, .showData, .exportData, .importData, .query, .queryBatch, .embed, .registerAgent,
            .registerAgentBatch, .listAgents, .showAgent, .removeAgent, .subscribe, .readInbox, .acknowledgeInbox, .rehearse, .tryNeeds, .readEvents,
            .followEvents, .readVersions, .restoreVersion, .openSocket, .listProjects, .showSettings, .changeSettings, .createKey, .listKeys, .revokeKey,
            .confirmKey, .changeKey, .rotateKey, .assignRole, .listRoles, .showRole, .removeRole, .readDeliveries, .replayDeliveries, .useMCP, .createEndpoint,
            .listEndpoints, .showEndpoint, .changeEndpoint, .removeEndpoint, .testEndpoint, .showRateLimits, .setRateLimits, .readAudit,
            .showRetention, .setRetention, .cleanUp, .eraseData, .eraseProject, .createAccount, .listAccounts, .showAccount, .changeAccount,
            .removeAccount, .createAccountKey, .removeAccountKey, .listCustomRoles, .putCustomRole, .removeCustomRole, .setPermissions,
            .explainPermission, .checkProject, .judgeDelivery:
            .tenant
        }
    }

    /// What the caller's role must grant; nil: any valid key will do.
    public var permission: Permission? {
        switch self {
        case .publish, .publishBatch, .deleteData, .importData, .restoreVersion: .publishData
        case .query, .queryBatch, .embed, .tryNeeds: .queryData
        // What concerns an agent is for whoever may be that agent.
        case .registerAgent, .registerAgentBatch, .readInbox, .acknowledgeInbox, .judgeDelivery, .readDeliveries, .replayDeliveries: .registerAgent
        // What a document would reach names agents.
        case .listAgents, .showAgent, .subscribe, .rehearse: .listAgents
        case .removeAgent: .deleteAgent
        case .listData, .showData, .exportData, .listProjects, .showSettings: .viewProjectData
        case .readEvents, .followEvents, .readVersions: .viewProjectEvents
        case .createKey, .changeKey, .rotateKey: .createAPIKey
        case .listKeys: .listAPIKeys
        case .revokeKey: .revokeAPIKey
        case .assignRole, .listRoles, .showRole, .removeRole, .confirmKey: .manageRoles
        // The original's word for the maintenance of a project, which is for administrators.
        case .changeSettings: .systemCleanup
        case .showLogLevel, .changeLogLevel: .systemCleanup
        // An endpoint is told of what everybody does.
        case .createEndpoint, .listEndpoints, .showEndpoint, .changeEndpoint, .removeEndpoint, .testEndpoint: .systemCleanup
        case .setRateLimits, .readAudit: .systemCleanup
        case .showRetention, .setRetention, .cleanUp, .eraseData, .eraseProject, .checkProject: .systemCleanup
        case .createAccount, .changeAccount, .createAccountKey: .createAPIKey
        case .listAccounts, .showAccount: .listAPIKeys
        case .removeAccount, .removeAccountKey: .revokeAPIKey
        case .rotateTokenKey: .systemCleanup
        case .listCustomRoles, .putCustomRole, .removeCustomRole, .setPermissions: .manageRoles
        // A key is what is asked with; of others' permissions `explainPermission` asks for more by itself.
        case .issueToken, .validateToken, .showTokenKeys, .explainPermission: nil
        case .createTenant, .listTenants, .showTenant, .changeTenant, .removeTenant, .resetTenantUsage, .listTenantProjects, .addTenantProject,
            .removeTenantProject:
            .systemCleanup
        // What a connection follows, and what a message of MCP asks for, is asked for by itself.
        case .listPermissions, .showHealth, .showMetrics, .openSocket, .useMCP, .listEventKinds: nil
        // Everybody may know what he has left.
        case .showRateLimits: nil
        }
    }
}
