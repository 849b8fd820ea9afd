internal import Base
internal import Engine
internal import Events
internal import Inboxes
internal import Service
internal import Synchronization
internal import Wire

extension OperationCalls {
    /// Bytes of data of a frame of updates, but for one update.
    private static let pageBytes = 256 << 10
    /// After so long without anything to say, the key is looked at again.
    private static let lookSeconds = 60

    /// The task of a subscription: sends what comes, as far as its credit goes. A page at a time, and the next one when the kernel has taken it, so
    /// that a reader who stops keeps one page here and the rest in the store.
    func follow(_ operation: WireOperation, _ body: [UInt8], _ credit: Credit) async {
        do {
            let (feed, start) = try await opened(operation, body, credit)
            var cursor = start
            while true {
                let count = try await credit.some()
                let page = try await feed.page(
                    after: cursor, limit: min(count, Limits.inboxPage), bytesMax: Self.pageBytes, wait: .seconds(Self.lookSeconds))
                try Task.checkCancellation()
                if feed.isEnding { throw ContexError(.stopping, "The server is stopping") }
                cursor = page.cursor
                guard !page.items.isEmpty else { continue }
                credit.spend(page.items.count)
                var message = WireUpdates()
                message.updates = page.items.map(WireUpdate.init)
                let bytes = message.encoded
                let lease = MemoryLease(of: operations.memory.working, address: caller.address, key: keyID)
                lease.settle(at: bytes.count)
                await box.send(.updates, stream: stream, bytes, lease: lease)
                house.connections.updatesSent.add(page.items.count, ordering: .relaxed)
                try Task.checkCancellation()
            }
        } catch {
            // Who has left it has been told.
            if !Task.isCancelled { await refuse(error, operation) }
        }
        box.put(.ended(stream))
    }

    private func opened(_ operation: WireOperation, _ body: [UInt8], _ credit: Credit) async throws -> (Feed, InboxCursor) {
        let feed: Feed
        var from: InboxCursor?
        var isFromStart = false
        switch operation {
        case .followInbox:
            let message = try WireFollowInbox(decoding: body)
            from = try message.cursor.map { text throws(ContexError) in try InboxCursor(text) }
            feed = try await operations.feed(
                of: try Given.name(message.agent, "agent_id"), project: try Given.name(message.project, "project_id"),
                suppressesOwn: message.suppressOwn, by: caller)
            credit.add(message.credit)
        case .followEvents:
            let message = try WireFollowEvents(decoding: body)
            from = try message.cursor.map { text throws(ContexError) in try InboxCursor(text) }
            isFromStart = message.fromStart && from == nil
            feed = try await operations.feed(of: try Given.name(message.project, "project_id"), by: caller)
            credit.add(message.credit)
        default: throw ContexError(.bug, "\(operation) is no subscription")
        }
        // Where it stands: also whether the cursor works.
        var start = try await feed.page(after: from, limit: 1).start
        if isFromStart { start = InboxCursor(epoch: start.epoch, sequence: .zero) }
        var answer = WireOpened()
        (answer.project, answer.cursor) = (feed.subject.project.text, start.description)
        await box.send(.answer, .open, stream: stream, answer.encoded)
        return (feed, start)
    }
}

extension WireUpdate {
    init(_ item: FeedItem) {
        self.init()
        (cursor, reason, needs) = (item.cursor.description, item.concern?.reason.word, item.concern?.needs ?? [])
        event = WireEvent(item.event)
    }
}
