import Base
import Content
import Engine
import Foundation
import Hashing
import KeySpace
import LMDB
import Maintenance
import Synchronization
import TestSupport
import Testing

/// The hash over what a store says, and that it says the same wherever the same commands were carried out.
@Suite struct ContentHashTests {
    private static func hash(_ store: TestStore) throws -> String { try store.read { view in try ContentHash.compute(view).hex } }

    /// As it would be with another payload under the key, nil: without the record.
    private static func hash(_ store: TestStore, with payload: [UInt8]?, under key: [UInt8]) throws -> String {
        try store.afterPlanting(payload, under: key) { view in try ContentHash.compute(view).hex }
    }

    @Test func everyByteCounts() throws {
        let store = try TestStore()
        var random = SeededRandom(seed: testSeed("everyByteCounts"))
        func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) } }
        let records = (0..<12).map { (key: store.scope.key(.node, UInt32($0)), payload: bytes(Int.random(in: 0...9, using: &random))) }
        try store.write { (transaction: inout WriteTransaction) throws in for (key, payload) in records { try transaction.store(key, payload) } }
        let whole = try Self.hash(store)
        #expect(try Self.hash(store) == whole)

        var seen: Set<String> = [whole]
        func isNew(_ payload: [UInt8]?, under key: [UInt8]) throws -> Bool { seen.insert(try Self.hash(store, with: payload, under: key)).inserted }
        for (key, payload) in records {
            for place in payload.indices {
                var changed = payload
                changed[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
                #expect(try isNew(changed, under: key))
            }
            #expect(try isNew(payload + [0], under: key))
            if !payload.isEmpty { #expect(try isNew(Array(payload.dropLast()), under: key)) }
            #expect(try isNew(nil, under: key))
            #expect(try isNew(payload, under: key + [0]))
        }
        // The format of the payloads.
        var formats: [String] = []
        for version: UInt8 in [1, 2] {
            let other = try TestStore()
            try other.write { (transaction: inout WriteTransaction) throws in
                for (key, payload) in records { try transaction.store(key, version: version, payload) }
            }
            formats.append(try Self.hash(other))
        }
        #expect(formats[0] == whole && formats[1] != whole)
    }

    @Test func whatIsNoContentDoesNotCount() throws {
        let store = try TestStore()
        try store.write { (transaction: inout WriteTransaction) throws in try transaction.store(store.scope.key(.node, UInt32(1)), [1, 2, 3]) }
        let before = try Self.hash(store)
        let leftOut: Set<KeyKind> = [.usedQueries, .importMark, .journalState, .journalEntry, .recordSums, .tenantStorage]
        for key in leftOut.map({ store.scope.registry.key($0) }) {
            #expect(try Self.hash(store, with: [9], under: key) == before)
        }
        for kind in KeyKind.allCases where !leftOut.contains(kind) {
            #expect(try Self.hash(store, with: [9], under: store.scope.key(kind)) != before, "\(kind)")
        }
    }

    @Test func aBrokenSealIsSaid() throws {
        let store = try TestStore()
        try store.write { (transaction: inout WriteTransaction) throws in try transaction.put(store.scope.key(.node, UInt32(1)), [1, 0, 0, 0, 0, 0, 7]) }
        let error = #expect(throws: ContexError.self) { try Self.hash(store) }
        #expect(error?.category == .damaged)
    }

    // MARK: - The same commands

    private static let folderVariable = "CONTEX_TEST_CONTENT_FOLDER"
    private static let seedVariable = "CONTEX_TEST_CONTENT_SEED"

    /// Ticks with every question, so that times are those of the commands.
    private final class CountingClock: WallClock {
        private let time = Mutex<Int64>(1_700_000_000_000_000)
        func now() -> Timestamp {
            time.withLock { time in
                time += 1_000_003
                return Timestamp(rawValue: time)
            }
        }
    }

    /// Mixed commands from a seed, one after another.
    private static func write(into folder: String, seed: UInt64, threads: Int = 2) async throws {
        var configuration = DatabaseConfiguration(directory: folder)
        configuration.durability = .unsafeNoSync
        configuration.mapBytes = 4 << 30
        configuration.threads = threads
        configuration.clock = CountingClock()
        let database = try Database(configuration: configuration, models: WordHash.models)
        let tenant = Fixture.tenant
        var random = SeededRandom(seed: seed)
        func words(_ count: ClosedRange<Int>) -> String {
            (0..<Int.random(in: count, using: &random)).map { _ in "w\(Int(random.unit() * random.unit() * 60))" }.joined(separator: " ")
        }
        let projects = ["p", "q"].map { Name(stored: $0) }
        let sections = ExportSections(events: true, embeddings: true, agents: true)
        var refusals = 0
        for number in 0..<700 {
            let project = projects[Int.random(in: 0..<2, using: &random)]
            let key = Name(stored: "k\(Int.random(in: 0..<90, using: &random))")
            let agent = Name(stored: "a\(Int.random(in: 0..<6, using: &random))")
            let kind = Int.random(in: 0..<24, using: &random)
            do {
                switch kind {
                case 0...2: _ = try await database.delete(tenant, project: project, key: key)
                case 3...4:
                    var command = RegisterCommand(project: project, agent: agent, needs: (0..<Int.random(in: 0...3, using: &random)).map { _ in words(1...5) })
                    command.diversity = number % 2 == 0 ? 0.4 : nil
                    _ = try await database.register(tenant, command)
                case 5: _ = try await database.unregister(tenant, agent, projects: [project])
                case 6: _ = try await database.setAnalyzer(tenant, project: project, ["english", "simple", "code"][number % 3])
                case 7:
                    let exported = try await database.export(tenant, project: project, sections: sections)
                    _ = try await database.importDocument(tenant, project: project, document: exported, overwrite: number % 3 == 0, validateOnly: false)
                case 8...12:
                    let vector = (0..<WordHash.dimension).map { _ in Float(random.unit() * 4 - 2) }
                    let command = PublishCommand(
                        project: project, key: key, data: ["text": .string(words(1...9))], vector: vector,
                        metadata: JSONObject([("n", .integer(number % 5)), ("s", .string(words(1...2)))]))
                    _ = try await database.publish(tenant, [command])[0].get()
                case 13...15:
                    let rows = (0..<Int.random(in: 1...40, using: &random)).map { "n\(number % 7)x\($0),\(words(1...4))" }
                    let text = "name,note\n" + rows.joined(separator: "\n")
                    let command = PublishCommand(project: project, key: key, data: .string(text), format: "csv")
                    _ = try await database.publish(tenant, [command])[0].get()
                default:
                    // Parts that stay while others change, several in one transaction.
                    let commands = (0..<Int.random(in: 1...3, using: &random)).map { place in
                        PublishCommand(
                            project: project, key: Name(stored: "\(key)\(place == 0 ? "" : "-\(place)")"),
                            data: ["fixed": ["of": .string("\(key) always")], "note": ["text": .string(words(2...12))], "n": .integer(number % 3)])
                    }
                    for outcome in await database.publish(tenant, commands) { _ = try outcome.get() }
                }
            } catch let error as ContexError where [.notFound, .conflict, .invalid, .badRequest].contains(error.category) {
                refusals += 1
            }
        }
        await database.close()
        #expect(refusals < 200, "\(refusals) of the commands were refused")
    }

    /// In a process of its own, begun by the test below.
    @Test(.enabled(if: ProcessInfo.processInfo.environment[folderVariable] != nil)) func writesForAnotherProcess() async throws {
        let environment = ProcessInfo.processInfo.environment
        try await Self.write(into: environment[Self.folderVariable]!, seed: UInt64(environment[Self.seedVariable] ?? "")!)
    }

    /// One process for each level of kernels that the processor has, and this one with another number of threads.
    @Test(.enabled(if: ProcessInfo.processInfo.environment[folderVariable] == nil)) func theSameCommandsGiveTheSameBytes() async throws {
        let seed = testSeed("theSameCommandsGiveTheSameBytes")
        let own = TemporaryFolder()
        try await Self.write(into: own.path, seed: seed, threads: 4)
        let expected = try ContentHash.hex(directory: own.path)
        #expect(expected.utf8.count == 64)
        let report = try StoreReport.read(directory: own.path)
        for name in ["vectorLinks", "posting", "need", "agentMatch", "attributeNodes", "documentVersion"] {
            #expect(report.kinds.contains { $0.name == name && $0.records > 0 }, "no \(name) was written")
        }
        for level in ["portable", "avx2", "avx512"] {
            let folder = TemporaryFolder()
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            process.arguments = ["--testing-library", "swift-testing", "--filter", "ContentHashTests/writesForAnotherProcess"]
            process.environment = ProcessInfo.processInfo.environment.merging(
                [Self.folderVariable: folder.path, Self.seedVariable: "\(seed)", "CONTEX_KERNELS": level]) { $1 }
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(level)")
            let found = try ContentHash.hex(directory: folder.path)
            #expect(found == expected, "\(level)")
            if found != expected { Issue.record("\(level): \(try Self.difference(own.path, folder.path))") }
        }
        let other = TemporaryFolder()
        try await Self.write(into: other.path, seed: seed &+ 1)
        #expect(try ContentHash.hex(directory: other.path) != expected)
    }

    /// The first record that is not the same.
    private static func difference(_ a: String, _ b: String) throws -> String {
        let records = try [a, b].map { folder in
            try LMDB.Environment(path: folder + "/store", options: .init(mode: .reader)).read { (view: borrowing TransactionView) throws in
                var all: [(key: [UInt8], value: [UInt8])] = []
                try view.scan(prefix: []) { key, value in
                    all.append((Array(key), Array(value)))
                    return .onward
                }
                return all
            }
        }
        let place = zip(records[0], records[1]).enumerated().first { $1.0 != $1.1 }?.offset
        guard let place else { return "\(records[0].count) and \(records[1].count) records" }
        return "record \(place): \(Hexadecimal.text(records[0][place].key)) \(Hexadecimal.text(records[1][place].key))"
    }
}
