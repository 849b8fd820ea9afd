// One connection of the Redis protocol as a value: commands go in, actions come out, and nothing is done here. The owner
// holds the socket, the keys and the channels; it carries the actions out in their order and gives back the two answers
// that a session cannot know:
//
//     receive(command) --> .reply, .subscribe, .unsubscribe, .close      done, next command
//                      --> .authenticate ... authenticated(true/false)   --> .reply
//                      --> .authorise    ... authorised(true/false)      --> .subscribe and .reply, one pair a channel
//
// Between question and answer `isWaiting` is true and no command may be given, so replies cannot overtake each other: the
// owner leaves further bytes in the parser. Texts and order of checks are those of Redis 7.0 (recorded dialogues in the
// tests): unknown command, number of arguments, authentication, version 2 with subscriptions, then the command itself.

public import Base

/// What a connection may listen to.
public enum RESPSubscription: Sendable, Hashable {
    case channel([UInt8])
    case pattern([UInt8])
}

public enum RESPAction: Sendable, Equatable {
    /// To be encoded with the session's `version`, which has changed already if the command changes it.
    case reply(RESPValue)
    /// Answer with `authenticated(_:)`.
    case authenticate(user: String?, password: String)
    /// May this connection listen to all of these? Answer with `authorised(_:)`; one that may not refuses the command.
    case authorise([RESPSubscription])
    case subscribe(RESPSubscription)
    case unsubscribe(RESPSubscription)
    /// An error that the session itself answers with; the owner writes it down, and replies with it.
    case refused(String)
    /// Answer with `answered(_:)`.
    case ask(RESPQuestion)
    case close
}

/// What only the owner knows: who else listens, as far as this connection may know.
public enum RESPQuestion: Sendable, Equatable {
    /// Channels that somebody listens to; with a pattern only those that match.
    case channels(matching: [UInt8]?)
    /// How many listen to each.
    case subscribers([[UInt8]])
    /// How many different patterns there are.
    case patterns
}

public struct RESPSession: Sendable {
    public struct Settings: Sendable {
        public var authenticationRequired: Bool
        /// What HELLO and INFO say. Clients choose features by the version of Redis that they are told.
        public var serverName: String
        public var redisVersion: String
        public var channelsMax: Int
        /// Bytes of a channel.
        public var channelBytesMax: Int
        /// Bytes of the client's name.
        public var nameBytesMax: Int
        /// Every message is held against every pattern (`RESPExchange`), so there are few and short ones.
        public var patternsMax: Int
        public var patternBytesMax: Int

        public init(
            authenticationRequired: Bool, serverName: String = "contex", redisVersion: String = "7.0.15",
            channelsMax: Int = 10_000, channelBytesMax: Int = Limits.ownChannelBytes, nameBytesMax: Int = 256, patternsMax: Int = 100,
            patternBytesMax: Int = Limits.patternBytes
        ) {
            self.authenticationRequired = authenticationRequired
            self.serverName = serverName
            self.redisVersion = redisVersion
            self.channelsMax = channelsMax
            self.channelBytesMax = channelBytesMax
            self.nameBytesMax = nameBytesMax
            self.patternsMax = patternsMax
            self.patternBytesMax = patternBytesMax
        }
    }

    private enum Waiting {
        case nothing
        case authentication(hello: Hello?)
        case authorisation([RESPSubscription])
        case answer
    }

    private struct Hello {
        var version: RESPVersion?
        var name: [UInt8]?
    }

    public let id: Int64
    public let address: String
    public private(set) var version = RESPVersion.two
    public private(set) var isAuthenticated: Bool
    /// The user that AUTH named last with success; "default" when it named none.
    public private(set) var user = "default"
    private let settings: Settings
    private var waiting = Waiting.nothing
    private var name: [UInt8] = []
    private var library: [String: [UInt8]] = [:]
    /// With the number of the subscription, so that leaving all of them happens in the order of coming.
    private var channels: [[UInt8]: Int] = [:]
    private var patterns: [[UInt8]: Int] = [:]
    private var subscriptionsMade = 0

    public init(id: Int64, address: String, settings: Settings) {
        self.id = id
        self.address = address
        self.settings = settings
        isAuthenticated = !settings.authenticationRequired
    }

    /// Whether an answer of the owner is due.
    public var isWaiting: Bool { if case .nothing = waiting { false } else { true } }
    public var subscriptionCount: Int { channels.count + patterns.count }
    public var subscriptions: [RESPSubscription] {
        Self.inOrder(channels).map { .channel($0) } + Self.inOrder(patterns).map { .pattern($0) }
    }

    public func isSubscribed(to channel: [UInt8]) -> Bool { channels[channel] != nil }

    /// Of these patterns those that the connection holds, in the order of their coming.
    /// - Complexity: O(n log n) in the patterns given.
    public func held(_ given: [[UInt8]]) -> [[UInt8]] {
        given.compactMap { pattern in patterns[pattern].map { (pattern, $0) } }.sorted { $0.1 < $1.1 }.map(\.0)
    }

    // MARK: - Input

    /// - Precondition: no answer is due (`isWaiting`).
    public mutating func receive(_ command: [[UInt8]]) -> [RESPAction] {
        precondition(!isWaiting, "a command came before the answer to the last one")
        guard !command.isEmpty else { return [] }
        do throws(RESPRefusal) {
            let verb = try RESPVerb.find(command)
            if !isAuthenticated, !verb.isOpenToStrangers { throw RESPRefusal("NOAUTH Authentication required.") }
            if version == .two, subscriptionCount > 0, !verb.isAllowedWhileSubscribed {
                throw RESPRefusal(
                    "ERR Can't execute '\(verb.rawValue)': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
                        + "are allowed in this context")
            }
            return try run(verb, command)
        } catch {
            return [.refused(error.text)]
        }
    }

    /// The owner's answer to `.authenticate`. A refused attempt leaves an earlier success in force.
    public mutating func authenticated(_ accepted: Bool, user: String = "default") -> [RESPAction] {
        guard case .authentication(let hello) = waiting else { preconditionFailure("nobody asked for authentication") }
        waiting = .nothing
        guard accepted else { return [.reply(.error(Self.wrongPassword))] }
        isAuthenticated = true
        self.user = user
        guard let hello else { return [.reply(.ok)] }
        return [.reply(greet(hello))]
    }

    /// The owner knows who it is without being told: by a certificate.
    public mutating func vouch() { isAuthenticated = true }

    /// The owner's answer to `.authorise`.
    /// - Parameter refusal: what the client is told when it may not.
    public mutating func authorised(
        _ allowed: Bool, refusal: String = "NOPERM this user has no permissions to access one of the channels used as arguments"
    ) -> [RESPAction] {
        guard case .authorisation(let wanted) = waiting else { preconditionFailure("nobody asked for authorisation") }
        waiting = .nothing
        guard allowed else { return [.reply(.error(refusal))] }
        var actions: [RESPAction] = []
        for subscription in wanted {
            if insert(subscription) { actions.append(.subscribe(subscription)) }
            let (kind, name): (String, [UInt8]) =
                switch subscription {
                case .channel(let name): ("subscribe", name)
                case .pattern(let name): ("psubscribe", name)
                }
            actions.append(confirmation(kind, .bulk(name)))
        }
        return actions
    }

    /// The owner's answer to `.ask`.
    public mutating func answered(_ value: RESPValue) -> [RESPAction] {
        guard case .answer = waiting else { preconditionFailure("nobody asked") }
        waiting = .nothing
        return [.reply(value)]
    }

    // MARK: - Commands

    private mutating func run(_ verb: RESPVerb, _ command: [[UInt8]]) throws(RESPRefusal) -> [RESPAction] {
        switch verb {
        case .ping: return [.reply(try ping(command))]
        case .echo: return [.reply(.bulk(command[1]))]
        case .quit: return [.reply(.ok), .close]
        case .reset: return reset()
        case .hello: return try hello(command)
        case .auth: return try authenticate(command)
        case .select: return [.reply(try select(command[1]))]
        case .subscribe: return try subscribe(command.dropFirst().map { .channel($0) })
        case .psubscribe: return try subscribe(command.dropFirst().map { .pattern($0) })
        case .unsubscribe: return unsubscribe(command, "unsubscribe", channels) { .channel($0) }
        case .punsubscribe: return unsubscribe(command, "punsubscribe", patterns) { .pattern($0) }
        case .publish:
            throw RESPRefusal("ERR PUBLISH is refused: channels carry what agents are told; publish with POST /api/v1/data/publish")
        case .pubsubChannels:
            guard command.count <= 3 else {
                throw RESPRefusal("ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB HELP.")
            }
            let pattern = command.count == 3 ? command[2] : nil
            if let pattern, pattern.count > settings.patternBytesMax {
                throw RESPRefusal("ERR patterns are limited to \(settings.patternBytesMax) bytes")
            }
            return ask(.channels(matching: pattern))
        case .pubsubNumSub: return ask(.subscribers(Array(command.dropFirst(2))))
        case .pubsubNumPat: return ask(.patterns)
        case .pubsubHelp: return [.reply(Self.help("pubsub"))]
        case .info: return [.reply(information(command))]
        case .clientID: return [.reply(.integer(id))]
        case .clientGetName: return [.reply(name.isEmpty ? .null : .bulk(name))]
        case .clientSetName:
            name = try checked(command[2], "Client names")
            return [.reply(.ok)]
        case .clientSetInfo: return [.reply(try setInfo(command))]
        case .clientNoEvict, .clientNoTouch:
            guard ["on", "off"].contains(RESPVerb.lowercased(command[2])) else { throw RESPRefusal("ERR syntax error") }
            return [.reply(.ok)]
        case .clientInfo: return [.reply(description)]
        case .clientList:
            guard command.count == 2 else { throw RESPRefusal("ERR syntax error") }
            return [.reply(description)]
        case .clientHelp: return [.reply(Self.help("client"))]
        case .command: return [.reply(.array([]))]
        case .commandCount: return [.reply(.integer(Int64(RESPVerb.topLevel.count)))]
        case .commandDocs: return [.reply(.map([]))]
        case .commandInfo: return [.reply(.array(command.dropFirst(2).map { _ in .nullArray }))]
        case .commandList:
            guard command.count == 2 else { throw RESPRefusal("ERR syntax error") }
            return [.reply(.array(RESPVerb.topLevel.map { .text($0) }))]
        case .commandHelp: return [.reply(Self.help("command"))]
        }
    }

    private mutating func ask(_ question: RESPQuestion) -> [RESPAction] {
        waiting = .answer
        return [.ask(question)]
    }

    private func ping(_ command: [[UInt8]]) throws(RESPRefusal) -> RESPValue {
        guard command.count <= 2 else { throw RESPVerb.wrongNumber("ping") }
        if version == .two, subscriptionCount > 0 { return .array([.text("pong"), .bulk(command.count == 2 ? command[1] : [])]) }
        return command.count == 2 ? .bulk(command[1]) : .simple("PONG")
    }

    private func select(_ database: [UInt8]) throws(RESPRefusal) -> RESPValue {
        guard let number = RESPBuffer.integer(database[...]) else { throw RESPRefusal("ERR value is not an integer or out of range") }
        guard number == 0 else { throw RESPRefusal("ERR DB index is out of range") }
        return .ok
    }

    private mutating func reset() -> [RESPAction] {
        let left = subscriptions.map { RESPAction.unsubscribe($0) }
        channels = [:]
        patterns = [:]
        name = []
        version = .two
        user = "default"
        isAuthenticated = !settings.authenticationRequired
        return left + [.reply(.simple("RESET"))]
    }

    private func information(_ command: [[UInt8]]) -> RESPValue {
        let sections = command.dropFirst().map { RESPVerb.lowercased($0) }
        guard sections.isEmpty || sections.contains(where: ["server", "default", "all", "everything"].contains) else { return text("") }
        return text("# Server\r\nredis_version:\(settings.redisVersion)\r\nredis_mode:standalone\r\nserver_name:\(settings.serverName)\r\n")
    }

    /// Text for people: verbatim where the protocol has it.
    private func text(_ text: String) -> RESPValue { .verbatim(format: "txt", Array(text.utf8)) }

    private static func help(_ container: String) -> RESPValue {
        .array([.simple("\(container.uppercased()) <subcommand> [<arg> ...]. Subcommands are:")]
            + RESPVerb.subcommands(of: container).map { .simple($0.uppercased()) })
    }

    // MARK: Authentication

    private static let wrongPassword = "WRONGPASS invalid username-password pair or user is disabled."

    private mutating func authenticate(_ command: [[UInt8]]) throws(RESPRefusal) -> [RESPAction] {
        guard command.count <= 3 else { throw RESPRefusal("ERR syntax error") }
        if command.count == 2, !settings.authenticationRequired {
            throw RESPRefusal(
                "ERR AUTH <password> called without any password configured for the default user. "
                    + "Are you sure your configuration is correct?")
        }
        return try ask(user: command.count == 3 ? command[1] : nil, password: command[command.count - 1], hello: nil)
    }

    /// Without authentication there is one user, "default", and any password is right, as in Redis.
    private mutating func ask(user: [UInt8]?, password: [UInt8], hello: Hello?) throws(RESPRefusal) -> [RESPAction] {
        let user = user.map { String(decoding: $0, as: UTF8.self) }
        if settings.authenticationRequired {
            waiting = .authentication(hello: hello)
            return [.authenticate(user: user, password: String(decoding: password, as: UTF8.self))]
        }
        guard user == "default" else { throw RESPRefusal(Self.wrongPassword) }
        guard let hello else { return [.reply(.ok)] }
        return [.reply(greet(hello))]
    }

    private mutating func hello(_ command: [[UInt8]]) throws(RESPRefusal) -> [RESPAction] {
        var hello = Hello()
        if command.count > 1 {
            guard let number = RESPBuffer.integer(command[1][...]) else {
                throw RESPRefusal("ERR Protocol version is not an integer or out of range")
            }
            guard let version = RESPVersion(rawValue: Int(number)) else { throw RESPRefusal("NOPROTO unsupported protocol version") }
            hello.version = version
        }
        var credentials: (user: [UInt8], password: [UInt8])?
        var rest = command.dropFirst(2)
        while let option = rest.popFirst() {
            let name = RESPVerb.lowercased(option)
            if name == "auth", rest.count >= 2 {
                credentials = (rest.removeFirst(), rest.removeFirst())
            } else if name == "setname", let argument = rest.popFirst() {
                hello.name = try checked(argument, "Client names")
            } else {
                throw RESPRefusal("ERR Syntax error in HELLO option '\(RESPVerb.shown(option, 128))'")
            }
        }
        if let credentials { return try ask(user: credentials.user, password: credentials.password, hello: hello) }
        guard isAuthenticated else {
            throw RESPRefusal(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option "
                    + "can be used to authenticate the client and select the RESP protocol version at the same time")
        }
        return [.reply(greet(hello))]
    }

    private mutating func greet(_ hello: Hello) -> RESPValue {
        version = hello.version ?? version
        name = hello.name ?? name
        let entries: [(String, RESPValue)] = [
            ("server", .text(settings.serverName)), ("version", .text(settings.redisVersion)),
            ("proto", .integer(Int64(version.rawValue))), ("id", .integer(id)), ("mode", .text("standalone")),
            ("role", .text("master")), ("modules", .array([])),
        ]
        return .map(entries.map { .init(key: .text($0.0), value: $0.1) })
    }

    // MARK: The client about itself

    private func checked(_ value: [UInt8], _ what: String) throws(RESPRefusal) -> [UInt8] {
        guard value.count <= settings.nameBytesMax else { throw RESPRefusal("ERR \(what) are limited to \(settings.nameBytesMax) bytes.") }
        guard value.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw RESPRefusal("ERR \(what) cannot contain spaces, newlines or special characters.")
        }
        return value
    }

    private mutating func setInfo(_ command: [[UInt8]]) throws(RESPRefusal) -> RESPValue {
        let attribute = RESPVerb.lowercased(command[2])
        guard attribute == "lib-name" || attribute == "lib-ver" else {
            throw RESPRefusal("ERR Unrecognized option '\(RESPVerb.shown(command[2], 128))'")
        }
        library[attribute] = try checked(command[3], attribute)
        return .ok
    }

    /// CLIENT INFO's line, with the fields that mean something here.
    private var description: RESPValue {
        func shown(_ bytes: [UInt8]?) -> String { String(decoding: bytes ?? [], as: UTF8.self) }
        return text(
            "id=\(id) addr=\(address) name=\(shown(name)) flags=\(subscriptionCount > 0 ? "P" : "N") db=0 sub=\(channels.count) "
                + "psub=\(patterns.count) user=\(user) lib-name=\(shown(library["lib-name"])) lib-ver=\(shown(library["lib-ver"])) "
                + "resp=\(version.rawValue)\n")
    }

    // MARK: Subscriptions

    private mutating func subscribe(_ wanted: [RESPSubscription]) throws(RESPRefusal) -> [RESPAction] {
        var newChannels: Set<[UInt8]> = []
        var newPatterns: Set<[UInt8]> = []
        for subscription in wanted {
            switch subscription {
            case .channel(let name):
                guard name.count <= settings.channelBytesMax else {
                    throw RESPRefusal("ERR channel names are limited to \(settings.channelBytesMax) bytes")
                }
                if channels[name] == nil { newChannels.insert(name) }
            case .pattern(let name):
                guard name.count <= settings.patternBytesMax else {
                    throw RESPRefusal("ERR patterns are limited to \(settings.patternBytesMax) bytes")
                }
                if patterns[name] == nil { newPatterns.insert(name) }
            }
        }
        guard channels.count + newChannels.count <= settings.channelsMax else {
            throw RESPRefusal("ERR a connection is limited to \(settings.channelsMax) channels")
        }
        guard patterns.count + newPatterns.count <= settings.patternsMax else {
            throw RESPRefusal("ERR a connection is limited to \(settings.patternsMax) patterns")
        }
        waiting = .authorisation(wanted)
        return [.authorise(wanted)]
    }

    private func holds(_ subscription: RESPSubscription) -> Bool {
        switch subscription {
        case .channel(let name): channels[name] != nil
        case .pattern(let name): patterns[name] != nil
        }
    }

    /// Whether it is new.
    private mutating func insert(_ subscription: RESPSubscription) -> Bool {
        guard !holds(subscription) else { return false }
        subscriptionsMade += 1
        switch subscription {
        case .channel(let name): channels[name] = subscriptionsMade
        case .pattern(let name): patterns[name] = subscriptionsMade
        }
        return true
    }

    private mutating func unsubscribe(
        _ command: [[UInt8]], _ kind: String, _ held: [[UInt8]: Int], _ subscription: ([UInt8]) -> RESPSubscription
    ) -> [RESPAction] {
        let names = command.count > 1 ? Array(command[1...]) : Self.inOrder(held)
        if names.isEmpty { return [confirmation(kind, .null)] }
        var actions: [RESPAction] = []
        for name in names {
            let leaving = subscription(name)
            if holds(leaving) {
                switch leaving {
                case .channel(let name): channels[name] = nil
                case .pattern(let name): patterns[name] = nil
                }
                actions.append(.unsubscribe(leaving))
            }
            actions.append(confirmation(kind, .bulk(name)))
        }
        return actions
    }

    private func confirmation(_ kind: String, _ name: RESPValue) -> RESPAction {
        .reply(.push([.text(kind), name, .integer(Int64(subscriptionCount))]))
    }

    private static func inOrder(_ held: [[UInt8]: Int]) -> [[UInt8]] { held.sorted { $0.value < $1.value }.map(\.key) }
}
