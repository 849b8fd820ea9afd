import Access
import Audit
import Base
import BearerTokens
import Engine
import Service
import TestSupport
import Testing

/// Service accounts, tokens, custom roles and permissions, through all steps of an operation.
@Suite("Accounts and permissions of operations") struct AccountOperationTests {
    private func draft(_ role: String, _ projects: [String] = [], _ scopes: [String] = []) -> AccountDraft {
        AccountDraft(name: "program", description: nil, type: .integration, role: role, projects: projects, scopes: scopes)
    }

    @Test func anAccountWorksWithKeyAndToken() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        let (listed, key) = try await operations.createAccount(draft("publisher", ["own"]), by: fixture.admin)
        let id = listed.account.id.text
        let token = try await operations.issueToken(key: key, seconds: 600, by: fixture.caller(nil))
        #expect(token.claims.expiresAt - token.claims.issuedAt == 600)
        for credential in [key, token.text] {
            let caller = fixture.caller(credential)
            #expect(try await operations.publish(fixture.command("own", credential.prefix(3).description), by: caller).sequence.rawValue > 0)
            #expect(await category { try await operations.publish(fixture.command("foreign"), by: caller) } == .forbidden)
            #expect(await category { try await operations.createKey(name: "x", by: caller) } == .forbidden)
            #expect(try await operations.validateToken(token.text, by: caller).subject == id)
        }
        for text in [key, token.text] {
            let held = try await operations.data(project: Name(stored: "own"), key: Name(stored: String(text.prefix(3))), by: fixture.admin)
            #expect(held.publisher?.keyID == id)
        }
        #expect(try await operations.account(id, by: fixture.admin).use.requests == 9)

        // Off at once, for ever for the token; the key comes back.
        var patch = AccountPatch()
        patch.isActive = false
        _ = try await operations.changeAccount(id, patch, by: fixture.admin)
        for credential in [key, token.text] {
            #expect(await category { try await operations.publish(fixture.command("own"), by: fixture.caller(credential)) } == .unauthenticated)
            #expect(!operations.isValid(fixture.caller(credential)))
        }
        #expect(await category { try await operations.issueToken(key: key, seconds: 600, by: fixture.caller(nil)) } == .unauthenticated)
        patch.isActive = true
        _ = try await operations.changeAccount(id, patch, by: fixture.admin)
        #expect(operations.isValid(fixture.caller(key)) && !operations.isValid(fixture.caller(token.text)))
        // A key that is deleted takes its tokens along.
        let second = try await operations.createAccountKey(id, description: nil, expiresAt: nil, by: fixture.admin)
        let other = try await operations.issueToken(key: second.text, seconds: 60, by: fixture.caller(nil))
        #expect(operations.isValid(fixture.caller(other.text)))
        try await operations.removeAccountKey(id, second.key.keyID.text, by: fixture.admin)
        #expect(!operations.isValid(fixture.caller(other.text)) && !operations.isValid(fixture.caller(second.text)))
        try await operations.removeAccount(id, by: fixture.admin)
        #expect(!operations.isValid(fixture.caller(key)))
        #expect(await category { try await operations.account(id, by: fixture.admin) } == .notFound)
        await fixture.database.close()
    }

    @Test func guessesAreSlowedAndTokensAreForAccountsOnly() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        func code(_ key: String, _ seconds: Int = 600, from address: String = "192.0.2.1") async -> ErrorCode? {
            let caller = Caller(apiKey: nil, address: address, requestID: "t", client: nil)
            do {
                _ = try await operations.issueToken(key: key, seconds: seconds, by: caller)
                return nil
            } catch {
                return (error as? ContexError)?.code
            }
        }
        #expect(await code(fixture.root.text) == .keyUnknown)
        for seconds in [59, 86_401] { #expect(await code(fixture.root.text, seconds) == .invalid) }
        var codes: [ErrorCode?] = []
        for number in 0..<12 { codes.append(await code("sak_\(number)")) }
        #expect(codes.prefix(10).allSatisfy { $0 == .keyUnknown } && codes.suffix(2).allSatisfy { $0 == .loginsLimited })
        #expect(await code("sak_x", from: "192.0.2.2") == .keyUnknown)
        // Forged tokens are guesses too.
        var forged: [ContexError.Category?] = []
        for _ in 0..<12 {
            let caller = Caller(apiKey: "eyJhbGciOiJub25lIn0.e30.AA", address: "192.0.2.3", requestID: "t", client: nil)
            forged.append(await category { try await operations.publish(fixture.command("p"), by: caller) })
        }
        #expect(forged.first == .unauthenticated && forged.last == .limited)
        await fixture.database.close()
    }

    @Test func nobodyGivesMoreThanHeHolds() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        // May issue keys and roles, and publish; not query.
        _ = try await operations.putRole(
            "issuer", description: nil, inherits: [],
            permissions: ["tenant:*:keys:*", "tenant:*:roles:manage", "project:*:data:publish", "project:*:agents:list"], isNew: true, by: fixture.admin)
        let key = try await operations.createKey(name: "issuer", by: fixture.admin)
        let keyID = key.record.keyID.text
        #expect(try await operations.assignRole(keyID: keyID, role: "issuer", projects: [], by: fixture.admin).role == "issuer")
        #expect(try await operations.role(of: keyID, by: fixture.admin) == ("issuer", []))
        let issuer = fixture.caller(key.text)
        func code<T>(_ body: () async throws -> T) async -> ErrorCode? {
            do { _ = try await body() } catch { return (error as? ContexError)?.code }
            return nil
        }
        let root = fixture.root.record.keyID.text
        #expect(await code { try await operations.publish(fixture.command("p"), by: issuer) } == nil)
        #expect(await code { try await operations.keys(by: issuer) } == nil)
        // A key without a role may read, which the issuer may not.
        #expect(await code { try await operations.createKey(name: "x", by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.assignRole(keyID: keyID, role: "admin", projects: [], by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.assignRole(keyID: keyID, role: "publisher", projects: ["p"], by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.rotateKey(root, overlapSeconds: 0, by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.changeKey(root, KeyTermsDraft(), by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.setPermissions(root, [], by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.createAccount(draft("admin"), by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.createAccount(draft("admin", [], ["project:*:data:publish"]), by: issuer) } == nil)
        #expect(await code { try await operations.putRole(
            "mine", description: nil, inherits: ["issuer"], permissions: ["project:*:data:query"], isNew: true, by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.putRole(
            "mine", description: nil, inherits: ["issuer"], permissions: [], isNew: true, by: issuer) } == nil)
        // A parent that denies less gives more to whoever inherits from it.
        _ = try await operations.putRole(
            "base", description: nil, inherits: [], permissions: ["!project:*:data:query"], isNew: true, by: fixture.admin)
        _ = try await operations.putRole(
            "heir", description: nil, inherits: ["base"], permissions: ["project:*:data:query"], isNew: true, by: fixture.admin)
        #expect(await code { try await operations.changeRole("base", description: nil, inherits: nil, permissions: [], by: issuer) } == .grantExceeded)
        #expect(await code { try await operations.removeCustomRole("base", by: fixture.admin) } == .roleInUse)
        #expect(await code { try await operations.removeCustomRole("issuer", by: fixture.admin) } == .roleInUse)
        #expect(await code { try await operations.removeCustomRole("heir", by: fixture.admin) } == nil)
        // Nor can the last administrator be narrowed.
        #expect(await code { try await operations.setPermissions(root, ["project:a:data:read"], by: fixture.admin) } == .lastAdministrator)
        #expect(await code { try await operations.assignRole(keyID: root, role: "issuer", projects: [], by: fixture.admin) } == .lastAdministrator)
        // A role that changes, changes for whoever has it.
        _ = try await operations.changeRole(
            "issuer", description: nil, inherits: nil, permissions: ["project:*:data:query"], by: fixture.admin)
        #expect(await code { try await operations.publish(fixture.command("p"), by: issuer) } == .forbidden)
        // A built-in role takes the custom one's place.
        _ = try await operations.assignRole(keyID: keyID, role: "publisher", projects: [], by: fixture.admin)
        #expect(try await operations.role(of: keyID, by: fixture.admin) == ("publisher", []))
        #expect(await code { try await operations.publish(fixture.command("p"), by: issuer) } == nil)
        await fixture.database.close()
    }

    @Test func permissionsNarrowAKeyEverywhere() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        for project in ["a", "b", "payroll"] {
            _ = try await operations.publish(fixture.command(project, "config/x"), by: fixture.admin)
            _ = try await operations.register(fixture.registration(project, "agent-\(project)"), by: fixture.admin)
        }
        let issued = try await operations.createKey(name: "narrow", by: fixture.admin)
        let (id, caller) = (issued.record.keyID.text, fixture.caller(issued.text))
        _ = try await operations.assignRole(keyID: id, role: "admin", projects: [], by: fixture.admin)
        try await operations.setPermissions(id, ["!project:payroll:*:*", "!project:b:agents:list"], by: fixture.admin)
        #expect(try await operations.keys(by: fixture.admin).first { $0.record.keyID.text == id }?.permissions.count == 2)
        #expect(try await operations.projects(by: caller).items.map(\.name.text) == ["a", "b"])
        #expect(try await operations.agents(project: nil, by: caller).items.map(\.agent.text) == ["agent-a"])
        #expect(await category { try await operations.agent(Name(stored: "agent-payroll"), project: nil, by: caller) } == .notFound)
        #expect(await category { try await operations.listKeysOfData(project: Name(stored: "payroll"), PageRequest(), by: caller) } == .forbidden)
        // What is denied in one project is not held over all of them.
        #expect(await category { try await operations.createKey(name: "x", by: caller) } == .forbidden)

        try await operations.setPermissions(
            id, ["project:a:data:publish;keys=config/", "project:a:data:read"], by: fixture.admin)
        #expect(await category { try await operations.publish(fixture.command("a", "config/y"), by: caller) } == nil)
        #expect(await category { try await operations.publish(fixture.command("a", "other"), by: caller) } == .forbidden)
        let commands = [fixture.command("a", "config/z"), fixture.command("a", "q"), fixture.command("b", "config/z")]
        let batch = try await operations.publishBatch(commands, by: caller)
        #expect(batch.map { (try? $0.get()) != nil } == [true, false, false])
        #expect(try await operations.projects(by: caller).items.map(\.name.text) == ["a"])
        try await operations.setPermissions(id, [], by: fixture.admin)
        #expect(await category { try await operations.publish(fixture.command("payroll", "other"), by: caller) } == nil)
        await fixture.database.close()
    }

    @Test func explanationsSayWhatDecides() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        let issued = try await operations.createKey(name: "key", by: fixture.admin)
        let (id, caller) = (issued.record.keyID.text, fixture.caller(issued.text))
        _ = try await operations.assignRole(keyID: id, role: "publisher", projects: ["a", "b"], by: fixture.admin)
        try await operations.setPermissions(id, ["project:a:*:*", "!project:a:data:publish;address=192.0.2.0/24"], by: fixture.admin)
        func explain(
            _ name: String, _ project: String, _ address: String? = nil, of holder: String? = nil, by caller: Caller
        ) async throws -> PermissionExplanation {
            var question = PermissionQuestion(name)
            (question.project, question.address, question.holder) = (Name(stored: project), address, holder)
            return try await operations.explain(question, by: caller)
        }
        #expect(try await explain("data:publish", "a", "10.0.0.1", by: caller).decision == .allowed)
        let denied = try await explain("publish_data", "a", "192.0.2.9", by: caller)
        #expect(denied.decision == .deniedByPermissions && denied.permissionRules.map(\.holds) == [true, true])
        #expect(try await explain("publish_data", "b", "10.0.0.1", by: caller).decision == .project)
        #expect(try await explain("data:query", "a", "10.0.0.1", by: caller).decision == .role)
        #expect(try await explain("data:query", "a", of: id, by: fixture.admin).holder.name == "key")
        #expect(await category { try await explain("data:query", "a", of: fixture.root.record.keyID.text, by: caller) } == .forbidden)
        #expect(await category { try await explain("data:nothing", "a", by: caller) } == .invalid)
        // What it says is what happens.
        #expect(await category { try await operations.publish(fixture.command("a"), by: caller) } == .forbidden)
        await fixture.database.close()
    }

    /// Made while anybody could: not valid until an administrator has touched it.
    @Test func accountsOfTheOpenTimeWait() async throws {
        let fixture = try await Fixture(authentication: false)
        let (listed, key) = try await fixture.operations.createAccount(draft("admin"), by: fixture.caller(nil))
        let guarded = Operations(database: fixture.database, authenticationRequired: true)
        #expect(await category { try await guarded.keys(by: fixture.caller(key)) } == .unauthenticated)
        var patch = AccountPatch()
        patch.description = .some("looked at")
        _ = try await guarded.changeAccount(listed.account.id.text, patch, by: fixture.admin)
        #expect(try await guarded.keys(by: fixture.caller(key)).count == 1)
        await fixture.database.close()
    }

    @Test func whatIsDoneIsWrittenDown() async throws {
        let folder = TemporaryFolder()
        var settings = DatabaseConfiguration(directory: folder.path)
        settings.mapBytes = 1 << 30
        let database = try Database(
            configuration: settings,
            models: Models(identity: "constant", dimension: 4, embed: { $0.map { _ in [1, 0, 0, 0] } }, countTokens: { $0.utf8.count }))
        let trail = StoreAuditTrail(database: database, tenant: .standard, keptDays: 90)
        let operations = Operations(database: database, authenticationRequired: true, audit: trail)
        let root = try #require(try await database.bootstrapKey(.standard, name: "root", given: nil))
        func caller(_ key: String?) -> Caller { Caller(apiKey: key, address: "192.0.2.7", requestID: "r", client: nil, method: "POST", endpoint: "/x") }
        let (listed, key) = try await operations.createAccount(draft("publisher"), by: caller(root.text))
        let token = try await operations.issueToken(key: key, seconds: 60, by: caller(nil))
        _ = try? await operations.issueToken(key: "sak_wrong", seconds: 60, by: caller(nil))
        _ = try await operations.publish(PublishCommand(project: Name(stored: "p"), key: Name(stored: "k"), data: "x"), by: caller(token.text))
        _ = try await operations.rotateTokenKey(by: caller(root.text))
        try await operations.removeAccount(listed.account.id.text, by: caller(root.text))
        await trail.flush()
        var query = AuditQuery()
        query.limit = 100
        let records = try await database.auditPage(.standard, query).records.map(\.draft)
        let kinds = Set(records.map(\.kind))
        #expect(kinds.isSuperset(of: [.accountCreated, .tokenIssued, .loginFailed, .dataPublished, .signingKeyRotated, .accountRemoved]))
        let published = try #require(records.first { $0.kind == .dataPublished })
        #expect(published.actor.kind == .serviceAccount && published.actor.id == listed.account.id.text)
        // No secret stands anywhere.
        for record in records {
            let text = String(decoding: record.details, as: UTF8.self) + record.actor.id + (record.resourceID ?? "")
            #expect(!text.contains(key) && !text.contains(token.text))
        }
        await database.close()
    }
}
