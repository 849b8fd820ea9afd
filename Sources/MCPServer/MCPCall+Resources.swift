// Documents as resources: `contex://project/key`. Who lists them goes through the caller's projects, and through the keys of each.

internal import Answers
internal import Base
internal import Content
internal import Engine
internal import MCPMessages
internal import Service

extension MCPCall {
    static let resourceTemplate: JSONValue = [
        "uriTemplate": .string(ResourceAddress.template), "name": "document", "title": "Document",
        "description": "What a key of a project holds, as it was published; both parts percent-encoded",
    ]

    // MARK: - The list

    /// Where a list goes on.
    private struct Place {
        /// Of the projects behind this one.
        var projects: String?
        var project: Name
        var keys: String?

        var text: String {
            func part(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
            return Base64URL.encode(JSONPrinter.bytes(.array([part(projects), .string(project.text), part(keys)])))
        }

        init(projects: String?, project: Name, keys: String? = nil) { (self.projects, self.project, self.keys) = (projects, project, keys) }

        /// - Throws: for a text that no list gave.
        init(_ text: String) throws(RPCFault) {
            guard text.utf8.count <= MCPLimits.addressBytes, let bytes = Base64URL.decode(text), let parts = (try? JSONParser.parse(bytes))?.arrayValue,
                parts.count == 3, parts.allSatisfy({ $0.isNull || $0.stringValue != nil }), let project = try? Name(parts[1].stringValue ?? "", field: "cursor")
            else { throw RPCFault(.invalidParams, "cursor is none that this list gave") }
            self.init(projects: parts[0].stringValue, project: project, keys: parts[2].stringValue)
        }
    }

    func resources() async throws -> JSONObject {
        var place: Place?
        switch params["cursor"] {
        case nil, .null?: place = try await project(after: nil)
        case .string(let text)?: place = try Place(text)
        default: throw RPCFault(.invalidParams, "cursor is a text")
        }
        var resources: [JSONValue] = []
        // Projects without data are passed over, but not all of them for one page.
        var looks = 0
        while let current = place, resources.count < MCPLimits.resourcesPage, looks < MCPLimits.resourcesPage {
            looks += 1
            let request = PageRequest(limit: MCPLimits.resourcesPage - resources.count, cursor: current.keys)
            let page = try await operations.listKeysOfData(project: current.project, request, by: caller)
            resources += page.items.map { key in
                let address = ResourceAddress(project: current.project, key: Name(stored: key))
                return ["uri": .string(address.description), "name": .string(key), "title": .string("\(key) (\(current.project))")]
            }
            if let next = page.next {
                place?.keys = next
            } else {
                // The last has no cursor behind it.
                place = current.projects == nil ? nil : try await project(after: current.projects)
            }
        }
        var result = JSONObject([("resources", .array(resources))])
        if let place { result["nextCursor"] = .string(place.text) }
        return result
    }

    private func project(after cursor: String?) async throws -> Place? {
        let page = try await operations.projects(PageRequest(limit: 1, cursor: cursor), by: caller)
        return page.items.first.map { Place(projects: page.next, project: $0.name) }
    }

    // MARK: - One resource

    func resource() async throws -> JSONObject {
        guard let uri = params["uri"]?.stringValue else { throw RPCFault(.invalidParams, "resources/read names a uri") }
        let address = try ResourceAddress(uri)
        guard let key = address.key else {
            throw ContexError(.dataNotFound, "A project by itself has no content: \(ResourceAddress.template) names a key of it")
        }
        let held = try await operations.data(project: address.project, key: key, by: caller)
        guard held.dataText?.count ?? 0 <= MCPLimits.resourceBytes else {
            throw ContexError(.answerTooLarge, "'\(key.text.excerpt())' has over \(MCPLimits.resourceBytes >> 20) MiB: the tool get has parts of it")
        }
        let data = try held.dataText.map { text throws(ContexError) in try EventData.parsed(text) } ?? .null
        // A text is what it was before it became a string of JSON.
        let isText = data.stringValue != nil
        var meta = JSONObject([("contex/notice", .string(ToolShape.notice)), ("contex/seq", .integer(held.sequence.rawValue))])
        if let publisher = held.publisher { meta["contex/by"] = .string(publisher.name) }
        return JSONObject([
            (
                "contents",
                .array([
                    [
                        "uri": .string(uri), "mimeType": .string(isText ? Self.textType(held.format) : "application/json"),
                        "text": .string(data.stringValue ?? JSONPrinter.text(data)), "_meta": .object(meta),
                    ]
                ])
            )
        ])
    }

    private static func textType(_ format: String) -> String {
        switch format {
        case "markdown": "text/markdown"
        case "csv": "text/csv"
        case "yaml": "application/yaml"
        case "toml": "application/toml"
        case "xml": "application/xml"
        default: "text/plain"
        }
    }

    // MARK: - Completion

    /// Names that begin as what has been typed.
    func completion() async throws -> JSONObject {
        guard let argument = params["argument"]?.objectValue, let name = argument["name"]?.stringValue, let typed = argument["value"]?.stringValue else {
            throw RPCFault(.invalidParams, "completion/complete has an argument with name and value")
        }
        let reference = params["ref"]
        let isKnown: Bool =
            switch reference?["type"]?.stringValue {
            case "ref/resource": reference?["uri"]?.stringValue == ResourceAddress.template && ["project", "key"].contains(name)
            case "ref/prompt": reference?["name"]?.stringValue.flatMap(Prompt.init) != nil
            default: false
            }
        guard isKnown else { throw RPCFault(.invalidParams, "ref is \(ResourceAddress.template) or one of the prompts, and argument one of its own") }
        let found: [String]
        let isAll: Bool
        switch name {
        case "project":
            let page = try await operations.projects(PageRequest(limit: MCPLimits.suggestionKeys), by: caller)
            (found, isAll) = (page.items.map(\.name.text), page.next == nil)
        case "key":
            guard let project = params["context"]?["arguments"]?["project"]?.stringValue.flatMap({ try? Name($0, field: "project") }) else {
                (found, isAll) = ([], true)
                break
            }
            let page = try await operations.listKeysOfData(project: project, PageRequest(limit: MCPLimits.suggestionKeys), by: caller)
            (found, isAll) = (page.items, page.next == nil)
        default: (found, isAll) = ([], true)
        }
        let fitting = found.filter { $0.utf8.starts(with: typed.utf8) }
        var completion = JSONObject([("values", .array(fitting.prefix(MCPLimits.suggestions).map(JSONValue.string)))])
        if isAll { completion["total"] = .integer(fitting.count) }
        completion["hasMore"] = .bool(!isAll || fitting.count > MCPLimits.suggestions)
        return JSONObject([("completion", .object(completion))])
    }
}
