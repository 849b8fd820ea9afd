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

    @Test func everyFolderOfFailuresHasATarget() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: TestData.checkout.appendingPathComponent("Fuzz/Failures").path)
        for folder in folders where !folder.hasSuffix(".md") { #expect(FuzzTargets.named(folder) != nil, "no target \(folder)") }
        #expect(Set(FuzzTargets.all.map(\.name)).count == FuzzTargets.all.count)
    }
}
