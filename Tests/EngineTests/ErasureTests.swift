import Audit
import Base
import Content
import Engine
import Events
import Foundation
import Journal
import KeySpace
import LMDB
import Maintenance
import Needs
import TestSupport
import Testing

/// What was erased is nowhere: not in answers, not among the records, and after a compaction not in the file.
@Suite struct ErasureTests {
    private static let (p, q) = (Name(stored: "p"), Name(stored: "q"))

    private static func fixture(_ folder: TemporaryFolder = TemporaryFolder()) throws -> Fixture {
        try Fixture(folder, models: WordHash.ascii) {
            $0.journal = .all
            $0.threshold = 0.2
        }
    }

    /// How often a text stands in a file, in UTF-8 and in UTF-16 of both orders.
    private static func hits(_ text: String, in file: String) throws -> Int {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        var patterns = [Array(text.utf8)]
        patterns.append(text.utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
        patterns.append(text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] })
        var count = 0
        for pattern in patterns {
            var range = bytes.startIndex..<bytes.endIndex
            while let found = bytes.range(of: Data(pattern), in: range) {
                count += 1
                range = found.upperBound..<bytes.endIndex
            }
        }
        return count
    }

    private static func publish(_ fixture: Fixture, _ project: Name, _ key: String, _ mark: String) async throws {
        for version in 0..<3 {
            var command = PublishCommand(
                project: project, key: Name(stored: key),
                data: [
                    "title": .string("\(mark) lion \(version)"),
                    "text": .string(Array(repeating: "\(mark) by the river \(version).", count: 200).joined(separator: " ")),
                ])
            command.metadata = JSONObject([("team", .string(mark))])
            _ = try await fixture.database.publish(Fixture.tenant, [command])[0].get()
        }
    }

    @Test func nothingIsLeftInTheFile() async throws {
        let folder = TemporaryFolder()
        let fixture = try Self.fixture(folder)
        let (marked, kept, own) = ("xq7markedtextzz", "yr8keptwordaa", "zs9ownprojectbb")
        try await Self.publish(fixture, Self.p, "secret", marked)
        try await Self.publish(fixture, Self.p, "other", kept)
        try await Self.publish(fixture, Self.q, "secret", own)
        for project in [Self.p, Self.q] {
            _ = try await fixture.database.register(
                Fixture.tenant, RegisterCommand(project: project, agent: Name(stored: "a"), needs: ["\(project == Self.p ? kept : own) river"]))
            for _ in 0..<3 { _ = try? await fixture.query(project.text, "\(project == Self.p ? kept : own) lion") }
        }
        await fixture.database.keepUsedQueries()
        // Some of it lies before the horizon.
        try await fixture.database.trim(Fixture.tenant, Self.p, to: Sequence(rawValue: 4), at: fixture.database.currentTime())
        let data = folder.path + "/store/data.mdb"
        #expect(try Self.hits(marked, in: data) > 0 && Self.hits(own, in: data) > 0)

        let first = try await fixture.database.erase(Fixture.tenant, project: Self.p, key: Name(stored: "secret"))
        #expect(first.project == Self.p && first.key == Name(stored: "secret") && first.versions == 1 && first.events > 0)
        let second = try await fixture.database.erase(Fixture.tenant, project: Self.q)
        #expect(second.key == nil && second.records > 20 && second.events == 3 && second.number > first.number)

        #expect(try await fixture.database.projects(Fixture.tenant).map(\.name) == [Self.p])
        #expect(try await fixture.database.listKeys(Fixture.tenant, project: Self.p) == ["other"])
        #expect(try await fixture.database.history(Fixture.tenant, project: Self.p, key: Name(stored: "secret"), limit: 9).isEmpty)
        let events = try await fixture.database.events(Fixture.tenant, project: Self.p, since: .zero, count: 99)
        #expect(events.filter { $0.kind == .erased }.allSatisfy { $0.key.isEmpty && $0.data == Array("{}".utf8) })
        #expect(events.contains { $0.kind == .erased } && events.contains { $0.kind == .published })
        let agents = try await fixture.database.agents(Fixture.tenant, project: nil)
        #expect(agents.count == 1)
        // The name and the key are free again, and begin anew.
        try await fixture.publish("q", "secret", "fresh")
        try await fixture.publish("p", "secret", "fresh")
        #expect(try await fixture.database.history(Fixture.tenant, project: Self.p, key: Name(stored: "secret"), limit: 9).count == 1)
        #expect(try await fixture.closeAndCheck() == [])

        // A copy beside the store, and then the store itself.
        let target = TemporaryFolder()
        let copy = target.path + "/compacted"
        let report = try Compaction.copy(directory: folder.path, to: copy)
        #expect(report.bytesAfter > 0 && report.bytesAfter <= report.bytesBefore)
        _ = try Compaction.replace(directory: folder.path)
        for file in [copy + "/store/data.mdb", data] {
            #expect(try Self.hits(marked, in: file) == 0)
            #expect(try Self.hits(own, in: file) == 0)
            #expect(try Self.hits(kept, in: file) > 0)
        }
        for directory in [copy, folder.path] {
            #expect(try IntegrityCheck.run(directory: directory).findings == [])
            var configuration = DatabaseConfiguration(directory: directory)
            (configuration.durability, configuration.mapBytes) = (.unsafeNoSync, 4 << 30)
            let again = try Database(configuration: configuration, models: WordHash.ascii)
            let found = try await again.query(Fixture.tenant, QueryRequest(project: Self.p, text: kept, topK: 3, threshold: 0)).matches
            #expect(found.first?.nodeKey.hasPrefix("other") == true)
            _ = try await again.publish(Fixture.tenant, [PublishCommand(project: Self.p, key: Name(stored: "more"), data: "written to")])[0].get()
            await again.close()
            #expect(try IntegrityCheck.run(directory: directory).findings == [])
        }
        #expect(throws: ContexError.self) { try Compaction.copy(directory: folder.path, to: copy) }
    }

    /// Stopped between any two of its steps, an erasure leaves a store that is whole, and goes on.
    @Test func itGoesOnAfterAStop() async throws {
        for stopAfter in 1...6 {
            let folder = TemporaryFolder()
            var fixture = try Self.fixture(folder)
            for project in [Self.p, Self.q] { try await Self.publish(fixture, project, "secret", "xq7markedtextzz") }
            let database = fixture.database
            // A few records a step.
            try await database.eraseInSteps(Fixture.tenant, project: Self.p, key: Name(stored: "secret"), count: 5, steps: stopAfter)
            try await database.eraseInSteps(Fixture.tenant, project: Self.q, key: nil, count: 5, steps: stopAfter)
            #expect(try await fixture.closeAndCheck() == [], "stopped after \(stopAfter) steps")
            fixture = try Self.fixture(folder)
            // Nobody finds it in the meantime.
            #expect(try await fixture.database.listKeys(Fixture.tenant, project: Self.p).isEmpty)
            #expect(try await fixture.database.projects(Fixture.tenant).map(\.name) == [Self.p])
            let receipts = try await fixture.database.resumeErasures(Fixture.tenant)
            #expect(receipts.count == 2 && receipts.allSatisfy { $0.events == 3 })
            #expect(try await fixture.database.resumeErasures(Fixture.tenant).isEmpty)
            #expect(try await fixture.closeAndCheck() == [])
            _ = try Compaction.replace(directory: folder.path)
            #expect(try Self.hits("xq7markedtextzz", in: folder.path + "/store/data.mdb") == 0)
        }
    }

    @Test func aFollowerErasesAsItsLeaderDoes() async throws {
        let (leader, follower) = (try Self.fixture(), try Self.fixture())
        func follow() async throws {
            let entries = try await leader.database.journal(after: try await follower.database.position().position)
            try await follower.database.follow(entries)
        }
        for key in ["secret", "other", "late"] { try await Self.publish(leader, Self.p, key, "xq7\(key)") }
        try await follow()
        let database = leader.database
        try await database.eraseInSteps(Fixture.tenant, project: Self.p, key: Name(stored: "secret"), count: 5, steps: 1)
        try await follow()
        #expect(try await database.resumeErasures(Fixture.tenant).count == 1)
        try await follow()
        let before = try await database.position().position
        #expect(try await follower.database.position().position == before)
        await follower.database.close()
        // The journal up to the first step is gone: who was not there needs a copy.
        _ = try await database.erase(Fixture.tenant, project: Self.p, key: Name(stored: "late"))
        await #expect(throws: ContexError.self) { _ = try await database.journal(after: before) }
        #expect(try await database.journal(after: before.next).isEmpty == false)
        await database.close()
        for fixture in [leader, follower] { #expect(try IntegrityCheck.run(directory: fixture.folder.path).findings == []) }
    }

    @Test func twoStoresEraseAlike() async throws {
        let (leader, follower) = (try Self.fixture(), try Self.fixture())
        for key in ["secret", "other"] { try await Self.publish(leader, Self.p, key, "xq7\(key)") }
        for stop in [true, false] {
            if stop {
                try await leader.database.eraseInSteps(Fixture.tenant, project: Self.p, key: Name(stored: "secret"), count: 2, steps: 1)
            } else {
                _ = try await leader.database.resumeErasures(Fixture.tenant)
            }
            let entries = try await leader.database.journal(after: try await follower.database.position().position)
            try await follower.database.follow(entries)
        }
        for fixture in [leader, follower] { await fixture.database.close() }
        #expect(try ContentHash.hex(directory: leader.folder.path) == ContentHash.hex(directory: follower.folder.path))
    }

    @Test func receiptsAreSigned() throws {
        let seed = [UInt8](repeating: 7, count: 32)
        let receipt = ErasureReceipt(
            tenant: .standard, number: 4, position: Position(rawValue: 9), time: Timestamp(rawValue: 1_700_000_000_000_000), project: Self.p,
            key: Name(stored: "k"), events: 3, versions: 2, records: 1)
        #expect(!receipt.isSigned && receipt.keyFingerprint == nil)
        let signed = try receipt.signed(seed: seed)
        #expect(signed.isSigned && signed.keyFingerprint?.count == 64 && signed.message == receipt.message)
        let other = try ErasureReceipt(
            tenant: .standard, number: 4, position: Position(rawValue: 9), time: Timestamp(rawValue: 1_700_000_000_000_000), project: Self.p, key: nil,
            events: 3, versions: 2, records: 1
        ).signed(seed: seed)
        #expect(other.signature != signed.signature)
    }

    @Test func whatIsNotThereCannotBeErased() async throws {
        let fixture = try Self.fixture()
        await #expect(throws: ContexError.self) { _ = try await fixture.database.erase(Fixture.tenant, project: Self.p) }
        try await fixture.publish("p", "k", "x")
        await #expect(throws: ContexError.self) { _ = try await fixture.database.erase(Fixture.tenant, project: Self.p, key: Name(stored: "other")) }
        #expect(try await fixture.closeAndCheck() == [])
    }
}
