import Base
import Engine
import Foundation
import Journal
import Maintenance
import TestSupport
import Testing

/// What the tools that open a folder say of a store with a page of noise: where it is, and no more; they go on living.
@Suite struct DamagedPagesTests {
    private static func store() async throws -> (TemporaryFolder, [UInt8]) {
        let fixture = try Fixture { $0.journal = .all }
        for number in 0..<60 { try await fixture.publish("p", "k\(number)", ["text": .string("lion \(number) " + String(repeating: "word ", count: 100))]) }
        #expect(try await fixture.closeAndCheck() == [])
        return (fixture.folder, Array(try Data(contentsOf: file(fixture.folder))))
    }

    private static func file(_ folder: TemporaryFolder) -> URL { folder.url.appendingPathComponent("store/data.mdb") }

    @Test func everyToolNamesThePage() async throws {
        let (folder, sound) = try await Self.store()
        let hash = try ContentHash.hex(directory: folder.path)
        let used = try StoreReport.read(directory: folder.path).fileBytes / 4_096
        var random = SeededRandom(seed: testSeed("everyToolNamesThePage"))
        var named = 0
        for page in stride(from: 2, to: used, by: max(1, used / 40)) {
            var file = sound
            for place in page * 4_096..<(page + 1) * 4_096 { file[place] = UInt8.random(in: 0...255, using: &random) }
            try Data(file).write(to: Self.file(folder))
            let findings: [String]
            do {
                findings = try IntegrityCheck.run(directory: folder.path).findings
            } catch let error as ContexError {
                // A page that is held against its meta page whenever the store is opened.
                #expect(error.category == .damaged && error.message.contains("page \(page)"), "\(error.message)")
                continue
            }
            guard findings.contains(where: { $0.hasPrefix("page ") }) else { continue }
            named += 1
            let copy = TemporaryFolder()
            var target = DatabaseConfiguration(directory: copy.path)
            target.mapBytes = 1 << 30
            let stats = #expect(throws: ContexError.self) { try StoreReport.read(directory: folder.path) }
            let content = #expect(throws: ContexError.self) { try ContentHash.hex(directory: folder.path) }
            let replay = await #expect(throws: ContexError.self) { try await Replay.run(from: folder.path, to: target) }
            let reindex = await #expect(throws: ContexError.self) {
                try await Reindex.run(configuration: DatabaseConfiguration(directory: folder.path), models: WordHash.models)
            }
            for error in [stats, content, replay, reindex] {
                #expect(error?.category == .damaged && error?.message.contains(": page ") == true, "page \(page): \(error?.message ?? "no error")")
            }
        }
        #expect(named > 5)
        try Data(sound).write(to: Self.file(folder))
        #expect(try ContentHash.hex(directory: folder.path) == hash)
    }

    /// The roots and the ways to both ends are looked at before a server serves.
    @Test func aServerDoesNotOpenAStoreWithoutItsRoot() async throws {
        let (folder, sound) = try await Self.store()
        for tree in [40, 88] {
            var file = sound
            // The newer meta page says where the root is.
            let newer = (0..<2).max { file[$0 * 4_096 + 144] < file[$1 * 4_096 + 144] }! * 4_096
            let root = (0..<4).reduce(0) { $0 | Int(file[newer + tree + 40 + $1]) << (8 * $1) }
            file.replaceSubrange(root * 4_096..<(root + 1) * 4_096, with: repeatElement(0, count: 4_096))
            try Data(file).write(to: Self.file(folder))
            var configuration = DatabaseConfiguration(directory: folder.path)
            configuration.mapBytes = 1 << 30
            let error = #expect(throws: ContexError.self) { _ = try Database(configuration: configuration, models: WordHash.models) }
            #expect(error?.category == .damaged && error?.message.contains("page \(root)") == true, "\(error?.message ?? "")")
        }
    }

    @Test func anEmptyFileIsNoStore() throws {
        let folder = TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/store", withIntermediateDirectories: true)
        try Data().write(to: Self.file(folder))
        let errors = [
            #expect(throws: ContexError.self) { try IntegrityCheck.run(directory: folder.path) },
            #expect(throws: ContexError.self) { try StoreReport.read(directory: folder.path) },
            #expect(throws: ContexError.self) { try ContentHash.hex(directory: folder.path) },
        ]
        for error in errors { #expect(error?.code == .storeNotFound && error?.message.contains("or an empty one") == true) }
    }
}
