// Import of a project: an export document becomes its state, in one transaction. (Documents line by line: LineImport.)
//
// Applied by Apply/ApplyImport.swift. An event whose data is an
// object of one member is the publish of that key again, so that a key's history survives; any other keeps its object as
// it is. Nodes are taken as they stand in the export and embedded here, unless they bring their own vector: the original
// stored zero vectors, which never matched. Everything is checked before anything is written.
//
// A section may do what its operation may do and no more: events and nodes are publishes, agents are registrations, with their
// permission and by their rules (CommandRules.swift).

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
        let units = try await onPool(isHeavy: document.isLarger(than: Limits.lightBytes)) { plan.documents.map(\.units) }
        var texts: [String] = []
        for (document, units) in zip(plan.documents, units) { for unit in units { texts += document.textsToEmbed(of: unit) } }
        let embedded = try await models.embed(documents: texts, in: .project(project, of: tenant))
        let (time, routing) = (now(), Command.Routing(configuration))
        let command = try await onPool(isHeavy: document.isLarger(than: Limits.lightBytes)) { [models] in
            plan.command(
                tenant, project, units: units, embedded: embedded[...], countTokens: models.countTokens, overwrites: overwrite, by: publisher,
                routing, at: time)
        }
        try await submitInParts(.importProject(command))
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
            agents: commands.count - refused.count, events: plan.events?.count ?? 0,
            embeddings: plan.documents.reduce(0) { $0 + $1.nodes.count }, warnings: refused)
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

        /// As a publish would have them.
        var units: [PassageUnit] {
            PassageUnits.units(of: nodes.map { .init(kind: $0.kind, value: $0.value) }, isWhole: nodes.first?.vector != nil)
        }

        /// Of each passage of a unit; none of one that brings its vector.
        func textsToEmbed(of unit: PassageUnit) -> [String] {
            let nodes = nodes[unit.nodes]
            guard let node = nodes.first, node.vector == nil else { return [] }
            if nodes.count > 1 { return [SearchText.embedded(key: key.text, context: unit.context, gathered: nodes.map(\.value))] }
            return SearchText.embedded(
                key: key.text, context: unit.context, path: node.path, kind: node.kind, value: node.value, passages: unit.passages)
        }
    }

    /// nil when the section is absent, which is not the same as empty.
    let events: [Event]?
    let hasNodes: Bool
    let documents: [Document]
    let agents: [RegisterCommand]
    let warnings: [String]

    /// The original's words, for what is no export document at all.
    private static let refusal = ContexError(.importRefused, "Data validation failed")

    private static func refused(_ reason: String) -> ContexError { ContexError(.importRefused, "Data validation failed: \(reason)") }

    init(_ document: JSONValue, project: Name, dimension: Int) throws {
        guard case .object(let top) = document, let named = top["project_id"]?.stringValue, let data = top["data"]?.objectValue else {
            throw Self.refusal
        }
        guard named.utf8.elementsEqual(project.text.utf8) else {
            throw ContexError(.importRefused, "Project ID mismatch: URL has '\(project.text.excerpt())', data has '\(named.excerpt())'")
        }
        warnings = top["version"] == nil ? ["Missing version field"] : []
        events = try Self.section("events", of: data, atMost: Limits.importEvents)?.map { item in
            guard item["event_id"] != nil, let body = item["data"] else { throw Self.refused("an event needs event_id and data") }
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
        guard let items = section.arrayValue else { throw refused("data.\(name): Input should be a valid list") }
        guard items.count <= limit else {
            throw ContexError(
                .batchTooLarge, "An import holds at most \(limit) \(name), this one has \(items.count): 'contex import' takes documents line by line")
        }
        return items
    }

    /// Own vectors are there or absent; what is no vector is refused.
    private static func vector(of item: JSONValue, _ dimension: Int) throws -> [Float]? {
        guard let value = item["vector"], !value.isNull else { return nil }
        guard let items = value.arrayValue else { throw refused("vector: Input should be a list of numbers") }
        let numbers = items.compactMap(\.doubleValue)
        guard numbers.count == items.count else { throw refused("vector: Input should be a list of numbers") }
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
            else { throw refused("a node needs data, and as texts data_key, node_path and description") }
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
            guard nodes.count <= Limits.nodesPerDocument else { throw refused("'\(key)' has more than \(Limits.nodesPerDocument) nodes") }
            guard nodes.count == 1 || (nodes[0].vector == nil && node.vector == nil) else {
                throw ContexError(.importRefused, "Data validation failed: '\(key)' has a vector of its own and more than one node")
            }
        }
        return documents
    }

    private static func metadata(_ item: JSONValue) throws -> JSONObject? {
        guard let member = item["metadata"], !member.isNull else { return nil }
        guard case .object(let metadata) = member else { throw refused("metadata: Input should be a valid dictionary") }
        do throws(PlacedFault) { try Metadata.check(metadata) } catch {
            throw ContexError(.importRefused, "Data validation failed: \(error)")
        }
        return metadata
    }

    private static func agent(_ item: JSONValue, project: Name) throws -> RegisterCommand {
        guard let id = item["agent_id"]?.stringValue, let name = try? Name(id, field: "agent_id"), let data = item["data"],
            let listed = data["needs"]?.arrayValue
        else { throw Self.refused("an agent needs a text agent_id, and data with a list of needs") }
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
        do throws(ContexError) { command.settings = try NeedSettings(members: data) } catch { throw refused(error.message) }
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

    /// What is applied: data as it is stored, and everything that was computed.
    /// - Parameters:
    ///   - units: of each document.
    ///   - embedded: the vectors of all passages that have none of their own, in order.
    func command(
        _ tenant: TenantID, _ project: Name, units: [[PassageUnit]], embedded: ArraySlice<[Float]>, countTokens: (String) -> Int,
        overwrites: Bool, by publisher: Publisher?,
        _ routing: Command.Routing, at time: Timestamp
    ) -> Command.ImportProject {
        var rest = embedded
        func unit(_ unit: PassageUnit, of document: Document) -> Command.ImportProject.Unit {
            let nodes = document.nodes[unit.nodes]
            let own = nodes.first?.vector
            return Command.ImportProject.Unit(
                nodes: nodes.map { node in
                    Command.ImportProject.Node(
                        path: node.path, kind: node.kind, format: node.format, description: node.description, data: JSONPrinter.bytes(node.value),
                        tokenCount: countTokens(JSONPrinter.text(MatchData.wrapped(node.value), style: .python)))
                }, passages: unit.passages, context: unit.context,
                vectors: own.map { [$0] } ?? (0..<max(1, unit.passages.count)).map { _ in rest.removeFirst() }, hasOwnVector: own != nil)
        }
        return Command.ImportProject(
            tenant: tenant, project: project, overwrites: overwrites,
            events: events?.map { event in
                let published = Self.published(event.data)
                return Command.ImportProject.Event(
                    type: event.type, data: JSONPrinter.bytes(published?.data ?? event.data), key: published?.key, vector: event.vector,
                    metadata: PreparedDocument.bytes(ofMetadata: event.metadata))
            },
            hasNodes: hasNodes,
            documents: zip(documents, units).map { document, units in
                Command.ImportProject.Document(
                    key: document.key, units: units.map { unit($0, of: document) },
                    metadata: document.metadata.map(PreparedDocument.bytes(ofMetadata:)))
            },
            publisher: publisher, routing: routing, time: time)
    }

    func receipt(agents: Int, events: Int, embeddings: Int, warnings more: [String] = []) -> ImportReceipt {
        ImportReceipt(events: events, embeddings: embeddings, agents: agents, warnings: warnings + more)
    }
}
