import Access
import Audit
import Base
import Engine
import Rates
import Service
import TestSupport
import Testing

/// Who did what, as it is written down while operations run.
@Suite("Audit of operations")
struct AuditTests {
    private struct Audited {
        let folder = TemporaryFolder()
        let database: Database
        let trail: StoreAuditTrail
        let operations: Operations
        let root: IssuedKey

        init(meter: Bool = false, rates: RateAllowances = RateAllowances()) async throws {
            var settings = DatabaseConfiguration(directory: folder.path)
            settings.mapBytes = 1 << 30
            settings.rates = rates
            database = try Database(
                configuration: settings,
                models: Models(identity: "constant", dimension: 4, embed: { $0.map { _ in [1, 0, 0, 0] } }, countTokens: { $0.utf8.count }))
            trail = StoreAuditTrail(database: database, tenant: .standard, keptDays: 90)
            operations = Operations(
                database: database, authenticationRequired: true, meter: meter ? RateMeter(book: database.rateBook) : NoMeter(), audit: trail)
            root = try #require(try await database.bootstrapKey(.standard, name: "root", given: nil))
        }

        func caller(_ key: String?, _ request: String = "test") -> Caller {
            Caller(apiKey: key, address: "192.0.2.7", requestID: request, client: "tests", method: "POST", endpoint: "/x")
        }
        var admin: Caller { caller(root.text) }

        func records() async throws -> [AuditRecord] {
            await trail.flush()
            var query = AuditQuery()
            query.limit = 1_000
            return try await database.auditPage(.standard, query).records.reversed()
        }
    }

    private func command(_ project: String, _ key: String, _ text: String = "text") -> PublishCommand {
        PublishCommand(project: Name(stored: project), key: Name(stored: key), data: .string(text))
    }

    @Test func changesAreWrittenWithTheirCaller() async throws {
        let audited = try await Audited()
        let operations = audited.operations
        _ = try await operations.publish(command("p", "a"), by: audited.caller(audited.root.text, "first"))
        _ = try await operations.publish(command("p", "a", "other"), by: audited.admin)
        _ = try await operations.publishBatch([command("p", "b"), command("q", "c")], by: audited.admin)
        _ = try await operations.delete(Name(stored: "a"), project: Name(stored: "p"), by: audited.admin)
        let issued = try await operations.createKey(name: "robot", by: audited.admin)
        _ = try await operations.assignRole(keyID: issued.record.keyID.text, role: "publisher", projects: ["p"], by: audited.admin)
        _ = try await operations.setAnalyzer("simple", project: Name(stored: "p"), by: audited.admin)
        try await operations.setRateLimit(RateRule(subject: .project("p"), rateClass: .publish, perMinute: 5), by: audited.admin)
        // What changes nothing leaves nothing.
        _ = try await operations.query(QueryRequest(project: Name(stored: "p"), text: "text"), by: audited.admin)
        let records = try await audited.records()
        let changes = records.filter { $0.draft.kind != .loginSucceeded }
        #expect(
            changes.map(\.draft.kind) == [
                .dataPublished, .dataUpdated, .dataPublished, .dataPublished, .dataDeleted, .keyCreated, .roleAssigned, .configUpdated, .rateLimitChanged,
            ])
        for record in changes {
            #expect(record.draft.actor == AuditActor(kind: .apiKey, id: audited.root.record.keyID.text, address: "192.0.2.7", client: "tests"))
            #expect(record.draft.result == .success && record.draft.place.endpoint == "/x" && record.draft.place.method == "POST")
        }
        #expect(changes[0].draft.place.requestID == "first" && changes[0].draft.project == "p" && changes[0].draft.resourceID == "a")
        #expect(changes[3].draft.project == "q" && changes[3].draft.action == "publishBatch")
        // The caller came once from this address, however often he asked.
        #expect(records.count { $0.draft.kind == .loginSucceeded } == 1)
        #expect(try await operations.verifyAudit(by: audited.admin) != nil)
        await audited.database.close()
    }

    @Test func refusalsAreWrittenAndAFloodOfThemIsOneRecord() async throws {
        let audited = try await Audited()
        let operations = audited.operations
        let weak = try await operations.createKey(name: "weak", by: audited.admin)
        let caller = audited.caller(weak.text)
        for _ in 0..<40 { _ = try? await operations.publish(command("p", "a"), by: caller) }
        for _ in 0..<30 { _ = try? await operations.publish(command("p", "a"), by: audited.caller("guess")) }
        _ = try? await operations.showMissing(by: audited.admin)
        let refused = try await audited.records().filter { $0.draft.result == .failure }
        #expect(refused.map(\.draft.kind).sorted { $0.rawValue < $1.rawValue } == [.loginFailed, .loginFailed, .permissionDenied, .invalidAccess])
        let denied = try #require(refused.first { $0.draft.kind == .permissionDenied })
        #expect(denied.draft.actor.id == weak.record.keyID.text && denied.draft.project == "p")
        #expect(String(decoding: denied.draft.details, as: UTF8.self) == #"{"code":"permission_missing","required_permission":"publish_data","count":40}"#)
        // Ten guesses are refused as such, twenty more as too many.
        let guesses = refused.filter { $0.draft.kind == .loginFailed }.map { String(decoding: $0.draft.details, as: UTF8.self) }
        #expect(Set(guesses) == [#"{"code":"key_unknown","count":10}"#, #"{"code":"logins_limited","count":20}"#])
        #expect(guesses.allSatisfy { !$0.contains("guess") })
        // The same within a minute waits to be told together.
        _ = try? await operations.publish(command("p", "a"), by: caller)
        #expect(try await audited.records().count { $0.draft.kind == .permissionDenied } == 1)
        await audited.trail.flush(isLast: true)
        #expect(try await audited.records().count { $0.draft.kind == .permissionDenied } == 2)
        await audited.database.close()
    }

    @Test func noSecretIsWrittenDown() async throws {
        let audited = try await Audited()
        let secret = "MARKEDSECRET0123456789"
        _ = try? await audited.operations.publish(command("p", "a"), by: audited.caller(secret))
        let made = try await audited.operations.createKey(name: "robot", by: audited.admin)
        _ = try? await audited.operations.publish(command("p", "a", secret), by: audited.admin)
        _ = try? await audited.operations.showMissing(by: audited.caller(made.text))
        for record in try await audited.records() {
            let text = "\(record.draft) \(String(decoding: record.draft.details, as: UTF8.self))"
            #expect(!text.contains(secret) && !text.contains(made.text) && !text.contains(audited.root.text))
        }
        await audited.database.close()
    }

    @Test func onlyWhoMayDoEverythingReadsIt() async throws {
        let audited = try await Audited()
        let issued = try await audited.operations.createKey(name: "part", by: audited.admin)
        _ = try await audited.operations.assignRole(keyID: issued.record.keyID.text, role: "admin", projects: ["p"], by: audited.admin)
        await #expect { _ = try await audited.operations.auditPage(AuditQuery(), by: audited.caller(issued.text)) } throws: {
            ($0 as? ContexError)?.code == .reachExceeded
        }
        await #expect { _ = try await audited.operations.rateRules(by: audited.caller(issued.text)) } throws: {
            ($0 as? ContexError)?.code == .reachExceeded
        }
        await audited.database.close()
    }

    // MARK: - Rates

    @Test func eachClassHasItsAllowance() async throws {
        var rates = RateAllowances()
        (rates[.publish], rates[.query]) = (3, 2)
        let audited = try await Audited(meter: true, rates: rates)
        let operations = audited.operations
        func isLimited(_ body: () async throws -> Void) async -> Bool {
            do {
                try await body()
                return false
            } catch {
                return (error as? ContexError)?.code == .rateLimited && (error as? ContexError)?.standing != nil
            }
        }
        for number in 0..<3 { _ = try await operations.publish(command("p", "\(number)"), by: audited.admin) }
        #expect(await isLimited { _ = try await operations.publish(command("p", "x"), by: audited.admin) })
        // Of another project, another class, and for another key there is room.
        _ = try await operations.publish(command("q", "x"), by: audited.admin)
        _ = try await operations.query(QueryRequest(project: Name(stored: "p"), text: "text"), by: audited.admin)
        let other = try await operations.createKey(name: "other", by: audited.admin)
        _ = try await operations.assignRole(keyID: other.record.keyID.text, role: "admin", projects: [], by: audited.admin)
        _ = try await operations.publish(command("p", "y"), by: audited.caller(other.text))
        // Items count, and those of a project without room fail by themselves.
        let outcomes = try await operations.publishBatch([command("p", "1"), command("r", "2"), command("p", "3")], by: audited.admin)
        #expect(outcomes.map { (try? $0.get()) != nil } == [false, true, false])
        #expect(await isLimited { _ = try await operations.publishBatch([command("p", "1"), command("p", "3")], by: audited.admin) })
        // Nothing of what was refused is there.
        #expect(try await operations.listKeysOfData(project: Name(stored: "p"), PageRequest(), by: audited.admin).items.sorted() == ["0", "1", "2", "y"])
        // A limit that is set holds from its answer on.
        try await operations.setRateLimit(RateRule(subject: .key(audited.root.record.keyID.text), rateClass: .publish, perMinute: nil), by: audited.admin)
        for number in 0..<20 { _ = try await operations.publish(command("p", "n\(number)"), by: audited.admin) }
        try await operations.removeRateLimit(.key(audited.root.record.keyID.text), .publish, by: audited.admin)
        #expect(await isLimited { _ = try await operations.publish(command("p", "z"), by: audited.admin) })
        await audited.database.close()
    }

    @Test func limitsSurviveARestart() async throws {
        let audited = try await Audited(meter: true)
        try await audited.operations.setRateLimit(RateRule(subject: .project("p"), rateClass: .publish, perMinute: 1), by: audited.admin)
        let (folder, root) = (audited.folder, audited.root.text)
        await audited.database.close()
        try await Self.reopened(folder, root)
    }

    private static func reopened(_ folder: TemporaryFolder, _ root: String) async throws {
        for _ in 0..<100 {
            if let database = try? Database(
                configuration: DatabaseConfiguration(directory: folder.path),
                models: Models(identity: "constant", dimension: 4, embed: { $0.map { _ in [1, 0, 0, 0] } }, countTokens: { $0.utf8.count }))
            {
                #expect(database.rateBook.limit(.publish, key: nil, project: "p") == 1)
                await database.close()
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the store stays locked")
    }
}

extension Operations {
    /// Something that is not there.
    fileprivate func showMissing(by caller: Caller) async throws {
        _ = try await data(project: Name(stored: "none"), key: Name(stored: "none"), by: caller)
    }
}
