// Server-sent events (WHATWG HTML, section 9.2), as `EventSource` of browsers and curl read them:
//
//     retry: 2000                    how long a client waits before it comes back
//     id: 0-7                        where it is: what it sends as Last-Event-ID then
//
//     id: 0-8
//     data: {"type":"data_update",...}
//
//     :                              nothing to say for 15 s
//
//     event: refused                 it does not go on: why, as an answer would say it
//     data: {"code":"cursor_stale",...}
//
// A page is taken from the store when the one before has left: who reads slowly costs one page, and misses nothing.

internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Service
internal import Synchronization

enum EventStream {
    static let contentType = "text/event-stream"
    private static let retryMilliseconds = 2_000

    private struct State {
        var cursor: InboxCursor?
        var hasBegun = false
        var isOver = false
    }

    /// - Parameters:
    ///   - cursor: nil: where the feed begins by itself.
    ///   - greeting: the data of an event before all others.
    ///   - data: what an item is told as.
    /// - Throws: what the first page is refused for.
    static func answer(
        _ feed: Feed, after cursor: InboxCursor?, in place: StreamPlace, comment: Duration, greeting: [UInt8]? = nil,
        data: @escaping @Sendable (FeedItem, Feed) -> [UInt8] = { FeedShape.item($0, of: $1.subject.project) }
    ) async throws -> APIAnswer {
        let state = Mutex(State(cursor: cursor))
        return try await .stream(contentType: contentType, in: place) {
            let before = state.withLock { $0 }
            guard !before.isOver else { return nil }
            let page: FeedPage
            do {
                page = try await feed.page(after: before.cursor, bytesMax: Limits.streamPieceBytes, wait: before.hasBegun ? comment : .zero)
            } catch let error as ContexError where before.hasBegun && error.code != .cancelled {
                state.withLock { $0.isOver = true }
                return refusal(error)
            }
            state.withLock { state in
                state.cursor = page.cursor
                state.hasBegun = true
                // The client goes on with another server, or this one when it is back.
                state.isOver = feed.isEnding
            }
            if page.items.isEmpty, before.hasBegun, feed.isEnding { return nil }
            var text = before.hasBegun ? [] : Array("retry: \(retryMilliseconds)\nid: \(before.cursor ?? page.start)\n\n".utf8)
            if let greeting, !before.hasBegun { text += lines(greeting) + Array("\n".utf8) }
            for item in page.items { text += event(id: item.cursor, data(item, feed)) }
            if page.items.isEmpty, before.hasBegun {
                text += Array(":\n".utf8)
                if page.cursor != before.cursor { text += Array("id: \(page.cursor)\n".utf8) }
                text += Array("\n".utf8)
            }
            return text
        }
    }

    private static func event(id: InboxCursor, _ data: [UInt8]) -> [UInt8] { Array("id: \(id)\n".utf8) + lines(data) + Array("\n".utf8) }

    private static func refusal(_ error: ContexError) -> [UInt8] {
        Array("event: refused\n".utf8) + lines(JSONPrinter.bytes(.object(FeedShape.refusal(error)))) + Array("\n".utf8)
    }

    /// `data:` before each line of a text; compact JSON is one.
    static func lines(_ text: [UInt8]) -> [UInt8] {
        var lines: [UInt8] = []
        lines.reserveCapacity(text.count + 8)
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            lines += "data: ".utf8
            lines += line
            lines.append(UInt8(ascii: "\n"))
        }
        return lines
    }
}
