import Base
import Foundation
import FullText
import KeySpace
import LMDB

/// The program that compare.py drives: a command a line on standard input, a JSON object a line on standard output.
///
///     open TEXTS QUERIES [english|simple|code]   reads both files, a text a line
///     analyze                         processor seconds for the analysis of all texts
///     build GROUP POSITIONS           a new index; GROUP texts to a transaction with fsync, 0 = all at once; POSITIONS 0 or 1
///     queries COUNT                   processor seconds for all queries once, analysed from their text, one snapshot each
///     prepared COUNT                  the same, analysed before
///     results COUNT                   nodes and scores of every query
@main
enum FullTextBenchmark {
    static func main() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("fulltext-benchmark-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        var session = Session(folder: folder)
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            let answer = try session.run(words)
            FileHandle.standardOutput.write(Data((answer + "\n").utf8))
        }
    }
}

struct Session {
    let folder: URL
    var texts: [String] = []
    var queries: [String] = []
    var analyzer = Analyzer()
    var store: LMDB.Environment?
    let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)))

    init(folder: URL) { self.folder = folder }

    static func lines(_ path: String) throws -> [String] {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// What the work costs the processor: the same when others use the machine as well.
    static func processorSeconds(_ body: () throws -> Void) rethrows -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        }
        let start = now()
        try body()
        return now() - start
    }

    static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        return (ContinuousClock.now - start) / .seconds(1)
    }

    mutating func run(_ words: [String]) throws -> String {
        switch words[0] {
        case "open":
            texts = try Self.lines(words[1])
            queries = try Self.lines(words[2])
            if words.count > 3 { analyzer = Analyzer(Analyzer.Kind(name: words[3])!) }
            return "{\"texts\": \(texts.count), \"queries\": \(queries.count)}"
        case "analyze":
            var terms = 0
            let time = Self.processorSeconds { for text in texts { terms += AnalyzedText(text, analyzer: analyzer).length } }
            return "{\"seconds\": \(time), \"terms\": \(terms)}"
        case "build":
            return try build(group: Int(words[1])!, positions: words[2] == "1")
        case "queries":
            let store = store!
            let count = Int(words[1])!
            var found = 0
            let time = try Self.processorSeconds {
                for query in queries {
                    found += try store.read { try index.search(TextQuery(query, analyzer: analyzer), count: count, in: $0).count }
                }
            }
            return "{\"seconds\": \(time), \"found\": \(found)}"
        case "prepared":
            let store = store!
            let count = Int(words[1])!
            let prepared = queries.map { TextQuery($0, analyzer: analyzer) }
            var found = 0
            let time = try Self.processorSeconds {
                for query in prepared { found += try store.read { try index.search(query, count: count, in: $0).count } }
            }
            return "{\"seconds\": \(time), \"found\": \(found)}"
        case "results":
            let lists = try queries.map { query in
                try store!.read { try index.search(TextQuery(query, analyzer: analyzer), count: Int(words[1])!, in: $0) }
            }
            return "[" + lists.map { "[" + $0.map { "[\($0.node.rawValue), \($0.score)]" }.joined(separator: ", ") + "]" }.joined(separator: ", ") + "]"
        default:
            return "{\"error\": \"unknown command\"}"
        }
    }

    mutating func build(group: Int, positions: Bool) throws -> String {
        store = nil
        try? FileManager.default.removeItem(at: folder)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let store = try LMDB.Environment(path: folder.path, options: .init(mapBytes: 1 << 36))
        self.store = store
        let empty = try store.statistics().bytesUsed
        var write = try store.beginWrite()
        try index.configure(TextIndexOptions(analyzer: analyzer, positions: positions), in: &write)
        try write.commit()
        let size = group == 0 ? texts.count : group
        var wall = 0.0
        let processor = try Self.processorSeconds { wall = try Self.seconds {
            for start in stride(from: 0, to: texts.count, by: size) {
                var write = try store.beginWrite()
                let changes = (start..<min(start + size, texts.count)).map {
                    TextChange(node: NodeID(rawValue: UInt32($0)), new: AnalyzedText(texts[$0], analyzer: analyzer))
                }
                try index.apply(changes, in: &write)
                try write.commit()
            }
        } }
        // Pages in use: what the store holds, without the pages that commits have freed for the next ones.
        var bytes = 0
        try store.read { view in
            try view.scan(prefix: []) { key, value in
                bytes += key.byteCount + value.byteCount
                return .onward
            }
        }
        let (file, pages) = (try store.statistics().bytesUsed - empty, try store.statistics().tableBytes)
        return "{\"seconds\": \(wall), \"processor\": \(processor), \"file\": \(file), \"pages\": \(pages), \"records\": \(bytes)}"
    }
}
