// What the lines of a text say about its format, before and after a parser was tried.

internal import Base

struct TextEvidence {
    private let bytes: [UInt8]
    private let firstByte: UInt8
    private let headings: Int
    private let fences: Int
    private let listLines: Int
    private let assignments: Int
    /// Strong signs of statements and no fence.
    let isCode: Bool
    /// Lines that begin with times or levels.
    let isLog: Bool
    /// The text as a table, when it looks like one: see `looksLikeTable`.
    let table: TableText?
    private let settingsLines: SettingsEvidence

    init(_ text: String, _ cancellation: Cancellation) {
        bytes = Array(text.utf8)
        firstByte = bytes.first { !TextNodes.isSpace($0) } ?? 0
        var headings = 0, fences = 0, listLines = 0, lines = 0, assignments = 0
        var settingsLines = SettingsEvidence()
        for range in TextLines(bytes) {
            let line = bytes[range]
            guard let first = line.first(where: { !TextNodes.isSpace($0) }) else {
                settingsLines.readBlank()
                continue
            }
            lines += 1
            settingsLines.read(line)
            if first == UInt8(ascii: "[") || line.contains(UInt8(ascii: "=")) { assignments += 1 }
            // What marks a line of Markdown stands at its very beginning.
            let marks = line.prefix { $0 == UInt8(ascii: "#") }.count
            if (1...6).contains(marks), line.count > marks + 1, line[line.startIndex + marks] == 0x20 { headings += 1 }
            if line.starts(with: "```".utf8) || line.starts(with: "~~~".utf8) { fences += 1 }
            let digits = line.prefix { $0 &- 0x30 < 10 }.count
            let rest = line.dropFirst(digits)
            let isBullet = line.starts(with: "* ".utf8) || line.starts(with: "- ".utf8)
            if isBullet || (1...9).contains(digits) && (rest.starts(with: ". ".utf8) || rest.starts(with: ") ".utf8)) { listLines += 1 }
        }
        (self.headings, self.fences, self.listLines, self.assignments) = (headings, fences, listLines, assignments)
        self.settingsLines = settingsLines
        isCode = fences == 0 && CodeBlocks.looksLikeCode(bytes)
        isLog = LogEntries.ranges(in: bytes) != nil
        table = isLog || lines < 2 ? nil : Self.table(text, cancellation)
    }

    /// Lines of settings in no format that is told otherwise, and no fence.
    var isSettings: Bool { fences == 0 && (settingsLines.isSettings || listLines < 2 && settingsLines.isUnderComments) }
    var settings: ContentFormat? { fences == 0 ? settingsLines.format : nil }
    /// Nothing but lines that begin as comments do.
    var isOnlyComments: Bool { settingsLines.isOnlyComments }
    var isMarkdown: Bool { headings > 0 || fences > 0 || listLines >= 2 }
    var mayBeXML: Bool { firstByte == UInt8(ascii: "<") }
    var mayBeTOML: Bool { assignments > 0 }

    // MARK: - YAML

    var mayBeYAML: Bool {
        guard firstByte != UInt8(ascii: "{"), firstByte != UInt8(ascii: "<"), fences == 0 else { return false }
        guard bytes.contains(where: { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "-") }) || firstByte == UInt8(ascii: "[") else { return false }
        return !isCode && table == nil && !settingsLines.isCommentedOut
    }

    /// Prose with a colon loads as a mapping too, and a heading is a comment to YAML. So keys must look like keys and one of them must
    /// have a value ("Things to do:"), a lone pair must not hold sentences, and a list or a lone pair under headings is Markdown.
    func looksLikeYAML(_ documents: [JSONValue]) -> Bool {
        // A template leaves documents without content; front matter above nothing but headings leaves one at the end.
        guard let last = documents.last, !last.isNull || headings == 0 else { return false }
        let filled = documents.filter { !$0.isNull }
        return !filled.isEmpty && filled.allSatisfy { document in
            switch document {
            case .array(let items):
                return !items.isEmpty && headings == 0
            case .object(let members):
                guard !members.isEmpty, members.allSatisfy({ Self.looksLikeKey($0.key) }), members.contains(where: { !$0.value.isNull }) else {
                    return false
                }
                if members.count > 1 { return true }
                if headings > 0 { return false }
                guard case .string(let value) = members[0].value else { return true }
                return TextNodes.sentences(of: Array(value.utf8)).count < 2
            default:
                return false
            }
        }
    }

    /// Up to four words without brackets, quotes or the marks that end sentences.
    private static func looksLikeKey(_ key: String) -> Bool {
        let bytes = Array(key.utf8)
        guard !bytes.isEmpty, bytes.count <= 80 else { return false }
        if bytes.contains(where: { "(){}[]<>;!?\"\n".utf8.contains($0) }) { return false }
        return bytes.split(separator: 0x20).count <= 4 && TextNodes.sentences(of: bytes).count < 2
    }

    // MARK: - Tables

    private static func table(_ text: String, _ cancellation: Cancellation) -> TableText? {
        guard text.utf8.contains(where: { ",;\t|".utf8.contains($0) }), let table = try? TableText(text, cancellation) else { return nil }
        return !table.isHeaderUnsure && looksLikeTable(table) ? table : nil
    }

    /// Equal numbers of fields in every record (nearly every one, in a longer table), and a header of non-empty, different names that is no
    /// sentence and no code. (Two sentences with one comma each are equally many fields too.)
    private static func looksLikeTable(_ table: TableText) -> Bool {
        let records = table.records
        guard records.count >= 2, let header = records.first?.fields, header.count >= 2 else { return false }
        let ragged = records.count { $0.fields.count != header.count }
        guard ragged == 0 || records.count >= 10 && header.count >= 3 && ragged * 10 <= records.count else { return false }
        // The line under the header of a table in Markdown.
        if table.separator == UInt8(ascii: "|"), records[1].fields.allSatisfy({ $0.utf8.allSatisfy { "-: ".utf8.contains($0) } }) { return false }
        var names: Set<[UInt8]> = []
        for field in header {
            let name = Array(field.utf8)
            guard !name.isEmpty, name.count <= 80, names.insert(name).inserted else { return false }
            if name.contains(where: { "{};=<>".utf8.contains($0) }) { return false }
            if name.count(where: { $0 == UInt8(ascii: "(") }) != name.count(where: { $0 == UInt8(ascii: ")") }) { return false }
            if name.count(where: { $0 == UInt8(ascii: "[") }) != name.count(where: { $0 == UInt8(ascii: "]") }) { return false }
            if field.contains(": ") { return false }
            // Clauses of a sentence are parted by semicolons too.
            if table.separator != UInt8(ascii: ","), name.split(separator: 0x20).count > 5 { return false }
        }
        guard let last = header[header.count - 1].utf8.last else { return false }
        return !".!?:".utf8.contains(last)
    }
}
