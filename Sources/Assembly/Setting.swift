// The one table of settings. Flags, environment variables, lines of the configuration file, the help text and
// docs/settings.md are all read off it.

internal import Base
internal import Embedding
internal import Journal
internal import Logging
internal import Rates
internal import Service
internal import TLS

/// One thing that an operator can choose: what it is called and how its text is read.
public struct Setting: Sendable {
    /// Of the environment variable and of the file's line.
    public let name: String
    /// The names that the original gave it; `name` goes before them.
    public let aliases: [String]
    /// Without the two dashes; nil for a secret, which has no place in a command line that every process can read.
    public let flag: String?
    /// What stands for the value in the help; nil for a switch, whose flag alone means true and which takes true or false as well.
    public let placeholder: String?
    public let meaning: String
    /// The default as text.
    public let standard: String
    /// What a good value is, for the one who gave a bad one.
    let expected: String
    /// False: the text is no such value.
    let set: @Sendable (inout ServerConfiguration, String) -> Bool

    private init<Value>(
        _ name: String, also aliases: [String] = [], flag: String?, value placeholder: String? = nil,
        _ place: any WritableKeyPath<ServerConfiguration, Value> & Sendable, _ kind: Kind<Value>, _ meaning: String
    ) {
        self.name = "CONTEX_" + name
        self.aliases = aliases
        self.flag = flag
        self.placeholder = placeholder
        self.meaning = meaning
        standard = kind.show(ServerConfiguration()[keyPath: place])
        expected = kind.expected
        let read = kind.read
        set = { configuration, text in
            guard let value = read(text) else { return false }
            configuration[keyPath: place] = value
            return true
        }
    }

    public static let all: [Setting] = [
        Setting(
            "DATA_DIR", flag: "data-dir", value: "FOLDER", \.dataFolder, .text,
            "where everything is kept; made when missing"),
        Setting(
            "MODEL_DIR", flag: "model-dir", value: "FOLDER", \.modelFolder, .text,
            "the embedding model and the token ranks (tools/setup fetches them)"),
        Setting("DEMO", flag: "demo", \.demo, .boolean, "publish a small demo project when there is none"),

        Setting(
            "HTTP_HOST", flag: "http-host", value: "ADDRESS", \.httpHost, .text,
            "address of the HTTP API; localhost: 127.0.0.1 and, where there is one, ::1"),
        Setting(
            "HTTP_PORT", flag: "http-port", value: "PORT|off", \.httpPort, .port,
            "port of the HTTP API; 0 takes a free one"),
        Setting(
            "RESP_HOST", flag: "resp-host", value: "ADDRESS", \.respHost, .optionalText("that of HTTP"),
            "address of the Redis protocol"),
        Setting(
            "RESP_PORT", flag: "resp-port", value: "PORT|off", \.respPort, .port,
            "port of the Redis protocol; 0 takes a free one"),
        Setting(
            "WIRE_HOST", flag: "wire-host", value: "ADDRESS", \.wireHost, .optionalText("that of HTTP"),
            "address of the binary protocol"),
        Setting(
            "WIRE_PORT", flag: "wire-port", value: "PORT|off", \.wirePort, .port,
            "port of the binary protocol; 0 takes a free one"),
        Setting(
            "METRICS_HOST", flag: "metrics-host", value: "ADDRESS", \.metricsHost, .text,
            "address of the port for measures and health"),
        Setting(
            "METRICS_PORT", flag: "metrics-port", value: "PORT|off", \.metricsPort, .port,
            "a port for /metrics and /health/... that asks for no key; 0 takes a free one"),
        Setting(
            "INSECURE_BIND", flag: "insecure-bind", \.insecureBind, .boolean,
            "bind other addresses than loopback though authentication is off"),
        Setting(
            "TLS_CERT", flag: "tls-cert", value: "FILE", \.tlsCertificate, .optionalFile("none: without TLS"),
            "certificate of this server and those that lead to its root, in PEM; read again when the file changes"),
        Setting(
            "TLS_KEY", flag: "tls-key", value: "FILE", \.tlsKey, .optionalFile("none"),
            "its private key, in PEM and not encrypted"),
        Setting(
            "TLS_MIN", flag: "tls-min", value: "1.2|1.3", \.tlsLeast, .oneOf("1.2 or 1.3"),
            "least version of TLS"),
        Setting(
            "TLS_CLIENT_CA", flag: "tls-client-ca", value: "FILE", \.tlsClientAuthority, .optionalFile("clients show no certificates"),
            "whose client certificates are good, in PEM"),
        Setting(
            "TLS_CLIENT", flag: "tls-client", value: "RULE", \.tlsClient, .optionalOneOf("optional or required", "required with --tls-client-ca"),
            "whether a client must show a certificate"),
        Setting(
            "TLS_CLIENT_MAP", flag: "tls-client-map", value: "MAP", \.tlsClientMap, .certificateMap,
            "for which API keys client certificates stand: dns:NAME=KEYID, uri:, email: or cn: (with commas)"),
        Setting(
            "TLS_DOORS", flag: "tls-doors", value: "DOORS", \.tlsDoors, .doors,
            "ports that speak TLS when there is a certificate"),
        Setting(
            "TLS_RELOAD_SECONDS", flag: "tls-reload-seconds", value: "SECONDS", \.tlsReloadSeconds, .integer(1...86_400),
            "how often the files are looked at; SIGHUP does it at once"),
        Setting(
            "ALLOW_PLAINTEXT", flag: "allow-plaintext", value: "BOOL|auto", \.allowsPlainText, .automatic,
            "bind other addresses than loopback without TLS; auto: while there is no certificate"),
        Setting(
            "MAX_BODY_BYTES", flag: "max-body-bytes", value: "BYTES", \.bodyBytesMax, .integer(1_024...Limits.bodyBytesMost),
            "largest request body, and message of the binary protocol"),
        Setting(
            "MAX_INFLIGHT_BYTES", flag: "max-inflight-bytes", value: "BYTES", \.inflightBytesMax, .integer((16 << 20)...(1 << 40)),
            "memory that all requests may hold together, with what is made of their bodies; one address or key has half of it at most"),
        Setting(
            "IDLE_TIMEOUT", flag: "idle-timeout", value: "SECONDS", \.idleSeconds, .integer(1...86_400),
            "an HTTP connection idle for so long is closed"),
        Setting(
            "ALLOWED_HOSTS", flag: "allowed-hosts", value: "HOSTS", \.allowedHosts, .hosts,
            "names that requests may call the server by, beside localhost and its own address (*.domain for all under it, * for any, with commas)"),
        Setting(
            "CORS_ORIGINS", also: ["CORS_ORIGINS"], flag: "cors-origins", value: "ORIGINS", \.corsOrigins, .origins,
            "origins of web pages of others that may call (https://page.example, or * for any, then without credentials; with commas)"),
        Setting(
            "CORS_ALLOW_CREDENTIALS", also: ["CORS_ALLOW_CREDENTIALS"], flag: "cors-allow-credentials", value: "BOOL",
            \.corsCredentials, .boolean, "whether those pages may send credentials"),
        Setting(
            "ENABLE_HSTS", also: ["ENABLE_HSTS"], flag: "enable-hsts", value: "BOOL", \.hsts, .boolean,
            "tell browsers that came by https to keep to it"),

        Setting(
            "AUTH_ENABLED", also: ["AUTH_ENABLED"], flag: "auth", \.authenticationRequired, .boolean,
            "ask for an API key"),
        Setting(
            "BOOTSTRAP_ADMIN_KEY", also: ["BOOTSTRAP_ADMIN_KEY"], flag: nil, value: "KEY",
            \.bootstrapKey, .optionalText("made and printed once"),
            "the first admin key, for a store without keys: 16 characters or more, 8 of them different"),
        Setting(
            "BOOTSTRAP_ADMIN_NAME", also: ["BOOTSTRAP_ADMIN_NAME"], flag: "bootstrap-admin-name", value: "NAME", \.bootstrapName, .text,
            "its name"),
        Setting(
            "MULTI_TENANT_ENABLED", also: ["MULTI_TENANT_ENABLED"], flag: "multi-tenant", \.multiTenant, .boolean,
            "several tenants, each with keys, projects and quotas of its own; a request is its key's tenant's, else that of X-Tenant-ID or /t/<tenant>/"),

        Setting(
            "SERVICE_ACCOUNT_JWT_SECRET", also: ["SERVICE_ACCOUNT_JWT_SECRET"], flag: nil, value: "SECRET",
            \.tokenSecret, .optionalText("none: EdDSA, with a key that is made in the data folder"),
            "tokens of service accounts are signed with it (HS256): 32 bytes or more"),

        Setting(
            "RATE_LIMIT_ENABLED", also: ["RATE_LIMIT_ENABLED"], flag: "rate-limit", value: "BOOL|auto", \.rateLimit, .automatic,
            "limit how often a key may ask; auto: while authentication is on"),
        Setting(
            "RATE_LIMIT_PUBLISH", flag: "rate-limit-publish", value: "RATE", \.rates[.publish], .rate,
            "publishes, deletes and imports a minute, of a key in a project; a batch counts as its items"),
        Setting(
            "RATE_LIMIT_REGISTER", flag: "rate-limit-register", value: "RATE", \.rates[.register], .rate,
            "registrations and removals of agents a minute, of a key"),
        Setting(
            "RATE_LIMIT_QUERY", flag: "rate-limit-query", value: "RATE", \.rates[.query], .rate,
            "queries a minute, of a key in a project; a batch counts as its queries"),
        Setting(
            "RATE_LIMIT_ADMINISTRATION", flag: "rate-limit-administration", value: "RATE", \.rates[.administration], .rate,
            "requests about keys, roles, settings, endpoints, limits and audit a minute, of a key"),
        Setting(
            "RATE_LIMIT_OTHER", flag: "rate-limit-other", value: "RATE", \.rates[.other], .rate,
            "other requests (listings, events, inboxes) a minute, of a key"),
        Setting(
            "AUDIT", flag: "audit", value: "BOOL|auto", \.audit, .automatic,
            "write down who changed what, and what was refused; auto: while authentication is on"),
        Setting(
            "AUDIT_RETENTION_DAYS", also: ["AUDIT_RETENTION_DAYS"], flag: "audit-retention-days", value: "DAYS", \.auditDays, .integer(1...36_500),
            "audit records older than this go as new ones come"),
        Setting(
            "AUDIT_CHECKPOINTS", flag: "audit-checkpoints", value: "FILE", \.auditCheckpoints, .optionalText("only the log has them"),
            "file that signed checkpoints of the audit trail are put at the end of, every minute and every thousand records"),

        Setting(
            "SIMILARITY_THRESHOLD", also: ["SIMILARITY_THRESHOLD"], flag: "similarity-threshold", value: "0...1", \.threshold, .fraction,
            "least similarity of a match"),
        Setting(
            "MAX_MATCHES", also: ["MAX_MATCHES"], flag: "max-matches", value: "COUNT", \.matchesMax, .integer(1...100),
            "matches of each need at a registration"),
        Setting(
            "MAX_CONTEXT_SIZE", also: ["MAX_CONTEXT_SIZE"], flag: "max-context-size", value: "TOKENS",
            \.contextTokensMax, .integer(1...10_000_000), "size of an agent's initial context"),
        Setting(
            "HYBRID_SEARCH_ENABLED", also: ["HYBRID_SEARCH_ENABLED"], flag: "hybrid-search", value: "BOOL", \.hybridSearch, .boolean,
            "score by meaning and words; false: by meaning alone"),
        Setting(
            "COMPUTE_THREADS", also: ["CONTEX_EMBEDDING_THREADS"], flag: "compute-threads", value: "COUNT", \.computeThreads,
            .integer(1...256, shown: "one per processor"), "threads of the embedding model"),
        Setting(
            "EMBEDDING_PRECISION", flag: "embedding-precision", value: "PRECISION", \.embeddingPrecision, .precision,
            "arithmetic of the embedding model for what is published; float32 takes 2.6 times as long; questions and needs are always in float32"),
        Setting(
            "EMBEDDING_CACHE_BYTES", flag: "embedding-cache-bytes", value: "BYTES", \.embeddingCacheBytes, .integer(0...(1 << 40)),
            "memory for vectors of texts asked for before, 1.9 kB for a short one"),
        Setting(
            "ANSWER_CACHE_BYTES", flag: "answer-cache-bytes", value: "BYTES", \.answerCacheBytes, .integer(0...(1 << 40)),
            "memory for answers of queries, about: who asks the same of a project that has not changed is answered from it; 0: none"),
        Setting(
            "EMBEDDING_CACHE_SECONDS", flag: "embedding-cache-seconds", value: "SECONDS", \.embeddingCacheSeconds,
            .integer(0...31_536_000), "after so long such a vector is computed anew"),

        Setting(
            "WEBHOOKS_ENABLED", also: ["WEBHOOKS_ENABLED"], flag: "webhooks", value: "BOOL", \.webhooks, .boolean,
            "deliver to the webhooks of agents"),
        Setting(
            "WEBHOOK_ALLOW", flag: "webhook-allow", value: "NETWORKS", \.webhookAllow, .optionalText("loopback while bound to loopback without authentication"),
            "networks beside the public ones that webhooks may go to (CIDR, with commas)"),
        Setting(
            "WEBHOOK_TIMEOUT", also: ["WEBHOOK_TIMEOUT"], flag: "webhook-timeout", value: "SECONDS", \.webhookTimeoutSeconds, .integer(1...60),
            "time for one try to deliver to the webhook of an agent; endpoints have their own"),
        Setting(
            "WEBHOOK_MAX_RETRIES", also: ["WEBHOOK_MAX_RETRIES"], flag: "webhook-tries", value: "COUNT", \.webhookTries, .integer(1...100),
            "tries of one message to the webhook of an agent, the first included; endpoints have their own"),
        Setting(
            "WEBHOOK_WAITS", flag: "webhook-waits", value: "SECONDS", \.webhookWaits, .waits,
            "waits after the first failed try of a webhook, the second, ...; the last one again after every further one"),

        Setting(
            "JOURNAL", flag: "journal", value: "WINDOW", \.journal, .window,
            "for how long the commands that changed the store are kept, for followers and backups: off, keep:<bytes> (keep:2GiB) or keep:<days> (keep:7d)"),

        Setting(
            "INBOX_DAYS", flag: "inbox-days", value: "DAYS", \.inboxDays, .integer(1...36_500),
            "entries of agents' inboxes that nobody acknowledged for so long are let go"),

        Setting(
            "RETENTION", flag: "retention", value: "off|on|MINUTES", \.retentionMinutes, .interval,
            "trim the logs of projects as their rules say, every so many minutes (on: 60); off: only when somebody asks (contex retention run)"),
        Setting(
            "RETENTION_EVENTS_TTL_DAYS", also: ["RETENTION_EVENTS_TTL_DAYS"], flag: "retention-events-ttl-days", value: "DAYS", \.retentionEventDays,
            .integer(0...Limits.retentionDays), "events older than this are trimmed when retention runs; 0: none for its age"),
        Setting(
            "RETENTION_MAX_EVENTS_PER_PROJECT", also: ["RETENTION_MAX_EVENTS_PER_PROJECT"], flag: "retention-max-events-per-project", value: "COUNT",
            \.retentionEventsMax, .integer(0...Limits.retentionEvents), "so many events, the newest, are kept when retention runs; 0: all"),
        Setting(
            "RETENTION_AGENT_INACTIVE_DAYS", also: ["RETENTION_AGENT_INACTIVE_DAYS"], flag: "retention-agent-inactive-days", value: "DAYS",
            \.retentionAgentDays, .integer(0...Limits.retentionDays), "agents that nobody has heard of for so long are removed when retention runs; 0: none"),

        Setting(
            "SCRUB_HOURS", flag: "scrub-hours", value: "HOURS", \.scrubHours, .integer(0...8_760),
            "everything that is stored is read and held against its checksums, again so many hours after the last time; 0: never by itself"),
        Setting(
            "SCRUB_MIB_PER_SECOND", flag: "scrub-mib-per-second", value: "MIB", \.scrubMebibytes, .integer(1...10_000),
            "how fast that is read at most; it takes a tenth of one core at most"),

        Setting(
            "LOG_LEVEL", also: ["LOG_LEVEL"], flag: "log-level", value: "LEVEL", \.logLevel, .level,
            "trace, debug, info, notice, warning, error or critical"),
        Setting(
            "LOG_JSON", also: ["LOG_JSON"], flag: "log-json", value: "BOOL|auto", \.logJSON, .automatic,
            "JSON lines on standard error; auto: unless it is a terminal"),
        Setting(
            "SLOW_MS", flag: "slow-ms", value: "MILLISECONDS", \.slowMilliseconds, .integer(0...3_600_000),
            "an operation that takes so long is logged, with the stages of a query; 0: none"),
        Setting(
            "LOG_TEXTS", flag: "log-texts", value: "BOOL", \.logTexts, .boolean,
            "whether the log may have the texts of slow queries"),
        Setting(
            "TRACES_ENDPOINT", also: ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"], flag: "traces-endpoint", value: "URL",
            \.tracesEndpoint, .optionalText("off"), "collector that traces are sent to, by OTLP over HTTP in JSON: http://127.0.0.1:4318"),
        Setting(
            "TRACES_SHARE", also: ["OTEL_TRACES_SAMPLER_ARG"], flag: "traces-share", value: "SHARE", \.tracesShare, .fraction,
            "which share of the traces that begin here is kept; of others the caller decides"),
        Setting(
            "TRACES_HEADERS", also: ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"], flag: nil, value: "HEADERS",
            \.tracesHeaders, .optionalText("none"), "headers for the collector: name=value,name=value"),
        Setting(
            "TRACES_SERVICE", also: ["OTEL_SERVICE_NAME"], flag: "traces-service", value: "NAME", \.tracesService, .text,
            "what traces call this server"),
        Setting(
            "DRAIN_SECONDS", flag: "drain-seconds", value: "SECONDS", \.drainSeconds, .integer(0...3_600),
            "when the server is told to stop it says for so long that it is not ready, and still answers"),
        Setting(
            "STOP_SECONDS", flag: "stop-seconds", value: "SECONDS", \.stopSeconds, .integer(0...3_600),
            "time that running requests get when the server stops"),
    ]

    /// How a value is read from text and shown as one.
    fileprivate struct Kind<Value>: Sendable {
        let expected: String
        let read: @Sendable (String) -> Value?
        let show: @Sendable (Value) -> String
    }

    // MARK: - The table as text

    /// For `contex serve --help`: a flag a line.
    public static var help: String {
        let rows = all.map { setting in
            let left = setting.flag.map { "--\($0) \(setting.placeholder ?? "[BOOL]")" } ?? setting.name
            return (left, setting.meaning + " (\(setting.standard))")
        } + [("--config FILE", "a file of settings, a NAME=value a line")]
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { "  " + $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }.joined(separator: "\n")
    }

    /// For docs/settings.md.
    public static var markdown: String {
        let rows = all.map { setting in
            let names = ([setting.name] + setting.aliases).map { "`\($0)`" }.joined(separator: ", ")
            let flag = setting.flag.map { "`--\($0)`" } ?? ""
            return "| \(flag) | \(names) | \(setting.standard) | \(setting.meaning) |"
        }
        return (["| flag | environment, file | default | meaning |", "|---|---|---|---|"] + rows).joined(separator: "\n") + "\n"
    }
}

// MARK: - Kinds of values

extension Setting.Kind where Value == String {
    /// Of an empty one, which `--data-dir "$UNSET"` gives, nothing good comes: the data would go to the root of the machine.
    static var text: Self { Self(expected: "a text that is not empty", read: { $0.isEmpty ? nil : $0 }, show: { $0 }) }
}

extension Setting.Kind where Value == String? {
    /// - Parameter none: what holds without a value.
    static func optionalText(_ none: String) -> Self { Self(expected: "a text", read: { $0 }, show: { $0 ?? none }) }
}

extension Setting.Kind where Value == String? {
    static func optionalFile(_ none: String) -> Self {
        Self(expected: "the path of a file", read: { $0.isEmpty ? nil : .some($0) }, show: { $0 ?? none })
    }
}

extension Setting.Kind where Value: RawRepresentable & Sendable, Value.RawValue == String {
    static func oneOf(_ expected: String) -> Self { Self(expected: expected, read: { Value(rawValue: $0.lowercased()) }, show: { $0.rawValue }) }
}

extension Setting.Kind where Value == TLSSettings.ClientRule? {
    static func optionalOneOf(_ expected: String, _ none: String) -> Self {
        Self(expected: expected, read: { TLSSettings.ClientRule(rawValue: $0.lowercased()).map { .some($0) } }, show: { $0?.rawValue ?? none })
    }
}

extension Setting.Kind where Value == [CertificateKeys.Entry] {
    static var certificateMap: Self {
        Self(
            expected: "a list of KIND:NAME=KEYID with commas between them, KIND one of dns, uri, email, cn, KEYID the 16 digits that contex keys list shows",
            read: { text in
                let entries = text.settingList
                let read = entries.compactMap { CertificateKeys.Entry($0) }
                return read.count == entries.count ? read : nil
            }, show: { $0.isEmpty ? "none" : $0.map(\.text).joined(separator: ",") })
    }
}

extension Setting.Kind where Value == [ServerConfiguration.Door] {
    static var doors: Self {
        Self(
            expected: "some of \(ServerConfiguration.Door.allCases.map(\.rawValue).joined(separator: ", ")), with commas between them",
            read: { text in
                let entries = text.settingList
                let read = entries.compactMap { ServerConfiguration.Door(rawValue: $0.lowercased()) }
                return read.count == entries.count && !read.isEmpty ? read : nil
            }, show: { $0.map(\.rawValue).joined(separator: ",") })
    }
}

extension Setting.Kind where Value == Bool {
    static var boolean: Self { Self(expected: "true or false", read: { Bool(setting: $0) }, show: { "\($0)" }) }
}

extension Setting.Kind where Value == Bool? {
    static var automatic: Self {
        Self(
            expected: "true, false or auto",
            read: { text in text.lowercased() == "auto" ? .some(nil) : Bool(setting: text).map { .some($0) } },
            show: { $0.map { "\($0)" } ?? "auto" })
    }
}

extension Setting.Kind where Value == Int {
    static func integer(_ range: ClosedRange<Int>, shown: String? = nil) -> Self {
        Self(
            expected: "a whole number from \(range.lowerBound) to \(range.upperBound)",
            read: { text in Int(text).flatMap { range.contains($0) ? $0 : nil } }, show: { shown ?? "\($0)" })
    }
}

extension Setting.Kind where Value == Int? {
    static var port: Self {
        Self(
            expected: "a port from 0 to 65535, or off",
            read: { text in
                if text.lowercased() == "off" { return .some(nil) }
                return Int(text).flatMap { (0...65_535).contains($0) ? .some($0) : nil }
            }, show: { $0.map { "\($0)" } ?? "off" })
    }
}

extension Setting.Kind where Value == Int? {
    static var interval: Self {
        Self(
            expected: "off, on, or a number of minutes from 1 to 527040",
            read: { text in
                switch text.lowercased() {
                case "off", "false", "no": .some(nil)
                case "on", "true", "yes": 60
                default: Int(text).flatMap { (1...527_040).contains($0) ? .some($0) : nil }
                }
            }, show: { $0.map { "\($0)" } ?? "off" })
    }
}

extension Setting.Kind where Value == Int? {
    static var rate: Self {
        Self(
            expected: "a whole number from 0 to \(RateAllowances.most), or unlimited",
            read: { text in
                if text.lowercased() == "unlimited" { return .some(nil) }
                return Int(text).flatMap { (0...RateAllowances.most).contains($0) ? .some($0) : nil }
            }, show: { $0.map { "\($0)" } ?? "unlimited" })
    }
}

extension Setting.Kind where Value == Double {
    static var fraction: Self {
        Self(expected: "a number from 0 to 1", read: { text in Double(text).flatMap { (0...1).contains($0) ? $0 : nil } }, show: { "\($0)" })
    }
}

extension Setting.Kind where Value == JournalWindow {
    private static let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)]

    static var window: Self {
        Self(
            expected: "off, keep: and a number of bytes (keep:268435456, keep:256MiB) from 1 MiB on, or keep: and a number of days (keep:7d)",
            read: { text in
                let text = text.lowercased()
                if text == "off" { return .off }
                guard text.hasPrefix("keep:") else { return nil }
                let amount = text.dropFirst(5)
                if amount.hasSuffix("d") { return Int(amount.dropLast()).flatMap { (1...36_500).contains($0) ? .days($0) : nil } }
                let unit = units.first { amount.hasSuffix($0.0.lowercased()) }
                guard let count = Int(amount.dropLast(unit?.0.count ?? 0)), count > 0, count < 1 << 40 else { return nil }
                let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << (unit?.1 ?? 0))
                return !overflow && bytes >= 1 << 20 ? .bytes(bytes) : nil
            },
            show: { window in
                switch window {
                case .off: "off"
                case .bytes(let bytes): "keep:\(bytes)"
                case .days(let days): "keep:\(days)d"
                case .all: "keep:all"
                }
            })
    }
}

extension Setting.Kind where Value == [Double] {
    static var waits: Self {
        Self(
            expected: "seconds from 0.01 to 604800, with commas between them",
            read: { text in
                let entries = text.settingList
                let waits = entries.compactMap { Double($0) }.filter { (0.01...604_800).contains($0) }
                return waits.isEmpty || waits.count != entries.count ? nil : waits
            }, show: { $0.map { $0 == $0.rounded() ? "\(Int($0))" : "\($0)" }.joined(separator: ",") })
    }
}

extension Setting.Kind where Value == [String] {
    private static func list(expected: String, none: String, _ entry: @escaping @Sendable (String) -> String?) -> Self {
        Self(
            expected: expected + ", with commas between them",
            read: { text in
                let entries = text.settingList
                let read = entries.compactMap(entry)
                return read.count == entries.count ? read : nil
            }, show: { $0.isEmpty ? none : $0.joined(separator: ",") })
    }

    static var hosts: Self {
        list(expected: "names or addresses, without scheme and path", none: "any with authentication, else none") { text in
            text.contains("/") || text.contains(" ") ? nil : text
        }
    }

    /// A slash at the end is common, and no browser sends one.
    static var origins: Self {
        list(expected: "origins as https://page.example:8443 (no path), * or null", none: "none") { text in
            let origin = text.hasSuffix("/") ? String(text.dropLast()) : text
            if origin == "*" || origin == "null" { return origin }
            guard let scheme = origin.firstRange(of: "://"), scheme.lowerBound > origin.startIndex else { return nil }
            let host = origin[scheme.upperBound...]
            return host.isEmpty || host.contains("/") || host.contains(" ") || host.contains("@") ? nil : origin
        }
    }
}

extension Setting.Kind where Value == EmbeddingPrecision {
    static var precision: Self {
        Self(
            expected: "one of \(EmbeddingPrecision.allCases.map(\.rawValue).joined(separator: ", "))",
            read: { EmbeddingPrecision(rawValue: $0.lowercased()) }, show: { $0.rawValue })
    }
}

extension Setting.Kind where Value == Logger.Level {
    static var level: Self {
        Self(
            expected: "one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))",
            // The original's names, which are Python's.
            read: { Logger.Level(rawValue: $0.lowercased() == "warn" ? "warning" : $0.lowercased()) }, show: { $0.rawValue })
    }
}

extension Bool {
    /// The spellings that the original takes.
    init?(setting text: String) {
        switch text.lowercased() {
        case "true", "1", "yes", "on": self = true
        case "false", "0", "no", "off": self = false
        default: return nil
        }
    }
}

extension String {
    fileprivate var settingList: [String] {
        split(separator: ",").map { String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }.filter { !$0.isEmpty }
    }
}
