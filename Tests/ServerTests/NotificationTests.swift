import Assembly
import Base
import Content
import Foundation
import TestSupport
import Testing

/// What an agent hears on its channel, through the whole server.
@Suite(.serialized) struct NotificationTests {
    private static let tech: JSONValue = ["backend": "Python FastAPI", "db": "PostgreSQL"]
    private static let need = "backend: Python FastAPI | db: PostgreSQL"

    @Test func contextMissedEventsAndUpdates() async throws {
        let running = try await TestServer()
        try await running.publish("shop", "tech", Self.tech)
        let subscriber = try await Subscriber(try #require(running.server.resp), channel: "agent:reader:updates")
        #expect(try await running.register("shop", "reader", [Self.need]).status == 200)
        let context = try await subscriber.nextJSON()
        #expect(context["type"]?.stringValue == "initial_context" && context["agent_id"]?.stringValue == "reader")
        #expect(context["context"]?[Self.need]?.arrayValue?.first?["data_key"]?.stringValue == "tech.root")
        let missed = try await subscriber.next()
        #expect(
            missed == #"{"type": "event", "sequence": "1", "event_type": "tech_updated", "data": {"tech": {"backend": "Python FastAPI", "db": "PostgreSQL"}}}"#)
        let changed: JSONValue = ["backend": "Python FastAPI", "db": "PostgreSQL", "cache": "Redis"]
        try await running.publish("shop", "tech", changed)
        let update = try await subscriber.nextJSON()
        #expect(update == ["type": "data_update", "sequence": "2", "data_key": "tech", "format": "json", "data": changed])
        await subscriber.close()
        await running.server.stop()
    }

    @Test func theNextUpdateAfterARestartIsDelivered() async throws {
        let first = try await TestServer()
        try await first.publish("shop", "tech", Self.tech)
        _ = try await first.register("shop", "reader", [Self.need])
        await first.server.stop()
        let second = try await TestServer(folder: first.folder)
        let subscriber = try await Subscriber(try #require(second.server.resp), channel: "agent:reader:updates")
        try await second.publish("shop", "tech", ["backend": "Python FastAPI", "db": "SQLite"])
        let update = try await subscriber.nextJSON()
        #expect(update["type"]?.stringValue == "data_update" && update["sequence"]?.stringValue == "2")
        await subscriber.close()
        await second.server.stop()
    }

    @Test func silentConnectionsDoNotHoldUpTheStop() async throws {
        let running = try await TestServer()
        var subscribers: [Subscriber] = []
        for number in 0..<3 { subscribers.append(try await Subscriber(try #require(running.server.resp), channel: "c\(number)")) }
        _ = try await running.call("GET", "/health")
        let started = ContinuousClock.now
        await running.server.stop()
        #expect(ContinuousClock.now - started < .seconds(5))
        for subscriber in subscribers { await subscriber.close() }
    }

    @Test func aTakenPortOfTheRedisProtocolIsAConflict() async throws {
        let running = try await TestServer()
        let port = try #require(running.server.resp).port
        do {
            let second = try await TestServer { $0.respPort = port }
            await second.server.stop()
            Issue.record("two listeners on one port")
        } catch let error as ContexError {
            #expect(error.category == .conflict && error.message.contains("\(port)"))
        }
        await running.server.stop()
    }
}
