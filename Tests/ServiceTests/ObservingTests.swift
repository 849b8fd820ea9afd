import Access
import Base
import Engine
import Logging
import Measures
import Service
import Testing

/// What operations leave behind beside their answers.
@Suite(.serialized) struct ObservingTests {
    private func sum(_ fixture: Fixture, _ name: String, _ labels: [String]) -> Double {
        let family = fixture.operations.registry.families.first { $0.description.name == name }
        return (family?.samples ?? []).filter { $0.labels == labels }.reduce(0) { sum, sample in
            switch sample.value {
            case .integer(let count): sum + Double(count)
            case .number(let number): sum + number
            case .distribution(let distribution): sum + Double(distribution.count)
            }
        }
    }

    @Test func everyOutcomeIsCounted() async throws {
        let fixture = try await Fixture()
        let project = try Name("shop", field: "project_id")
        let command = PublishCommand(project: project, key: try Name("k", field: "data_key"), data: "text")
        _ = try await fixture.operations.publish(command, by: fixture.admin)
        let reader = try await fixture.caller(.readonly)
        await #expect(throws: ContexError.self) { try await fixture.operations.publish(command, by: reader) }
        let nobody = Caller(apiKey: "ck_nobody", address: "127.0.0.1", requestID: "r", client: nil)
        await #expect(throws: ContexError.self) { try await fixture.operations.publish(command, by: nobody) }
        #expect(sum(fixture, "contex_operation_duration_seconds", ["publish"]) == 3)
        #expect(sum(fixture, "contex_operation_failures", ["publish", "forbidden"]) == 1)
        #expect(sum(fixture, "contex_errors", ["permission_missing"]) == 1 && sum(fixture, "contex_errors", ["key_unknown"]) == 1)
        #expect(sum(fixture, "contex_rbac_denials", ["readonly", "publish_data"]) == 1)
        #expect(sum(fixture, "contex_auth_attempts", ["key_unknown"]) == 1)
        #expect(sum(fixture, "contex_events_published", ["shop", "json"]) == 1)
        #expect(sum(fixture, "contex_active_requests", []) == 0)
        fixture.journal.refuse(with: ContexError(.limited, "too often"))
        await #expect(throws: ContexError.self) { try await fixture.operations.publish(command, by: fixture.admin) }
        #expect(sum(fixture, "contex_rate_limit_exceeded", ["publish"]) == 1)
        await fixture.database.close()
        #expect(fixture.operations.registry.families.isEmpty, "a closed database is held by no measure")
    }

    @Test func aQueryKnowsItsStages() async throws {
        let fixture = try await Fixture()
        let project = try Name("shop", field: "project_id")
        for number in 0..<3 {
            _ = try await fixture.operations.publish(
                PublishCommand(project: project, key: try Name("k\(number)", field: "data_key"), data: .string("text \(number)")), by: fixture.admin)
        }
        var request = QueryRequest(project: project, text: "text")
        request.threshold = 0
        let answer = try await fixture.operations.query(request, by: fixture.admin)
        let plan = try #require(answer.plan)
        #expect(plan.mode == "semantic" && plan.matches == answer.matches.count && plan.nearest == 3 && plan.lexical == 0)
        let times = Dictionary(uniqueKeysWithValues: plan.milliseconds.map { ($0.stage, $0.time) })
        #expect(times.count == QueryStage.allCases.count && (times[.snapshot] ?? 0) > 0)
        #expect((times[.vectors] ?? 0) <= (times[.snapshot] ?? 0))
        for outcome in try await fixture.operations.queryBatch([request], by: fixture.admin) { #expect(try outcome.get().plan == nil) }
        #expect(sum(fixture, "contex_queries", ["shop", "success"]) == 2 && sum(fixture, "contex_query_duration_seconds", ["shop"]) == 1)
        await fixture.database.close()
    }

    @Test func modesHaveNamesAndEnd() async throws {
        let fixture = try await Fixture()
        #expect(fixture.operations.degradedModes.isEmpty)
        fixture.operations.add(HealthProbe(name: "disk") { ([("free_bytes", "1")], .diskLow, "little is left") })
        #expect(fixture.operations.degradedModes == [.diskLow])
        let health = try await fixture.operations.health(by: fixture.admin)
        let disk = try #require(health.components.last)
        #expect(disk.name == "disk" && disk.status == .degraded && disk.message == "little is left" && health.status == .degraded && health.isReady)
        fixture.operations.beginDraining()
        #expect(fixture.operations.degradedModes == [.draining, .diskLow])
        #expect(try await !fixture.operations.health(by: fixture.admin).isReady)
        #expect(await !fixture.operations.health().isReady)
        await fixture.database.close()
    }

    @Test func levels() {
        let levels = LogLevels.shared
        let before = levels.general
        defer { levels.general = before }
        let part = levels.level(of: "test.part")
        levels.general = .info
        #expect(part.value(floor: .trace) == .info && part.value(floor: .warning) == .warning)
        levels.general = .error
        #expect(part.value(floor: .trace) == .error)
        // What a part has for itself goes before both.
        #expect(levels.set(.debug, of: "test.part") && part.value(floor: .warning) == .debug)
        #expect(levels.own.contains { $0.part == "test.part" && $0.level == .debug })
        #expect(levels.set(nil, of: "test.part") && part.value(floor: .warning) == .error)
        #expect(!levels.set(.debug, of: "no such part"))
    }
}
