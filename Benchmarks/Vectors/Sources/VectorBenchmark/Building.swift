import Base
import Foundation
import LMDB
import Vectors

/// Filling an empty store.
enum Building {
    private static func empty(_ folder: String, _ durability: Environment.Options.Durability) throws -> Environment {
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return try Environment(path: folder, options: .init(durability: durability, mapBytes: Measuring.mapBytes))
    }

    static func insert(_ folder: String, _ vectors: VectorFile, count: Int, parameters: HNSWParameters, sync: Bool) throws {
        let environment = try empty(folder, sync ? .everyCommit : .unsafeNoSync)
        let index = VectorIndex(scope: Measuring.scope, parameters: parameters)
        let (start, processor) = (Measuring.seconds(), Measuring.processorSeconds())
        var last = start
        for first in stride(from: 0, to: count, by: 256) {
            var transaction = try environment.beginWrite()
            for number in first..<min(first + 256, count) { try index.insert(NodeID(rawValue: UInt32(number)), vectors[number], in: &transaction) }
            try transaction.commit()
            environment.growFile()
            let done = first + 256
            if done % 10_240 == 0 {
                let now = Measuring.seconds()
                Measuring.progress("\(done) of \(count) inserted, \(Int(10_240 / (now - last)))/s")
                last = now
            }
        }
        let statistics = try environment.statistics()
        Measuring.report([
            ("command", "insert"), ("count", count), ("perSecond", Double(count) / (Measuring.seconds() - start)),
            ("perProcessorSecond", Double(count) / (Measuring.processorSeconds() - processor)), ("bytes", statistics.bytesUsed),
            ("bytesWithoutFreePages", statistics.tableBytes),
        ])
    }

    static func bulk(_ folder: String, _ vectors: VectorFile, count: Int, threads: Int, parameters: HNSWParameters) throws {
        let environment = try empty(folder, .everyCommit)
        let (start, processor) = (Measuring.seconds(), Measuring.processorSeconds())
        let build = VectorBulkBuild(VectorIndex(scope: Measuring.scope, parameters: parameters), threads: threads)
        for first in stride(from: 0, to: count, by: 8_192) {
            var transaction = try environment.beginWrite()
            try build.add((first..<min(first + 8_192, count)).map { (NodeID(rawValue: UInt32($0)), vectors[$0]) }, in: &transaction)
            try transaction.commit()
            environment.growFile()
        }
        let stored = Measuring.seconds()
        Measuring.progress("\(count) stored, \(Int(stored - start)) s")
        var told = stored
        try build.link(in: environment) { linked, all in
            let now = Measuring.seconds()
            if now - told > 10 {
                Measuring.progress("\(linked) of \(all) linked, \(Int(now - start)) s")
                told = now
            }
            return true
        }
        let linked = Measuring.seconds()
        var isComplete = false
        while !isComplete {
            var transaction = try environment.beginWrite()
            isComplete = try build.write(in: &transaction)
            try transaction.commit()
            environment.growFile()
        }
        Measuring.report([
            ("command", "build"), ("M", parameters.M), ("efConstruction", parameters.efConstruction), ("bits", parameters.codeBits), ("count", count),
            ("threads", threads), ("perSecond", Double(count) / (Measuring.seconds() - start)),
            ("perProcessorSecond", Double(count) / (Measuring.processorSeconds() - processor)), ("store", stored - start), ("link", linked - stored),
            ("write", Measuring.seconds() - linked), ("bytes", try environment.statistics().bytesUsed),
        ])
    }
}
