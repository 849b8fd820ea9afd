public import Base
internal import Documents
internal import Events
internal import KeySpace
internal import LMDB
internal import Needs
internal import Vectors

extension Database {
    /// The export document of a project, with the sections asked for. Sections of an unknown project are empty.
    /// - Complexity: O(project), in memory.
    public func export(_ tenant: TenantID, project: Name, sections: ExportSections) async throws -> JSONValue {
        let (time, dimension) = (now(), models.dimension)
        return try await read { view in
            let scope = try Self.scope(tenant, project, view)
            var data = JSONObject()
            if sections.events { data["events"] = .array(try scope.map { try Self.exportedEvents($0, in: view) } ?? []) }
            if sections.embeddings { data["embeddings"] = .array(try scope.map { try Self.exportedNodes($0, dimension, in: view) } ?? []) }
            if sections.agents { data["agents"] = .array(try scope.map { try Self.exportedAgents($0, project, in: view) } ?? []) }
            return [
                "project_id": .string(project.text), "export_timestamp": .double(time.seconds), "version": "1.0", "data": .object(data),
            ]
        }
    }

    private static func exportedEvents(_ scope: TenantScope, in view: borrowing TransactionView) throws -> [JSONValue] {
        try EventLog(scope: scope).events(after: .zero, count: .max, in: view).map { event in
            var members = JSONObject([
                ("event_id", .string(event.sequence.description)), ("event_type", .string(event.type)), ("data", try EventData.visible(event)),
                ("created_at", .string(event.recordedAt.iso8601)),
            ])
            if let vector = event.vector { members["vector"] = numbers(vector) }
            if !event.metadata.isEmpty { members["metadata"] = .object(try EventData.metadata(event.metadata)) }
            if let publisher = event.publisher { members["published_by"] = publisher.json }
            return .object(members)
        }
    }

    /// The shortest texts that read back as the same floats.
    private static func numbers(_ vector: [Float]) -> JSONValue {
        .array(vector.map { .number(JSONNumber(uncheckedText: $0.description)) })
    }

    private static func exportedNodes(_ scope: TenantScope, _ dimension: Int, in view: borrowing TransactionView) throws -> [JSONValue] {
        let documents = DocumentStore(scope: scope)
        let vectors = VectorIndex(scope: scope, dimension: dimension)
        var exported: [JSONValue] = []
        try documents.forEachDocument(in: view) { document in
            let attributes = try document.attributes
            for (place, id) in document.nodes.enumerated() {
                let node = try listed(id, attributes, documents, in: view)
                var members = JSONObject([
                    ("key", .string(node.nodeKey)), ("data_key", .string(node.documentKey)), ("node_path", .string(node.path)),
                    ("node_type", .string(node.kind)), ("description", .string(node.description)), ("data", node.data),
                    ("data_format", .string(node.format)),
                ])
                if node.hasOwnVector, let vector = try vectors.vector(of: id, in: view) { members["vector"] = numbers(vector) }
                // The document's, so once is enough.
                if place == 0, !node.metadata.isEmpty { members["metadata"] = .object(node.metadata) }
                exported.append(.object(members))
            }
        }
        return exported
    }

    /// Secrets stay here: an import must be given them anew.
    private static func exportedAgents(_ scope: TenantScope, _ project: Name, in view: borrowing TransactionView) throws -> [JSONValue] {
        let store = NeedStore(scope: scope)
        let documents = DocumentStore(scope: scope)
        return try store.agents(in: view).map { agent in
            let keys = try store.followed(by: agent.number, in: view).values.joined().sorted().map { id in
                guard let node = try documents.node(id, in: view) else {
                    throw ContexError.damaged("agent '\(agent.name)' holds node \(id.rawValue), which is not there")
                }
                return JSONValue.string(node.nodeKey)
            }
            return [
                "agent_id": .string(agent.name.text),
                "data": [
                    "project_id": .string(project.text), "tenant_id": .null, "needs": .array(agent.needs.map { .string($0) }),
                    "notification_method": .string(agent.delivery == .webhook ? "webhook" : "redis"),
                    "response_format": .string(agent.responseFormat), "notification_channel": .string(agent.channel),
                    "webhook_url": agent.webhookURL.map { .string($0) } ?? .null, "data_keys": .array(keys),
                ],
                "last_seen": .string(agent.registeredAt.iso8601), "last_sequence": .string(agent.lastSequence.description),
            ]
        }
    }
}
