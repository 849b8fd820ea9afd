// TLS in front of a listener: the certificate that connections are made with, and who may be in a handshake.
//
//     socket --> PlainTextGuard --> NIOSSLServerHandler --> HandshakeGuard --> the door's own handlers
//
// A connection keeps the context that it began with; a changed certificate is for those that come after. So a reload breaks nothing, and
// a file that is bad leaves all as it was.
//
// The door's own handlers are there from the first byte on: they count the connection and its address before it has said anything. What this
// adds is a bound on handshakes that are not done, since until then a stranger costs memory and sums and can be told nothing.

public import Base
public import Logging
public import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#endif

/// The other side of a connection, as far as TLS has shown it. Of the connection's event loop.
public final class TLSPeer {
    /// What it has chosen by ALPN; nil before the handshake is done, and when it knows no ALPN.
    public internal(set) var chosenProtocol: String?
    /// Names of its certificate, once the handshake is done: `dns:...`, `uri:...`, `email:...`, `cn:...`; none without a certificate.
    public internal(set) var names: [String] = []

    init() {}
}

@available(*, unavailable)
extension TLSPeer: Sendable {}

/// What the handlers of a door hear when the handshake is done: who is there is known, and nothing of what he says has come yet.
public struct TLSPeerShown: Sendable {}

public final class TLSDoor: Sendable {
    /// How a handshake ended that did not succeed. The names are labels of a measure.
    public enum Failure: String, Sendable, CaseIterable {
        /// The first byte is none of TLS.
        case plainText = "plain_text"
        case timeout
        /// The other side went away.
        case closed
        /// Nothing in common: version, cipher.
        case version, cipher
        case certificateMissing = "certificate_missing"
        case certificateRefused = "certificate_refused"
        /// The client does not trust us, or wants something else.
        case refusedByClient = "refused_by_client"
        /// Its address, or all, have too many handshakes.
        case limited
        case other
    }

    public struct Statistics: Sendable, Equatable {
        public var handshakes = 0
        public var failures: [Failure: Int] = [:]
        public var pending = 0
        public var reloads = 0
        /// Files that were refused, and the certificate before went on.
        public var failedReloads = 0
        /// The files as they are now cannot be used.
        public var isStale = false
    }

    private struct State {
        var http: NIOSSLContext
        var other: NIOSSLContext
        var facts: CertificateFiles.Facts
        var stamp: FileStamp
        var statistics = Statistics()
        /// What was said of the files last.
        var complaint: String?
        var byAddress: [String: Int] = [:]
    }
    private let state: Mutex<State>
    private let settings: TLSSettings
    let logger: Logger
    /// Reads what came after, in the files of the moment.
    private let reading = Mutex(())

    /// What HTTP offers by ALPN.
    private static let httpProtocols = ["h2", "http/1.1"]

    /// - Throws: `.invalid` for files that cannot be used.
    public init(_ settings: TLSSettings, logger: Logger) throws(ContexError) {
        self.settings = settings
        self.logger = logger
        let stamp = FileStamp(settings)
        let files = try CertificateFiles(settings)
        let contexts = try Self.contexts(files, settings)
        state = Mutex(State(http: contexts.http, other: contexts.other, facts: files.facts, stamp: stamp))
        for remark in files.remarks { logger.warning("\(remark)") }
        let now = Self.now
        if files.facts.ends < now { logger.warning("the certificate of this server has ended: clients refuse it", metadata: ["ends": "\(facts.endText)"]) }
        if files.facts.begins > now { logger.warning("the certificate of this server is not valid yet: clients refuse it") }
    }

    private static func contexts(_ files: CertificateFiles, _ settings: TLSSettings) throws(ContexError) -> (http: NIOSSLContext, other: NIOSSLContext) {
        do {
            return (try files.context(settings, protocols: httpProtocols), try files.context(settings, protocols: []))
        } catch {
            throw ContexError(.invalid, "the certificate cannot be used: \(error)")
        }
    }

    static var now: Int { time(nil) }

    public var facts: CertificateFiles.Facts { state.withLock { $0.facts } }
    public var statistics: Statistics { state.withLock { $0.statistics } }
    /// Below zero once it has ended.
    public var secondsUntilEnd: Int { facts.ends - Self.now }

    // MARK: - New certificates

    /// Looks at the files until the task is cancelled.
    public func watch() async {
        while (try? await Task.sleep(for: .seconds(settings.reloadSeconds))) != nil {
            try? await NIOThreadPool.singleton.runIfActive { self.reload() }
        }
    }

    /// Takes the files when they have changed. Blocks for a moment.
    public func reload() {
        reading.withLock { _ in
            let stamp = FileStamp(settings)
            let (before, wasBad) = state.withLock { ($0.stamp, $0.statistics.isStale) }
            // Two files never change at the same moment: what was bad is tried again.
            guard stamp != before || wasBad else { return }
            do throws(ContexError) {
                let files = try CertificateFiles(settings)
                let contexts = try Self.contexts(files, settings)
                if !files.facts.holds(at: Self.now), facts.holds(at: Self.now) {
                    throw ContexError(.invalid, "CONTEX_TLS_CERT: the certificate in \(settings.certificate) is not valid at this time")
                }
                state.withLock { state in
                    (state.http, state.other, state.facts, state.stamp) = (contexts.http, contexts.other, files.facts, stamp)
                    state.statistics.reloads += 1
                    state.statistics.isStale = false
                    state.complaint = nil
                }
                for remark in files.remarks { logger.warning("\(remark)") }
                logger.notice("a new certificate is used from now on", metadata: ["ends": "\(files.facts.endText)"])
            } catch {
                let isNews = state.withLock { state in
                    defer { state.complaint = error.message }
                    if stamp != state.stamp { state.statistics.failedReloads += 1 }
                    state.stamp = stamp
                    state.statistics.isStale = true
                    return state.complaint != error.message
                }
                if isNews { logger.error("the certificate on the disk is not taken, the one before goes on", metadata: ["reason": "\(error.message)"]) }
            }
        }
    }

    // MARK: - Connections

    public enum Kind: Sendable { case http, other }

    /// Puts TLS in front of what a connection's initializer adds after this. On its event loop.
    /// - Parameter plainWords: what somebody is told who speaks the door's protocol without TLS; empty: nothing.
    /// - Throws: when the connection is one too many; it is closed then.
    public func guards(_ channel: any Channel, _ kind: Kind, plainWords: @escaping @Sendable () -> [UInt8]) throws -> TLSPeer {
        let address = channel.remoteAddress?.ipAddress ?? "local"
        let context: NIOSSLContext? = state.withLock { state in
            guard state.statistics.pending < TLSLimits.handshakes, state.byAddress[address, default: 0] < TLSLimits.handshakesPerAddress else {
                state.statistics.failures[.limited, default: 0] += 1
                return nil
            }
            state.statistics.pending += 1
            state.byAddress[address, default: 0] += 1
            return kind == .http ? state.http : state.other
        }
        guard let context else { throw ChannelError.ioOnClosedChannel }
        let place = HandshakePlace(self, address)
        channel.closeFuture.whenComplete { _ in place.leave() }
        let (peer, pipeline) = (TLSPeer(), channel.pipeline.syncOperations)
        let handshake = HandshakeGuard(self, place, peer)
        try pipeline.addHandlers(PlainTextGuard(handshake, plainWords), NIOSSLServerHandler(context: context), handshake)
        return peer
    }

    fileprivate func leave(_ address: String) {
        state.withLock { state in
            state.statistics.pending -= 1
            let count = state.byAddress[address, default: 1]
            state.byAddress[address] = count > 1 ? count - 1 : nil
        }
    }

    func succeeded() { state.withLock { $0.statistics.handshakes += 1 } }
    func failed(_ failure: Failure) { state.withLock { $0.statistics.failures[failure, default: 0] += 1 } }
}

extension CertificateFiles.Facts {
    /// As people write it, in UTC.
    var endText: String { Timestamp(rawValue: Int64(ends) * 1_000_000).iso8601 }
}

/// A place among the handshakes that are not done; given back once.
final class HandshakePlace: Sendable {
    private let door: TLSDoor
    let address: String
    private let isLeft = Atomic(false)

    init(_ door: TLSDoor, _ address: String) {
        self.door = door
        self.address = address
    }

    func leave() { if !isLeft.exchange(true, ordering: .relaxed) { door.leave(address) } }
}
