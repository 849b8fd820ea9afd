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
internal import Content
internal import Documents
public import Engine
internal import Events
internal import FullText
internal import Journal
internal import KeySpace
internal import LMDB
internal import Needs
internal import Tenants
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

    /// What a rebuild empties first, and fills again.
    static let madeAnew: Set<KeyKind> = [
        .vectorState, .vector, .vectorLinks, .vectorSlots, .vectorCodes, .vectorNodes, .vectorBulk, .vectorSum,
        .textState, .posting, .textPositions, .textTerms, .textLengths, .textRecent, .need, .needState, .agentMatch, .agentMatchByDocument,
        .agentNeeds, .needFollower, .needByText, .needTerm, .needLimits, .needCodes, .attributeNodes, .attributeTimes,
    ]

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
        try verifyPages(configuration.directory)
        do {
            let environment = try Environment(
                store: configuration.storePath, options: .init(durability: configuration.durability, mapBytes: configuration.mapBytes))
            return try await run(environment, configuration, models, change, nil, progress)
        } catch let error as LMDBError {
            throw Database.openFailure(error, configuration.directory)
        }
    }

    /// In a scope of its own: the files must be closed before they are opened for writing.
    private static func verifyPages(_ directory: String) throws {
        let environment = try Database.openForReading(directory: directory)
        do {
            try environment.readVerified { _ in }
        } catch {
            throw ContexError(anyError: error)
        }
    }

    /// - Parameter only: these projects, by the model that made the indexes of the others too: what is left of the journal is left, since it leads to
    ///   the same documents, needs and answers. nil: all of the store, and its journal goes.
    static func run(
        _ environment: Environment, _ configuration: DatabaseConfiguration, _ models: Models, _ change: AnalyzerChange?, _ only: Set<TenantScope>?,
        _ progress: (Step, Int, Int) -> Void
    ) async throws -> Report {
        var report = Report()
        let (projects, sizes, present) = try environment.read { view in
            guard try StoreFormat.verify(view) else { throw ContexError(.storeNotFound, "the store is empty") }
            var projects: [(scope: TenantScope, entry: ProjectRegistry.Entry)] = []
            for tenant in try TenantRegistry.numbers(in: view).sorted() {
                let entries = try ProjectRegistry(tenant: tenant).entries(in: view).sorted { $0.project.rawValue < $1.project.rawValue }
                projects += entries.map { (TenantScope(tenant: tenant, project: $0.project), $0) }
            }
            if let only { projects.removeAll { !only.contains($0.scope) } }
            let sizes = try projects.map { try DocumentStore(scope: $0.scope).nodeIDs(in: view).count }
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
            guard let (scope, entry) = projects.first(where: { $0.scope.tenant == .standard && $0.entry.name == change.project }) else {
                throw ContexError(.projectNotFound, "there is no project '\(change.project)'")
            }
            // Already past it with another analyser: back to where it begins.
            let isCleared = mark.isPast(scope) || (mark.isAt(scope) && mark.isCleared)
            let index = TextIndex(scope: scope)
            if isCleared, try environment.read({ try index.options(in: $0).analyzer }) != change.analyzer {
                mark = VectorModel.Progress(project: entry.project.rawValue, node: 0, isCleared: false)
            }
        }
        let all = sizes.reduce(0, +)
        var done = 0
        for ((scope, entry), size) in zip(projects, sizes) {
            if mark.isPast(scope) {
                done += size
                continue
            }
            if !mark.isAt(scope) || !mark.isCleared {
                mark = .init(tenant: scope.tenant, project: entry.project.rawValue, node: 0, isCleared: true)
                try write(environment, models, mark) { transaction in
                    try VectorIndex(scope: scope, dimension: models.dimension).removeAll(in: &transaction)
                    let texts = TextIndex(scope: scope)
                    try texts.removeAll(in: &transaction)
                    if let change, scope.tenant == .standard, change.project == entry.name {
                        var options = try texts.options(in: transaction.view)
                        options.analyzer = change.analyzer
                        try texts.configure(options, in: &transaction)
                    }
                }
            }
            // Cut off in here it is done again: what is as it should be is left.
            if mark.node == 0 { try cutAnew(environment, scope) }
            let index = VectorIndex(scope: scope, dimension: models.dimension)
            let build = VectorBulkBuild(index, threads: configuration.threads)
            let analyzer = try environment.read { try TextIndex(scope: scope).options(in: $0).analyzer }
            let before = done
            done += try environment.read { try DocumentStore(scope: scope).nodeIDs(in: $0).count { $0.rawValue < mark.node } }
            while true {
                let from = mark.node
                let batch = try environment.read { try DocumentStore(scope: scope).nodes(from: NodeID(rawValue: from), count: batchNodes, in: $0) }
                guard let last = batch.last else { break }
                let units = try IndexedUnit.units(of: batch)
                let vectors = try await Self.vectors(of: units, scope, environment, models, &report)
                let texts = try units.mapOnAllCores { unit in
                    Result { () throws(ContexError) in zip(unit.entries, try unit.analyzed(analyzer)).map { TextChange(node: $0, new: $1) } }
                }.flatMap { try $0.get() }
                mark.node = last.id.rawValue + 1
                try write(environment, models, mark) { transaction in
                    try build.add(zip(units.flatMap(\.entries), vectors).filter { !$1.isEmpty }.map { ($0, $1) }, in: &transaction)
                    // Another model reads other scripts.
                    var rest = vectors[...]
                    for unit in units {
                        let unread = Array(rest.prefix(unit.entries.count)).unread
                        rest = rest.dropFirst(unit.entries.count)
                        if unread != unit.records[0].unread {
                            try DocumentStore(scope: scope).put(unit.records[0].having(unread: unread), as: unit.first, in: &transaction)
                        }
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
            mark = .init(tenant: scope.tenant, project: entry.project.rawValue + 1, node: 0, isCleared: false)
            try write(environment, models, mark) { _ in }
        }
        try write(environment, models, nil) { transaction in
            // No command made these indexes: a journal from before would lead elsewhere.
            if only == nil { try Journal().removeAll(in: &transaction) }
            // A graph that an import had set apart is whole now.
            if var mark = try ImportMark.load(transaction.view), mark.isBuilding {
                mark.isBuilding = false
                try mark.store(in: &transaction)
            }
            // What was gone before is there again; of the others only what was written counts.
            let keepsSums = try RecordSums.areKept(in: transaction.view)
            if keepsSums || only == nil {
                try RecordSums.recount(keepsSums ? (only == nil ? madeAnew.union([.journalState, .journalEntry]) : madeAnew) : nil, in: &transaction)
            }
        }
        return report
    }

    /// Of the entries of units in order: those that publishers brought from the log, the others by the model.
    private static func vectors(
        of units: [IndexedUnit], _ scope: TenantScope, _ environment: Environment, _ models: Models, _ report: inout Report
    ) async throws -> [[Float]] {
        let own: [[Float]?] = try environment.read { view in
            let log = EventLog(scope: scope)
            var found: [[Float]?] = []
            for unit in units { found.append(try log.ownVector(of: unit.records[0], in: view)) }
            return found
        }
        let fitting = own.map { $0?.count == models.dimension ? $0 : nil }
        report.ownVectors += fitting.count { $0 != nil }
        report.foreignVectors += zip(own, fitting).count { $0 != nil && $1 == nil }
        let texts = try zip(units, fitting).flatMap { unit, own in own == nil ? try unit.embeddedTexts : [] }
        var embedded = try await models.embed(documents: texts, in: .server)[...]
        return zip(units, fitting).flatMap { unit, own in own.map { [$0] } ?? unit.entries.map { _ in embedded.removeFirst() } }
    }

    /// Cuts the nodes of every document into the passages that this build would cut them into. Those of a document that has others get new numbers.
    private static func cutAnew(_ environment: Environment, _ scope: TenantScope) throws {
        let documents = DocumentStore(scope: scope)
        let ids = try environment.read { view in
            var ids: [DocumentID] = []
            try documents.forEachDocument(in: view) { ids.append($0.id) }
            return ids
        }
        for start in stride(from: 0, to: ids.count, by: batchNodes) {
            let changed = try environment.read { view in
                try ids[start..<min(ids.count, start + batchNodes)].compactMap { id in
                    try documents.document(id, in: view).flatMap { document in try cut(document, documents, in: view).map { (document, $0) } }
                }
            }
            guard !changed.isEmpty else { continue }
            var transaction = try environment.beginWrite()
            for (var document, records) in changed {
                for node in document.nodes { try documents.removeNode(node, in: &transaction) }
                var numbers = try documents.reserveNodes(records.reduce(0) { $0 + $1.extent.numbers }, in: &transaction)[...]
                (document.nodes, document.passages) = ([], [])
                for record in records {
                    guard let number = numbers.first else { break }
                    numbers = numbers.dropFirst(record.extent.numbers)
                    try documents.put(record, as: number, in: &transaction)
                    document.nodes.append(number)
                    if let run = IndexedUnit(first: number, records: [record]).run { document.passages.append(run) }
                }
                try documents.put(document, in: &transaction)
            }
            try transaction.commit()
            environment.growFile()
        }
    }

    /// The records of a document as they are to be; nil when they are so.
    private static func cut(_ document: DocumentRecord, _ documents: DocumentStore, in view: borrowing TransactionView) throws -> [NodeRecord]? {
        var records: [NodeRecord] = []
        for id in document.nodes {
            guard let record = try documents.node(id, in: view) else {
                throw ContexError.damaged("'\(document.key)' lists node \(id.rawValue), which is not there: run 'contex check'")
            }
            records.append(record)
        }
        let nodes = try records.map { PassageUnits.Node(kind: $0.kind, value: try EventData.parsed($0.data)) }
        let cut = PassageUnits.units(of: nodes, isWhole: records.first?.hasOwnVector == true).flatMap { unit in
            records[unit.nodes].enumerated().map { place, record in
                NodeRecord(
                    document: record.document, documentKey: record.documentKey, path: record.path, kind: record.kind, format: record.format,
                    description: record.description, data: record.data, tokenCount: record.tokenCount, hasOwnVector: record.hasOwnVector,
                    context: unit.context, extent: .init(of: place, in: unit.nodes.count, unit.passages))
            }
        }
        return cut == records ? nil : cut
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
        let (agents, analyzer) = try environment.read { (try store.agents(in: $0), try TextIndex(scope: scope).options(in: $0).analyzer) }
        // Of whatever format: they are made of what the agents say.
        var transaction = try environment.beginWrite()
        try store.removeAllNeeds(in: &transaction)
        // Both sides, by themselves: one that is gone would leave the other.
        try transaction.deleteAll(prefix: scope.key(.agentMatch))
        try transaction.deleteAll(prefix: scope.key(.agentMatchByDocument))
        try transaction.commit()
        for agent in agents {
            let vectors = agent.needs.isEmpty ? [] : try await models.embed(questions: agent.needs.map { ScopedText($0, in: .server) })
            let searching = NeedSearch(
                tenant: scope.tenant, project: project, needs: agent.needs, vectors: vectors, dimension: models.dimension, configuration,
                own: agent.settings, packing: nil)
            var transaction = try environment.beginWrite()
            let found = try searching.run(filterRecordsMax: .max, in: transaction.view)
            let needs = searching.records(agent, by: analyzer)
            try store.renew(agent, needs: needs, in: &transaction)
            try NeedLevels.raise(needs, scope, in: &transaction)
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

extension VectorModel.Progress {
    /// Whether a project is done.
    fileprivate func isPast(_ scope: TenantScope) -> Bool { (scope.tenant.rawValue, scope.project.rawValue) < (tenant.rawValue, project) }
    fileprivate func isAt(_ scope: TenantScope) -> Bool { scope.tenant == tenant && scope.project.rawValue == project }
}
