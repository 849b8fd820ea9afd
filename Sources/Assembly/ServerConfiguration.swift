internal import Base
public import Embedding
public import Journal
public import Logging
internal import NIOCore
public import Rates

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
    /// What agents have not acknowledged after so many days is let go.
    public var inboxDays = 30

    public var logLevel = Logger.Level.info
    /// From how many milliseconds on an operation is logged as slow; 0: none is.
    public var slowMilliseconds = 1_000
    /// Whether texts of slow queries are logged.
    public var logTexts = false
    /// nil: JSON lines, unless a person reads standard error in a terminal.
    public var logJSON: Bool? = nil

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

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || (host.hasPrefix("127.") && host.split(separator: ".").count == 4)
    }

    /// What no single setting shows to be wrong.
    func validate() throws(ContexError) {
        if boundHosts.isEmpty && !servesInProcess {
            throw ContexError(.invalid, "all ports are off: there would be nothing to serve")
        }
        if !authenticationRequired && !insecureBind, let host = boundHosts.first(where: { !Self.isLoopback($0) }) {
            throw ContexError(
                .invalid,
                "without authentication only loopback is bound, not \(host): switch it on (--auth), bind 127.0.0.1, or insist with --insecure-bind")
        }
    }
}
