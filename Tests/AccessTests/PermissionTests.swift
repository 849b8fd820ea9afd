import Access
import Base
import Testing

@Suite struct PermissionTests {
    /// The matrix as the original publishes it, written out a second time.
    static let matrix: [Role: Set<String>] = [
        .admin: [
            "publish_data", "query_data", "register_agent", "list_agents", "delete_agent", "view_project_data", "view_project_events",
            "create_api_key", "list_api_keys", "revoke_api_key", "manage_roles", "view_rate_limits", "system_cleanup",
        ],
        .publisher: ["publish_data", "view_project_data", "view_project_events"],
        .consumer: ["query_data", "register_agent", "list_agents", "delete_agent", "view_project_data", "view_project_events"],
        .readonly: ["query_data", "list_agents", "view_project_data", "view_project_events"],
    ]

    @Test func matrixIsExact() {
        #expect(Permission.allCases.count == 13)
        #expect(Role.allCases.map(\.rawValue) == ["admin", "publisher", "consumer", "readonly"])
        #expect(Set(Permission.allCases.map(\.rawValue)) == Self.matrix[.admin])
        for role in Role.allCases {
            #expect(Set(role.permissions.map(\.rawValue)) == Self.matrix[role])
            for permission in Permission.allCases {
                #expect(role.grants(permission) == Self.matrix[role]!.contains(permission.rawValue), "\(role) \(permission)")
            }
        }
        #expect(Role.unassigned == .readonly)
    }

    static func principal(_ role: Role, _ projects: [String]) -> Principal {
        Principal(keyID: KeyID(rawValue: 1), name: "k", role: role, projects: ProjectScope(projects), tenant: .standard)
    }

    /// Every role, every permission, every relation of scope and request.
    @Test func scopeAndRoleTogether() {
        for role in Role.allCases {
            for permission in Permission.allCases {
                let granted = Self.matrix[role]!.contains(permission.rawValue)
                let everywhere = Self.principal(role, [])
                #expect(everywhere.allows(permission, project: "any") == granted)
                #expect(everywhere.allows(permission, project: nil) == granted)
                let scoped = Self.principal(role, ["own", "\u{e9}", ""])
                for own in ["own", "\u{e9}", "", nil] { #expect(scoped.allows(permission, project: own) == granted) }
                for foreign in ["foreign", "Own", "own ", "own/", "e\u{301}", "\u{0}"] {
                    #expect(!scoped.allows(permission, project: foreign), "\(role) \(permission) \(foreign)")
                }
            }
        }
    }

    @Test func refusalSaysWhatWasMissing() throws {
        try Self.principal(.publisher, ["own"]).require(.publishData, project: "own")
        let error = #expect(throws: ContexError.self) { try Self.principal(.readonly, []).require(.publishData, project: "p") }
        #expect(error?.category == .forbidden)
        #expect(error?.requiredPermission == "publish_data")
        #expect(error?.role == "readonly")
        #expect(error?.message == "Your role 'readonly' does not have permission to perform this action")
        #expect(throws: ContexError.self) { try Self.principal(.admin, ["own"]).require(.publishData, project: "foreign") }
    }

    @Test func anonymousMayEverything() {
        for permission in Permission.allCases { #expect(Principal.anonymous.allows(permission, project: "any")) }
        #expect(Principal.anonymous.keyID == nil)
        #expect(Principal.anonymous.tenant == .standard)
    }
}
