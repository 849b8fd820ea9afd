import Foundation

/// Measures the vector index of a store on disk. Each answer is one line of JSON on standard output; progress goes to standard error.
@main
enum VectorBenchmark {
    static func main() {
        do {
            try run(Arguments(CommandLine.arguments.dropFirst()))
        } catch {
            FileHandle.standardError.write(Data("VectorBenchmark: \(error)\n".utf8))
            exit(error is Arguments.Wrong ? 2 : 1)
        }
    }

    static func run(_ given: Arguments) throws {
        var arguments = given
        guard let command = arguments.next() else {
            print(usage)
            return
        }
        switch command {
        case "insert":
            let (folder, vectors, count) = try (arguments.folder(), arguments.vectors(), arguments.number("count"))
            try Building.insert(folder, vectors, count: count, parameters: arguments.parameters(), sync: !arguments.flag("--nosync"))
        case "build":
            let (folder, vectors, count) = try (arguments.folder(), arguments.vectors(), arguments.number("count"))
            let threads = try arguments.number("threads")
            try Building.bulk(folder, vectors, count: count, threads: threads, parameters: arguments.parameters())
        case "search":
            let (folder, vectors, first) = try (arguments.folder(), arguments.vectors(), arguments.number("first-query"))
            let truth = try arguments.text("truth.i32")
            let parameters = try arguments.parameters()
            try Searching.curve(folder, vectors, first: first, truth: truth, parameters: parameters, efs: arguments.numbers("efSearch"))
        case "filter":
            let (folder, vectors, first) = try (arguments.folder(), arguments.vectors(), arguments.number("first-query"))
            try Filtering.measure(folder, vectors, first: first, queries: arguments.number("queries"))
        case "churn":
            let (folder, fresh, vectors) = try (arguments.folder(), arguments.folder(), arguments.vectors())
            let (count, truth, rounds) = try (arguments.number("count"), arguments.text("truth.i32"), arguments.number("rounds"))
            try Churn.run(folder, beside: fresh, vectors, count: count, truth: truth, rounds: rounds)
        case "cold":
            let (folder, vectors, first) = try (arguments.folder(), arguments.vectors(), arguments.number("first-query"))
            let (queries, readsAhead) = (try arguments.number("queries"), !arguments.flag("--no-readahead"))
            try Opening.cold(folder, vectors, first: first, queries: queries, efs: arguments.numbers("efSearch"), readsAhead: readsAhead)
        case "open":
            let (folder, vectors, first) = try (arguments.folder(), arguments.vectors(), arguments.number("first-query"))
            try Opening.hot(folder, vectors, first: first, times: arguments.number("times"))
        case "memory":
            let (folder, vectors, first) = try (arguments.folder(), arguments.vectors(), arguments.number("first-query"))
            try Opening.memory(folder, vectors, first: first)
        default: throw Arguments.Wrong("\(command) is not a command\n\(usage)")
        }
        try arguments.end()
    }

    static let usage = """
        VectorBenchmark insert folder vectors.f32 count [parameter...] [--nosync]      in transactions of 256, one thread
        VectorBenchmark build  folder vectors.f32 count threads [parameter...]         in bulk
        VectorBenchmark search folder vectors.f32 first-query truth.i32 [parameter...] efSearch...
        VectorBenchmark filter folder vectors.f32 first-query queries                  by set and by test, four kinds of filters
        VectorBenchmark churn  folder fresh-folder vectors.f32 count truth.i32 rounds  each replaces a fifth; changes the first store
        VectorBenchmark cold   folder vectors.f32 first-query queries [--no-readahead] efSearch...   file dropped from the page cache each time
        VectorBenchmark open   folder vectors.f32 first-query times                    with the file in the page cache
        VectorBenchmark memory folder vectors.f32 first-query

        Parameters: --M 16 --efConstruction 200 --bits 4 --rerank 32. Vectors are 384 float32 each; the vectors from first-query on are
        queries; truth.i32 has the ten nearest of each query. Rates are per processor second of one thread, times are by the clock.
        """
}
