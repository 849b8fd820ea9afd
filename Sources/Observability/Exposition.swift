// Measures as text: Prometheus' format 0.0.4 and OpenMetrics 1.0.0. Both list families, each with what it is and a line for each sample;
// they differ in the names of counters, in what an info is called, in escapes, and in the end.

internal import Base
public import Measures

public enum Exposition: Sendable {
    case prometheus, openMetrics

    public var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// What an `Accept` header asks for: the one that it likes better, and Prometheus' when it likes both as well or says nothing of them.
    public init(accept: String?) {
        var (text, open) = (0.0, 0.0)
        for entry in (accept ?? "").split(separator: ",").prefix(Self.entriesMax) {
            let parts = entry.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            let version = parts.dropFirst().first { $0.hasPrefix("version=") }?.dropFirst(8)
            switch parts.first {
            case "application/openmetrics-text": if version == nil || version == "1.0.0" || version == "0.0.1" { open = max(open, quality) }
            case "text/plain", "*/*", "text/*": text = max(text, quality)
            default: break
            }
        }
        self = open > text ? .openMetrics : .prometheus
    }

    /// Entries of the header that are looked at.
    private static let entriesMax = 20

    /// - Parameter shows: nil: all there is. Else for a reader who is held to some projects: their own figures, and nothing that is of the
    ///   whole server, which would tell what goes on in the others.
    public func text(of registry: MeasureRegistry, shows: ((String) -> Bool)? = nil) -> String {
        registry.projects.elect()
        var text = ""
        for family in registry.families {
            let description = family.description
            var samples = family.samples
            if let shows {
                // Figures of single projects have them first.
                guard description.labels.first == "project_id" else { continue }
                samples.removeAll { $0.labels[0] == LabelSlots.otherName || !shows($0.labels[0]) }
            }
            // Who sees everything sees also what has nothing to say yet; who sees a part, what is in it.
            guard shows == nil || !samples.isEmpty else { continue }
            head(description, into: &text)
            for sample in samples { line(sample, description, into: &text) }
        }
        if self == .openMetrics { text += "# EOF\n" }
        return text
    }

    private func head(_ description: MeasureDescription, into text: inout String) {
        let (name, kind): (String, String) =
            switch (self, description.kind) {
            case (.prometheus, .counter): (description.name + "_total", "counter")
            case (.prometheus, .info): (description.name + "_info", "gauge")
            default: (description.name, description.kind.rawValue)
            }
        text += "# HELP \(name) \(escaped(description.help, isLabel: self == .openMetrics))\n# TYPE \(name) \(kind)\n"
    }

    private func line(_ sample: MeasureSample, _ description: MeasureDescription, into text: inout String) {
        let labels = zip(description.labels, sample.labels).map { "\($0)=\"\(escaped($1, isLabel: true))\"" }
        func add(_ ending: String, _ value: String, _ more: String? = nil) {
            let labels = more.map { labels + [$0] } ?? labels
            text += description.name + ending + (labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}") + " \(value)\n"
        }
        switch sample.value {
        case .distribution(let distribution):
            for (bound, count) in zip(distribution.bounds, distribution.counts) { add("_bucket", "\(count)", "le=\"\(bound)\"") }
            add("_bucket", "\(distribution.count)", "le=\"+Inf\"")
            add("_sum", Self.number(distribution.sum))
            add("_count", "\(distribution.count)")
        case .integer(let integer): add(ending(description.kind), "\(integer)")
        case .number(let number): add(ending(description.kind), Self.number(number))
        }
    }

    private func ending(_ kind: MeasureDescription.Kind) -> String {
        switch kind {
        case .counter: "_total"
        case .info: "_info"
        case .gauge, .histogram: ""
        }
    }

    static func number(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        return number.isInfinite ? (number < 0 ? "-Inf" : "+Inf") : "\(number)"
    }

    private func escaped(_ text: String, isLabel: Bool) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\"") }) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where isLabel: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
