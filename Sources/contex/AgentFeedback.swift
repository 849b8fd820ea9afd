internal import ArgumentParser
internal import Base
internal import Content

struct AgentFeedback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "feedback", abstract: "Say whether a delivery was useful: the cut of the need that it matched moves.",
        discussion: """
            The sequence is that of an entry of the agent's inbox, which can be judged until it is acknowledged. --forget takes back what was said: \
            of this delivery, or of all.
            """)

    enum Verdict: EnumerableFlag {
        case useful, notUseful, forget
    }

    @Argument(help: "The agent's id.") var agent: String
    @Argument(help: "The sequence of the delivery.") var sequence: UInt64?
    @Flag(exclusivity: .exclusive) var verdict: Verdict
    @Option(help: ArgumentHelp("Only of this need, in its words (default: each that the delivery matched).", valueName: "text")) var need: String?
    @Option(help: "In this project; needed when several have an agent of this id.") var project: String?
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if verdict != .forget, sequence == nil { throw ValidationError("say which delivery: the sequence of an entry of 'contex agent inbox'") }
    }

    func run() async throws {
        let path = (project.map { ["projects", $0] } ?? []) + ["agents", agent, "feedback"]
        let answer: JSONValue
        if verdict == .forget {
            var query: [(String, String)] = []
            if let sequence { query.append(("sequence", String(sequence))) }
            if let need { query.append(("need", need)) }
            answer = try await options.client().delete(path, query)
        } else {
            var body = JSONObject([("sequence", .string(String(sequence ?? 0))), ("useful", .bool(verdict == .useful))])
            if let need { body["need"] = .string(need) }
            answer = try await options.client().post(path, .object(body))
        }
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        for need in answer["needs"]?.arrayValue ?? [] {
            func number(_ name: String) -> String { need[name]?.doubleValue.map { "\(($0 * 1_000).rounded() / 1_000)" } ?? "the server's" }
            let counts = "\(need["useful"]?.integerValue ?? 0) of \(need["judged"]?.integerValue ?? 0) useful"
            Terminal.say(
                "\(counts), told from \(number("min_similarity")) (usually \(number("usual_min_similarity"))): "
                    + Terminal.clean(need["need"]?.stringValue ?? "", atMost: 120))
        }
        if answer["changed"] == .integer(0) { Terminal.say("nothing changed") }
    }
}
