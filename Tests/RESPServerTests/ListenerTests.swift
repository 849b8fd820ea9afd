// The socket: bytes that are not the protocol, ports, start and stop.
import Base
import Engine
import Logging
import NIOPosix
import RESP
import RESPServer
import Service
import Testing

@Suite struct ListenerTests {
    @Test func inlineCommands() async throws {
        let fixture = try await Fixture()
        let client = try await Client.connect(fixture.port)
        client.send(raw: "PING\r\nEcho \"two words\"\n\r\nsubscribe news\r\n")
        #expect(try await client.replies(3) == [.simple("PONG"), .text("two words"), confirmation("subscribe", "news", 1)])
        fixture.say("news", "one")
        #expect(try await client.reply() == two("message", "news", "one"))
        await fixture.stop()
    }

    @Test func commandsInPieces() async throws {
        let fixture = try await Fixture()
        let client = try await Client.connect(fixture.port)
        for byte in RESPEncoder.command([bytes("ECHO"), bytes("piece by piece")]) {
            client.send(bytes: [byte])
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(try await client.reply() == .text("piece by piece"))
        let count = 10_000
        client.send(bytes: (0..<count).flatMap { RESPEncoder.command([bytes("ECHO"), bytes("\($0)")]) })
        #expect(try await client.replies(count) == (0..<count).map { .text("\($0)") })
        await fixture.stop()
    }

    @Test(arguments: [
        ("*x\r\n", 1, "ERR Protocol error: invalid multibulk length"),
        ("*1\r\n:3\r\n", 1, "ERR Protocol error: expected '$', got ':'"),
        ("*1\r\n$-5\r\n", 1, "ERR Protocol error: invalid bulk length"),
        ("SET \"open\r\n", 1, "ERR Protocol error: unbalanced quotes in request"),
        ("z", 1 << 20, "ERR Protocol error: too big inline request"),
    ])
    func garbageEndsTheConnection(_ garbage: String, count: Int, _ error: String) async throws {
        let fixture = try await Fixture()
        let client = try await Client.connect(fixture.port)
        client.send(raw: "PING\r\n" + String(repeating: garbage, count: count) + String(repeating: "more of it", count: 10_000))
        #expect(try await client.replies(2) == [.simple("PONG"), .error(error)])
        #expect(try await client.isClosed())
        let next = try await Client.connect(fixture.port)
        #expect(try await next.ask("PING") == .simple("PONG"))
        await fixture.stop()
    }

    /// Commands that do not come to their end hold memory that bodies of HTTP ask for too, and one address has half of it.
    @Test func commandsAskForTheMemoryThatTheyTake() async throws {
        let fixture = try await Fixture(inflightBytesMax: 4 << 20)
        let arriving = fixture.operations.memory.arriving
        func begin(_ bytes: Int) async throws -> Client {
            let client = try await Client.connect(fixture.port)
            client.send(raw: "*2\r\n$4\r\nPING\r\n$900000\r\n" + String(repeating: "x", count: bytes))
            return client
        }
        let first = try await begin(300_000)
        #expect(try await eventually { arriving.held >= 300_000 })
        let second = try await begin(300_000)
        let refusal = try await second.reply()
        guard case .error(let text) = refusal else { throw ClientFailure(description: "\(refusal)") }
        #expect(text.hasPrefix("ERR The server works on as much data as it has memory for"))
        // What is small is answered, and what has come to its end is held no longer.
        #expect(try await Client.connect(fixture.port).ask("PING") == .simple("PONG"))
        first.send(raw: String(repeating: "x", count: 600_000) + "\r\n")
        guard case .bulk(let echo) = try await first.reply() else { throw ClientFailure(description: "no echo") }
        #expect(echo.count == 900_000)
        #expect(try await eventually { arriving.held == 0 })
        await fixture.stop()
    }

    /// Answers that nobody reads are output like any other.
    @Test func unreadAnswersAreCut() async throws {
        let fixture = try await Fixture { $0.bounds.readers.unsentBytesPerReaderMax = 1 << 20 }
        let client = try await Client.connect(fixture.port, reads: false)
        let echo = RESPEncoder.command([bytes("ECHO"), [UInt8](repeating: 0x78, count: 1 << 20)])
        for _ in 0..<40 { client.send(bytes: echo) }
        #expect(try await eventually { fixture.server.statistics.slowReadersCut == 1 })
        #expect(try await eventually { fixture.server.statistics.connections == 0 })
        await fixture.stop()
    }

    @Test func stopClosesAll() async throws {
        let fixture = try await Fixture()
        let clients = try await [Client.connect(fixture.port), Client.connect(fixture.port), Client.connect(fixture.port)]
        for client in clients { #expect(try await client.ask("SUBSCRIBE", "a") == confirmation("subscribe", "a", 1)) }
        // What was published before is sent.
        fixture.say("a", "last words")
        await fixture.server.stop()
        for client in clients {
            #expect(try await client.reply() == two("message", "a", "last words"))
            #expect(try await client.isClosed())
        }
        #expect(fixture.server.statistics == statistics(connections: 0, subscriptions: 0, messagesDelivered: 3))
        fixture.say("a", "into the void")
        await #expect(throws: (any Error).self) { try await Client.connect(fixture.port) }
        await fixture.server.stop()
        await #expect(throws: ContexError.self) { try await fixture.server.start() }
        await fixture.database.close()
    }

    @Test func portsThatCannotBe() async throws {
        let fixture = try await Fixture()
        func failure(_ configuration: RESPServerConfiguration) async -> ContexError? {
            let server = RESPServer(
                operations: fixture.operations, hub: fixture.hub, configuration: configuration,
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test"))
            do {
                _ = try await server.start()
                return nil
            } catch {
                return error as? ContexError
            }
        }
        let taken = await failure(.init(port: fixture.port))
        #expect(taken?.category == .conflict)
        #expect(taken?.message.hasPrefix("port \(fixture.port) is taken on 127.0.0.1") == true)
        #expect(await failure(.init(hosts: ["192.0.2.1"], port: 0))?.message.hasPrefix("this machine has no address 192.0.2.1") == true)
        #expect(await failure(.init(port: 70_000))?.category == .badRequest)
        #expect(await failure(.init(hosts: ["no such host"], port: 0))?.message.hasPrefix("the host no such host is unknown") == true)
        await fixture.stop()
    }
}
