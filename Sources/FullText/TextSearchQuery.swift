// The signs that people type (docs/query-syntax.md), read so that plain language never loses by them: what can be prose or a command line is
// words, as in `TextQuery`. Which bare signs are none, QueryProse.swift says.

internal import Base

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
    /// What is asked for, for an embedding: the words without the signs of demands, nothing of what is excluded or names a field. The whole
    /// text when nothing is demanded by signs, or when nothing is left without them.
    public let plainText: String
    /// All words that count, with repeats; of a prefix the word itself.
    let words: [String]
    /// Those of the words that are exact (ExactWords.swift).
    let exact: [String]
    /// The words as they follow each other.
    let order: [String]
    /// Prefixes, each of which stands for the terms that begin with it.
    let prefixes: [Prefix]
    /// Terms that must be there.
    let required: [String]
    /// Of these, each must have a term that is there.
    let requiredPrefixes: [Prefix]
    /// Runs of terms that must stand one after another.
    let phrases: [[String]]
    /// Runs of terms that lift a text in which they stand one after another.
    let lifts: [[String]]
    /// A text that has all terms of one of these is out; of a phrase, one after another.
    let excluded: [(terms: [String], isPhrase: Bool)]
    let excludedPrefixes: [Prefix]

    /// - Parameter isField: whether a name and a value can be a field and one of its values; others are two words.
    /// - Complexity: O(length), of which `Limits.queryScalars` are read.
    public init(_ text: String, analyzer: Analyzer = .init(), isField: (String, String) -> Bool = { _, _ in true }) {
        var reader = SyntaxReader(TextQuery.bounded(text))
        let items = QueryProse.settled(reader.items(isField))
        var meaning = Meaning(analyzer)
        for item in items { meaning.add(item) }
        meaning.finish()
        fields = meaning.fields
        plainText = meaning.demands && !meaning.spoken.isEmpty ? String(meaning.spoken.dropLast()) : text
        words = meaning.words
        exact = ExactWords.terms(meaning.spoken, analyzer)
        order = analyzer.terms(meaning.spoken)
        prefixes = meaning.prefixes
        required = meaning.required
        requiredPrefixes = meaning.requiredPrefixes
        phrases = meaning.phrases
        lifts = meaning.lifts
        excluded = meaning.excluded
        excludedPrefixes = meaning.excludedPrefixes
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
    public var isPlain: Bool { !hasDemands && prefixes.isEmpty && lifts.isEmpty }

    /// Whether texts must or must not have something, or be of certain documents.
    public var hasDemands: Bool { !fields.isEmpty || !required.isEmpty || !requiredPrefixes.isEmpty || !excluded.isEmpty || !excludedPrefixes.isEmpty }
}

/// A piece of a query as it was typed.
enum QueryItem {
    enum Sign { case none, plus, minus }

    /// From one space to the next, without its sign.
    case word(String, Sign)
    case quoted(String, Sign)
    case field(TextSearchQuery.FieldTerm)
}

/// From text to items.
private struct SyntaxReader {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    /// No quotation mark from here on: then each is looked for once only, and reading stays linear.
    private let lastQuote: Int

    init(_ text: String) {
        scalars = Array(text.unicodeScalars)
        lastQuote = scalars.lastIndex(where: Self.isQuote) ?? -1
    }

    private static func isQuote(_ scalar: Unicode.Scalar) -> Bool { scalar == "\"" || scalar == "\u{201C}" || scalar == "\u{201D}" || scalar == "\u{201E}" }
    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isWhitespace }
    private static func isWord(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "_" }

    mutating func items(_ isField: (String, String) -> Bool) -> [QueryItem] {
        var items: [QueryItem] = []
        while position < scalars.count {
            if Self.isSpace(scalars[position]) {
                position += 1
                continue
            }
            var sign = QueryItem.Sign.none
            if scalars[position] == "+" || scalars[position] == "-", signs(at: position + 1) {
                sign = scalars[position] == "+" ? .plus : .minus
                position += 1
            }
            if Self.isQuote(scalars[position]) {
                if let quoted = quoted() { items.append(.quoted(quoted, sign)) }
            } else if let field = field(sign, isField) {
                items.append(.field(field))
            } else {
                items.append(.word(word(), sign))
            }
        }
        return items
    }

    /// Whether a sign may stand before what is here: a word, or a quotation that begins with one (not `+"%Y-%m-%d"`) and has an end.
    private func signs(at next: Int) -> Bool {
        guard next < scalars.count else { return false }
        if Self.isQuote(scalars[next]) { return next + 1 < lastQuote && Self.isWord(scalars[next + 1]) }
        return Self.isWord(scalars[next])
    }

    /// From a quotation mark to the next; one alone is nothing.
    private mutating func quoted() -> String? {
        position += 1
        guard position <= lastQuote, let end = scalars[position...].firstIndex(where: Self.isQuote) else { return nil }
        defer { position = end + 1 }
        return text(position..<end)
    }

    /// `name:value` or `name:"value"`: the name of letters, digits, underscores and dots, a letter or underscore first. Not what looks like an
    /// address or a scope ("http://", "std::io").
    private mutating func field(_ sign: QueryItem.Sign, _ isField: (String, String) -> Bool) -> TextSearchQuery.FieldTerm? {
        var colon = position
        while colon < scalars.count, colon - position <= 256, scalars[colon].isASCII, Self.isWord(scalars[colon]) || scalars[colon] == "." { colon += 1 }
        guard colon > position, colon + 1 < scalars.count, scalars[colon] == ":", !("0"..."9").contains(scalars[position]) else { return nil }
        let first = scalars[colon + 1]
        guard !Self.isSpace(first), first != ":", first != "/" else { return nil }
        var (start, end) = (colon + 1, colon + 1)
        let after: Int
        if Self.isQuote(first), start < lastQuote, let close = scalars[(start + 1)...].firstIndex(where: Self.isQuote) {
            (start, end) = (start + 1, close)
            after = close + 1
        } else {
            while end < scalars.count, !Self.isSpace(scalars[end]) { end += 1 }
            after = end
        }
        let (name, value) = (text(position..<colon), text(start..<end))
        guard isField(name, value) else { return nil }
        position = after
        return TextSearchQuery.FieldTerm(field: name, value: value, isExcluded: sign == .minus)
    }

    private mutating func word() -> String {
        let start = position
        while position < scalars.count, !Self.isSpace(scalars[position]), !(Self.isQuote(scalars[position]) && position > start) { position += 1 }
        return text(start..<position)
    }

    private func text(_ range: Range<Int>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars[range])
        return String(view)
    }
}

/// From items to terms. A sign that is still there counts.
private struct Meaning {
    private let analyzer: Analyzer

    var fields: [TextSearchQuery.FieldTerm] = []
    var words: [String] = []
    var prefixes: [TextSearchQuery.Prefix] = []
    var required: [String] = []
    var requiredPrefixes: [TextSearchQuery.Prefix] = []
    var phrases: [[String]] = []
    var lifts: [[String]] = []
    var excluded: [(terms: [String], isPhrase: Bool)] = []
    var excludedPrefixes: [TextSearchQuery.Prefix] = []
    /// Whatever is asked for, as it was typed but for the signs, a space after each; whatever the analyser makes of it.
    private(set) var spoken = ""
    /// A sign demands something.
    private(set) var demands = false
    /// Plain words so far, analysed together.
    private var plain = ""

    init(_ analyzer: Analyzer) { self.analyzer = analyzer }

    mutating func add(_ item: QueryItem) {
        switch item {
        case .field(let term):
            demands = true
            fields.append(term)
        case .quoted(let quoted, let sign):
            if sign != .none { demands = true }
            if sign != .minus { speak(quoted) }
            let terms = analyzer.terms(quoted)
            if terms.isEmpty { return }
            switch sign {
            case .minus: excluded.append((terms, terms.count > 1))
            case .plus:
                words += terms
                required += terms
                if terms.count > 1 { phrases.append(terms) }
            case .none:
                words += terms
                if terms.count > 1, terms.count <= TextIndex.liftTermsMax { lifts.append(terms) }
            }
        case .word(let typed, let sign):
            if sign != .none { demands = true }
            let isPrefix = Self.isPrefix(typed)
            let word = isPrefix ? String(typed.dropLast()) : typed
            if sign != .minus { speak(word) }
            if isPrefix {
                addPrefix(sign, word)
                return
            }
            switch sign {
            case .none: plain += word + " "
            case .plus:
                let terms = analyzer.terms(word)
                words += terms
                required += terms
            case .minus:
                let terms = analyzer.terms(word)
                if !terms.isEmpty { excluded.append((terms, false)) }
            }
        }
    }

    mutating func finish() { words += analyzer.terms(plain) }

    private static func isPrefix(_ word: String) -> Bool {
        guard word.utf8.last == UInt8(ascii: "*"), let before = word.unicodeScalars.dropLast().last else { return false }
        return before.properties.isAlphabetic || before.properties.numericType != nil || before == "_"
    }

    /// The last word of what stands before the star is the prefix; words before it ("foo-ba*") are words. The text is words as well, as it would
    /// be without the star: that finds no less.
    private mutating func addPrefix(_ sign: QueryItem.Sign, _ text: String) {
        var parts = Analyzer(.simple).terms(text)
        if sign != .minus { words += analyzer.terms(text) }
        guard let last = parts.popLast() else { return }
        let whole = analyzer.terms(last)
        let prefix = TextSearchQuery.Prefix(text: last, whole: whole.count == 1 && whole[0] != last ? whole[0] : nil)
        switch sign {
        case .minus: excludedPrefixes.append(prefix)
        case .plus:
            required += parts.flatMap { analyzer.terms($0) }
            prefixes.append(prefix)
            requiredPrefixes.append(prefix)
        case .none: prefixes.append(prefix)
        }
    }

    private mutating func speak(_ text: String) {
        if text.isEmpty { return }
        spoken += text
        spoken += " "
    }
}
