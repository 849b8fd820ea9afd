// The syntax that people type (docs/query-syntax.md), read so that plain language never fails: whatever is not clearly a sign of
// the syntax is a word or a separator, as in `TextQuery`.


/// A query with phrases, `+`, `-`, `prefix*` and `field:value`, read from its text.
public struct TextSearchQuery: Sendable {
    /// A `field:value` of the text: for the caller, who knows what fields there are. The index takes no part in it.
    public struct FieldTerm: Sendable, Equatable {
        public let field: String
        public let value: String
        /// Written with a minus before it.
        public let isExcluded: Bool
    }

    struct Prefix: Sendable, Equatable {
        /// Folded, as terms are.
        let text: String
        /// What the word is when it is no prefix, after stemming: counts as well.
        let whole: String?
    }

    public let fields: [FieldTerm]
    /// What is asked for in plain words, for an embedding: words, phrases and prefixes without their signs, nothing of what is excluded or
    /// names a field. The whole text when no sign was found in it, or when nothing is left without them.
    public let plainText: String
    /// All words that count, with repeats.
    let words: [String]
    /// Prefixes, each of which stands for the terms that begin with it.
    let prefixes: [Prefix]
    /// Terms that must be there.
    let required: [String]
    /// Of these, each must have a term that is there.
    let requiredPrefixes: [Prefix]
    /// Runs of terms that must stand one after another.
    let phrases: [[String]]
    /// A text that has all terms of one of these is out; of a phrase, one after another.
    let excluded: [(terms: [String], isPhrase: Bool)]
    let excludedPrefixes: [Prefix]

    /// - Parameter isField: what names a field; `name:value` with another name is two words.
    /// - Complexity: O(length), of which `TextQuery.bytesMax` are read.
    public init(_ text: String, analyzer: Analyzer = .init(), isField: (String) -> Bool = { _ in true }) {
        var reader = SyntaxReader(TextQuery.bounded(text), analyzer)
        reader.read(isField)
        fields = reader.fields
        plainText = reader.hasSigns && !reader.spoken.isEmpty ? String(reader.spoken.dropLast()) : text
        words = reader.words
        prefixes = reader.prefixes
        required = reader.required
        requiredPrefixes = reader.requiredPrefixes
        phrases = reader.phrases
        excluded = reader.excluded
        excludedPrefixes = reader.excludedPrefixes
    }

    /// False of a text that cannot have a sign, by its bytes alone: it is plain, and its `plainText` is the text.
    public static func mayHaveSigns(_ text: String) -> Bool {
        text.utf8.contains { byte in
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: ":"): true
            // Begins a typographic quotation mark, and others.
            case 0xE2: true
            default: false
            }
        }
    }

    /// Whether a plain `TextQuery` of the same text means the same.
    public var isPlain: Bool {
        fields.isEmpty && prefixes.isEmpty && required.isEmpty && phrases.isEmpty && excluded.isEmpty && excludedPrefixes.isEmpty
    }
}

private struct SyntaxReader {
    private let scalars: [Unicode.Scalar]
    private let analyzer: Analyzer
    private var position = 0

    var fields: [TextSearchQuery.FieldTerm] = []
    var words: [String] = []
    var prefixes: [TextSearchQuery.Prefix] = []
    var required: [String] = []
    var requiredPrefixes: [TextSearchQuery.Prefix] = []
    var phrases: [[String]] = []
    var excluded: [(terms: [String], isPhrase: Bool)] = []
    var excludedPrefixes: [TextSearchQuery.Prefix] = []
    /// Whatever is asked for, as it was typed but for the signs, a space after each; whatever the analyser makes of it.
    private(set) var spoken = ""
    /// Something was more than a plain word.
    private(set) var hasSigns = false
    /// Plain words so far, analysed together.
    private var plain = ""
    /// No quotation mark from here on: then each is looked for once only, and reading stays linear.
    private var lastQuote = -1

    private enum Sign { case none, plus, minus }

    init(_ text: String, _ analyzer: Analyzer) {
        scalars = Array(text.unicodeScalars)
        self.analyzer = analyzer
        lastQuote = scalars.lastIndex(where: Self.isQuote) ?? -1
    }

    private static func isQuote(_ scalar: Unicode.Scalar) -> Bool { scalar == "\"" || scalar == "\u{201C}" || scalar == "\u{201D}" || scalar == "\u{201E}" }
    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isWhitespace }
    private static func isWord(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "_" }

    mutating func read(_ isField: (String) -> Bool) {
        while position < scalars.count {
            if Self.isSpace(scalars[position]) {
                position += 1
                continue
            }
            var sign = Sign.none
            if scalars[position] == "+" || scalars[position] == "-", position + 1 < scalars.count,
                Self.isWord(scalars[position + 1]) || Self.isQuote(scalars[position + 1])
            {
                sign = scalars[position] == "+" ? .plus : .minus
                hasSigns = true
                position += 1
            }
            if Self.isQuote(scalars[position]) {
                readQuote(sign)
            } else if !readField(sign, isField) {
                readWord(sign)
            }
        }
        words += analyzer.terms(plain)
    }

    /// From a quotation mark to the next; alone it is nothing.
    private mutating func readQuote(_ sign: Sign) {
        position += 1
        guard position <= lastQuote, let end = scalars[position...].firstIndex(where: Self.isQuote) else { return }
        let quoted = text(position..<end)
        let terms = analyzer.terms(quoted)
        position = end + 1
        hasSigns = true
        if sign != .minus { speak(quoted) }
        if terms.isEmpty { return }
        if sign == .minus {
            excluded.append((terms, terms.count > 1))
            return
        }
        words += terms
        required += terms
        if terms.count > 1 { phrases.append(terms) }
    }

    /// `name:value` or `name:"value"`: the name of letters, digits, underscores and dots, a letter or underscore first. Not what looks like an
    /// address or a scope ("http://", "std::io").
    private mutating func readField(_ sign: Sign, _ isField: (String) -> Bool) -> Bool {
        var colon = position
        while colon < scalars.count, colon - position <= 256, scalars[colon].isASCII, Self.isWord(scalars[colon]) || scalars[colon] == "." { colon += 1 }
        guard colon > position, colon + 1 < scalars.count, scalars[colon] == ":", !("0"..."9").contains(scalars[position]) else { return false }
        let first = scalars[colon + 1]
        guard !Self.isSpace(first), first != ":", first != "/" else { return false }
        let name = text(position..<colon)
        guard isField(name) else { return false }
        var (start, end) = (colon + 1, colon + 1)
        if Self.isQuote(first), start < lastQuote, let close = scalars[(start + 1)...].firstIndex(where: Self.isQuote) {
            (start, end) = (start + 1, close)
            position = close + 1
        } else {
            while end < scalars.count, !Self.isSpace(scalars[end]) { end += 1 }
            position = end
        }
        hasSigns = true
        fields.append(TextSearchQuery.FieldTerm(field: name, value: text(start..<end), isExcluded: sign == .minus))
        return true
    }

    private mutating func readWord(_ sign: Sign) {
        let start = position
        while position < scalars.count, !Self.isSpace(scalars[position]), !(Self.isQuote(scalars[position]) && position > start) { position += 1 }
        let isPrefix = position - start > 1 && scalars[position - 1] == "*" && Self.isWord(scalars[position - 2])
        let word = text(start..<(isPrefix ? position - 1 : position))
        if sign != .minus { speak(word) }
        if isPrefix {
            hasSigns = true
            readPrefix(sign, word)
            return
        }
        switch sign {
        case .none:
            plain += word + " "
        case .plus:
            let terms = analyzer.terms(word)
            words += terms
            required += terms
        case .minus:
            let terms = analyzer.terms(word)
            if !terms.isEmpty { excluded.append((terms, false)) }
        }
    }

    /// The last word of what stands before the star is the prefix; words before it ("foo-ba*") are words.
    private mutating func readPrefix(_ sign: Sign, _ text: String) {
        var parts = Analyzer(.simple).terms(text)
        guard let last = parts.popLast() else { return }
        let whole = analyzer.terms(last)
        let prefix = TextSearchQuery.Prefix(text: last, whole: whole.count == 1 && whole[0] != last ? whole[0] : nil)
        let before = parts.flatMap { analyzer.terms($0) }
        switch sign {
        case .minus:
            excludedPrefixes.append(prefix)
        case .plus:
            words += before
            required += before
            prefixes.append(prefix)
            requiredPrefixes.append(prefix)
        case .none:
            words += before
            prefixes.append(prefix)
        }
    }

    private mutating func speak(_ text: String) {
        if text.isEmpty { return }
        spoken += text
        spoken += " "
    }

    private func text(_ range: Range<Int>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars[range])
        return String(view)
    }
}
