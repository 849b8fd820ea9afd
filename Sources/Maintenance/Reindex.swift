// The offline rebuild of every index from the documents: after a change of the embedding model, or to repair.
//
// The store says what it is while it happens (VectorModel.rebuild): a server refuses it until the rebuild is finished, and a
// rebuild that was cut off goes on where it stopped, because each of its transactions moves the mark together with what it
// wrote. Documents, log, keys and registrations are not touched.
//
//     project by project:  clear the indexes  ->  nodes in order, a batch a transaction: texts, and vectors without a graph
//                          ->  the graph of all of them, on all cores  ->  attributes  ->  needs and whom they follow
//
// Cut off while the graph is made, it makes the graph again: that is the shorter part, and its vectors are stored by then. A
// vector that its publisher brought is taken from the log; one of another dimension than the model's cannot be compared with
// the model's, so the text is embedded instead, and the report says so. (The log keeps it: a later rebuild with a model of its
// dimension brings it back.)
//
// Memory: one batch of nodes, some 1.7 kB a vector for the graph of one project, and its needs. Commits block the thread that
// runs this: the process does nothing else, and the model computes on threads of its own.

internal import Attributes
public import Base
internal import Documents
public import Engine
internal import Events
internal import FullText
internal import Journal
internal import KeySpace
internal import LMDB
internal import Needs
internal import Vectors

public enum Reindex {
    public struct Report: Sendable {
        public var projects = 0
        public var nodes = 0
        public var needs = 0
        /// Vectors of publishers that were kept, and those of another dimension that were replaced by the embedding of their text.
        public var ownVectors = 0
        public var foreignVectors = 0
        /// Whether an earlier rebuild was taken up where it had stopped.
        public var wasResumed = false
    }

    /// Nodes of one transaction: enough that the indexes write each record seldom, few enough that little is lost when it is cut
    /// off (some seconds of embedding).
    static let batchNodes = 1_024

    public enum Step: Sendable {
        case indexing
        /// The vectors of one project into its graph.
        case linking
    }

    /// The analyser that a project is to have from now on.
    public struct AnalyzerChange: Sendable {
        let project: Name
        let analyzer: Analyzer

        /// - Throws: `.invalid` for an unknown name.
        public init(project: Name, analyzer name: String) throws(ContexError) {
            guard let kind = Analyzer.Kind(name: name) else {
                throw .invalid(field: "analyzer", kind: "enum", message: "the analyser is one of \(ProjectSettings.analyzerNames.joined(separator: ", "))")
            }
            self.project = project
            analyzer = Analyzer(kind)
        }
    }

    /// - Parameters:
    ///   - change: made where the project's indexes are emptied, in the same transaction, so that a rebuild that is cut off and taken up
    ///     without it leaves the project with its old analyser or with its new one.
    ///   - configuration: directory, threshold and mode as the server has them: they decide whom an agent follows.
    ///   - progress: called after each transaction with the nodes that are done and all nodes, and while a graph is made with the
    ///     vectors that are linked and all of the project.
    /// - Throws: `.conflict` when a server has the directory open; `.notFound` without a store; what the model throws.
    /// - Complexity: O(nodes) embeddings and inserts.
    public static func run(
        configuration: DatabaseConfiguration, models: Models, change: AnalyzerChange? = nil,
        progress: (_ step: Step, _ done: Int, _ all: Int) -> Void = { _, _, _ in }
    ) async throws -> Report {
        // Looked at for reading first: an empty folder must not become a store.
        _ = try Database.openForReading(directory: configuration.directory)
        do {
            let environment = try Environment(
                path: configuration.storePath, options: .init(durability: configuration.durability, mapBytes: configuration.mapBytes))
            return try await run(environment, configuration, models, change, progress)
        } catch let error as LMDBError {
            throw Database.openFailure(error, configuration.directory)
        }
    }

    private static func run(
        _ environment: Environment, _ configuration: DatabaseConfiguration, _ models: Models, _ change: AnalyzerChange?,
        _ progress: (Step, Int, Int) -> Void
    ) async throws -> Report {
        var report = Report()
        let tenant = TenantID.standard
        let (projects, sizes, present) = try environment.read { view in
            guard try StoreFormat.verify(view) else { throw ContexError(.storeNotFound, "the store is empty") }
            let projects = try ProjectRegistry(tenant: tenant).entries(in: view).sorted { $0.project.rawValue < $1.project.rawValue }
            let sizes = try projects.map { try DocumentStore(scope: TenantScope(tenant: tenant, project: $0.project)).nodeIDs(in: view).count }
            return (projects, sizes, try VectorModel.load(view))
        }
        var mark = VectorModel.Progress(project: 0, node: 0, isCleared: false)
        if let present, let rebuild = present.rebuild, present.identity == models.identity, present.dimension == models.dimension,
            present.texts == models.vectorModel.texts
        {
            mark = rebuild
            report.wasResumed = true
        }
        if let change {
            guard let entry = projects.first(where: { $0.name == change.project }) else {
                throw ContexError(.projectNotFound, "there is no project '\(change.project)'")
            }
            // Already past it with another analyser: back to where it begins.
            let isCleared = entry.project.rawValue < mark.project || (entry.project.rawValue == mark.project && mark.isCleared)
            let index = TextIndex(scope: TenantScope(tenant: tenant, project: entry.project))
            if isCleared, try environment.read({ try index.options(in: $0).analyzer }) != change.analyzer {
                mark = VectorModel.Progress(project: entry.project.rawValue, node: 0, isCleared: false)
            }
        }
        let all = sizes.reduce(0, +)
        var done = 0
        for (entry, size) in zip(projects, sizes) {
            let scope = TenantScope(tenant: tenant, project: entry.project)
            if entry.project.rawValue < mark.project {
                done += size
                continue
            }
            if mark.project != entry.project.rawValue || !mark.isCleared {
                mark = .init(project: entry.project.rawValue, node: 0, isCleared: true)
                try write(environment, models, mark) { transaction in
                    try VectorIndex(scope: scope, dimension: models.dimension).removeAll(in: &transaction)
                    let texts = TextIndex(scope: scope)
                    try texts.removeAll(in: &transaction)
                    if let change, change.project == entry.name {
                        var options = try texts.options(in: transaction.view)
                        options.analyzer = change.analyzer
                        try texts.configure(options, in: &transaction)
                    }
                }
            }
            let index = VectorIndex(scope: scope, dimension: models.dimension)
            let build = VectorBulkBuild(index, threads: configuration.threads)
            let analyzer = try environment.read { try TextIndex(scope: scope).options(in: $0).analyzer }
            let before = done
            done += try environment.read { try DocumentStore(scope: scope).nodeIDs(in: $0).count { $0.rawValue < mark.node } }
            while true {
                let from = mark.node
                let batch = try environment.read { try DocumentStore(scope: scope).nodes(from: NodeID(rawValue: from), count: batchNodes, in: $0) }
                guard let last = batch.last else { break }
                let vectors = try await Self.vectors(of: batch.map(\.record), scope, environment, models, &report)
                let texts = try batch.mapOnAllCores { node in
                    Result { () throws(ContexError) in TextChange(node: node.id, new: AnalyzedText(try node.record.indexedText, analyzer: analyzer)) }
                }.map { try $0.get() }
                mark.node = last.id.rawValue + 1
                try write(environment, models, mark) { transaction in
                    try build.add(zip(batch, vectors).filter { !$1.isEmpty }.map { ($0.id, $1) }, in: &transaction)
                    // Another model reads other scripts.
                    for (node, vector) in zip(batch, vectors) where node.record.hasVector == vector.isEmpty {
                        try DocumentStore(scope: scope).put(node.record.having(vector: !vector.isEmpty), as: node.id, in: &transaction)
                    }
                    try TextIndex(scope: scope).apply(texts, in: &transaction)
                }
                report.nodes += batch.count
                done += batch.count
                progress(.indexing, done, all)
            }
            if try environment.read({ try VectorBulkBuild.stored(index, in: $0) }) != nil {
                try build.link(in: environment) { linked, vectors in
                    progress(.linking, linked, vectors)
                    return true
                }
                var isWritten = false
                while !isWritten { try write(environment, models, mark) { isWritten = try build.write(in: &$0) } }
            }
            done = before + size
            try rebuildAttributes(environment, scope)
            report.needs += try await rebuildNeeds(environment, scope, entry.name, configuration, models)
            report.projects += 1
            mark = .init(project: entry.project.rawValue + 1, node: 0, isCleared: false)
            try write(environment, models, mark) { _ in }
        }
        try write(environment, models, nil) { transaction in
            // No command made these indexes: a journal from before would lead elsewhere.
            try Journal().removeAll(in: &transaction)
            // A graph that an import had set apart is whole now.
            guard var mark = try ImportMark.load(transaction.view), mark.isBuilding else { return }
            mark.isBuilding = false
            try mark.store(in: &transaction)
        }
        return report
    }

    /// Of the nodes in order: those that publishers brought from the log, the others by the model.
    private static func vectors(
        of nodes: [NodeRecord], _ scope: TenantScope, _ environment: Environment, _ models: Models, _ report: inout Report
    ) async throws -> [[Float]] {
        let own: [[Float]?] = try environment.read { view in
            let log = EventLog(scope: scope)
            var found: [[Float]?] = []
            for node in nodes { found.append(try log.ownVector(of: node, in: view)) }
            return found
        }
        let fitting = own.map { $0?.count == models.dimension ? $0 : nil }
        report.ownVectors += fitting.count { $0 != nil }
        report.foreignVectors += zip(own, fitting).count { $0 != nil && $1 == nil }
        var embedded = try await models.embed(documents: zip(nodes, fitting).filter { $1 == nil }.map { try $0.0.embeddedText }, in: .server)[...]
        return fitting.map { $0 ?? embedded.removeFirst() }
    }

    /// Empties the attribute index and fills it from the documents; begun again when it was cut off.
    private static func rebuildAttributes(_ environment: Environment, _ scope: TenantScope) throws {
        let index = AttributeIndex(scope: scope)
        let ids = try environment.read { view in
            var ids: [DocumentID] = []
            try DocumentStore(scope: scope).forEachDocument(in: view) { ids.append($0.id) }
            return ids
        }
        var transaction = try environment.beginWrite()
        try index.removeAll(in: &transaction)
        try transaction.commit()
        for start in stride(from: 0, to: ids.count, by: batchNodes) {
            var transaction = try environment.beginWrite()
            for id in ids[start..<min(ids.count, start + batchNodes)] {
                try index.replace(nil, with: DocumentStore(scope: scope).document(id, in: transaction.view)?.attributes, in: &transaction)
            }
            try transaction.commit()
            environment.growFile()
        }
    }

    /// Embeds every need anew and lets its agent follow what it matches now, as a registration does. Nobody is told.
    private static func rebuildNeeds(
        _ environment: Environment, _ scope: TenantScope, _ project: Name, _ configuration: DatabaseConfiguration, _ models: Models
    ) async throws -> Int {
        let store = NeedStore(scope: scope)
        let agents = try environment.read { try store.agents(in: $0) }
        for agent in agents {
            let vectors = agent.needs.isEmpty ? [] : try await models.embed(questions: agent.needs.map { ScopedText($0, in: .server) })
            let searching = NeedSearch(
                tenant: scope.tenant, project: project, needs: agent.needs, vectors: vectors, dimension: models.dimension, configuration,
                packing: nil)
            var transaction = try environment.beginWrite()
            let found = try searching.run(in: transaction.view)
            for (place, need) in zip(agent.needs, vectors).enumerated() {
                try store.put(
                    NeedRecord(agent: agent.number, index: UInt32(place), text: need.0, vector: need.1), in: &transaction)
            }
            for document in try store.followed(by: agent.number, in: transaction.view).keys.sorted() {
                try store.setFollow(agent: agent.number, document: document, nodes: [], in: &transaction)
            }
            try found.setFollows(of: agent.number, store, in: &transaction)
            try transaction.commit()
        }
        return agents.reduce(0) { $0 + $1.needs.count }
    }

    /// One transaction that moves the mark together with what `body` writes; nil ends the rebuild.
    private static func write(
        _ environment: Environment, _ models: Models, _ mark: VectorModel.Progress?, _ body: (inout WriteTransaction) throws -> Void
    ) throws {
        var transaction = try environment.beginWrite()
        try body(&transaction)
        var model = models.vectorModel
        model.rebuild = mark
        try model.store(in: &transaction)
        try transaction.commit()
        environment.growFile()
    }
}
