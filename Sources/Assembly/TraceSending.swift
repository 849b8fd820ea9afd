internal import Addresses
internal import Base
internal import Engine
internal import Foundation
internal import Logging
internal import TraceExport
internal import Traces

/// Spans on their way from the server to a collector.
struct TraceSending: Sendable {
    let exporter: TraceExporter
    private let tracer: Tracer
    private let task: Task<Void, Never>

    /// - Returns: nil when there is no collector: then there are no spans.
    static func begin(_ configuration: ServerConfiguration, _ database: Database) throws(ContexError) -> TraceSending? {
        guard let export = try configuration.traceExport else { return nil }
        let exporter = TraceExporter(database.tracer, export, logger: Logger(label: "contex.traces"))
        database.tracer.begin(share: configuration.tracesShare)
        return TraceSending(exporter: exporter, tracer: database.tracer, task: Task { await exporter.run() })
    }

    /// Sends what there is, as far as it is taken at once.
    func end() async {
        tracer.stop()
        task.cancel()
        await task.value
        await exporter.shutdown()
    }
}

extension ServerConfiguration {
    /// - Throws: `.invalid` for an address or headers that are none.
    var traceExport: TraceExporterConfiguration? {
        get throws(ContexError) {
            guard let endpoint = tracesEndpoint, !endpoint.isEmpty else { return nil }
            guard let address = try? WebAddress(endpoint), address.user.isEmpty else {
                throw ContexError(.invalid, "CONTEX_TRACES_ENDPOINT must be an http or https URL, such as http://127.0.0.1:4318")
            }
            var headers: [(name: String, value: String)] = []
            for field in (tracesHeaders ?? "").split(separator: ",") {
                let parts = field.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                // As the OpenTelemetry SDKs read it: values are percent-encoded.
                guard parts.count == 2, !parts[0].isEmpty, parts[0].utf8.allSatisfy(Self.isToken), let value = parts[1].removingPercentEncoding,
                    value.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
                else {
                    // Its text may be a secret.
                    throw ContexError(.invalid, "CONTEX_TRACES_HEADERS must be name=value, with commas between them")
                }
                headers.append((parts[0], value))
            }
            return TraceExporterConfiguration(
                endpoint: endpoint, headers: headers,
                resource: [
                    ("service.name", tracesService), ("service.version", Version.current), ("service.instance.id", UUID().uuidString.lowercased()),
                    ("host.name", ProcessInfo.processInfo.hostName), ("process.pid", "\(ProcessInfo.processInfo.processIdentifier)"),
                ], version: Version.current)
        }
    }

    /// Of the name of a header (RFC 9110, section 5.6.2).
    private static func isToken(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
