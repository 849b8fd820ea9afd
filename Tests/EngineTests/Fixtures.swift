import Base
import Content
import Engine
import Events
import LMDB
import Maintenance
import Needs
import Search
import Synchronization
import TestSupport

/// A bag of words hashed into a unit vector: texts that share words are near. For tests of everything but meaning, which
/// the tests with the model look after.
enum WordHash {
    static let dimension = 64

    static func vector(_ text: String) -> [Float] {
        var vector = [Float](repeating: 0, count: dimension)
        for word in text.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
            var random = SeededRandom(seed: UInt64(CRC32C.of(Array(word.utf8))))
            for place in vector.indices { vector[place] += Float(random.unit() - 0.5) }
        }
        if vector.allSatisfy({ $0 == 0 }) { vector[0] = 1 }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return vector.map { $0 / length }
    }

    static let models = Models(
        identity: "hashed words", dimension: dimension, embed: { texts in texts.map(vector) }, countTokens: { $0.split(separator: " ").count })

    /// Reads ASCII only, and to it all that it does not read is one.
    static let ascii: Models = {
        var models = Models(
            identity: "hashed words", dimension: dimension, embed: { texts in texts.map { vector($0.filter(\.isASCII)) } },
            countTokens: { $0.split(separator: " ").count })
        models.reads = { text in 2 * text.count { $0.isLetter && $0.isASCII } >= text.count { $0.isLetter || !$0.isASCII } }
        return models
    }()
}

/// Keeps what agents were told.
final class RecordingSink: NotificationSink {
    private let kept = Mutex<[Notification]>([])
    func deliver(_ notification: Notification) { kept.withLock { $0.append(notification) } }
    func take() -> [Notification] {
        kept.withLock { kept in
            defer { kept = [] }
            return kept
        }
    }
}

/// A database in a folder of its own.
struct Fixture {
    let folder: TemporaryFolder
    let database: Database
    let sink = RecordingSink()

    init(_ folder: TemporaryFolder = TemporaryFolder(), models: Models = WordHash.models, _ adjust: (inout DatabaseConfiguration) -> Void = { _ in }) throws {
        self.folder = folder
        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.durability = .unsafeNoSync
        configuration.mapBytes = 4 << 30
        adjust(&configuration)
        database = try Database(configuration: configuration, models: models)
        database.setSink(sink, for: .redis)
        database.setSink(sink, for: .webhook)
    }

    static let tenant = TenantID.standard

    @discardableResult
    func publish(_ project: String, _ key: String, _ data: JSONValue, format: String? = nil) async throws -> PublishReceipt {
        let command = PublishCommand(project: Name(stored: project), key: Name(stored: key), data: data, format: format)
        return try await database.publish(Self.tenant, [command])[0].get()
    }

    func query(_ project: String, _ text: String, mode: SearchMode? = nil, threshold: Double = 0, topK: Int = 10) async throws -> [Match] {
        try await database.query(
            Self.tenant, QueryRequest(project: Name(stored: project), text: text, topK: topK, threshold: threshold, mode: mode)
        ).matches
    }

    /// Closes, checks every index against every other, and says what is wrong.
    func closeAndCheck() async throws -> [String] {
        await database.close()
        return try IntegrityCheck.run(directory: folder.path).findings
    }
}

extension ListedNode {
    var data: JSONValue { try! parsedData() }
}

extension HeldDocument {
    var data: JSONValue? { dataText.map { try! JSONParser.parse($0) } }
}

extension DocumentVersion {
    var data: JSONValue { try! parsedData() }
}

/// Whole listings, page after page.
extension Database {
    private func all<Item>(_ page: (PageRequest) async throws -> Page<Item>) async throws -> [Item] {
        var (items, request) = ([Item](), PageRequest())
        repeat {
            let page = try await page(request)
            items += page.items
            request.cursor = page.next
        } while request.cursor != nil
        return items
    }

    func listNodes(_ tenant: TenantID, project: Name, asOf: Moment? = nil) async throws -> [ListedNode] {
        try await all { try await nodes(tenant, project: project, $0, asOf: asOf) { ($0, $0.dataText.count) } }
    }

    func listKeys(_ tenant: TenantID, project: Name, asOf: Moment? = nil) async throws -> [String] {
        try await all { try await keys(tenant, project: project, $0, asOf: asOf) }
    }

    func events(_ tenant: TenantID, project: Name, since: Sequence, count: Int) async throws -> [EventRecord] {
        try await events(tenant, project: project, since: since, PageRequest(limit: count)) { ($0, $0.byteCount) }.items
    }

    func history(_ tenant: TenantID, project: Name, key: Name, limit: Int) async throws -> [DocumentVersion] {
        try await history(tenant, project: project, key: key, PageRequest(limit: limit)) { ($0, $0.dataText.count) }.items
    }

    func projects(_ tenant: TenantID) async throws -> [ProjectSummary] { try await all { try await projects(tenant, $0) { _ in true } } }

    func agents(_ tenant: TenantID, project: Name?) async throws -> [AgentStatus] {
        var found: [AgentStatus] = []
        for listed in try await all({ try await agents(tenant, project: project, $0) { _ in true } }) {
            found += try await agent(tenant, listed.agent, project: listed.project)
        }
        return found
    }
}
