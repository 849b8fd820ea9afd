// What the parts of a server say of themselves, made into measures and health where all of them are known.

internal import Answers
internal import Base
internal import Measures
internal import Observability
internal import RESPServer
internal import Service
internal import TLS
internal import TraceExport
internal import Traces
internal import Webhooks
internal import WireServer

enum Measuring {
    /// Bytes that are little on any disk, and the part of a disk that is.
    private static let lowBytes = 256.0 * 1_048_576
    private static let lowShare = 0.05

    static func begin(_ registry: MeasureRegistry, dataFolder: String, model: String) {
        ProcessFigures.measure(registry)
        ProcessFigures.measureDisk(dataFolder, registry)
        registry.gauge("contex_memory_usage_bytes", "Memory in use, as process_resident_memory_bytes") { ProcessFigures.residentBytes }
        registry.info("contex_service", "The service, with the version of the API that it answers", [("service", "contex"), ("version", Version.httpAPI)])
        registry.info("contex_build", "This build", [("version", Version.current), ("model", model)])
        LogFigures.shared.measure(registry)
    }

    static func watchDisk(_ folder: String, _ operations: Operations) {
        operations.add(
            HealthProbe(name: "disk") {
                guard let disk = ProcessFigures.disk(folder) else { return ([], nil, nil) }
                let isLow = disk.free < lowBytes || disk.free < lowShare * disk.bytes
                return (
                    [("free_bytes", "\(Int(disk.free))"), ("bytes", "\(Int(disk.bytes))")], isLow ? .diskLow : nil,
                    isLow ? "little is left of the disk of the data folder: when it is full, writes are refused and reads go on" : nil
                )
            })
    }

    static func measure(_ carrier: WebhookCarrier, _ registry: MeasureRegistry) {
        let statistics = { @Sendable in carrier.statistics }
        registry.counters("contex_webhooks_sent", "Messages to webhooks that came to an end, by how", ["status"]) {
            let now = statistics()
            return [(["success"], now.sent), (["failed"], now.failed), (["rejected"], now.rejected), (["refused"], now.refused)]
        }
        registry.counter("contex_webhook_retries", "Tries that were followed by another one") { statistics().retried }
        registry.counter("contex_webhook_notes", "Commands that wrote down what became of deliveries") { statistics().notes }
        registry.gauge("contex_webhook_receivers_waiting", "Receivers that have something to come and are not called") { Double(statistics().waiting) }
        registry.gauge("contex_webhook_receivers_running", "Receivers that are called now") { Double(statistics().running) }
        registry.gauge("contex_webhook_breakers_open", "Receivers that are not called for a while, since they failed again and again") {
            Double(statistics().openBreakers)
        }
    }

    /// - Parameter traces: nil: nobody collects them.
    static func measure(_ traces: TraceSending?, _ tracer: Tracer, _ registry: MeasureRegistry) {
        registry.counter("contex_trace_spans", "Spans that ended in traces that are kept") { tracer.counts.kept }
        registry.counter("contex_trace_spans_dropped", "Spans that no collector took in time") { tracer.counts.dropped }
        registry.gauge("contex_trace_spans_waiting", "Spans that wait to be sent") { Double(tracer.counts.waiting) }
        registry.counter("contex_trace_spans_sent", "Spans that the collector has taken") { traces?.exporter.sentCount ?? 0 }
        registry.counter("contex_trace_export_failures", "Requests that the collector did not take") { traces?.exporter.failureCount ?? 0 }
    }

    /// - Parameter door: nil: there is nothing to tell, and the names are known all the same.
    static func measure(_ door: TLSDoor?, _ registry: MeasureRegistry) {
        registry.gauge("contex_tls_certificate_end_seconds", "Seconds until the certificate of this server ends; below zero once it has") {
            door.map { Double($0.secondsUntilEnd) }
        }
        registry.gauge("contex_tls_certificate_stale", "1 while the files on the disk cannot be used, and the certificate before goes on") {
            door.map { $0.statistics.isStale ? 1 : 0 }
        }
        registry.counters("contex_tls_reloads", "Changes of the certificate files, by what became of them", ["status"]) {
            guard let now = door?.statistics else { return [] }
            return [(["taken"], now.reloads), (["refused"], now.failedReloads)]
        }
        registry.counter("contex_tls_handshakes", "TLS handshakes that succeeded") { door?.statistics.handshakes }
        registry.counters("contex_tls_handshake_failures", "TLS handshakes that did not, by what went wrong", ["reason"]) {
            guard let failures = door?.statistics.failures else { return [] }
            return TLSDoor.Failure.allCases.map { ([$0.rawValue], failures[$0] ?? 0) }
        }
        registry.gauge("contex_tls_handshakes_pending", "Connections whose handshake is not done") { door.map { Double($0.statistics.pending) } }
    }

    static func measure(_ server: WireServer, _ registry: MeasureRegistry) {
        registry.gauge("contex_wire_connections", "Open connections of the binary protocol") { Double(server.statistics.connections) }
        registry.gauge("contex_wire_requests_running", "Requests of the binary protocol that run") { Double(server.statistics.requestsRunning) }
        registry.counter("contex_wire_requests_answered", "Requests of the binary protocol that were answered") { server.statistics.requestsAnswered }
        registry.counter("contex_wire_updates_sent", "Updates that were sent over the binary protocol") { server.statistics.updatesSent }
        registry.counter("contex_wire_slow_readers_cut", "Connections that were closed since they did not read") { server.statistics.slowReadersCut }
    }

    static func measure(_ server: RESPServer, _ registry: MeasureRegistry) {
        registry.gauge("contex_redis_connections", "Open connections of the Redis protocol") { Double(server.statistics.connections) }
        registry.gauge("contex_redis_subscriptions", "Channels and patterns that they listen to") { Double(server.statistics.subscriptions) }
        registry.counter("contex_redis_messages_delivered", "Messages that were handed to them, each subscription once") { server.statistics.messagesDelivered }
        registry.counter("contex_redis_slow_readers_cut", "Connections that were closed since they did not read") { server.statistics.slowReadersCut }
        registry.gauge("contex_redis_unsent_bytes", "Bytes that wait to be sent") { Double(server.statistics.unsentBytes) }
    }
}
