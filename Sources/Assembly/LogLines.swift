// The log: one line an entry on standard error, JSON for machines or text for people. Entries carry no keys, no published data
// and no query texts; whoever logs sees to that.

internal import Base
internal import Content
internal import Logging
internal import Service

#if canImport(Glibc)
internal import Glibc
#endif

public enum ServerLog {
    /// Sets up logging for the whole process; once, before anything is logged.
    public static func begin(_ configuration: ServerConfiguration) {
        let json = configuration.logJSON ?? (isatty(2) == 0)
        LogLevels.shared.general = configuration.logLevel
        LoggingSystem.bootstrap { label in LogLines(label: label, json: json) }
    }
}

/// Writes each entry with one `write`, so that lines of several threads do not mix.
struct LogLines: LogHandler {
    let label: String
    let json: Bool
    private let level: LogLevels.Level
    /// Below which nothing is written unless this part of the server has a level of its own.
    private var floor = Logger.Level.trace
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider? = nil

    init(label: String, json: Bool) {
        self.label = label
        self.json = json
        level = LogLevels.shared.level(of: label)
    }

    /// Setting it sets the floor.
    var logLevel: Logger.Level {
        get { level.value(floor: floor) }
        set { floor = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        let message = "\(event.message)"
        let verdict = LogFigures.shared.judge(event.level, event.level >= .warning ? likeness(message, fields) : nil)
        guard case .write(let repeated) = verdict else { return }
        if repeated > 0 { fields["repeated"] = "\(repeated)" }
        var line = Array(line(level: event.level, message: message, fields: fields, at: SystemClock().now()).utf8)
        line.append(UInt8(ascii: "\n"))
        if unsafe line.withUnsafeBytes({ unsafe write(2, $0.baseAddress, $0.count) }) != line.count { LogFigures.shared.lost() }
    }

    /// What makes two warnings or errors the same: all that they say but whose request it was and how long it took. A slow operation is none of
    /// these: each has a story of its own.
    private func likeness(_ message: String, _ fields: Logger.Metadata) -> String? {
        guard fields["duration_ms"] == nil else { return nil }
        let said = fields.filter { $0.key != "request" && $0.key != "id" }.sorted { $0.key < $1.key }
        return ([label, message] + said.map { "\($0.key)=\($0.value)" }).joined(separator: "\u{1}")
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
