// The proof that a store is what it should be: every page, every seal, the chain of every log, every index against the documents.

internal import Access
internal import Attributes
internal import Audit
internal import Base
internal import Content
internal import Documents
internal import Engine
internal import Events
internal import FullText
internal import Inboxes
internal import Journal
internal import KeySpace
internal import LMDB
internal import Needs
internal import Outbox
internal import Rates
internal import Tenants
internal import Vectors

/// Checks a whole store on one snapshot; it may run beside a serving process.
public enum IntegrityCheck {
    public struct Report: Sendable {
        public var findings: [String] = []
        public var values = 0
        public var projects = 0
        public var events = 0
        public var documents = 0
        public var nodes = 0
        public var agents = 0
        /// Whether the store keeps sums of its records, so that one which is gone is noticed.
        public var keepsSums = false
        /// Those of the findings that say that records are not the ones that were written.
        public var sumFindings: [String] = []
    }

    public static let findingsMax = 100

    /// - Parameters:
    ///   - directory: the data directory; the store in it is opened for reading only.
    ///   - progress: called with what is being checked, for a person to see.
    /// - Throws: `.notFound` when there is no store; `.damaged` when it cannot be opened at all.
    /// - Complexity: O(store); reads every page, and once before LMDB does.
    public static func run(directory: String, progress: (String) -> Void = { _ in }) throws -> Report {
        let environment = try Database.openForReading(directory: directory)
        progress("pages")
        do {
            return try environment.readVerified { view in try run(view, progress: progress) }
        } catch let error as DamagedPages {
            // LMDB would end the process over such a page: nothing else is looked at.
            return Report(findings: error.findings.map { "\($0)" })
        }
    }

    static func run(_ view: borrowing TransactionView, progress: (String) -> Void) throws -> Report {
        var report = Report()
        guard try StoreFormat.verify(view) else { throw ContexError(.storeNotFound, "the store is empty") }

        progress("seals")
        var tally = RecordTally()
        try view.scan(prefix: []) { keySpan, value in
            report.values += 1
            tally.add(keySpan, value)
            let key = Array(keySpan)
            do {
                _ = try Seal.open(key: key, value: value, version: 1)
            } catch {
                report.findings.append(ContexError(anyError: error).message)
            }
            return report.findings.count < findingsMax ? .onward : .stop
        }
        // With a broken seal the rest would only stumble over it again.
        guard report.findings.isEmpty else { return report }
        report.keepsSums = try RecordSums.areKept(in: view)
        report.sumFindings = try RecordFindings.text(of: tally.differences(in: view), in: view)
        report.findings = report.sumFindings

        guard let model = try VectorModel.load(view) else {
            report.findings.append("the store does not say which model made its vectors")
            return report
        }
        if let rebuild = model.rebuild {
            report.findings.append("a rebuild of the indexes stopped at project \(rebuild.project), node \(rebuild.node): finish it with 'contex reindex'")
            return report
        }
        if let mark = try ImportMark.load(view), mark.isBuilding {
            report.findings.append("an import of \(mark.name) stopped after line \(mark.lines): finish it with 'contex import'")
            return report
        }
        report.findings += try TenantRegistry.findings(in: view)
        for tenant in try TenantRegistry.numbers(in: view) { try check(tenant, model.dimension, in: view, &report, progress) }
        progress("journal")
        do {
            try Journal().verified(in: view) { _ = try JournalText.whole($0, in: view) }
        } catch {
            report.findings.append(ContexError(anyError: error).message)
        }
        return report
    }

    /// What is wrong with one project's records against each other, whose seals are right.
    static func findings(_ scope: TenantScope, _ dimension: Int, in view: borrowing TransactionView) -> [String] {
        var report = Report()
        do {
            try checkProject(scope, dimension, in: view, &report)
        } catch {
            report.findings.append(ContexError(anyError: error).message)
        }
        return report.findings
    }

    /// What a tenant has, each place with its name; of the only tenant there is without.
    private static func check(
        _ tenant: TenantID, _ dimension: Int, in view: borrowing TransactionView, _ report: inout Report, _ progress: (String) -> Void
    ) throws {
        let start = report.findings.count
        let entries = try ProjectRegistry(tenant: tenant).entries(in: view)
        for entry in entries {
            progress("project \(entry.name)")
            report.projects += 1
            let before = report.findings.count
            do {
                try checkProject(TenantScope(tenant: tenant, project: entry.project), dimension, in: view, &report)
            } catch {
                report.findings.append("\(ContexError(anyError: error).message)")
            }
            for place in before..<report.findings.count { report.findings[place] = "project '\(entry.name)': " + report.findings[place] }
        }
        report.findings += try AccessRegistry.problems(view, scope: Database.registryScope(tenant))
        report.findings += try channelFindings(tenant, entries.map(\.project), in: view)
        report.findings += try EventOutbox(tenant: tenant).findings(in: view)
        progress("audit trail")
        do {
            report.findings += try AuditLog(tenant: tenant).findings(in: view)
            _ = try RateRules.all(view, scope: Database.registryScope(tenant))
            _ = try TenantRegistry.usage(of: tenant, in: view)
        } catch {
            report.findings.append(ContexError(anyError: error).message)
        }
        for agent in try AgentDirectory(tenant: tenant).entries(in: view) {
            if try NeedStore(scope: TenantScope(tenant: tenant, project: agent.project)).agent(agent.agent, in: view) == nil {
                report.findings.append("agent '\(agent.agent)' is in the directory, but project '\(agent.projectName)' does not have it")
            }
        }
        guard tenant != .standard else { return }
        let name = try TenantRegistry.tenant(tenant, in: view)?.name.text ?? "\(tenant.rawValue)"
        for place in start..<report.findings.count { report.findings[place] = "tenant '\(name)': " + report.findings[place] }
    }

    /// A project whose agents cannot be read has said so already.
    private static func channelFindings(_ tenant: TenantID, _ projects: [ProjectID], in view: borrowing TransactionView) throws -> [String] {
        var agents: [ProjectID: [AgentRecord]] = [:]
        for project in projects {
            do {
                agents[project] = try NeedStore(scope: TenantScope(tenant: tenant, project: project)).agents(in: view)
            } catch {
                return []
            }
        }
        do {
            return try ChannelDirectory(tenant: tenant).findings(agents: agents, in: view)
        } catch {
            return ["\(ContexError(anyError: error).message)"]
        }
    }

    private static func checkProject(
        _ scope: TenantScope, _ dimension: Int, in view: borrowing TransactionView, _ report: inout Report
    ) throws {
        let log = EventLog(scope: scope)
        report.findings += try log.findings(in: view)
        let head = try log.head(in: view).sequence
        report.events += Int(clamping: head.rawValue)

        let documents = DocumentStore(scope: scope)
        let texts = TextIndex(scope: scope)
        let index = VectorIndex(scope: scope, dimension: dimension)
        let analyzer = try texts.options(in: view).analyzer
        var owners: [NodeID: DocumentID] = [:]
        var withVector: Set<NodeID> = []
        var signatures: [NodeID: TextSignature] = [:]
        var attributes = AttributeCheck(AttributeIndex(scope: scope))
        try documents.forEachDocument(in: view) { document in
            report.documents += 1
            var nodes: [(id: NodeID, record: NodeRecord)] = []
            if document.sequence > head { report.findings.append("'\(document.key)' names event \(document.sequence), the log ends at \(head)") }
            for id in document.nodes {
                guard let node = try documents.node(id, in: view) else {
                    report.findings.append("'\(document.key)' lists node \(id.rawValue), which is not there")
                    continue
                }
                if node.document != document.id { report.findings.append("node \(id.rawValue) of '\(document.key)' says it belongs elsewhere") }
                if owners.updateValue(document.id, forKey: id) != nil { report.findings.append("node \(id.rawValue) is listed twice") }
                nodes.append((id, node))
                // Of another dimension it was replaced by an embedding when the model was changed.
                if let own = try log.ownVector(of: node, in: view), own.count == dimension,
                    try index.vector(of: id, in: view) != VectorMath.stored(own)
                {
                    report.findings.append("node \(id.rawValue) of '\(document.key)' is indexed by another vector than its publisher's")
                }
            }
            let units = try IndexedUnit.units(of: nodes)
            for unit in units {
                let texts = try unit.analyzed(analyzer)
                for (entry, text) in zip(unit.entries, texts) where signatures.updateValue(TextSignature(text), forKey: entry) != nil {
                    report.findings.append("'\(document.key)' has a passage under number \(entry.rawValue), which another has too")
                }
                withVector.formUnion(unit.entriesWithVectors)
                report.findings += try unit.findings()
            }
            if document.numberCount > 1, try !documents.hasWholes(in: view) {
                report.findings.append("'\(document.key)' has \(document.numberCount) numbers, and the project says that no document has several")
            }
            if units.compactMap(\.run) != document.passages {
                report.findings.append("'\(document.key)' lists other passages than its nodes have")
            }
            try attributes.expect(try document.attributes, in: view)
        }
        try documents.forEachDocument(deleted: true, in: view) { document in
            for mark in try documents.marks(of: document.id, in: view) {
                let event = try log.event(mark.sequence, in: view)
                let kind: EventRecord.Kind = mark == .content(mark.sequence) ? .published : .deleted
                if event?.key != document.key.text || event?.kind != kind {
                    report.findings.append("'\(document.key)' names event \(mark.sequence) as a version, which is not one of its own")
                }
            }
        }
        var ids: Set<DocumentID> = []
        try documents.forEachDocument(in: view) { ids.insert($0.id) }
        report.findings += try DocumentExpiry(scope: scope).findings(documents: ids, in: view)
        for id in try documents.nodeIDs(in: view) where owners[id] == nil {
            report.findings.append("node \(id.rawValue) belongs to no document")
        }
        report.nodes += owners.count
        report.findings += try VectorIndexCheck.findings(index, expectedNodes: withVector, in: view)
        report.findings += try TextIndexCheck.findings(texts, expected: signatures, in: view)
        report.findings += try attributes.findings(in: view)
        let needs = NeedStore(scope: scope)
        report.agents += try needs.agents(in: view).count
        report.findings += try needs.findings(nodes: owners, in: view)
        let levels = try needs.levels(in: view)
        for (level, documents) in zip(levels, try texts.documentFrequencies(of: levels.map(\.term), in: view)) where documents > level.documentsMax {
            report.findings.append("the index of needs takes '\(level.term)' to be in at most \(level.documentsMax) texts, it is in \(documents)")
        }
        let inboxes = Set(try needs.agents(in: view).map(\.inbox))
        for number in try Inbox.numbers(scope, in: view) {
            let inbox = Inbox(scope: scope, number: number)
            if !inboxes.contains(number) { report.findings.append("inbox \(number) belongs to no agent") }
            report.findings += try inbox.findings(head: head, in: view)
        }
        let told = Set(try needs.agents(in: view).filter { $0.delivery == .webhook }.map { UInt64($0.inbox) })
        let lanes = Set(try DeliveryLedger.lanes(scope, in: view))
        for lane in lanes.sorted() {
            if !told.contains(lane) { report.findings.append("webhook \(lane) belongs to no agent") }
            let end = try Inbox(scope: scope, number: UInt32(truncatingIfNeeded: lane)).state(in: view).last.rawValue
            report.findings += try DeliveryLedger(scope: scope, lane: lane).findings(end: end, in: view)
        }
    }
}
