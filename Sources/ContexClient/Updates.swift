internal import Base
internal import NIOCore
internal import Synchronization
public import Wire

/// Updates without an end. When the connection is lost it goes on over another, behind the last update that was handed out: none is left out, none comes
/// out of order, and none twice but for what was handed out by a reader before.
///
/// It ends with what cannot pass: the right was taken away, the agent is gone, the cursor does not work any more.
public struct Updates: AsyncSequence, Sendable {
    public typealias Element = WireUpdate
    let client: Client
    let after: String?
    let operation: WireOperation
    let request: @Sendable (_ cursor: String?, _ credit: UInt64) -> [UInt8]

    init(client: Client, after: String?, operation: WireOperation, request: @escaping @Sendable (String?, UInt64) -> [UInt8]) {
        self.client = client
        self.after = after
        self.operation = operation
        self.request = request
    }

    public func makeAsyncIterator() -> Iterator { Iterator(updates: self) }

    public final class Iterator: AsyncIteratorProtocol {
        private let updates: Updates
        private var reader: UpdateReader?
        private var link: Link?
        private var cursor: String?
        private var taken = 0
        private var failures = 0

        init(updates: Updates) {
            self.updates = updates
            cursor = updates.after
        }

        deinit { if let reader { link?.cancel(reader) } }

        /// Where it stands: behind the last update that was handed out.
        public var position: String? { cursor }

        /// - Throws: `ContexError`; `CancellationError` when the task is cancelled.
        public func next() async throws -> WireUpdate? {
            while true {
                try Task.checkCancellation()
                do {
                    let reader = try await current()
                    let update = try await reader.next()
                    cursor = update.cursor
                    failures = 0
                    taken += 1
                    if taken >= Swift.max(1, updates.client.configuration.window / 2) {
                        link?.credit(taken, reader)
                        taken = 0
                    }
                    return update
                } catch {
                    cursor = cursor ?? reader?.opened
                    if let reader { link?.cancel(reader) }
                    reader = nil
                    guard Client.isPassing(error) else { throw error }
                    failures += 1
                    try await Task.sleep(for: updates.client.pause(before: failures))
                }
            }
        }

        private func current() async throws -> UpdateReader {
            if let reader { return reader }
            let link = try await updates.client.link()
            let reader = UpdateReader()
            (self.link, self.reader, taken) = (link, reader, 0)
            link.follow(updates.operation, updates.request(cursor, UInt64(updates.client.configuration.window)), reader)
            return reader
        }
    }
}

/// Between a connection, which puts updates in, and one task that takes them out. What may be in it, the credit says.
final class UpdateReader: Sendable {
    private struct State {
        var updates = CircularBuffer<WireUpdate>()
        var opened: String?
        var end: (any Error)?
        var waiting: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    /// The cursor that the subscription began at.
    var opened: String? { state.withLock { $0.opened } }

    func open(at cursor: String) { state.withLock { $0.opened = cursor } }
    func put(_ updates: [WireUpdate]) { change { $0.updates += updates } }
    func end(_ error: any Error) { change { $0.end = $0.end ?? error } }

    private func change(_ body: (inout State) -> Void) {
        let waiting = state.withLock { state in
            body(&state)
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    func next() async throws -> WireUpdate {
        while true {
            let found = try state.withLock { state throws -> WireUpdate? in
                if let update = state.updates.popFirst() { return update }
                if let end = state.end { throw end }
                return nil
            }
            if let found { return found }
            try Task.checkCancellation()
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let mayGoOn = state.withLock { state in
                        if !state.updates.isEmpty || state.end != nil || Task.isCancelled { return true }
                        state.waiting = continuation
                        return false
                    }
                    if mayGoOn { continuation.resume() }
                }
            } onCancel: {
                change { _ in }
            }
        }
    }
}
