import Base
import Foundation
import TestSupport
import Testing

/// What a first start asks of the system, as strace sees it: every name that it makes is flushed in its folder.
@Suite struct LastingNamesTests {
    private static let tracer = "/usr/bin/strace"
    static var canTrace: Bool {
        let url = FileManager.default.isExecutableFile(atPath: tracer) ? URL(fileURLWithPath: tracer) : nil
        return TestData.available(url, "strace") && TestData.hasModel && ContexBinary.isThere
    }

    @Test(.enabled(if: canTrace)) func everyNameIsFlushed() throws {
        let place = TemporaryFolder()
        let top = place.url.resolvingSymlinksInPath().path
        let (log, lines) = (top + "/trace", top + "/lines")
        try Data(#"{"project_id":"p","data_key":"k","data":"a text"}"#.utf8).write(to: URL(fileURLWithPath: lines))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.tracer)
        process.arguments = [
            "-f", "-y", "-qq", "-s", "300", "-o", log, "-e", "trace=mkdir,mkdirat,openat,linkat,link,rename,fsync", ContexBinary.url.path, "import", lines,
            "--data-dir", top + "/new/deep/data",
        ]
        process.environment = ProcessInfo.processInfo.environment.merging(["CONTEX_MODEL_DIR": TestData.model!.path]) { $1 }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)

        // Folders with a name that is new and not flushed; the names that files had for a moment only are among them.
        var open: Set<String> = []
        var made: Set<String> = []
        var known: Set<String> = []
        for line in try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") {
            // Of a link the second: that is the new one.
            let name = line.split(separator: "\"").dropFirst().last { $0.hasPrefix("/") }.map(String.init)
            let folder = name.map { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) } ?? ""
            let isNew =
                line.contains("mkdir") && line.hasSuffix("= 0") || line.contains("O_CREAT") && !line.contains("= -1") || line.contains(" link")
                || line.contains(" rename(")
            // The folder in which a store is made is gone when the store has its name.
            if isNew, !folder.hasSuffix("/store/new"), folder.hasPrefix(top), let name, known.insert(name).inserted {
                open.insert(folder)
                made.insert(folder)
            }
            guard line.contains(" fsync("), let flushed = line.split(separator: "<").dropFirst().first?.prefix(while: { $0 != ">" }) else { continue }
            open.remove(String(flushed))
        }
        #expect(made == Set(["", "/new", "/new/deep", "/new/deep/data", "/new/deep/data/store"].map { top + $0 }))
        #expect(open == [], "names in these folders may be gone after a power cut")
    }
}
