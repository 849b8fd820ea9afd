public import ArgumentParser
internal import Base
internal import Content
public import Engine

struct Query: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Ask a project in plain words.")

    @Argument(help: "The project.") var project: String
    @Argument(help: "The question.") var text: String
    @Option(help: "Matches at most (1 to 50).") var top = 5
    @Option(help: "Least similarity, 0 to 1 (default: the server's).") var threshold: Double?
    @Option(help: "hybrid, semantic or keyword (default: the server's).") var mode: SearchMode?
    @Flag(help: "Show the parts of each similarity.") var explain = false
    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard (1...Limits.topK).contains(top) else { throw ValidationError("--top must be from 1 to \(Limits.topK)") }
        if let threshold, !(0...1).contains(threshold) { throw ValidationError("--threshold must be from 0 to 1") }
    }

    func run() async throws {
        var body = JSONObject([("query", .string(text)), ("top_k", .integer(top)), ("response_format", "json"), ("explain", .bool(explain))])
        if let threshold { body["threshold"] = .double(threshold) }
        if let mode { body["mode"] = .string(mode.rawValue) }
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
