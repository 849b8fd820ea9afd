// A small project to try things on: what a team might tell its agents about an imaginary product, a lending service for
// tools called Nutshed. A document in each format, so that every reader is met.

internal import Base
internal import Engine

enum Demo {
    static let project = "demo"
    private static let agent = "demo-agent"
    private static let needs = ["how people log in and what protects their accounts", "programming languages and databases in use"]

    /// Publishes the demo project when it is not there. Returns whether it did.
    static func publish(into database: Database, tenant: TenantID) async throws -> Bool {
        let project = Name(stored: Self.project)
        if try await !database.projects(tenant, PageRequest(limit: 1), visible: { $0 == project }).items.isEmpty { return false }
        let commands = documents.map { key, format, data in
            PublishCommand(project: project, key: Name(stored: key), data: data, format: format)
        }
        for outcome in await database.publish(tenant, commands) { _ = try outcome.get() }
        _ = try await database.register(
            tenant,
            RegisterCommand(
                project: project, agent: Name(stored: agent), needs: needs, lastSeen: Sequence(rawValue: UInt64(commands.count)),
                responseFormat: "json"))
        return true
    }

    private static let documents: [(key: String, format: String, data: JSONValue)] = [
        (
            "product", "json",
            ["name": "Nutshed", "purpose": "neighbours lend each other tools", "audience": "people in towns with little space", "since": .integer(2021)]
        ),
        (
            "tech-stack", "json",
            [
                "backend": ["language": "Python 3.12", "framework": "FastAPI", "workers": .integer(8)],
                "storage": ["database": "PostgreSQL 16", "cache": "Redis 7", "files": "object store, 30 days of versions"],
                "frontend": ["language": "TypeScript", "framework": "React", "bundler": "Vite"],
            ]
        ),
        (
            "code-style", "json",
            [
                "python": ["indentation": "four spaces", "quotes": "double", "line length": .integer(100), "formatter": "ruff"],
                "typescript": ["indentation": "two spaces", "semicolons": .bool(true), "formatter": "prettier"],
            ]
        ),
        (
            "authentication", "markdown",
            """
            # Logging in

            People log in with e-mail and password, or with a passkey. Passwords are hashed with Argon2id.

            ## Sessions

            A session token lives for 30 days in a cookie that scripts cannot read. Changing the password ends all sessions.

            ## Lock-out

            Ten wrong passwords within an hour lock the account until the owner follows a link in an e-mail.
            """
        ),
        (
            "deployment", "yaml",
            """
            environments:
              staging:
                url: https://staging.nutshed.example
                deploys: every commit on the main branch
              production:
                url: https://nutshed.example
                deploys: a tagged release, after two approvals
            rollback: redeploy the tag before; database migrations are written to work with both
            """
        ),
        (
            "limits", "toml",
            """
            [requests]
            per_minute = 120
            burst = 40

            [uploads]
            megabytes = 8
            types = ["image/jpeg", "image/png"]
            """
        ),
        (
            "team", "csv",
            """
            name,role,responsible for
            Amara,engineer,payments and deposits
            Bo,engineer,search and the mobile app
            Chen,designer,everything that people see
            Dalia,operations,deployments and on-call rota
            """
        ),
        (
            "shipping", "xml",
            """
            <shipping>
              <option name="pick-up"><price>0</price><note>the lender says when somebody is at home</note></option>
              <option name="courier"><price currency="EUR">4.90</price><note>up to 20 kilograms, same day in the city</note></option>
            </shipping>
            """
        ),
        (
            "deposit-rule", "code",
            """
            def deposit(value: float, lender_rating: float) -> float:
                \"\"\"What a borrower leaves as security: a fifth of the tool's value, less for lenders with good ratings.\"\"\"
                return round(value * (0.20 if lender_rating < 4.5 else 0.15), 2)
            """
        ),
        (
            "incident-2026-03", "markdown",
            """
            # Incident of March 2026: no search for 40 minutes

            A migration dropped the index that search needs. Queries fell back to reading the whole table and timed out.

            ## What we changed

            Migrations that drop an index now need a second review, and staging holds as much data as production.
            """
        ),
        (
            "support-answers", "text",
            """
            A borrowed tool that breaks in normal use is repaired at our cost. The borrower reports it with a photo within two days.

            Money for a cancelled booking is back on the card after three to five working days.
            """
        ),
        (
            "roadmap", "json",
            .array([
                ["quarter": "2026 Q4", "goal": "insurance for tools above 500 EUR"],
                ["quarter": "2027 Q1", "goal": "lending between companies"],
                ["quarter": "2027 Q2", "goal": "a native app for Android"],
            ])
        ),
    ]
}
