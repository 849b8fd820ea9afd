public import Base
internal import Content
public import Service

public enum HealthShape {
    /// Every part with its status and, for whom they are meant, its figures.
    public static func components(_ health: ServerHealth, at time: Timestamp) -> JSONValue {
        .object(JSONObject(health.components.map { ($0.name, component($0, at: time)) }))
    }

    /// Every part: whether it is ready.
    public static func checks(_ health: ServerHealth) -> JSONValue {
        .object(JSONObject(health.components.map { ($0.name, .bool($0.status != .unhealthy)) }))
    }

    private static func component(_ component: ServerHealth.Component, at time: Timestamp) -> JSONValue {
        var members = JSONObject([("status", .string(component.status.rawValue)), ("timestamp", .string(time.iso8601))])
        if let message = component.message { members["message"] = .string(message) }
        if !component.details.isEmpty {
            members["details"] = .object(
                JSONObject(component.details.map { ($0.name, Int($0.value).map { .integer($0) } ?? .string($0.value)) }))
        }
        return .object(members)
    }
}
