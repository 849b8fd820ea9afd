public import Base
public import Content
public import Engine

/// What a key held before, as text: the data stands in it as the log has it.
public enum VersionShape {
    /// One version of a history.
    public static func listed(_ version: DocumentVersion) -> [UInt8] {
        var members = described(version)
        members.add("event_type", .string(version.eventType))
        DataShape.add(version.metadata, version.publisher, to: &members)
        return members.text
    }

    public static func history(of key: Name, _ project: Name, _ versions: [[UInt8]]) -> JSONMembers {
        var answer = named(project, key)
        answer.add("versions", text: JSONMembers.list(versions))
        answer.add("count", .integer(versions.count))
        return answer
    }

    public static func version(_ version: DocumentVersion, of key: Name, _ project: Name) -> [UInt8] {
        var members = described(version, in: named(project, key))
        DataShape.add(version.metadata, version.publisher, to: &members)
        return members.text
    }

    public static func difference(_ difference: VersionDifference, of key: Name, _ project: Name) -> [UInt8] {
        var answer = named(project, key)
        answer.add("from_sequence", .string(difference.from.sequence.description))
        answer.add("to_sequence", .string(difference.to.sequence.description))
        answer.add("from_data", text: difference.from.dataText)
        answer.add("to_data", text: difference.to.dataText)
        answer.add("changed", .bool(difference.changed))
        return answer.text
    }

    private static func named(_ project: Name, _ key: Name) -> JSONMembers {
        var members = JSONMembers()
        members.add("project_id", .string(project.text))
        members.add("data_key", .string(key.text))
        return members
    }

    private static func described(_ version: DocumentVersion, in members: JSONMembers = JSONMembers()) -> JSONMembers {
        var members = members
        members.add("sequence", .string(version.sequence.description))
        members.add("timestamp", .string(version.recordedAt.iso8601))
        members.add("data", text: version.dataText)
        members.add("data_format", .string(version.format))
        members.add("description", .string(version.description))
        return members
    }
}
