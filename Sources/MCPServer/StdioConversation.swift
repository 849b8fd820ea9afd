// A conversation over standard input and output: a message a line, each way. Who answers is given: this process (`MCPEndpoint.answer`), or a
// server that it speaks to. Requests are worked on at the same time, and their answers written as they come.

internal import Base
internal import MCPMessages
internal import Synchronization

public final class StdioConversation: Sendable {
    /// What comes in.
    public enum Line: Sendable {
        case message([UInt8])
        /// More than a message may have; it was not kept.
        case tooLong
    }

    private struct State {
        /// By the id of the request, so that it can be cancelled.
        var running: [MessageID: (number: Int, task: Task<Void, Never>)] = [:]
        var lastNumber = 0
    }
    private let state = Mutex(State())
    private let peer: @Sendable ([UInt8]) async -> MCPReply
    private let write: @Sendable ([UInt8]) async -> Void

    /// Requests that are worked on at once.
    private static let requestsMax = 256

    /// - Parameters:
    ///   - peer: who answers a message.
    ///   - write: one message, in one piece; called from several tasks.
    public init(peer: @escaping @Sendable ([UInt8]) async -> MCPReply, write: @escaping @Sendable ([UInt8]) async -> Void) {
        self.peer = peer
        self.write = write
    }

    /// Answers until the lines end, and then what has been asked, for `grace` at most: who waits for updates has gone.
    public func run(_ lines: some AsyncSequence<Line, Never> & Sendable, grace: Duration) async {
        await withTaskGroup { group in
            for await line in lines {
                switch line {
                case .tooLong: await write(RPCFault(.invalidRequest, "A message has at most \(MCPLimits.lineBytes) bytes").bytes)
                case .message(let bytes): take(bytes, &group)
                }
            }
            let last = Task {
                try? await Task.sleep(for: grace)
                for task in state.withLock({ $0.running.values.map(\.task) }) { task.cancel() }
            }
            await group.waitForAll()
            last.cancel()
        }
    }

    private func take(_ bytes: [UInt8], _ group: inout TaskGroup<Void>) {
        // What it is matters for cancelling only; who answers reads it again, and says what is wrong with it.
        let input = try? RPCInput(bytes)
        if case .message(.notification("notifications/cancelled", let params)) = input {
            if let id = params["requestId"].flatMap(MessageID.init) { state.withLock { $0.running[id]?.task }?.cancel() }
            return
        }
        var id: MessageID?
        if case .message(.request(let request)) = input { id = request.id }
        guard state.withLock({ $0.running.count }) < Self.requestsMax else {
            let busy = RPCFault(.internalError, "As many requests as one conversation may have are worked on: wait for an answer", id: id)
            group.addTask { await self.write(busy.bytes) }
            return
        }
        let task = Task { await answer(bytes) }
        let number = state.withLock { state in
            state.lastNumber += 1
            if let id { state.running[id] = (state.lastNumber, task) }
            return state.lastNumber
        }
        group.addTask {
            await task.value
            guard let id else { return }
            self.state.withLock { state in
                // Of a client that has used an id twice the later one stays.
                if state.running[id]?.number == number { state.running[id] = nil }
            }
        }
    }

    private func answer(_ bytes: [UInt8]) async {
        switch await peer(bytes) {
        // Nobody waits for the answer to what was cancelled.
        case .message(let message, _): if !Task.isCancelled { await write(message) }
        case .accepted, .notAcceptable: break
        case .stream(let next):
            while !Task.isCancelled, let message = try? await next() {
                if !message.isEmpty { await write(message) }
            }
        }
    }
}
