// XML 1.0 with namespaces, the part of it that is safe to take from strangers: no entities but the five of XML and numeric ones, nothing
// external, nothing that expands. A document type declaration is passed over when nothing depends on it (SVG, property lists, XHTML, the
// reports of test tools): what it names is not fetched. One that declares entities or default values is refused with a reason, and so is
// a reference to an entity that it might have declared: nothing is ever read with parts missing. What is well-formed otherwise is decided
// as expat does it with its namespace processing on (fixtures: libxml2's tests with expat's verdicts).
//
// The reader runs over UTF-8 bytes with a stack of open elements; other encodings are turned to UTF-8 before.

public import Base

/// An element with its content in order.
public struct XMLElement: Sendable, Equatable {
    public enum Content: Sendable, Equatable {
        case element(XMLElement)
        /// Character data; CDATA sections and references are already resolved, neighbours joined.
        case text(String)
    }
    public var name: String
    public var attributes: [(name: String, value: String)] = []
    public var content: [Content] = []

    public init(name: String) { self.name = name }

    public static func == (a: Self, b: Self) -> Bool {
        a.name == b.name && a.content == b.content && a.attributes.elementsEqual(b.attributes, by: ==)
    }
    /// All character data that stands directly in the element.
    public var text: String {
        var out = ""
        for case .text(let part) in content { out += part }
        return out
    }
    public var elements: [XMLElement] {
        content.compactMap { if case .element(let element) = $0 { element } else { nil } }
    }
}

public enum XMLReader {
    /// Parses text that is already decoded; an encoding declared in it is no longer true and is passed over.
    public static func element(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> XMLElement {
        var parser = XMLParser(bytes: Array(text.utf8), cancellation: cancellation)
        return try parser.document()
    }

    /// Parses bytes in UTF-8, UTF-16, ISO-8859-1 or US-ASCII, by byte order mark or declaration.
    public static func element(bytes: [UInt8], cancellation: Cancellation = .never) throws(FormatError) -> XMLElement {
        var parser = XMLParser(bytes: try XMLEncoding.utf8(bytes), cancellation: cancellation)
        return try parser.document()
    }

    /// The document as a JSON value: `{"<root>": <content>}`.
    public static func value(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> JSONValue {
        let root = try element(text, cancellation: cancellation)
        return .object(JSONObject([(root.name, try value(of: root, level: 1))]))
    }

    /// An element without attributes and inner elements is its text. Any other is an object: attributes as `@name`, text
    /// as `#text`, inner elements by name, several of one name as an array. White space at the ends of text is dropped.
    /// - Parameter level: of the value, which is not that of the element: several of one name lie in an array.
    private static func value(of element: XMLElement, level: Int) throws(FormatError) -> JSONValue {
        let text = TextNodes.trimmed(Array(element.text.utf8)[...])
        if element.attributes.isEmpty, element.elements.isEmpty { return .string(text) }
        guard level < Limits.nestingDepth else {
            throw FormatError(
                .xml, .limit, line: 0, "Nested deeper than \(Limits.nestingDepth) levels at <\(element.name)>; several elements of one name are one more")
        }
        var object = JSONObject()
        for attribute in element.attributes { object["@\(attribute.name)"] = .string(attribute.value) }
        let inner = element.elements
        var counts: [ExactText: Int] = [:]
        for element in inner { counts[ExactText(element.name), default: 0] += 1 }
        var groups: [ExactText: [JSONValue]] = [:]
        for element in inner {
            let name = ExactText(element.name)
            let isAlone = counts[name] == 1
            let value = try self.value(of: element, level: isAlone ? level + 1 : level + 2)
            // Its place is that of the first; what stands there meanwhile is no matter.
            if isAlone || groups[name] == nil { object[element.name] = value }
            if !isAlone { groups[name, default: []].append(value) }
        }
        for (name, values) in groups { object[name.text] = .array(values) }
        if !text.isEmpty { object["#text"] = .string(text) }
        return .object(object)
    }
}

/// The state of one parse.
private struct XMLParser {
    private struct Open {
        var element: XMLElement
        var text: [UInt8] = []
        /// Prefixes that its start tag bound.
        var bound: [[UInt8]] = []
    }

    private let bytes: [UInt8]
    private let cancellation: Cancellation
    private var position = 0
    private var open: [Open] = []
    private var elements = 0
    private var hasDocumentType = false
    /// Prefix -> the namespaces that open elements gave it, innermost last. The empty prefix is the default namespace. They are numbered: to
    /// compare a long one at each attribute would cost its length each time.
    private var namespaces: [[UInt8]: [Int]] = [[]: [0], Self.xml: [1]]
    private var numbers: [[UInt8]: Int] = [[]: 0, Self.xmlNamespace: 1]

    private static let xmlNamespace = Array("http://www.w3.org/XML/1998/namespace".utf8)
    private static let xmlnsNamespace = Array("http://www.w3.org/2000/xmlns/".utf8)
    private static let xml = Array("xml".utf8)
    private static let xmlns = Array("xmlns".utf8)

    init(bytes: [UInt8], cancellation: Cancellation) {
        self.bytes = bytes
        self.cancellation = cancellation
    }

    private func failure(_ message: String, _ reason: FormatError.Reason = .syntax) -> FormatError {
        let line = bytes[..<min(position, bytes.count)].reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
        return FormatError(.xml, reason, line: line, message)
    }

    private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }
    private func at(_ token: StaticString) -> Bool {
        let count = token.utf8CodeUnitCount
        guard bytes.count - position >= count else { return false }
        for i in 0..<count {
            guard unsafe bytes[position + i] == token.utf8Start[i] else { return false }
        }
        return true
    }
    private mutating func take(_ token: StaticString) -> Bool {
        guard at(token) else { return false }
        position += token.utf8CodeUnitCount
        return true
    }
    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }
    @discardableResult
    private mutating func skipSpace() -> Bool {
        let start = position
        while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
        return position > start
    }

    // MARK: - Document

    mutating func document() throws(FormatError) -> XMLElement {
        try checkCharacters()
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        if at("<?xml"), position + 5 < bytes.count, Self.isSpace(bytes[position + 5]) { try declaration() }
        var root: XMLElement? = nil
        while position < bytes.count {
            if next == UInt8(ascii: "<") {
                if take("<!--") { try comment() }
                else if take("<?") { try instruction() }
                else if at("<!DOCTYPE") {
                    guard root == nil, !hasDocumentType else { throw failure("A document type declaration stands before the root element, and once") }
                    try documentType()
                } else if at("<!") { throw failure("Not allowed outside the root element") }
                else {
                    guard root == nil else { throw failure("More than one root element") }
                    root = try element()
                }
            } else if !skipSpace() {
                throw failure("Text outside the root element")
            }
        }
        guard let root else { throw failure("No element") }
        return root
    }

    /// Every character must be one of XML's (production 2): no control characters but tab and line ends, no U+FFFE, U+FFFF.
    private mutating func checkCharacters() throws(FormatError) {
        for (index, byte) in bytes.enumerated() {
            if byte < 0x20, byte != 0x09, byte != 0x0A, byte != 0x0D {
                position = index
                throw failure("A control character that XML does not allow")
            }
            if byte == 0xEF, index + 2 < bytes.count, bytes[index + 1] == 0xBF, bytes[index + 2] >= 0xBE {
                position = index
                throw failure("U+FFFE and U+FFFF are not characters")
            }
        }
    }

    private mutating func declaration() throws(FormatError) {
        position += 5
        func isVersion(_ value: ArraySlice<UInt8>) -> Bool {
            value.starts(with: "1.".utf8) && value.count > 2 && value.dropFirst(2).allSatisfy { $0 &- 0x30 < 10 }
        }
        guard skipSpace(), take("version"), isVersion(try quotedAfterEquals()) else { throw failure("The XML declaration needs version=\"1.0\"") }
        var spaced = skipSpace()
        if at("encoding") {
            guard spaced, take("encoding") else { throw failure("White space is missing in the XML declaration") }
            let name = try quotedAfterEquals()
            guard let first = name.first, (first | 0x20) &- 0x61 < 26,
                name.allSatisfy({ ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || "._-".utf8.contains($0) })
            else { throw failure("Not a name of an encoding") }
            spaced = skipSpace()
        }
        if at("standalone") {
            guard spaced, take("standalone") else { throw failure("White space is missing in the XML declaration") }
            let value = String(decoding: try quotedAfterEquals(), as: UTF8.self)
            guard value == "yes" || value == "no" else { throw failure("standalone is \"yes\" or \"no\"") }
            skipSpace()
        }
        guard take("?>") else { throw failure("The XML declaration does not end with ?>") }
    }

    // MARK: - Document type

    /// Passed over, when it says nothing that would change what is read.
    private mutating func documentType() throws(FormatError) {
        hasDocumentType = true
        _ = take("<!DOCTYPE")
        guard skipSpace() else { throw failure("White space is missing after <!DOCTYPE") }
        _ = try name()
        let spaced = skipSpace()
        if at("PUBLIC") || at("SYSTEM") {
            guard spaced else { throw failure("White space is missing in the document type declaration") }
            let isPublic = at("PUBLIC")
            position += 6
            for _ in 0..<(isPublic ? 2 : 1) {
                guard skipSpace() else { throw failure("White space is missing in the document type declaration") }
                try literal()
            }
            skipSpace()
        }
        if take("[") {
            try internalSubset()
            skipSpace()
        }
        guard take(">") else { throw failure("The document type declaration does not end with >") }
    }

    private mutating func literal() throws(FormatError) {
        let quote = next
        guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { throw failure("Expecting a quoted value") }
        position += 1
        while position < bytes.count, bytes[position] != quote { position += 1 }
        guard position < bytes.count else { throw failure("A quoted value has no closing quote") }
        position += 1
    }

    /// Declarations of elements, notations and attributes without default values.
    private mutating func internalSubset() throws(FormatError) {
        while position < bytes.count {
            if skipSpace() { continue }
            if take("]") { return }
            if take("<!--") { try comment() }
            else if take("<?") { try instruction() }
            else if at("<!ENTITY") || at("<![") || next == UInt8(ascii: "%") {
                throw failure("A document type declaration with entities is refused: write them out and remove the declaration", .refused)
            } else if at("<!ELEMENT") || at("<!ATTLIST") || at("<!NOTATION") {
                try declarationInSubset()
            } else {
                throw failure("Not a declaration")
            }
        }
        throw failure("The document type declaration has no end")
    }

    private mutating func declarationInSubset() throws(FormatError) {
        let isNotation = at("<!NOTATION")
        position += isNotation ? 10 : 9
        guard skipSpace() else { throw failure("White space is missing in a declaration") }
        _ = try name()
        var parentheses = 0
        while position < bytes.count, next != UInt8(ascii: ">") {
            if next == UInt8(ascii: "(") { parentheses += 1 }
            if next == UInt8(ascii: ")") { parentheses -= 1 }
            switch next {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                guard isNotation else {
                    throw failure("A document type declaration with default values is refused: write them out and remove the declaration", .refused)
                }
                try literal()
            case UInt8(ascii: "%"):
                throw failure("A document type declaration with entities is refused: write them out and remove the declaration", .refused)
            case UInt8(ascii: "<"): throw failure("A declaration has no end")
            default: position += 1
            }
        }
        guard parentheses == 0, take(">") else { throw failure("A declaration, or a list in it, has no end") }
    }

    private mutating func quotedAfterEquals() throws(FormatError) -> ArraySlice<UInt8> {
        skipSpace()
        guard take("=") else { throw failure("Expecting =") }
        skipSpace()
        let quote = next
        guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { throw failure("Expecting a quoted value") }
        position += 1
        let start = position
        while position < bytes.count, bytes[position] != quote { position += 1 }
        guard position < bytes.count else { throw failure("A quoted value has no closing quote") }
        position += 1
        return bytes[start..<position - 1]
    }

    private mutating func comment() throws(FormatError) {
        while position < bytes.count {
            if take("--") {
                guard take(">") else { throw failure("-- is not allowed inside a comment") }
                return
            }
            position += 1
        }
        throw failure("A comment has no end")
    }

    private mutating func instruction() throws(FormatError) {
        let target = try name()
        guard !target.contains(UInt8(ascii: ":")) else { throw failure("A colon in the target of a processing instruction") }
        if target.count == 3, target.map({ $0 | 0x20 }) == Self.xml { throw failure("An XML declaration is allowed only at the very start") }
        if take("?>") { return }
        guard skipSpace() else { throw failure("White space is missing after the target of a processing instruction") }
        while position < bytes.count {
            if take("?>") { return }
            position += 1
        }
        throw failure("A processing instruction has no end")
    }

    // MARK: - Elements

    private mutating func element() throws(FormatError) -> XMLElement {
        try startTag()
        while true {
            // An empty-element tag may have closed the root.
            if let root = closed { return root }
            try cancellation.check(.xml)
            guard position < bytes.count else { throw failure("Element <\(open[open.count - 1].element.name)> is not closed") }
            switch bytes[position] {
            case UInt8(ascii: "<"):
                if take("</") { try endTag() }
                else if take("<!--") { try comment() }
                else if take("<![CDATA[") { try characterData() }
                else if take("<?") { try instruction() }
                else if at("<!") { throw failure("A declaration is not allowed inside an element", at("<!DOCTYPE") || at("<!ENTITY") ? .refused : .syntax) }
                else { try startTag() }
            case UInt8(ascii: "&"):
                let scalar = try reference()
                open[open.count - 1].text.append(contentsOf: UTF8.encode(scalar)!)
            case UInt8(ascii: "]") where at("]]>"):
                throw failure("]]> is not allowed in text")
            default:
                appendTextByte()
            }
        }
    }

    /// The root once its end tag was read.
    private var closed: XMLElement? = nil

    /// Line ends become LF (XML 1.0, 2.11).
    private mutating func appendTextByte() {
        let byte = bytes[position]
        position += 1
        if byte == 0x0D {
            if next == 0x0A { position += 1 }
            open[open.count - 1].text.append(0x0A)
        } else {
            open[open.count - 1].text.append(byte)
        }
    }

    private mutating func characterData() throws(FormatError) {
        while position < bytes.count {
            if take("]]>") { return }
            appendTextByte()
        }
        throw failure("A CDATA section has no end")
    }

    private mutating func flushText() {
        let top = open.count - 1
        guard !open[top].text.isEmpty else { return }
        open[top].element.content.append(.text(String(decoding: open[top].text, as: UTF8.self)))
        open[top].text.removeAll()
    }

    private mutating func startTag() throws(FormatError) {
        position += 1
        let name = try self.name()
        guard open.count < Limits.nestingDepth else {
            throw failure("Nested deeper than \(Limits.nestingDepth) levels", .limit)
        }
        elements += 1
        guard elements <= Limits.documentParts else {
            throw failure("More than \(Limits.documentParts) elements; publish it in parts under several keys", .limit)
        }
        if !open.isEmpty { flushText() }
        var attributes: [(name: [UInt8], value: [UInt8])] = []
        var names: Set<[UInt8]> = []
        var isEmpty = false
        while true {
            let spaced = skipSpace()
            if take("/>") { isEmpty = true; break }
            if take(">") { break }
            guard position < bytes.count else { throw failure("A tag has no end") }
            guard spaced else { throw failure("White space is missing between attributes") }
            let attribute = try self.name()
            guard names.insert(attribute).inserted else { throw failure("Attribute \(String(decoding: attribute, as: UTF8.self)) occurs twice") }
            attributes.append((attribute, try attributeValue()))
        }
        var bound: [[UInt8]] = []
        for attribute in attributes {
            if attribute.name == Self.xmlns {
                try bind([], to: attribute.value)
                bound.append([])
            } else if attribute.name.starts(with: Self.xmlns), attribute.name.count > 5, attribute.name[5] == UInt8(ascii: ":") {
                let prefix = Array(attribute.name[6...])
                try bind(prefix, to: attribute.value)
                bound.append(prefix)
            }
        }
        _ = try namespace(of: name)
        // Two attributes of one namespace and one local name are the same attribute, whatever their prefixes (Namespaces 6.3).
        var expanded: [Int: Set<ArraySlice<UInt8>>] = [:]
        for attribute in attributes {
            guard let colon = attribute.name.firstIndex(of: UInt8(ascii: ":")), !attribute.name.starts(with: Self.xmlns + [UInt8(ascii: ":")]) else { continue }
            let namespace = try namespace(of: attribute.name)
            guard expanded[namespace, default: []].insert(attribute.name[(colon + 1)...]).inserted else {
                throw failure("Two attributes are the same one by their namespace")
            }
        }
        var element = XMLElement(name: String(decoding: name, as: UTF8.self))
        element.attributes = attributes.map { (String(decoding: $0.name, as: UTF8.self), String(decoding: $0.value, as: UTF8.self)) }
        open.append(Open(element: element, bound: bound))
        if isEmpty { close() }
    }

    private mutating func endTag() throws(FormatError) {
        let name = try self.name()
        skipSpace()
        let wanted = open[open.count - 1].element.name
        guard name.elementsEqual(wanted.utf8), take(">") else { throw failure("Expecting the end tag </\(wanted)>") }
        close()
    }

    private mutating func close() {
        flushText()
        let finished = open.removeLast()
        for prefix in finished.bound { namespaces[prefix]?.removeLast() }
        if open.isEmpty { closed = finished.element } else { open[open.count - 1].element.content.append(.element(finished.element)) }
    }

    // MARK: - Namespaces

    private mutating func bind(_ prefix: [UInt8], to namespace: [UInt8]) throws(FormatError) {
        let isXML = prefix == Self.xml
        guard prefix != Self.xmlns, isXML == (namespace == Self.xmlNamespace), namespace != Self.xmlnsNamespace,
            prefix.isEmpty || !namespace.isEmpty
        else { throw failure("A namespace declaration that Namespaces in XML forbids") }
        let number = numbers[namespace] ?? numbers.count
        numbers[namespace] = number
        namespaces[prefix, default: []].append(number)
    }

    private func namespace(of name: [UInt8]) throws(FormatError) -> Int {
        let prefix = Array(name[..<(name.firstIndex(of: UInt8(ascii: ":")) ?? 0)])
        guard let namespace = namespaces[prefix]?.last else {
            throw failure("The prefix \(String(decoding: prefix, as: UTF8.self)) is not bound to a namespace")
        }
        return namespace
    }

    // MARK: - Names, values, references

    /// A qualified name: one colon at most, not at an end.
    private mutating func name() throws(FormatError) -> [UInt8] {
        let start = position
        var colons = 0
        var isFirst = true
        while position < bytes.count {
            let (scalar, width) = scalar(at: position)
            if scalar == ":" {
                guard !isFirst else { throw failure("A name may not begin with a colon") }
                colons += 1
                isFirst = true
            } else if isFirst ? XMLName.isStart(scalar) : XMLName.isPart(scalar) {
                isFirst = false
            } else {
                break
            }
            position += width
        }
        guard position > start, !isFirst, colons <= 1 else { throw failure("Expecting a name") }
        return Array(bytes[start..<position])
    }

    /// The scalar that begins at an index. The bytes are UTF-8: checked when they were decoded, or out of a `String`.
    private func scalar(at index: Int) -> (Unicode.Scalar, width: Int) {
        let first = bytes[index]
        if first < 0x80 { return (Unicode.Scalar(first), 1) }
        let width = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        var code = UInt32(first) & (0xFF >> UInt32(width + 1))
        for i in 1..<width { code = code << 6 | UInt32(index + i < bytes.count ? bytes[index + i] & 0x3F : 0) }
        return (Unicode.Scalar(code) ?? "\u{FFFD}", width)
    }

    private mutating func attributeValue() throws(FormatError) -> [UInt8] {
        skipSpace()
        guard take("=") else { throw failure("Expecting = after the name of an attribute") }
        skipSpace()
        let quote = next
        guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { throw failure("The value of an attribute needs quotes") }
        position += 1
        var value: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case quote:
                position += 1
                return value
            case UInt8(ascii: "<"): throw failure("< is not allowed in the value of an attribute")
            case UInt8(ascii: "&"): value.append(contentsOf: UTF8.encode(try reference())!)
            case 0x0D:
                position += 1
                if next == 0x0A { position += 1 }
                value.append(0x20)
            case 0x09, 0x0A:
                position += 1
                value.append(0x20)
            default:
                position += 1
                value.append(byte)
            }
        }
        throw failure("The value of an attribute has no closing quote")
    }

    /// One of the five named references, or a numeric one.
    private mutating func reference() throws(FormatError) -> Unicode.Scalar {
        for (token, scalar) in Self.entities where take(token) { return scalar }
        guard take("&#") else {
            throw failure(
                "A reference to an entity that XML does not define; only &lt; &gt; &amp; &quot; &apos; and numbers are read",
                hasDocumentType ? .refused : .syntax)
        }
        let radix: UInt32 = take("x") ? 16 : 10
        var code: UInt32 = 0
        let start = position
        while next != UInt8(ascii: ";") {
            guard let digit = Character(Unicode.Scalar(next)).hexDigitValue, digit < radix, code <= 0x10FFFF else { throw failure("Not a character number") }
            code = code * radix + UInt32(digit)
            position += 1
        }
        guard position > start, let scalar = Unicode.Scalar(code), XMLName.isCharacter(scalar) else {
            throw failure("A reference to a number that is no character of XML")
        }
        position += 1
        return scalar
    }
    private static let entities: [(StaticString, Unicode.Scalar)] = [
        ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"), ("&quot;", "\""), ("&apos;", "'"),
    ]
}

/// The character classes of XML 1.0, fifth edition (productions 2, 4, 4a).
enum XMLName {
    static func isCharacter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
        default: false
        }
    }
    static func isStart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x41...0x5A, 0x5F, 0x61...0x7A, 0xC0...0xD6, 0xD8...0xF6, 0xF8...0x2FF, 0x370...0x37D, 0x37F...0x1FFF, 0x200C...0x200D,
            0x2070...0x218F, 0x2C00...0x2FEF, 0x3001...0xD7FF, 0xF900...0xFDCF, 0xFDF0...0xFFFD, 0x10000...0xEFFFF: true
        default: false
        }
    }
    static func isPart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x2D, 0x2E, 0x30...0x39, 0xB7, 0x0300...0x036F, 0x203F...0x2040: true
        default: isStart(scalar)
        }
    }
    /// A name without a colon, which can stand for itself wherever a name is wanted.
    static func isPlainName(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, isStart(first) else { return false }
        return text.unicodeScalars.allSatisfy(isPart) && !text.lowercased().hasPrefix("xml")
    }
}
