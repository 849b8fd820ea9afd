public import Base
internal import Content
public import Engine
public import Service

public enum HealthShape {
    /// Every part with its status and, for whom they are meant, its figures.
    public static func components(_ health: ServerHealth, at time: Timestamp) -> JSONValue {
        .object(JSONObject(health.components.map { ($0.name, component($0, at: time)) }))
    }

    /// The modes in which the server does less than it should.
    public static func modes(_ health: ServerHealth) -> JSONValue { .array(health.modes.map { .string($0.rawValue) }) }

    /// Every part: whether it is ready.
    public static func checks(_ health: ServerHealth) -> JSONValue {
        .object(
            JSONObject(
                health.components.map { ($0.name, .bool($0.status != .unhealthy)) } + [("accepting", .bool(!health.modes.contains(.draining)))]))
    }

    /// What a look at a project's data has found.
    public static func look(_ look: ProjectLook, at project: Name, isQuarantined: Bool) -> JSONValue {
        .object(
            JSONObject([
                ("project_id", .string(project.text)), ("status", isQuarantined ? "quarantined" : "sound"), ("records", .integer(look.records)),
                ("findings", .array(look.findings.map(JSONValue.string))),
            ]))
    }

    private static func component(_ component: ServerHealth.Component, at time: Timestamp) -> JSONValue {
        var members = JSONObject([("status", .string(component.status.rawValue)), ("timestamp", .string(time.iso8601))])
        if let message = component.message { members["message"] = .string(message) }
        if !component.details.isEmpty {
            members["details"] = .object(JSONObject(component.details.map { ($0.name, value($0.value)) }))
        }
        return .object(members)
    }

    /// Numbers as numbers.
    private static func value(_ text: String) -> JSONValue { Int(text).map { .integer($0) } ?? Double(text).map { .double($0) } ?? .string(text) }
}
