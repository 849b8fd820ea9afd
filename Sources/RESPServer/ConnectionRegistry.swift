internal import Answers
internal import Base
internal import Engine
internal import NIOCore
internal import RESP
internal import Synchronization

/// The connections that are open, what they share (`RESPExchange`), and what all of them did.
final class ConnectionRegistry: ChannelListener {
    enum Admission { case admitted, full(String), stopping }

    private struct Place {
        let channel: any Channel
        let inbox: MessageInbox
    }

    private struct Rendered {
        weak var payload: ChannelPayload?
        let body: ByteBuffer
    }

    private struct State {
        var exchange: RESPExchange
        var places: [Int64: Place] = [:]
        var isStopping = false
        /// Of the last message, since many channels may be told the same.
        var rendered: Rendered?
    }

    private let state: Mutex<State>
    private let lastID = Atomic<Int64>(0)
    let messagesDelivered = Atomic<Int>(0)
    let slowReadersCut = Atomic<Int>(0)

    init(_ bounds: RESPExchange.Bounds) { state = Mutex(State(exchange: RESPExchange(bounds))) }

    func nextID() -> Int64 { lastID.add(1, ordering: .relaxed).newValue }

    var count: Int { state.withLock { $0.exchange.connectionCount } }
    var subscriptions: Int { state.withLock { $0.exchange.subscriptionCount } }
    var unsentBytes: Int { state.withLock { $0.exchange.unsentBytes } }

    // MARK: - Places

    func admit(_ id: Int64, _ channel: any Channel, _ inbox: MessageInbox, from address: String, isStranger: Bool) -> Admission {
        state.withLock { state in
            guard !state.isStopping else { return .stopping }
            if let refusal = state.exchange.admit(id, from: ReaderLedger.origin(address), isStranger: isStranger) { return .full(refusal) }
            state.places[id] = Place(channel: channel, inbox: inbox)
            return .admitted
        }
    }

    func setKey(_ key: String?, of id: Int64) -> String? { state.withLock { $0.exchange.setKey(key, of: id) } }

    /// It hears nothing more, and has nothing to send.
    func silence(_ id: Int64) { state.withLock { $0.exchange.remove(id) } }

    func remove(_ id: Int64) {
        state.withLock { state in
            state.exchange.remove(id)
            state.places[id] = nil
        }
    }

    /// Admits nobody from here on; returns who is there.
    func stop() -> [any Channel] {
        state.withLock { state in
            state.isStopping = true
            return state.places.values.map(\.channel)
        }
    }

    /// Every connection looks whether its key still holds.
    func checkKeys() {
        for place in state.withLock({ Array($0.places.values) }) { place.inbox.say(.keysChanged, to: place.channel) }
    }

    // MARK: - Subscriptions

    func refusal(of wanted: [RESPSubscription], for id: Int64) -> String? { state.withLock { $0.exchange.refusal(of: wanted, for: id) } }
    func subscribe(_ id: Int64, _ subscription: RESPSubscription) { state.withLock { $0.exchange.subscribe(id, subscription) } }
    func unsubscribe(_ id: Int64, _ subscription: RESPSubscription) { state.withLock { $0.exchange.unsubscribe(id, subscription) } }
    var activeChannels: [[UInt8]] { state.withLock { $0.exchange.activeChannels } }
    func subscriberCounts(_ channels: [[UInt8]]) -> [Int] { state.withLock { state in channels.map { state.exchange.subscriberCount($0) } } }
    func patternCount(ofKey key: String?) -> Int { state.withLock { $0.exchange.patternCount(ofKey: key) } }

    // MARK: - Messages

    func receive(_ message: ChannelMessage) {
        let channel = Array(message.channel.utf8)
        let listeners = state.withLock { $0.exchange.listeners(of: channel) }
        guard !listeners.isEmpty else { return }
        let body = body(of: message.payload)
        let cut = state.withLock { state in
            let sending = state.exchange.send(
                bytes: body.readableBytes, to: listeners.map { ($0.id, ($0.isExact ? 1 : 0) + $0.patterns.count) })
            for listener in listeners where !sending.cut.contains(listener.id) {
                guard let place = state.places[listener.id] else { continue }
                let delivery = MessageInbox.Delivery(
                    message: sending.message, tenant: message.tenant, project: message.project, channel: channel, body: body,
                    isExact: listener.isExact, patterns: listener.patterns)
                place.inbox.put(delivery, place.channel)
            }
            return places(sending.cut, state)
        }
        cutOff(cut)
    }

    func hasListeners(on channel: String) -> Bool {
        let channel = Array(channel.utf8)
        return !state.withLock { $0.exchange.listeners(of: channel) }.isEmpty
    }

    /// The payload and its end, which every frame shares.
    private func body(of payload: ChannelPayload) -> ByteBuffer {
        if let body = state.withLock({ $0.rendered.flatMap { $0.payload === payload ? $0.body : nil } }) { return body }
        var body = ByteBuffer()
        let text = payload.text
        body.reserveCapacity(text.utf8.count + 2)
        body.writeString(text)
        body.writeString("\r\n")
        state.withLock { $0.rendered = Rendered(payload: payload, body: body) }
        return body
    }

    func sent(_ messages: [UInt64], by id: Int64) {
        guard !messages.isEmpty else { return }
        state.withLock { state in for message in messages { state.exchange.sent(message, by: id) } }
    }

    func setOwn(_ bytes: Int, of id: Int64) {
        cutOff(state.withLock { state in places(state.exchange.setOwn(bytes, of: id), state) })
    }

    private func places(_ ids: [Int64], _ state: State) -> [Place] { ids.compactMap { state.places[$0] } }

    private func cutOff(_ places: [Place]) {
        for place in places {
            slowReadersCut.add(1, ordering: .relaxed)
            place.inbox.say(.cut, to: place.channel)
        }
    }
}
