public import Base

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension ServerConfiguration {
    /// Largest configuration file: a hundred times what all settings take.
    static let fileBytesMax = 1 << 20

    /// The configuration out of its four sources: a flag goes before the environment, that before the file, that before the default.
    ///
    /// - Parameters:
    ///   - arguments: the flags; `--name value`, `--name=value`, or `--name` alone for a switch, which means true.
    ///   - environment: variables that are no setting's are somebody else's; empty ones count as absent.
    /// - Throws: `.invalid` with one line that names source, setting and what is expected.
    public init(arguments: [String], environment: [String: String]) throws(ContexError) {
        self.init()
        let (flags, named) = try Self.flags(arguments)
        let path = named ?? environment["CONTEX_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        var lines: [String: (text: String, line: Int)] = [:]
        if let path { lines = try Self.lines(of: path) }

        for setting in Setting.all {
            let names = [setting.name] + setting.aliases
            if let flag = setting.flag, let text = flags[flag] {
                try apply(setting, text, from: "--\(flag)")
            } else if let name = names.first(where: { environment[$0]?.isEmpty == false }), let text = environment[name] {
                try apply(setting, text, from: "environment variable \(name)")
            } else if let name = names.first(where: { lines[$0]?.text.isEmpty == false }), let path, let found = lines[name] {
                try apply(setting, found.text, from: "\(path):\(found.line): \(name)")
            }
        }
        try validate()
    }

    private mutating func apply(_ setting: Setting, _ text: String, from source: String) throws(ContexError) {
        guard !setting.set(&self, text) else { return }
        let shown = setting.flag == nil ? "what is given" : "'\(text.prefix(60))'"
        throw ContexError(.invalid, "\(source): \(shown) is not \(setting.expected)")
    }

    // MARK: - Reading the sources

    private static func flags(_ arguments: [String]) throws(ContexError) -> (flags: [String: String], file: String?) {
        var flags: [String: String] = [:]
        var file: String? = nil
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--"), argument.count > 2 else {
                throw ContexError(.invalid, "unexpected argument '\(argument.prefix(60))' (contex serve --help lists the options)")
            }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let setting = Setting.all.first { $0.flag == name }
            guard setting != nil || name == "config" else {
                throw ContexError(.invalid, "unknown option --\(name.prefix(60)) (contex serve --help lists them)")
            }
            let text: String
            if parts.count == 2 {
                text = String(parts[1])
            } else if let next = rest.first, !next.hasPrefix("--") {
                text = rest.removeFirst()
            } else if let setting, setting.placeholder == nil {
                text = "true"
            } else {
                throw ContexError(.invalid, "--\(name) needs a value")
            }
            if name == "config" { file = text } else { flags[name] = text }
        }
        return (flags, file)
    }

    /// The lines `NAME=value` of a file. Blank lines and those that begin with `#` are left out, quotes around a value are taken off.
    ///
    /// A name that begins with `CONTEX_` and is no setting's is a mistake. Other unknown names are passed over: the file may be one
    /// that was written for the original, whose database and cache do not exist here.
    private static func lines(of path: String) throws(ContexError) -> [String: (text: String, line: Int)] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ContexError(.invalid, "the configuration file \(path) cannot be read: check its path and permissions")
        }
        guard data.count <= fileBytesMax, let text = String(validating: data, as: UTF8.self) else {
            throw ContexError(.invalid, "the configuration file \(path) is no text of at most \(fileBytesMax) bytes")
        }
        let known = Set(Setting.all.flatMap { [$0.name] + $0.aliases })
        var lines: [String: (text: String, line: Int)] = [:]
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            var line = trim(line)
            if line.isEmpty || line.hasPrefix("#") { continue }
            if line.hasPrefix("export ") { line = trim(line.dropFirst(7)) }
            guard let equals = line.firstIndex(of: "="), equals > line.startIndex else {
                throw ContexError(.invalid, "\(path):\(index + 1): a line NAME=value is expected")
            }
            let name = String(trim(line[..<equals]))
            var value = trim(line[line.index(after: equals)...])
            if value.count >= 2, let quote = value.first, quote == "\"" || quote == "'", value.last == quote {
                value = value.dropFirst().dropLast()
            }
            if known.contains(name) {
                lines[name] = (String(value), index + 1)
            } else if name.hasPrefix("CONTEX_") {
                throw ContexError(.invalid, "\(path):\(index + 1): unknown setting \(name) (contex serve --help lists them)")
            }
        }
        return lines
    }

    private static func trim(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
