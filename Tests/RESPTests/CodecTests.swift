// Values and bytes, both ways; broken bytes; patterns made to be slow.
import Base
import RESP
import TestSupport
import Testing

private struct ValueSource {
    var random: SeededRandom
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
    mutating func bytes() -> [UInt8] { (0..<below(6)).map { _ in [0x0D, 0x0A, 0x2A, 0x24, 0x00, 0xFF, 0x61, 0x31][below(8)] } }
    mutating func text() -> String { (0..<below(6)).map { _ in ["a", "é", " ", "*", "$"][below(5)] }.joined() }

    mutating func value(_ depth: Int) -> RESPValue {
        switch below(depth == 0 ? 10 : 14) {
        case 0: .simple(text())
        case 1: .error(text())
        case 2: .integer(Int64(bitPattern: random.next() >> UInt64(below(64))))
        case 3: .bulk(bytes())
        case 4: .null
        case 5: .double([0, -1.5, .infinity, -.infinity, 1e300, 0.1][below(6)])
        case 6: .boolean(below(2) == 0)
        case 7: .bigNumber("123456789012345678901234567890")
        case 8: .verbatim(format: "txt", bytes())
        case 9: .blobError(text())
        case 10: .array((0..<below(4)).map { _ in value(depth - 1) })
        case 11: .set((0..<below(4)).map { _ in value(depth - 1) })
        case 12: .push((0..<below(4)).map { _ in value(depth - 1) })
        default: .map((0..<below(4)).map { _ in .init(key: value(depth - 1), value: value(depth - 1)) })
        }
    }
}

/// All that a parser makes of the chunks: its results, then its error.
private func commands(_ chunks: [[UInt8]], _ limits: RESPCommandLimits = .init()) -> ([[[UInt8]]], RESPProtocolError?) {
    var parser = RESPCommandParser(limits: limits)
    var found: [[[UInt8]]] = []
    for chunk in chunks {
        parser.feed(chunk)
        do throws(RESPProtocolError) {
            while let command = try parser.next() { found.append(command) }
        } catch {
            return (found, error)
        }
    }
    return (found, nil)
}

private func replies(_ chunks: [[UInt8]], depthMax: Int = 32) -> ([RESPValue], RESPProtocolError?) {
    var parser = RESPReplyParser(bulkBytesMax: 1_000, elementsMax: 10_000, depthMax: depthMax)
    var found: [RESPValue] = []
    for chunk in chunks {
        parser.feed(chunk)
        do throws(RESPProtocolError) {
            while let value = try parser.next() { found.append(value) }
        } catch {
            return (found, error)
        }
    }
    return (found, nil)
}

@Suite struct CodecTests {
    @Test func valuesGoThereAndBack() {
        var source = ValueSource(random: SeededRandom(seed: testSeed("RESP values")))
        for _ in 0..<3_000 {
            let value = source.value(3)
            let bytes = RESPEncoder.encode(value, version: .three)
            #expect(replies([bytes]) == ([value], nil))
            #expect(replies(bytes.map { [$0] }) == ([value], nil))
            let cut = source.below(bytes.count + 1)
            #expect(replies([Array(bytes[..<cut]), Array(bytes[cut...])]) == ([value], nil))
            #expect(replies([RESPEncoder.encode(value, version: .two)]).1 == nil)
        }
    }

    @Test(arguments: [
        (RESPValue.map([.init(key: .text("a"), value: .boolean(true))]), "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n#t\r\n"),
        (.set([.double(1.5)]), "*1\r\n$3\r\n1.5\r\n", "~1\r\n,1.5\r\n"), (.push([.null]), "*1\r\n$-1\r\n", ">1\r\n_\r\n"),
        (.nullArray, "*-1\r\n", "_\r\n"), (.bigNumber("12"), "$2\r\n12\r\n", "(12\r\n"), (.double(2), "$1\r\n2\r\n", ",2\r\n"),
        (.verbatim(format: "txt", [0x61]), "$1\r\na\r\n", "=5\r\ntxt:a\r\n"), (.blobError("ERR a\r\nb"), "-ERR a  b\r\n", "!8\r\nERR a\r\nb\r\n"),
        (.error("ERR a\nb"), "-ERR a b\r\n", "-ERR a b\r\n"), (.boolean(false), ":0\r\n", "#f\r\n"),
    ])
    func versionsDiffer(value: RESPValue, two: String, three: String) {
        #expect(String(decoding: RESPEncoder.encode(value, version: .two), as: UTF8.self) == two)
        #expect(String(decoding: RESPEncoder.encode(value, version: .three), as: UTF8.self) == three)
    }

    @Test func attributesAreDropped() {
        let bytes = Array("|1\r\n+ttl\r\n:3\r\n*2\r\n|2\r\n+a\r\n*1\r\n:1\r\n+b\r\n:2\r\n:7\r\n|0\r\n:8\r\n".utf8)
        #expect(replies([bytes]) == ([.array([.integer(7), .integer(8)])], nil))
    }

    @Test func commandLimitsHold() {
        let limits = RESPCommandLimits(argumentsMax: 3, bulkBytesMax: 4, commandBytesMax: 6, lineBytesMax: 20)
        func error(_ text: String) -> String? { commands([Array(text.utf8)], limits).1?.message }
        #expect(error("*4\r\n") == "Protocol error: invalid multibulk length")
        #expect(error("*1\r\n$5\r\n") == "Protocol error: invalid bulk length")
        #expect(error("*2\r\n$4\r\nabcd\r\n$3\r\n") == "Protocol error: too big command")
        #expect(error(String(repeating: "a", count: 21)) == "Protocol error: too big inline request")
        #expect(error(String(repeating: "a", count: 21) + "\r\n") == "Protocol error: too big inline request")
        #expect(error("*" + String(repeating: "1", count: 21)) == "Protocol error: too big mbulk count string")
        #expect(error("*1\r\n$" + String(repeating: "1", count: 21)) == "Protocol error: too big bulk count string")
        #expect(error("*1\r\n$4\r\nPINGxx") == "Protocol error: expected a line end after a bulk string")
        #expect(commands([Array("*2\r\n$3\r\nabc\r\n$3\r\ndef\r\n*2\r\n$3\r\nabc\r\n$3\r\ndef\r\n".utf8)], limits).0.count == 2)
        #expect(replies([Array(String(repeating: "*1\r\n", count: 5).utf8)], depthMax: 4).1 != nil)
    }

    /// What a command has brought counts until it is whole, its arguments too: many small ones are as much as a large one.
    @Test func argumentsAreCountedUntilTheirCommandIsWhole() throws {
        var parser = RESPCommandParser()
        parser.feed(Array("*1001\r\n".utf8))
        for _ in 0..<1_000 { parser.feed(Array("$100\r\n\(String(repeating: "x", count: 100))\r\n".utf8)) }
        #expect(try parser.next() == nil)
        #expect(parser.bufferedBytes >= 100_000)
        parser.feed(Array("$1\r\nx\r\n".utf8))
        #expect(try parser.next()?.count == 1_001)
        #expect(parser.bufferedBytes == 0)
    }

    /// After an error there is nothing more to read.
    @Test func errorsStay() {
        var parser = RESPCommandParser()
        parser.feed(Array("*x\r\nPING\r\n".utf8))
        for _ in 0..<2 { #expect(throws: RESPProtocolError.invalidMultibulkLength) { try parser.next() } }
    }

    /// Random bytes in random chunks: no trap, and the chunks do not matter.
    @Test func damageNeverTraps() {
        var source = ValueSource(random: SeededRandom(seed: testSeed("RESP damage")))
        let alphabet = Array("*$+-:%~>|=!,#(_\r\n\r\n\r\n0123459 \"'\\xabPING\0".utf8) + [0xFF]
        for _ in 0..<20_000 {
            var bytes =
                source.below(2) == 0
                ? RESPEncoder.command((0..<source.below(4)).map { _ in source.bytes() }) : RESPEncoder.encode(source.value(2), version: .three)
            for _ in 0..<source.below(4) {
                let at = source.below(bytes.count + 1)
                if source.below(2) == 0 || at == bytes.count {
                    bytes.insert(alphabet[source.below(alphabet.count)], at: at)
                } else {
                    bytes[at] = alphabet[source.below(alphabet.count)]
                }
            }
            bytes += (0..<source.below(20)).map { _ in alphabet[source.below(alphabet.count)] }
            let cut = source.below(bytes.count + 1)
            let chunks = [Array(bytes[..<cut]), Array(bytes[cut...])]
            #expect(commands([bytes]) == commands(chunks))
            #expect(replies([bytes]) == replies(chunks))
        }
    }

    /// Random commands: no trap, and the session's count is what its owner was told.
    @Test func sessionsStayWhole() {
        var source = ValueSource(random: SeededRandom(seed: testSeed("RESP session")))
        let words = [
            "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "HELLO", "AUTH", "RESET", "PING", "CLIENT", "COMMAND", "SELECT",
            "SETNAME", "GETNAME", "INFO", "LIST", "2", "3", "a", "b", "*", "", "default", "pw", "SETINFO", "lib-name", "ECHO",
        ]
        for _ in 0..<300 {
            var connection = Connection(password: source.below(2) == 0 ? Array("pw".utf8) : nil)
            for _ in 0..<100 {
                let command = (0...source.below(5)).map { _ in Array(words[source.below(words.count)].utf8) }
                #expect(!connection.send(RESPEncoder.command(command)).isEmpty)
                #expect(Set(connection.session.subscriptions) == connection.subscriptions)
                #expect(connection.session.subscriptionCount == connection.subscriptions.count)
            }
        }
    }
}
