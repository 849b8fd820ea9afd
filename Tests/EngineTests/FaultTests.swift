import Base
import Content
import Engine
import Foundation
import Journal
import Maintenance
import TestSupport
import Testing

/// F4 and F5 in short: a store's file is damaged, a way at a time, and the check has to say so, or the store says what it said. That this process
/// is there at the end is a part of what is tested. The long form, with the release binary and a server: `tools/proof damage`.
@Suite struct FaultTests {
    private static let pageBytes = 4_096

    private struct Store {
        let folder: TemporaryFolder
        let file: [UInt8]
        /// Of the same store, some commits before.
        let older: [UInt8]
        let hash: String

        var data: URL { folder.url.appendingPathComponent("store/data.mdb") }
        var pages: Int { file.count / pageBytes }
    }

    /// The pages in use: behind them the file is zeros.
    private static func used(_ folder: TemporaryFolder) throws -> [UInt8] {
        let bytes = try StoreReport.read(directory: folder.path).fileBytes
        return Array(try Data(contentsOf: folder.url.appendingPathComponent("store/data.mdb")).prefix(bytes))
    }

    private static func store(_ seed: UInt64) async throws -> Store {
        let folder = TemporaryFolder()
        func run(_ seed: UInt64) async throws {
            let fixture = try Fixture(folder) { $0.journal = .all }
            var mixture = Mixture(fixture, seed: seed)
            for _ in 0..<120 { try await mixture.step() }
            #expect(try await fixture.closeAndCheck() == [])
        }
        try await run(seed)
        let older = try used(folder)
        try await run(seed &+ 1)
        return Store(folder: folder, file: try used(folder), older: older, hash: try ContentHash.hex(directory: folder.path))
    }

    private enum Outcome: String { case told, harmless, silent }

    private static func outcome(_ file: [UInt8], _ store: Store) throws -> Outcome {
        try Data(file).write(to: store.data)
        do {
            guard try IntegrityCheck.run(directory: store.folder.path).findings.isEmpty else { return .told }
            return try ContentHash.hex(directory: store.folder.path) == store.hash ? .harmless : .silent
        } catch is ContexError {
            return .told
        }
    }

    @Test func noDamageIsSilent() async throws {
        let seed = testSeed("noDamageIsSilent")
        var random = SeededRandom(seed: seed)
        let store = try await Self.store(seed)
        var counts: [String: [Outcome: Int]] = [:]
        func tried(_ fault: String, _ what: String, _ file: [UInt8]) throws {
            let outcome = try Self.outcome(file, store)
            counts[fault, default: [:]][outcome, default: 0] += 1
            #expect(outcome != .silent, "seed \(seed), \(fault) \(what)")
        }
        func page(_ file: [UInt8], _ number: Int) -> ArraySlice<UInt8> { file[number * Self.pageBytes..<(number + 1) * Self.pageBytes] }
        func with(_ number: Int, _ page: some Collection<UInt8>) -> [UInt8] {
            var file = store.file
            file.replaceSubrange(number * Self.pageBytes..<(number + 1) * Self.pageBytes, with: page)
            return file
        }
        for _ in 0..<120 {
            var file = store.file
            let (place, bit) = (Int.random(in: 0..<file.count, using: &random), UInt8.random(in: 0...7, using: &random))
            file[place] ^= 1 << bit
            try tried("F4, a bit", "\(place).\(bit)", file)
        }
        for _ in 0..<30 {
            let (one, other) = (Int.random(in: 0..<store.pages, using: &random), Int.random(in: 0..<store.pages, using: &random))
            try tried("F5, zeros", "\(one)", with(one, [UInt8](repeating: 0, count: Self.pageBytes)))
            try tried("F5, doubled", "\(other) over \(one)", with(one, page(store.file, other)))
            var file = with(one, page(store.file, other))
            file.replaceSubrange(other * Self.pageBytes..<(other + 1) * Self.pageBytes, with: page(store.file, one))
            try tried("F5, exchanged", "\(one) and \(other)", file)
            let old = Int.random(in: 0..<min(store.pages, store.older.count / Self.pageBytes), using: &random)
            try tried("F5, older", "\(old)", with(old, page(store.older, old)))
        }
        for (fault, outcomes) in counts {
            let told = outcomes[.told, default: 0]
            #expect(told > 0, "\(fault): \(outcomes)")
        }
        let text = counts.sorted { $0.key < $1.key }.map { fault, outcomes in
            fault + ": " + outcomes.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.value) \($0.key.rawValue)" }.joined(separator: ", ")
        }
        print("seed \(seed): " + text.joined(separator: "; "))
    }
}
