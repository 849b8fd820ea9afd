// The files by which programs are set up, where no format says what they are: lines of sections, assignments, instructions, rules. Their
// comments begin as the headings of Markdown do, and their lines are no sentences.

internal import Base

struct SettingsEvidence {
    private var lines = 0
    private var settings = 0
    /// Of them, lines that prose may have too: a path by itself, a name and a value.
    private var weak = 0
    private var sections = 0
    private var assignments = 0
    private var capitals = 0
    private var dotted = 0
    private var names: Set<ArraySlice<UInt8>> = []
    private var comments = 0
    /// Lines one under another that begin with one mark of comments, and the most of them.
    private var block = 0
    private var longestBlock = 0
    /// Lines of nothing but #, which are empty comments and no headings.
    private var emptyComments = 0
    private var settingsInComments = 0
    /// Sections named by a single name.
    private var plainSections = 0
    /// Lines that are no sentence nor a part of one.
    private var unlikeProse = 0
    /// `Name: value`, and deeper lines that go on with it.
    private var fields = 0
    private var mayBeTarget = false
    private var isInRecipe = false

    /// Two lines of three are settings, comments apart. A file in which everything is commented out is one too: nobody writes three headings of
    /// the first level one under another.
    var isSettings: Bool {
        if lines == 0 { return longestBlock >= 3 }
        let strong = settings - weak
        return settings * 3 >= lines * 2 && (settings >= 3 || strong >= 2 || strong == 1 && comments > 0)
    }

    var isOnlyComments: Bool { lines == 0 && comments > 0 }

    /// Sections in which all settings are commented out.
    var isCommentedOut: Bool { plainSections > 0 && plainSections == lines && settingsInComments > 0 }

    /// The comments are comments and no headings, since some are empty or several stand one under another, and two of three other lines are not
    /// prose: settings, a script or a list of a kind that is not known here. Or it is all fields of a name and a value (Debian's control files).
    var isUnderComments: Bool {
        guard comments > 0 else { return false }
        if fields == lines, fields >= 4 { return true }
        let areComments = emptyComments > 0 || longestBlock >= 3 || longestBlock == 2 && unlikeProse >= 3
        return areComments && unlikeProse * 3 >= lines * 2
    }

    /// The format of settings that has a reader, when the lines are of its kind only. A name that comes again is no variable: the lines of
    /// fstab begin with `UUID=`, and of equal names the last would be all that is left.
    var format: ContentFormat? {
        guard isSettings, assignments > 0 || isCommentedOut else { return nil }
        if sections > 0 { return .ini }
        guard assignments == lines, names.count == lines else { return nil }
        if capitals == lines { return .env }
        return dotted * 2 >= lines ? .properties : nil
    }

    mutating func readBlank() { block = 0 }

    /// - Parameter line: not blank.
    mutating func read(_ line: ArraySlice<UInt8>) {
        let content = TextNodes.trimmedBytes(line)
        guard let first = content.first else { return }
        if first == UInt8(ascii: "#") || first == UInt8(ascii: ";") {
            comments += 1
            block = content.dropFirst().first == first ? 0 : block + 1
            longestBlock = max(longestBlock, block)
            if first == UInt8(ascii: "#"), content.allSatisfy({ $0 == first }) { emptyComments += 1 }
            if content.count <= Self.lineBytesMax, CommentedOut.isSetting(TextNodes.trimmedBytes(content.drop { $0 == first })) { settingsInComments += 1 }
            return
        }
        block = 0
        lines += 1
        // A recipe of make: lines behind tabs after the line of their target.
        if line.first == 0x09, mayBeTarget || isInRecipe {
            settings += mayBeTarget ? 2 : 1
            (mayBeTarget, isInRecipe) = (false, true)
            return
        }
        (mayBeTarget, isInRecipe) = (false, false)
        // Nobody writes settings of this length; it also bounds what one line can cost.
        guard content.count <= Self.lineBytesMax else { return }
        if !isProse(content) { unlikeProse += 1 }
        if line.first == 0x20 || line.first == 0x09 ? fields > 0 : isField(content) { fields += 1 }
        if content.dropFirst().dropLast().allSatisfy({ isWord($0) || " .-".utf8.contains($0) }), isSection(content) { plainSections += 1 }
        if isSection(content) {
            sections += 1
            settings += 1
        } else if let name = assignedName(content) {
            assignments += 1
            settings += 1
            if name.allSatisfy({ $0 &- 0x41 < 26 || $0 &- 0x30 < 10 || $0 == UInt8(ascii: "_") }) { capitals += 1 }
            if name.contains(UInt8(ascii: ".")) { dotted += 1 }
            names.insert(name)
        } else if isStatement(content) || isInstruction(content) || isSchedule(content) || isRequirement(content) {
            settings += 1
        } else if isPattern(content) || isDirective(content) {
            settings += 1
            weak += 1
        } else {
            mayBeTarget = isTarget(content)
        }
    }

    private static let lineBytesMax = 1_000

    /// Words of letters with the marks of sentences, parted by single blanks; three at least. What stands behind a # is a comment.
    private func isProse(_ line: ArraySlice<UInt8>) -> Bool {
        var words = 0, plain = 0, isBlank = false
        func read(_ word: ArraySlice<UInt8>) {
            words += 1
            let inner = word.drop { "(\"'*_`".utf8.contains($0) }
            let letters = inner.prefix { isLetter($0) || $0 >= 0x80 || $0 == UInt8(ascii: "'") || $0 == UInt8(ascii: "-") }
            if !letters.isEmpty, inner.dropFirst(letters.count).allSatisfy({ ".,;:!?)\"'*_`".utf8.contains($0) }) { plain += 1 }
        }
        var start = line.startIndex
        for at in line.indices {
            let byte = line[at]
            if byte == UInt8(ascii: "#"), isBlank { break }
            if byte == 0x09 || byte == 0x20 && isBlank { return false }
            isBlank = byte == 0x20
            if isBlank {
                read(line[start..<at])
                start = at + 1
            }
        }
        if !isBlank { read(line[start...]) }
        return words >= 3 && plain * 5 >= words * 4
    }

    /// `Suites: stable`
    private func isField(_ line: ArraySlice<UInt8>) -> Bool {
        let name = line.prefix { isWord($0) || $0 == UInt8(ascii: "-") }
        let rest = line.dropFirst(name.count)
        return name.first.map(isLetter) == true && rest.first == UInt8(ascii: ":") && rest.dropFirst().first.map { $0 == 0x20 || $0 == 0x09 } != false
    }

    private func isSection(_ line: ArraySlice<UInt8>) -> Bool {
        line.first == UInt8(ascii: "[") && line.last == UInt8(ascii: "]") && line.count > 2
    }

    /// `name=`, `export NAME =`: the name.
    private func assignedName(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var rest = line
        if rest.starts(with: "export ".utf8) { rest = rest.dropFirst(7) }
        guard let mark = rest.firstIndex(of: UInt8(ascii: "=")), mark > rest.startIndex else { return nil }
        if mark + 1 < rest.endIndex, rest[mark + 1] == UInt8(ascii: "=") { return nil }
        var name = TextNodes.trimmedBytes(rest[..<mark])
        if name.last == UInt8(ascii: "?") || name.last == UInt8(ascii: ":") || name.last == UInt8(ascii: "+") { name = TextNodes.trimmedBytes(name.dropLast()) }
        guard let first = name.first, isLetter(first) || first == UInt8(ascii: "_") else { return nil }
        return name.allSatisfy { isWord($0) || ".-/".utf8.contains($0) } ? name : nil
    }

    /// nginx, Terraform, BIND: what ends with a semicolon or opens or closes a block.
    private func isStatement(_ line: ArraySlice<UInt8>) -> Bool {
        guard let last = line.last else { return false }
        return last == UInt8(ascii: ";") || last == UInt8(ascii: "{") || "})]".utf8.contains(line[line.startIndex]) && line.count <= 2
    }

    /// A line of a Dockerfile, or one that a line of it goes on with.
    private func isInstruction(_ line: ArraySlice<UInt8>) -> Bool {
        guard let end = line.firstIndex(of: 0x20) else { return false }
        let word = line[..<end]
        if word.allSatisfy({ $0 &- 0x41 < 26 }) { return Self.instructions.contains(String(decoding: word, as: UTF8.self)) }
        return word.starts(with: "--".utf8) || line.starts(with: "&& ".utf8)
    }
    private static let instructions: Set<String> = [
        "FROM", "RUN", "CMD", "LABEL", "EXPOSE", "ENV", "ADD", "COPY", "ENTRYPOINT", "VOLUME", "USER", "WORKDIR", "ARG", "ONBUILD", "STOPSIGNAL",
        "HEALTHCHECK", "SHELL",
    ]

    /// `0 3 * * 1-5 command`, `@daily command`
    private func isSchedule(_ line: ArraySlice<UInt8>) -> Bool {
        let fields = line.split(maxSplits: 5, whereSeparator: { $0 == 0x20 || $0 == 0x09 })
        if let first = fields.first, fields.count > 1, Self.schedules.contains(String(decoding: first, as: UTF8.self)) { return true }
        guard fields.count == 6 else { return false }
        return fields[..<5].allSatisfy { $0.allSatisfy { $0 &- 0x30 < 10 || "*/,-".utf8.contains($0) } }
    }
    private static let schedules: Set<String> = ["@reboot", "@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually", "@midnight"]

    /// `name[extra]>=1.2`, `-r other.txt`
    private func isRequirement(_ line: ArraySlice<UInt8>) -> Bool {
        if line.starts(with: "-r ".utf8) || line.starts(with: "-e ".utf8) || line.starts(with: "-c ".utf8) { return true }
        let name = line.prefix { isWord($0) || ".-[],".utf8.contains($0) }
        let mark = TextNodes.trimmedBytes(line.dropFirst(name.count)).prefix(2)
        return !name.isEmpty && ["==", ">=", "<=", "~=", "!="].contains { mark.elementsEqual($0.utf8) }
    }

    /// A pattern of files: `*.log`, `/build`, `node_modules/`, `!keep.txt`, `.env`
    private func isPattern(_ line: ArraySlice<UInt8>) -> Bool {
        guard !line.contains(0x20), !line.contains(0x09), line.count > 1 else { return false }
        if line.contains(UInt8(ascii: ":")) || line.last == UInt8(ascii: ".") || line.starts(with: "**".utf8) && line.suffix(2).elementsEqual("**".utf8) {
            return false
        }
        return line.contains(UInt8(ascii: "/")) || line.contains(UInt8(ascii: "*")) || line.first == UInt8(ascii: ".") || line.first == UInt8(ascii: "!")
    }

    /// `PermitRootLogin no`, `max_connections 100`: a name as programs have them, and a value that is no word of a sentence.
    private func isDirective(_ line: ArraySlice<UInt8>) -> Bool {
        guard let last = line.last, !".!?:,".utf8.contains(last), line.count <= 120 else { return false }
        let words = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
        guard (2...6).contains(words.count), let name = words.first, name.allSatisfy({ isWord($0) || $0 == UInt8(ascii: "-") }) else { return false }
        let value = words[words.count - 1]
        guard value.first.map({ $0 &- 0x30 < 10 }) == true || value.contains(UInt8(ascii: "/")) || Self.flags.contains(String(decoding: value, as: UTF8.self))
        else { return false }
        if name.dropFirst().dropLast().contains(UInt8(ascii: "_")) { return true }
        // A capital after a small letter or a digit.
        return zip(name, name.dropFirst()).contains { ($0 &- 0x61 < 26 || $0 &- 0x30 < 10) && $1 &- 0x41 < 26 }
    }

    private static let flags: Set<String> = ["yes", "no", "on", "off", "true", "false", "none"]

    /// `name: other names` of make.
    private func isTarget(_ line: ArraySlice<UInt8>) -> Bool {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else { return false }
        return line[..<colon].allSatisfy { isWord($0) || "./%-$() ".utf8.contains($0) }
    }

    private func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
    private func isWord(_ byte: UInt8) -> Bool { isLetter(byte) || byte &- 0x30 < 10 || byte == UInt8(ascii: "_") }
}
