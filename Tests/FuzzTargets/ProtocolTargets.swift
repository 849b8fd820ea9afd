internal import Addresses
internal import Base
internal import RESP

extension FuzzTargets {
    static let protocols: [FuzzTarget] = [respCommand, respSession, respExchange, respReply, webhookURL]

    static let respCommand = FuzzTarget(
        "resp-command", "the commands do not depend on how the network cuts the bytes, and stay inside the limits",
        seeds: texts("\u{3}*2\r\n$4\r\nPING\r\n$2\r\nhi\r\nECHO \"a\\x41\" 'b'\r\n", "\u{81}*1\r\n$5\r\nHELLO\r\n*-1\r\n*0\r\n")
    ) { input in
        var reader = InputReader(input)
        let choice = reader.byte()
        let limits: RESPCommandLimits = choice >= 128 ? .unauthenticated : .init(argumentsMax: 64, bulkBytesMax: 1_024, commandBytesMax: 4_096)
        let bytes = reader.rest
        let (whole, failure) = commands(bytes, step: max(1, bytes.count), limits)
        let (cut, other) = commands(bytes, step: choice % 7 + 1, limits)
        try require(whole == cut, "cut apart the commands are others")
        // A line that is too long is noticed sooner or later, in other words, by how much of it has come.
        try require((failure == nil) == (other == nil), "\(String(describing: failure)) as a whole, \(String(describing: other)) cut apart")
        for command in whole {
            try require(!command.isEmpty, "an empty command")
            try require(command.reduce(0) { $0 + $1.count } <= max(limits.commandBytesMax, limits.lineBytesMax), "a command over the limit")
        }
        // What clients send is read as it was meant.
        for command in whole where choice < 128 && command.count <= limits.argumentsMax && command.allSatisfy({ $0.count <= limits.bulkBytesMax }) {
            try require(commands(RESPEncoder.command(command), step: 5, limits).commands == [command], "a command that does not come back")
        }
    }

    private static func commands(
        _ bytes: [UInt8], step: Int, _ limits: RESPCommandLimits
    ) -> (commands: [[[UInt8]]], failure: RESPProtocolError?) {
        var parser = RESPCommandParser(limits: limits)
        var found: [[[UInt8]]] = []
        do throws(RESPProtocolError) {
            var start = 0
            while start < bytes.count {
                parser.feed(bytes[start..<min(bytes.count, start + step)])
                while let command = try parser.next() { found.append(command) }
                start += step
            }
        } catch {
            return (found, error)
        }
        return (found, nil)
    }

    static let respSession = FuzzTarget(
        "resp-session", "every command is answered, subscriptions stay inside the limits and agree with the actions",
        seeds: texts(
            "\u{1}SUBSCRIBE a b\nPSUBSCRIBE a*\nUNSUBSCRIBE\nPING x\nRESET\nQUIT\n",
            "\u{0}HELLO 3 AUTH u p SETNAME n\nAUTH x\nCLIENT INFO\nINFO\nCLIENT LIST\n",
            "\u{3}HELLO 3\nSUBSCRIBE a\nPUNSUBSCRIBE x\nCLIENT SETINFO LIB-NAME l\nCOMMAND DOCS\nCLIENT HELP\nSELECT 0\n")
    ) { input in
        var reader = InputReader(input)
        let choice = reader.byte()
        var session = RESPSession(
            id: 7, address: "127.0.0.1:1", settings: .init(authenticationRequired: choice & 1 == 0, channelsMax: 5, nameBytesMax: 64, patternsMax: 3))
        var parser = RESPCommandParser()
        parser.feed(reader.rest)
        var decisions = UInt8(truncatingIfNeeded: choice)
        var held: [RESPSubscription] = []
        while let command = try? parser.next() {
            var pending = session.receive(command)
            var replies = 0
            while true {
                var question: RESPAction?
                for action in pending {
                    switch action {
                    case .reply(let value):
                        replies += 1
                        try requireReads(value, session.version)
                    case .refused(let text):
                        replies += 1
                        try requireReads(.error(text), session.version)
                    case .subscribe(let subscription):
                        try require(!held.contains(subscription), "subscribed twice to \(subscription)")
                        held.append(subscription)
                    case .unsubscribe(let subscription):
                        try require(held.contains(subscription), "left \(subscription), which was not held")
                        held.removeAll { $0 == subscription }
                    case .authenticate, .authorise, .ask: question = action
                    case .close: break
                    }
                }
                try require((question != nil) == session.isWaiting, "waiting: \(session.isWaiting), asked: \(String(describing: question))")
                guard let question else { break }
                decisions = decisions &* 5 &+ 3
                let isYes = decisions & 4 == 0
                switch question {
                case .authenticate: pending = session.authenticated(isYes)
                case .ask: pending = session.answered(.array([.integer(1)]))
                default: pending = session.authorised(isYes)
                }
            }
            try require(replies > 0, "no reply to \(command.map { String(decoding: $0, as: UTF8.self) })")
            try require(session.subscriptionCount == held.count && Set(session.subscriptions) == Set(held), "subscriptions and actions disagree")
            try require(held.count <= 8, "\(held.count) subscriptions")
        }
    }

    /// A whole listener without sockets: sessions, what they share, and messages for them.
    private struct Listener {
        struct Client {
            var session: RESPSession
            var parser = RESPCommandParser()
            var held: Set<RESPSubscription> = []
        }
        static let bounds: RESPExchange.Bounds = {
            var bounds = RESPExchange.Bounds()
            bounds.readers.readersMax = 6
            bounds.readers.readersPerPartyMax = 4
            bounds.readers.strangersMax = 3
            bounds.readers.strangersPerAddressMax = 2
            bounds.patternsMax = 4
            bounds.patternsPerPartyMax = 3
            bounds.channelsMax = 12
            bounds.channelsPerPartyMax = 8
            bounds.readers.unsentBytesPerReaderMax = 300
            bounds.readers.unsentBytesPerPartyMax = 500
            bounds.readers.unsentBytesMax = 700
            return bounds
        }()
        var exchange = RESPExchange(Listener.bounds)
        var clients: [Int64: Client] = [:]
        var waiting: [(message: UInt64, ids: [Int64])] = []

        mutating func connect(_ id: Int64) {
            guard clients[id] == nil else { return }
            let session = RESPSession(id: id, address: "x", settings: .init(authenticationRequired: id % 2 == 0, channelsMax: 5, patternsMax: 3))
            guard exchange.admit(id, from: "address \(id % 3)", isStranger: !session.isAuthenticated) == nil else { return }
            clients[id] = Client(session: session)
        }

        mutating func leave(_ id: Int64) {
            exchange.remove(id)
            clients[id] = nil
        }

        /// Bytes from a client: its commands are run, and every one is answered in a form that can be read.
        mutating func receive(_ bytes: [UInt8], from id: Int64) throws {
            clients[id]?.parser.feed(bytes)
            while clients[id] != nil {
                clients[id]!.parser.limits = clients[id]!.session.isAuthenticated ? RESPCommandLimits() : .unauthenticated
                let command: [[UInt8]]
                do throws(RESPProtocolError) {
                    guard let next = try clients[id]!.parser.next() else { break }
                    command = next
                } catch {
                    return leave(id)
                }
                var pending = clients[id]!.session.receive(command)
                var replies = 0
                var isOver = false
                while !pending.isEmpty {
                    let action = pending.removeFirst()
                    switch action {
                    case .reply(let value):
                        replies += 1
                        try FuzzTargets.requireReads(value, clients[id]!.session.version)
                    case .refused(let text):
                        replies += 1
                        try FuzzTargets.requireReads(.error(text), clients[id]!.session.version)
                    case .authenticate(_, let password):
                        let isKnown = password.hasPrefix("k") && exchange.setKey(password, of: id) == nil
                        pending = clients[id]!.session.authenticated(isKnown) + pending
                    case .authorise(let wanted):
                        let refusal = exchange.refusal(of: wanted, for: id)
                        pending = (refusal.map { clients[id]!.session.authorised(false, refusal: $0) } ?? clients[id]!.session.authorised(true)) + pending
                    case .ask(let question):
                        let answer: RESPValue =
                            switch question {
                            case .channels(let pattern):
                                .array(exchange.activeChannels.filter { pattern.map { RESPGlob($0) }?.matches($0) ?? true }.map { .bulk($0) })
                            case .subscribers(let names): .array(names.map { .integer(Int64(exchange.subscriberCount($0))) })
                            case .patterns: .integer(Int64(exchange.patternCount(ofKey: nil)))
                            }
                        pending = clients[id]!.session.answered(answer) + pending
                    case .subscribe(let subscription):
                        exchange.subscribe(id, subscription)
                        clients[id]!.held.insert(subscription)
                    case .unsubscribe(let subscription):
                        exchange.unsubscribe(id, subscription)
                        clients[id]!.held.remove(subscription)
                    case .close: isOver = true
                    }
                }
                try require(replies > 0, "no reply")
                try require(Set(clients[id]!.session.subscriptions) == clients[id]!.held, "the session and its actions disagree")
                if !clients[id]!.session.isAuthenticated { _ = exchange.setKey(nil, of: id) }
                if isOver { leave(id) }
            }
        }

        /// A message on a channel: who hears it is who should, and reads it.
        mutating func say(_ channel: [UInt8], bytes: Int) throws {
            let listeners = exchange.listeners(of: channel)
            for (id, client) in clients {
                let patterns = client.held.filter { subscription in
                    if case .pattern(let pattern) = subscription { RESPGlob(pattern).matches(channel) } else { false }
                }
                let isExact = client.held.contains(.channel(channel))
                let found = listeners.first { $0.id == id }
                try require(found?.isExact ?? false == isExact, "connection \(id) hears \(channel): \(String(describing: found))")
                try require(Set(found?.patterns ?? []) == Set(patterns.map { if case .pattern(let name) = $0 { name } else { [] } }), "other patterns")
                for pattern in (isExact ? [nil] : []) + client.session.held(found?.patterns ?? []).map(Optional.some) {
                    var frame: [UInt8] = []
                    RESPEncoder.encodeHead(pattern: pattern, channel: channel, payloadBytes: 2, version: client.session.version, into: &frame)
                    let (values, failure) = FuzzTargets.replies(frame + Array("xy\r\n".utf8), step: 3)
                    try require(failure == nil && values.count == 1, "a message that cannot be read")
                }
            }
            let sending = exchange.send(bytes: bytes, to: listeners.map { ($0.id, ($0.isExact ? 1 : 0) + $0.patterns.count) })
            waiting.append((sending.message, listeners.map(\.id)))
            for id in sending.cut { leave(id) }
            try require(exchange.unsentBytes <= Listener.bounds.readers.unsentBytesMax || exchange.unsentBytes <= bytes, "\(exchange.unsentBytes) bytes wait")
        }
    }

    static let respExchange = FuzzTarget(
        "resp-exchange", "a listener of many sessions: whoever should hear a message does and nobody else, every command is answered, all counts hold",
        seeds: texts(
            "\u{1}\u{0}\u{10}AUTH k1\n\u{1}\u{0}\u{10}SUBSCRIBE a b\n"
                + "\u{0}\u{1}\u{2}\u{1}\u{1}\u{12}PSUBSCRIBE a* [bc]\n\u{2}\u{60}a\u{3}\u{0}\u{1}\u{1}\u{8}RESET\n",
            "\u{1}\u{1}\u{20}HELLO 3 SETNAME n\nSUBSCRIBE a b c\n\u{2}\u{a0}a\u{2}\u{a0}b\u{2}\u{a0}c\u{2}\u{a0}a\u{1}\u{1}\u{18}PUBSUB NUMSUB a\nQUIT\n")
    ) { input in
        var reader = InputReader(input)
        var listener = Listener()
        var left = input.count
        for id in 0..<Int64(3) { listener.connect(id) }
        while left > 0 {
            let operation = reader.byte()
            left -= 1
            let id = Int64(reader.byte() % 8)
            left -= 1
            switch operation % 6 {
            case 0: listener.connect(id)
            case 1, 5:
                let count = min(reader.byte(), max(0, left - 1))
                try listener.receive((0..<count).map { _ in UInt8(reader.byte()) }, from: id)
                left -= 1 + count
            case 2:
                try listener.say([UInt8(reader.byte())], bytes: Int(id) * 40)
                left -= 1
            case 3:
                guard !listener.waiting.isEmpty else { continue }
                let sent = listener.waiting.remove(at: Int(id) % listener.waiting.count)
                for id in sent.ids { listener.exchange.sent(sent.message, by: id) }
            default:
                if operation >= 128 {
                    listener.leave(id)
                } else {
                    for gone in listener.exchange.setOwn(operation, of: id) { listener.leave(gone) }
                }
            }
            let findings = listener.exchange.checkInvariants()
            try require(findings == [], "\(findings)")
            try require(Set(listener.clients.keys).count == listener.exchange.connectionCount, "connections")
        }
    }

    static let webhookURL = FuzzTarget(
        "webhook-url", "a URL that is read is written so that it reads the same; nothing private passes by another way of writing",
        inputBytesMax: 512,
        seeds: texts(
            "https://Example.com:443/a b?c=%zz#d", "http://0x7f.1/", "http://[::ffff:10.0.0.1]:8080/x", "http://user:pass@h/", "http://2130706433",
            "http://h.example\\@127.0.0.1/", "http://localhost./", "http://[2001:db8::1]/", "http://xn--bcher-kva.example/%2e%2e/", "gopher://x/")
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        let url: WebhookURL
        do throws(ContexError) {
            url = try WebhookURL(text)
        } catch {
            try require(error.category == .invalid && error.field == "webhook_url" && !error.message.isEmpty, "a refusal without words")
            try require(error.message.utf8.count < 512, "a refusal of \(error.message.utf8.count) bytes")
            return
        }
        let again: WebhookURL
        do throws(ContexError) { again = try WebhookURL(url.text) } catch { throw FuzzFinding("\(url.text) does not read: \(error)") }
        try require(again == url && again.text == url.text, "\(url.text) reads as \(again.text)")
        try require(url.text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "bytes that a request must not hold")
        try require(!url.text.utf8.contains(UInt8(ascii: "@")) || url.target.utf8.contains(UInt8(ascii: "@")), "a user in \(url.text)")
        try require((1...65_535).contains(url.port), "port \(url.port)")
        switch url.host {
        case .address(let address):
            // The same host in whatever writing is judged alike.
            try require(IPAddress(address.description) == address, "\(address) is written as another")
            let isOpen = (try? AddressPolicy.publicOnly.check(url)) != nil
            try require(isOpen == AddressPolicy.publicOnly.permits(address), "registration and delivery disagree about \(address)")
            try require(AddressPolicy.isPublic(address) == AddressPolicy.isPublic(address.unmapped), "\(address) passes by its mapped form")
        case .name(let name):
            try require(IPAddress(name) == nil && IPAddress(resolverForm: name) == nil, "\(name) is an address")
            try require(name == name.lowercased() && !name.hasSuffix("."), "\(name) has two writings")
        }
    }

    fileprivate static func requireReads(_ value: RESPValue, _ version: RESPVersion) throws {
        let (values, failure) = replies(RESPEncoder.encode(value, version: version), step: 3)
        try require(failure == nil && values.count == 1, "the reply \(value) is read as \(values), \(String(describing: failure))")
    }

    static let respReply = FuzzTarget(
        "resp-reply", "the replies do not depend on how the bytes are cut; encoded again they read the same",
        seeds: texts(
            "\u{2}*2\r\n$1\r\na\r\n:1\r\n+OK\r\n-ERR x\r\n_\r\n#t\r\n,1.5\r\n(123\r\n=5\r\ntxt:a\r\n"
                + "%1\r\n+k\r\n~1\r\n+v\r\n>1\r\n+p\r\n|1\r\n+a\r\n+b\r\n*-1\r\n$-1\r\n!1\r\ne\r\n")
    ) { input in
        var reader = InputReader(input)
        let step = reader.byte() % 7 + 1
        let bytes = reader.rest
        let (whole, failure) = replies(bytes, step: max(1, bytes.count))
        let (cut, other) = replies(bytes, step: step)
        try require(same(whole, cut), "cut apart the replies are others")
        try require((failure == nil) == (other == nil), "\(String(describing: failure)) as a whole, \(String(describing: other)) cut apart")
        for value in whole {
            let encoded = RESPEncoder.encode(value, version: .three)
            let (again, failure) = replies(encoded, step: 64)
            try require(failure == nil && again.count == 1, "\(value) encoded is read as \(again), \(String(describing: failure))")
            try require(RESPEncoder.encode(again[0], version: .three) == encoded, "\(value) encoded twice gives other bytes")
        }
    }

    /// By their bytes: a double that is no number does not equal itself.
    private static func same(_ a: [RESPValue], _ b: [RESPValue]) -> Bool {
        a.map { RESPEncoder.encode($0, version: .three) } == b.map { RESPEncoder.encode($0, version: .three) }
    }

    fileprivate static func replies(_ bytes: [UInt8], step: Int) -> (values: [RESPValue], failure: RESPProtocolError?) {
        var parser = RESPReplyParser(bulkBytesMax: 4_096, elementsMax: 4_096)
        var found: [RESPValue] = []
        do throws(RESPProtocolError) {
            var start = 0
            while start < bytes.count {
                parser.feed(bytes[start..<min(bytes.count, start + step)])
                while let value = try parser.next() { found.append(value) }
                start += step
            }
        } catch {
            return (found, error)
        }
        return (found, nil)
    }
}
