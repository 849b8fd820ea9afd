// The built command line tool as a child process.

import Base
import Content
import Foundation
import TestSupport

enum ContexBinary {
    /// Beside this test's own executable, where the build puts all products.
    static let url = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appendingPathComponent("contex")
    static var isThere: Bool { TestData.available(FileManager.default.isExecutableFile(atPath: url.path) ? url : nil, "the binary \(url.path)") }

    struct Result {
        let status: Int
        let output: String
        let errors: String
        var json: JSONValue? { try? JSONParser.parse(text: String(output.drop { $0 == "\n" })) }
    }

    /// Without what the caller's shell has set for a server, or for colours.
    private static func environment(_ more: [String: String]) -> [String: String] {
        let known = ["PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR", "CONTEX_CHECK_INVARIANTS"]
        var environment = ProcessInfo.processInfo.environment.filter { known.contains($0.key) }
        if let model = TestData.model { environment["CONTEX_MODEL_DIR"] = model.path }
        return environment.merging(more) { $1 }
    }

    private static func process(_ arguments: [String], _ more: [String: String]) -> Process {
        let process = Process()
        process.executableURL = url
        process.arguments = arguments
        process.environment = environment(more)
        return process
    }

    /// Started and left to run, with nothing to read and nobody to hear what it says.
    static func started(_ arguments: [String]) throws -> Process {
        let process = process(arguments, [:])
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    static func run(_ arguments: [String], input: String = "", environment: [String: String] = [:]) throws -> Result {
        let folder = TemporaryFolder()
        let (output, errors, given) = (folder.path + "/out", folder.path + "/err", folder.path + "/in")
        for path in [output, errors] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        _ = FileManager.default.createFile(atPath: given, contents: Data(input.utf8))
        let process = process(arguments, environment)
        process.standardInput = FileHandle(forReadingAtPath: given)
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: errors)
        try process.run()
        process.waitUntilExit()
        func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
        return Result(
            status: process.terminationReason == .exit ? Int(process.terminationStatus) : -Int(process.terminationStatus), output: try text(output),
            errors: try text(errors))
    }

    /// `contex serve` on a folder of its own.
    final class Serving {
        let folder: TemporaryFolder
        let port: Int
        private let files = TemporaryFolder()
        private let process: Process
        var url: String { "http://127.0.0.1:\(port)" }
        var processID: Int32 { process.processIdentifier }

        struct NotServing: Error { let said: String }

        /// - Parameter folder: of a server before, for a restart.
        init(folder: TemporaryFolder = TemporaryFolder(), environment: [String: String] = [:]) throws {
            self.folder = folder
            for name in ["out", "err"] { _ = FileManager.default.createFile(atPath: files.path + "/" + name, contents: nil) }
            process = ContexBinary.process(["serve", "--data-dir", folder.path, "--http-port", "0", "--resp-port", "off", "--wire-port", "off"], environment)
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle(forWritingAtPath: files.path + "/out")
            process.standardError = FileHandle(forWritingAtPath: files.path + "/err")
            try process.run()
            // What it prints when it serves names the port.
            var found: Int? = nil
            let deadline = Date(timeIntervalSinceNow: 60)
            while found == nil, process.isRunning, Date() < deadline {
                usleep(10_000)
                let said = (try? String(contentsOfFile: files.path + "/out", encoding: .utf8)) ?? ""
                if let line = said.split(separator: "\n").first(where: { $0.contains("http://127.0.0.1:") }) {
                    found = line.split(separator: " ").first { $0.hasPrefix("http://") }.flatMap { $0.split(separator: ":").last }.flatMap { Int($0) }
                }
            }
            guard let found else {
                process.terminate()
                throw NotServing(said: (try? String(contentsOfFile: files.path + "/err", encoding: .utf8)) ?? "")
            }
            port = found
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

        func printed() throws -> String { try String(contentsOfFile: files.path + "/out", encoding: .utf8) }
        func logged() throws -> String { try String(contentsOfFile: files.path + "/err", encoding: .utf8) }

        func wait() throws -> Int32 {
            process.waitUntilExit()
            return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        }

        /// SIGTERM; returns the exit code.
        func stop() throws -> Int32 {
            process.terminate()
            return try wait()
        }
    }
}
