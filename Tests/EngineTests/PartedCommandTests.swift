import Audit
import Base
import Engine
import Events
import Hashing
import Journal
import KeySpace
import LMDB
import Maintenance
import TestSupport
import Testing

/// Imports that are larger than one entry of the journal should be.
@Suite("Commands in parts") struct PartedCommandTests {
    private static let p = Name(stored: "p")

    private static func configuration(_ path: String) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(directory: path)
        configuration.durability = .unsafeNoSync
        configuration.mapBytes = 4 << 30
        return configuration
    }

    /// An export document of `count` events of some 900 kB.
    private static func large(_ count: Int) -> JSONValue {
        let events: [JSONValue] = (0..<count).map { number in
            let text = String(repeating: "lion \(number) ", count: 900_000 / 7)
            return ["event_id": .string("\(number + 1)"), "event_type": "t", "data": ["k": .string(text), "w": .integer(number)]]
        }
        return ["project_id": "p", "version": "1.0", "data": ["events": .array(events)]]
    }

    private static func partKeys(_ database: Database) throws -> Int {
        try database.readHere { view in
            var count = 0
            try view.scan(prefix: []) { key, _ in
                if KeyKind(ofKey: key) == .commandPart { count += 1 }
                return .onward
            }
            return count
        }
    }

    @Test func aLargeImportIsManySmallCommandsAndOneChange() async throws {
        let fixture = try Fixture(models: WordHash.ascii) { $0.journal = .all }
        let receipt = try await Attribution.$current.withValue(inAName) {
            try await fixture.database.importDocument(Fixture.tenant, project: Self.p, document: Self.large(4), overwrite: false, validateOnly: false)
        }
        #expect(receipt.events == 4)
        #expect(try Self.partKeys(fixture.database) == 0)
        let log = try await fixture.database.events(Fixture.tenant, project: Self.p, since: .zero, count: 10)
        #expect(log.count == 4 && Set(log.map(\.position)).count == 1)
        let entries = try await fixture.database.journal(after: .zero, bytesMax: .max)
        #expect(entries.count == 5 && entries.allSatisfy { $0.command.count <= Limits.commandPartBytes + 256 })
        // Who did it is written down once, of the whole.
        let audit = try await fixture.database.auditPage(Fixture.tenant, AuditQuery())
        #expect(audit.records.map(\.draft.kind) == [.dataImported])
        let position = try await fixture.database.position().position
        #expect(try await fixture.closeAndCheck() == [])

        let copy = TemporaryFolder()
        #expect(try await Replay.run(from: fixture.folder.path, to: Self.configuration(copy.path)).to == position)
        #expect(try ContentHash.hex(directory: copy.path) == ContentHash.hex(directory: fixture.folder.path))
    }

    @Test func whatIsRefusedLeavesNoPart() async throws {
        let fixture = try Fixture { $0.journal = .all }
        try await fixture.publish("p", "k", ["x": "zebra"])
        let before = try await fixture.database.export(Fixture.tenant, project: Self.p, sections: .init(events: true, embeddings: true, agents: true))
        let error = await #expect(throws: ContexError.self) {
            _ = try await fixture.database.importDocument(Fixture.tenant, project: Self.p, document: Self.large(3), overwrite: false, validateOnly: false)
        }
        #expect(error?.code == .projectNotEmpty)
        #expect(try Self.partKeys(fixture.database) == 0)
        let after = try await fixture.database.export(Fixture.tenant, project: Self.p, sections: .init(events: true, embeddings: true, agents: true))
        #expect(after["data"] == before["data"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// A command of two parts, as bytes.
    private static func part(_ number: UInt64, _ part: Int?, _ bytes: [UInt8] = []) -> [UInt8] {
        command(33) { writer in
            writer.u64(number)
            writer.bool(part != nil)
            if let part {
                writer.varint(UInt64(part))
                writer.blob(bytes)
            }
        }
    }

    private static func assembled(_ number: UInt64, parts: Int, of bytes: [UInt8]) -> [UInt8] {
        command(34) { writer in
            writer.u64(number)
            writer.varint(UInt64(parts))
            writer.raw(SHA256.digest(bytes).bytes)
        }
    }

    private static let time: Int64 = 1_800_000_000_000_000

    private static func command(_ kind: UInt8, _ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var fields = ByteWriter()
        fields.u32(1)
        fields.i64(time)
        body(&fields)
        var whole = ByteWriter()
        whole.u8(1)
        whole.u8(kind)
        whole.blob(fields.bytes)
        return whole.bytes
    }

    private static func entries(_ commands: [[UInt8]]) -> [JournalEntry] {
        commands.enumerated().map {
            JournalEntry(position: Position(rawValue: UInt64($0.offset + 1)), time: Timestamp(rawValue: time), command: $0.element)
        }
    }

    @Test func goldenCommandsAreReadAndWritten() throws {
        let made = [Self.part(7, 0, [1, 2, 3]), Self.part(7, nil), Self.assembled(7, parts: 1, of: [1, 2, 3])].map {
            GoldenRecord(key: [$0[1]], value: $0)
        }
        try GoldenRecord.rewriteIfAsked("commands-v1/parts.txt", made)
        #expect(try GoldenRecord.file("commands-v1/parts.txt") == made)
        for record in made { #expect(try EncodedCommand.canonical(record.value) == record.value) }
    }

    /// What a stopped server leaves: parts that nobody makes whole.
    @Test func partsOfAStoppedServerGo() async throws {
        let fixture = try Fixture { $0.journal = .all }
        try await fixture.database.follow(Self.entries([Self.part(7, 0, [1, 2]), Self.part(7, 1, [3]), Self.part(8, 0, [4])]))
        await fixture.database.close()
        let again = try Fixture(fixture.folder) { $0.journal = .all }
        #expect(try Self.partKeys(again.database) == 3)
        #expect(try await again.database.dropAbandonedParts(Fixture.tenant) == 3)
        #expect(try Self.partKeys(again.database) == 0)
        #expect(try await again.database.dropAbandonedParts(Fixture.tenant) == 0)
        #expect(try await again.closeAndCheck() == [])
    }

    @Test func partsThatMakeNoImportAreRefusedAndStay() async throws {
        let setting = Self.command(20) { $0.bool(true) }
        let bad: [(String, [[UInt8]])] = [
            ("out of order", [Self.part(7, 1, [1])]),
            ("twice", [Self.part(7, 0, [1]), Self.part(7, 0, [1])]),
            ("one is missing", [Self.part(7, 0, [1]), Self.assembled(7, parts: 2, of: [1])]),
            ("other bytes", [Self.part(7, 0, [1]), Self.assembled(7, parts: 1, of: [2])]),
            ("no command", [Self.part(7, 0, [1]), Self.assembled(7, parts: 1, of: [1])]),
            ("no import", [Self.part(7, 0, setting), Self.assembled(7, parts: 1, of: setting)]),
            ("itself", [Self.part(7, 0, Self.assembled(7, parts: 1, of: [])), Self.assembled(7, parts: 1, of: Self.assembled(7, parts: 1, of: []))]),
        ]
        for (what, commands) in bad {
            let fixture = try Fixture { $0.journal = .all }
            await #expect(throws: ContexError.self, "\(what)") { try await fixture.database.follow(Self.entries(commands)) }
            #expect(try await fixture.database.position().position.rawValue == UInt64(commands.count - 1), "\(what)")
            #expect(try Self.partKeys(fixture.database) == commands.count - 1, "\(what)")
            #expect(try await fixture.closeAndCheck() == [], "\(what)")
        }
        for bytes in [[], [UInt8](repeating: 1, count: Limits.commandPartBytes + 1)] {
            #expect(throws: ContexError.self) { try EncodedCommand.canonical(Self.part(7, 0, bytes)) }
        }
    }
}
