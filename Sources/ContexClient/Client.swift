internal import Base
public import NIOCore
internal import NIOPosix
internal import Synchronization
public import Wire

/// A client of the binary protocol: many requests at once over few connections, answered in whatever order they are ready.
///
/// A connection is made when it is needed, and anew when it is lost. A request that is the same twice and once is repeated when the server is
/// busy or the connection breaks; any other only when it was certainly not sent. Refusals are thrown as `ContexError`, by the catalogue.
public final class Client: Sendable {
    public let configuration: ClientConfiguration
    private let group: any EventLoopGroup

    private struct Slot {
        var link: Link?
        var connecting: Task<Link, any Error>?
    }
    private struct State {
        var slots: [Slot]
        var next = 0
        var isClosed = false
    }
    private let state: Mutex<State>

    /// - Parameter eventLoopGroup: nil for the one that all share. It stays the caller's.
    public init(_ configuration: ClientConfiguration = ClientConfiguration(), eventLoopGroup: (any EventLoopGroup)? = nil) {
        self.configuration = configuration
        group = eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
        state = Mutex(State(slots: (0..<max(1, configuration.connections)).map { _ in Slot() }))
    }

    /// Closes the connections; requests that run fail.
    public func close() async {
        let slots = state.withLock { state in
            state.isClosed = true
            defer { state.slots = state.slots.map { _ in Slot() } }
            return state.slots
        }
        for slot in slots {
            slot.connecting?.cancel()
            if let link = slot.link { await link.close() }
        }
    }

    // MARK: - Connections

    /// One of the connections, in turn.
    func link() async throws -> Link {
        let (place, link, connecting) = try state.withLock { state throws(ContexError) -> (Int, Link?, Task<Link, any Error>?) in
            guard !state.isClosed else { throw ContexError(.unavailable, "The client was closed") }
            let place = state.next
            state.next = (place + 1) % state.slots.count
            if let link = state.slots[place].link, link.isOpen { return (place, link, nil) }
            if let connecting = state.slots[place].connecting { return (place, nil, connecting) }
            let task = Task { [configuration, group] in try await Link.connect(configuration, group) }
            state.slots[place] = Slot(link: nil, connecting: task)
            return (place, nil, task)
        }
        if let link { return link }
        guard let connecting else { throw ContexError(.bug, "no connection and no way to one") }
        let result = await connecting.result
        let isKept = state.withLock { state in
            guard !state.isClosed else { return false }
            if state.slots[place].connecting == connecting { state.slots[place] = Slot(link: try? result.get(), connecting: nil) }
            return true
        }
        let made = try result.get()
        guard isKept else {
            await made.close()
            throw ContexError(.unavailable, "The client was closed")
        }
        return made
    }

    /// Whether it may go better another time.
    static func isPassing(_ error: any Error) -> Bool {
        guard let error = error as? ContexError, error.category == .unavailable else { return false }
        return error.code != .deadlineExceeded && error.code != .cancelled
    }

    /// How long to wait before the next attempt.
    func pause(before attempt: Int) -> Duration {
        let whole = min(configuration.pauseMax, configuration.pause * (1 << min(16, max(0, attempt - 1))))
        return whole * Double.random(in: 0.5...1)
    }

    // MARK: - Requests

    /// Any operation, with its message and the message of its answer.
    /// - Throws: `ContexError`
    public func call<Request: WireMessage, Answer: WireMessage>(
        _ operation: WireOperation, _ message: Request, as answer: Answer.Type = Answer.self, deadline: Duration? = nil
    ) async throws -> Answer {
        let body = message.encoded
        let end = (deadline ?? configuration.deadline).map { ContinuousClock.now + $0 }
        var attempt = 1
        while true {
            var wasSent = false
            do {
                let link = try await link()
                wasSent = true
                let bytes = try await link.call(operation, body, within: end.map { $0 - ContinuousClock.now })
                do throws(WireFault) { return try Answer(decoding: bytes) } catch { throw error.contexError }
            } catch {
                guard attempt < configuration.attempts, Self.isPassing(error), operation.isIdempotent || !wasSent else { throw error }
            }
            let pause = pause(before: attempt)
            if let end, ContinuousClock.now + pause >= end { throw ContexError(.deadlineExceeded, "The deadline has passed, after \(attempt) attempts") }
            try await Task.sleep(for: pause)
            attempt += 1
        }
    }

    /// How long a frame is on its way to the server and back.
    public func ping() async throws -> Duration { try await link().ping() }

    public func publish(_ message: WirePublish, deadline: Duration? = nil) async throws -> WireReceipt {
        try await call(.publish, message, deadline: deadline)
    }

    /// One outcome each, in order.
    public func publish(_ messages: [WirePublish], deadline: Duration? = nil) async throws -> [WireReceipts.Outcome] {
        try await call(.publishBatch, WirePublishBatch(messages), as: WireReceipts.self, deadline: deadline).outcomes
    }

    public func delete(_ key: String, project: String, deadline: Duration? = nil) async throws -> WireReceipt {
        try await call(.delete, WireDataKey(project: project, key: key), deadline: deadline)
    }

    public func data(_ key: String, project: String, deadline: Duration? = nil) async throws -> WireHeldData {
        try await call(.showData, WireDataKey(project: project, key: key), deadline: deadline)
    }

    public func query(_ message: WireQuery, deadline: Duration? = nil) async throws -> WireQueryAnswer {
        try await call(.query, message, deadline: deadline)
    }

    /// One outcome each, in order, all of one moment.
    public func query(_ messages: [WireQuery], deadline: Duration? = nil) async throws -> [WireQueryAnswers.Outcome] {
        try await call(.queryBatch, WireQueryBatch(messages), as: WireQueryAnswers.self, deadline: deadline).outcomes
    }

    public func embed(_ texts: [String], deadline: Duration? = nil) async throws -> WireEmbeddings {
        var message = WireEmbed()
        message.inputs = texts.map { WireEmbed.Input($0) }
        return try await call(.embed, message, deadline: deadline)
    }

    public func register(_ message: WireRegister, deadline: Duration? = nil) async throws -> WireRegistration {
        try await call(.registerAgent, message, deadline: deadline)
    }

    /// - Returns: how many registrations there were.
    @discardableResult
    public func remove(agent: String, project: String?, deadline: Duration? = nil) async throws -> Int {
        Int(clamping: try await call(.removeAgent, WireAgent(agent, project: project), as: WireRemoved.self, deadline: deadline).count)
    }

    public func inbox(_ message: WireReadInbox, deadline: Duration? = nil) async throws -> WireInbox {
        try await call(.readInbox, message, deadline: deadline)
    }

    /// Lets the updates of an agent up to a cursor go.
    @discardableResult
    public func acknowledge(agent: String, project: String?, upTo cursor: String, deadline: Duration? = nil) async throws -> Int {
        var message = WireAcknowledge()
        (message.agent, message.project, message.cursor) = (agent, project, cursor)
        return Int(clamping: try await call(.acknowledge, message, as: WireRemoved.self, deadline: deadline).count)
    }

    public func events(_ message: WireReadEvents, deadline: Duration? = nil) async throws -> WireEvents {
        try await call(.readEvents, message, deadline: deadline)
    }

    // MARK: - Subscriptions

    /// What concerns an agent, in order and without an end: from a cursor, else from the oldest update that it has not acknowledged.
    public func updates(of agent: String, project: String?, after cursor: String? = nil, suppressOwn: Bool = false) -> Updates {
        Updates(client: self, after: cursor, operation: .followInbox) { cursor, credit in
            var message = WireFollowInbox()
            (message.agent, message.project, message.cursor, message.credit, message.suppressOwn) = (agent, project, cursor, credit, suppressOwn)
            return message.encoded
        }
    }

    /// The events of a project, in order and without an end: from a cursor, else from the first one or from now on.
    public func events(of project: String, after cursor: String? = nil, fromStart: Bool = false) -> Updates {
        Updates(client: self, after: cursor, operation: .followEvents) { cursor, credit in
            var message = WireFollowEvents()
            (message.project, message.cursor, message.credit, message.fromStart) = (project, cursor, credit, cursor == nil && fromStart)
            return message.encoded
        }
    }
}
