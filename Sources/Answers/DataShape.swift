public import Base
public import Content
public import Engine
internal import TOON

/// Data under keys: receipts, listings, what a key holds.
public enum DataShape {
    public static func published(_ receipt: PublishReceipt) -> JSONObject {
        var answer = receiptMembers("published", receipt)
        if !receipt.changed { answer["unchanged"] = .bool(true) }
        return answer
    }

    /// One publish of a batch.
    public static func batchItem(_ receipt: PublishReceipt) -> JSONValue { .object(receiptMembers("success", receipt)) }

    private static func receiptMembers(_ status: String, _ receipt: PublishReceipt) -> JSONObject {
        var members = JSONObject([
            ("status", .string(status)), ("project_id", .string(receipt.project.text)), ("data_key", .string(receipt.key.text)),
            ("sequence", .string(receipt.sequence.description)),
        ])
        addNote(of: receipt, to: &members)
        return members
    }

    /// What the data was read as, where its publisher may have meant something else.
    private static func addNote(of receipt: PublishReceipt, to answer: inout JSONObject) {
        guard let note = receipt.note else { return }
        answer["format"] = .string(receipt.format)
        answer["note"] = .string(note)
    }

    public static func projects(_ projects: [ProjectSummary]) -> JSONMembers {
        var answer = JSONMembers()
        answer.add(
            "projects",
            .array(
                projects.map { project in
                    // Nothing is said of what could not be read.
                    if project.isQuarantined {
                        return [
                            "project_id": .string(project.name.text), "status": "quarantined", "created_at": .string(project.createdAt.iso8601),
                        ]
                    }
                    return [
                        "project_id": .string(project.name.text), "documents": .integer(project.documents),
                        "nodes": .integer(project.nodes), "agents": .integer(project.agents),
                        "last_sequence": .string(project.lastSequence.description), "created_at": .string(project.createdAt.iso8601),
                    ]
                }))
        answer.add("count", .integer(projects.count))
        return answer
    }

    public static func keys(_ keys: [String], of project: Name) -> JSONMembers {
        var answer = JSONMembers()
        answer.add("project_id", .string(project.text))
        answer.add("data_keys", .array(keys.map(JSONValue.string)))
        answer.add("count", .integer(keys.count))
        return answer
    }

    /// What a key holds or held, with its nodes, as text.
    /// - Throws: `.damaged`
    public static func held(_ held: HeldDocument, project: Name) throws -> [UInt8] {
        var answer = JSONMembers()
        answer.add("project_id", .string(project.text))
        answer.add("data_key", .string(held.key.text))
        answer.add("sequence", .string(held.sequence.description))
        answer.add("timestamp", held.recordedAt.map { .string($0.iso8601) } ?? .null)
        answer.add("data", text: held.dataText ?? Array("null".utf8))
        answer.add("data_format", .string(held.format))
        answer.add("nodes", text: JSONMembers.list(try held.nodes.map(listed)))
        add(held.metadata, held.publisher, to: &answer)
        if let end = held.expiresAt { answer.add("expires_at", .string(end.iso8601)) }
        return answer.text
    }

    /// One node of a listing, as text.
    /// - Throws: `.damaged`
    public static func listed(_ node: ListedNode) throws -> [UInt8] {
        var members = JSONMembers()
        members.add("data_key", .string(node.nodeKey))
        members.add("description", .string(node.description))
        let stored = try node.parsedData()
        let data = stored.objectValue == nil ? ["value": stored] : stored
        members.add("data", data)
        members.add("data_format", .string(node.format))
        members.add("is_structured", .bool(NodeKind(rawValue: node.kind)?.isStructured ?? false))
        members.add("toon", .string(TOONEncoder.encode(data)))
        add(node.metadata, node.publisher, to: &members)
        return members.text
    }

    /// Members that the original's answers do not have stand at the end, and only where there is something to say.
    static func add(_ metadata: JSONObject, _ publisher: Publisher?, to members: inout JSONObject) {
        if !metadata.isEmpty { members["metadata"] = .object(metadata) }
        if let publisher { members["published_by"] = publisher.json }
    }

    static func add(_ metadata: JSONObject, _ publisher: Publisher?, to members: inout JSONMembers) {
        if !metadata.isEmpty { members.add("metadata", .object(metadata)) }
        if let publisher { members.add("published_by", publisher.json) }
    }
}
