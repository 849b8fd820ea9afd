import Base
import Content
import TestSupport
import Testing

/// Inputs that were made to cost more than they weigh, each in any size.
enum HostileInput {
    struct Input: CustomStringConvertible, Sendable {
        let description: String
        /// nil: the data is the text's value, as in a request's body.
        let hint: String?
        var isValue = false
        let make: @Sendable (_ bytes: Int) -> String

        func data(_ bytes: Int) throws -> JSONValue { isValue ? try JSONParser.parse(text: make(bytes)) : .string(make(bytes)) }
    }

    private static func text(_ name: String, _ hint: String?, _ make: @escaping @Sendable (Int) -> String) -> Input {
        Input(description: "\(hint ?? "any"): \(name)", hint: hint, make: make)
    }
    private static func value(_ name: String, _ make: @escaping @Sendable (Int) -> String) -> Input {
        Input(description: "value: \(name)", hint: nil, isValue: true, make: make)
    }
    /// A piece as often as it fits.
    static func many(_ piece: String, _ bytes: Int) -> String { String(repeating: piece, count: max(1, bytes / piece.utf8.count)) }
    private static func numbered(_ bytes: Int, each: Int, _ piece: (Int) -> String) -> String { (0..<max(1, bytes / each)).map(piece).joined() }
    private static func nested(_ open: String, _ inner: String, _ close: String, _ levels: Int) -> String {
        String(repeating: open, count: levels) + inner + String(repeating: close, count: levels)
    }

    /// `{"a": T(n - 1), "a.a": T(n - 2)}`: a Fibonacci number of nodes with one path.
    private static func equalPaths(_ bytes: Int) -> String {
        var (before, last) = ("{\"v\":1}", "{\"v\":1}")
        while last.utf8.count < bytes, last.utf8.count < 1 << 19 { (before, last) = (last, "{\"a\":\(last),\"a.a\":\(before)}") }
        return last
    }

    static let all: [Input] = [
        value("equal paths", equalPaths),
        value("paths of dots") { "[" + many("{\"\(many(".", 1_000))\":{\"a\":{}}},", $0) + "1]" },
        value("a long name over many items") { "{\"\(many("K", $0 / 2))\":[" + many("{\"a\":1},", $0 / 2) + "1]}" },
        value("a name of 3 kB over many items") { "{\"\(many("K", 3_000))\":[" + many("{\"a\":1},", $0) + "1]}" },
        value("one key again and again") { "{" + many("\"k\":1,", $0) + "\"k\":1}" },
        value("keys that differ") { bytes in "{" + numbered(bytes, each: 14) { "\"key\($0)\":1," } + "\"k\":1}" },
        value("keys of 60 kB") { bytes in "{" + numbered(bytes, each: 60_000) { "\"\(many("k", 60_000))\($0)\":1," } + "\"k\":1}" },
        value("arrays in arrays over an object") { nested("[", many("0,", $0) + "0", ",{\"a\":1}]", 62) },
        value("empty arrays over an object") { "[[" + many("[[[]]],", $0) + "[]],{}]" },
        value("levels with scalars") { nested("{\"a\":1,\"b\":", nested("[0,", many("0,", $0) + "0", "]", 20), "}", 40) },
        value("one text of one letter") { "\"\(many("a", $0))\"" },
        value("one text of spaces") { "\"\(many(" ", $0))\"" },
        value("one text of quotes") { "\"\(many("'\\\"", $0))\"" },
        value("one text of accents") { "\"a\(many("\u{301}\u{316}", $0))\"" },
        value("numbers of a thousand digits") { "[" + many("\(many("1", 999))," , $0) + "1]" },
        value("fractions of a thousand digits") { "{\"a\":[" + many("0.\(many("1", 990))," , $0) + "1]}" },
        value("names of capitals") { "{\"\(many("aB", 8_000))\":[" + many("\"aB_c\",", $0) + "1]}" },
        text("duplicates", "json") { "{" + many("\"k\":1,", $0) + "\"k\":1}" },
        text("escapes", "json") { "\"\(many("\\u00e9", $0))\"" },
        text("open brackets", "json") { many("[", $0) },
        text("numbers", "yaml") { "[" + many("0,", $0) + "0]" },
        text("lines", "yaml") { bytes in numbered(bytes, each: 10) { "k\($0): 1\n" } },
        text("items", "yaml") { many("- a\n", $0) },
        text("anchors", "yaml") { bytes in numbered(bytes, each: 16) { "- &a\($0) x\n" } },
        text("aliases of a large value", "yaml") { "a: &a \(many("x", 1_000))\nb:\n" + many("- *a\n", $0) },
        text("merges", "yaml") { bytes in "a: &a {x: 1}\n" + numbered(bytes, each: 22) { "k\($0):\n  <<: *a\n" } },
        text("merges of one mapping", "yaml") { bytes in
            "a: &a {" + numbered(bytes / 2, each: 9) { "k\($0): 1," } + "}\nb:\n  <<: [" + many("*a,", min(bytes / 2, 3_000)) + "*a]\n"
        },
        text("documents", "yaml") { many("---\na\n", $0) },
        text("keys in keys", "yaml") { "? " + nested("{", many("x", $0), ": 1}", 60) + "\n: 1\n" },
        text("brackets", "yaml") { many("[", $0) },
        text("braces", "yaml") { many("{", $0) },
        text("questions", "yaml") { many("? ", $0) },
        text("dashes", "yaml") { many("- ", $0) },
        text("comments", "yaml") { many("#\n", $0) },
        text("quoted lines", "yaml") { "a: \"" + many("b\n\n", $0) + "\"\n" },
        text("plain lines", "yaml") { "a: b\n" + many("  b\n", $0) },
        text("blanks", "yaml") { "a: |\n" + many(" \n", $0) + "  b\n" },
        text("tags", "yaml") { many("- !a b\n", $0) },
        text("keys", "toml") { bytes in numbered(bytes, each: 10) { "k\($0) = 1\n" } },
        text("tables", "toml") { bytes in numbered(bytes, each: 10) { "[a.k\($0)]\n" } },
        text("arrays of tables", "toml") { many("[[a]]\n", $0) },
        text("dotted keys", "toml") { bytes in numbered(bytes, each: 14) { "a.b.k\($0) = 1\n" } },
        text("a long dotted key", "toml") { many("a.", $0) + "a = 1" },
        text("inline tables", "toml") { "a = [" + many("{b={c=1}},", $0) + "1]" },
        text("quotes", "toml") { "a = \"\"\"" + many("\"\"a", $0) + "\"\"\"" },
        text("comments", "toml") { many("#\n", $0) },
        text("names that are equal", "csv") { many("a,", $0) + "a\n1,2\n" },
        text("names that look numbered", "csv") { bytes in numbered(bytes / 2, each: 9) { "a_\($0)," } + many("a,", bytes / 2) + "a\n1,2\n" },
        text("a long name over many rows", "csv") { many("K", $0 / 2) + ",b\n" + many("1,2\n", $0 / 2) },
        text("a name of 15 kB over many rows", "csv") { many("K", 15_000) + ",b\n" + many("1,2\n", $0) },
        text("wide rows", "csv") { many(",", 60_000) + "\n" + many("\(many(",", 60_000))\n", $0) },
        text("commas", "csv") { many(",", $0) },
        text("quotes", "csv") { "a,b\n\"" + many("\"\"", $0) + "\",1\n" },
        text("lines", "csv") { "a,b\n" + many("1,2\n", $0) },
        text("siblings", "xml") { "<r>" + many("<a/>", $0) + "</r>" },
        text("siblings that differ", "xml") { bytes in "<r>" + numbered(bytes, each: 9) { "<a\($0)/>" } + "</r>" },
        text("attributes", "xml") { bytes in "<r " + numbered(bytes, each: 10) { "a\($0)='' " } + "/>" },
        text("namespaces", "xml") { bytes in "<r " + numbered(bytes, each: 16) { "xmlns:a\($0)='u' " } + "/>" },
        text("references", "xml") { "<r>" + many("&amp;", $0) + "</r>" },
        text("text between elements", "xml") { "<r>" + many("t<a/>", $0) + "</r>" },
        text("comments", "xml") { "<r>" + many("<!---->", $0) + "</r>" },
        text("open elements", "xml") { many("<a>", $0) },
        text("brackets", "markdown") { many("[", $0) },
        text("links", "markdown") { many("[a](", $0) },
        text("images", "markdown") { many("![", $0) },
        text("emphasis", "markdown") { many("*a ", $0) },
        text("mixed emphasis", "markdown") { many("*a_ ", $0) },
        text("stars", "markdown") { many("**", $0) },
        text("ticks", "markdown") { bytes in (1...max(2, Int(Double(2 * bytes).squareRoot()))).map { many("`", $0) + "a" }.joined() },
        text("quotes", "markdown") { many("> ", $0) },
        text("quoted lines", "markdown") { many("> a\n", $0) },
        text("lists in lists", "markdown") { many("- ", $0) },
        text("items", "markdown") { many("- a\n", $0) },
        text("definitions", "markdown") { bytes in numbered(bytes, each: 16) { "[a\($0)]: b\n\n" } },
        text("one definition often used", "markdown") { "[a]: \(many("b", 1_000))\n\n" + many("[a]", $0) },
        text("tags", "markdown") { many("<a", $0) },
        text("comments", "markdown") { many("<!--", $0) },
        text("instructions", "markdown") { many("<?", $0) },
        text("references", "markdown") { many("&amp", $0) },
        text("headings", "markdown") { many("# a\n", $0) },
        text("fences", "markdown") { many("```\na\n```\n", $0) },
        text("lines", "markdown") { many("a\n", $0) },
        text("indented code", "markdown") { many("    a\n\n", $0) },
        text("backslashes", "markdown") { many("\\", $0) },
        text("blocks", "code") { many("a\n\n", $0) },
        text("one line", "code") { many("a", $0) },
        text("sentences", "text") { many("a. ", $0) },
        text("paragraphs", "text") { many("a\n\n", $0) },
        text("white space", "text") { "a" + many(" \t", $0) + "b" },
        text("stops", "text") { many(".", $0) },
        text("prose", nil) { many("It is a word: and another one, of many. ", $0) },
        text("commas", nil) { many(",", $0) },
        text("columns", nil) { many("a,", $0) + "a\n" + many("1,", $0) + "1\n" },
        text("brackets", nil) { many("[", $0) },
        text("braces", nil) { many("{", $0) },
        text("elements", nil) { many("<a>", $0) },
        text("digits", nil) { many("7", $0) },
        text("colons", nil) { many("a: ", $0) },
        text("dashes", nil) { many("- ", $0) },
        text("line ends", nil) { "a" + many("\r", $0) + "b" },
        text("settings", nil) { bytes in numbered(bytes, each: 10) { "k\($0) = 1\n" } },
    ]
}

@Suite struct HostileInputTests {
    /// A megabyte of the worst is refused or done, and four times the input takes about four times as long.
    @Test(arguments: HostileInput.all)
    func costsWhatItWeighs(_ input: HostileInput.Input) throws {
        func work(_ data: JSONValue) -> () throws -> Void {
            {
                do throws(ContexError) {
                    let content = try ContentSplitter.split(data, hint: input.hint)
                    for node in content.nodes {
                        _ = SearchText.embedded(key: "k", path: node.path, kind: node.kind.rawValue, value: node.value)
                        _ = SearchText.indexed(key: "k", path: node.path, kind: node.kind.rawValue, value: node.value)
                    }
                    _ = try ContentSplitter.whole(data, hint: input.hint)
                } catch {
                    #expect(error.category == .invalid && error.field == "data", "\(error)")
                }
            }
        }
        let excess = try WorkTime.excess(factor: 4, floor: 0.3, small: work(input.data(256 << 10)), large: work(input.data(1 << 20)))
        #expect(excess == nil, "\(excess ?? "")")
    }
}
