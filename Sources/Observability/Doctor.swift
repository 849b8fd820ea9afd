// What is wrong, in plain words, and what to do. A rule looks at the measures of a running server, or at the figures of a folder that nobody
// serves; it says one sentence of what it sees and one of what helps, and nothing when all is well.

public struct Diagnosis: Sendable, Equatable {
    public enum Weight: String, Sendable { case broken, warning, note }

    public let weight: Weight
    /// What is seen, with its figures.
    public let finding: String
    /// What to do.
    public let remedy: String
    /// The runbook, under docs/runbooks; nil where the remedy is all.
    public let runbook: String?

    public init(_ weight: Weight, _ finding: String, _ remedy: String, runbook: String? = nil) {
        (self.weight, self.finding, self.remedy, self.runbook) = (weight, finding, remedy, runbook)
    }
}

/// What the doctor knows of a folder that it has looked into.
public struct FolderFigures: Sendable {
    public var fileBytes = 0
    public var freePagesBytes = 0
    public var diskBytes = 0.0
    public var diskFreeBytes = 0.0
    public var readerSlots = 0
    public var hasPepper = true

    public init() {}
}

public enum Doctor {
    private static let mebibyte = 1_048_576.0
    private static func megabytes(_ bytes: Double) -> String { "\(Int(bytes / mebibyte)) MiB" }
    private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }

    /// - Parameter server: its measures, which are counted since it began.
    public static func diagnose(_ server: ExpositionReader) -> [Diagnosis] {
        var found: [Diagnosis] = []
        func mode(_ name: String) -> Bool { server.sum("contex_degraded", where: ["mode": name]) > 0 }
        if mode("read_only") {
            found.append(
                Diagnosis(
                    .broken, "the last commit failed, so writes are refused and reads go on",
                    "make room on the disk of the data folder, or look into the log for what the disk said; the next write that fits ends it",
                    runbook: "disk-full.md"))
        }
        if mode("draining") { found.append(Diagnosis(.note, "the server is stopping", "send requests elsewhere until it is back")) }
        found += disk(server["contex_disk_bytes"] ?? 0, server["contex_disk_free_bytes"] ?? 0)
        found += store(server)
        found += load(server)
        if let seconds = server["contex_tls_certificate_end_seconds"] { found += certificate(endsIn: seconds) }
        if let stale = server["contex_tls_certificate_stale"], stale > 0 {
            found.append(
                Diagnosis(
                    .broken, "the certificate files on the disk cannot be used, and the certificate before goes on until it ends",
                    "the log says which file is wrong: put back what belongs together; it is taken by itself", runbook: "certificate.md"))
        }
        if mode("webhooks_held") {
            found.append(
                Diagnosis(
                    .warning, "\(Int(server["contex_webhook_breakers_open"] ?? 0)) receivers of webhooks are not called for a while",
                    "they failed again and again: look at contex webhook list, and ask whoever runs them; what they miss is kept and sent later",
                    runbook: "webhook-failures.md"))
        }
        let (ended, sent) = (server.sum("contex_webhooks_sent_total"), server.sum("contex_webhooks_sent_total", where: ["status": "success"]))
        if ended >= 20, sent < 0.99 * ended {
            found.append(
                Diagnosis(
                    .warning, "\(percent(1 - sent / ended)) of \(Int(ended)) messages to webhooks were given up",
                    "the log has a line for each, with what the receiver said", runbook: "webhook-failures.md"))
        }
        let refused = server.samples.filter { $0.name == "contex_auth_attempts_total" && $0.labels["status"] == "key_unknown" }.reduce(0) { $0 + $1.value }
        if refused >= 100 {
            found.append(
                Diagnosis(
                    .warning, "\(Int(refused)) requests came with a key that is nobody's",
                    "the log names their addresses (login failed): a client with an old key, or a guess"))
        }
        let damaged = server.sum("contex_errors_total", where: ["code": "data_damaged"])
        if damaged > 0 {
            found.append(
                Diagnosis(
                    .broken, "\(Int(damaged)) requests found stored bytes that fail their seal",
                    "run contex check on the folder, and restore the last good backup if it agrees", runbook: "store-damage.md"))
        }
        let bugs = server.sum("contex_errors_total", where: ["code": "internal_error"])
        if bugs > 0 {
            found.append(Diagnosis(.broken, "\(Int(bugs)) requests failed by a fault of the server's own", "the log has each under its request id: report it"))
        }
        return found
    }

    private static func store(_ server: ExpositionReader) -> [Diagnosis] {
        var found: [Diagnosis] = []
        let oldest = server["contex_snapshot_oldest_seconds"] ?? 0
        if oldest > 60 {
            found.append(
                Diagnosis(
                    .warning, "a snapshot has been open for \(Int(oldest)) s, so the file grows with every write",
                    "something reads for long; if it does not end, start the server anew",
                    runbook: "store-grows.md"))
        }
        found += file(server["contex_store_file_bytes"] ?? 0, server["contex_store_free_bytes"] ?? 0)
        if let map = server["contex_store_map_bytes"], let file = server["contex_store_file_bytes"], map > 0, file > 0.8 * map {
            found.append(
                Diagnosis(
                    .warning, "the data file has \(percent(file / map)) of the size that it cannot grow beyond",
                    "delete what is not needed, or move projects to another server"))
        }
        let reopened = server["contex_store_reopenings_total"] ?? 0
        if reopened > 0 {
            found.append(
                Diagnosis(
                    .warning, "the store was opened anew \(Int(reopened)) times after a write that the disk refused",
                    "look at the disk: its space, its health, its log", runbook: "disk-full.md"))
        }
        return found
    }

    private static func load(_ server: ExpositionReader) -> [Diagnosis] {
        var found: [Diagnosis] = []
        let waiting = server["contex_writer_waiting_commands"] ?? 0
        if waiting > 1_000 {
            found.append(
                Diagnosis(
                    .warning, "\(Int(waiting)) commands wait for the writer",
                    "publishes come faster than the disk takes them: fewer and larger batches, or a faster disk",
                    runbook: "high-latency.md"))
        }
        let texts = server.sum("contex_embedding_waiting_texts", where: ["work": "query"])
        if texts > 50 {
            found.append(
                Diagnosis(
                    .warning, "\(Int(texts)) texts of queries wait for the embedding model",
                    "more processors, or CONTEX_EMBEDDING_CACHE_BYTES where the same is asked again",
                    runbook: "high-latency.md"))
        }
        let memory = server.sum("contex_inflight_waiting_requests")
        if memory > 0 {
            found.append(
                Diagnosis(
                    .warning, "\(Int(memory)) requests wait for memory that others hold",
                    "CONTEX_MAX_INFLIGHT_BYTES is what all have; the largest requests can be sent in parts",
                    runbook: "memory.md"))
        }
        let (count, sum) = (server.sum("contex_query_duration_seconds_count"), server.sum("contex_query_duration_seconds_sum"))
        if count >= 100, sum / count > 0.05 {
            found.append(
                Diagnosis(
                    .warning, "a query takes \(Int(sum / count * 1_000)) ms in the mean",
                    "contex_query_stage_seconds says which stage, and the log has the slow ones (CONTEX_SLOW_MS)", runbook: "high-latency.md"))
        }
        let commits = server.sum("contex_publish_stage_seconds_count", where: ["stage": "commit"])
        let syncs = server.sum("contex_publish_stage_seconds_sum", where: ["stage": "commit"])
        if commits >= 20, syncs / commits > 0.05 {
            found.append(
                Diagnosis(
                    .warning, "a commit takes \(Int(syncs / commits * 1_000)) ms in the mean",
                    "the disk is slow to sync: another one, or one that nobody else writes to",
                    runbook: "high-latency.md"))
        }
        if let open = server["process_open_fds"], let most = server["process_max_fds"], most > 0, open > 0.8 * most {
            found.append(
                Diagnosis(
                    .warning, "\(Int(open)) of \(Int(most)) file descriptors are open",
                    "raise the limit (ulimit -n), or find who keeps connections open"))
        }
        return found
    }

    /// - Parameter endsIn: seconds; below zero once it has.
    public static func certificate(endsIn seconds: Double) -> [Diagnosis] {
        guard seconds < 30 * 86_400 else { return [] }
        let days = Int(abs(seconds) / 86_400)
        return [
            Diagnosis(
                seconds < 0 ? .broken : .warning,
                seconds < 0 ? "the server's certificate ended \(days) days ago: clients refuse it" : "the server's certificate ends in \(days) days",
                "renew it and write the new one over the files of CONTEX_TLS_CERT and CONTEX_TLS_KEY; the server takes them by itself",
                runbook: "certificate.md")
        ]
    }

    private static func disk(_ bytes: Double, _ free: Double) -> [Diagnosis] {
        guard bytes > 0, free < 0.05 * bytes || free < 256 * mebibyte else { return [] }
        return [
            Diagnosis(
                free < 16 * mebibyte ? .broken : .warning, "\(megabytes(free)) of \(megabytes(bytes)) are free on the disk of the data folder",
                "make room before it is full: writes are refused then", runbook: "disk-full.md")
        ]
    }

    private static func file(_ bytes: Double, _ free: Double) -> [Diagnosis] {
        guard bytes > 256 * mebibyte, free > 0.5 * bytes else { return [] }
        return [
            Diagnosis(
                .note, "\(percent(free / bytes)) of the data file are free pages, which the next commits take before the file grows",
                "nothing; a restore of a backup makes a file without them", runbook: "store-grows.md")
        ]
    }

    /// - Parameter folder: of a store that was opened for it.
    public static func diagnose(_ folder: FolderFigures) -> [Diagnosis] {
        var found = disk(folder.diskBytes, folder.diskFreeBytes) + file(Double(folder.fileBytes), Double(folder.freePagesBytes))
        if !folder.hasPepper {
            found.append(
                Diagnosis(
                    .broken, "the file 'pepper' is missing, without which no API key of the store is valid",
                    "bring it back from a backup made with --with-secrets, or issue all keys anew", runbook: "lost-key.md"))
        }
        if folder.readerSlots > 900 {
            found.append(Diagnosis(.warning, "\(folder.readerSlots) of 1022 slots of the reader table have been used", "start the server anew"))
        }
        return found
    }
}
