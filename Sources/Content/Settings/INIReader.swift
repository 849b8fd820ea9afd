// INI, which no standard describes: what git, systemd, PHP, MySQL, Samba, Windows, .editorconfig and Python's configparser write has in
// common. Sections in brackets (git's `[remote "origin"]` is a section in one), `key = value` or `key: value`, comments at the beginning of
// a line with ; or #. What they do not have in common is read so that nothing is lost:
//
//   key            a flag (MySQL, git): true
//   key = "text"   without its quotes; what follows a value on its line stays part of it, as systemd and configparser have it
//   deeper lines   go on with the value (configparser); so does a line after a backslash at the end (git, systemd)
//   repeated       keys give the list of their values (systemd, git), sections of one name a list of sections (WireGuard)
//
// Blocks in braces (mke2fs, krb5, openssl's kin) are another notation, which is refused as a whole.

public import Base

public enum INIReader {
    /// The keys before any section, then the sections, as one object. All values are texts.
    ///
    /// - Throws: for a line that is none of the above.
    /// - Complexity: O(*n*).
    public static func value(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> JSONValue {
        var reading = INIReading(bytes: Array(text.utf8), cancellation: cancellation)
        return .object(try reading.document())
    }
}

private struct INIReading {
    let bytes: [UInt8]
    let cancellation: Cancellation
    private var top = GroupedMembers()
    /// Git's sections in sections: the outer name, then the inner one.
    private var nested: [(name: String, members: GroupedMembers)] = []
    private var nestedPlaces: [ExactText: Int] = [:]
    private var section: [String] = []
    private var members = GroupedMembers()
    /// A key whose value may go on, and how far it is indented.
    private var key: (name: String, indent: Int)? = nil
    private var keyLine = 0
    private var lines: [String] = []

    init(bytes: [UInt8], cancellation: Cancellation) {
        self.bytes = bytes
        self.cancellation = cancellation
    }

    mutating func document() throws(FormatError) -> JSONObject {
        var number = 0
        var goesOn = false
        for range in TextLines(bytes) {
            try cancellation.check(.ini)
            number += 1
            var line = bytes[range]
            if number == 1, line.starts(with: [0xEF, 0xBB, 0xBF]) { line = line.dropFirst(3) }
            let indent = line.prefix { $0 == 0x20 || $0 == 0x09 }.count
            let content = TextNodes.trimmedBytes(line)
            let wentOn = goesOn
            goesOn = content.last == UInt8(ascii: "\\") && content.reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
            guard let first = content.first else {
                if wentOn { goesOn = false }
                continue
            }
            if let open = key, wentOn || indent > open.indent && !isComment(first) {
                let more = text(goesOn ? content.dropLast() : content)
                if wentOn { lines[lines.count - 1] += " " + more } else { lines.append(more) }
                continue
            }
            if isComment(first) {
                goesOn = false
                continue
            }
            try closeKey()
            if first == UInt8(ascii: "[") {
                goesOn = false
                try openSection(content, line: number)
            } else {
                try openKey(goesOn ? content.dropLast() : content, indent: indent, line: number)
            }
        }
        try closeSection()
        for group in nested { top.add(group.name, .object(group.members.object)) }
        return top.object
    }

    private func isComment(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ";") || byte == UInt8(ascii: "#") }
    private func text(_ bytes: ArraySlice<UInt8>) -> String { TextNodes.trimmed(bytes) }

    private mutating func openSection(_ content: ArraySlice<UInt8>, line: Int) throws(FormatError) {
        try closeSection()
        // The name may hold brackets (.editorconfig): it ends where nothing but a comment follows.
        let end = content.indices.first { place in
            content[place] == UInt8(ascii: "]") && content[(place + 1)...].first { $0 != 0x20 && $0 != 0x09 }.map(isComment) != false
        }
        guard let end, end > content.startIndex + 1 else { throw FormatError(.ini, line: line, "A section wants its name in brackets") }
        let name = content[(content.startIndex + 1)..<end]
        // [remote "origin"]
        if name.last == UInt8(ascii: "\""), let quote = name.dropLast().firstIndex(of: UInt8(ascii: "\"")), quote > name.startIndex {
            section = [text(name[..<quote]), String(decoding: name[(quote + 1)...].dropLast(), as: UTF8.self)]
        } else {
            section = [text(name)]
        }
    }

    private mutating func openKey(_ content: ArraySlice<UInt8>, indent: Int, line: Int) throws(FormatError) {
        let mark = content.indices.first { place in
            content[place] == UInt8(ascii: "=")
                || content[place] == UInt8(ascii: ":") && (place + 1 == content.endIndex || content[place + 1] == 0x20 || content[place + 1] == 0x09)
        }
        guard let mark else {
            guard !content.contains(0x20), !content.contains(0x09) else {
                throw FormatError(.ini, line: line, "Neither a section nor a key with its value")
            }
            let name = text(content)
            guard !Self.isBracket(name.utf8.first), !Self.isBracket(name.utf8.last) else { throw bracket(line) }
            members.add(name, .bool(true))
            return
        }
        var name = text(content[..<mark])
        if name.utf8.count > 1, name.utf8.first == UInt8(ascii: "\""), name.utf8.last == UInt8(ascii: "\"") { name = String(name.dropFirst().dropLast()) }
        guard !name.isEmpty else { throw FormatError(.ini, line: line, "A value without a key") }
        guard !Self.isBracket(name.utf8.first) else { throw bracket(line) }
        key = (name, indent)
        keyLine = line
        lines = [text(content[(mark + 1)...])]
    }

    /// What opens or closes a block that goes over several lines.
    private static func isBracket(_ byte: UInt8?) -> Bool { byte.map { "{}])".utf8.contains($0) } == true }
    private func bracket(_ line: Int) -> FormatError { FormatError(.ini, line: line, "A block in brackets, which ini does not have") }

    private mutating func closeKey() throws(FormatError) {
        guard let (name, _) = key else { return }
        key = nil
        // A value may be JSON over several lines; a block of settings, or one whose end is no part of the value, is none.
        if let last = lines.first?.utf8.last, last == UInt8(ascii: "{") || last == UInt8(ascii: "["), lines.count > 1 || lines.first?.utf8.count == 1 {
            let end = lines.last?.utf8.last
            let isClosed = lines.count > 1 && (end == UInt8(ascii: "}") || end == UInt8(ascii: "]"))
            guard isClosed, !lines.dropFirst().contains(where: { $0.utf8.contains(UInt8(ascii: "=")) }) else { throw bracket(keyLine) }
        }
        // configparser's lists begin on the line after the key.
        let kept = lines.first == "" ? lines.dropFirst() : lines[...]
        members.add(name, .string(unquoted(kept.joined(separator: "\n"))))
    }

    private func unquoted(_ value: String) -> String {
        let bytes = value.utf8
        guard bytes.count > 1, let quote = bytes.first, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"), bytes.last == quote else { return value }
        let inner = bytes.dropFirst().dropLast()
        return inner.contains(quote) ? value : String(Substring(inner))
    }

    private mutating func closeSection() throws(FormatError) {
        try closeKey()
        defer {
            section = []
            members = GroupedMembers()
        }
        switch section.count {
        case 0: for member in members.object { top.add(member.key, member.value) }
        case 1: top.add(section[0], .object(members.object))
        default:
            let place = nestedPlaces[ExactText(section[0])] ?? nested.count
            if place == nested.count {
                nestedPlaces[ExactText(section[0])] = place
                nested.append((section[0], GroupedMembers()))
            }
            nested[place].members.add(section[1], .object(members.object))
        }
    }
}
