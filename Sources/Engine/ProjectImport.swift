// Import of a project: an export document becomes its state, in one transaction. (Documents line by line: LineImport.)
//
// Events are numbered anew in the order of the document; types and data stay, times do not. An event whose data is an
// object of one member is the publish of that key again, so that a key's history survives; any other keeps its object as
// it is. Nodes are taken as they stand in the export and embedded here, unless they bring their own vector: the original
// stored zero vectors, which never matched. Everything is checked before anything is written.
//
// Sections contradict each other no more than they must: an event whose content a document has becomes the document's own, and every other
// event of its key one of its versions; a document that no event of the new log accounts for stands from the end of that log on. Agents that were
// there before follow what is there now; they are not told, since nothing was published.
//
// A section may do what its operation may do and no more: events and nodes are publishes, agents are registrations, with their
// permission and by their rules (CommandRules.swift).
//
// An own vector lives in the event that its document names. A node that comes without such an event, or stays while the log
// is replaced, therefore gets one: the publish of its data with its vector.

public import Access
internal import Attributes
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
    ///   - publisher: whose import it is; the documents are his then, whoever they were published by.
    ///   - validateOnly: checks the document and changes nothing.
    ///   - require: throws when whoever asks lacks what registering agents, or replacing them, takes. To publish he was allowed before.
    /// - Throws: `.badRequest` with the original's words; what `require` throws; nothing is changed then.
    public func importDocument(
        _ tenant: TenantID, project: Name, document: JSONValue, overwrite: Bool, validateOnly: Bool, by publisher: Publisher? = nil,
        require: @Sendable (Permission) throws(ContexError) -> Void = { _ in }
    ) async throws -> ImportReceipt {
        let plan = try ImportPlan(document, project: project, dimension: models.dimension)
        if !plan.agents.isEmpty {
            try require(.registerAgent)
            let names = plan.agents.map(\.agent)
            let replacesAny = try await read { view in
                guard let scope = try Self.scope(tenant, project, view) else { return false }
                return try names.contains { try NeedStore(scope: scope).agent($0, in: view) != nil }
            }
            if replacesAny { try require(.deleteAgent) }
        }
        // Agents are registered after the data is in: what a registration would refuse is refused here.
        for agent in plan.agents {
            do throws(ContexError) { _ = try checked(agent) } catch {
                throw ContexError(.importRefused, "Data validation failed: agent '\(agent.agent)': \(error.message)")
            }
        }
        try await refuseForeignChannels(tenant, project, plan)
        if validateOnly { return plan.receipt(agents: 0, events: 0, embeddings: 0) }
        var texts: [String] = []
        for document in plan.documents {
            for node in document.nodes where node.vector == nil {
                texts.append(SearchText.embedded(key: document.key.text, path: node.path, kind: node.kind, value: node.value))
            }
        }
        let nodes = plan.documents.flatMap(\.nodes)
        var embedded = try await models.embed(documents: texts, in: .project(project, of: tenant))[...]
        let vectors = nodes.map { VectorMath.stored($0.vector ?? embedded.removeFirst()) }
        let tokenCounts = try await onPool { [models] in
            plan.documents.flatMap { $0.nodes.map { models.countTokens(JSONPrinter.text(MatchData.wrapped($0.value), style: .python)) } }
        }
        let time = now()
        try await writer.submit { [self] transaction, _ in
            try apply(tenant, project, plan, vectors: vectors, tokenCounts: tokenCounts, overwrite: overwrite, at: time, by: publisher,
                in: &transaction)
        }
        // Each by itself, as in a batch: the data is in by now, so one that is refused is told and does not end the import.
        let head = try await read { view in
            try Self.scope(tenant, project, view).map { try EventLog(scope: $0).head(in: view).sequence } ?? .zero
        }
        let commands = plan.agents.map { agent in
            var command = agent
            command.lastSeen = head
            command.registrant = publisher
            return command
        }
        var refused: [String] = []
        for (command, outcome) in zip(commands, await register(tenant, commands)) {
            if case .failure(let error) = outcome { refused.append("Agent '\(command.agent)' is not registered: \(error.message)") }
        }
        return plan.receipt(
            agents: commands.count - refused.count, events: plan.events?.count ?? 0, embeddings: nodes.count, warnings: refused)
    }

    /// - Throws: `.badRequest` for an agent that is to be told on another project's channel.
    private func refuseForeignChannels(_ tenant: TenantID, _ project: Name, _ plan: ImportPlan) async throws {
        let channels = plan.agents.compactMap(\.channel)
        guard !channels.isEmpty else { return }
        try await read { view in
            let known = try Self.scope(tenant, project, view)?.project
            for channel in channels where try !ChannelDirectory(tenant: tenant).isOpen(channel, to: known, in: view) {
                throw ContexError(.importRefused, "Data validation failed: notification_channel '\(channel)' belongs to another project")
            }
        }
    }

    private func apply(
        _ tenant: TenantID, _ project: Name, _ plan: ImportPlan, vectors: [[Float]], tokenCounts: [Int], overwrite: Bool,
        at time: Timestamp, by publisher: Publisher?, in transaction: inout WriteTransaction
    ) throws {
        let registry = ProjectRegistry(tenant: tenant)
        if let known = try registry.scope(of: project, in: transaction.view), !overwrite,
            try EventLog(scope: known).head(in: transaction.view).sequence > .zero
        {
            throw ContexError(.projectNotEmpty, "Project \(project.text.excerpt()) already has data. Use overwrite=True to replace.")
        }
        let scope = try registry.scopeCreating(project, at: time, in: &transaction)
        let log = EventLog(scope: scope)
        let documents = DocumentStore(scope: scope)
        var kept: [(document: DocumentRecord, event: EventRecord)] = []
        if overwrite, plan.events != nil {
            if !plan.hasNodes { kept = try ownVectors(scope, in: transaction.view) }
            try log.removeAll(in: &transaction)
            try documents.removeAllVersions(in: &transaction)
        }

        var lastEvents: [String: EventRecord] = [:]
        var versions: [String: [Sequence]] = [:]
        for imported in plan.events ?? [] {
            var draft = EventDraft(
                kind: .imported, type: imported.type, key: "", format: "json", recordedAt: time, data: JSONPrinter.bytes(imported.data),
                metadata: PreparedDocument.bytes(ofMetadata: imported.metadata), publisher: publisher)
            if let published = ImportPlan.published(imported.data) {
                draft.kind = .published
                draft.key = published.key.text
                draft.data = JSONPrinter.bytes(published.data)
                draft.vector = imported.vector
            }
            let event = try log.append(draft, in: &transaction)
            if event.kind == .published {
                lastEvents[event.key] = event
                versions[event.key, default: []].append(event.sequence)
            }
        }
        for (var document, event) in kept {
            document.sequence = try log.append(event.draft, in: &transaction).sequence
            try documents.put(document, in: &transaction)
            try documents.addVersion(document.sequence, of: document.id, in: &transaction)
        }

        if overwrite, plan.hasNodes { try removeAllDocuments(scope, at: log.head(in: transaction.view).sequence, in: &transaction) }
        let texts = TextIndex(scope: scope)
        let analyzer = try texts.options(in: transaction.view).analyzer
        var place = 0
        var fresh: [(document: DocumentID, nodes: [FreshNode])] = []
        for imported in plan.documents {
            let key = imported.key
            let present = try documents.document(key, in: transaction.view)
            for node in present?.nodes ?? [] { try removeNode(node, scope, in: &transaction) }
            let id = try present?.id ?? documents.create(key, in: &transaction)
            let nodes = try documents.reserveNodes(imported.nodes.count, in: &transaction)
            fresh.append((id, []))
            for (node, nodeID) in zip(imported.nodes, nodes) {
                let record = NodeRecord(
                    document: id, documentKey: key.text, path: node.path, kind: node.kind, format: node.format,
                    description: node.description, data: JSONPrinter.bytes(node.value), tokenCount: tokenCounts[place],
                    hasOwnVector: node.vector != nil)
                try documents.put(record, as: nodeID, in: &transaction)
                try VectorIndex(scope: scope, dimension: models.dimension).insert(nodeID, vectors[place], in: &transaction)
                let text = AnalyzedText(try record.indexedText, analyzer: analyzer)
                try texts.add(nodeID, text, in: &transaction)
                fresh[fresh.count - 1].nodes.append(FreshNode(id: nodeID, vector: vectors[place], text: text))
                place += 1
            }
            var event = lastEvents[key.text]
            let metadata = imported.metadata.map(PreparedDocument.bytes(ofMetadata:)) ?? event?.metadata ?? []
            if let node = imported.nodes.first, let vector = node.vector, event?.vector != vector {
                event = try log.append(
                    EventDraft(
                        kind: .published, type: "\(key.text)_updated", key: key.text, format: node.format, recordedAt: time,
                        data: JSONPrinter.bytes(node.value), vector: vector, metadata: metadata, publisher: publisher),
                    in: &transaction)
                versions[key.text, default: []].append(event!.sequence)
            }
            let document = DocumentRecord(
                id: id, key: key, sequence: try event?.sequence ?? log.head(in: transaction.view).sequence, exists: true,
                format: imported.nodes.first?.format ?? "json", updatedAt: time, publisher: publisher, metadata: metadata,
                fingerprint: event.map {
                    PreparedDocument.fingerprint(format: nil, eventType: $0.type, vector: $0.vector, metadata: metadata, data: $0.data)
                } ?? .zero, nodes: nodes)
            try documents.put(document, in: &transaction)
            try AttributeIndex(scope: scope).replace(try present?.attributes, with: try document.attributes, in: &transaction)
            for version in versions[key.text] ?? [] { try documents.addVersion(version, of: id, in: &transaction) }
        }
        // Needs are scored by the statistics that the indexes have with all that came.
        for (document, nodes) in fresh { try noteFollowers(scope, document: document, fresh: nodes, in: &transaction) }
        if plan.events != nil {
            let settled = Set(plan.documents.map(\.key) + kept.map(\.document.key))
            try settle(scope, but: settled, lastEvents, versions, in: &transaction)
        }
    }

    /// Gives the documents that the import did not bring their place in the log that it brought.
    private func settle(
        _ scope: TenantScope, but settled: Set<Name>, _ lastEvents: [String: EventRecord], _ versions: [String: [Sequence]],
        in transaction: inout WriteTransaction
    ) throws {
        let documents = DocumentStore(scope: scope)
        let head = try EventLog(scope: scope).head(in: transaction.view).sequence
        var present: [DocumentRecord] = []
        try documents.forEachDocument(deleted: true, in: transaction.view) { if !settled.contains($0.key) { present.append($0) } }
        for var document in present {
            document.sequence = head
            let known = document.fingerprint
            document.fingerprint = .zero
            if document.exists, let event = lastEvents[document.key.text] {
                // Whether the hint was given or found is not told by an export.
                for format in [nil, document.format] as [String?] where known == PreparedDocument.fingerprint(
                    format: format, eventType: event.type, vector: event.vector, metadata: event.metadata, data: event.data)
                {
                    document.sequence = event.sequence
                    document.fingerprint = known
                }
            }
            try documents.put(document, in: &transaction)
            for version in versions[document.key.text] ?? [] { try documents.addVersion(version, of: document.id, in: &transaction) }
        }
    }

    /// Notes whose needs the nodes of a document answer now; what they followed of it before is gone.
    private func noteFollowers(_ scope: TenantScope, document: DocumentID, fresh: [FreshNode], in transaction: inout WriteTransaction) throws {
        let needs = NeedStore(scope: scope)
        let followers = try needs.followers(of: document, in: transaction.view)
        let matched = try matcher.match(fresh, scope: scope, mode: configuration.mode, threshold: configuration.threshold, in: transaction.view)
        for agent in Set(followers).union(matched.keys).sorted() {
            try needs.setFollow(agent: agent, document: document, nodes: matched[agent]?.map(\.node) ?? [], in: &transaction)
        }
    }

    /// The documents with a vector of their own, each with the event that has it.
    private func ownVectors(_ scope: TenantScope, in view: borrowing TransactionView) throws -> [(document: DocumentRecord, event: EventRecord)] {
        let (documents, log) = (DocumentStore(scope: scope), EventLog(scope: scope))
        var found: [(document: DocumentRecord, event: EventRecord)] = []
        try documents.forEachDocument(in: view) { document in
            guard let node = try document.nodes.first.flatMap({ try documents.node($0, in: view) }), node.hasOwnVector else { return }
            guard let event = try log.event(document.sequence, in: view) else {
                throw ContexError.damaged("'\(document.key)' names event \(document.sequence), which is not there")
            }
            found.append((document, event))
        }
        return found
    }

    /// Empties documents and indexes of a project; the log, the agents and the numbers given so far stay.
    /// - Parameter sequence: of the last event: they are gone from there on.
    private func removeAllDocuments(_ scope: TenantScope, at sequence: Sequence, in transaction: inout WriteTransaction) throws {
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
            document.sequence = sequence
            document.metadata = []
            try documents.put(document, in: &transaction)
        }
        try VectorIndex(scope: scope, dimension: models.dimension).removeAll(in: &transaction)
        try TextIndex(scope: scope).removeAll(in: &transaction)
        try AttributeIndex(scope: scope).removeAll(in: &transaction)
    }
}

/// An export document, checked and taken apart.
private struct ImportPlan: Sendable {
    struct Event: Sendable {
        let type: String
        let data: JSONValue
        let vector: [Float]?
        let metadata: JSONObject
    }
    struct Node: Sendable {
        let path: String
        let kind: String
        let format: String
        let description: String
        let value: JSONValue
        let vector: [Float]?
    }
    struct Document: Sendable {
        let key: Name
        var nodes: [Node]
        /// nil: the nodes say nothing, the last event does.
        var metadata: JSONObject?
    }

    /// nil when the section is absent, which is not the same as empty.
    let events: [Event]?
    let hasNodes: Bool
    let documents: [Document]
    let agents: [RegisterCommand]
    let warnings: [String]

    private static let refusal = ContexError(.importRefused, "Data validation failed")

    init(_ document: JSONValue, project: Name, dimension: Int) throws {
        guard case .object(let top) = document, let named = top["project_id"]?.stringValue, let data = top["data"]?.objectValue else {
            throw Self.refusal
        }
        guard named.utf8.elementsEqual(project.text.utf8) else {
            throw ContexError(.importRefused, "Project ID mismatch: URL has '\(project.text.excerpt())', data has '\(named.excerpt())'")
        }
        warnings = top["version"] == nil ? ["Missing version field"] : []
        events = try Self.section("events", of: data, atMost: Limits.importEvents)?.map { item in
            guard item["event_id"] != nil, let body = item["data"] else { throw Self.refusal }
            // The publish of a key again is one level deeper than what was published.
            try Self.refuseUnstorable(Self.published(body)?.data ?? body)
            let type = item["event_type"]?.stringValue ?? "imported"
            try Self.checkText(type, "event_type", scalarsMax: Limits.nameScalars)
            return Event(type: type, data: body, vector: try Self.vector(of: item, dimension), metadata: try Self.metadata(item) ?? JSONObject())
        }
        let nodes = try Self.section("embeddings", of: data, atMost: Limits.importNodes)
        hasNodes = nodes != nil
        documents = try Self.documents(nodes ?? [], dimension)
        agents = try (Self.section("agents", of: data, atMost: Limits.batchItems) ?? []).map { try Self.agent($0, project: project) }
    }

    /// What an event of one member publishes again.
    static func published(_ body: JSONValue) -> (key: Name, data: JSONValue)? {
        guard case .object(let members) = body, members.count == 1, let key = try? Name(members[0].key, field: "data_key") else { return nil }
        return (key, members[0].value)
    }

    /// All of it is written in one transaction, for which others wait.
    private static func section(_ name: String, of data: JSONObject, atMost limit: Int) throws -> [JSONValue]? {
        guard let section = data[name] else { return nil }
        guard let items = section.arrayValue else { throw refusal }
        guard items.count <= limit else {
            throw ContexError(
                .batchTooLarge, "An import holds at most \(limit) \(name), this one has \(items.count): 'contex import' takes documents line by line")
        }
        return items
    }

    /// Own vectors are there or absent; what is no vector is refused.
    private static func vector(of item: JSONValue, _ dimension: Int) throws -> [Float]? {
        guard let value = item["vector"], !value.isNull else { return nil }
        guard let items = value.arrayValue else { throw refusal }
        let numbers = items.compactMap(\.doubleValue)
        guard numbers.count == items.count else { throw refusal }
        do throws(ContexError) { return try VectorIndex.unit(numbers.map { Float($0) }, dimension: dimension, field: "vector") } catch {
            throw ContexError(.importRefused, "Data validation failed: \(error.message)")
        }
    }

    private static func documents(_ items: [JSONValue], _ dimension: Int) throws -> [Document] {
        var documents: [Document] = []
        var places: [Name: Int] = [:]
        var paths: [Name: Set<ExactText>] = [:]
        for item in items {
            guard let keyText = item["data_key"]?.stringValue, let path = item["node_path"]?.stringValue, let value = item["data"],
                let description = item["description"]?.stringValue, let key = try? Name(keyText, field: "data_key")
            else { throw refusal }
            let kind = item["node_type"]?.stringValue ?? "object"
            // What is no object was exported under `value`.
            try refuseUnstorable(NodeKind(rawValue: kind)?.isStructured == false && value.objectValue?.count == 1 ? value["value"] ?? value : value)
            guard path.utf8.count <= Limits.pathBytes else {
                throw ContexError(.importRefused, "Data validation failed: '\(key)' has a node whose path is over \(Limits.pathBytes) bytes")
            }
            let node = Node(
                path: path, kind: kind, format: item["data_format"]?.stringValue ?? "json",
                description: description, value: value, vector: try vector(of: item, dimension))
            try checkText(node.path, "node_path", scalarsMax: Limits.nodeKeyScalars)
            try checkText(node.kind, "node_type", scalarsMax: Limits.nameScalars)
            try checkText(node.format, "data_format", scalarsMax: Limits.nameScalars)
            try refuseUnstorable(.string(node.description))
            guard paths[key, default: []].insert(ExactText(path)).inserted else {
                throw ContexError(.importRefused, "Data validation failed: '\(key)' has two nodes '\(path)'")
            }
            if let place = places[key] {
                documents[place].nodes.append(node)
            } else {
                places[key] = documents.count
                documents.append(Document(key: key, nodes: [node]))
            }
            if let metadata = try metadata(item) { documents[places[key]!].metadata = metadata }
            let nodes = documents[places[key]!].nodes
            guard nodes.count <= Limits.nodesPerDocument else { throw refusal }
            guard nodes.count == 1 || (nodes[0].vector == nil && node.vector == nil) else {
                throw ContexError(.importRefused, "Data validation failed: '\(key)' has a vector of its own and more than one node")
            }
        }
        return documents
    }

    private static func metadata(_ item: JSONValue) throws -> JSONObject? {
        guard let member = item["metadata"], !member.isNull else { return nil }
        guard case .object(let metadata) = member else { throw refusal }
        do throws(PlacedFault) { try Metadata.check(metadata) } catch {
            throw ContexError(.importRefused, "Data validation failed: \(error)")
        }
        return metadata
    }

    private static func agent(_ item: JSONValue, project: Name) throws -> RegisterCommand {
        guard let id = item["agent_id"]?.stringValue, let name = try? Name(id, field: "agent_id"), let data = item["data"],
            let listed = data["needs"]?.arrayValue
        else { throw refusal }
        func refused(_ reason: String) -> ContexError { ContexError(.importRefused, "Data validation failed: agent '\(name)': \(reason)") }
        func text(_ member: String) throws -> String? {
            guard let value = data[member], !value.isNull else { return nil }
            guard let text = value.stringValue else { throw refused("\(member): Input should be a valid string") }
            return text
        }
        let needs = listed.compactMap(\.stringValue)
        guard needs.count == listed.count else { throw refused("needs: Input should be a list of strings") }
        let delivery: AgentDelivery
        switch try text("notification_method") {
        case "redis", nil: delivery = .redis
        case "webhook": delivery = .webhook
        default: throw refused("notification_method: Input should be 'redis' or 'webhook'")
        }
        // A channel that a server had chosen is chosen anew: here the original's name may be another project's.
        let channel = try text("notification_channel").flatMap { text in
            Database.ownChannels(of: name, in: project).contains { $0.utf8.elementsEqual(text.utf8) } ? nil : text
        }
        var command = RegisterCommand(
            project: project, agent: name, needs: needs, delivery: delivery, responseFormat: try text("response_format") ?? "toon",
            channel: channel, webhookURL: try text("webhook_url"), webhookSecret: try text("webhook_secret"))
        command.keepsSecret = true
        if try text("envelope") == "full" { command.envelope = .full }
        do throws(ContexError) {
            return try command.checked()
        } catch {
            throw refused((error.field.map { "\($0): " } ?? "") + error.message)
        }
    }

    private static func checkText(_ text: String, _ member: String, scalarsMax: Int) throws {
        do throws(ContexError) { try TextRule.check(text, field: member, scalarsMax: scalarsMax) } catch {
            throw ContexError(.importRefused, "Data validation failed: \(member): \(error.message)")
        }
    }

    private static func refuseUnstorable(_ value: JSONValue) throws {
        do throws(ContexError) { try ContentSplitter.validate(value) } catch {
            throw ContexError(.importRefused, "Data validation failed: \(error.message)")
        }
    }

    func receipt(agents: Int, events: Int, embeddings: Int, warnings more: [String] = []) -> ImportReceipt {
        ImportReceipt(events: events, embeddings: embeddings, agents: agents, warnings: warnings + more)
    }
}
