// A store that is damaged made sound again, as far as what is left of it goes. The log, the journal and the audit trail are read and copied, and
// never changed: what of them is gone is told, and stays gone.
//
//     read what can be reached, by the meta page that is good  ->  a new file beside the store, record by record
//       records of indexes whose seals are broken stay behind; all others come along as they are
//     what follows from the documents and the log is made again     (DocumentMending)
//     the indexes of the projects that have lost something          (Reindex)
//     the whole check                                               (IntegrityCheck)
//     one rename puts the file in the place of the store's; that one is kept beside it
//
// A stop in between leaves the store as it was, or the new file in its place. Nothing is renamed when nothing was mended.

internal import Base
internal import Documents
public import Engine
internal import Events
internal import KeySpace
internal import LMDB
internal import Needs
internal import Tenants

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

public enum Repair {
    public struct Report: Sendable {
        /// What was wrong.
        public var found: [String] = []
        /// What was done about it.
        public var mended: [String] = []
        /// What is wrong still, and cannot be mended from what is left.
        public var left: [String] = []
        /// Records that the new file has.
        public var records = 0
        /// The file of before, beside the store's; nil: the store was left as it was.
        public var kept: String?
    }

    public enum Step: Sendable {
        case checking(String)
        case copying(records: Int)
        case indexing(done: Int, all: Int)
        case linking(done: Int, all: Int)
    }

    /// The name that the file of before has from then on.
    public static let keptName = "data.mdb.before-repair"
    private static let draftName = "repair"

    /// - Parameters:
    ///   - configuration: as the server has it: threshold and mode decide whom an agent follows.
    ///   - models: asked for only when texts are to be embedded or counted.
    /// - Throws: `.folderInUse` while a server runs; `.storeNotFound`; `.damaged` when nothing can be reached, `.storageFull` without room for a second
    ///   file; what the model throws. The store is as it was then.
    /// - Complexity: O(store), and what a rebuild of the projects costs whose indexes are made anew.
    public static func run(
        configuration: DatabaseConfiguration, models: () async throws -> Models, progress: (Step) -> Void = { _ in }
    ) async throws -> Report {
        let store = configuration.storePath
        guard FileManager.default.fileExists(atPath: store + "/data.mdb") else {
            throw ContexError(.storeNotFound, "no store in \(configuration.directory), or an empty one")
        }
        let lock: WriterLock
        do {
            lock = try WriterLock(path: store)
        } catch {
            throw Database.openFailure(error, configuration.directory)
        }
        var report = Report()
        do {
            report.found = try IntegrityCheck.run(directory: configuration.directory) { progress(.checking($0)) }.findings
        } catch {
            report.found = [ContexError(anyError: error).message]
        }
        guard !report.found.isEmpty else { return report }

        var draft = configuration
        draft.directory = store + "/" + draftName
        draft.durability = .unsafeNoSync
        // What is there is of a run that was cut off.
        try? FileManager.default.removeItem(atPath: draft.directory)
        defer { try? FileManager.default.removeItem(atPath: draft.directory) }
        do {
            try FileManager.default.createDirectory(
                atPath: draft.storePath, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try await fill(draft, from: store, models, &report, progress)
            report.left = try IntegrityCheck.run(directory: draft.directory) { progress(.checking($0)) }.findings
            guard !report.mended.isEmpty else { return report }
            try lock.replace(store, by: draft.storePath + "/data.mdb", keeping: keptName)
            report.kept = store + "/" + keptName
        } catch {
            throw ContexError(anyError: error)
        }
        return report
    }

    /// Copies what can be reached, and mends the copy. Its file is closed and on the disk when this returns.
    private static func fill(
        _ draft: DatabaseConfiguration, from store: String, _ models: () async throws -> Models, _ report: inout Report, _ progress: (Step) -> Void
    ) async throws {
        let environment = try Environment(store: draft.storePath, options: .init(durability: draft.durability, mapBytes: draft.mapBytes))
        let copied = try copy(store, into: environment, &report, progress)
        let isEmpty = try environment.read { try !StoreFormat.verify($0) }
        if isEmpty { throw ContexError.damaged("no record can be reached: restore a backup") }
        let trouble = try await mend(environment, draft, copied, models, &report, progress)
        if !trouble.isEmpty {
            let model = try await models()
            let present = try environment.read { try VectorModel.load($0) }
            if let present, present.identity != model.identity || present.dimension != model.dimension || present.texts != model.vectorModel.texts {
                throw ContexError(
                    .reindexNeeded, "the indexes were made by the model \(present.identity) and are to be mended with it, not with \(model.identity): "
                        + "give that one, or run 'contex reindex'")
            }
            // A rebuild that was cut off is finished with it.
            let isPartial = present != nil && present?.rebuild == nil
            let done = try await Reindex.run(environment, draft, model, nil, isPartial ? Set(trouble.keys) : nil) { step, done, all in
                progress(step == .indexing ? .indexing(done: done, all: all) : .linking(done: done, all: all))
            }
            let names = trouble.values.sorted().map { "'\($0)'" }.joined(separator: ", ")
            report.mended.append("the indexes of \(done.projects) projects were made anew, with \(done.nodes) nodes and \(done.needs) needs: \(names)")
        }
        try environment.flush()
    }

    /// What a copy has left behind.
    private struct Copied {
        /// Scopes that have lost records of indexes.
        var derived: Set<TenantScope> = []
        var gaps = false
    }

    private static func copy(
        _ store: String, into environment: Environment, _ report: inout Report, _ progress: (Step) -> Void
    ) throws -> Copied {
        var copied = Copied()
        var (records, dropped, unordered) = (0, 0, 0)
        var batch = Batch(environment)
        let read = try DamagedStore.read(store) { key, value in
            let kind = key.count >= TenantScope.prefixBytes ? KeyKind(rawValue: key[key.startIndex + TenantScope.prefixBytes - 1]) : nil
            if let kind, Reindex.madeAnew.contains(kind), !Seal.holds(key: key, value: value) {
                dropped += 1
                if let scope = TenantScope(ofKey: key) { copied.derived.insert(scope) }
                return
            }
            guard try batch.append(key, value) else {
                unordered += 1
                return
            }
            records += 1
            if records % 4_096 == 0 { progress(.copying(records: records)) }
        }
        try batch.finish()
        report.records = records
        copied.gaps = !read.gaps.isEmpty
        if let meta = read.meta {
            var isKnown = false
            if case .commits = meta.fault { isKnown = true }
            report.mended.append(
                "the meta page that is good was taken, of commit \(read.commit) (\(meta))"
                    + (isKnown ? "" : "; if the other one was of a later commit, what that wrote may be gone"))
        }
        if read.isOlder {
            report.mended.append(
                "the state before the last commit was taken, commit \(read.commit), since that of the last cannot be reached: what it wrote is gone")
        }
        if !read.gaps.isEmpty || !read.findings.isEmpty {
            let fault = read.findings.first.map { "\($0)" } ?? "a page is broken"
            report.mended.append("\(records) records were saved from pages that can be read; those of \(read.gaps.count) that cannot are gone (\(fault))")
        } else if report.found.contains(where: { $0.contains("page ") }), read.meta == nil {
            // Of the tree of free pages, which a new file does not have.
            report.mended.append("\(records) records were written into a file whose free pages are in order")
        }
        if dropped > 0 { report.mended.append("\(dropped) records of indexes with broken seals were left behind, to be made anew") }
        if unordered > 0 { report.mended.append("\(unordered) records stood where they do not belong, and were left behind") }
        return copied
    }

    /// Makes again what can be, and finds the projects whose indexes have to be made anew and can be, with their names.
    private static func mend(
        _ environment: Environment, _ draft: DatabaseConfiguration, _ copied: Copied, _ models: () async throws -> Models, _ report: inout Report,
        _ progress: (Step) -> Void
    ) async throws -> [TenantScope: String] {
        let (names, dimension, isHalf, differences) = try environment.read { view in
            var names: [TenantScope: String] = [:]
            for tenant in try TenantRegistry.numbers(in: view) {
                for entry in try ProjectRegistry(tenant: tenant).entries(in: view) {
                    names[TenantScope(tenant: tenant, project: entry.project)] = entry.name.text
                }
            }
            var tally = RecordTally()
            try view.scan(prefix: []) { key, value in
                tally.add(key, value)
                return .onward
            }
            let model = try VectorModel.load(view)
            return (names, model?.dimension, model.map { $0.rebuild != nil } ?? true, (try? tally.differences(in: view)) ?? [])
        }
        let kinds = Dictionary(grouping: differences.filter { $0.scope != nil }, by: { $0.scope! }).mapValues(Self.kinds)
        let derived = Set(Reindex.madeAnew.map(\.rawValue))
        var trouble: [TenantScope: String] = [:]
        for (scope, name) in names.sorted(by: { $0.value < $1.value }) {
            progress(.checking("project \(name)"))
            let own = kinds[scope] ?? []
            let width = dimension ?? 0
            let isBroken = try environment.read { try hasBrokenSeal(scope, in: $0) }
            let mending = DocumentMending(scope: scope, dimension: width)
            if isBroken || !own.subtracting(derived).isEmpty {
                let needsModel = try environment.read { try mending.needsModel(in: $0) }
                let counter = needsModel ? try await models().countTokens : nil
                report.mended += try mending.run(environment, countTokens: counter).map { "project '\(name)': \($0)" }
            }
            // What indexes are not in order for a document or event that is gone is not to be mended there.
            let isDue = try environment.read { view in
                let now = try Self.kinds(Self.differences(of: scope, in: view))
                if isHalf || copied.derived.contains(scope) || !now.isDisjoint(with: derived) { return true }
                guard try now.isEmpty && !hasBrokenSeal(scope, in: view) else { return false }
                return !IntegrityCheck.findings(scope, width, in: view).isEmpty
            }
            if isDue, try environment.read({ isWhole(scope, in: $0) }) { trouble[scope] = name }
        }
        return trouble
    }

    /// The kinds of which records are gone, or others than they were.
    private static func kinds(_ differences: [RecordTally.Difference]) -> Set<UInt8> {
        Set(
            differences.compactMap { difference in
                switch difference.what {
                case .count(let kind, _, _), .other(let kind): kind
                case .noSums, .oldSums, .storage: nil
                }
            })
    }

    private static func differences(of scope: TenantScope, in view: borrowing TransactionView) throws -> [RecordTally.Difference] {
        var tally = RecordTally()
        try view.scan(prefix: scope.prefix) { key, value in
            tally.add(key, value)
            return .onward
        }
        return try tally.differences(of: scope, in: view)
    }

    private static func hasBrokenSeal(_ scope: TenantScope, in view: borrowing TransactionView) throws -> Bool {
        var isBroken = false
        try view.scan(prefix: scope.prefix) { key, value in
            if (try? Seal.open(key: key, value: value)) == nil { isBroken = true }
            return isBroken ? .stop : .onward
        }
        return isBroken
    }

    /// Whether all that indexes are made of can be read: the documents with their nodes, and the agents.
    private static func isWhole(_ scope: TenantScope, in view: borrowing TransactionView) -> Bool {
        let documents = DocumentStore(scope: scope)
        var isWhole = true
        do {
            try documents.forEachDocument(in: view) { document in
                for id in document.nodes where try documents.node(id, in: view) == nil { isWhole = false }
            }
            let log = EventLog(scope: scope)
            try documents.forEachNode(in: view) { _, node in _ = try log.ownVector(of: node, in: view) }
            _ = try NeedStore(scope: scope).agents(in: view)
        } catch {
            return false
        }
        return isWhole
    }
}

/// Records that come in the order of their keys, put into an empty store.
private struct Batch: ~Copyable {
    private let environment: Environment
    private var transaction: WriteTransaction?
    private var bytes = 0

    init(_ environment: Environment) { self.environment = environment }

    /// - Returns: false for one that is out of order.
    mutating func append(_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) throws -> Bool {
        if transaction == nil { transaction = try environment.beginWrite() }
        guard !key.isEmpty, key.count <= WriteTransaction.keyBytesMax, try transaction!.append(key, value) else { return false }
        bytes += key.count + value.count
        if bytes >= Limits.restoreTransactionBytes { try finish() }
        return true
    }

    mutating func finish() throws {
        bytes = 0
        guard let open = transaction.take() else { return }
        try open.commit()
        environment.growFile()
    }
}
