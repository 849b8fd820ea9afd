internal import Base
internal import Observability
internal import Service

/// How the server is seen from outside: its measures, and what it logs.
extension RouteTable {
    private static let group = "Server"
    private static let metricsSummary =
        "Measures of the server, as text of Prometheus or, when Accept prefers it, OpenMetrics. A key that is held to projects gets theirs only"
    private static let metricsExample = "# TYPE contex_queries_total counter\n# a sample a line\n"

    private enum Logs {
        static let level = Field.optionalWord(
            "level", of: ["trace", "debug", "info", "notice", "warning", "error", "critical"],
            "From which level on entries are written; with a logger and without a level its own is taken away")
        static let logger = Field.optionalText("logger", scalarsMax: 100, "The part that it is for, as the log names it; all when not given")
        static let example = #"{"level":"info","loggers":{"contex.http":null}}"#
    }

    static let observingRoutes: [Route] = [
        Route(
            "GET", "/metrics", bases: .root, action: .showMetrics, group: group, metricsSummary, answers: Exposition.prometheus.contentType,
            or: [Exposition.openMetrics.contentType], metricsExample, handler: metrics),

        Route(
            "GET", "/metrics", action: .showMetrics, group: group, metricsSummary, answers: Exposition.prometheus.contentType,
            or: [Exposition.openMetrics.contentType], metricsExample, handler: metrics),

        Route(
            "GET", "/admin/log-level", bases: .current, action: .showLogLevel, group: group, "What is logged, and which parts there are", Logs.example
        ) { call in .json(levels(try await call.operations.logLevels(by: call.caller))) },

        Route(
            "PUT", "/admin/log-level", bases: .current, action: .changeLogLevel, group: group,
            "Change what is logged, of all or of one part, until the server ends or is told to read its settings again (SIGHUP)",
            body: .object([Logs.level.shape, Logs.logger.shape]), Logs.example
        ) { call in
            .json(levels(try await call.operations.setLogLevel(call.body[Logs.level], of: call.body[Logs.logger], by: call.caller)))
        },
    ]

    @Sendable private static func metrics(_ call: Call) async throws -> APIAnswer {
        let exposition = Exposition(accept: call.request.header("Accept"))
        let text = try await call.operations.metrics(by: call.caller) { exposition.text(of: $0, shows: $1) }
        return .bytes(Array(text.utf8), contentType: exposition.contentType)
    }

    private static func levels(_ report: LogLevelReport) -> JSONValue {
        ["level": .string(report.general), "loggers": .object(JSONObject(report.own.map { ($0.part, $0.level.map { .string($0) } ?? .null) }))]
    }
}
