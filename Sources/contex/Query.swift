public import ArgumentParser
internal import Base
internal import Content
public import Engine

struct Query: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a project in plain words, by a vector of your own, or by both.",
        discussion: """
            In the modes hybrid and keyword these mean more: "a phrase" stands so, +word must be there, -word must not, pre* begins so, \
            field:value is of that data_key, data_format, kind or path. A question that begins with a minus goes after --.
            """)

    @Argument(help: "The project.") var project: String
    @Argument(help: "The question; may be left out with --vector.") var text: String?
    @Option(help: ArgumentHelp("A vector of your own, a file with a JSON list of numbers; - for standard input.", valueName: "file"))
    var vector: String?
    @Option(help: "Matches at most (1 to 50).") var top = 5
    @Option(help: "Least similarity, 0 to 1 (default: the server's).") var threshold: Double?
    @Option(help: "hybrid, semantic or keyword (default: the server's).") var mode: SearchMode?
    @Option(help: ArgumentHelp("Candidates that the search among vectors keeps (1 to \(Limits.efSearch)).", valueName: "count")) var efSearch: Int?
    @Option(help: ArgumentHelp("Instead of it, the share of the true nearest to aim for (0.5 to 0.999).", valueName: "share")) var recall: Double?
    @Flag(help: "Show the parts of each similarity.") var explain = false
    @Option(help: ArgumentHelp("As the project was after this event, or at this ISO 8601 time.", valueName: "sequence|time")) var asOf: String?
    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard (1...Limits.topK).contains(top) else { throw ValidationError("--top must be from 1 to \(Limits.topK)") }
        if let threshold, !(0...1).contains(threshold) { throw ValidationError("--threshold must be from 0 to 1") }
        if text == nil, vector == nil { throw ValidationError("give a question, --vector, or both") }
        if let efSearch, !(1...Limits.efSearch).contains(efSearch) { throw ValidationError("--ef-search must be from 1 to \(Limits.efSearch)") }
        if let recall, !(0.5...0.999).contains(recall) { throw ValidationError("--recall must be from 0.5 to 0.999") }
        if efSearch != nil, recall != nil { throw ValidationError("--recall chooses --ef-search: give one of the two") }
    }

    func run() async throws {
        var body = JSONObject([("top_k", .integer(top)), ("response_format", "json"), ("explain", .bool(explain))])
        if let text { body["query"] = .string(text) }
        if let vector { body["query_vector"] = try InputFile.vector(of: vector) }
        if let efSearch { body["ef_search"] = .integer(efSearch) }
        if let recall { body["recall"] = .double(recall) }
        if let threshold { body["threshold"] = .double(threshold) }
        if let mode { body["mode"] = .string(mode.rawValue) }
        if let asOf { body["as_of"] = .string(asOf) }
        let answer = try await options.client().post(["projects", project, "query"], .object(body))
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let matches = answer["matches"]?.arrayValue ?? []
        if matches.isEmpty { Terminal.complainPlainly("nothing in \(Terminal.clean(project)) is similar enough; --threshold 0 shows what comes nearest") }
        for match in matches {
            let similarity = match["similarity"]?.doubleValue ?? 0
            let key = Terminal.clean(match["data_key"]?.stringValue ?? "")
            Terminal.say("\(Terminal.paint(Self.threeDigits(similarity), .green))  \(Terminal.paint(key, .bold))")
            Terminal.say("       " + Terminal.clean(match["description"]?.stringValue ?? "", atMost: 300))
            if let parts = match["explanation"] { Terminal.say("       " + Terminal.paint(Terminal.clean(JSONPrinter.text(parts, style: .python)), .dim)) }
        }
    }

    private static func threeDigits(_ value: Double) -> String {
        let text = String((value * 1_000).rounded() / 1_000)
        return text + String(repeating: "0", count: max(0, 5 - text.count))
    }
}

extension SearchMode: ExpressibleByArgument {}
