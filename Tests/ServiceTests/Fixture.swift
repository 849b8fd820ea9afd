import Access
import Base
import Engine
import Search
import Service
import Synchronization
import TestSupport
import Testing

/// What was metered and what was written down, in order.
final class Journal: Meter, AuditTrail {
    struct Entry: Equatable {
        let action: Action?
        let who: String?
        let project: String?
        let failure: ContexError.Category?
    }
    private struct Pages {
        var metered: [Action?] = []
        var audited: [Entry] = []
        var refusal: ContexError? = nil
    }
    private let pages = Mutex(Pages())

    var metered: [Action?] { pages.withLock { $0.metered } }
    var audited: [Entry] { pages.withLock { $0.audited } }
    func refuse(with error: ContexError?) { pages.withLock { $0.refusal = error } }

    func admit(_ action: Action?, cost: Int, principal: Principal?, project: Name?, caller: Caller) async throws {
        let refusal = pages.withLock { pages in
            pages.metered.append(action)
            return pages.refusal
        }
        if let refusal { throw refusal }
    }

    func record(_ action: Action?, principal: Principal?, project: Name?, caller: Caller, failure: ContexError?) async {
        pages.withLock {
            $0.audited.append(Entry(action: action, who: principal?.name, project: project?.text, failure: failure?.category))
        }
    }
}

/// The operations over a store of their own, in which every text is as near to every other.
struct Fixture {
    let folder = TemporaryFolder()
    let database: Database
    let operations: Operations
    let journal = Journal()
    let root: IssuedKey

    init(authentication: Bool = true, embed: @escaping @Sendable ([String]) async throws -> [[Float]] = { $0.map { _ in [1, 0, 0, 0] } }) async throws {
        var settings = DatabaseConfiguration(directory: folder.path)
        settings.mapBytes = 1 << 30
        settings.mode = .semantic
        database = try Database(configuration: settings, models: Models(identity: "constant", dimension: 4, embed: embed, countTokens: { $0.utf8.count }))
        operations = Operations(database: database, authenticationRequired: authentication, meter: journal, audit: journal)
        root = try #require(try await database.bootstrapKey(.standard, name: "root", given: nil))
    }

    func caller(_ key: String?) -> Caller { Caller(apiKey: key, address: nil, requestID: "test", client: nil) }
    var admin: Caller { caller(root.text) }

    /// A caller with a role in some projects; no projects: in all of them.
    func caller(_ role: Role, _ projects: [String] = []) async throws -> Caller {
        let issued = try await database.createKey(.standard, name: "\(role) of \(projects)")
        try await database.assignRole(.standard, RoleAssignment(keyID: issued.record.keyID, role: role, projects: ProjectScope(projects)))
        return caller(issued.text)
    }

    func command(_ project: String, _ key: String = "key") -> PublishCommand {
        PublishCommand(project: Name(stored: project), key: Name(stored: key), data: ["a": "text"])
    }

    func registration(_ project: String, _ agent: String) -> RegisterCommand {
        RegisterCommand(project: Name(stored: project), agent: Name(stored: agent), needs: ["a need"])
    }
}
