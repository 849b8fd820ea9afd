import Base
import Foundation
import FuzzTargets
import TestSupport
import Testing

/// What once failed under tools/fuzz, and what fuzzing begins with: Fuzz/Failures/<target>/ and the targets' own seeds.
@Suite struct ReplayTests {
    static func failures(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let folder = TestData.checkout.appendingPathComponent("Fuzz/Failures/\(target.name)")
        guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { name in
            (name, Array(try Data(contentsOf: folder.appendingPathComponent(name))))
        }
    }

    @Test(arguments: FuzzTargets.all.map(\.name))
    func pastFailuresAndSeedsHold(_ name: String) throws {
        let target = try #require(FuzzTargets.named(name))
        for (place, seed) in try target.seeds().enumerated() {
            #expect(throws: Never.self, "seed \(place) of \(name)") { try target.check(seed) }
        }
        for (file, bytes) in try Self.failures(of: target) {
            #expect(throws: Never.self, "Fuzz/Failures/\(name)/\(file)") { try target.check(bytes) }
        }
        try target.check([])
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

    @Test func everyFolderOfFailuresHasATarget() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: TestData.checkout.appendingPathComponent("Fuzz/Failures").path)
        for folder in folders where !folder.hasSuffix(".md") { #expect(FuzzTargets.named(folder) != nil, "no target \(folder)") }
        #expect(Set(FuzzTargets.all.map(\.name)).count == FuzzTargets.all.count)
    }
}
