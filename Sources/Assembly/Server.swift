// The whole server in one process: every module made and connected here and nowhere else.
//
//     model folder -> Models \
//     data folder ------------> Database -> Operations -> HTTP API
//                                  |          |      |-> binary protocol
//                                  |          |      \-> MCP, over HTTP or standard input
//                                  |  \-> ChannelSink -> ChannelHub -> Redis protocol
//                                  \----> WebhookCarrier
//
// Start goes from the bottom to the edges, so that whoever gets through a port finds everything there; stop goes back: the
// edges take nothing more and finish what runs, then the sinks, then the store.

internal import Access
internal import Addresses
internal import Answers
internal import Base
public import Engine
internal import HTTPAPI
internal import Logging
public import MCPServer
public import Measures
internal import NIOPosix
internal import Needs
internal import Observability
internal import RESPServer
internal import Search
internal import Service
internal import Synchronization
internal import TLS
internal import Webhooks
internal import WireServer

/// A running server.
public final class Server: Sendable {
    public struct Address: Sendable, CustomStringConvertible {
        public let host: String
        public let port: Int
        public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    /// Where it listens; nil: off.
    public let http: Address?
    public let resp: Address?
    public let wire: Address?
    /// For measures and health, without a key.
    public let metrics: Address?
    /// The admin key that this start has made, because there was none; shown once and kept nowhere.
    public let bootstrapKey: String?
    /// Whether this start has published the demo project.
    public let demoPublished: Bool
    /// With authentication on: the keys that are not valid because they were made, or given their roles, while it was off.
    public let unconfirmedKeys: [HeldKey]
    /// With authentication on: no valid key may do everything, so nobody can confirm, issue or change keys over the API.
    public let lacksAdministrator: Bool

    private struct Parts {
        var database: Database?
        var closeModels: (@Sendable () -> Void)?
        var listeners: [Listener] = []
        /// Stopped after the others, so that it is seen how they stop.
        var metricsListeners: [Listener] = []
        var operations: Operations?
        var drainSeconds = 0
        var resp: RESPServer?
        var webhooks: WebhookCarrier?
        var mcp: MCPEndpoint?
        var upkeep: Task<Void, Never>?
        var retention: [Task<Void, Never>] = []
        var trail: StoreAuditTrail?
        var signer: AuditSigner?
        var auditing: [Task<Void, Never>] = []
        var traces: TraceSending?
        var tls: TLSDoor?
        var certificateWatch: Task<Void, Never>?
    }
    private let parts: Mutex<Parts>
    private let listeners: [Listener]
    private let logger: Logger

    /// The tenant of every request while there is only one, and the operator's when there are more.
    private static let tenant = TenantID.standard
    private static let readerCheckSeconds = 30
    /// Every five minutes.
    private static let usedQueriesTurns = 10
    /// Every hour.
    private static let expiryTurns = 120

    /// Starts everything and returns when requests are accepted.
    ///
    /// - Parameter models: nil loads those of the configured folder; a test may bring its own.
    /// - Throws: one line that says what to do: `.invalid` (a setting), `.conflict` (a port is taken, another process has the data
    ///   folder), `.damaged` (the store), `.unavailable` (model folder, permissions).
    public static func start(_ configuration: ServerConfiguration, models: Models? = nil) async throws -> Server {
        try configuration.validate()
        var parts = Parts()
        do {
            return try await start(configuration, models: models, &parts)
        } catch {
            await stop(&parts)
            throw error
        }
    }

    private static func start(_ configuration: ServerConfiguration, models given: Models?, _ parts: inout Parts) async throws -> Server {
        let started = ContinuousClock.now
        let logger = Logger(label: "contex.server")
        Allocator.begin()
        let models: Models
        var model = "given by the caller"
        if let given {
            models = given
        } else {
            let folder = try await ModelFolder.load(configuration)
            models = folder.models
            model = "\(folder.identity) on \(folder.kernels)"
            parts.closeModels = folder.close
        }

        var databaseConfiguration = configuration.database
        let webhooks = configuration.webhooks ? try configuration.webhookConfiguration : nil
        databaseConfiguration.webhookTargets = webhooks?.allow
        let database = try Database(configuration: databaseConfiguration, models: models)
        parts.database = database
        parts.traces = try TraceSending.begin(configuration, database)
        let meter: any Meter = configuration.rateLimit ?? configuration.authenticationRequired ? RateMeter(book: database.rateBook) : NoMeter()
        var audit: any AuditTrail = NoAuditTrail()
        var system: Attribution?
        if configuration.audit ?? configuration.authenticationRequired {
            let trail = StoreAuditTrail(database: database, tenant: tenant, keptDays: configuration.auditDays)
            system = trail.server(action: "start")
            let key = SecretFile(
                path: configuration.dataFolder + "/audit-key", name: "signing key of the audit trail",
                whenMissing: "Checkpoints are signed with it: restore it from its backup.")
            let signer = try AuditSigner(database: database, tenant: tenant, key: key, path: configuration.auditCheckpoints)
            (parts.trail, parts.signer) = (trail, signer)
            parts.auditing = [Task { await trail.run() }, Task { await signer.run() }]
            audit = trail
        }
        let issued = try await Attribution.$current.withValue(system) {
            try await database.setTenancy(configuration.multiTenant)
            return try await database.bootstrapKey(tenant, name: configuration.bootstrapName, given: configuration.bootstrapKey)
        }
        let hub = ChannelHub()
        database.setSink(ChannelSink(hub: hub), for: .redis)
        database.setListening { [hub] in hub.hasListeners(on: $0) }
        if let webhooks {
            let carrier = WebhookCarrier(
                configuration: webhooks, source: StoredDeliveries(database), eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "contex.webhooks"),
                tracer: database.tracer,
                mayBeTold: { [weak database] target in
                    target.project.map { database?.mayBeTold(key: target.key, of: $0) ?? false } ?? true
                })
            database.setCarrier(carrier)
            database.keyRing.observe { [weak carrier] in carrier?.keysChanged() }
            parts.webhooks = carrier
            try await carrier.start()
        }
        let operations = Operations(
            database: database, authenticationRequired: configuration.authenticationRequired, inflightBytesMax: configuration.inflightBytesMax,
            meter: meter, audit: audit, signer: parts.signer)
        operations.slowLog.set(milliseconds: configuration.slowMilliseconds, texts: configuration.logTexts)
        (parts.operations, parts.drainSeconds) = (operations, configuration.drainSeconds)
        let registry = operations.registry
        Measuring.begin(registry, dataFolder: configuration.dataFolder, model: model)
        Measuring.watchDisk(configuration.dataFolder, operations)
        Measuring.measure(parts.traces, database.tracer, registry)
        if let carrier = parts.webhooks { Measuring.measure(carrier, registry) }
        var tls: TLSDoor?
        if let settings = configuration.tls {
            let door = try TLSDoor(settings, logger: Logger(label: "contex.tls"))
            (tls, parts.tls) = (door, door)
            parts.certificateWatch = Task { await door.watch() }
        }
        Measuring.measure(tls, registry)
        try operations.certificateKeys.set(configuration.tlsClientMap)
        let unconfirmed = configuration.authenticationRequired ? try await database.unconfirmedKeys(tenant) : []
        let lacksAdministrator = configuration.authenticationRequired && database.keyRing.administrators == 0
        let demoPublished = configuration.demo ? try await Demo.publish(into: database, tenant: tenant) : false

        var resp: Address? = nil
        if let port = configuration.respPort {
            let hosts = ServerConfiguration.addresses(of: configuration.respAddress)
            let listener = RESPServer(
                operations: operations, hub: hub, configuration: RESPServerConfiguration(hosts: hosts, port: port),
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton, tls: configuration.speaksTLS(.resp) ? tls : nil, logger: quiet("contex.resp"))
            Measuring.measure(listener, registry)
            resp = Address(host: hosts[0], port: try await listener.start())
            parts.resp = listener
        }
        var wire: Address? = nil
        if let port = configuration.wirePort {
            let hosts = ServerConfiguration.addresses(of: configuration.wireAddress)
            let door = WireServer(
                operations: operations,
                configuration: WireServerConfiguration(server: "contex/\(Version.current)", messageBytesMax: configuration.bodyBytesMax),
                tls: configuration.speaksTLS(.wire) ? tls : nil, logger: quiet("contex.wire"))
            Measuring.measure(door, registry)
            let listeners = try await Listener.start(
                hosts: hosts, port: port, setting: "wire-port", stopSeconds: configuration.stopSeconds, logger: quiet("contex.wire")
            ) { host, port, bound in door.service(on: (host, port)) { await bound($0) } }
            parts.listeners += listeners
            wire = Address(host: hosts[0], port: listeners[0].port)
        }
        var metrics: Address? = nil
        if let port = configuration.metricsPort {
            let hosts = ServerConfiguration.addresses(of: configuration.metricsHost)
            let door = MetricsDoor(operations: operations, tls: configuration.speaksTLS(.metrics) ? tls : nil)
            let listeners = try await Listener.start(
                hosts: hosts, port: port, setting: "metrics-port", stopSeconds: 1, logger: quiet("contex.metrics")
            ) { host, port, bound in door.service(on: (host, port)) { await bound($0) } }
            parts.metricsListeners = listeners
            metrics = Address(host: hosts[0], port: listeners[0].port)
        }
        let mcp = MCPEndpoint(operations: operations, version: Version.current)
        parts.mcp = mcp
        // Last: whoever is answered by its health finds the other doors open.
        var http: Address? = nil
        if let port = configuration.httpPort {
            let hosts = ServerConfiguration.addresses(of: configuration.httpHost)
            let api = HTTPAPIServer(
                operations: operations, configuration: configuration.httpAPI(host: hosts[0], port: port), guest: mcp.guest,
                tls: configuration.speaksTLS(.http) ? tls : nil, logger: quiet("contex.http"))
            let listeners = try await Listener.start(
                hosts: hosts, port: port, setting: "http-port", stopSeconds: configuration.stopSeconds, logger: quiet("contex.http")
            ) { host, port, bound in api.service(on: (host, port)) { await bound($0) } }
            parts.listeners += listeners
            http = Address(host: hosts[0], port: listeners[0].port)
        }
        parts.retention = Retaining.begin(
            database, minutes: configuration.retentionMinutes, attribution: parts.trail?.server(action: "retention"), logger: logger)
        parts.retention.append(Scrubbing.begin(database, operations, configuration, logger))
        let inboxDays = configuration.inboxDays
        parts.upkeep = Task { [weak database] in
            for tenant in database?.tenants.numbers ?? [] { await database?.warmUsedQueries(tenant) }
            var turn = 0
            while (try? await Task.sleep(for: .seconds(readerCheckSeconds))) != nil {
                database?.clearDeadReaders()
                turn += 1
                if turn % usedQueriesTurns == 0 { await database?.keepUsedQueries() }
                do {
                    try await database?.eraseRemovedTenants()
                    for tenant in database?.tenants.numbers ?? [] { try await database?.dropAbandonedParts(tenant) }
                } catch {
                    logger.warning("records of removed tenants, or parts of imports that were cut off, stay for now", metadata: ["reason": "\(error)"])
                }
                if turn % expiryTurns == 0 {
                    do {
                        for tenant in database?.tenants.numbers ?? [] { try await database?.expireInboxes(tenant, days: inboxDays) }
                    } catch {
                        logger.warning("old entries of inboxes stay", metadata: ["reason": "\(error)"])
                    }
                }
            }
        }

        logger.info(
            "started",
            metadata: [
                "http": "\(http?.description ?? "off")", "wire": "\(wire?.description ?? "off")", "resp": "\(resp?.description ?? "off")",
                "metrics": "\(metrics?.description ?? "off")",
                "data": "\(configuration.dataFolder)",
                "model": "\(model)", "authentication": "\(configuration.authenticationRequired ? "on" : "off")",
                "tls": "\(tls == nil ? "off" : configuration.tlsDoors.map(\.rawValue).joined(separator: ","))",
                "seconds": "\(Double((ContinuousClock.now - started) / .milliseconds(1)).rounded() / 1_000)",
            ])
        if !configuration.authenticationRequired && !configuration.bindsLoopbackOnly {
            logger.warning("authentication is off and other machines can reach this server: everybody may do everything")
        }
        if let host = configuration.plainHosts.first {
            logger.warning(
                "what goes to this server can be read on the way, API keys too: give it a certificate (CONTEX_TLS_CERT), or put what ends TLS in front of it",
                metadata: ["address": "\(host)"])
        }
        for key in unconfirmed {
            logger.warning(
                "API key is not valid: it was made, or its role changed, while authentication was off; confirm or revoke it",
                metadata: [
                    "key": "\(key.record.keyID)", "name": "\(key.record.name)", "made": "\(key.record.createdAt.iso8601)", "role": "\(key.role.rawValue)",
                    "projects": "\(key.projects.isAll ? "all" : key.projects.projects.joined(separator: ","))",
                    "command": "contex keys confirm \(key.record.keyID)",
                ])
        }
        if lacksAdministrator {
            logger.warning("no valid API key has the role admin on all projects: confirm one with the server stopped (contex keys confirm)")
        }
        for remark in database.folderRemarks { logger.warning("\(remark)") }
        return Server(
            http: http, resp: resp, wire: wire, metrics: metrics, bootstrapKey: configuration.bootstrapKey == nil ? issued?.text : nil,
            demoPublished: demoPublished, unconfirmedKeys: unconfirmed, lacksAdministrator: lacksAdministrator, parts: parts, logger: logger)
    }

    private init(
        http: Address?, resp: Address?, wire: Address?, metrics: Address?, bootstrapKey: String?, demoPublished: Bool, unconfirmedKeys: [HeldKey],
        lacksAdministrator: Bool, parts: Parts, logger: Logger
    ) {
        self.http = http
        self.resp = resp
        self.wire = wire
        self.metrics = metrics
        self.bootstrapKey = bootstrapKey
        self.demoPublished = demoPublished
        self.unconfirmedKeys = unconfirmedKeys
        self.lacksAdministrator = lacksAdministrator
        listeners = parts.listeners
        self.parts = Mutex(parts)
        self.logger = logger
    }

    /// The libraries' own words matter when something is wrong only.
    private static func quiet(_ label: String) -> Logger {
        var logger = Logger(label: label)
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }

    /// Who answers messages of MCP that come by another way than HTTP; nil once it stops.
    public var mcp: MCPEndpoint? { parts.withLock { $0.mcp } }

    /// Returns when a listener has ended: nil after `stop`, else what it failed with.
    public func end() async -> (any Error)? {
        await withTaskGroup(of: (any Error)?.self) { group in
            for listener in listeners { group.addTask { await listener.end() } }
            for await error in group { if let error { return error } }
            return nil
        }
    }

    /// What it measures; none once it is stopped.
    public var measures: [MeasureDescription] { parts.withLock { $0.operations }?.registry.families.map(\.description) ?? [] }

    /// Takes what of the settings can change while it runs: what is logged, what is slow, and for which keys certificates stand; and the
    /// certificate, when its files have changed. Blocks for a moment.
    public func take(_ configuration: ServerConfiguration) {
        LogLevels.shared.general = configuration.logLevel
        let (operations, tls) = parts.withLock { ($0.operations, $0.tls) }
        operations?.slowLog.set(milliseconds: configuration.slowMilliseconds, texts: configuration.logTexts)
        do {
            try operations?.certificateKeys.set(configuration.tlsClientMap)
        } catch {
            logger.error("for which keys certificates stand stays as it was", metadata: ["reason": "\(error.message)"])
        }
        tls?.reload()
        logger.notice("settings read again", metadata: ["level": "\(configuration.logLevel)", "slow_ms": "\(configuration.slowMilliseconds)"])
    }

    /// Accepts nothing more, finishes what runs (for the configured time at most), commits and closes. When this returns the
    /// data folder is free for the next. A second call does nothing.
    public func stop() async {
        var open = parts.withLock { parts in
            defer { parts = Parts() }
            return parts
        }
        guard open.database != nil else { return }
        logger.info("stopping")
        open.operations?.beginDraining()
        if open.drainSeconds > 0 { try? await Task.sleep(for: .seconds(open.drainSeconds)) }
        await Self.stop(&open)
        logger.info("stopped")
    }

    private static func stop(_ parts: inout Parts) async {
        let listeners = parts.listeners
        await withTaskGroup { group in
            for listener in listeners { group.addTask { await listener.stop() } }
        }
        for listener in parts.metricsListeners { await listener.stop() }
        parts.certificateWatch?.cancel()
        for task in parts.retention + [parts.upkeep].compactMap({ $0 }) { task.cancel() }
        for task in parts.retention + [parts.upkeep].compactMap({ $0 }) { await task.value }
        // What was refused last is written down too, and then signed.
        for task in parts.auditing { task.cancel() }
        for task in parts.auditing { await task.value }
        await parts.trail?.flush(isLast: true)
        await parts.signer?.sign()
        // Before the store, which is told what became of the last tries; what was not delivered is due after the next start.
        await parts.webhooks?.shutdown()
        await parts.traces?.end()
        await parts.database?.close()
        // After the last commit, so that its messages still go out.
        await parts.resp?.stop()
        parts.closeModels?()
        weak let database = parts.database
        parts = Parts()
        // The store is unlocked when its last user is gone; a task that has just ended may still be letting go of it.
        for _ in 0..<200 where database != nil { try? await Task.sleep(for: .milliseconds(5)) }
    }
}

extension ServerConfiguration {
    var database: DatabaseConfiguration {
        var database = DatabaseConfiguration(directory: dataFolder)
        database.threshold = threshold
        database.matchesMax = matchesMax
        database.contextTokensMax = contextTokensMax
        database.mode = hybridSearch ? .hybrid : .semantic
        database.journal = journal
        database.rates = rates
        database.answerCacheBytes = answerCacheBytes
        database.retention = RetentionRule(eventDays: retentionEventDays, eventsMax: retentionEventsMax, agentDays: retentionAgentDays)
        database.tokenSecret = tokenSecret
        return database
    }

    fileprivate var webhookConfiguration: WebhookConfiguration {
        get throws(ContexError) {
            var webhooks = WebhookConfiguration()
            webhooks.drainTime = .seconds(min(10, stopSeconds))
            webhooks.timeout = .seconds(webhookTimeoutSeconds)
            webhooks.retry = RetryPolicy(attempts: webhookTries, ladder: webhookWaits.map { .microseconds(Int64($0 * 1_000_000)) })
            if let webhookAllow {
                do throws(ContexError) {
                    webhooks.allow = try AddressPolicy.parse(webhookAllow)
                } catch {
                    throw ContexError(.invalid, "CONTEX_WEBHOOK_ALLOW: \(error.message)")
                }
            } else if bindsLoopbackOnly && !authenticationRequired {
                // With keys there are people who may register an agent and may not reach this machine's ports.
                webhooks.allow = .loopback
            }
            return webhooks
        }
    }

    fileprivate func httpAPI(host: String, port: Int) -> HTTPAPIConfiguration {
        HTTPAPIConfiguration(
            host: host, port: port, bodyBytesMax: bodyBytesMax, idleTimeout: .seconds(idleSeconds), allowedHosts: allowedHosts,
            corsOrigins: corsOrigins, corsCredentials: corsCredentials, hsts: hsts)
    }
}
