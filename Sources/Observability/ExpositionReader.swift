// Reads what `Exposition` prints, and what any server prints in either format: for `contex doctor` and for tests. It takes what both formats
// have in common and is no judge of the rest: of exemplars and timestamps it only sees that something is there.

public import Base

public struct ExpositionSample: Sendable, Equatable {
    public let name: String
    public let labels: [String: String]
    public let value: Double
}

public struct ExpositionReader: Sendable {
    /// In their order.
    public let samples: [ExpositionSample]
    /// Of families, by name: as `# TYPE` says it.
    public let kinds: [String: String]
    public let helps: [String: String]

    /// - Throws: `.invalid` with the number of a line that is none.
    public init(_ text: String) throws(ContexError) {
        var (samples, kinds, helps): ([ExpositionSample], [String: String], [String: String]) = ([], [:], [:])
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty { continue }
            if line.hasPrefix("#") {
                let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
                if words.count == 4, words[1] == "TYPE" { kinds[String(words[2])] = String(words[3]) }
                if words.count == 4, words[1] == "HELP" { helps[String(words[2])] = String(words[3]) }
                continue
            }
            var reader = LineReader(line)
            guard let sample = reader.sample() else {
                throw ContexError(.invalid, "line \(number + 1) of the metrics is no sample: \(String(line).excerpt())")
            }
            samples.append(sample)
        }
        (self.samples, self.kinds, self.helps) = (samples, kinds, helps)
    }

    /// The value of a sample without labels.
    public subscript(name: String) -> Double? { samples.first { $0.name == name && $0.labels.isEmpty }?.value }

    /// The sum over all samples of that name that have these labels.
    public func sum(_ name: String, where labels: [String: String] = [:]) -> Double {
        samples.reduce(0) { sum, sample in
            sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value } ? sum + sample.value : sum
        }
    }

    private struct LineReader {
        private var rest: Substring.UnicodeScalarView

        init(_ line: Substring) { rest = line.unicodeScalars }

        mutating func sample() -> ExpositionSample? {
            let name = word { $0 == "_" || $0 == ":" || ($0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil)) }
            guard let first = name.unicodeScalars.first, first.properties.numericType == nil else { return nil }
            var labels: [String: String] = [:]
            skipSpaces()
            if rest.first == "{" {
                rest.removeFirst()
                while true {
                    skipSpaces()
                    if take("}") { break }
                    let label = word { $0 != "=" && $0 != "}" && $0 != " " && $0 != "," }
                    skipSpaces()
                    guard !label.isEmpty, take("="), let value = quoted(), labels.updateValue(value, forKey: label) == nil else { return nil }
                    skipSpaces()
                    if take("}") { break }
                    guard take(",") else { return nil }
                }
            }
            skipSpaces()
            let text = word { $0 != " " }
            // A timestamp, an exemplar: whatever follows is behind a space.
            guard let value = Self.number(text) else { return nil }
            return ExpositionSample(name: name, labels: labels, value: value)
        }

        private static func number(_ text: String) -> Double? {
            switch text.lowercased() {
            case "+inf", "inf": .infinity
            case "-inf": -.infinity
            case "nan": .nan
            default: text.hasPrefix("0x") ? nil : Double(text)
            }
        }

        private mutating func word(_ isPart: (Unicode.Scalar) -> Bool) -> String {
            let word = rest.prefix { isPart($0) }
            rest = rest.dropFirst(word.count)
            return String(String.UnicodeScalarView(word))
        }

        private mutating func skipSpaces() { rest = rest.drop { $0 == " " || $0 == "\t" } }

        private mutating func take(_ sign: Unicode.Scalar) -> Bool {
            guard rest.first == sign else { return false }
            rest.removeFirst()
            return true
        }

        private mutating func quoted() -> String? {
            skipSpaces()
            guard take("\"") else { return nil }
            var text = String.UnicodeScalarView()
            while let scalar = rest.popFirst() {
                if scalar == "\"" { return String(text) }
                guard scalar == "\\" else {
                    text.append(scalar)
                    continue
                }
                switch rest.popFirst() {
                case "n": text.append("\n")
                case let other?: text.append(other)
                case nil: return nil
                }
            }
            return nil
        }
    }
}
