// What the connections of a listener share, as a value without sockets: places, subscriptions, and the bytes that wait to be sent.
//
//     admit ──▶ stranger ──▶ authenticated ──▶ gone            each counted by address and by key
//     subscribe ──▶ channels: name ──▶ connections             a pattern is matched once a message, however many hold it
//                   patterns: name ──▶ automaton, connections
//     send ──▶ a message and who has yet to send it ──▶ sent   its bytes count once, since all share them
//
// Everything is bounded, and the bounds are shares: no address and no key takes what others need. Over a bound of unsent bytes a
// connection is cut, the one of that address or key (or of all) with the most unsent bytes: that is the slowest reader. A single
// message of any size is always tried.
//
// The work of one message is bounded too: `patternsMax` automata of five machine words over `Limits.channelBytes` bytes of name, about
// two million word steps; and they are remembered by the channel's name until a pattern comes or goes.

internal import Base

public struct RESPExchange: Sendable {
    public typealias ID = Int64

    public struct Bounds: Sendable {
        /// Connections at once. 1,000 stay below 1,024 open files, the usual limit of a process.
        public var connectionsMax = 1_000
        /// Of one address, and with one key.
        public var connectionsPerOwnerMax = 256
        /// That have not authenticated, where they must: a small share, and of one address a smaller one.
        public var strangersMax = 100
        public var strangersPerAddressMax = 20
        /// Different patterns: in all, and of one address or key.
        public var patternsMax = 1_000
        public var patternsPerOwnerMax = 250
        /// Channels listened to, each as often as somebody does.
        public var channelsMax = 100_000
        public var channelsPerOwnerMax = 25_000
        /// Bytes that wait to be sent: for one connection, for those of one address or key, in all. 32 MiB, as Redis has it for
        /// subscribers: one batch of `Limits.bodyBytes` (10 MiB) tells its agents up to that much at once, in JSON that escapes text
        /// somewhat more, and nobody is a slow reader for having received it.
        public var unsentBytesPerConnectionMax = 32 << 20
        public var unsentBytesPerOwnerMax = 64 << 20
        public var unsentBytesMax = 128 << 20

        public init() {}
    }

    /// Whose a connection is.
    private enum Owner: Hashable {
        case address(String)
        case key(String)
    }

    private struct Connection {
        let address: String
        var key: String?
        var isStranger: Bool
        var channels: Set<[UInt8]> = []
        var patterns: Set<[UInt8]> = []
        /// Messages that it has yet to send, with the number of times.
        var messages: [UInt64: Int] = [:]
        /// Of them and of its own answers, each as often as it is sent.
        var unsentBytes = 0
        /// Of its own answers.
        var ownBytes = 0

        var owners: [Owner] { [.address(address)] + (key.map { [.key($0)] } ?? []) }
    }

    private struct OwnerState {
        var connections = 0
        var strangers = 0
        var channels = 0
        /// Different ones, with the number of connections that hold each.
        var patterns: [[UInt8]: Int] = [:]
        var unsentBytes = 0
        /// Messages and own answers that make them up.
        var unsentParts = 0

        mutating func hold(_ pattern: [UInt8], _ sign: Int) {
            let count = (patterns[pattern] ?? 0) + sign
            patterns[pattern] = count == 0 ? nil : count
        }
    }

    private struct Message {
        let bytes: Int
        var connections = 0
        var owners: [Owner: Int] = [:]
    }

    private struct Pattern {
        let glob: RESPGlob
        var holders: Set<ID> = []
    }

    /// Who hears a message, and why.
    public struct Listener: Sendable, Equatable {
        public let id: ID
        public let isExact: Bool
        /// Of its patterns those that match.
        public let patterns: [[UInt8]]

        public init(id: ID, isExact: Bool, patterns: [[UInt8]]) {
            self.id = id
            self.isExact = isExact
            self.patterns = patterns
        }
    }

    private let bounds: Bounds
    private var connections: [ID: Connection] = [:]
    private var owners: [Owner: OwnerState] = [:]
    private var strangers = 0
    private var channels: [[UInt8]: Set<ID>] = [:]
    private var channelCount = 0
    private var patterns: [[UInt8]: Pattern] = [:]
    private var messages: [UInt64: Message] = [:]
    private var lastMessage: UInt64 = 0
    private var unsentParts = 0
    /// Bytes that wait, each message once.
    public private(set) var unsentBytes = 0
    /// Patterns that a channel matches.
    private var remembered: [[UInt8]: [[UInt8]]] = [:]

    private static let rememberedMax = 1_024

    public init(_ bounds: Bounds = Bounds()) { self.bounds = bounds }

    public var connectionCount: Int { connections.count }
    public var subscriptionCount: Int { channelCount + connections.values.reduce(0) { $0 + $1.patterns.count } }
    /// Machine words that the patterns are worth for each byte of a name.
    public var patternWords: Int { patterns.values.reduce(0) { $0 + $1.glob.wordsPerByte } }

    // MARK: - Places

    /// - Parameters:
    ///   - address: what connections of one origin have in common (`RESPExchange.origin`).
    ///   - isStranger: it has to authenticate first.
    /// - Returns: nil, or why there is no place.
    public mutating func admit(_ id: ID, from address: String, isStranger: Bool) -> String? {
        precondition(connections[id] == nil, "connection \(id) came twice")
        let owner = owners[.address(address)] ?? OwnerState()
        guard connections.count < bounds.connectionsMax else { return "ERR max number of clients reached" }
        guard owner.connections < bounds.connectionsPerOwnerMax else {
            return "ERR max number of clients reached: one address is limited to \(bounds.connectionsPerOwnerMax)"
        }
        if isStranger {
            guard strangers < bounds.strangersMax, owner.strangers < bounds.strangersPerAddressMax else {
                return "ERR max number of clients reached: too many that have not authenticated"
            }
            strangers += 1
        }
        connections[id] = Connection(address: address, isStranger: isStranger)
        change(.address(address)) {
            $0.connections += 1
            if isStranger { $0.strangers += 1 }
        }
        return nil
    }

    /// The connection has shown a key, or another one; nil after RESET, which makes it a stranger.
    /// - Returns: nil, or why it has no place with this key; it keeps the one that it had.
    public mutating func setKey(_ key: String?, of id: ID) -> String? {
        guard let connection = connections[id], connection.key != key else { return nil }
        if let key, owners[.key(key)]?.connections ?? 0 >= bounds.connectionsPerOwnerMax {
            return "ERR max number of clients reached: one API key is limited to \(bounds.connectionsPerOwnerMax)"
        }
        if key != nil, connection.isStranger {
            strangers -= 1
            connections[id]!.isStranger = false
            change(.address(connection.address)) { $0.strangers -= 1 }
        }
        if key == nil, !connection.isStranger {
            strangers += 1
            connections[id]!.isStranger = true
            change(.address(connection.address)) { $0.strangers += 1 }
        }
        // What it listens to and has yet to send goes with it.
        if let old = connection.key { count(connection, as: .key(old), -1) }
        connections[id]!.key = key
        if let key { count(connection, as: .key(key), 1) }
        return nil
    }

    private mutating func count(_ connection: Connection, as owner: Owner, _ sign: Int) {
        change(owner) { state in
            state.connections += sign
            state.channels += sign * connection.channels.count
            state.unsentBytes += sign * connection.ownBytes
            state.unsentParts += connection.ownBytes > 0 ? sign : 0
            for pattern in connection.patterns { state.hold(pattern, sign) }
        }
        for message in connection.messages.keys { hold(message, owner, sign) }
    }

    /// The connection is gone, and all that it had.
    public mutating func remove(_ id: ID) {
        guard let connection = connections[id] else { return }
        for channel in connection.channels { unsubscribe(id, .channel(channel)) }
        for pattern in connection.patterns { unsubscribe(id, .pattern(pattern)) }
        for message in connection.messages.keys { sent(message, by: id) }
        setOwnBytes(0, of: id)
        if connection.isStranger { strangers -= 1 }
        for owner in connection.owners {
            change(owner) {
                $0.connections -= 1
                if connection.isStranger, case .address = owner { $0.strangers -= 1 }
            }
        }
        connections[id] = nil
    }

    private mutating func change(_ owner: Owner, _ body: (inout OwnerState) -> Void) {
        var state = owners.removeValue(forKey: owner) ?? OwnerState()
        body(&state)
        if state.connections > 0 || state.unsentParts > 0 { owners[owner] = state }
    }

    /// The part of an address that one person has: the whole of an IPv4 address, the network of an IPv6 address (64 bits of it are
    /// given to every household).
    public static func origin(_ address: String) -> String {
        guard address.contains(":") else { return address }
        // In full, so that `::` hides nothing of the first four groups.
        let text = address.prefix { $0 != "%" }
        if let mapped = text.split(separator: ":").last, mapped.contains(".") { return String(mapped) }
        let halves = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard let gap = halves.firstIndex(of: "") else { return halves.prefix(4).joined(separator: ":") }
        let front = halves[..<gap].filter { !$0.isEmpty }
        let back = halves[gap...].filter { !$0.isEmpty }
        let groups = front + Array(repeating: "0", count: max(0, 8 - front.count - back.count)) + back
        return groups.prefix(4).joined(separator: ":")
    }

    // MARK: - Subscriptions

    /// Whether the connection may listen to these as well.
    /// - Returns: nil, or why not.
    public func refusal(of wanted: [RESPSubscription], for id: ID) -> String? {
        guard let connection = connections[id] else { return "ERR the connection is closed" }
        var newChannels: Set<[UInt8]> = []
        var newPatterns: Set<[UInt8]> = []
        for subscription in wanted {
            switch subscription {
            case .channel(let name): if !connection.channels.contains(name) { newChannels.insert(name) }
            case .pattern(let name): if !connection.patterns.contains(name) { newPatterns.insert(name) }
            }
        }
        guard channelCount + newChannels.count <= bounds.channelsMax else { return "ERR max number of subscriptions reached" }
        guard patterns.count + newPatterns.count(where: { patterns[$0] == nil }) <= bounds.patternsMax else {
            return "ERR max number of patterns reached"
        }
        for owner in connection.owners {
            let state = owners[owner] ?? OwnerState()
            let name = if case .address = owner { "address" } else { "API key" }
            guard state.channels + newChannels.count <= bounds.channelsPerOwnerMax else {
                return "ERR one \(name) is limited to \(bounds.channelsPerOwnerMax) channels"
            }
            guard state.patterns.count + newPatterns.count(where: { state.patterns[$0] == nil }) <= bounds.patternsPerOwnerMax else {
                return "ERR one \(name) is limited to \(bounds.patternsPerOwnerMax) patterns"
            }
        }
        return nil
    }

    public mutating func subscribe(_ id: ID, _ subscription: RESPSubscription) {
        guard let connection = connections[id] else { return }
        switch subscription {
        case .channel(let name):
            guard connections[id]!.channels.insert(name).inserted else { return }
            channels[name, default: []].insert(id)
            channelCount += 1
            for owner in connection.owners { change(owner) { $0.channels += 1 } }
        case .pattern(let name):
            guard connections[id]!.patterns.insert(name).inserted else { return }
            if patterns[name] == nil {
                patterns[name] = Pattern(glob: RESPGlob(name))
                remembered = [:]
            }
            patterns[name]!.holders.insert(id)
            for owner in connection.owners { change(owner) { $0.hold(name, 1) } }
        }
    }

    public mutating func unsubscribe(_ id: ID, _ subscription: RESPSubscription) {
        guard let connection = connections[id] else { return }
        switch subscription {
        case .channel(let name):
            guard connections[id]!.channels.remove(name) != nil else { return }
            channels[name]!.remove(id)
            if channels[name]!.isEmpty { channels[name] = nil }
            channelCount -= 1
            for owner in connection.owners { change(owner) { $0.channels -= 1 } }
        case .pattern(let name):
            guard connections[id]!.patterns.remove(name) != nil else { return }
            patterns[name]!.holders.remove(id)
            if patterns[name]!.holders.isEmpty {
                patterns[name] = nil
                remembered = [:]
            }
            for owner in connection.owners { change(owner) { $0.hold(name, -1) } }
        }
    }

    /// Who hears what is said on a channel, by number of the connection.
    /// - Complexity: O(listeners), and once for each channel O(words of all patterns x bytes of the name).
    public mutating func listeners(of channel: [UInt8]) -> [Listener] {
        let direct = channels[channel] ?? []
        let matching = matchingPatterns(channel)
        guard !matching.isEmpty else { return direct.sorted().map { Listener(id: $0, isExact: true, patterns: []) } }
        var heard: [ID: [[UInt8]]] = [:]
        for pattern in matching { for id in patterns[pattern]!.holders { heard[id, default: []].append(pattern) } }
        return direct.union(heard.keys).sorted().map { Listener(id: $0, isExact: direct.contains($0), patterns: heard[$0] ?? []) }
    }

    private mutating func matchingPatterns(_ channel: [UInt8]) -> [[UInt8]] {
        guard !patterns.isEmpty, channel.count <= Limits.channelBytes else { return [] }
        if let known = remembered[channel] { return known }
        let matching = patterns.filter { $0.value.glob.matches(channel) }.map(\.key).sorted { $0.lexicographicallyPrecedes($1) }
        if remembered.count >= Self.rememberedMax { remembered = [:] }
        remembered[channel] = matching
        return matching
    }

    /// Channels that somebody listens to, in the order of their bytes.
    public var activeChannels: [[UInt8]] { channels.keys.sorted { $0.lexicographicallyPrecedes($1) } }
    public func subscriberCount(_ channel: [UInt8]) -> Int { channels[channel]?.count ?? 0 }

    /// Different patterns: those of a key's connections, or of all for nil.
    public func patternCount(ofKey key: String?) -> Int { key.map { owners[.key($0)]?.patterns.count ?? 0 } ?? patterns.count }

    // MARK: - Bytes

    /// What waits now, and who had to go for it.
    public struct Sending: Sendable {
        /// To be named by `sent`.
        public let message: UInt64
        /// To be closed at once; they have nothing and hear nothing from here on.
        public var cut: [ID] = []
    }

    /// A message is on its way to connections.
    /// - Parameters:
    ///   - bytes: what all of them share.
    ///   - listeners: with the number of times that each sends it.
    public mutating func send(bytes: Int, to listeners: [(id: ID, times: Int)]) -> Sending {
        lastMessage += 1
        var sending = Sending(message: lastMessage)
        for (id, times) in listeners where times > 0 {
            guard let connection = connections[id] else { continue }
            if connection.unsentBytes > bounds.unsentBytesPerConnectionMax {
                cut(id, &sending.cut)
                continue
            }
            connections[id]!.unsentBytes += times * bytes
            connections[id]!.messages[lastMessage] = times
            if messages[lastMessage] == nil {
                messages[lastMessage] = Message(bytes: bytes)
                unsentBytes += bytes
                unsentParts += 1
            }
            messages[lastMessage]!.connections += 1
            for owner in connection.owners { hold(lastMessage, owner, 1) }
        }
        for owner in Set(listeners.flatMap { connections[$0.id]?.owners ?? [] }) { relieve(owner, &sending.cut) }
        relieve(nil, &sending.cut)
        return sending
    }

    /// A connection has sent a message as often as it had to, or will not.
    public mutating func sent(_ message: UInt64, by id: ID) {
        guard let connection = connections[id], let times = connection.messages[message], let bytes = messages[message]?.bytes else { return }
        connections[id]!.unsentBytes -= times * bytes
        connections[id]!.messages[message] = nil
        for owner in connection.owners { hold(message, owner, -1) }
        messages[message]!.connections -= 1
        guard messages[message]!.connections == 0 else { return }
        messages[message] = nil
        unsentBytes -= bytes
        unsentParts -= 1
    }

    /// Bytes of a connection's own answers, and of commands that it has not yet sent to their end.
    /// - Returns: who must go for it.
    public mutating func setOwn(_ bytes: Int, of id: ID) -> [ID] {
        guard let connection = connections[id] else { return [] }
        var gone: [ID] = []
        let isMore = bytes > connection.ownBytes
        if isMore, connection.unsentBytes > bounds.unsentBytesPerConnectionMax {
            cut(id, &gone)
            return gone
        }
        setOwnBytes(bytes, of: id)
        guard isMore else { return [] }
        for owner in connection.owners { relieve(owner, &gone) }
        relieve(nil, &gone)
        return gone
    }

    private mutating func setOwnBytes(_ bytes: Int, of id: ID) {
        guard let connection = connections[id], connection.ownBytes != bytes else { return }
        let more = bytes - connection.ownBytes
        let parts = (bytes > 0 ? 1 : 0) - (connection.ownBytes > 0 ? 1 : 0)
        connections[id]!.ownBytes = bytes
        connections[id]!.unsentBytes += more
        unsentBytes += more
        unsentParts += parts
        for owner in connection.owners {
            change(owner) {
                $0.unsentBytes += more
                $0.unsentParts += parts
            }
        }
    }

    private mutating func hold(_ message: UInt64, _ owner: Owner, _ sign: Int) {
        guard let bytes = messages[message]?.bytes else { return }
        let before = messages[message]!.owners[owner] ?? 0
        let after = before + sign
        messages[message]!.owners[owner] = after == 0 ? nil : after
        guard (before == 0) != (after == 0) else { return }
        change(owner) {
            $0.unsentBytes += sign * bytes
            $0.unsentParts += sign
        }
    }

    /// Cuts the slowest readers of an owner, or of all, until the rest is within its bound or one message only.
    private mutating func relieve(_ owner: Owner?, _ gone: inout [ID]) {
        while true {
            let (bytes, parts) = owner.map { (owners[$0]?.unsentBytes ?? 0, owners[$0]?.unsentParts ?? 0) } ?? (unsentBytes, unsentParts)
            guard bytes > (owner == nil ? bounds.unsentBytesMax : bounds.unsentBytesPerOwnerMax), parts > 1 else { return }
            let readers = connections.lazy.filter { $0.value.unsentBytes > 0 && (owner == nil || $0.value.owners.contains(owner!)) }
            let slowest = readers.max { ($0.value.unsentBytes, $1.key) < ($1.value.unsentBytes, $0.key) }
            guard let slowest else { return }
            cut(slowest.key, &gone)
        }
    }

    private mutating func cut(_ id: ID, _ gone: inout [ID]) {
        remove(id)
        gone.append(id)
    }

    // MARK: - Check

    /// Every count anew from what there is. Each finding is a sentence; for tests.
    public func checkInvariants() -> [String] {
        var findings: [String] = []
        func expect<T: Equatable>(_ what: String, _ counted: T, _ there: T) {
            if counted != there { findings.append("\(what): counted \(counted), there are \(there)") }
        }
        expect("strangers", strangers, connections.values.count(where: \.isStranger))
        expect("channels", channelCount, connections.values.reduce(0) { $0 + $1.channels.count })
        expect("channels by name", channelCount, channels.values.reduce(0) { $0 + $1.count })
        expect("patterns", Set(patterns.keys), connections.values.reduce(into: Set<[UInt8]>()) { $0.formUnion($1.patterns) })
        var waiting: Set<UInt64> = []
        for connection in connections.values { waiting.formUnion(connection.messages.keys) }
        expect("messages", Set(messages.keys), waiting)
        expect(
            "bytes", unsentBytes, messages.values.reduce(0) { $0 + $1.bytes } + connections.values.reduce(0) { $0 + $1.ownBytes })
        for (owner, state) in owners {
            let own = connections.values.filter { $0.owners.contains(owner) }
            expect("connections of \(owner)", state.connections, own.count)
            expect("channels of \(owner)", state.channels, own.reduce(0) { $0 + $1.channels.count })
            let held = own.reduce(into: Set<UInt64>()) { $0.formUnion($1.messages.keys) }
            expect("bytes of \(owner)", state.unsentBytes, held.reduce(0) { $0 + messages[$1]!.bytes } + own.reduce(0) { $0 + $1.ownBytes })
            expect("patterns of \(owner)", Set(state.patterns.keys), own.reduce(into: Set<[UInt8]>()) { $0.formUnion($1.patterns) })
        }
        let owned = connections.values.reduce(into: Set<Owner>()) { $0.formUnion($1.owners) }
        expect("owners", Set(owners.keys), owned)
        return findings
    }
}
