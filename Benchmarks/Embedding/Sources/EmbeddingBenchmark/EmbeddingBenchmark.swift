// Every engine in turn, round after round, in one run: what disturbs one disturbs all. A round's figure is the median of its
// repetitions; the ratio to a peer is taken within a round, and the median of these ratios is what the bars are about. With one thread
// the processor time is shown too: on a machine that others use it is the steadier of the two.

import Embedding
import Foundation
import Tokens

/// A line at once, so that a run that is cut has said what it knew.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

@main
enum EmbeddingBenchmark {
    static let environment = ProcessInfo.processInfo.environment
    static let modelFolder = environment["CONTEX_MODEL_DIR"] ?? ".models/all-MiniLM-L6-v2"
    static let data = URL(fileURLWithPath: environment["CONTEX_TEST_DATA"] ?? "../shared/data")
    /// None where the virtual environment is not there: ours alone then.
    static let peers = Peer.isThere ? ["onnxruntime-float32", "onnxruntime-int8", "sentence-transformers"] : []

    static func main() async throws {
        switch CommandLine.arguments.dropFirst().first {
        case "latency": try latency(CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) : nil, rounds: 5)
        case "documents": try await documents(EmbeddingPrecision(rawValue: CommandLine.arguments[2])!, rounds: 3)
        case "load": try load(rounds: 5)
        case "cached": try await cached()
        case "gflops": try gflops()
        case "quality": try await Quality.run(Array(CommandLine.arguments.dropFirst(2)))
        case "start": try start(EmbeddingPrecision(rawValue: CommandLine.arguments[2])!)
        default: say("EmbeddingBenchmark latency [8|64|256]|documents float32|int8|load|cached|gflops|quality, in the package's top folder")
        }
    }

    // MARK: Texts

    static func corpus() throws -> [String] {
        struct Line: Decodable {
            let title: String?
            let text: String
        }
        return try ["scifact", "cacm", "bfcl-static", "cosqa-dev"].flatMap { set in
            try Data(contentsOf: data.appendingPathComponent("retrieval/\(set)/corpus.jsonl")).split(separator: 10).prefix(250)
                .map { try JSONDecoder().decode(Line.self, from: $0) }.map { ($0.title ?? "") + " " + $0.text }
        }
    }

    /// The beginning of a document with so many tokens.
    static func text(tokens: Int, _ tokenizer: WordPieceTokenizer) throws -> String {
        for document in try corpus() {
            let words = document.split(separator: " ")
            for count in max(1, tokens / 3)..<max(2, min(words.count, tokens)) {
                let beginning = words.prefix(count).joined(separator: " ")
                if tokenizer.ids(beginning, limit: nil).count == tokens { return beginning }
            }
        }
        throw CocoaError(.fileReadUnknown)
    }

    // MARK: Measures

    static func seconds(_ repeats: Int, _ work: () throws -> Void) rethrows -> [Double] {
        try (0..<repeats).map { _ in
            let start = ContinuousClock.now
            try work()
            return Double((ContinuousClock.now - start).components.attoseconds) * 1e-18 + Double((ContinuousClock.now - start).components.seconds)
        }
    }

    /// Time on the clock and time of the processor, a repetition each.
    static func measured(_ repeats: Int, _ work: () -> Void) -> Peer.Answer {
        func processor() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        }
        var answer = Peer.Answer(seconds: [], processor: [])
        for _ in 0..<repeats {
            let started = processor()
            answer.seconds! += seconds(1, work)
            answer.processor!.append(processor() - started)
        }
        return answer
    }

    static func quantile(_ values: [Double], _ part: Double) -> Double {
        let sorted = values.sorted()
        return sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))]
    }

    struct Table {
        var figures: [String: [[Double]]] = [:]

        mutating func add(_ engine: String, _ seconds: [Double]) { figures[engine, default: []].append(seconds) }

        func ratio(_ engine: String, to other: String) -> Double {
            guard let a = figures[engine], let b = figures[other] else { return .nan }
            return quantile(zip(a, b).map { quantile($0, 0.5) / quantile($1, 0.5) }, 0.5)
        }

        func show(_ title: String, _ engines: [String], scale: Double, unit: String) {
            say(title)
            for engine in engines {
                let all = figures[engine]!.flatMap { $0 }
                let values = [0.5, 0.1, 0.9].map { String(format: "%8.2f", quantile(all, $0) * scale) }.joined(separator: " ")
                let ratios = engines.filter { $0 != engine }.map { String(format: "%@ %.2f", $0, ratio(engine, to: $0)) }
                say("  \(engine.padding(toLength: 22, withPad: " ", startingAt: 0)) p50 p10 p90 \(unit)\(values)   x \(ratios.joined(separator: ", "))")
            }
        }
    }

    /// - Parameter only: this length alone.
    static func latency(_ only: Int?, rounds: Int) throws {
        let models = try EmbeddingPrecision.allCases.map { try EmbeddingModel(folder: modelFolder, precision: $0) }
        let tokenizer = models[0].tokenizer
        let peer = try Peer.isThere ? Peer(model: modelFolder) : nil
        let engines = models.map { "contex-\($0.precision.rawValue)" } + peers
        say("one thread; kernels: \(models[0].matrixKernels)")
        for (tokens, repeats) in [(8, 30), (64, 8), (256, 3)] where only == nil || only == tokens {
            let text = try text(tokens: tokens, tokenizer)
            var table = Table()
            var processor = Table()
            for round in -1..<rounds {
                for offset in engines.indices {
                    let place = (offset + max(0, round)) % engines.count
                    let answer: Peer.Answer
                    if place < models.count {
                        answer = measured(repeats) { _ = models[place].embed(tokens: [tokenizer.ids(text, limit: models[place].sequenceLimit)]) }
                    } else {
                        answer = try peer!.ask(["engine": engines[place], "threads": 1, "texts": [text], "repeat": repeats])
                    }
                    if round < 0 { continue }
                    table.add(engines[place], answer.seconds!)
                    processor.add(engines[place], answer.processor!)
                }
            }
            table.show("\(tokens) tokens", engines, scale: 1_000, unit: "ms")
            processor.show("\(tokens) tokens, processor time", engines, scale: 1_000, unit: "ms")
        }
        peer?.stop()
    }

    /// Processor time of all threads of this process, in seconds.
    static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Ours and onnxruntime of one precision, and our float32, in turn.
    static func documents(_ precision: EmbeddingPrecision, rounds: Int) async throws {
        let model = try EmbeddingModel(folder: modelFolder, precision: precision)
        let peer = try Peer.isThere ? Peer(model: modelFolder) : nil
        let texts = try corpus()
        let tokens = texts.reduce(0) { $0 + model.tokenizer.ids($1).count }
        say("\(texts.count) documents, \(tokens) tokens, two threads, \(precision.rawValue)")
        let (ours, exact, theirs) = ("contex-\(precision.rawValue)", "contex-float32", "onnxruntime-\(precision.rawValue)")
        let engines = [ours] + (ours == exact ? [] : [exact]) + (peer == nil ? [] : [theirs])
        // Its batch size is chosen, and caches are warmed, on a part.
        _ = try peer?.ask(["engine": theirs, "threads": 2, "documents": Array(texts[..<100])])
        var table = Table()
        var processor = Table()
        for round in 0..<rounds {
            for engine in engines.indices.map({ engines[($0 + round) % engines.count] }) {
                var answer: Peer.Answer
                if engine == theirs {
                    answer = try peer!.ask(["engine": engine, "threads": 2, "documents": texts])
                } else {
                    let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 2, cacheBytes: 0)
                    let (start, started) = (ContinuousClock.now, processorSeconds())
                    _ = try await embedder.embed(texts, for: engine == ours ? .document : .question)
                    let taken = (ContinuousClock.now - start).components
                    answer = Peer.Answer(seconds: [Double(taken.seconds) + Double(taken.attoseconds) * 1e-18], processor: [processorSeconds() - started])
                    embedder.shutdown()
                }
                let batch = answer.batch.map { ", batches of \($0)" } ?? ""
                say(String(format: "  %@ %.2f s, %.2f s of the processors%@", engine, answer.seconds![0], answer.processor![0], batch))
                table.add(engine, answer.seconds!)
                processor.add(engine, answer.processor!)
            }
        }
        for other in engines.dropFirst() {
            say(
                String(
                    format: "%@ / %@: x %.2f by the clock, x %.2f by processor time", other, ours, table.ratio(other, to: ours),
                    processor.ratio(other, to: ours)))
        }
        peer?.stop()
    }

    // MARK: Start

    static func resident() throws -> Int {
        // statm is rounded by the kernel; this is counted.
        let lines = try String(contentsOfFile: "/proc/self/smaps_rollup", encoding: .utf8).split(separator: "\n")
        return Int(lines.first { $0.hasPrefix("Rss:") }!.split(separator: " ")[1])! * 1_024
    }

    /// In a process of its own: load, first vector.
    static func start(_ precision: EmbeddingPrecision) throws {
        let before = try resident()
        var model: EmbeddingModel?
        let taken = try seconds(1) {
            let loaded = try EmbeddingModel(folder: modelFolder, precision: precision)
            _ = loaded.embed(tokens: [loaded.tokenizer.ids("how do agents get the context they need")])
            model = loaded
        }
        let grown = try resident() - before
        say("{\"seconds\": \(taken), \"resident\": \(model!.isMapped ? grown : -grown)}")
    }

    static func load(rounds: Int) throws {
        let engines = EmbeddingPrecision.allCases.map { "contex-\($0.rawValue)" } + peers
        var table = Table()
        var grown: [String: [Double]] = [:]
        for _ in 0..<rounds {
            for engine in engines {
                let answer: Peer.Answer
                if engine.hasPrefix("contex-") {
                    let process = Process()
                    let output = Pipe()
                    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
                    process.arguments = ["start", String(engine.dropFirst(7))]
                    process.standardOutput = output
                    try process.run()
                    let data = output.fileHandleForReading.readDataToEndOfFile()
                    process.waitUntilExit()
                    answer = try JSONDecoder().decode(Peer.Answer.self, from: data)
                } else {
                    answer = try Peer.load(engine, model: modelFolder, text: "how do agents get the context they need")
                }
                table.add(engine, answer.seconds!)
                grown[engine, default: []].append(Double(answer.resident!))
            }
        }
        table.show("load to first vector (libraries loaded before)", engines, scale: 1_000, unit: "ms")
        for engine in engines { say("  \(engine): \(String(format: "%.1f", quantile(grown[engine]!, 0.5) / 1e6)) MB more resident") }
    }

    static func cached() async throws {
        let model = try EmbeddingModel(folder: modelFolder)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 1, cacheBytes: 8 << 20)
        let texts = try corpus().prefix(500).map { String($0.prefix(60)) }
        _ = try await embedder.embed(Array(texts))
        var figures: [Double] = []
        for _ in 0..<40 {
            for text in texts {
                let start = ContinuousClock.now
                _ = try await embedder.embed([text])
                figures.append(Double((ContinuousClock.now - start).components.attoseconds) * 1e-12)
            }
        }
        say("cached text: p50 \(quantile(figures, 0.5)), p90 \(quantile(figures, 0.9)), p99 \(quantile(figures, 0.99)) microseconds")
        embedder.shutdown()
    }

    // MARK: Arithmetic

    /// Multiply-adds of the large products and attention, against numpy's sgemm on the largest of the shapes.
    static func gflops() throws {
        let peer = try Peer(model: modelFolder)
        let models = try EmbeddingPrecision.allCases.map { try EmbeddingModel(folder: modelFolder, precision: $0) }
        for tokens in [8, 16, 64, 256] {
            let ids = Array(repeating: Int32(2_000), count: tokens)
            var line = "\(tokens) tokens:"
            let sgemm = try peer.ask(["sgemm": [tokens, 1_536, 384]]).gflops!
            for model in models {
                let taken = seconds(20) { _ = model.embed(tokens: [ids]) }.min()!
                let work = 2e-9 * 6 * Double(tokens) * (1_769_472 + 2 * 384 * Double(tokens))
                line += String(format: " %@ %.1f G/s,", model.precision.rawValue, work / taken)
            }
            say(line + String(format: " sgemm [%d x 384] x [384 x 1536] %.1f GFLOP/s", tokens, sgemm))
        }
        peer.stop()
    }
}
