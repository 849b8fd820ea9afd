import Base
import Foundation
import LMDB
import Vectors

/// What a process pays before it has searched for long.
enum Opening {
    /// Each query on a store opened anew, whose pages were dropped from the page cache; nobody else may have the file open.
    static func cold(_ folder: String, _ vectors: VectorFile, first: Int, queries count: Int, efs: [Int], readsAhead: Bool) throws {
        let index = VectorIndex(scope: Measuring.scope)
        for ef in efs {
            var (opening, searching, whole, read): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
            for number in first..<first + count {
                let query = vectors[number]
                try drop(folder + "/data.mdb")
                let start = Measuring.seconds()
                let environment = try Measuring.reader(folder, readsAhead: readsAhead)
                let opened = Measuring.seconds()
                _ = try environment.read { try index.search(query, count: 10, effort: .candidates(ef), in: $0) }
                let end = Measuring.seconds()
                opening.append((opened - start) * 1e3)
                searching.append((end - opened) * 1e3)
                whole.append((end - start) * 1e3)
                read.append(Double(try resident(folder + "/data.mdb")) / 1e6)
            }
            Measuring.report([
                ("command", "cold"), ("ef", ef), ("readsAhead", readsAhead), ("queries", count),
                ("openP50", Measuring.median(opening)), ("queryP50", Measuring.median(searching)),
                ("queryP95", Measuring.percentile(searching, 0.95)), ("bothP50", Measuring.median(whole)),
                ("bothP95", Measuring.percentile(whole, 0.95)), ("megabytesRead", Measuring.median(read)),
            ])
        }
    }

    struct StillCached: Error, CustomStringConvertible {
        let path: String
        let bytes: Int
        var description: String { "\(bytes) bytes of \(path) stay in the page cache: another process has the file open" }
    }

    /// Drops a file from the page cache, and makes sure that it is gone.
    private static func drop(_ path: String) throws {
        let descriptor = open(path, O_RDONLY)
        fsync(descriptor)
        posix_fadvise(descriptor, 0, 0, Int32(POSIX_FADV_DONTNEED))
        close(descriptor)
        let bytes = try resident(path)
        guard bytes < 1 << 16 else { throw StillCached(path: path, bytes: bytes) }
    }

    /// Bytes of a file in the page cache.
    private static func resident(_ path: String) throws -> Int {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        guard size > 0, let map = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), map != MAP_FAILED else { return 0 }
        defer { munmap(map, size) }
        var pages = [UInt8](repeating: 0, count: (size + 4_095) / 4_096)
        mincore(map, size, &pages)
        return 4_096 * pages.count { $0 & 1 == 1 }
    }

    /// Opening and the first answer, with the file in the page cache.
    static func hot(_ folder: String, _ vectors: VectorFile, first: Int, times: Int) throws {
        let index = VectorIndex(scope: Measuring.scope)
        let query = vectors[first]
        var (opening, whole, processor): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<times + 1 {
            let (start, begun) = (Measuring.seconds(), Measuring.processorSeconds())
            let environment = try Measuring.reader(folder)
            opening.append((Measuring.seconds() - start) * 1e3)
            _ = try environment.read { try index.search(query, count: 10, in: $0) }
            whole.append((Measuring.seconds() - start) * 1e3)
            processor.append((Measuring.processorSeconds() - begun) * 1e3)
        }
        // The first one brought the file into the page cache.
        whole.removeFirst()
        processor.removeFirst()
        Measuring.report([
            ("command", "open"), ("times", times), ("openP50", Measuring.median(opening)), ("firstAnswerP50", Measuring.median(whole)),
            ("firstAnswerLeast", whole.min()!), ("firstAnswerMost", whole.max()!), ("firstAnswerProcessorP50", Measuring.median(processor)),
        ])
    }

    /// Private memory of the process before the store is opened and after all queries.
    static func memory(_ folder: String, _ vectors: VectorFile, first: Int) throws {
        func privateMegabytes() throws -> Double {
            let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let kilobytes = text.split(separator: "\n").first { $0.hasPrefix("RssAnon") }.flatMap { Double($0.split(separator: " ")[1]) }
            return (kilobytes ?? 0) * 1_024 / 1e6
        }
        let before = try privateMegabytes()
        let environment = try Measuring.reader(folder)
        let index = VectorIndex(scope: Measuring.scope)
        for number in first..<vectors.count { _ = try environment.read { try index.search(vectors[number], count: 10, in: $0) } }
        Measuring.report([
            ("command", "memory"), ("queries", vectors.count - first), ("before", before), ("after", try privateMegabytes()),
            ("bytes", try environment.statistics().bytesUsed),
        ])
    }
}
