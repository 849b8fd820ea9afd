// A server without a socket: bytes in, bytes out.
import RESP

struct Connection {
    var parser = RESPCommandParser()
    var session: RESPSession
    var isOpen = true
    let password: [UInt8]?
    /// Channels that nobody may listen to.
    var forbidden: Set<RESPSubscription> = []
    /// What the owner would have carried out.
    var subscriptions: Set<RESPSubscription> = []

    init(password: [UInt8]? = nil, settings: ((inout RESPSession.Settings) -> Void)? = nil) {
        var chosen = RESPSession.Settings(authenticationRequired: password != nil, serverName: "redis")
        settings?(&chosen)
        session = RESPSession(id: 7, address: "127.0.0.1:1", settings: chosen)
        self.password = password
    }

    mutating func send(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        guard isOpen else { return output }
        parser.feed(bytes)
        do throws(RESPProtocolError) {
            while isOpen {
                parser.limits = session.isAuthenticated ? .init() : .unauthenticated
                guard let command = try parser.next() else { break }
                run(session.receive(command), &output)
            }
        } catch {
            RESPEncoder.encode(error.reply, version: session.version, into: &output)
            isOpen = false
        }
        return output
    }

    mutating func send(_ words: String...) -> String {
        String(decoding: send(RESPEncoder.command(words.map { Array($0.utf8) })), as: UTF8.self)
    }

    private mutating func run(_ actions: [RESPAction], _ output: inout [UInt8]) {
        for action in actions {
            switch action {
            case .reply(let value): RESPEncoder.encode(value, version: session.version, into: &output)
            case .authenticate(let user, let given):
                run(session.authenticated((user ?? "default") == "default" && Array(given.utf8) == password), &output)
            case .refused(let text): RESPEncoder.encode(.error(text), version: session.version, into: &output)
            case .ask: run(session.answered(.array([])), &output)
            case .authorise(let wanted): run(session.authorised(forbidden.isDisjoint(with: wanted)), &output)
            case .subscribe(let subscription): subscriptions.insert(subscription)
            case .unsubscribe(let subscription): subscriptions.remove(subscription)
            case .close: isOpen = false
            }
        }
    }

    func published(_ channel: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        var exchange = RESPExchange()
        _ = exchange.admit(session.id, from: "", isStranger: false)
        for subscription in session.subscriptions { exchange.subscribe(session.id, subscription) }
        var output: [UInt8] = []
        for listener in exchange.listeners(of: channel) {
            for pattern in (listener.isExact ? [nil] : []) + session.held(listener.patterns).map(Optional.some) {
                RESPEncoder.encodeHead(pattern: pattern, channel: channel, payloadBytes: payload.count, version: session.version, into: &output)
                output += payload + Array("\r\n".utf8)
            }
        }
        return output
    }
}
