internal import ArgumentParser
internal import Assembly
internal import Base
internal import Dispatch
internal import MCPMessages
internal import MCPServer
internal import Service

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Glibc

struct MCPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp", abstract: "Speak the Model Context Protocol on standard input and output, for agents that start their servers themselves.",
        discussion: """
            Asks a running server (--server), or opens a data folder in this process (--data-dir), which nobody else may serve at the time. Settings \
            of the folder's server come from CONTEX_* in the environment, as for contex serve. Clients that speak HTTP need no command: the server \
            answers at /mcp (docs/mcp.md).
            """)

    @Option(help: ArgumentHelp("The server (default: CONTEX_SERVER, else http://127.0.0.1:8001).", valueName: "url"))
    var server: String?

    @Option(help: ArgumentHelp("The API key (default: CONTEX_API_KEY, which other users of the machine cannot see).", valueName: "key"))
    var apiKey: String?

    @Option(help: ArgumentHelp("A data folder to open instead of asking a server.", valueName: "folder"))
    var dataDir: String?

    @OptionGroup var trust: TrustOptions

    /// What has been asked when the input ends is answered within this.
    private static let grace = Duration.seconds(1)

    func run() async throws {
        guard server == nil || dataDir == nil else { throw CommandFailure(.usage, "--server and --data-dir are two ways: give one of them") }
        let environment = ProcessInfo.processInfo.environment
        func named(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let key = apiKey ?? named("CONTEX_API_KEY")
        guard let dataDir else {
            let relay = try MCPRelay(server: server ?? named("CONTEX_SERVER") ?? "http://127.0.0.1:8001", apiKey: key, trust: trust.trust)
            await Self.converse { await relay.answer($0) }
            return
        }
        let inside: Server
        do {
            var configuration = try ServerConfiguration(arguments: ["--data-dir", dataDir], environment: environment)
            (configuration.httpPort, configuration.wirePort, configuration.respPort) = (nil, nil, nil)
            configuration.servesInProcess = true
            configuration.stopSeconds = 1
            ServerLog.begin(configuration)
            inside = try await Server.start(configuration)
        } catch {
            throw CommandFailure(error)
        }
        await Self.converse { body in
            guard let endpoint = inside.mcp else { return .accepted }
            return await endpoint.answer(MCPPost(body: body, caller: Caller(apiKey: key, address: nil, requestID: "stdio", client: "stdio")))
        }
        await inside.stop()
    }

    private static func converse(_ peer: @escaping @Sendable ([UInt8]) async -> MCPReply) async {
        let output = DispatchQueue(label: "contex.mcp.output")
        let conversation = StdioConversation(peer: peer) { message in
            await withCheckedContinuation { continuation in
                output.async {
                    Terminal.sayBytes(message + [UInt8(ascii: "\n")])
                    continuation.resume()
                }
            }
        }
        await conversation.run(StandardInput.lines(bytesMax: MCPLimits.lineBytes), grace: grace)
    }
}

/// Standard input, line by line.
enum StandardInput {
    /// Lines that wait to be taken; then no more is read.
    private static let waitingMax = 16
    private static let pieceBytes = 64 << 10

    static func lines(bytesMax: Int) -> TakenLines {
        let (stream, continuation) = AsyncStream<StdioConversation.Line>.makeStream()
        let room = DispatchSemaphore(value: waitingMax)
        // A thread of its own: reading waits for a person, or a program.
        DispatchQueue(label: "contex.mcp.input").async {
            var line: [UInt8] = []
            var isTooLong = false
            var piece = [UInt8](repeating: 0, count: pieceBytes)
            func end() {
                defer { (line, isTooLong) = ([], false) }
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                guard isTooLong || !line.isEmpty else { return }
                room.wait()
                continuation.yield(isTooLong ? .tooLong : .message(line))
            }
            while true {
                let count = unsafe piece.withUnsafeMutableBytes { unsafe Glibc.read(0, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { break }
                var rest = piece[..<count]
                while let place = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    add(rest[..<place])
                    end()
                    rest = rest[(place + 1)...]
                }
                add(rest)
            }
            end()
            continuation.finish()

            func add(_ bytes: ArraySlice<UInt8>) {
                isTooLong = isTooLong || line.count + bytes.count > bytesMax
                if isTooLong { line = [] } else { line += bytes }
            }
        }
        return TakenLines(stream: stream, room: room)
    }

    /// Each line that is taken makes room for another.
    struct TakenLines: AsyncSequence, Sendable {
        typealias Element = StdioConversation.Line
        typealias Failure = Never
        fileprivate let stream: AsyncStream<Element>
        fileprivate let room: DispatchSemaphore

        struct AsyncIterator: AsyncIteratorProtocol {
            fileprivate var inner: AsyncStream<Element>.AsyncIterator
            fileprivate let room: DispatchSemaphore

            mutating func next(isolation actor: isolated (any Actor)?) async -> Element? {
                guard let line = await inner.next(isolation: actor) else { return nil }
                room.signal()
                return line
            }
        }

        func makeAsyncIterator() -> AsyncIterator { AsyncIterator(inner: stream.makeAsyncIterator(), room: room) }
    }
}
