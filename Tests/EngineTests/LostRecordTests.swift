import Base
import Content
import Engine
import Events
import Foundation
import Inboxes
import Journal
import KeySpace
import LMDB
import Maintenance
import Needs
import Search
import TestSupport
import Testing

/// Records that are gone, or are older ones again, under seals that are right: the check tells each, and no answer hides one that it needs.
@Suite struct LostRecordTests {
    private typealias Records = [[UInt8]: [UInt8]]

    /// The store of a folder that nobody has open. No ledger hears of what is done with it: it is what a disk does.
    private static func environment(_ folder: TemporaryFolder) throws -> Environment {
        try Environment(path: folder.path + "/store", options: .init(durability: .unsafeNoSync, mapBytes: 4 << 30))
    }

    private static func records(_ folder: TemporaryFolder) throws -> Records {
        let environment = try environment(folder)
        return try environment.read { view in
            var records: Records = [:]
            try view.scan(prefix: []) { key, value in
                records[Array(key)] = Array(value)
                return .onward
            }
            return records
        }
    }

    /// nil: without the record.
    private static func plant(_ value: [UInt8]?, under key: [UInt8], _ folder: TemporaryFolder) throws {
        let environment = try environment(folder)
        var write = try environment.beginWrite()
        if let value { try write.put(key, value) } else { try write.delete(key) }
        try write.commit()
    }

    private static func kind(_ key: [UInt8]) -> KeyKind { KeyKind(rawValue: key[TenantScope.prefixBytes - 1])! }

    /// Every kind of record: one that is gone, one that was deleted and is back, and one as it was before.
    @Test func everyKindIsMissed() async throws {
        let seed = testSeed("everyKindIsMissed")
        var random = SeededRandom(seed: seed)
        let folder = TemporaryFolder()
        func run(_ steps: Int, _ seed: UInt64, _ last: (inout Mixture) async throws -> Void) async throws {
            let fixture = try Fixture(folder) { $0.journal = .all }
            var mixture = Mixture(fixture, seed: seed)
            for _ in 0..<steps { try await mixture.step() }
            try await last(&mixture)
            let findings = try await fixture.closeAndCheck()
            #expect(findings == [])
        }
        try await run(250, seed) { _ in }
        let before = try Self.records(folder)
        try await run(250, seed &+ 1) { try await $0.leaveOneOfEachKind() }
        let now = try Self.records(folder)

        var counts: [String: Int] = [:]
        func tried(_ what: String, _ key: [UInt8], _ value: [UInt8]?) throws {
            try Self.plant(value, under: key, folder)
            let kind = Self.kind(key)
            do {
                let findings = try IntegrityCheck.run(directory: folder.path).findings
                let isTold = findings.contains { finding in
                    // How many bytes a tenant has goes with the sums. One of a project or tenant that is gone has no sums to be in.
                    let isOfSums = [.recordSums, .tenantStorage].contains(kind) && finding.contains("the sums that are kept of")
                    let isOfNobody = what == "back" && finding.contains("there are records, but the sums that are kept of them are gone")
                    return isOfSums || isOfNobody || finding.contains("of kind \(kind) ")
                }
                #expect(isTold, "\(what) \(kind) \(key): \(findings)")
            } catch let error as ContexError {
                // Without its format it is no store; which tenants there are is asked before anything of them is looked at.
                let ends: Set<KeyKind> = [.storeFormat, .tenancyState, .tenant, .tenantByName]
                #expect(error.category == .damaged && ends.contains(kind), "\(what) \(kind): \(error)")
            }
            try Self.plant(now[key], under: key, folder)
            counts[what, default: 0] += 1
        }
        var kinds: Set<KeyKind> = []
        for kind in KeyKind.allCases {
            let order: ([UInt8], [UInt8]) -> Bool = { $0.lexicographicallyPrecedes($1) }
            let present = now.keys.filter { Self.kind($0) == kind }.sorted(by: order)
            for key in present.shuffled(using: &random).prefix(2) { try tried("gone", key, nil) }
            let changed = present.filter { key in before[key].map { $0 != now[key] } == true }
            for key in changed.shuffled(using: &random).prefix(2) { try tried("old", key, before[key]) }
            let deleted = before.keys.filter { Self.kind($0) == kind && now[$0] == nil }.sorted(by: order)
            for key in deleted.shuffled(using: &random).prefix(2) { try tried("back", key, before[key]) }
            if !present.isEmpty { kinds.insert(kind) }
        }
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
        let missing = Set(KeyKind.allCases).subtracting(kinds)
        // Half made indexes, lists that are long, a carrier's attempts.
        #expect(missing.isSubset(of: [.importMark, .vectorBulk, .posting, .deliveryAttempt]), "not tried: \(missing)")
        #expect(counts["gone", default: 0] > 80 && counts["old", default: 0] > 40 && counts["back", default: 0] > 20, "\(counts)")
        print("lost records, seed \(seed): \(counts.sorted { $0.key < $1.key }), all told, \(kinds.count) kinds")
    }

    // MARK: - Answers

    private static let (p, q) = (Name(stored: "p"), Name(stored: "q"))
    private static let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))

    /// Two projects, an agent, documents with several versions.
    private static func store() async throws -> TemporaryFolder {
        let fixture = try Fixture()
        _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "a"), needs: ["lion"]))
        for number in 0..<20 { try await fixture.publish("p", "k\(number % 12)", ["text": .string("lion \(number)")]) }
        try await fixture.publish("q", "other", ["text": "zebra"])
        #expect(try await fixture.closeAndCheck() == [])
        return fixture.folder
    }

    /// What becomes of a call when the record is not there, or is what it was.
    private func code(
        without key: [UInt8], value: [UInt8]? = nil, of folder: TemporaryFolder, _ call: (Database) async throws -> Void
    ) async throws -> ErrorCode? {
        let sound = try #require(try Self.records(folder)[key], "no record under \(key)")
        try Self.plant(value, under: key, folder)
        let before = try Self.records(folder)
        let fixture = try Fixture(folder)
        var code: ErrorCode?
        do {
            try await call(fixture.database)
        } catch {
            code = ContexError(anyError: error).code
        }
        // The other project goes on.
        #expect(try await fixture.query("q", "zebra", mode: .keyword).map(\.documentKey) == ["other"])
        await fixture.database.close()
        if code != nil { #expect(try Self.records(folder) == before, "something was written") }
        try Self.plant(sound, under: key, folder)
        return code
    }

    @Test func anAnswerThatNeedsWhatIsGoneIsAnError() async throws {
        let folder = try await Self.store()
        let (p, scope) = (Self.p, Self.scope)
        // A page of events reaches the head, or says where it stops.
        let (nodes, events) = (
            ExportSections(events: false, embeddings: true, agents: false), ExportSections(events: true, embeddings: false, agents: false)
        )
        for sequence in [1, 7, 20] as [UInt64] {
            let key = scope.key(.event, sequence)
            #expect(try await code(without: key, of: folder) { _ = try await $0.events(Fixture.tenant, project: p, since: .zero, count: .max) } == .damaged)
            let from = InboxCursor(epoch: 0, sequence: .zero)
            #expect(try await code(without: key, of: folder) { _ = try await $0.feed(Fixture.tenant, .project(p), after: from) } == .damaged)
            #expect(try await code(without: key, of: folder) { _ = try await $0.export(Fixture.tenant, project: p, sections: events) } == .damaged)
        }
        // Events before it are there, and say so.
        var count = 0
        #expect(try await code(without: scope.key(.event, UInt64(20)), of: folder) { database in
            count = try await database.events(Fixture.tenant, project: p, since: .zero, count: 19).count
        } == nil)
        #expect(count == 19)
        // A key that is listed no more, and one whose event is gone.
        let listed = scope.key(.documentByKey, text: "k3")
        // The listing has its name, which is sound, and says of it no more.
        var apart: [Bool] = []
        #expect(try await code(without: listed, of: folder) { apart = try await $0.projects(Fixture.tenant).map(\.isQuarantined) } == nil)
        #expect(apart == [true, false])
        #expect(try await code(without: listed, of: folder) { _ = try await $0.listKeys(Fixture.tenant, project: p) } == .damaged)
        #expect(try await code(without: listed, of: folder) { _ = try await $0.listNodes(Fixture.tenant, project: p) } == .damaged)
        #expect(try await code(without: listed, of: folder) { _ = try await $0.export(Fixture.tenant, project: p, sections: nodes) } == .damaged)
        #expect(try await code(without: scope.key(.event, UInt64(20)), of: folder) {
            _ = try await $0.document(Fixture.tenant, project: p, key: Name(stored: "k7"))
        } == .damaged)
        let documents = scope.key(.documentState)
        apart = []
        #expect(try await code(without: documents, of: folder) { apart = try await $0.projects(Fixture.tenant).map(\.isQuarantined) } == nil)
        #expect(apart == [true, false])
        // An inbox that has lost an entry.
        let entry = try #require(try Self.records(folder).keys.filter { Self.kind($0) == .inboxEntry }.min { $0.lexicographicallyPrecedes($1) })
        #expect(try await code(without: entry, of: folder) {
            _ = try await $0.inbox(Fixture.tenant, project: p, agent: Name(stored: "a"), after: nil)
        } == .damaged)
    }

    /// Counters that are gone or old would give numbers twice: one would get what is another's.
    @Test func noNumberIsGivenTwice() async throws {
        let folder = try await Self.store()
        let (p, scope) = (Self.p, Self.scope)
        func publish(_ project: String, _ key: String) -> (Database) async throws -> Void {
            { database in
                let command = PublishCommand(project: Name(stored: project), key: Name(stored: key), data: ["text": "new"], format: nil)
                _ = try await database.publish(Fixture.tenant, [command])[0].get()
            }
        }
        let tenant = scope.registry.key(.tenantState)
        #expect(try await code(without: tenant, of: folder, publish("new", "k")) == .damaged)
        #expect(try await code(without: scope.key(.documentState), of: folder, publish("p", "new")) == .damaged)
        #expect(try await code(without: scope.key(.logState), of: folder, publish("p", "new")) == .damaged)
        #expect(try await code(without: scope.key(.needState), of: folder) { database in
            _ = try await database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "b"), needs: ["zebra"]))
        } == .damaged)

        // As they were two projects, three documents and a registration ago.
        let earlier = try Self.records(folder)
        let fixture = try Fixture(folder)
        try await fixture.publish("r", "k", ["text": "lion"])
        try await fixture.publish("p", "later", ["text": "lion"])
        _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "c"), needs: ["zebra"]))
        #expect(try await fixture.closeAndCheck() == [])
        #expect(try await code(without: tenant, value: earlier[tenant], of: folder, publish("new", "k")) == .damaged)
        for kind in [KeyKind.documentState, .logState] {
            let key = scope.key(kind)
            #expect(try await code(without: key, value: earlier[key], of: folder, publish("p", "new")) == .damaged, "\(kind)")
        }
        let needs = scope.key(.needState)
        #expect(try await code(without: needs, value: earlier[needs], of: folder) { database in
            _ = try await database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "d"), needs: ["zebra"]))
        } == .damaged)
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
    }

    // MARK: - Stores of before, and losses that are accepted

    @Test func aStoreWithoutSumsGetsThem() async throws {
        let folder = try await Self.store()
        for key in try Self.records(folder).keys where Self.kind(key) == .recordSums { try Self.plant(nil, under: key, folder) }
        let hash = try ContentHash.hex(directory: folder.path)
        // As it was before there were sums: served, and nothing is told of what is gone.
        let fixture = try Fixture(folder)
        try await fixture.publish("p", "k1", ["text": "lion again"])
        #expect(try await fixture.closeAndCheck() == [])
        #expect(try IntegrityCheck.run(directory: folder.path).keepsSums == false)
        let mark = Self.scope.key(.documentVersion, UInt32(2), UInt64(2))
        let sound = try #require(try Self.records(folder)[mark])
        try Self.plant(nil, under: mark, folder)
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
        try Self.plant(sound, under: mark, folder)

        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.mapBytes = 4 << 30
        configuration.durability = .unsafeNoSync
        #expect(try RecordCount.run(configuration: configuration).accepted == [])
        #expect(try IntegrityCheck.run(directory: folder.path).keepsSums)
        #expect(try ContentHash.hex(directory: folder.path) != hash)
        try Self.plant(nil, under: mark, folder)
        let findings = try IntegrityCheck.run(directory: folder.path).findings
        #expect(findings.count == 1 && findings[0].hasPrefix("project 'p': 1 of ") && findings[0].contains("documentVersion"), "\(findings)")
        // What is gone is accepted, and the store goes on from there.
        #expect(try RecordCount.run(configuration: configuration).accepted == findings)
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
        let again = try Fixture(folder)
        try await again.publish("p", "k2", ["text": "lion again"])
        #expect(try await again.closeAndCheck() == [])
        // Where something else is wrong nothing is counted.
        try Self.plant([1, 2, 3], under: mark, folder)
        #expect(throws: ContexError.self) { try RecordCount.run(configuration: configuration) }
    }

    /// What a rebuild makes anew it counts anew; what it does not make it does not make good.
    @Test func aRebuildHidesNoLoss() async throws {
        let folder = try await Self.store()
        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.mapBytes = 4 << 30
        configuration.durability = .unsafeNoSync
        let records = try Self.records(folder)
        let kinds: [KeyKind] = [.textTerms, .posting, .textLengths, .vector, .vectorState, .attributeNodes, .need, .agentMatch]
        let lost = kinds.compactMap { kind in records.keys.filter { Self.kind($0) == kind }.min { $0.lexicographicallyPrecedes($1) } }
        #expect(lost.count >= 5, "\(lost)")
        for key in lost { try Self.plant(nil, under: key, folder) }
        let version = Self.scope.key(.documentVersion, UInt32(2), UInt64(2))
        let sound = try #require(records[version])
        try Self.plant(nil, under: version, folder)
        #expect(try IntegrityCheck.run(directory: folder.path).sumFindings.count == lost.count + 1)
        _ = try await Reindex.run(configuration: configuration, models: WordHash.models)
        let findings = try IntegrityCheck.run(directory: folder.path).findings
        #expect(findings.count == 1 && findings[0].contains("documentVersion"), "\(findings)")
        try Self.plant(sound, under: version, folder)
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
        // One of before gets its sums with the first rebuild.
        for key in try Self.records(folder).keys where Self.kind(key) == .recordSums { try Self.plant(nil, under: key, folder) }
        _ = try await Reindex.run(configuration: configuration, models: WordHash.models)
        let report = try IntegrityCheck.run(directory: folder.path)
        #expect(report.findings == [] && report.keepsSums)
    }

    /// F26: what is no store of this format is refused, with the way out, and stays as it is.
    @Test func aStoreOfAnotherFormatIsRefusedAndLeft() async throws {
        let folder = try await Self.store()
        let key = TenantScope.system.key(.storeFormat)
        for version in [0, 1, 3, 99, UInt32.max] {
            let environment = try Self.environment(folder)
            var write = try environment.beginWrite()
            var payload: [UInt8] = []
            payload.append(bigEndian: version)
            try write.store(key, payload)
            try write.commit()
            _ = consume environment
            let before = try Self.records(folder)
            let error = #expect(throws: ContexError.self) { _ = try Fixture(folder) }
            #expect(error?.code == .formatUnknown && error?.message.contains("use the build that wrote it") == true, "\(error?.message ?? "")")
            #expect(throws: ContexError.self) { try IntegrityCheck.run(directory: folder.path) }
            #expect(try Self.records(folder) == before)
        }
        // As a copy looks that was torn: records, and not the one that says what they are; or pages that nobody has written to.
        try Self.plant(nil, under: key, folder)
        let error = #expect(throws: ContexError.self) { _ = try Fixture(folder) }
        #expect(error?.category == .damaged && error?.message.contains("copied") == true, "\(error?.message ?? "")")
    }
}
