internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Service
internal import Wire

extension OperationCalls {
    private static func command(_ message: WirePublish) throws(ContexError) -> PublishCommand {
        let data: JSONValue
        switch (message.json, message.text) {
        case (let json?, nil): data = try Given.json(json, "json")
        case (nil, let text?): data = .string(text)
        default:
            throw .invalid(field: "json", kind: "value_error", message: "Value error, one of json and text must be there, and not both")
        }
        var metadata = JSONObject()
        if let given = message.metadata {
            guard let object = try Given.json(given, "metadata").objectValue else {
                throw .invalid(field: "metadata", kind: "dict_type", message: "Input should be a valid dictionary")
            }
            metadata = object
        }
        return PublishCommand(
            project: try Given.name(message.project, "project_id"), key: try Given.name(message.key, "data_key"), data: data, format: message.format,
            eventType: message.eventType, vector: try Given.vector(message.vector, message.vectorOfHalves, "vector"), metadata: metadata)
    }

    private static func receipt(_ receipt: PublishReceipt) -> WireReceipt {
        var message = WireReceipt()
        message.sequence = receipt.sequence.rawValue
        message.isUnchanged = !receipt.changed
        message.format = receipt.format
        message.note = receipt.note
        return message
    }

    func publish(_ message: WirePublish) async throws -> WireReceipt {
        Self.receipt(try await operations.publish(try Self.command(message), by: caller))
    }

    /// An item that cannot be read fails by itself, as one that is refused does.
    func publishBatch(_ message: WirePublishBatch) async throws -> WireReceipts {
        let commands = message.items.map { item in Result { () throws(ContexError) in try Self.command(item) } }
        var outcomes = try await operations.publishBatch(commands.compactMap { try? $0.get() }, by: caller).makeIterator()
        var answer = WireReceipts()
        answer.outcomes = commands.map { command in
            var item = WireReceipts.Outcome()
            do throws(ContexError) {
                _ = try command.get()
                guard let outcome = outcomes.next() else { throw ContexError(.bug, "a publish without an outcome") }
                item.receipt = Self.receipt(try outcome.get())
            } catch {
                item.error = WireError(error)
            }
            return item
        }
        return answer
    }

    func delete(_ message: WireDataKey) async throws -> WireReceipt {
        let (project, key) = (try Given.name(message.project, "project_id"), try Given.name(message.key, "data_key"))
        var answer = WireReceipt()
        answer.sequence = try await operations.delete(key, project: project, by: caller).sequence.rawValue
        return answer
    }

    func showData(_ message: WireDataKey) async throws -> WireHeldData {
        let (project, key) = (try Given.name(message.project, "project_id"), try Given.name(message.key, "data_key"))
        let held = try await operations.data(project: project, key: key, asOf: try Given.moment(message.asOf, "as_of"), by: caller)
        var answer = WireHeldData()
        answer.sequence = held.sequence.rawValue
        answer.recordedAt = held.recordedAt?.rawValue
        answer.data = held.dataText
        answer.format = held.format
        answer.metadata = held.metadata.isEmpty ? nil : JSONPrinter.bytes(.object(held.metadata))
        answer.publisher = held.publisher.map(WirePublisher.init)
        answer.nodes = held.nodes.map { node in
            var message = WireHeldData.Node()
            (message.nodeKey, message.description, message.data, message.kind) = (node.nodeKey, node.description, node.dataText, node.kind)
            return message
        }
        return answer
    }

    func listKeys(_ message: WireListing) async throws -> WireKeys {
        let page = try await operations.listKeysOfData(
            project: try Given.name(message.project ?? "", "project_id"), try Self.page(message), asOf: try Given.moment(message.asOf, "as_of"), by: caller)
        var answer = WireKeys()
        (answer.keys, answer.next) = (page.items, page.next)
        return answer
    }

    func listProjects(_ message: WireListing) async throws -> WireProjects {
        let page = try await operations.projects(try Self.page(message), by: caller)
        var answer = WireProjects()
        answer.projects = page.items.map { project in
            var message = WireProjects.Project()
            message.name = project.name.text
            (message.documents, message.nodes, message.agents) = (UInt64(project.documents), UInt64(project.nodes), UInt64(project.agents))
            (message.lastSequence, message.createdAt) = (project.lastSequence.rawValue, project.createdAt.rawValue)
            return message
        }
        answer.next = page.next
        return answer
    }

    static func page(_ message: WireListing) throws(ContexError) -> PageRequest { try page(message.limit, message.cursor) }

    static func page(_ limit: UInt64?, _ cursor: String?) throws(ContexError) -> PageRequest {
        PageRequest(limit: try Given.integer(limit, 1...Limits.pageItems, "limit") ?? Limits.pageItems, cursor: cursor)
    }

    func rehearse(_ message: WirePublish) async throws -> WireJSON {
        WireJSON(JSONPrinter.bytes(.object(NeedShape.rehearsal(try await operations.rehearse(try Self.command(message), by: caller)))))
    }

    /// As `components` of the HTTP API's health.
    func health() async throws -> WireJSON {
        let health = try await operations.health(by: caller)
        let components = HealthShape.components(health, at: SystemClock().now())
        return WireJSON(JSONPrinter.bytes(["status": .string(health.status.rawValue), "components": components]))
    }
}

extension WirePublisher {
    init(_ publisher: Publisher) {
        self.init()
        (keyID, name) = (publisher.keyID, publisher.name)
    }
}
