// Subscriptions: a request whose answer is a stream. What was published is told as "this resource is another now"; who wants to know what it
// is reads it. The stream reads the projects' logs from where they stood when it began, so that nothing is missed while it is open.

internal import Base
internal import Engine
internal import Events
internal import MCPMessages
internal import Service
internal import Synchronization

extension MCPCall {
    /// The messages of a subscription: that it is open and for what, what changes, and its end.
    /// - Throws: before there is a stream: for a filter that is none, too much of it, and what may not be followed.
    func listen() async throws -> @Sendable () async throws -> [UInt8]? {
        guard let notifications = params["notifications"]?.objectValue else { throw RPCFault(.invalidParams, "subscriptions/listen has notifications") }
        let given = notifications["resourceSubscriptions"]
        let texts = given?.arrayValue?.compactMap(\.stringValue) ?? []
        guard given == nil || given?.isNull == true || texts.count == given?.arrayValue?.count else {
            throw RPCFault(.invalidParams, "resourceSubscriptions is a list of uris")
        }
        guard texts.count <= MCPLimits.subscribedResources else {
            throw RPCFault(.invalidParams, "At most \(MCPLimits.subscribedResources) resources are subscribed to at once")
        }
        var watched: [Name: Watched] = [:]
        for text in texts {
            let address = try ResourceAddress(text)
            if watched[address.project] == nil {
                guard watched.count < MCPLimits.subscribedProjects else {
                    throw RPCFault(.invalidParams, "Resources of at most \(MCPLimits.subscribedProjects) projects are subscribed to at once")
                }
                let feed = try await operations.feed(of: address.project, by: caller)
                watched[address.project] = Watched(feed: feed, cursor: try await feed.page(after: nil).start)
            }
            watched[address.project]?.add(address.key)
        }
        if watched.isEmpty { try await operations.useMCP(by: caller) }
        let stream = ListenStream(call: self, honoured: texts, watched: Array(watched.values))
        return { try await stream.next() }
    }
}

/// A project that is followed, and the keys of it that are asked for.
private struct Watched: Sendable {
    let feed: Feed
    var cursor: InboxCursor
    private var keys: Set<Name> = []
    private var isWhole = false

    init(feed: Feed, cursor: InboxCursor) {
        self.feed = feed
        self.cursor = cursor
    }

    mutating func add(_ key: Name?) {
        guard let key else { return isWhole = true }
        keys.insert(key)
    }

    func includes(_ key: Name) -> Bool { isWhole || keys.contains(key) }
}

/// Asked for one message after another, by one task at a time.
private final class ListenStream: Sendable {
    private struct State {
        var watched: [Watched]
        var waiting: [[UInt8]] = []
        var hasBegun = false
        var isOver = false
    }
    private let call: MCPCall
    private let honoured: [String]
    private let state: Mutex<State>

    init(call: MCPCall, honoured: [String], watched: [Watched]) {
        self.call = call
        self.honoured = honoured
        state = Mutex(State(watched: watched))
    }

    private var stamp: JSONValue { [MCPName.subscriptionID: call.request.id.json] }

    func next() async throws -> [UInt8]? {
        let (message, isOver, isFirst) = state.withLock { state -> ([UInt8]?, Bool, Bool) in
            defer { state.hasBegun = true }
            return (state.waiting.isEmpty ? nil : state.waiting.removeFirst(), state.isOver, !state.hasBegun)
        }
        if isFirst {
            var filter = JSONObject()
            if !honoured.isEmpty { filter["resourceSubscriptions"] = .array(honoured.map(JSONValue.string)) }
            return RPCPrinter.notification(
                "notifications/subscriptions/acknowledged", JSONObject([("_meta", stamp), ("notifications", .object(filter))]))
        }
        if let message { return message }
        if isOver { return nil }
        do {
            return try await take()
        } catch let error as ContexError where error.code != .cancelled {
            state.withLock { $0.isOver = true }
            return call.fault(of: error).bytes
        }
    }

    /// Waits for the next page of any of the projects, and makes messages of it.
    private func take() async throws -> [UInt8]? {
        let watched = state.withLock { $0.watched }
        let comment = call.post.comment
        let pages = try await withThrowingTaskGroup(of: (place: Int, page: FeedPage)?.self) { group in
            for (place, project) in watched.enumerated() {
                group.addTask {
                    do {
                        return (place, try await project.feed.page(after: project.cursor, bytesMax: Limits.streamPieceBytes, wait: comment))
                    } catch let error as ContexError where error.code == .cancelled {
                        return nil
                    }
                }
            }
            if watched.isEmpty {
                group.addTask {
                    try? await Task.sleep(for: comment)
                    return nil
                }
            }
            var pages: [(place: Int, page: FeedPage)] = []
            while let found = try await group.next() {
                guard let found else { continue }
                pages.append(found)
                // The others are asked again from where they were.
                if !found.page.items.isEmpty || found.page.cursor != watched[found.place].cursor { group.cancelAll() }
            }
            return pages
        }
        try Task.checkCancellation()
        var messages: [[UInt8]] = []
        state.withLock { state in
            for (place, page) in pages {
                state.watched[place].cursor = page.cursor
                var told: Set<Name> = []
                for item in page.items where item.event.kind != .imported {
                    let key = Name(stored: item.event.key)
                    guard watched[place].includes(key), told.insert(key).inserted else { continue }
                    let address = ResourceAddress(project: watched[place].feed.subject.project, key: key)
                    messages.append(
                        RPCPrinter.notification(
                            "notifications/resources/updated", JSONObject([("_meta", stamp), ("uri", .string(address.description))])))
                }
            }
        }
        if messages.isEmpty, watched.contains(where: \.feed.isEnding) {
            state.withLock { $0.isOver = true }
            return RPCPrinter.result(call.listenResult(), of: call.request.id)
        }
        guard !messages.isEmpty else { return [] }
        let first = messages.removeFirst()
        state.withLock { $0.waiting = messages }
        return first
    }
}
