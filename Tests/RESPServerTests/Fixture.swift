import Answers
import Access
import Base
import Engine
import Logging
import Needs
import NIOCore
import NIOPosix
import RESP
import RESPServer
import Search
import Service
import Synchronization
import TestSupport

/// What was counted and what was refused, in order.
final class Journal: Meter, AuditTrail {
    private let pages = Mutex<(metered: [Action?], refused: [(Action?, ContexError.Category)], limit: ContexError?)>(([], [], nil))
    var metered: [Action?] { pages.withLock { $0.metered } }
    var refused: [(action: Action?, category: ContexError.Category)] { pages.withLock { $0.refused } }
    func limit(_ error: ContexError?) { pages.withLock { $0.limit = error } }

    func admit(_ action: Action?, cost: Int, principal: Principal?, project: Name?, caller: Caller) async throws {
        let limit = pages.withLock { pages in
            pages.metered.append(action)
            return pages.limit
        }
        if let limit { throw limit }
    }

    func record(_ action: Action?, principal: Principal?, project: Name?, caller: Caller, failure: ContexError?) async {
        if let failure { pages.withLock { $0.refused.append((action, failure.category)) } }
    }
}

/// A listener over a database of its own, in which every need matches everything.
struct Fixture {
    let folder = TemporaryFolder()
    let database: Database
    let operations: Operations
    let hub = ChannelHub()
    let server: RESPServer
    let journal = Journal()
    let port: Int

    init(
        authentication: Bool = false, inflightBytesMax: Int = Limits.inflightBytes, _ adjust: (inout RESPServerConfiguration) -> Void = { _ in }
    ) async throws {
        var settings = DatabaseConfiguration(directory: folder.path)
        settings.mapBytes = 1 << 30
        settings.mode = .semantic
        database = try Database(
            configuration: settings,
            models: Models(
                identity: "constant", dimension: 4, embed: { $0.map { _ in [1, 0, 0, 0] } }, countTokens: { $0.split(separator: " ").count }))
        database.setSink(ChannelSink(hub: hub), for: .redis)
        operations = Operations(
            database: database, authenticationRequired: authentication, inflightBytesMax: inflightBytesMax, meter: journal, audit: journal)
        var configuration = RESPServerConfiguration(port: 0)
        adjust(&configuration)
        server = RESPServer(
            operations: operations, hub: hub, configuration: configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        port = try await server.start()
    }

    func stop() async {
        await server.stop()
        await database.close()
    }

    func say(_ channel: String, _ payload: String, project: String = "p", tenant: TenantID = .standard) {
        hub.publish(ChannelMessage(tenant: tenant, project: Name(stored: project), channel: channel, payload: ChannelPayload(payload)))
    }

    func key(_ role: Role, projects: [String]) async throws -> IssuedKey {
        let issued = try await database.createKey(.standard, name: "\(role) of \(projects)")
        try await database.assignRole(
            .standard, RoleAssignment(keyID: issued.record.keyID, role: role, projects: ProjectScope(projects)))
        return issued
    }

    func caller(_ key: IssuedKey) -> Caller { Caller(apiKey: key.text, address: nil, requestID: "test", client: nil) }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// As version 2 carries it.
func two(_ parts: String...) -> RESPValue { .array(parts.map { .text($0) }) }
/// As version 3 carries it.
func three(_ parts: String...) -> RESPValue { .push(parts.map { .text($0) }) }

func confirmation(_ kind: String, _ name: String, _ count: Int64) -> RESPValue { .array([.text(kind), .text(name), .integer(count)]) }
