// Who reads from a listener, as a value without sockets: places, and the bytes that wait to be taken.
//
//     admit ──▶ stranger ──▶ with a key ──▶ gone              each counted by address and by key
//     send ──▶ a message and who has yet to take it ──▶ sent   its bytes count once, since all share them
//
// Everything is bounded, and the bounds are shares: no address and no key takes what others need. Over a bound of unsent bytes a
// reader is cut, the one of that address or key (or of all) with the most unsent bytes: that is the slowest. A single message of any
// size is always tried.
//
// It knows no clock, no lock and no socket: its caller holds the lock, takes out who must go, and closes them outside of it.

public struct ReaderLedger: Sendable {
    public typealias ID = Int64
    public typealias Party = ByteBudget.Party

    public struct Bounds: Sendable {
        /// Readers at once. 1,000 stay below 1,024 open files, the usual limit of a process.
        public var readersMax = 1_000
        /// Of one address, and with one key.
        public var readersPerPartyMax = 256
        /// That have not authenticated, where they must: a small share, and of one address a smaller one.
        public var strangersMax = 100
        public var strangersPerAddressMax = 20
        /// Bytes that wait to be sent: for one reader, for those of one address or key, in all. 32 MiB, as Redis has it for
        /// subscribers: one batch of `Limits.bodyBytes` (10 MiB) tells its agents up to that much at once, in JSON that escapes text
        /// somewhat more, and nobody is a slow reader for having received it.
        public var unsentBytesPerReaderMax = 32 << 20
        public var unsentBytesPerPartyMax = 64 << 20
        public var unsentBytesMax = 128 << 20

        public init() {}
    }

    /// Why there is no place.
    public enum Refusal: Equatable, Sendable {
        case full
        /// One address, or one key, has this many at most.
        case addressFull(Int)
        case keyFull(Int)
        /// Too many that have not authenticated.
        case strangers
    }

    private struct Reader {
        let address: String
        var key: String?
        var isStranger: Bool
        /// Messages that it has yet to take, with the number of times.
        var messages: [UInt64: Int] = [:]
        /// Of them and of what is its own, each as often as it is sent.
        var unsentBytes = 0
        var ownBytes = 0

        var parties: [Party] { [.address(address)] + (key.map { [.key($0)] } ?? []) }
    }

    private struct PartyState {
        var readers = 0
        var strangers = 0
        var unsentBytes = 0
        /// Messages and own bytes that make them up.
        var unsentParts = 0
    }

    private struct Message {
        let bytes: Int
        var readers = 0
        var parties: [Party: Int] = [:]
    }

    private let bounds: Bounds
    private var readers: [ID: Reader] = [:]
    private var parties: [Party: PartyState] = [:]
    private var strangers = 0
    private var messages: [UInt64: Message] = [:]
    private var lastMessage: UInt64 = 0
    private var unsentParts = 0
    /// Bytes that wait, each message once.
    public private(set) var unsentBytes = 0

    public init(_ bounds: Bounds = Bounds()) { self.bounds = bounds }

    public var count: Int { readers.count }
    public func has(_ id: ID) -> Bool { readers[id] != nil }
    /// Whose a reader is; none of one that is not there.
    public func parties(of id: ID) -> [Party] { readers[id]?.parties ?? [] }

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

    // MARK: - Places

    /// - Parameters:
    ///   - address: what readers of one origin have in common (`origin`).
    ///   - isStranger: it has to authenticate first.
    /// - Returns: nil, or why there is no place.
    public mutating func admit(_ id: ID, from address: String, isStranger: Bool) -> Refusal? {
        precondition(readers[id] == nil, "reader \(id) came twice")
        let party = parties[.address(address)] ?? PartyState()
        guard readers.count < bounds.readersMax else { return .full }
        guard party.readers < bounds.readersPerPartyMax else { return .addressFull(bounds.readersPerPartyMax) }
        if isStranger {
            guard strangers < bounds.strangersMax, party.strangers < bounds.strangersPerAddressMax else { return .strangers }
            strangers += 1
        }
        readers[id] = Reader(address: address, isStranger: isStranger)
        change(.address(address)) {
            $0.readers += 1
            if isStranger { $0.strangers += 1 }
        }
        return nil
    }

    /// The reader has shown a key, or another one; nil makes it a stranger.
    /// - Returns: nil, or why it has no place with this key; it keeps the one that it had.
    public mutating func setKey(_ key: String?, of id: ID) -> Refusal? {
        guard let reader = readers[id], reader.key != key else { return nil }
        if let key, parties[.key(key)]?.readers ?? 0 >= bounds.readersPerPartyMax { return .keyFull(bounds.readersPerPartyMax) }
        if reader.isStranger != (key == nil) {
            let sign = key == nil ? 1 : -1
            strangers += sign
            readers[id]!.isStranger = key == nil
            change(.address(reader.address)) { $0.strangers += sign }
        }
        // What it has yet to take goes with it.
        if let old = reader.key { count(reader, as: .key(old), -1) }
        readers[id]!.key = key
        if let key { count(reader, as: .key(key), 1) }
        return nil
    }

    private mutating func count(_ reader: Reader, as party: Party, _ sign: Int) {
        change(party) { state in
            state.readers += sign
            state.unsentBytes += sign * reader.ownBytes
            state.unsentParts += reader.ownBytes > 0 ? sign : 0
        }
        for message in reader.messages.keys { hold(message, party, sign) }
    }

    /// The reader is gone, and all that it had.
    public mutating func remove(_ id: ID) {
        guard let reader = readers[id] else { return }
        for message in reader.messages.keys { sent(message, by: id) }
        setOwnBytes(0, of: id)
        if reader.isStranger { strangers -= 1 }
        for party in reader.parties {
            change(party) {
                $0.readers -= 1
                if reader.isStranger, case .address = party { $0.strangers -= 1 }
            }
        }
        readers[id] = nil
    }

    private mutating func change(_ party: Party, _ body: (inout PartyState) -> Void) {
        var state = parties.removeValue(forKey: party) ?? PartyState()
        body(&state)
        if state.readers > 0 || state.unsentParts > 0 { parties[party] = state }
    }

    // MARK: - Bytes

    /// What waits now, and who had to go for it.
    public struct Sending: Sendable {
        /// To be named by `sent`.
        public let message: UInt64
        /// To be closed at once; they have nothing and hear nothing from here on.
        public var cut: [ID] = []
    }

    /// A message is on its way to readers.
    /// - Parameters:
    ///   - bytes: what all of them share.
    ///   - listeners: with the number of times that each is sent it.
    public mutating func send(bytes: Int, to listeners: [(id: ID, times: Int)]) -> Sending {
        lastMessage += 1
        var sending = Sending(message: lastMessage)
        for (id, times) in listeners where times > 0 {
            guard let reader = readers[id] else { continue }
            if reader.unsentBytes > bounds.unsentBytesPerReaderMax {
                cut(id, &sending.cut)
                continue
            }
            readers[id]!.unsentBytes += times * bytes
            readers[id]!.messages[lastMessage] = times
            if messages[lastMessage] == nil {
                messages[lastMessage] = Message(bytes: bytes)
                unsentBytes += bytes
                unsentParts += 1
            }
            messages[lastMessage]!.readers += 1
            for party in reader.parties { hold(lastMessage, party, 1) }
        }
        for party in Set(listeners.flatMap { readers[$0.id]?.parties ?? [] }) { relieve(party, &sending.cut) }
        relieve(nil, &sending.cut)
        return sending
    }

    /// A reader has taken a message as often as it had to, or will not.
    public mutating func sent(_ message: UInt64, by id: ID) {
        guard let reader = readers[id], let times = reader.messages[message], let bytes = messages[message]?.bytes else { return }
        readers[id]!.unsentBytes -= times * bytes
        readers[id]!.messages[message] = nil
        for party in reader.parties { hold(message, party, -1) }
        messages[message]!.readers -= 1
        guard messages[message]!.readers == 0 else { return }
        messages[message] = nil
        unsentBytes -= bytes
        unsentParts -= 1
    }

    /// Bytes that wait for one reader only.
    /// - Returns: who must go for it.
    public mutating func setOwn(_ bytes: Int, of id: ID) -> [ID] {
        guard let reader = readers[id] else { return [] }
        var gone: [ID] = []
        let isMore = bytes > reader.ownBytes
        if isMore, reader.unsentBytes > bounds.unsentBytesPerReaderMax {
            cut(id, &gone)
            return gone
        }
        setOwnBytes(bytes, of: id)
        guard isMore else { return [] }
        for party in reader.parties { relieve(party, &gone) }
        relieve(nil, &gone)
        return gone
    }

    private mutating func setOwnBytes(_ bytes: Int, of id: ID) {
        guard let reader = readers[id], reader.ownBytes != bytes else { return }
        let more = bytes - reader.ownBytes
        let parts = (bytes > 0 ? 1 : 0) - (reader.ownBytes > 0 ? 1 : 0)
        readers[id]!.ownBytes = bytes
        readers[id]!.unsentBytes += more
        unsentBytes += more
        unsentParts += parts
        for party in reader.parties {
            change(party) {
                $0.unsentBytes += more
                $0.unsentParts += parts
            }
        }
    }

    private mutating func hold(_ message: UInt64, _ party: Party, _ sign: Int) {
        guard let bytes = messages[message]?.bytes else { return }
        let before = messages[message]!.parties[party] ?? 0
        let after = before + sign
        messages[message]!.parties[party] = after == 0 ? nil : after
        guard (before == 0) != (after == 0) else { return }
        change(party) {
            $0.unsentBytes += sign * bytes
            $0.unsentParts += sign
        }
    }

    /// Cuts the slowest readers of a party, or of all, until the rest is within its bound or one message only.
    private mutating func relieve(_ party: Party?, _ gone: inout [ID]) {
        while true {
            let (bytes, parts) = party.map { (parties[$0]?.unsentBytes ?? 0, parties[$0]?.unsentParts ?? 0) } ?? (unsentBytes, unsentParts)
            guard bytes > (party == nil ? bounds.unsentBytesMax : bounds.unsentBytesPerPartyMax), parts > 1 else { return }
            let waiting = readers.lazy.filter { $0.value.unsentBytes > 0 && (party == nil || $0.value.parties.contains(party!)) }
            let slowest = waiting.max { ($0.value.unsentBytes, $1.key) < ($1.value.unsentBytes, $0.key) }
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
        expect("strangers", strangers, readers.values.count(where: \.isStranger))
        var waiting: Set<UInt64> = []
        for reader in readers.values { waiting.formUnion(reader.messages.keys) }
        expect("messages", Set(messages.keys), waiting)
        expect("bytes", unsentBytes, messages.values.reduce(0) { $0 + $1.bytes } + readers.values.reduce(0) { $0 + $1.ownBytes })
        for (party, state) in parties {
            let own = readers.values.filter { $0.parties.contains(party) }
            expect("readers of \(party)", state.readers, own.count)
            let held = own.reduce(into: Set<UInt64>()) { $0.formUnion($1.messages.keys) }
            expect("bytes of \(party)", state.unsentBytes, held.reduce(0) { $0 + messages[$1]!.bytes } + own.reduce(0) { $0 + $1.ownBytes })
        }
        let owned = readers.values.reduce(into: Set<Party>()) { $0.formUnion($1.parties) }
        expect("parties", Set(parties.keys), owned)
        return findings
    }
}
