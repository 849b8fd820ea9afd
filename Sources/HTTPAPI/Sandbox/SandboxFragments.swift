internal import Base
internal import Content
internal import Engine
internal import TOON

/// Pieces of HTML that the page puts in its place: everything that comes from data is escaped.
enum SandboxFragments {
    static func results(_ answer: QueryAnswer) -> String {
        let question = HTMLText.escaped(answer.query)
        guard !answer.matches.isEmpty else {
            return """
                <h3>No matches found</h3>
                <p class="meta">Nothing in this project fits &quot;\(question)&quot;. Ask in other words, or take a lower similarity.</p>

                """
        }
        let tokens = answer.matches.reduce(0) { $0 + ($1.tokens ?? $1.tokenCount) }
        return """
            <h3>Results for &quot;\(question)&quot;</h3>
            <p class="meta">\(counted(answer.matches.count, "match", "matches")), \(counted(tokens, "token", "tokens"))</p>

            """ + answer.matches.map(match).joined()
    }

    private static func match(_ match: Match) -> String {
        """
        <article>
        <h3>\(HTMLText.escaped(match.nodeKey)) <span class="score">\(percent(match.similarity)) %</span></h3>
        <p class="meta">\(HTMLText.escaped(match.description.excerpt()))</p>
        <details open><summary>TOON</summary><pre>\(HTMLText.escaped(TOONEncoder.encode(match.data)))</pre></details>
        <details><summary>JSON</summary><pre>\(HTMLText.escaped(JSONPrinter.text(match.data, style: .pretty2UTF8)))</pre></details>
        </article>

        """
    }

    /// - Parameter isWhole: false: these are the first keys only.
    static func stats(_ keys: [(key: String, nodes: Int, tokens: Int)], isWhole: Bool) -> String {
        let tokens = keys.reduce(0) { $0 + $1.tokens }
        let rest = isWhole ? "" : "; there are more"
        let rows = keys.map {
            "<tr><td>\(HTMLText.escaped($0.key))</td><td class=\"n\">\($0.nodes)</td><td class=\"n\">\($0.tokens)</td></tr>\n"
        }
        return """
            <p>\(isWhole ? "" : "The first ")\(counted(keys.count, "key", "keys")), \(counted(tokens, "token", "tokens"))\(rest)</p>
            <table>
            <tr><th>Key</th><th class="n">Nodes</th><th class="n">Tokens</th></tr>
            \(rows.joined())</table>

            """
    }

    private static func counted(_ count: Int, _ one: String, _ many: String) -> String { "\(count) \(count == 1 ? one : many)" }

    /// With one digit behind the point.
    private static func percent(_ share: Double) -> String {
        let tenths = Int((share * 1_000).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
