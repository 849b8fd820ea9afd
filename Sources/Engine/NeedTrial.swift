// What needs would have matched among what was published last: before an agent registers them.

internal import Attributes
public import Base
internal import Documents
internal import Events
internal import FullText
internal import KeySpace
internal import LMDB
public import Needs
public import Search

public struct NeedTrialRequest: Sendable {
    public var project: Name
    public var needs: [String]
    /// Events from the end of the log whose documents are looked at.
    public var events: Int
    public var settings: NeedSettings
    /// Bytes of events after which no older one is read.
    public var bytesMax = Limits.pastBytes

    public init(project: Name, needs: [String], events: Int, settings: NeedSettings = .none) {
        self.project = project
        self.needs = needs
        self.events = events
        self.settings = settings
    }
}

public struct NeedTrial: Sendable {
    public struct Node: Sendable {
        public let nodeKey: String
        public let similarity: Double
        public let parts: ScoreParts
    }

    public struct Need: Sendable {
        public let need: String
        /// Nodes of at least the threshold.
        public let matched: Int
        public let matchedDocuments: Int
        /// Nodes by similarity: `bins` of equal width from 0 to 1.
        public let histogram: [Int]
        /// nil when the scores do not fall into two groups.
        public let suggested: Double?
        public let best: [Node]
    }

    public let project: Name
    /// What was looked at: documents that one of the last events published and that are still there, and that pass the filter.
    public let documents: Int
    public let nodes: Int
    public let mode: SearchMode
    public let threshold: Double
    public let needs: [Need]

    public static let bins = 20
    static let bestMax = 10
    /// Needs of one trial.
    public static let needsMax = 20
}

extension Database {
    /// Scores needs against the documents of the last events as they are now.
    /// - Throws: `.projectNotFound`; `.invalid` as a registration.
    /// - Complexity: O(needs x nodes of the documents).
    public func tryNeeds(_ tenant: TenantID, _ request: NeedTrialRequest) async throws -> NeedTrial {
        try TextRule.check(request.needs, field: "needs", countMax: NeedTrial.needsMax, scalarsMax: Limits.queryScalars)
        try request.settings.check()
        let vectors = try await models.embed(questions: Self.scoped(request.needs, tenant, request.project))
        let (dimension, routing) = (models.dimension, Command.Routing(configuration))
        return try await readHeavily { view in
            guard let scope = try Self.scope(tenant, request.project, view) else {
                throw ContexError(.projectNotFound, "There is no project '\(request.project.text.excerpt())'")
            }
            let search = NodeSearch(
                scope: scope, dimension: dimension, mode: request.settings.mode.map { SearchMode($0) } ?? routing.mode,
                threshold: request.settings.minSimilarity ?? routing.threshold)
            let units = try Self.lastUnits(request, scope, in: view)
            let analyzer = try TextIndex(scope: scope).options(in: view).analyzer
            var trial: [NeedTrial.Need] = []
            for (text, vector) in zip(request.needs, vectors) {
                let question = Question(text: text, vector: vector.isEmpty ? nil : vector)
                let weights = try TextIndex(scope: scope).weights(ResolvedTextQuery(TextQuery(text, analyzer: analyzer)), in: view)
                trial.append(try Self.tried(question, weights, units, search, in: view))
            }
            return NeedTrial(
                project: request.project, documents: Set(units.map(\.document)).count, nodes: units.reduce(0) { $0 + $1.nodeCount },
                mode: search.mode, threshold: search.threshold, needs: trial)
        }
    }

    /// What is held of a unit while its scores are found: not its data, of which a document may have 10 MB.
    private struct TriedUnit {
        let document: DocumentID
        let nodeKey: String
        let entries: [NodeID]
        let nodeCount: Int
    }

    /// The units of the documents that the last events published, the newest first.
    private static func lastUnits(_ request: NeedTrialRequest, _ scope: TenantScope, in view: borrowing TransactionView) throws -> [TriedUnit] {
        let log = EventLog(scope: scope)
        let documents = DocumentStore(scope: scope)
        let filter = try request.settings.filter.map { try Filter(stored: $0) }
        var sequence = try log.head(in: view).sequence.rawValue
        var seen: Set<String> = []
        var units: [TriedUnit] = []
        var bytes = 0
        for _ in 0..<request.events where sequence > 0 && bytes < request.bytesMax {
            defer { sequence -= 1 }
            guard let event = try log.event(Sequence(rawValue: sequence), in: view) else { continue }
            bytes += event.data.count
            guard event.kind == .published, seen.insert(event.key).inserted,
                let document = try documents.document(Name(stored: event.key), in: view), document.exists
            else { continue }
            if let filter, try !filter.passes(document.attributes) { continue }
            units += try documents.units(of: document.nodes, in: view).map {
                TriedUnit(document: $0.records[0].document, nodeKey: $0.records[0].nodeKey, entries: $0.entries, nodeCount: $0.nodes.count)
            }
            guard units.count < Limits.nodesPerDocument else { break }
        }
        return units
    }

    private static func tried(
        _ question: Question, _ weights: QueryWeights, _ units: [TriedUnit], _ search: NodeSearch, in view: borrowing TransactionView
    ) throws -> NeedTrial.Need {
        let cut = try search.decisionCut(question, weights, in: view)
        let scores = try search.scores(of: units.flatMap(\.entries), question, weights, cut: cut, in: view)
        var rest = scores[...]
        var histogram = [Int](repeating: 0, count: NeedTrial.bins)
        var matched: [(unit: TriedUnit, similarity: Double, parts: ScoreParts)] = []
        for unit in units {
            let own = rest.prefix(unit.entries.count)
            rest = rest.dropFirst(unit.entries.count)
            guard let best = own.max(by: { $0.similarity(search.mode) < $1.similarity(search.mode) }) else { continue }
            let similarity = Double(best.similarity(search.mode))
            histogram[min(NeedTrial.bins - 1, max(0, Int(similarity * Double(NeedTrial.bins))))] += 1
            matched.append((unit, similarity, best))
        }
        let reaching = matched.filter { $0.similarity >= search.threshold }
        let best = matched.sorted { $0.similarity > $1.similarity }.prefix(NeedTrial.bestMax)
        return NeedTrial.Need(
            need: question.text, matched: reaching.count, matchedDocuments: Set(reaching.map { $0.unit.document }).count, histogram: histogram,
            suggested: ScoreSplit.threshold(matched.map(\.similarity)),
            best: best.map { NeedTrial.Node(nodeKey: $0.unit.nodeKey, similarity: $0.similarity, parts: $0.parts) })
    }
}
