import AsyncHTTPClient
import Assembly
import Base
import Content
import Engine
import Foundation
import Maintenance
import TestSupport
import Testing

/// The whole server in this process: what an edge, the service and the store do together.
@Suite(.serialized) struct ServerTests {
    private static let tech: JSONValue = ["backend": "Python FastAPI", "db": "PostgreSQL"]
    private static let need = "backend: Python FastAPI | db: PostgreSQL"

    @Test func publishQueryRegisterRemove() async throws {
        let running = try await TestServer()
        let published = try await running.publish("shop", "tech", Self.tech)
        #expect(published.status == 200 && published.json["sequence"]?.stringValue == "1")
        let found = try await running.query("shop", Self.need)
        #expect(found.status == 200 && found.json["matches"]?.arrayValue?.first?["data_key"]?.stringValue == "tech.root")
        #expect(found.json["matches"]?.arrayValue?.first?["data"] == Self.tech)
        let registered = try await running.register("shop", "reader", [Self.need])
        #expect(registered.json["matched_needs"]?[Self.need]?.integerValue == 1 && registered.json["caught_up_events"]?.integerValue == 1)
        #expect(try await running.call("GET", "/api/v1/agents").json["agents"] == .array(["reader"]))
        #expect(try await running.call("DELETE", "/api/v1/agents/reader").status == 200)
        #expect(try await running.call("GET", "/api/v1/agents/reader").status == 404)
        let health = try await running.call("GET", "/api/v1/health")
        #expect(health.status == 200 && health.json["status"]?.stringValue == "healthy")
        await running.server.stop()
    }

    /// Some clients make 127.0.0.1 of `localhost`, some try ::1 first: both find the server there.
    @Test func bothLoopbacks() async throws {
        let hasIPv6 = try String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8).contains("00000000000000000000000000000001 ")
        for host in ["localhost", "127.0.0.1"] {
            let running = try await TestServer { $0.httpHost = host }
            let (http, resp) = try (running.http.port, #require(running.server.resp).port)
            let answers: [[Bool]] = await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    continuation.resume(
                        returning: [false, true].map { isIPv6 -> [Bool] in
                            guard let web = try? RawConnection(port: http, isIPv6: isIPv6), let redis = try? RawConnection(port: resp, isIPv6: isIPv6) else {
                                return []
                            }
                            web.send("GET /health HTTP/1.1\r\nHost: \(isIPv6 ? "[::1]" : "127.0.0.1"):\(http)\r\n\r\n")
                            redis.send("PING\r\n")
                            return [web.answer()?.hasPrefix("HTTP/1.1 200") == true, redis.read { $0.hasSuffix("\r\n") } == "+PONG\r\n"]
                        })
                }
            }
            #expect(answers == [[true, true], host == "localhost" && hasIPv6 ? [true, true] : []])
            // Whoever else wants the port finds it taken, on whichever address.
            await #expect(throws: ContexError.self) { try await TestServer { $0.httpPort = http } }
            await running.server.stop()
        }
    }

    /// Without keys everybody here may do everything anyway. With them there are people who may register an agent and may not reach the ports of this
    /// machine, so its own addresses are none that a webhook may go to, unless the configuration says so.
    @Test func withAuthenticationWebhooksDoNotGoToThisMachine() async throws {
        let key = "ck_" + String(repeating: "a1B2c3D4", count: 6)
        func status(authentication: Bool, allow: String? = nil) async throws -> [Int] {
            let running = try await TestServer {
                $0.authenticationRequired = authentication
                if authentication { $0.bootstrapKey = key }
                $0.webhookAllow = allow
            }
            var statuses: [Int] = []
            for (number, host) in ["127.0.0.1", "[::1]", "localhost"].enumerated() {
                let agent: JSONValue = [
                    "agent_id": .string("hooked\(number)"), "project_id": "shop", "data_needs": .array(["anything"]), "notification_method": "webhook",
                    "webhook_url": .string("http://\(host):9/hook"),
                ]
                statuses.append(try await running.call("POST", "/api/v1/agents/register", agent, headers: authentication ? ["X-API-Key": key] : [:]).status)
            }
            await running.server.stop()
            return statuses
        }
        #expect(try await status(authentication: false) == [200, 200, 200])
        let refused = try await status(authentication: true)
        #expect(refused[..<2] == [422, 422], "\(refused)")
        #expect(try await status(authentication: true, allow: "127.0.0.0/8, ::1/128")[..<2] == [200, 200])
    }

    @Test func restartGivesTheSameAnswers() async throws {
        let documents: [(String, JSONValue)] = [
            ("tech", Self.tech), ("guide", "# Deploying\n\nPush to the main branch.\n\n## Rolling back\n\nTag the old image."),
            ("people", "name,role\nAda,programmer\nGrace,admiral\n"), ("limits", ["requests": ["per_minute": .integer(100)]]),
        ]
        let first = try await TestServer()
        for (key, data) in documents { #expect(try await first.publish("shop", key, data).status == 200) }
        _ = try await first.register("shop", "reader", [Self.need])
        func answers(_ running: TestServer) async throws -> [String] {
            var texts: [String] = []
            for mode in ["hybrid", "semantic", "keyword"] {
                for text in ["which database", "roll back a deployment", "who is the admiral"] {
                    texts.append(try await running.query("shop", text, [("mode", .string(mode))]).text)
                }
            }
            for path in ["projects/shop/events", "projects/shop/data", "agents/reader"] {
                texts.append(try await running.call("GET", "/api/v1/\(path)").text)
            }
            return texts
        }
        let before = try await answers(first)
        await first.server.stop()
        let report = try IntegrityCheck.run(directory: first.folder.path + "/data")
        #expect(report.findings.isEmpty && report.documents == 4 && report.agents == 1)

        let second = try await TestServer(folder: first.folder)
        #expect(try await answers(second) == before)
        #expect(try await second.publish("shop", "tech", ["db": "SQLite"]).json["sequence"]?.stringValue == "5")
        await second.server.stop()
    }

    @Test func concurrentPublishesLeaveNoGap() async throws {
        let running = try await TestServer()
        let writers = 16, each = 8
        let given = try await withThrowingTaskGroup(of: [Int].self) { group in
            for writer in 0..<writers {
                group.addTask {
                    var sequences: [Int] = []
                    for turn in 0..<each {
                        let answer = try await running.publish("busy", "key-\(writer)-\(turn % 3)", ["turn": .integer(turn), "writer": .integer(writer)])
                        #expect(answer.status == 200)
                        sequences.append(answer.json["sequence"]?.stringValue.flatMap(Int.init) ?? -1)
                    }
                    return sequences
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(given.sorted() == Array(1...writers * each))
        #expect(try await running.sequences("busy") == Array(1...writers * each))
        await running.server.stop()
        #expect(try IntegrityCheck.run(directory: running.folder.path + "/data").findings.isEmpty)
    }

    @Test func aBodyOverTheLimitIsRefusedAndNothingIsStored() async throws {
        let running = try await TestServer()
        let answer = try await running.publish("shop", "big", .string(String(repeating: "a", count: 11 << 20)))
        #expect(answer.status == 413 && answer.json["detail"]?.stringValue != nil)
        #expect(try await running.sequences("shop") == [])
        #expect(try await running.publish("shop", "small", "a").status == 200)
        await running.server.stop()
    }

    @Test func everyAcknowledgedPublishSurvivesAStopInTheMiddle() async throws {
        let running = try await TestServer()
        let acknowledged = await withTaskGroup(of: [Int].self) { group in
            for writer in 0..<4 {
                group.addTask {
                    var sequences: [Int] = []
                    for turn in 0..<10_000 {
                        guard let answer = try? await running.publish("busy", "key-\(writer)", ["turn": .integer(turn)]), answer.status == 200,
                            let sequence = answer.json["sequence"]?.stringValue.flatMap(Int.init)
                        else { break }
                        sequences.append(sequence)
                    }
                    return sequences
                }
            }
            group.addTask {
                try? await Task.sleep(for: .milliseconds(400))
                await running.server.stop()
                return []
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(await running.server.end() == nil)
        let again = try await TestServer(folder: running.folder)
        let stored = try await again.sequences("busy")
        #expect(!acknowledged.isEmpty && stored == Array(1...stored.count) && Set(acknowledged).isSubset(of: stored))
        await again.server.stop()
    }

    @Test func authenticationAndTheFirstKey() async throws {
        let first = try await TestServer { $0.authenticationRequired = true }
        let key = try #require(first.server.bootstrapKey)
        #expect(key.hasPrefix("ck_"))
        #expect(try await first.publish("shop", "tech", Self.tech).status == 401)
        #expect(try await first.call("GET", "/api/v1/agents", headers: ["X-API-Key": key]).status == 200)
        #expect(try await first.call("GET", "/health").status == 200)
        await first.server.stop()
        // Printed once: the next start has keys already.
        let second = try await TestServer(folder: first.folder) { $0.authenticationRequired = true }
        #expect(second.server.bootstrapKey == nil)
        #expect(try await second.call("GET", "/api/v1/agents", headers: ["X-API-Key": key]).status == 200)
        await second.server.stop()

        let given = try await TestServer {
            $0.authenticationRequired = true
            $0.bootstrapKey = "the-operators-own"
        }
        #expect(given.server.bootstrapKey == nil)
        #expect(try await given.call("GET", "/api/v1/agents", headers: ["X-API-Key": "the-operators-own"]).status == 200)
        await given.server.stop()
    }

    @Test func theDemoIsPublishedOnce() async throws {
        let first = try await TestServer { $0.demo = true }
        #expect(first.server.demoPublished)
        let events = try await first.sequences("demo")
        #expect(events.count >= 12)
        let keys = try await first.call("GET", "/api/v1/projects/demo/data?include_content=false").json["count"]?.integerValue
        #expect(keys == events.count)
        let found = try await first.query("demo", "which database do we use").json["matches"]?.arrayValue
        #expect(found?.contains { $0["data_key"]?.stringValue == "tech-stack.storage" } == true)
        await first.server.stop()
        let second = try await TestServer(folder: first.folder) { $0.demo = true }
        #expect(!second.server.demoPublished)
        #expect(try await second.sequences("demo") == events)
        await second.server.stop()
    }

    @Test func aFailedStartSaysWhyAndLeavesTheFolderFree() async throws {
        let running = try await TestServer()
        let folder = running.folder
        func failure(_ folder: TemporaryFolder, _ change: @escaping @Sendable (inout ServerConfiguration) -> Void) async -> ContexError? {
            do {
                let unexpected = try await TestServer(folder: folder, change)
                await unexpected.server.stop()
                return nil
            } catch {
                return error as? ContexError
            }
        }
        let locked = await failure(folder) { _ in }
        #expect(locked?.category == .conflict && locked?.message.contains(folder.path) == true)
        let port = running.http.port
        let other = TemporaryFolder()
        let taken = await failure(other) { $0.httpPort = port }
        #expect(taken?.category == .conflict && taken?.message.contains("port \(port)") == true)
        let foreign = await failure(other) {
            $0.httpHost = "192.0.2.1"
            $0.respPort = nil
            $0.insecureBind = true
        }
        #expect(foreign?.category == .invalid && foreign?.message.contains("192.0.2.1") == true)
        let open = await failure(other) { $0.httpHost = "0.0.0.0" }
        #expect(open?.category == .invalid)
        try Data().write(to: URL(fileURLWithPath: other.path + "/file"))
        let unwritable = await failure(other) { $0.dataFolder = other.path + "/file/data" }
        #expect(unwritable?.category == .unavailable && unwritable?.message.contains(other.path + "/file/data") == true)
        await running.server.stop()

        // What failed has let go of the folder.
        let free = try await TestServer(folder: other)
        #expect(try await free.call("GET", "/health").status == 200)
        await free.server.stop()
    }

    @Test(.enabled(if: TestData.hasModel)) func aModelFolderThatIsNoneIsNamed() async throws {
        let folder = TemporaryFolder()
        do {
            _ = try await TestServer(folder: folder) { $0.modelFolder = folder.path + "/nothing" }
            Issue.record("started without a model")
        } catch let error as ContexError {
            #expect(error.category == .unavailable && error.message.contains(folder.path + "/nothing"))
        }
    }
}
