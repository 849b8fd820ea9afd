internal import RESP

extension FuzzTargets {
    static let protocols: [FuzzTarget] = [respCommand, respSession, respReply]

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
            "\u{1}SUBSCRIBE a b\nPSUBSCRIBE a*\nUNSUBSCRIBE\nPING x\nRESET\nQUIT\n", "\u{0}HELLO 3 AUTH u p SETNAME n\nAUTH x\nCLIENT INFO\nINFO\nCLIENT LIST\n",
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
                    case .subscribe(let subscription):
                        try require(!held.contains(subscription), "subscribed twice to \(subscription)")
                        held.append(subscription)
                    case .unsubscribe(let subscription):
                        try require(held.contains(subscription), "left \(subscription), which was not held")
                        held.removeAll { $0 == subscription }
                    case .authenticate, .authorise: question = action
                    case .close: break
                    }
                }
                try require((question != nil) == session.isWaiting, "waiting: \(session.isWaiting), asked: \(String(describing: question))")
                guard let question else { break }
                decisions = decisions &* 5 &+ 3
                let isYes = decisions & 4 == 0
                if case .authenticate = question { pending = session.authenticated(isYes) } else { pending = session.authorised(isYes) }
            }
            try require(replies > 0, "no reply to \(command.map { String(decoding: $0, as: UTF8.self) })")
            try require(session.subscriptionCount == held.count && Set(session.subscriptions) == Set(held), "subscriptions and actions disagree")
            try require(held.count <= 8, "\(held.count) subscriptions")
            if let channel = command.last {
                for frame in session.frames(channel: channel, payload: [1, 2]) { try requireReads(frame, session.version) }
            }
        }
    }

    private static func requireReads(_ value: RESPValue, _ version: RESPVersion) throws {
        let (values, failure) = replies(RESPEncoder.encode(value, version: version), step: 3)
        try require(failure == nil && values.count == 1, "the reply \(value) is read as \(values), \(String(describing: failure))")
    }

    static let respReply = FuzzTarget(
        "resp-reply", "the replies do not depend on how the bytes are cut; encoded again they read the same",
        seeds: texts(
            "\u{2}*2\r\n$1\r\na\r\n:1\r\n+OK\r\n-ERR x\r\n_\r\n#t\r\n,1.5\r\n(123\r\n=5\r\ntxt:a\r\n%1\r\n+k\r\n~1\r\n+v\r\n>1\r\n+p\r\n|1\r\n+a\r\n+b\r\n*-1\r\n$-1\r\n!1\r\ne\r\n")
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

    private static func replies(_ bytes: [UInt8], step: Int) -> (values: [RESPValue], failure: RESPProtocolError?) {
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
