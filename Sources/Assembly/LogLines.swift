// The log: one line an entry on standard error, JSON for machines or text for people. Entries carry no keys, no published data
// and no query texts; whoever logs sees to that.

internal import Base
internal import Content
internal import Logging

#if canImport(Glibc)
internal import Glibc
#endif

public enum ServerLog {
    /// Sets up logging for the whole process; once, before anything is logged.
    public static func begin(_ configuration: ServerConfiguration) {
        let json = configuration.logJSON ?? (isatty(2) == 0)
        let level = configuration.logLevel
        LoggingSystem.bootstrap { label in LogLines(label: label, json: json, logLevel: level) }
    }
}

/// Writes each entry with one `write`, so that lines of several threads do not mix.
struct LogLines: LogHandler {
    let label: String
    let json: Bool
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider? = nil

    init(label: String, json: Bool, logLevel: Logger.Level) {
        self.label = label
        self.json = json
        self.logLevel = logLevel
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        var line = Array(line(level: event.level, message: "\(event.message)", fields: fields, at: SystemClock().now()).utf8)
        line.append(UInt8(ascii: "\n"))
        _ = unsafe line.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
    }

    /// Bytes of a message or value: what strangers send stands in some of them, and each is cut where it is put in as well.
    private static let textBytesMax = 4 * Limits.echoBytes

    /// The original's field names, then the entry's own.
    func line(level: Logger.Level, message: String, fields: Logger.Metadata, at time: Timestamp) -> String {
        let message = message.excerpt(bytes: Self.textBytesMax)
        let sorted = fields.sorted { $0.key < $1.key }.map { (key: $0.key, value: "\($0.value)".excerpt(bytes: Self.textBytesMax)) }
        if json {
            var object = JSONObject([
                ("timestamp", .string(time.iso8601)), ("level", .string(level.rawValue.uppercased())), ("service", .string("contex")),
                ("logger", .string(label)), ("message", .string(message)),
            ])
            for (key, value) in sorted where object[key] == nil { object[key] = .string(value) }
            return JSONPrinter.text(.object(object))
        }
        let name = level.rawValue
        let padding = String(repeating: " ", count: max(0, 8 - name.count))
        // A line break in a message must not look like a second entry.
        let text = ([message] + sorted.map { "\($0.key)=\($0.value)" }).joined(separator: "  ").split(whereSeparator: \.isNewline)
        return "\(time.iso8601.prefix(19))Z \(name)\(padding) \(text.joined(separator: " "))"
    }
}
