import Base
import Foundation
import FuzzTargets
import TestSupport
import Testing

/// What once failed under tools/fuzz, and what fuzzing begins with: Fuzz/Failures/<target>/, Fuzz/Corpus/<target>.txt and the targets' own seeds.
@Suite struct ReplayTests {
    static func failures(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let folder = TestData.checkout.appendingPathComponent("Fuzz/Failures/\(target.name)")
        guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { name in
            (name, Array(try Data(contentsOf: folder.appendingPathComponent(name))))
        }
    }

    /// A line of base64 an input (tools/fuzz keep).
    static func corpus(of target: FuzzTarget) throws -> [[UInt8]] {
        let file = TestData.checkout.appendingPathComponent("Fuzz/Corpus/\(target.name).txt")
        guard FileManager.default.fileExists(atPath: file.path) else { return [] }
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { Array(try #require(Data(base64Encoded: String($0)))) }
    }

    @Test(arguments: FuzzTargets.all.map(\.name))
    func pastFailuresAndSeedsHold(_ name: String) async throws {
        // Some wait for what other tasks do, so they must not wait on a thread that runs tasks.
        let outcome: Result<Void, any Error> = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Result { try Self.replay(name) }) }
        }
        try outcome.get()
    }

    private static func replay(_ name: String) throws {
        let target = try #require(FuzzTargets.named(name))
        for (place, seed) in try target.seeds().enumerated() {
            #expect(throws: Never.self, "seed \(place) of \(name)") { try target.check(seed) }
        }
        for (place, bytes) in try corpus(of: target).enumerated() {
            #expect(throws: Never.self, "Fuzz/Corpus/\(name).txt, line \(place + 1)") { try target.check(bytes) }
        }
        for (file, bytes) in try failures(of: target) {
            #expect(throws: Never.self, "Fuzz/Failures/\(name)/\(file)") { try target.check(bytes) }
        }
        try target.check([])
    }

    /// A short search in every run of the suite, without libFuzzer's eyes: seeds with bytes changed, cut out, doubled and put together.
    @Test(arguments: ["backup-manifest", "backup-block", "backup-items"])
    func changedSeedsOfBackupsHold(_ name: String) throws {
        let target = try #require(FuzzTargets.named(name))
        var random = SeededRandom(seed: testSeed("changed seeds of \(name)"))
        let seeds = try target.seeds()
        for _ in 0..<4_000 {
            var input = seeds.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0...input.count, using: &random)
                let end = min(input.count, place + Int.random(in: 1...24, using: &random))
                switch Int.random(in: 0..<5, using: &random) {
                case 0 where place < input.count: input[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1 where place < input.count: input[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random)!
                case 2: input.removeSubrange(place..<end)
                case 3: input.insert(contentsOf: input[place..<end], at: place)
                default:
                    let other = seeds.randomElement(using: &random)!
                    input = Array(input[..<place] + other.dropFirst(Int.random(in: 0...other.count, using: &random)))
                }
            }
            #expect(throws: Never.self, "\(input)") { try target.check(input) }
        }
    }

    /// A short search for slow inputs in every run of the suite; tools/fuzz slow-content goes on where it ends.
    @Test func repeatedPartsCostWhatTheyWeigh() throws {
        let target = try #require(FuzzTargets.named("slow-content"))
        var random = SeededRandom(seed: testSeed("repeated parts"))
        let pieces = [
            "{", "}", "[", "]", "(", ")", "\"", "'", ":", ",", "\n", " ", "- ", "a", "1", ".", "#", "# ", "```", "`", "*", "_", "&a ", "*a ", "|", "? ", "!",
            "<", ">", "/", "=", "<a>", "</a>", "<a ", "&amp;", "<!--", "-->", "<![CDATA[", "\\", "\\u", "é", "\r\n", "\t", "\"\"\"", "[[", "]]", "---\n", "a: ",
            "a = ", "\u{301}", "~", "\"a\":", "{\"a\":", "a,",
        ]
        for _ in 0..<150 {
            func text(_ count: Int) -> [UInt8] { (0..<count).flatMap { _ in Array(pieces.randomElement(using: &random)!.utf8) } }
            let (before, part, after) = (text(Int.random(in: 0..<4, using: &random)), text(Int.random(in: 1..<5, using: &random)), text(2))
            let input = [UInt8.random(in: 0...255, using: &random), UInt8(before.count), UInt8(part.count)] + before + part + after
            #expect(throws: Never.self, "\(input)") { try target.check(input) }
        }
    }

    /// Changed seeds: what tools/fuzz would try first, where it takes a build of its own. CONTEX_TEST_MUTATIONS tries more or fewer,
    /// CONTEX_TEST_SEED the same again.
    @Test(arguments: FuzzTargets.http.map(\.name))
    func changedSeedsHold(_ name: String) async throws {
        let count = ProcessInfo.processInfo.environment["CONTEX_TEST_MUTATIONS"].flatMap { Int($0) } ?? 300
        let outcome: Result<Void, any Error> = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Result { try Self.mutate(name, count) }) }
        }
        try outcome.get()
    }

    private static let pieces: [[UInt8]] = [
        "%00", "%ff", "%2F", "..", "null", "[[[[", "{}", "\"", "\\ud800", "-1", "1e999", "99999999999999999999", "\u{0}", "\u{e9}", "\n", ",", ":", "a=", "&",
        "true", "\"\"", "[1]", "HEAD", "*", "Content-Encoding: gzip\n", "Origin: null\n", "Host: \n",
    ].map { Array($0.utf8) }

    private static func mutate(_ name: String, _ count: Int) throws {
        let target = try #require(FuzzTargets.named(name))
        let seeds = try target.seeds()
        var random = SeededRandom(seed: testSeed("changed seeds of \(name)"))
        func below(_ bound: Int) -> Int { Int(random.next() % UInt64(max(1, bound))) }
        for _ in 0..<count {
            var input = seeds[below(seeds.count)]
            for _ in 0...below(6) {
                let at = below(input.count + 1)
                let end = min(input.count, at + below(12))
                switch below(6) {
                case 0: input.insert(contentsOf: pieces[below(pieces.count)], at: at)
                case 1: input.replaceSubrange(at..<end, with: pieces[below(pieces.count)])
                case 2: input.removeSubrange(at..<end)
                case 3: if at < input.count { input[at] = UInt8(below(256)) }
                case 4: input.insert(contentsOf: input[at..<end], at: at)
                default:
                    let other = seeds[below(seeds.count)]
                    let from = below(other.count + 1)
                    input.replaceSubrange(at..<end, with: other[from..<min(other.count, from + below(40))])
                }
            }
            do {
                try target.check(Array(input.prefix(target.inputBytesMax)))
            } catch {
                Issue.record("\(name): \(error)\n\(Data(input).base64EncodedString())\n\(String(decoding: input, as: UTF8.self))")
                return
            }
        }
    }

    @Test func whatIsKeptHasATarget() throws {
        func names(_ folder: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: TestData.checkout.appendingPathComponent("Fuzz/\(folder)").path)
        }
        for folder in try names("Failures") where !folder.hasSuffix(".md") { #expect(FuzzTargets.named(folder) != nil, "no target \(folder)") }
        for file in try names("Corpus") { #expect(FuzzTargets.named(String(file.dropLast(".txt".count))) != nil, "no target of \(file)") }
        #expect(Set(FuzzTargets.all.map(\.name)).count == FuzzTargets.all.count)
    }
}
