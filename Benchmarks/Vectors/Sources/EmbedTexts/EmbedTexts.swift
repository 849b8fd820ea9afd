import Dispatch
import Embedding
import Foundation
import Tokens

/// Embeds each line of a file and writes the vectors one after the other, 384 little-endian float32 each.
@main
enum EmbedTexts {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard (3...5).contains(arguments.count), let model = arguments.first else {
            print("EmbedTexts model-folder texts.txt vectors.f32 [threads] [float32 | int8]")
            exit(2)
        }
        let (texts, output) = (arguments[2], arguments[3])
        let threads = arguments.count > 3 ? Int(arguments[4]) ?? 1 : 1
        let embedding = try EmbeddingModel(folder: model, precision: arguments.count > 4 && arguments[5] == "int8" ? .int8 : .float32)
        let embedder = Embedder(model: embedding, tokenizer: embedding.tokenizer, threads: threads, cacheBytes: 0)
        defer { embedder.shutdown() }
        let lines = try String(contentsOfFile: texts, encoding: .utf8).split(separator: "\n").map(String.init)
        _ = FileManager.default.createFile(atPath: output, contents: nil)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
        let start = DispatchTime.now().uptimeNanoseconds
        // Many at a time: the embedder makes its own batches and needs a full queue for them.
        for first in stride(from: 0, to: lines.count, by: 2_000) {
            let vectors = try await embedder.embed(Array(lines[first..<min(first + 2_000, lines.count)]), for: .document)
            var data = Data(capacity: 4 * 384 * vectors.count)
            for vector in vectors { for value in vector { withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) } } }
            try file.write(contentsOf: data)
            let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
            FileHandle.standardError.write(Data("\(first + vectors.count) of \(lines.count) texts, \(Int(seconds)) s\n".utf8))
        }
        try file.close()
    }
}
