// Import of documents line by line, offline: NDJSON into a data folder, each line a publish, as an event in the log.
//
//     lines, a batch  ->  parsed and split on all cores  ->  embedded  ->  ONE transaction: events, documents, texts, vectors, mark
//
// A batch is stored whole or not at all, and the mark of how far the import has come (ImportMark.swift) moves with it: cut off at
// any point, the same command goes on behind the last batch that was stored. A batch ends where a key comes a second time, so that
// what a document had before it is always in the store.
//
// Vectors go into the graph one by one until a project has got so many that building its graph anew costs less. From then on they
// are stored without a graph, and at the end it is built on all cores (VectorBulkBuild). Until that is done the mark says that the
// project cannot be searched, and no server serves the folder. The rule is that of the rented skis: build anew when what was spent
// on single inserts comes to what building anew costs, and at most twice the least is spent, however long the input goes on.
//
// Memory: one batch (8 MiB of lines, or one line), and some 1.7 kB a vector while the graph of one project is built at the end.
// Measured, without mapped pages: 31 MB for 10,000 vectors, 82 MB for 40,000. This blocks the thread it runs on: the process does
// nothing else.

public import Base
internal import Content
internal import Documents
public import Engine
internal import Hashing
internal import KeySpace
internal import LMDB
internal import Vectors

public enum LineImport {
    public struct Options: Sendable {
        /// Of lines that name none.
        public var project: Name? = nil
        /// Passes over lines that cannot be published, telling of each, instead of ending at the first.
        public var skipsBadLines = false
        /// Begins at the first line, whatever an earlier import has left.
        public var startsAnew = false
        /// New vectors of a project from which on its graph may be built anew at the end.
        public var bulkFrom = LineImport.bulkFrom

        public init() {}
    }

    public struct Report: Sendable {
        /// Lines of the input, blank ones among them.
        public var lines = 0
        /// Lines that an earlier run had done.
        public var linesBefore = 0
        public var published = 0
        /// Publishes that were equal to what their key has.
        public var unchanged = 0
        public var skipped = 0
        /// Vectors of graphs that were built on all cores.
        public var linked = 0
    }

    public enum Progress: Sendable {
        /// Lines and bytes that are done, those of an earlier run among them.
        case reading(lines: Int, bytes: Int)
        /// The vectors of one project into its graph.
        case linking(done: Int, all: Int)
    }

    /// Why an import ended before its end. What was stored before stays, is indexed, and is not imported again.
    public struct Failure: Error {
        /// The line that cannot be published; nil when no line is to blame.
        public let line: Int?
        public let error: ContexError
        /// Lines that are done: the next run goes on behind them.
        public let linesDone: Int
    }

    /// Documents of a transaction: enough that the indexes write each record seldom.
    static let batchDocuments = 1_000
    /// Bytes of the lines of a transaction, but for a longer line alone.
    static let batchBytes = 8 << 20
    /// Fewer new vectors are inserted one by one: below so many a graph is not even searched (`HNSWParameters.exactBelow`).
    public static let bulkFrom = 1_000
    /// Inserting a vector costs about so many times its share of building anew on two cores: 1,721 and 4,728 a second, docs/performance.md.
    static let insertCost = 3

    /// - Parameters:
    ///   - configuration: as the server of the folder has it: threshold and mode decide whom an agent follows.
    ///   - name: what the input is called, for the mark.
    ///   - input: the next piece of it, nothing at its end; may block.
    ///   - skipped: told of each line that `skipsBadLines` passes over.
    /// - Throws: `Failure`; `.conflict` when a server has the folder open, or another input was begun and not finished; `.damaged`.
    /// - Complexity: O(n) embeddings of what has no vector, O(n log n) index work.
    public static func run(
        configuration: DatabaseConfiguration, models: Models, name: String, options: Options = Options(), input: @escaping () throws -> [UInt8],
        skipped: (_ line: Int, ContexError) -> Void = { _, _ in }, progress: (Progress) -> Void = { _ in }
    ) async throws -> Report {
        let database = try Database(configuration: configuration, models: models, servesUnfinishedImport: true)
        do {
            let run = try LineImportRun(database, name: name, options: options, input: input)
            let report = try await run.run(skipped: skipped, progress: progress)
            await database.close()
            return report
        } catch {
            await database.close()
            throw error
        }
    }
}

/// One import on its way.
private final class LineImportRun {
    /// A line and the document that it holds, or what is wrong with it.
    private struct Entry: Sendable {
        let line: ImportLines.Line
        var outcome: Result<PreparedDocument, ContexError>
    }

    private struct BadLine: Error {
        let line: Int
        let error: ContexError
    }

    private let database: Database
    private let environment: Environment
    private let options: LineImport.Options
    private let tenant = TenantID.standard
    private var reader: ImportLines
    private var mark: ImportMark
    private var report = LineImport.Report()
    /// New vectors of each project in this run.
    private var inserted: [Name: Int] = [:]
    /// Read and not yet stored.
    private var waiting: [Entry] = []

    init(_ database: Database, name: String, options: LineImport.Options, input: @escaping () throws -> [UInt8]) throws {
        self.database = database
        self.options = options
        environment = try database.environment()
        reader = ImportLines(input)
        mark = ImportMark(name: name, lines: 0)
    }

    func run(skipped: (Int, ContexError) -> Void, progress: (LineImport.Progress) -> Void) async throws -> LineImport.Report {
        try passOverWhatIsDone(progress)
        var failure: LineImport.Failure? = nil
        do {
            while true {
                let batch = try nextBatch(skipped)
                if batch.isEmpty { break }
                try await store(batch, skipped)
                progress(.reading(lines: mark.lines, bytes: reader.bytes))
            }
        } catch let bad as BadLine {
            failure = LineImport.Failure(line: bad.line, error: bad.error, linesDone: mark.lines)
        } catch {
            throw LineImport.Failure(line: nil, error: ContexError(anyError: error), linesDone: mark.lines)
        }
        // What is stored is to be found, also when the input goes no further.
        try buildGraphs(progress)
        if let failure { throw failure }
        report.lines = reader.count
        try write { try ImportMark.remove(in: &$0) }
        return report
    }

    private func write(_ body: (inout WriteTransaction) throws -> Void) throws {
        var transaction = try environment.beginWrite()
        try body(&transaction)
        try transaction.commit()
        environment.growFile()
    }

    // MARK: - Reading

    /// Reads the lines that an earlier run has stored, and makes sure that they are the same.
    private func passOverWhatIsDone(_ progress: (LineImport.Progress) -> Void) throws {
        guard let found = try environment.read({ try ImportMark.load($0) }) else { return }
        mark.isBuilding = found.isBuilding
        guard found.lines > 0, !options.startsAnew else { return }
        var seen = ImportMark(name: mark.name, lines: 0)
        while seen.lines < found.lines, let line = try reader.next() { seen.pass(line: line.number, line.bytes) }
        guard seen.lines == found.lines, seen.chain == found.chain else {
            throw ContexError(
                .importUnfinished,
                "an import of \(found.name) stopped after line \(found.lines), and \(mark.name) does not begin with the same lines: "
                    + "finish that one, or leave it as it is and begin with this one (--restart)")
        }
        mark.lines = found.lines
        mark.chain = found.chain
        report.linesBefore = found.lines
        progress(.reading(lines: found.lines, bytes: reader.bytes))
    }

    /// Reads and splits as many lines as a batch may have.
    private func readAhead() throws {
        var lines: [ImportLines.Line] = []
        var bytes = 0
        var unreadable: Entry? = nil
        while lines.count < LineImport.batchDocuments, bytes < LineImport.batchBytes {
            do {
                guard let line = try reader.next() else { break }
                lines.append(line)
                bytes += line.bytes.count
            } catch let error as ContexError where error.category == .tooLarge {
                unreadable = Entry(line: ImportLines.Line(number: reader.count + 1, bytes: []), outcome: .failure(error))
                break
            }
        }
        let (tenant, project, dimension, time) = (tenant, options.project, database.models.dimension, database.now())
        waiting += lines.mapOnAllCores { line in
            Entry(
                line: line,
                outcome: Result { () throws(ContexError) in
                    try PreparedDocument(tenant, ImportLine.command(ImportLine.members(line.bytes), project: project), dimension: dimension, at: time)
                })
        }
        if let unreadable { waiting.append(unreadable) }
    }

    private struct DocumentName: Hashable {
        let project: Name
        let key: Name
    }

    /// Lines of one transaction, with different keys; none at the end. Those that are no publish are among them when they are passed over.
    /// - Throws: `BadLine` for one that comes first.
    private func nextBatch(_ skipped: (Int, ContexError) -> Void) throws -> [Entry] {
        if waiting.isEmpty { try readAhead() }
        var names: Set<DocumentName> = []
        var count = 0
        batch: for entry in waiting {
            switch entry.outcome {
            case .success(let document):
                guard names.insert(DocumentName(project: document.command.project, key: document.command.key)).inserted else { break batch }
            case .failure(let error):
                // The reader cannot find the end of a line that is too long.
                guard options.skipsBadLines, error.category != .tooLarge else {
                    if count == 0 { throw BadLine(line: entry.line.number, error: error) }
                    break batch
                }
                report.skipped += 1
                skipped(entry.line.number, error)
            }
            count += 1
        }
        defer { waiting.removeFirst(count) }
        return Array(waiting.prefix(count))
    }

    // MARK: - Storing

    private func store(_ batch: [Entry], _ skipped: (Int, ContexError) -> Void) async throws {
        let models = database.models
        var documents: [PreparedDocument] = []
        try environment.read { view in
            for entry in batch {
                guard case .success(var document) = entry.outcome else { continue }
                do {
                    try document.meet(dimension: models.dimension, in: view)
                } catch let error as ContexError where error.category == .invalid {
                    // A long name that collides with another one's key: seen only beside what the store has.
                    throw BadLine(line: entry.line.number, error: error)
                }
                documents.append(document)
            }
        }
        documents = documents.mapOnAllCores { document in
            var document = document
            // Nobody gives it up: only that throws.
            try? document.finish(models.countTokens)
            return document
        }
        var vectors = try await models.embed(documents: documents.flatMap(\.textsToEmbed))[...]
        let routing = Command.Routing(database.configuration)
        var fresh: [Name: Int] = [:]
        for document in documents { fresh[document.command.project, default: 0] += document.newPassages }
        let commands = documents.map { $0.command(vectors: &vectors, routing) }

        var moved = mark
        for entry in batch { moved.pass(line: entry.line.number, entry.line.bytes) }
        try write { try apply(commands, fresh, &moved, in: &$0) }
        mark = moved
    }

    /// - Parameter fresh: how many new nodes each project gets.
    private func apply(
        _ commands: [Command.Publish], _ fresh: [Name: Int], _ moved: inout ImportMark, in transaction: inout WriteTransaction
    ) throws {
        let dimension = database.models.dimension
        let indexing = ImportIndexing(dimension: dimension)
        for (project, count) in fresh.sorted(by: { $0.key < $1.key }) where count > 0 {
            let scope = try ProjectRegistry(tenant: tenant).scopeCreating(project, at: commands[0].time, in: &transaction)
            inserted[project, default: 0] += count
            guard try !indexing.isBulk(scope, in: transaction.view), inserted[project]! >= options.bulkFrom else { continue }
            let present = try VectorIndex(scope: scope, dimension: dimension).count(in: transaction.view)
            if inserted[project]! * LineImport.insertCost >= present { try indexing.makeBulk(scope, in: &transaction) }
        }
        // Nobody is connected: agents find what they missed in the log, and what they follow is noted.
        var effects = Effects()
        let applier = Applier(dimension: dimension, matcher: database.matcher)
        for command in commands {
            let (outcome, own) = try applier.apply(.publish(command), indexing: indexing, in: &transaction)
            guard case .published(let receipt) = outcome else { throw outcome.mismatch }
            effects.add(own)
            if receipt.changed { report.published += 1 } else { report.unchanged += 1 }
        }
        try indexing.write(in: &transaction, &effects)
        if indexing.hasBulk { moved.isBuilding = true }
        try moved.store(in: &transaction)
    }

    // MARK: - Graphs

    private func buildGraphs(_ progress: (LineImport.Progress) -> Void) throws {
        for entry in try environment.read({ try ProjectRegistry(tenant: tenant).entries(in: $0) }) {
            let scope = TenantScope(tenant: tenant, project: entry.project)
            let index = VectorIndex(scope: scope, dimension: database.models.dimension)
            guard let stored = try environment.read({ try VectorBulkBuild.stored(index, in: $0) }) else { continue }
            let build = VectorBulkBuild(index, threads: database.configuration.threads)
            try build.link(in: environment) { done, all in
                progress(.linking(done: done, all: all))
                return true
            }
            var isWritten = false
            while !isWritten {
                try write { transaction in
                    isWritten = try build.write(in: &transaction)
                    guard isWritten else { return }
                    // Nodes that were replaced while their vectors were set apart.
                    let standing = Set(try DocumentStore(scope: scope).entries(in: transaction.view))
                    for node in try index.nodes(in: transaction.view) where !standing.contains(node) { try index.remove(node, in: &transaction) }
                }
            }
            report.linked += stored
        }
        guard mark.isBuilding else { return }
        mark.isBuilding = false
        try write { try mark.store(in: &$0) }
    }
}
