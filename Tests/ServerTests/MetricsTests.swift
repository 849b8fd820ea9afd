import Assembly
import Base
import Content
import Foundation
import Logging
import Measures
import Observability
import TestSupport
import Testing

/// What a running server shows of itself, and that the documents and dashboards speak of the same.
@Suite(.serialized) struct MetricsTests {
    private static let document = TestData.checkout.appendingPathComponent("docs/metrics.md")

    private static func name(_ description: MeasureDescription) -> String {
        switch description.kind {
        case .counter: description.name + "_total"
        case .info: description.name + "_info"
        case .gauge, .histogram: description.name
        }
    }

    /// docs/metrics.md is printed from what a server has; CONTEX_TEST_WRITE=1 writes it anew.
    @Test func theDocumentIsWhatAServerHas() async throws {
        let running = try await TestServer { $0.metricsPort = 0 }
        let measures = running.server.measures
        let rows = measures.map { "| `\(Self.name($0))` | \($0.kind.rawValue) | \($0.labels.map { "`\($0)`" }.joined(separator: ", ")) | \($0.help) |" }
        let text = """
            # Metrics

            What `GET /metrics`, `GET /api/v1/metrics` and the port of `CONTEX_METRICS_PORT` print, as Prometheus' text format 0.0.4
            or, when `Accept` prefers it, OpenMetrics 1.0.0. Times are in seconds, their buckets go from 50 microseconds to 10 s.
            Labels with the names of projects have at most \(LabelSlots.namedMax) values and `other`: whoever is asked for most has a name of its own
            ([decision 86](decisions/0086-measures.md), which also says who may read).

            | name | kind | labels | what it is |
            |---|---|---|---|
            \(rows.joined(separator: "\n"))

            """
        if ProcessInfo.processInfo.environment["CONTEX_TEST_WRITE"] == "1" { try Data(text.utf8).write(to: Self.document) }
        #expect(try String(contentsOf: Self.document, encoding: .utf8) == text)
        #expect(measures.count >= 60 && Set(measures.map(\.name)).count == measures.count)

        try await running.publish("shop", "tech", ["db": "LMDB"])
        _ = try await running.query("shop", "which database")
        _ = try await running.query("no such project", "anything")
        _ = try await running.register("shop", "reader", ["database"])
        let printed = try ExpositionReader(try await running.call("GET", "/metrics").text)
        #expect(Set(printed.kinds.keys) == Set(measures.map(Self.name)), "what is printed is what is listed")
        #expect(measures.allSatisfy { printed.helps[Self.name($0)] == $0.help })
        #expect(printed.sum("contex_events_published_total", where: ["project_id": "shop", "data_format": "json"]) == 1)
        #expect(printed.sum("contex_queries_total", where: ["project_id": "shop", "status": "success"]) == 1)
        #expect(printed.sum("contex_agents_registered_total", where: ["project_id": "shop", "notification_method": "redis"]) == 1)
        #expect(printed.sum("contex_registered_agents", where: ["project_id": "shop"]) == 1)
        #expect(printed.sum("contex_index_vectors", where: ["project_id": "shop"]) >= 1)
        for stage in ["prepare", "embed", "wait", "apply", "commit"] {
            #expect(printed.sum("contex_publish_stage_seconds_count", where: ["stage": stage]) >= 1, "\(stage)")
        }
        for stage in ["embed", "wait", "snapshot", "vectors", "text", "fuse", "answer"] {
            #expect(printed.sum("contex_query_stage_seconds_count", where: ["stage": stage]) >= 1, "\(stage)")
        }
        #expect(
            printed.sum(
                "contex_http_requests_total",
                where: ["method": "POST", "endpoint": "/api/v1/projects/{project_id}/query", "status_code": "200"]) == 2)
        #expect(printed.sum("contex_operation_duration_seconds_count", where: ["action": "publish"]) == 1)
        #expect(printed.sum("contex_commands_applied_total", where: ["command": "register"]) == 1)
        #expect((printed["process_resident_memory_bytes"] ?? 0) > 1e6 && (printed["contex_store_file_bytes"] ?? 0) > 0)
        #expect(printed["contex_active_requests"] == 1, "the scrape itself")
        await running.server.stop()
    }

    @Test func formatsAndDoors() async throws {
        let running = try await TestServer { $0.metricsPort = 0 }
        let plain = try await running.call("GET", "/api/v1/metrics")
        #expect(plain.status == 200 && plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        let open = try await running.call("GET", "/metrics", headers: ["Accept": "application/openmetrics-text; version=1.0.0"])
        #expect(open.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8" && open.text.hasSuffix("# EOF\n"))
        #expect(try await running.call("GET", "/api/v1/health/startup").json["started"] == .bool(true))

        let port = try #require(running.server.metrics).port
        func ask(_ text: String) async -> String {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    guard let connection = try? RawConnection(port: port) else { return continuation.resume(returning: "") }
                    connection.send(text)
                    continuation.resume(returning: connection.read { _ in false } ?? "")
                }
            }
        }
        func get(_ path: String, _ more: String = "") async -> String { await ask("GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(more)\r\n") }
        #expect(await get("/metrics").contains("contex_service_info{service=\"contex\""))
        #expect(await get("/health/ready").contains("\"ready\":true"))
        #expect(await get("/health/live").contains("\"alive\":true"))
        #expect(await get("/health/startup").contains("\"started\":true"))
        #expect(await get("/api/v1/projects").hasPrefix("HTTP/1.1 404"), "nothing else is there")
        #expect(await get("/metrics", "Origin: http://page.example\r\n").hasPrefix("HTTP/1.1 403"))
        #expect(await get("/metrics", "Sec-Fetch-Site: same-origin\r\n").hasPrefix("HTTP/1.1 403"))
        #expect(await ask("DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").hasPrefix("HTTP/1.1 405"))
        #expect(await ask("GET /metrics HTTP/1.1\r\nHost: x\r\nX: \(String(repeating: "y", count: 20_000))\r\n\r\n").hasPrefix("HTTP/1.1 200") == false)
        let two = await ask("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(two.components(separatedBy: "\"alive\":true").count == 3, "requests that were sent ahead are answered in turn")
        await running.server.stop()
    }

    @Test func aServerThatStopsSaysSo() async throws {
        let running = try await TestServer {
            $0.metricsPort = 0
            $0.drainSeconds = 2
        }
        #expect(try await running.call("GET", "/api/v1/health/ready").status == 200)
        async let stopped: Void = running.server.stop()
        try await Task.sleep(for: .milliseconds(500))
        let ready = try await running.call("GET", "/api/v1/health/ready")
        #expect(ready.status == 503 && ready.json["checks"]?["accepting"] == .bool(false) && ready.json["ready"] == .bool(false))
        #expect(try await running.call("GET", "/api/v1/health").json["degraded_modes"] == .array(["draining"]))
        #expect(try await running.query("shop", "still answered").status == 200)
        #expect(try await running.call("GET", "/metrics").text.contains("contex_degraded{mode=\"draining\"} 1.0"))
        await stopped
        await #expect(throws: (any Error).self) { try await running.call("GET", "/api/v1/health/live") }
    }

    @Test func aKeyThatIsHeldToProjectsSeesTheirsOnly() async throws {
        let root = "ck_" + String(repeating: "a1B2c3D4", count: 6)
        let running = try await TestServer {
            $0.authenticationRequired = true
            $0.bootstrapKey = root
        }
        func key(_ role: String, _ projects: JSONValue) async throws -> String {
            let made = try await running.call("POST", "/api/v1/auth/keys?name=k", headers: ["X-API-Key": root]).json
            let id = try #require(made["key_id"]?.stringValue)
            _ = try await running.call("POST", "/api/v1/auth/roles?key_id=\(id)&role=\(role)", projects, headers: ["X-API-Key": root])
            return try #require(made["key"]?.stringValue)
        }
        for project in ["mine", "theirs"] {
            let body: JSONValue = ["project_id": .string(project), "data_key": "k", "data": ["a": "b"]]
            #expect(try await running.call("POST", "/api/v1/data/publish", body, headers: ["X-API-Key": root]).status == 200)
        }
        #expect(try await running.call("GET", "/metrics").status == 401)
        let (held, free) = (try await key("readonly", .array(["mine"])), try await key("readonly", .array([])))
        let own = try ExpositionReader(try await running.call("GET", "/metrics", headers: ["X-API-Key": held]).text)
        #expect(Set(own.samples.compactMap { $0.labels["project_id"] }) == ["mine"] && own.samples.allSatisfy { $0.labels["project_id"] != nil })
        let all = try ExpositionReader(try await running.call("GET", "/metrics", headers: ["X-API-Key": free]).text)
        #expect(Set(all.samples.compactMap { $0.labels["project_id"] }) == ["mine", "theirs"])
        #expect(all.sum("contex_auth_attempts_total", where: ["status": "key_missing"]) == 1)
        #expect(all.sum("contex_auth_attempts_total", where: ["status": "success"]) >= 4)
        // Who changes what is logged may do everything.
        #expect(try await running.call("PUT", "/api/v1/admin/log-level", ["level": "info"], headers: ["X-API-Key": free]).status == 403)
        #expect(all.samples.contains { $0.name == "contex_rbac_denials_total" } == false)
        let denied = try ExpositionReader(try await running.call("GET", "/metrics", headers: ["X-API-Key": root]).text)
        #expect(denied.sum("contex_rbac_denials_total", where: ["role": "readonly"]) == 1)
        await running.server.stop()
    }

    @Test func levelsChangeWhileItRuns() async throws {
        let running = try await TestServer()
        let before = try await running.call("GET", "/api/v1/admin/log-level").json
        #expect(before["level"]?.stringValue == "info")
        #expect(try await running.call("PUT", "/api/v1/admin/log-level", ["level": "warning"]).json["level"]?.stringValue == "warning")
        #expect(try await running.call("PUT", "/api/v1/admin/log-level", ["level": "loud"]).status == 422)
        #expect(try await running.call("PUT", "/api/v1/admin/log-level", ["level": "debug", "logger": "no such"]).status == 422)
        #expect(try await running.call("PUT", "/api/v1/admin/log-level", .object(JSONObject())).status == 422)
        #expect(try await running.call("PUT", "/api/v1/admin/log-level", ["level": "info"]).json["level"]?.stringValue == "info")
        await running.server.stop()
    }

    /// What comes again within a minute is counted, and the next line says how often.
    @Test func whatRepeatsIsCounted() {
        let figures = LogFigures()
        #expect(figures.judge(.error, "a", at: 1_000) == .write(repeated: 0))
        for second in 0..<59 as Range<UInt64> { #expect(figures.judge(.error, "a", at: 1_000 + second) == .hold) }
        #expect(figures.judge(.error, "b", at: 1_001) == .write(repeated: 0))
        #expect(figures.judge(.error, "a", at: 1_000 + LogFigures.windowSeconds) == .write(repeated: 59))
        #expect(figures.judge(.info, nil, at: 1_000) == .write(repeated: 0) && figures.judge(.info, nil, at: 1_000) == .write(repeated: 0))
        // However many kinds there are, each is written and no more are remembered than there is room for.
        for number in 0..<(2 * LogFigures.rememberedMax) { #expect(figures.judge(.error, "kind \(number)", at: 2_000) == .write(repeated: 0)) }
        #expect(figures.judge(.error, "a kind of tomorrow", at: 3_000) == .write(repeated: 0))
        #expect(figures.judge(.error, "a kind of tomorrow", at: 3_001) == .hold)
    }

    // MARK: - What is shipped

    private static let folder = TestData.checkout.appendingPathComponent("tools/deploy/observability")

    /// Every metric that a dashboard, a rule or a runbook names is one that there is, or one that a rule records.
    @Test func dashboardsAndRulesNameWhatThereIs() throws {
        var known: Set<String> = []
        for line in try String(contentsOf: Self.document, encoding: .utf8).split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.filter { $0 != " " && $0 != "`" } }
            if cells[1] == "histogram" { known.formUnion(["_bucket", "_sum", "_count"].map { cells[0] + $0 }) } else { known.insert(cells[0]) }
        }
        #expect(known.count > 100)
        var (files, named, recorded): (Int, Int, Set<String>) = (0, 0, [])
        let texts = try FileManager.default.subpathsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".json") || $0.hasSuffix(".yml") }
            .map { ($0, try String(contentsOf: Self.folder.appendingPathComponent($0), encoding: .utf8)) }
        for (_, text) in texts { for match in text.matches(of: /record: (\S+)/) { recorded.insert(String(match.1)) } }
        for (path, text) in texts {
            files += 1
            if path.hasSuffix(".json") { _ = try JSONParser.parse(text: text) }
            for match in text.matches(of: /\b(?:contex|process)_[a-z0-9_]+|\bcontex:[a-z0-9_:]+/) {
                let name = String(match.0)
                #expect(known.contains(name) || recorded.contains(name), "\(path) names \(name)")
                named += 1
            }
        }
        #expect(files >= 8 && named >= 80)
        for runbook in try FileManager.default.contentsOfDirectory(atPath: TestData.checkout.appendingPathComponent("docs/runbooks").path) {
            let text = try String(contentsOf: TestData.checkout.appendingPathComponent("docs/runbooks/\(runbook)"), encoding: .utf8)
            for match in text.matches(of: /`((?:contex|process)_[a-z0-9_]+)`/) where !recorded.contains(String(match.1)) {
                #expect(known.contains(String(match.1)) || known.contains(match.1 + "_bucket"), "\(runbook) names \(match.1)")
            }
        }
        // Each alert leads to a runbook that is there.
        let alerts = try String(contentsOf: Self.folder.appendingPathComponent("prometheus/alerts.yml"), encoding: .utf8)
        let (count, runbooks) = (alerts.matches(of: /- alert:/).count, alerts.matches(of: /runbook_url: \S*\/docs\/runbooks\/([a-z-]+\.md)/))
        #expect(count >= 10 && runbooks.count == count)
        for match in runbooks {
            #expect(FileManager.default.fileExists(atPath: TestData.checkout.appendingPathComponent("docs/runbooks/\(match.1)").path), "\(match.1)")
        }
    }
}
