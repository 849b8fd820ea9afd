// A store without what was deleted from it: LMDB leaves deleted bytes in its file until their pages are taken again.

internal import Base
internal import Engine
internal import KeySpace
internal import LMDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

public enum Compaction {
    public struct Report: Sendable {
        public let bytesBefore: Int
        public let bytesAfter: Int
    }

    /// Makes a data folder with a compacted copy of a store; beside its server too.
    ///
    /// The secrets that belong to the folder (pepper, key of the audit trail) come along, so that the copy can be served in its place.
    /// - Throws: `.storeNotFound`; `.folderNotEmpty`; `.damaged` for a store with a damaged page: nothing is copied then.
    public static func copy(directory: String, to target: String) throws -> Report {
        let environment = try Database.openForReading(directory: directory)
        let files = FileManager.default
        if let there = try? files.contentsOfDirectory(atPath: target), !there.isEmpty {
            throw ContexError(.folderNotEmpty, "\(target) has something in it: name a folder that is not there, or an empty one")
        }
        let store = DatabaseConfiguration(directory: target).storePath
        do {
            try files.createDirectory(atPath: store, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw ContexError(.folderUnusable, "\(target) cannot be made: \(error)")
        }
        let report = try compacted(environment, to: store + "/data.mdb")
        for name in ["pepper", "audit-key"] where files.fileExists(atPath: directory + "/" + name) {
            try files.copyItem(atPath: directory + "/" + name, toPath: target + "/" + name)
        }
        return report
    }

    /// Puts a compacted copy in the place of a store that nobody serves. A stop in between leaves the store as it was, or the copy in its place.
    /// - Throws: `.folderInUse` while a server runs; `.storeNotFound`; `.damaged`
    public static func replace(directory: String) throws -> Report {
        _ = try Database.openForReading(directory: directory)
        let store = DatabaseConfiguration(directory: directory).storePath
        let environment: Environment
        do {
            environment = try Environment(store: store)
        } catch {
            throw Database.openFailure(error, directory)
        }
        let draft = store + "/data.compact"
        // What is there is of a run that was cut off.
        try? FileManager.default.removeItem(atPath: draft)
        let report = try compacted(environment, to: draft)
        do {
            try environment.take(draft)
        } catch {
            try? FileManager.default.removeItem(atPath: draft)
            throw Database.openFailure(error, directory)
        }
        return report
    }

    private static func compacted(_ environment: Environment, to file: String) throws -> Report {
        do {
            let before = try environment.statistics().bytesUsed
            try environment.copyCompacted(to: file)
            do throws(ContexError) {
                try PageGaps.clear(file)
            } catch {
                try? FileManager.default.removeItem(atPath: file)
                throw error
            }
            let size = try FileManager.default.attributesOfItem(atPath: file)[.size]
            return Report(bytesBefore: before, bytesAfter: (size as? Int) ?? (size as? UInt64).map { Int($0) } ?? 0)
        } catch {
            throw ContexError(anyError: error)
        }
    }
}
