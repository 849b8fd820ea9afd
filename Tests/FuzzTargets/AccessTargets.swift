internal import Access
internal import Base
internal import BearerTokens

extension FuzzTargets {
    static let access: [FuzzTarget] = [bearerToken, permissionRule]

    private static let secret = Array("0123456789abcdef0123456789abcdef".utf8)

    static let bearerToken = FuzzTarget(
        "bearer-token", "read or refused within the limits; nothing that no key has signed is accepted", inputBytesMax: 9_000,
        seeds: {
            let claims = TokenClaims(subject: "sa_0123456789abcdef", issuedAt: 1_800_000_000, expiresAt: 1_800_003_600)
            let good = try claims.token(by: .secret(secret))
            return [good, "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiZXhwIl19.e30.AA", "a.b.c", "..", ""].map { Array($0.utf8) }
        }
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        guard let claims = try? TokenClaims(token: text, keys: [JSONWebKey(.secret(secret), keyID: nil)], at: 1_800_000_000) else { return }
        // Only what this target's own seeds are can come here.
        try require(claims.subject == "sa_0123456789abcdef", "a token that nobody signed: \(text)")
        try require(text.utf8.count <= TokenLimits.tokenBytes, "a token over the limit was accepted")
    }

    static let permissionRule = FuzzTarget(
        "permission-rule", "read or refused; what is read is read again from its own text, and decides without a trap",
        seeds: texts(
            "admin", "!project:my-app:data:publish;address=10.0.0.0/8;hours=22:00-06:00;days=sat-mon;from=2026-01-01T00:00:00Z",
            "tenant:default:*:*;until=2027-01-01", "project:*:data:read;keys=a/,b/", "project:a:b")
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        guard let rule = try? PermissionRule(text) else { return }
        try require(try PermissionRule(rule.text) == rule, "'\(text)' is read as another rule the second time")
        let grants = Grants([rule], tenant: "default")
        for permission in Permission.allCases {
            for project in [nil, "my-app", rule.project] {
                for time in [nil, Timestamp(rawValue: .min), Timestamp(rawValue: .max), Timestamp(rawValue: 0)] {
                    let question = AccessQuestion(permission, project: project, dataKey: "a/b", address: "10.0.0.1", time: time)
                    let verdict = grants.decide(question)
                    try require(verdict != .allowed || !rule.isDeny, "a rule that denies allows: \(text)")
                    try require(verdict != .allowed || rule.permissions.contains(PermissionSet(permission)), "\(text) allows \(permission)")
                }
            }
        }
    }
}
