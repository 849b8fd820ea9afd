internal import Base
internal import Content
internal import Engine

/// One line of an import: a JSON object with the members of a publish.
enum ImportLine {
    /// - Throws: `.badRequest` for what is no JSON object.
    static func members(_ line: [UInt8]) throws(ContexError) -> JSONObject {
        let value: JSONValue
        do throws(JSONParseError) {
            value = try JSONParser.parse(line, maximumDepth: Limits.nestingDepth + Limits.envelopeLevels)
        } catch {
            throw .badRequest("no JSON: \(error)")
        }
        guard case .object(let members) = value else { throw .badRequest("a JSON object is expected") }
        return members
    }

    /// - Parameter project: of lines that name none.
    /// - Throws: `.invalid` with the member that is wrong.
    static func command(_ members: JSONObject, project: Name?) throws(ContexError) -> PublishCommand {
        func name(_ field: String) throws(ContexError) -> Name? {
            guard let text = try text(field, of: members) else { return nil }
            return try Name(text, field: field)
        }
        guard let project = try name("project_id") ?? project else { throw missing("project_id") }
        guard let key = try name("data_key") else { throw missing("data_key") }
        guard let data = members["data"] else { throw missing("data") }
        let command = PublishCommand(
            project: project, key: key, data: data, format: try text("data_format", of: members), eventType: try text("event_type", of: members),
            vector: try vector(of: members), metadata: try metadata(of: members))
        try command.check()
        return command
    }

    private static func missing(_ field: String) -> ContexError { .invalid(field: field, kind: "missing", message: "Field required") }

    private static func text(_ field: String, of members: JSONObject) throws(ContexError) -> String? {
        guard let value = members[field], !value.isNull else { return nil }
        guard let text = value.stringValue else { throw .invalid(field: field, kind: "string_type", message: "Input should be a valid string") }
        return text
    }

    /// What else is wrong with it is looked at when the document is prepared.
    private static func metadata(of members: JSONObject) throws(ContexError) -> JSONObject {
        guard let value = members["metadata"], !value.isNull else { return JSONObject() }
        guard let metadata = value.objectValue else { throw .invalid(field: "metadata", kind: "dict_type", message: "Input should be a valid dictionary") }
        return metadata
    }

    /// How many numbers there must be, and that they are not all zero, is looked at when the document is prepared.
    private static func vector(of members: JSONObject) throws(ContexError) -> [Float]? {
        guard let value = members["vector"], !value.isNull else { return nil }
        guard let items = value.arrayValue else { throw .invalid(field: "vector", kind: "list_type", message: "Input should be a valid list") }
        var numbers: [Float] = []
        numbers.reserveCapacity(items.count)
        for (place, item) in items.enumerated() {
            guard let number = item.doubleValue, Float(number).isFinite else {
                throw .invalid(field: "vector", kind: "finite_number", message: "number \(place + 1) of the vector should be a finite number")
            }
            numbers.append(Float(number))
        }
        return numbers
    }
}
