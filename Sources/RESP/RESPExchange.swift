// What the connections of a listener share, as a value without sockets: places and unsent bytes (`ReaderLedger`), and subscriptions.
//
//     subscribe ──▶ channels: name ──▶ connections             a pattern is matched once a message, however many hold it
//                   patterns: name ──▶ automaton, connections
//
// Everything is bounded, and the bounds are shares: no address and no key takes what others need.
//
// The work of one message is bounded too: `patternsMax` automata of five machine words over `Limits.channelBytes` bytes of name, about
// two million word steps; and they are remembered by the channel's name until a pattern comes or goes.

public import Base

public struct RESPExchange: Sendable {
    public typealias ID = ReaderLedger.ID
    private typealias Party = ReaderLedger.Party

    public struct Bounds: Sendable {
        public var readers = ReaderLedger.Bounds()
        /// Different patterns: in all, and of one address or key.
        public var patternsMax = 1_000
        public var patternsPerPartyMax = 250
        /// Channels listened to, each as often as somebody does.
        public var channelsMax = 100_000
        public var channelsPerPartyMax = 25_000

        public init() {}
    }

    /// What a connection listens to.
    private struct Subscriptions {
        /// Whose it is, as the ledger has it.
        var parties: [Party]
        var channels: Set<[UInt8]> = []
        var patterns: Set<[UInt8]> = []
    }

    /// What those of an address or a key listen to.
    private struct PartyState {
        var channels = 0
        /// Different ones, with the number of connections that hold each.
        var patterns: [[UInt8]: Int] = [:]

        mutating func hold(_ pattern: [UInt8], _ sign: Int) {
            let count = (patterns[pattern] ?? 0) + sign
            patterns[pattern] = count == 0 ? nil : count
        }
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
    private var readers: ReaderLedger
    private var connections: [ID: Subscriptions] = [:]
    private var parties: [Party: PartyState] = [:]
    private var channels: [[UInt8]: Set<ID>] = [:]
    private var channelCount = 0
    private var patterns: [[UInt8]: Pattern] = [:]
    /// Patterns that a channel matches.
    private var remembered: [[UInt8]: [[UInt8]]] = [:]

    private static let rememberedMax = 1_024

    public init(_ bounds: Bounds = Bounds()) {
        self.bounds = bounds
        readers = ReaderLedger(bounds.readers)
    }

    public var connectionCount: Int { readers.count }
    public var subscriptionCount: Int { channelCount + connections.values.reduce(0) { $0 + $1.patterns.count } }
    /// Machine words that the patterns are worth for each byte of a name.
    public var patternWords: Int { patterns.values.reduce(0) { $0 + $1.glob.wordsPerByte } }
    /// Bytes that wait, each message once.
    public var unsentBytes: Int { readers.unsentBytes }

    // MARK: - Places

    /// - Parameters:
    ///   - address: what connections of one origin have in common (`ReaderLedger.origin`).
    ///   - isStranger: it has to authenticate first.
    /// - Returns: nil, or why there is no place.
    public mutating func admit(_ id: ID, from address: String, isStranger: Bool) -> String? {
        if let refusal = readers.admit(id, from: address, isStranger: isStranger) { return Self.words(refusal) }
        connections[id] = Subscriptions(parties: readers.parties(of: id))
        return nil
    }

    /// The connection has shown a key, or another one; nil after RESET, which makes it a stranger.
    /// - Returns: nil, or why it has no place with this key; it keeps the one that it had.
    public mutating func setKey(_ key: String?, of id: ID) -> String? {
        if let refusal = readers.setKey(key, of: id) { return Self.words(refusal) }
        guard let before = connections[id]?.parties else { return nil }
        let after = readers.parties(of: id)
        connections[id]!.parties = after
        // What it listens to goes with it.
        for party in before where !after.contains(party) { count(id, as: party, -1) }
        for party in after where !before.contains(party) { count(id, as: party, 1) }
        return nil
    }

    private static func words(_ refusal: ReaderLedger.Refusal) -> String {
        switch refusal {
        case .full: "ERR max number of clients reached"
        case .addressFull(let most): "ERR max number of clients reached: one address is limited to \(most)"
        case .keyFull(let most): "ERR max number of clients reached: one API key is limited to \(most)"
        case .strangers: "ERR max number of clients reached: too many that have not authenticated"
        }
    }

    private mutating func count(_ id: ID, as party: Party, _ sign: Int) {
        guard let connection = connections[id] else { return }
        change(party) { state in
            state.channels += sign * connection.channels.count
            for pattern in connection.patterns { state.hold(pattern, sign) }
        }
    }

    /// The connection is gone, and all that it had.
    public mutating func remove(_ id: ID) {
        forget([id])
        readers.remove(id)
    }

    /// They hear nothing from here on.
    private mutating func forget(_ ids: [ID]) {
        for id in ids {
            guard let connection = connections[id] else { continue }
            for channel in connection.channels { unsubscribe(id, .channel(channel)) }
            for pattern in connection.patterns { unsubscribe(id, .pattern(pattern)) }
            connections[id] = nil
        }
    }

    private mutating func change(_ party: Party, _ body: (inout PartyState) -> Void) {
        var state = parties.removeValue(forKey: party) ?? PartyState()
        body(&state)
        if state.channels > 0 || !state.patterns.isEmpty { parties[party] = state }
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
        for party in connection.parties {
            let state = parties[party] ?? PartyState()
            let name = if case .address = party { "address" } else { "API key" }
            guard state.channels + newChannels.count <= bounds.channelsPerPartyMax else {
                return "ERR one \(name) is limited to \(bounds.channelsPerPartyMax) channels"
            }
            guard state.patterns.count + newPatterns.count(where: { state.patterns[$0] == nil }) <= bounds.patternsPerPartyMax else {
                return "ERR one \(name) is limited to \(bounds.patternsPerPartyMax) patterns"
            }
        }
        return nil
    }

    public mutating func subscribe(_ id: ID, _ subscription: RESPSubscription) {
        guard let parties = connections[id]?.parties else { return }
        switch subscription {
        case .channel(let name):
            guard connections[id]!.channels.insert(name).inserted else { return }
            channels[name, default: []].insert(id)
            channelCount += 1
            for party in parties { change(party) { $0.channels += 1 } }
        case .pattern(let name):
            guard connections[id]!.patterns.insert(name).inserted else { return }
            if patterns[name] == nil {
                patterns[name] = Pattern(glob: RESPGlob(name))
                remembered = [:]
            }
            patterns[name]!.holders.insert(id)
            for party in parties { change(party) { $0.hold(name, 1) } }
        }
    }

    public mutating func unsubscribe(_ id: ID, _ subscription: RESPSubscription) {
        guard let parties = connections[id]?.parties else { return }
        switch subscription {
        case .channel(let name):
            guard connections[id]!.channels.remove(name) != nil else { return }
            channels[name]!.remove(id)
            if channels[name]!.isEmpty { channels[name] = nil }
            channelCount -= 1
            for party in parties { change(party) { $0.channels -= 1 } }
        case .pattern(let name):
            guard connections[id]!.patterns.remove(name) != nil else { return }
            patterns[name]!.holders.remove(id)
            if patterns[name]!.holders.isEmpty {
                patterns[name] = nil
                remembered = [:]
            }
            for party in parties { change(party) { $0.hold(name, -1) } }
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
    public func patternCount(ofKey key: String?) -> Int { key.map { parties[.key($0)]?.patterns.count ?? 0 } ?? patterns.count }

    // MARK: - Bytes

    /// A message is on its way to connections, those that are cut for it excepted.
    public mutating func send(bytes: Int, to listeners: [(id: ID, times: Int)]) -> ReaderLedger.Sending {
        let sending = readers.send(bytes: bytes, to: listeners)
        forget(sending.cut)
        return sending
    }

    /// A connection has sent a message as often as it had to, or will not.
    public mutating func sent(_ message: UInt64, by id: ID) { readers.sent(message, by: id) }

    /// Bytes of a connection's own answers, and of commands that it has not yet sent to their end.
    /// - Returns: who must go for it.
    public mutating func setOwn(_ bytes: Int, of id: ID) -> [ID] {
        let gone = readers.setOwn(bytes, of: id)
        forget(gone)
        return gone
    }

    // MARK: - Check

    /// Every count anew from what there is. Each finding is a sentence; for tests.
    public func checkInvariants() -> [String] {
        var findings = readers.checkInvariants()
        func expect<T: Equatable>(_ what: String, _ counted: T, _ there: T) {
            if counted != there { findings.append("\(what): counted \(counted), there are \(there)") }
        }
        expect("connections", connections.count, connections.keys.count(where: readers.has))
        expect("places", readers.count, connections.count)
        expect("channels", channelCount, connections.values.reduce(0) { $0 + $1.channels.count })
        expect("channels by name", channelCount, channels.values.reduce(0) { $0 + $1.count })
        expect("patterns", Set(patterns.keys), connections.values.reduce(into: Set<[UInt8]>()) { $0.formUnion($1.patterns) })
        for (id, connection) in connections { expect("parties of \(id)", connection.parties, readers.parties(of: id)) }
        for (party, state) in parties {
            let own = connections.values.filter { $0.parties.contains(party) }
            expect("channels of \(party)", state.channels, own.reduce(0) { $0 + $1.channels.count })
            expect("patterns of \(party)", Set(state.patterns.keys), own.reduce(into: Set<[UInt8]>()) { $0.formUnion($1.patterns) })
        }
        let listening = connections.values.filter { !$0.channels.isEmpty || !$0.patterns.isEmpty }
        expect("parties that listen", Set(parties.keys), listening.reduce(into: Set<Party>()) { $0.formUnion($1.parties) })
        return findings
    }
}
