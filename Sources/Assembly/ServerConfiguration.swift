internal import Base
public import Embedding
public import Journal
public import Logging
internal import NIOCore
public import Rates
public import Service
public import TLS

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Everything that an operator can choose, with the defaults. `Setting.all` says how each is called outside.
public struct ServerConfiguration: Sendable {
    public var dataFolder = "./contex-data"
    public var modelFolder = "./.models/all-MiniLM-L6-v2"
    /// Publishes the demo project when it is not there.
    public var demo = false

    /// `localhost`: both loopback addresses, as far as the machine has them.
    public var httpHost = "localhost"
    /// nil: no HTTP. 0: a free port.
    public var httpPort: Int? = 8001
    /// nil: the address of HTTP.
    public var respHost: String? = nil
    /// nil: no Redis protocol. 0: a free port.
    public var respPort: Int? = 8003
    /// nil: the address of HTTP.
    public var wireHost: String? = nil
    /// nil: no binary protocol. 0: a free port.
    public var wirePort: Int? = 8002
    /// Of the door for measures and health, which asks for no key.
    public var metricsHost = "127.0.0.1"
    /// nil: no such door. 0: a free port.
    public var metricsPort: Int? = nil
    /// Files in PEM; nil: the doors speak without TLS.
    public var tlsCertificate: String? = nil
    public var tlsKey: String? = nil
    public var tlsLeast = TLSSettings.Version.thirteen
    /// Whose certificates clients may show.
    public var tlsClientAuthority: String? = nil
    /// nil: required while there is an authority.
    public var tlsClient: TLSSettings.ClientRule? = nil
    public var tlsClientMap: [CertificateKeys.Entry] = []
    public var tlsReloadSeconds = 10
    /// The doors that speak TLS when there is a certificate.
    public var tlsDoors = Door.allCases
    /// nil: other addresses than loopback are bound without TLS while there is no certificate.
    public var allowsPlainText: Bool? = nil

    public enum Door: String, Sendable, CaseIterable { case http, wire, resp, metrics }

    /// Binds another address than loopback though everybody who reaches it may do everything.
    public var insecureBind = false
    /// Somebody speaks MCP with it in its own process, so that all ports may be off.
    public var servesInProcess = false
    public var bodyBytesMax = Limits.bodyBytes
    public var inflightBytesMax = Limits.inflightBytes
    public var idleSeconds = 60
    public var allowedHosts: [String] = []
    public var corsOrigins: [String] = []
    public var corsCredentials = true
    public var hsts = true

    public var authenticationRequired = false
    /// nil: one is made and printed once.
    public var bootstrapKey: String? = nil
    /// Tokens of service accounts are signed with it; nil: with keys of the server's own.
    public var tokenSecret: String? = nil
    public var bootstrapName = "root"
    /// Several tenants, each with its own keys, projects and quotas.
    public var multiTenant = false

    /// nil: while authentication is on.
    public var rateLimit: Bool? = nil
    /// What a key may ask for in a minute where nobody has set anything.
    public var rates = RateAllowances()
    /// nil: while authentication is on.
    public var audit: Bool? = nil
    public var auditDays = 90
    /// nil: only the log has the signed checkpoints.
    public var auditCheckpoints: String? = nil

    public var threshold = 0.5
    public var matchesMax = 10
    public var contextTokensMax = 51_200
    public var hybridSearch = true
    /// Threads that embed; each works on a batch of its own.
    public var computeThreads = max(1, ProcessInfo.processInfo.activeProcessorCount)
    public var embeddingPrecision = EmbeddingPrecision.int8
    /// For the vectors of texts asked for before, 1.9 kB for a short one; 0 for none.
    public var embeddingCacheBytes = 32 << 20
    /// For answers of queries, about; 0 for none.
    public var answerCacheBytes = 32 << 20
    /// After so long a vector is computed anew.
    public var embeddingCacheSeconds = 3_600

    public var webhooks = true
    /// Networks that webhooks may go to beside the public ones, in CIDR notation with commas between them; nil: loopback while
    /// the server itself is bound to loopback and authentication is off.
    public var webhookAllow: String? = nil
    public var webhookTimeoutSeconds = 5
    /// Tries of one message, the first included.
    public var webhookTries = 3
    /// Seconds after the first try that failed, the second, ...
    public var webhookWaits: [Double] = [5, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400]

    /// For how long the commands themselves are kept.
    public var journal = JournalWindow.off
    /// By which rule projects are trimmed that say nothing of their own.
    public var retentionEventDays = 30
    public var retentionEventsMax = 10_000
    public var retentionAgentDays = 7
    /// Minutes between two runs of retention; nil: it runs when somebody asks for it.
    public var retentionMinutes: Int? = nil
    /// Hours between two passes over all that is stored; 0: none by themselves.
    public var scrubHours = 168
    /// What a pass reads in a second at most.
    public var scrubMebibytes = 8
    /// What agents have not acknowledged after so many days is let go.
    public var inboxDays = 30

    public var logLevel = Logger.Level.info
    /// From how many milliseconds on an operation is logged as slow; 0: none is.
    public var slowMilliseconds = 1_000
    /// Whether texts of slow queries are logged.
    public var logTexts = false
    /// nil: JSON lines, unless a person reads standard error in a terminal.
    public var logJSON: Bool? = nil

    /// Of the collector that spans are sent to, by OTLP over HTTP; nil: there are none.
    public var tracesEndpoint: String? = nil
    /// Of the traces that begin here.
    public var tracesShare = 1.0
    /// What the collector wants to see beside: `name=value` with commas between.
    public var tracesHeaders: String? = nil
    public var tracesService = "contex"

    /// For so long the server says that it is not ready before it stops to accept.
    public var drainSeconds = 0
    /// What finishes within this after a stop is asked for is answered; the rest is cut.
    public var stopSeconds = 30

    public init() {}

    /// The addresses that a host stands for. Some clients make 127.0.0.1 of `localhost`, others try ::1 first, and one that finds nobody
    /// there says that the server is down.
    static func addresses(of host: String) -> [String] {
        guard host == "localhost" else { return [host] }
        let hasIPv6 = (try? System.enumerateDevices())?.contains { $0.address?.ipAddress == "::1" } ?? false
        return ["127.0.0.1"] + (hasIPv6 ? ["::1"] : [])
    }

    /// The address of the Redis protocol.
    var respAddress: String { respHost ?? httpHost }
    /// The address of the binary protocol.
    var wireAddress: String { wireHost ?? httpHost }

    /// The addresses of the doors that are open.
    private var boundHosts: [String] {
        (httpPort == nil ? [] : [httpHost]) + (respPort == nil ? [] : [respAddress]) + (wirePort == nil ? [] : [wireAddress])
    }

    /// Whether each address that is bound can be reached from this machine only.
    var bindsLoopbackOnly: Bool { boundHosts.allSatisfy(Self.isLoopback) }

    /// Addresses that others reach, and what goes over them can be read on the way.
    var plainHosts: [String] {
        let doors: [(Door, Int?, String)] = [
            (.http, httpPort, httpHost), (.wire, wirePort, wireAddress), (.resp, respPort, respAddress), (.metrics, metricsPort, metricsHost),
        ]
        return doors.filter { $0.1 != nil && !speaksTLS($0.0) && !Self.isLoopback($0.2) }.map(\.2)
    }

    public func speaksTLS(_ door: Door) -> Bool { tlsCertificate != nil && tlsDoors.contains(door) }

    /// nil: no certificate is named.
    public var tls: TLSSettings? {
        guard let tlsCertificate, let tlsKey else { return nil }
        return TLSSettings(
            certificate: tlsCertificate, key: tlsKey, least: tlsLeast, clientAuthority: tlsClientAuthority, client: tlsClient ?? .required,
            reloadSeconds: tlsReloadSeconds)
    }

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || (host.hasPrefix("127.") && host.split(separator: ".").count == 4)
    }

    /// What no single setting shows to be wrong.
    func validate() throws(ContexError) {
        _ = try traceExport
        if boundHosts.isEmpty && !servesInProcess {
            throw ContexError(.invalid, "all ports are off: there would be nothing to serve")
        }
        if !authenticationRequired && !insecureBind, let host = boundHosts.first(where: { !Self.isLoopback($0) }) {
            throw ContexError(
                .invalid,
                "without authentication only loopback is bound, not \(host): switch it on (--auth), bind 127.0.0.1, or insist with --insecure-bind")
        }
        try validateTLS()
    }

    private func validateTLS() throws(ContexError) {
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ContexError(.invalid, "CONTEX_TLS_CERT and CONTEX_TLS_KEY go together: \(tlsKey == nil ? "the key" : "the certificate") is missing")
        }
        if tlsCertificate == nil, tlsClientAuthority != nil {
            throw ContexError(.invalid, "CONTEX_TLS_CLIENT_CA needs a certificate of the server's own: CONTEX_TLS_CERT and CONTEX_TLS_KEY")
        }
        if tlsClientAuthority == nil, tlsClient != nil || !tlsClientMap.isEmpty {
            throw ContexError(.invalid, "client certificates need CONTEX_TLS_CLIENT_CA: the file that says whose are good")
        }
        if !(allowsPlainText ?? (tlsCertificate == nil)), let host = plainHosts.first {
            throw ContexError(
                .invalid,
                "\(host) can be reached by others, and what goes there can be read on the way: give a certificate (CONTEX_TLS_CERT, CONTEX_TLS_KEY) "
                    + "and let every door use it, or insist with --allow-plaintext")
        }
    }
}
