// Import: an export document becomes the state of a project, in one transaction.
//
// Events are numbered anew in the order of the document; types and data stay, times do not. An event whose data is an
// object of one member is the publish of that key again, so that a key's history survives; any other keeps its object as
// it is. Nodes are taken as they stand in the export and embedded here: the original stored zero vectors, which never
// matched. Everything is checked before anything is written.

public import Base
internal import Content
internal import Documents
internal import Events
internal import FullText
internal import Hashing
internal import KeySpace
internal import LMDB
internal import Needs
internal import Vectors

extension Database {
    /// Replaces or fills a project.
    ///
    /// - Parameters:
    ///   - overwrite: replaces the sections that are present; without it a project that has events is refused.
    ///   - validateOnly: checks the document and changes nothing.
    /// - Throws: `.badRequest` with the original's words; nothing is changed then.
    public func importDocument(
        _ tenant: TenantID, project: Name, document: JSONValue, overwrite: Bool, validateOnly: Bool
    ) async throws -> ImportReceipt {
        let plan = try ImportPlan(document, project: project)
        if validateOnly { return plan.receipt(agents: 0, events: 0, embeddings: 0) }
        let texts = plan.documents.flatMap { $0.nodes.map(\.description) }
        let vectors = try await models.embed(documents: texts)
        let tokenCounts = try await onPool { [models] in
            plan.documents.flatMap { $0.nodes.map { models.countTokens(JSONPrinter.text(MatchData.wrapped($0.value), style: .python)) } }
        }
        let time = now()
        try await writer.submit { [self] transaction, _ in
            try apply(tenant, project, plan, vectors: vectors, tokenCounts: tokenCounts, overwrite: overwrite, at: time, in: &transaction)
        }
        for agent in plan.agents {
            let head = try await read { view in
                try Self.scope(tenant, project, view).map { try EventLog(scope: $0).head(in: view).sequence } ?? .zero
            }
            var command = agent
            command.lastSeen = head
            _ = try await register(tenant, command)
        }
        return plan.receipt(agents: plan.agents.count, events: plan.events?.count ?? 0, embeddings: texts.count)
    }

    private func apply(
        _ tenant: TenantID, _ project: Name, _ plan: ImportPlan, vectors: [[Float]], tokenCounts: [Int], overwrite: Bool,
        at time: Timestamp, in transaction: inout WriteTransaction
    ) throws {
        let registry = ProjectRegistry(tenant: tenant)
        if let known = try registry.scope(of: project, in: transaction.view), !overwrite,
            try EventLog(scope: known).head(in: transaction.view).sequence > .zero
        {
            throw ContexError.badRequest("Project \(project) already has data. Use overwrite=True to replace.")
        }
        let scope = try registry.scopeCreating(project, at: time, in: &transaction)
        let log = EventLog(scope: scope)
        let documents = DocumentStore(scope: scope)
        if overwrite, plan.events != nil {
            try log.removeAll(in: &transaction)
            try documents.removeAllVersions(in: &transaction)
        }

        var lastEvents: [String: EventRecord] = [:]
        var versions: [String: [Sequence]] = [:]
        for imported in plan.events ?? [] {
            var draft = EventDraft(
                kind: .imported, type: imported.type, key: "", format: "json", recordedAt: time, data: JSONPrinter.bytes(imported.data))
            if case .object(let members) = imported.data, members.count == 1, (try? Name(members[0].key, field: "data_key")) != nil {
                draft.kind = .published
                draft.key = members[0].key
                draft.data = JSONPrinter.bytes(members[0].value)
            }
            let event = try log.append(draft, in: &transaction)
            if event.kind == .published {
                lastEvents[event.key] = event
                versions[event.key, default: []].append(event.sequence)
            }
        }

        if overwrite, plan.hasNodes { try removeAllDocuments(scope, in: &transaction) }
        var place = 0
        for imported in plan.documents {
            let key = imported.key
            let present = try documents.document(key, in: transaction.view)
            for node in present?.nodes ?? [] { try removeNode(node, scope, in: &transaction) }
            let id = try present?.id ?? documents.create(key, in: &transaction)
            let nodes = try documents.reserveNodes(imported.nodes.count, in: &transaction)
            for (node, nodeID) in zip(imported.nodes, nodes) {
                try documents.put(
                    NodeRecord(
                        document: id, documentKey: key.text, path: node.path, kind: node.kind, format: node.format,
                        description: node.description, data: JSONPrinter.bytes(node.value), tokenCount: tokenCounts[place]),
                    as: nodeID, in: &transaction)
                try VectorIndex(scope: scope, dimension: models.dimension).insert(nodeID, vectors[place], in: &transaction)
                try TextIndex(scope: scope).add(nodeID, AnalyzedText(node.description), in: &transaction)
                place += 1
            }
            let event = lastEvents[key.text]
            try documents.put(
                DocumentRecord(
                    id: id, key: key, sequence: try event?.sequence ?? log.head(in: transaction.view).sequence, exists: true,
                    format: imported.nodes.first?.format ?? "json",
                    fingerprint: event.map { PreparedDocument.fingerprint(format: nil, eventType: $0.type, data: $0.data) } ?? .zero,
                    nodes: nodes),
                in: &transaction)
            for version in versions[key.text] ?? [] { try documents.addVersion(version, of: id, in: &transaction) }
        }
    }

    /// Empties documents and indexes of a project; the log, the agents and the numbers given so far stay.
    private func removeAllDocuments(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let documents = DocumentStore(scope: scope)
        var present: [DocumentRecord] = []
        try documents.forEachDocument(in: transaction.view) { present.append($0) }
        let needs = NeedStore(scope: scope)
        for var document in present {
            for follower in try needs.followers(of: document.id, in: transaction.view) {
                try needs.setFollow(agent: follower, document: document.id, nodes: [], in: &transaction)
            }
            for node in document.nodes { try documents.removeNode(node, in: &transaction) }
            document.nodes = []
            document.exists = false
            try documents.put(document, in: &transaction)
        }
        try VectorIndex(scope: scope, dimension: models.dimension).removeAll(in: &transaction)
        try TextIndex(scope: scope).removeAll(in: &transaction)
    }
}

/// An export document, checked and taken apart.
private struct ImportPlan: Sendable {
    struct Event: Sendable {
        let type: String
        let data: JSONValue
    }
    struct Node: Sendable {
        let path: String
        let kind: String
        let format: String
        let description: String
        let value: JSONValue
    }
    struct Document: Sendable {
        let key: Name
        var nodes: [Node]
    }

    /// nil when the section is absent, which is not the same as empty.
    let events: [Event]?
    let hasNodes: Bool
    let documents: [Document]
    let agents: [RegisterCommand]
    let warnings: [String]

    private static let refusal = ContexError.badRequest("Data validation failed")

    init(_ document: JSONValue, project: Name) throws {
        guard case .object(let top) = document, let named = top["project_id"]?.stringValue, let data = top["data"]?.objectValue else {
            throw Self.refusal
        }
        guard named.utf8.elementsEqual(project.text.utf8) else {
            throw ContexError.badRequest("Project ID mismatch: URL has '\(project)', data has '\(named)'")
        }
        warnings = top["version"] == nil ? ["Missing version field"] : []
        events = try Self.section("events", of: data)?.map { item in
            guard item["event_id"] != nil, let body = item["data"] else { throw Self.refusal }
            try Self.refuseUnstorable(body)
            let type = item["event_type"]?.stringValue ?? "imported"
            try Self.refuseUnstorable(.string(type))
            return Event(type: type, data: body)
        }
        let nodes = try Self.section("embeddings", of: data)
        hasNodes = nodes != nil
        documents = try Self.documents(nodes ?? [])
        agents = try (Self.section("agents", of: data) ?? []).map { try Self.agent($0, project: project) }
    }

    private static func section(_ name: String, of data: JSONObject) throws -> [JSONValue]? {
        guard let section = data[name] else { return nil }
        guard let items = section.arrayValue else { throw refusal }
        return items
    }

    private static func documents(_ items: [JSONValue]) throws -> [Document] {
        var documents: [Document] = []
        var places: [Name: Int] = [:]
        var paths: [Name: Set<ExactText>] = [:]
        for item in items {
            guard let keyText = item["data_key"]?.stringValue, let path = item["node_path"]?.stringValue, let value = item["data"],
                let description = item["description"]?.stringValue, let key = try? Name(keyText, field: "data_key")
            else { throw refusal }
            try refuseUnstorable(value)
            let node = Node(
                path: path, kind: item["node_type"]?.stringValue ?? "object", format: item["data_format"]?.stringValue ?? "json",
                description: description, value: value)
            for text in [node.path, node.kind, node.format, node.description] { try refuseUnstorable(.string(text)) }
            guard paths[key, default: []].insert(ExactText(path)).inserted else {
                throw ContexError.badRequest("Data validation failed: '\(key)' has two nodes '\(path)'")
            }
            if let place = places[key] {
                documents[place].nodes.append(node)
            } else {
                places[key] = documents.count
                documents.append(Document(key: key, nodes: [node]))
            }
            guard documents[places[key]!].nodes.count <= Limits.nodesPerDocument else { throw refusal }
        }
        return documents
    }

    private static func agent(_ item: JSONValue, project: Name) throws -> RegisterCommand {
        guard let id = item["agent_id"]?.stringValue, let name = try? Name(id, field: "agent_id"), let data = item["data"],
            let needs = data["needs"]?.arrayValue?.compactMap(\.stringValue)
        else { throw refusal }
        // Agents are registered after the data is in: what a registration would refuse is refused here.
        guard needs.count <= Limits.needsPerAgent, needs.allSatisfy({ $0.unicodeScalars.count <= Limits.queryScalars }) else { throw refusal }
        try refuseUnstorable(data)
        let url = data["webhook_url"]?.stringValue
        let delivery: AgentDelivery = data["notification_method"]?.stringValue == "webhook" && url != nil ? .webhook : .redis
        return RegisterCommand(
            project: project, agent: name, needs: needs, delivery: delivery, responseFormat: data["response_format"]?.stringValue ?? "toon",
            channel: data["notification_channel"]?.stringValue, webhookURL: url)
    }

    private static func refuseUnstorable(_ value: JSONValue) throws {
        do throws(ContexError) { try ContentSplitter.validate(value) } catch {
            throw ContexError.badRequest("Data validation failed: \(error.message)")
        }
    }

    func receipt(agents: Int, events: Int, embeddings: Int) -> ImportReceipt {
        ImportReceipt(events: events, embeddings: embeddings, agents: agents, warnings: warnings)
    }
}
