import Foundation

/// The Python process with the peers; one command at a time.
final class Peer {
    struct Answer: Decodable {
        var seconds: [Double]?
        /// Processor time, of one thread.
        var processor: [Double]?
        var batch: Int?
        var gflops: Double?
        var vectors: [[Float]]?
        var resident: Int?
    }

    private let process = Process()
    private let commands = Pipe()
    private let answers = Pipe()
    private var rest = Data()

    static let venv = ProcessInfo.processInfo.environment["CONTEX_BENCH_VENV"] ?? ".venv-embedding"
    static let isThere = FileManager.default.isExecutableFile(atPath: venv + "/bin/python")
    private static let script = "Benchmarks/Embedding/peers/peer.py"

    private static func configure(_ process: Process, _ arguments: [String]) {
        process.executableURL = URL(fileURLWithPath: venv + "/bin/python")
        process.arguments = [script] + arguments
        // What slows numpy's OpenBLAS or lets torch talk is not for a comparison.
        var environment = ProcessInfo.processInfo.environment
        for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"] { environment[name] = nil }
        environment["TRANSFORMERS_VERBOSITY"] = "error"
        process.environment = environment
        process.standardError = FileHandle.nullDevice
    }

    init(model: String) throws {
        Self.configure(process, [model, Self.venv])
        process.standardInput = commands
        process.standardOutput = answers
        try process.run()
    }

    func ask(_ command: [String: Any]) throws -> Answer {
        var line = try JSONSerialization.data(withJSONObject: command)
        line.append(10)
        try commands.fileHandleForWriting.write(contentsOf: line)
        while true {
            if let end = rest.firstIndex(of: 10) {
                let answer = try JSONDecoder().decode(Answer.self, from: rest[rest.startIndex..<end])
                rest = Data(rest[(end + 1)...])
                return answer
            }
            let more = answers.fileHandleForReading.availableData
            guard !more.isEmpty else { throw CocoaError(.fileReadUnknown) }
            rest.append(more)
        }
    }

    func stop() {
        try? commands.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    static func load(_ engine: String, model: String, text: String) throws -> Answer {
        let process = Process()
        let output = Pipe()
        configure(process, ["load", engine, model, venv, text])
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return try JSONDecoder().decode(Answer.self, from: data)
    }
}
