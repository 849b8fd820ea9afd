// Where this server differs from Redis, and what its owner decides.
import RESP
import Testing

@Suite struct SessionTests {
    @Test func publishIsRefused() {
        var connection = Connection()
        #expect(connection.send("PUBLISH", "a", "b").hasPrefix("-ERR PUBLISH is refused: "))
        #expect(connection.isOpen)
    }

    @Test func thereIsOneDatabase() {
        var connection = Connection()
        #expect(connection.send("SELECT", "1") == "-ERR DB index is out of range\r\n")
    }

    @Test func authorisationIsAllOrNothing() {
        var connection = Connection()
        connection.forbidden = [.channel(Array("secret".utf8)), .pattern(Array("*".utf8))]
        let refusal = "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n"
        #expect(connection.send("SUBSCRIBE", "open", "secret") == refusal)
        #expect(connection.send("PSUBSCRIBE", "*") == refusal)
        #expect(connection.session.subscriptionCount == 0)
        #expect(connection.subscriptions.isEmpty)
        #expect(connection.send("SUBSCRIBE", "open", "open").contains(":1\r\n"))
        #expect(connection.subscriptions == [.channel(Array("open".utf8))])
        #expect(connection.send("RESET") == "+RESET\r\n")
        #expect(connection.subscriptions.isEmpty)
    }

    /// The owner hears of each subscription once, before the confirmation, and of each that ends.
    @Test func actionsComeInOrder() {
        var session = RESPSession(id: 1, address: "", settings: .init(authenticationRequired: false))
        let a = Array("a".utf8)
        let b = Array("b".utf8)
        func confirmation(_ kind: String, _ name: [UInt8], _ count: Int64) -> RESPAction {
            .reply(.push([.text(kind), .bulk(name), .integer(count)]))
        }
        #expect(session.receive([Array("subscribe".utf8), b, a, b]) == [.authorise([.channel(b), .channel(a), .channel(b)])])
        #expect(session.isWaiting)
        #expect(
            session.authorised(true) == [
                .subscribe(.channel(b)), confirmation("subscribe", b, 1), .subscribe(.channel(a)), confirmation("subscribe", a, 2),
                confirmation("subscribe", b, 2),
            ])
        #expect(!session.isWaiting)
        #expect(session.subscriptions == [.channel(b), .channel(a)])
        #expect(
            session.receive([Array("unsubscribe".utf8)]) == [
                .unsubscribe(.channel(b)), confirmation("unsubscribe", b, 1), .unsubscribe(.channel(a)), confirmation("unsubscribe", a, 0),
            ])
    }

    @Test func helloWaitsForTheOwner() {
        var session = RESPSession(id: 1, address: "", settings: .init(authenticationRequired: true))
        let hello = ["HELLO", "3", "AUTH", "ops", "ck_1", "SETNAME", "me"].map { Array($0.utf8) }
        #expect(session.receive(hello) == [.authenticate(user: "ops", password: "ck_1")])
        #expect(session.version == .two)
        #expect(session.authenticated(false) == [.reply(.error("WRONGPASS invalid username-password pair or user is disabled."))])
        #expect(!session.isAuthenticated)
        _ = session.receive(hello)
        guard case .reply(.map(let entries))? = session.authenticated(true, user: "ops").first else {
            Issue.record("HELLO answers with a map")
            return
        }
        #expect(entries.contains { $0.key == .text("server") && $0.value == .text("contex") })
        #expect(session.version == .three)
        #expect(session.user == "ops")
    }

    @Test func limits() {
        var connection = Connection(settings: {
            $0.channelsMax = 2
            $0.patternsMax = 1
            $0.channelBytesMax = 4
            $0.nameBytesMax = 4
            $0.patternBytesMax = 3
        })
        #expect(connection.send("SUBSCRIBE", "abcde") == "-ERR channel names are limited to 4 bytes\r\n")
        #expect(connection.send("PSUBSCRIBE", "abcd") == "-ERR patterns are limited to 3 bytes\r\n")
        #expect(connection.send("SUBSCRIBE", "a", "b", "c") == "-ERR a connection is limited to 2 channels\r\n")
        #expect(connection.send("PSUBSCRIBE", "a", "b") == "-ERR a connection is limited to 1 patterns\r\n")
        #expect(connection.send("CLIENT", "SETNAME", "abcde") == "-ERR Client names are limited to 4 bytes.\r\n")
        #expect(connection.send("SUBSCRIBE", "a", "b", "a").hasSuffix(":2\r\n"))
        #expect(connection.send("SUBSCRIBE", "a").hasSuffix(":2\r\n"))
        #expect(connection.send("SUBSCRIBE", "c") == "-ERR a connection is limited to 2 channels\r\n")
    }

    @Test func questionsAboutOthersAreTheOwners() {
        var session = RESPSession(id: 1, address: "", settings: .init(authenticationRequired: false))
        func ask(_ words: String...) -> [RESPAction] { session.receive(words.map { Array($0.utf8) }) }
        #expect(ask("PUBSUB", "CHANNELS") == [.ask(.channels(matching: nil))] && session.isWaiting)
        #expect(session.answered(.array([.text("a")])) == [.reply(.array([.text("a")]))] && !session.isWaiting)
        #expect(ask("pubsub", "channels", "a*") == [.ask(.channels(matching: Array("a*".utf8)))])
        _ = session.answered(.array([]))
        #expect(ask("PUBSUB", "NUMSUB", "a", "b") == [.ask(.subscribers([Array("a".utf8), Array("b".utf8)]))])
        _ = session.answered(.array([]))
        #expect(ask("PUBSUB", "NUMPAT") == [.ask(.patterns)])
        _ = session.answered(.integer(0))
        #expect(ask("PUBSUB") == [.refused("ERR wrong number of arguments for 'pubsub' command")])
        #expect(ask("PUBSUB", "X") == [.refused("ERR unknown subcommand 'X'. Try PUBSUB HELP.")])
        #expect(ask("PUBSUB", "CHANNELS", "a", "b") == [.refused("ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB HELP.")])
        #expect(ask("PUBSUB", "CHANNELS", String(repeating: "a", count: 257)) == [.refused("ERR patterns are limited to 256 bytes")])
        #expect(ask("PUBSUB", "NUMPAT", "x") == [.refused("ERR wrong number of arguments for 'pubsub|numpat' command")])
    }

    @Test func clientsTellAboutThemselves() {
        var connection = Connection()
        #expect(connection.send("CLIENT", "SETINFO", "LIB-NAME", "redis-py") == "+OK\r\n")
        #expect(connection.send("CLIENT", "SETINFO", "lib-ver", "5.0") == "+OK\r\n")
        #expect(connection.send("CLIENT", "SETINFO", "x", "5.0") == "-ERR Unrecognized option 'x'\r\n")
        #expect(connection.send("CLIENT", "SETNAME", "me") == "+OK\r\n")
        let line = "id=7 addr=127.0.0.1:1 name=me flags=N db=0 sub=0 psub=0 user=default lib-name=redis-py lib-ver=5.0 resp=2\n"
        #expect(connection.send("CLIENT", "INFO") == "$\(line.utf8.count)\r\n\(line)\r\n")
        #expect(connection.send("CLIENT", "LIST") == connection.send("CLIENT", "INFO"))
        #expect(connection.send("HELLO", "3").hasPrefix("%7\r\n"))
        #expect(connection.send("CLIENT", "INFO").hasPrefix("=\(line.utf8.count + 4)\r\ntxt:id=7 "))
        #expect(connection.send("CLIENT", "HELP").contains("+SETNAME\r\n"))
        #expect(connection.send("INFO", "server").contains("redis_version:7.0.15\r\n"))
        #expect(connection.send("INFO", "memory") == "=4\r\ntxt:\r\n")
    }

    @Test func commandIsKept() {
        var connection = Connection()
        #expect(connection.send("COMMAND") == "*0\r\n")
        #expect(connection.send("COMMAND", "DOCS", "ping") == "*0\r\n")
        #expect(connection.send("COMMAND", "COUNT") == ":16\r\n")
        #expect(connection.send("COMMAND", "INFO", "a", "b") == "*2\r\n*-1\r\n*-1\r\n")
        #expect(connection.send("COMMAND", "LIST").contains("$9\r\nsubscribe\r\n"))
        #expect(connection.send("CLIENT|ID").hasPrefix("-ERR unknown command 'CLIENT|ID'"))
    }
}
