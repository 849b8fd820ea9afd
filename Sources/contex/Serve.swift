internal import Access
internal import ArgumentParser
internal import Assembly
internal import Base
internal import Dispatch
internal import Engine

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Glibc
internal import Synchronization

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the server.", usage: "contex serve [--help] [options]", discussion: "contex serve --help lists the options.")

    /// Read by the table of settings, so that flags, environment and file are one thing.
    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var options: [String] = []

    private static let help = """
        Run the server.

        USAGE: contex serve [options]

        Each option can also be set by an environment variable or by a line NAME=value of the configuration file, as CONTEX_ and the
        option's name (CONTEX_HTTP_PORT=8001); docs/settings.md has the list. A flag goes before the environment, that before the file.

        OPTIONS (with their defaults):
        \(Setting.help)
          -h, --help
        """

    func run() async throws {
        if options.contains(where: { $0 == "--help" || $0 == "-h" }) {
            Terminal.say(Self.help)
            return
        }
        let arguments = options
        let configuration: ServerConfiguration
        let server: Server
        let signals = StopSignals()
        do {
            configuration = try ServerConfiguration(arguments: options, environment: ProcessInfo.processInfo.environment)
            ServerLog.begin(configuration)
            Self.allowManyConnections()
            server = try await Server.start(configuration)
        } catch {
            throw CommandFailure(error)
        }
        Terminal.say(Self.greeting(server, configuration))
        let rereading = Rereading {
            do {
                server.take(try ServerConfiguration(arguments: arguments, environment: ProcessInfo.processInfo.environment))
            } catch {
                Terminal.complain("the settings stay as they were: \(error)")
            }
        }
        defer { rereading.end() }

        let failure = await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                await signals.first()
                Self.endAnyway(after: configuration.stopSeconds + Self.stopSecondsMore)
                await server.stop()
                return nil
            }
            group.addTask { await server.end() }
            let first = await group.next() ?? nil
            if first != nil {
                await server.stop()
                group.cancelAll()
            }
            return first
        }
        if let failure { throw CommandFailure(.failed, "the server ended by itself: \(failure)") }
    }

    /// For the store and whoever delivers, after the last request.
    private static let stopSecondsMore = 10

    /// A stop must end, whatever some thread is busy with: what was acknowledged is on the disk, and the next start finds it.
    private static func endAnyway(after seconds: Int) {
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds)) {
            Terminal.complain("the stop took longer than \(seconds) s and was cut off; what was acknowledged is stored")
            _exit(1)
        }
    }

    /// Each connection is a descriptor, and the usual soft limit is 1,024.
    private static func allowManyConnections() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    // MARK: - What a person sees at the start

    private static func greeting(_ server: Server, _ configuration: ServerConfiguration) -> String {
        var lines = ["contex \(Version.current) serves \(configuration.dataFolder)"]
        let scheme = configuration.speaksTLS(.http) ? "https" : "http"
        if let http = server.http { lines.append("  HTTP            \(scheme)://\(http)    (documentation: \(scheme)://\(http)/docs)") }
        if let wire = server.wire { lines.append("  binary          \(wire)\(configuration.speaksTLS(.wire) ? "    (TLS)" : "")") }
        if let resp = server.resp { lines.append("  Redis protocol  \(resp)\(configuration.speaksTLS(.resp) ? "    (TLS)" : "")") }
        if let metrics = server.metrics { lines.append("  metrics         \(configuration.speaksTLS(.metrics) ? "https" : "http")://\(metrics)/metrics") }
        lines.append("  authentication  \(configuration.authenticationRequired ? "on" : "off: everybody who reaches these addresses may do everything")")
        if let key = server.bootstrapKey {
            let rule = String(repeating: "=", count: 78)
            lines += ["", rule, "The first admin key. It is shown this once and stored nowhere:", key, rule]
        }
        lines += unconfirmed(server, configuration)
        if configuration.demo, let http = server.http {
            lines += ["", "Three things to try" + (configuration.authenticationRequired ? " (CONTEX_API_KEY holds your key):" : ":")]
            lines += examples(http, resp: server.resp, keyed: configuration.authenticationRequired, scheme: scheme)
        }
        return lines.joined(separator: "\n")
    }

    /// Loud, because the next thing that happens is a client that gets 401: what is not valid, and the very command that makes it so.
    private static func unconfirmed(_ server: Server, _ configuration: ServerConfiguration) -> [String] {
        let keys = server.unconfirmedKeys
        guard !keys.isEmpty else {
            return server.lacksAdministrator ? ["", "No valid key has the role admin on all projects: nobody can issue keys or give roles."] : []
        }
        let (program, rule) = (CommandLine.arguments[0], String(repeating: "!", count: 78))
        var lines = [
            "", rule,
            "NOT VALID until you confirm: \(keys.count == 1 ? "an API key that was" : "\(keys.count) API keys that were") made, or given a role, while",
            "authentication was off and anybody could. Revoke what you do not know.", "",
        ]
        lines += keys.map { "  " + Terminal.clean($0.description, atMost: 200) }
        if !server.lacksAdministrator, let http = server.http {
            let place = http.port == 8001 && http.host == "127.0.0.1" ? "" : " --server \(configuration.speaksTLS(.http) ? "https" : "http")://\(http)"
            lines += ["", "With an administrator's key:", "  CONTEX_API_KEY=ck_... \(program) keys confirm \(keys[0].record.keyID)\(place)"]
        }
        let folder = configuration.dataFolder
        lines += [
            "", "Or with the server stopped:", "  \(program) keys confirm \(keys[0].record.keyID) --data-dir \(quoted(folder))",
            "  \(program) keys confirm --all --data-dir \(quoted(folder))", rule,
        ]
        return lines
    }

    /// As a shell takes it.
    private static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.utf8.allSatisfy { byte in
            byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || "/._-+@:".utf8.contains(byte)
        }
        return isPlain ? text : "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }

    private static func examples(_ http: Server.Address, resp: Server.Address?, keyed: Bool, scheme: String) -> [String] {
        let program = CommandLine.arguments[0]
        let server = http.port == 8001 && http.host == "127.0.0.1" && scheme == "http" ? "" : " --server \(scheme)://\(http)"
        let key = keyed ? #" -H "X-API-Key: $CONTEX_API_KEY""# : ""
        let question = #"{"query":"which database do we use","response_format":"json"}"#
        let third =
            if let resp {
                // The demo's agent waits for what is published next.
                "redis-cli -h \(resp.host) -p \(resp.port) subscribe agent:demo-agent:updates"
            } else {
                "\(program) events demo\(server)"
            }
        return [
            #"  \#(program) query demo "how do people log in"\#(server)"#,
            "  curl -s \(scheme)://\(http)/api/v1/projects/demo/query\(key) -H 'Content-Type: application/json' -d '\(question)'",
            "  " + third,
        ]
    }
}

/// SIGHUP: the settings are read again.
///
/// `@unchecked Sendable`: the source is made in `init` and only kept alive after that.
private final class Rereading: @unchecked Sendable {
    private let source: any DispatchSourceSignal

    init(_ read: @escaping @Sendable () -> Void) {
        signal(SIGHUP, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: DispatchQueue(label: "contex.settings"))
        source.setEventHandler { @Sendable in read() }
        source.resume()
    }

    func end() { source.cancel() }
}

/// SIGTERM and SIGINT: the first stops in good order, the second at once.
///
/// `@unchecked Sendable`: the sources are made in `init` and only kept alive after that; their handlers run on one serial queue.
private final class StopSignals: @unchecked Sendable {
    private let sources: [any DispatchSourceSignal]
    private let stream: AsyncStream<Void>

    init() {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let queue = DispatchQueue(label: "contex.signals")
        let received = Received()
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { @Sendable in
                if received.isFirst() { continuation.yield() } else { _exit(128 + number) }
            }
            source.resume()
            return source
        }
        self.stream = stream
    }

    /// Returns with the first signal, or when the task is cancelled.
    func first() async {
        for await _ in stream { return }
    }

    private final class Received: Sendable {
        private let any = Atomic(false)
        func isFirst() -> Bool { !any.exchange(true, ordering: .relaxed) }
    }
}
