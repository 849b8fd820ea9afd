internal import Access
internal import Answers
internal import Base
internal import BearerTokens
internal import Service

/// Service accounts and their tokens. docs/accounts.md is this for readers.
extension RouteTable {
    private static let group = "Service accounts"
    private static let id = Field.text("account_id", "The account's id: sa_ and 16 hexadecimal digits")
    private static let types = AccountType.allCases.map(\.name)
    private static let accountName = Field.text("name", scalarsMin: 1, scalarsMax: AccessLimits.accountNameScalars, "What people call it")
    private static let newName = Field.optionalText("name", scalarsMax: AccessLimits.accountNameScalars, "What people call it")
    private static let description = Field.optionalText("description", scalarsMax: AccessLimits.accountDescriptionScalars, "What it is for")
    private static let accountType = Field.word("account_type", of: types, default: AccountType.integration.name, "What it is for, in a word")
    private static let wantedType = Field.optionalWord("account_type", of: types, "Only those of this type")
    private static let role = Field.text("role", scalarsMax: 64, default: Role.readonly.rawValue, "A built-in role or a custom one")
    private static let newRole = Field.optionalText("role", scalarsMax: 64, "A built-in role or a custom one")
    private static let projects = Field.optionalTexts(
        "allowed_projects", countMax: AccessLimits.projectsPerRole, scalarsMax: Limits.nameScalars, "Where the role holds; none: everywhere")
    private static let scopes = Field.optionalTexts(
        "scopes", countMax: AccessLimits.permissionsPerHolder, scalarsMax: AccessLimits.permissionBytes,
        "What of the role it may use, as permissions (docs/permissions.md); none: all of it")
    private static let isActive = Field.flag("is_active", default: true, "Whether it may come at all")
    private static let limit = Field.integer("limit", min: 1, max: AccessLimits.accountsPerTenant, default: 100, "Accounts at most")
    private static let days = Field.optionalInteger("expires_in_days", min: 1, max: 365, "Days after which the key is refused; never when not given")
    private static let accountKey = Field.text(
        "key", scalarsMin: 1, scalarsMax: AccessLimits.rawKeyBytes, "A key of a service account: sak_ and 43 characters")
    private static let seconds = Field.integer(
        "expires_in", min: TokenLimits.lifeSeconds.lowerBound, max: TokenLimits.lifeSeconds.upperBound, default: 3_600, "Seconds that the token is valid")
    private static let token = Field.text("token", scalarsMin: 1, scalarsMax: TokenLimits.tokenBytes, "The token")

    private static let example =
        #"""
        {"account_id":"sa_0123456789abcdef","name":"deploy","description":null,"account_type":"ci_cd","tenant_id":null,"role":"publisher",
        "allowed_projects":["app"],"scopes":[],"keys":[{"key_id":"0123456789abcdef","created_at":"2026-01-01T00:00:00+00:00","expires_at":null,
        "last_used":null,"description":"Initial key"}],"created_at":"2026-01-01T00:00:00+00:00","updated_at":"2026-01-01T00:00:00+00:00",
        "is_active":true,"last_active":null,"total_requests":0}
        """#
    private static let keyExample =
        #"{"key":"sak_...","key_info":{"key_id":"0123456789abcdef","created_at":"2026-01-01T00:00:00+00:00","expires_at":null}}"#
    private static let claimsExample =
        #"{"sub":"sa_0123456789abcdef","name":"deploy","type":"ci_cd","role":"publisher","iat":1767225600,"exp":1767229200,"iss":"contex"}"#

    static let accountRoutes: [Route] = [
        Route(
            "POST", "/service-accounts", bases: .current, action: .createAccount, group: group,
            "Make an account (201); its first key is shown this once",
            body: .object([accountName.shape, description.shape, accountType.shape, role.shape, projects.shape, scopes.shape]),
            #"{"account":\#(example),"key":"sak_..."}"#
        ) { call in
            let body = call.body
            // `FieldRule.word` has made sure that the type is one.
            let draft = AccountDraft(
                name: body[accountName], description: body[description], type: AccountType(name: body[accountType])!, role: body[role],
                projects: body[projects], scopes: body[scopes])
            let (listed, key) = try await call.operations.createAccount(draft, by: call.caller)
            return .json(["account": .object(AccountShape.account(listed, tenant: call.tenantName)), "key": .string(key)], status: 201)
        },

        Route(
            "GET", "/service-accounts", bases: .current, action: .listAccounts, group: group, "The accounts that reach no further than the caller",
            query: [wantedType.shape, isActive.shape, limit.shape], "[\(example)]"
        ) { call in
            let found = try await call.operations.accounts(
                type: call.query[wantedType].flatMap(AccountType.init(name:)), isActive: call.query.isGiven(isActive) ? call.query[isActive] : nil,
                limit: call.query[limit], by: call.caller)
            let tenant = call.tenantName
            return .json(.array(found.map { .object(AccountShape.account($0, tenant: tenant)) }))
        },

        Route(
            "POST", "/service-accounts/token", bases: .current, action: .issueToken, isPublic: true, group: group,
            "A token for a key of an account: no other key is asked for", body: .object([accountKey.shape, seconds.shape]),
            #"{"access_token":"eyJ...","token_type":"Bearer","expires_in":3600,"expires_at":"2026-01-01T01:00:00+00:00"}"#
        ) { call in
            let issued = try await call.operations.issueToken(key: call.body[accountKey], seconds: call.body[seconds], by: call.caller)
            return .json(.object(AccountShape.token(issued)))
        },

        Route(
            "POST", "/service-accounts/token/validate", bases: .current, action: .validateToken, group: group, "What a token says, if it is valid",
            query: [token.shape], #"{"valid":true,"claims":\#(claimsExample)}"#
        ) { call in
            let claims = try await call.operations.validateToken(call.query[token], by: call.caller)
            return .json(["valid": .bool(true), "claims": claims.json])
        },

        Route(
            "POST", "/service-accounts/signing-keys/rotate", bases: .current, action: .rotateTokenKey, group: group,
            "Sign tokens with another key; the present one is accepted until its last token has ended", #"{"status":"rotated","kid":"..."}"#
        ) { call in
            .json(["status": "rotated", "kid": .string(try await call.operations.rotateTokenKey(by: call.caller))])
        },

        Route(
            "GET", "/.well-known/jwks.json", bases: .root, action: .showTokenKeys, isPublic: true, group: group,
            "The public keys that tokens are signed with (RFC 7517); none when a secret signs",
            #"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"...","kid":"...","use":"sig","alg":"EdDSA"}]}"#
        ) { call in .json(try await call.operations.tokenKeys()) },

        Route(
            "GET", "/service-accounts/{account_id}", bases: .current, action: .showAccount, group: group,
            "An account; last_active and total_requests are of since the server's start", path: [id.shape], example
        ) { call in .json(.object(AccountShape.account(try await call.operations.account(call.path[id], by: call.caller), tenant: call.tenantName))) },

        Route(
            "PATCH", "/service-accounts/{account_id}", bases: .current, action: .changeAccount, group: group,
            "Change what is given; one that is switched off is refused at once, and so are its tokens for ever", path: [id.shape],
            body: .object([newName.shape, description.shape, newRole.shape, projects.shape, scopes.shape, isActive.shape]), example
        ) { call in
            let body = call.body
            var patch = AccountPatch()
            patch.name = body[newName]
            if body.isGiven(description) { patch.description = .some(body[description]) }
            patch.role = body[newRole]
            if body.isGiven(projects) { patch.projects = body[projects] }
            if body.isGiven(scopes) { patch.scopes = body[scopes] }
            if body.isGiven(isActive) { patch.isActive = body[isActive] }
            return .json(.object(AccountShape.account(try await call.operations.changeAccount(call.path[id], patch, by: call.caller), tenant: call.tenantName)))
        },

        Route(
            "DELETE", "/service-accounts/{account_id}", bases: .current, action: .removeAccount, group: group,
            "Delete an account (204), with its keys; its tokens are refused at once", path: [id.shape], "{}"
        ) { call in
            try await call.operations.removeAccount(call.path[id], by: call.caller)
            return APIAnswer(status: 204, headers: [])
        },

        Route(
            "POST", "/service-accounts/{account_id}/keys", bases: .current, action: .createAccountKey, group: group,
            "Another key of an account (201), shown this once", path: [id.shape], body: .object([description.shape, days.shape]), keyExample
        ) { call in
            let end = call.body[days].map { Timestamp(rawValue: call.server.clock.now().rawValue + Int64($0) * 86_400_000_000) }
            let issued = try await call.operations.createAccountKey(
                call.path[id], description: call.body[description], expiresAt: end, by: call.caller)
            return .json(["key": .string(issued.text), "key_info": .object(AccountShape.key(issued.key))], status: 201)
        },

        Route(
            "DELETE", "/service-accounts/{account_id}/keys/{key_id}", bases: .current, action: .removeAccountKey, group: group,
            "Delete a key of an account (204); tokens that were asked for with it are refused at once", path: [id.shape, Fields.keyID.shape], "{}"
        ) { call in
            try await call.operations.removeAccountKey(call.path[id], call.path[Fields.keyID], by: call.caller)
            return APIAnswer(status: 204, headers: [])
        },
    ]
}
