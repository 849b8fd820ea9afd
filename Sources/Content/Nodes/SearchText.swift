// The texts by which a node is found: one for the embedding model, one for the text index. Neither is the `description` of answers,
// which keeps the form that the original gave it. Both are made of data key, context, path, kind and value alone, so that they need not be
// stored: whoever takes a node out of an index, or builds one anew, makes them again.
//
//     teamNotes: people[0].homeAddress, {"zipCode": "89073", "city": "Ulm", "flats": [2, 4]}
//
//     description    people homeAddress | zipCode: 89073 | city: Ulm | flats: [2, 4]
//     for the model  team notes | people home address | zip code: 89073 | city: Ulm | flats: 2, 4
//     for the index  teamNotes | people homeAddress | zipCode: 89073 | city: Ulm | flats: [2, 4]
//
// What the model gets is words. It was trained on sentences: brackets and quotes are tokens that say nothing and use up its 256, and
// a name in camelCase falls apart at the wrong places. The paths that the splitter invents (`root`, `row_3`, `paragraph_0`) are in neither
// text: no publisher wrote them, and in front of a short text they pull every vector to the same side. Source code and prose
// stay as they are: code without its signs was measured to be found worse (docs/decisions/0027-fusion-and-calibration.md).
//
// Numbers stand in both as they were written, `3.10` and not the double that it is; their values are the index's own business (Analyzer).
//
// The index splits names itself and must keep them whole too, for exact search. Both texts begin with the key under which the data was
// published, of all words the ones chosen to name it; but the model is spared the parts with a digit in them, since numbers and hashes
// are rare words to BM25 and noise to a vector.

public import Base

public enum SearchText {
    /// Of the rules in this file and in Passages. A store is told by it (VectorModel) that its indexes hold other texts than this build would make.
    public static let version: UInt32 = 3

    /// What is embedded of a node.
    /// - Parameters:
    ///   - key: the data key of the node's document.
    ///   - context: what stands above it (PassageUnits).
    /// - Complexity: O(size of the value).
    public static func embedded(key: String, context: String = "", path: String, kind: String, value: JSONValue) -> String {
        var phrases = Phrases(inSentences: holdsNested(value))
        phrases.add(modelWords(ofKey: key))
        phrases.add(context)
        phrases.add(words(ofName: publishersPath(path, kind: kind)))
        switch unwrapped(value, kind: kind) {
        case .string(let text) where NodeKind(rawValue: kind)?.isText != false: phrases.add(text)
        case let value:
            if let text = onlyText(of: value) { phrases.add(scalars(.string(text))) } else { add(value, to: &phrases) }
        }
        return phrases.text
    }

    /// What is indexed of a node.
    /// - Complexity: O(size of the value).
    public static func indexed(key: String, context: String = "", path: String, kind: String, value: JSONValue) -> String {
        var text = beginning(key: key, context: context)
        NodeDescription.append(path: publishersPath(path, kind: kind), value: unwrapped(value, kind: kind), numbers: .asWritten, to: &text)
        return text
    }

    /// What is embedded of passages of a node; without any, of the whole.
    /// - Complexity: O(size of the value + sizes of the passages).
    public static func embedded(
        key: String, context: String, path: String, kind: String, value: JSONValue, passages: some Collection<PassageBounds>
    ) -> [String] {
        if passages.isEmpty { return [embedded(key: key, context: context, path: path, kind: kind, value: value)] }
        let leaves = PassageLeaf.all(of: value, kind: kind)
        let isNamed = onlyText(of: value) == nil
        return passages.map { passage in
            var phrases = Phrases(inSentences: false)
            phrases.add(modelWords(ofKey: key))
            phrases.add(context)
            phrases.add(words(ofName: publishersPath(path, kind: kind)))
            for part in PassageText(leaves, kind: kind, passage).parts {
                let text = part.isJSON ? JSONInText.words(part.text) : part.isWhole ? words(ofIdentifier: part.text) : part.text
                if isNamed, !part.name.isEmpty { phrases.add("\(words(ofName: part.name)): \(text)") } else { phrases.add(text) }
            }
            return phrases.text
        }
    }

    /// What is indexed of them.
    public static func indexed(
        key: String, context: String, path: String, kind: String, value: JSONValue, passages: some Collection<PassageBounds>
    ) -> [String] {
        if passages.isEmpty { return [indexed(key: key, context: context, path: path, kind: kind, value: value)] }
        let leaves = PassageLeaf.all(of: value, kind: kind)
        return passages.map { passage in
            var text = beginning(key: key, context: context) + NodeDescription.propertyNames(publishersPath(path, kind: kind))
            for part in PassageText(leaves, kind: kind, passage).parts {
                text += " | "
                text += part.name.isEmpty ? part.text : "\(part.name): \(part.text)"
            }
            return text
        }
    }

    private static func beginning(key: String, context: String) -> String { context.isEmpty ? "\(key) | " : "\(key) | \(context) | " }

    /// What is embedded of nodes that are gathered into one passage.
    public static func embedded(key: String, context: String = "", gathered values: [JSONValue]) -> String {
        var phrases = Phrases(inSentences: false)
        phrases.add(modelWords(ofKey: key))
        phrases.add(context)
        phrases.add(joined(gathered: values))
        return phrases.text
    }

    /// What is indexed of them.
    public static func indexed(key: String, context: String = "", gathered values: [JSONValue]) -> String {
        beginning(key: key, context: context) + joined(gathered: values)
    }

    /// The texts of gathered nodes as one. The splitter takes the stops between sentences away: they are put back.
    public static func joined(gathered values: [JSONValue]) -> String {
        var text = ""
        for value in values {
            guard case .string(let next) = unwrapped(value, kind: NodeKind.sentence.rawValue) else { continue }
            if let last = text.utf8.last { text += isEnd(last) || !isWord(last) ? " " : ". " }
            text += next
        }
        return text
    }

    private static func isEnd(_ byte: UInt8) -> Bool { ".!?:;,".utf8.contains(byte) }
    private static func isWord(_ byte: UInt8) -> Bool { isUpper(byte) || isLower(byte) || isDigit(byte) || ")]\"'".utf8.contains(byte) }

    /// Without the parts that have a digit in them.
    private static func modelWords(ofKey key: String) -> String {
        words(ofName: key).split(separator: " ").filter { !$0.utf8.contains(where: isDigit) }.joined(separator: " ")
    }

    /// Answers show what is no object as one, `{"value": x}`, and exports of the original have it so.
    static func unwrapped(_ value: JSONValue, kind: String) -> JSONValue {
        guard let kind = NodeKind(rawValue: kind), !kind.isStructured, case .object(let members) = value, members.count == 1,
            let inner = members["value"]
        else { return value }
        return inner
    }

    // MARK: - Paths

    /// The path as far as the publisher chose its words: without the names of the splitter, indices and the number that tells two equal paths apart.
    private static func publishersPath(_ path: String, kind: String) -> String {
        guard let kind = NodeKind(rawValue: kind), kind == .object || kind == .primitive else {
            // Of rows, headings, paragraphs, sentences and blocks the whole path is ours.
            return NodeKind(rawValue: kind) == nil ? path : ""
        }
        var path = path[...]
        if let mark = path.lastIndex(of: "~"), !path[mark...].dropFirst().isEmpty, path[mark...].dropFirst().utf8.allSatisfy({ $0 &- 0x30 < 10 }) {
            path = path[..<mark]
        }
        if path == "root" || (kind == .primitive && path == "value") { return "" }
        return String(path)
    }

    // MARK: - Words

    /// Key, colon, value; what lies deeper follows its key.
    private static func add(_ value: JSONValue, to phrases: inout Phrases) {
        switch value {
        case .object(let members):
            for member in members {
                let name = words(ofName: member.key)
                if isNested(member.value) {
                    phrases.add(name)
                    add(member.value, to: &phrases)
                } else {
                    let text = scalars(member.value)
                    phrases.add(text.isEmpty ? name : "\(name): \(text)")
                }
            }
        case .array(let items) where isNested(value):
            for item in items { add(item, to: &phrases) }
        default: phrases.add(scalars(value))
        }
    }

    /// Names of members that only say that here is the text.
    private static let textNames: Set<String> = ["body", "chunk", "content", "contents", "data", "document", "page_content", "pageContent", "text"]

    /// What an object comes to that is one text and nothing else: its name would only be in the way, and those of empty members too.
    private static func onlyText(of value: JSONValue) -> String? {
        guard case .object(let members) = value else { return nil }
        var only: (name: String, text: String)?
        for member in members {
            switch member.value {
            case .null, .string(""): continue
            case .string(let text) where only == nil: only = (member.key, text)
            default: return nil
            }
        }
        guard let only, textNames.contains(only.name) else { return nil }
        return only.text
    }

    private static func holdsNested(_ value: JSONValue) -> Bool {
        switch value {
        case .object(let members): members.contains { isNested($0.value) }
        default: isNested(value)
        }
    }

    private static func isNested(_ value: JSONValue) -> Bool {
        switch value {
        case .object: true
        case .array(let items): items.contains(where: isNested)
        default: false
        }
    }

    /// A value without objects in it, as a person would say it; null is nothing.
    private static func scalars(_ value: JSONValue) -> String {
        switch value {
        case .null, .object: ""
        case .bool(let flag): flag ? "true" : "false"
        case .number(let number): number.text
        case .string(let text): JSONInText.holds(text) ? JSONInText.words(text) : words(ofIdentifier: text)
        case .array(let items): joined(items)
        }
    }

    private static func joined(_ items: [JSONValue]) -> String {
        var text = ""
        for item in items {
            let part = scalars(item)
            if part.isEmpty { continue }
            if !text.isEmpty { text += ", " }
            text += part
        }
        return text
    }

    /// One word that is a name of a program, `triangle_properties.get` or `maxConnections`: but not `PostgreSQL`, `eu-west-1`, `src/main.swift`.
    private static func looksLikeIdentifier(_ text: String) -> Bool {
        guard let first = text.utf8.first, first | 0x20 &- 0x61 < 26 || first == UInt8(ascii: "_"), text.utf8.count <= 128 else { return false }
        var hasUnderscore = false, hasInnerCapital = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."): break
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): hasInnerCapital = true
            case UInt8(ascii: "_"): hasUnderscore = true
            default: return false
            }
        }
        return hasUnderscore || (hasInnerCapital && first >= UInt8(ascii: "a"))
    }

    /// The text, and where it is the name of something in a program its words.
    static func words(ofIdentifier text: String) -> String { looksLikeIdentifier(text) ? words(ofName: text) : text }

    /// `maxConnections`, `max_connections`, `HTTPServer.port[0]` as `max connections`, `max connections`, `HTTP server port`. A part that is all
    /// capitals stays so, other parts of a camelCase name lose their capital.
    private static func words(ofName name: String) -> String {
        let bytes = Array(NodeDescription.propertyNames(name).utf8)
        var out: [UInt8] = []
        for (place, byte) in bytes.enumerated() {
            if isJoiner(byte) {
                if let last = out.last, last != 0x20 { out.append(0x20) }
                continue
            }
            if isUpper(byte), place > 0 {
                let (before, after) = (bytes[place - 1], place + 1 < bytes.count ? bytes[place + 1] : 0)
                let opensWord = isLower(before) || isDigit(before) || (isUpper(before) && isLower(after))
                if opensWord, let last = out.last, last != 0x20 { out.append(0x20) }
                if opensWord && !isUpper(after) {
                    out.append(byte | 0x20)
                    continue
                }
            }
            out.append(byte)
        }
        while out.last == 0x20 { out.removeLast() }
        return String(decoding: out, as: UTF8.self)
    }

    private static func isJoiner(_ byte: UInt8) -> Bool { byte == 0x20 || "_-./:".utf8.contains(byte) }
    private static func isUpper(_ byte: UInt8) -> Bool { byte &- 0x41 < 26 }
    private static func isLower(_ byte: UInt8) -> Bool { byte &- 0x61 < 26 }
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
}

/// Phrases in a row. Measured with the model (decision 27): bars between the members of a flat object, of commas, stops and bars the best; sentences
/// where objects lie in objects, which the splitter leaves whole in no document, but an import may bring.
private struct Phrases {
    let inSentences: Bool
    private(set) var text = ""

    init(inSentences: Bool) { self.inSentences = inSentences }

    mutating func add(_ phrase: String) {
        if phrase.isEmpty { return }
        if let last = text.utf8.last { text += !inSentences ? " | " : ".!?".utf8.contains(last) ? " " : ". " }
        text += phrase
    }
}
