// A receiver of webhooks on loopback: keeps what it gets, answers as it is told.
import Foundation
import NIOCore
import NIOPosix
import Synchronization

struct ReceivedRequest: Sendable, Equatable {
    let line: String
    /// Names in lower case.
    let headers: [String: String]
    let body: [UInt8]
    /// Distinguishes connections.
    let connection: ObjectIdentifier
}

final class Receiver: Sendable {
    enum Answer: Sendable {
        case status(Int)
        case text(String)
        /// Keeps the connection open and says nothing.
        case silence
        case close
    }

    private struct State {
        var requests: [ReceivedRequest] = []
        var connections = 0
        var firstBytes: [UInt8] = []
        var running = 0
        var runningMax = 0
    }
    /// What the connections write into.
    private final class Record: Sendable {
        let state = Mutex(State())
    }
    private let record = Record()
    private let channel: any Channel
    let port: Int

    /// - Parameters:
    ///   - delay: before each answer.
    ///   - answer: to the request with this number, counted from 0.
    init(delay: TimeAmount = .zero, answer: @escaping @Sendable (Int, ReceivedRequest) -> Answer = { _, _ in .status(200) }) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [record] channel in
                channel.eventLoop.makeCompletedFuture {
                    record.state.withLock { $0.connections += 1 }
                    try channel.pipeline.syncOperations.addHandler(Handler(record: record, delay: delay, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress!.port!
    }

    var url: String { "http://127.0.0.1:\(port)/hook" }
    var requests: [ReceivedRequest] { record.state.withLock { $0.requests } }
    var connections: Int { record.state.withLock { $0.connections } }
    var firstBytes: [UInt8] { record.state.withLock { $0.firstBytes } }
    /// The most requests that waited for their answer at once.
    var runningMax: Int { record.state.withLock { $0.runningMax } }

    func close() async { try? await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let record: Record
        private let delay: TimeAmount
        private let answer: @Sendable (Int, ReceivedRequest) -> Answer
        private var bytes: [UInt8] = []

        init(record: Record, delay: TimeAmount, answer: @escaping @Sendable (Int, ReceivedRequest) -> Answer) {
            self.record = record
            self.delay = delay
            self.answer = answer
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += Self.unwrapInboundIn(data).readableBytesView
            record.state.withLock { if $0.firstBytes.isEmpty { $0.firstBytes = bytes } }
            guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
            let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
            }
            let length = Int(headers["content-length"] ?? "0")!
            guard bytes.count - end.upperBound >= length else { return }
            let request = ReceivedRequest(
                line: lines[0], headers: headers, body: Array(bytes[end.upperBound...].prefix(length)), connection: ObjectIdentifier(self))
            bytes = []
            let number = record.state.withLock { state in
                state.requests.append(request)
                state.running += 1
                state.runningMax = max(state.runningMax, state.running)
                return state.requests.count - 1
            }
            let reply = answer(number, request)
            let channel = context.channel
            let record = record
            context.eventLoop.scheduleTask(in: delay) {
                record.state.withLock { $0.running -= 1 }
                switch reply {
                case .status(let status):
                    channel.writeAndFlush(ByteBuffer(string: "HTTP/1.1 \(status) X\r\nContent-Length: 2\r\n\r\nok"), promise: nil)
                case .text(let text): channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
                case .silence: break
                case .close: channel.close(promise: nil)
                }
            }
        }
    }
}

/// Waits until the condition holds; false when it never did.
func eventually(within limit: Duration = .seconds(20), _ condition: () -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return condition()
}
