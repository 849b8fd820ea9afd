// Spans as the OpenTelemetry protocol has them (opentelemetry.io/docs/specs/otlp/, JSON Protobuf encoding): ids in hexadecimal, 64-bit
// numbers as text, enumerations as numbers.

internal import Base
internal import Content
public import Traces

public enum OTLPDocument {
    /// An ExportTraceServiceRequest.
    /// - Parameter resource: what is said of the server, such as `service.name`.
    public static func spans(_ spans: [Span], resource: [(name: String, value: String)], version: String) -> [UInt8] {
        JSONPrinter.bytes([
            "resourceSpans": .array([
                [
                    "resource": ["attributes": .array(resource.map { attribute($0.name, .text($0.value)) })],
                    "scopeSpans": .array([
                        ["scope": ["name": "contex", "version": .string(version)], "spans": .array(spans.map(span))]
                    ]),
                ]
            ])
        ])
    }

    private static func span(_ span: Span) -> JSONValue {
        var members = JSONObject([
            ("traceId", .string("\(span.context.trace)")), ("spanId", .string("\(span.context.span)")), ("name", .string(span.name)),
            ("kind", .integer(span.kind.rawValue)), ("startTimeUnixNano", .string(String(span.begun))), ("endTimeUnixNano", .string(String(span.ended))),
            ("flags", .integer(span.context.isSampled ? 1 : 0)),
        ])
        if let parent = span.parent { members["parentSpanId"] = .string("\(parent)") }
        if !span.context.state.isEmpty { members["traceState"] = .string(span.context.state) }
        if !span.attributes.isEmpty { members["attributes"] = .array(span.attributes.map { attribute($0.name, $0.value) }) }
        // 2: an error. A span that went well says nothing: whoever reads it decides.
        if let failure = span.failure { members["status"] = ["code": .integer(2), "message": .string(failure)] }
        return .object(members)
    }

    private static func attribute(_ name: String, _ value: Span.Value) -> JSONValue {
        let typed: JSONValue =
            switch value {
            case .text(let text): ["stringValue": .string(text)]
            case .integer(let number): ["intValue": .string(String(number))]
            case .number(let number): ["doubleValue": .double(number)]
            case .flag(let flag): ["boolValue": .bool(flag)]
            }
        return ["key": .string(name), "value": typed]
    }
}
