// The API for people: one page out of the route table, without scripts and without anything from elsewhere, so that it can be
// read on a machine that has no other network than this server.

internal import Access
internal import Base
internal import Content
internal import Service

enum DocumentationPage {
    /// Nothing but the page's own style may load or run.
    static let contentPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    static func html(version: String) -> String {
        var groups: [(name: String, routes: [Route])] = []
        for route in RouteTable.all {
            if let at = groups.firstIndex(where: { $0.name == route.group }) {
                groups[at].routes.append(route)
            } else {
                groups.append((route.group, [route]))
            }
        }
        let sections = groups.map { group in
            "<section>\n<h2>\(escaped(group.name))</h2>\n\(group.routes.map(article).joined())</section>\n"
        }
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Contex \(escaped(version))</title>
            <style>\(style)</style>
            </head>
            <body>
            <header>
            <h1>Contex</h1>
            <p>Publish data, register needs, be told what fits them. Version \(escaped(version)). For programs: <a href="/openapi.json">openapi.json</a>.</p>
            <p>With authentication on, every route marked <em>key</em> wants the header <code>X-API-Key</code> (or <code>Authorization:
            Bearer</code>). Routes under <code>/api/v1</code> that are marked <em>legacy</em> also answer under <code>/api</code>.</p>
            </header>
            <main>
            \(sections.joined())</main>
            </body>
            </html>

            """
    }

    private static func article(_ route: Route) -> String {
        var marks: [String] = []
        if route.bases.prefixes.contains("/api") { marks.append("legacy") }
        if !route.isPublic { marks.append(route.action.permission.map { "key with \($0.rawValue)" } ?? "key") }
        var html = """
            <article>
            <h3><b class="\(route.method.lowercased())">\(route.method)</b> <code>\(escaped(route.bases.prefixes[0] + route.path))</code></h3>
            <p>\(escaped(route.summary)). \(marks.map { "<em>\(escaped($0))</em>" }.joined(separator: " "))</p>

            """
        html += table("Path", route.pathFields)
        html += table("Query", route.queryFields)
        switch route.body {
        case .none: break
        case .object(let fields): html += table("Body: an object", fields)
        case .form(let fields): html += table("Body: a form, or an object", fields)
        case .objects(let fields, let countMax), .separateObjects(let fields, let countMax):
            html += table("Body: a list of at most \(countMax) objects", fields)
        case .optionalJSON(let summary), .document(let summary): html += "<h4>Body</h4>\n<p>\(escaped(summary)).</p>\n"
        }
        if let example = OpenAPIDocument.example(route.answer.example) {
            html += "<h4>Answer</h4>\n<pre>\(escaped(JSONPrinter.text(example, style: .pretty2UTF8)))</pre>\n"
        }
        return html + "</article>\n"
    }

    private static func table(_ title: String, _ fields: [FieldShape]) -> String {
        guard !fields.isEmpty else { return "" }
        let rows = fields.map { field in
            let presence =
                switch field.presence {
                case .required: "required"
                case .requiredWithout(let other): "required without \(other)"
                case .optional(let fallback): fallback.isNull ? "" : JSONPrinter.text(fallback)
                }
            return """
                <tr><td><code>\(escaped(field.name))</code></td><td>\(escaped((field.widened?.rule ?? field.rule).words))</td><td>\(escaped(presence))</td>\
                <td>\(escaped(field.summary))</td></tr>

                """
        }
        return "<h4>\(escaped(title))</h4>\n<table>\n\(rows.joined())</table>\n"
    }

    private static func escaped(_ text: String) -> String { HTMLText.escaped(text) }

    private static let style = """
        :root{color-scheme:light dark;--line:#8884}
        body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
        h1{margin:0}h2{margin:2.5rem 0 .5rem;border-bottom:1px solid var(--line)}h3{margin:1.5rem 0 .25rem;font-weight:normal}h4{margin:.75rem 0 .25rem}
        p{margin:.25rem 0}code,pre{font:.9em/1.45 ui-monospace,monospace}pre{overflow:auto;padding:.75rem;border:1px solid var(--line);border-radius:.4rem}
        table{border-collapse:collapse;width:100%}td{padding:.2rem .75rem .2rem 0;border-top:1px solid var(--line);vertical-align:top}
        em{font-style:normal;font-size:.8em;padding:.05rem .4rem;border:1px solid var(--line);border-radius:1rem;white-space:nowrap}
        b{display:inline-block;min-width:4.5rem}.get{color:#1a7f37}.post{color:#0969da}.put{color:#9a6700}.delete{color:#cf222e}
        """
}

extension OpenAPIDocument {
    /// An example as a value; nil for a route that answers no JSON.
    static func example(_ text: String) -> JSONValue? { try? JSONParser.parse(text: text) }
}

extension FieldRule {
    /// The rule as people read it.
    fileprivate var words: String {
        switch self {
        case .text(let scalarsMin, let scalarsMax):
            if scalarsMin == 0, scalarsMax == .max { "text" } else { "text of \(scalarsMin) to \(scalarsMax) characters" }
        case .name: "text of up to \(Limits.nameScalars) characters"
        case .integer(let min, let max):
            "whole number" + (min.map { ", \($0)" } ?? "") + (max.map { " to \($0)" } ?? (min == nil ? "" : " or more"))
        case .number(let min, let max): "number, \(min) to \(max)"
        case .shares(let names): "object of numbers from 0 on under " + names.joined(separator: " or ")
        case .flag: "true or false"
        case .texts(let countMax, _): "list of at most \(countMax) texts"
        case .embeddingInputs: "text, list of tokens, or list of 1 to \(Limits.embeddingTexts) of these"
        case .word(let words, _): words.joined(separator: ", ")
        case .address: "http or https URL"
        case .vector(let countMax): "list of at most \(countMax) numbers"
        case .moment: "number of an event, or ISO 8601 time"
        case .anything: "any JSON"
        case .metadata: "object of up to \(Limits.metadataBytes) bytes"
        case .filter: "filter, an object of conditions"
        }
    }
}
