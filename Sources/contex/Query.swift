public import ArgumentParser
internal import Base
internal import Content
public import Engine
public import Search

struct Query: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a project in plain words, by a vector of your own, or by both.",
        discussion: """
            In the modes hybrid and keyword these mean more: texts with "a phrase" come first, +"a phrase" must be there, -"a phrase" must not, pre* \
            begins so, field:value is of that data_key, data_format, published_by, metadata.path, kind or path; what can be prose or a command line is \
            words (docs/query-syntax.md). A question that begins with a minus goes after --.

            With --batch, a file has a question on each line, or a JSON object with the fields of a query of its own ("query", "top_k" ...), which go \
            before the options; all are asked at one moment, by the hundred.
            """)

    @Argument(help: "The project.") var project: String
    @Argument(help: "The question; may be left out with --vector, and is with --batch.") var text: String?
    @Option(help: ArgumentHelp("A vector of your own, a file with a JSON list of numbers; - for standard input.", valueName: "file"))
    var vector: String?
    @Option(help: "Matches at most (1 to 50).") var top = 5
    @Option(help: "Instead of it, matches of a page (1 to \(Limits.pageMatches)).") var limit: Int?
    @Option(help: "Goes on where a page ended: its cursor, with the same question and options.") var cursor: String?
    @Option(help: "signs, or plain for a question in which no sign means anything.") var syntax: QuerySyntax?
    @Option(help: "Least similarity, 0 to 1, with --mode semantic from -1 (default: the server's).") var threshold: Double?
    @Option(help: "hybrid, semantic or keyword (default: the server's).") var mode: SearchMode?
    @Option(help: ArgumentHelp("Candidates that the search among vectors keeps (1 to \(Limits.efSearch)).", valueName: "count")) var efSearch: Int?
    @Option(help: ArgumentHelp("Instead of it, the share of the true nearest to aim for (0.5 to 0.999).", valueName: "share")) var recall: Double?
    @Option(help: ArgumentHelp("Bound of the data of all matches, in cl100k tokens of its JSON (1000 to 128000).", valueName: "tokens"))
    var maxTokens: Int?
    @Option(help: "How much it counts that a match says something new, 0 to 1.") var diversity: Double?
    @Option(help: ArgumentHelp("A document or node that comes first, whatever its similarity; may be repeated.", valueName: "key"))
    var pin: [String] = []
    @Option(help: "What orders the matches in hybrid mode: calibrated, convex or rrf (default: convex with --weights, else calibrated).")
    var fusion: FusionMethod?
    @Option(help: "How much each side counts in fusion convex or rrf, as semantic=0.7,keyword=0.3.") var weights: FusionShares?
    @Flag(help: "Show the parts of each similarity.") var explain = false
    @Option(help: ArgumentHelp("Say what became of a document or node, and why; may be repeated.", valueName: "key"))
    var explainKey: [String] = []
    @Option(help: ArgumentHelp("A file of questions; - for standard input.", valueName: "file")) var batch: String?
    @Option(help: ArgumentHelp("As the project was after this event, or at this ISO 8601 time.", valueName: "sequence|time")) var asOf: String?
    @Option(help: ArgumentHelp("Only data that passes: '{\"metadata.team\":\"core\",\"updated_after\":\"2026-01-01\"}'.", valueName: "json"))
    var filter: JSONOption?
    @Flag(help: "Documents have the places: the best node of each, the next ones under it.") var byDocument = false
    @Option(help: ArgumentHelp("Nodes of one document at most (1 to \(Limits.nodesPerDocumentShown)).", valueName: "count")) var perDocument: Int?
    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard batch == nil || text == nil && vector == nil else { throw ValidationError("--batch brings its own questions: give no other") }
        if batch == nil, text == nil, vector == nil { throw ValidationError("give a question, --vector, or both; or --batch") }
        guard (1...Limits.topK).contains(top) else { throw ValidationError("--top must be from 1 to \(Limits.topK)") }
        if let limit, !(1...Limits.pageMatches).contains(limit) { throw ValidationError("--limit must be from 1 to \(Limits.pageMatches)") }
        let isCosine = mode == .semantic || mode == nil && text == nil && batch == nil
        if let threshold, !((isCosine ? -1 : 0)...1).contains(threshold) {
            throw ValidationError("--threshold must be from 0 to 1, with --mode semantic from -1")
        }
        if let efSearch, !(1...Limits.efSearch).contains(efSearch) { throw ValidationError("--ef-search must be from 1 to \(Limits.efSearch)") }
        if let recall, !(0.5...0.999).contains(recall) { throw ValidationError("--recall must be from 0.5 to 0.999") }
        if efSearch != nil, recall != nil { throw ValidationError("--recall chooses --ef-search: give one of the two") }
        if let diversity, !(0...1).contains(diversity) { throw ValidationError("--diversity must be from 0 to 1") }
        if let perDocument, !(1...Limits.nodesPerDocumentShown).contains(perDocument) {
            throw ValidationError("--per-document must be from 1 to \(Limits.nodesPerDocumentShown)")
        }
        let tokens = Limits.contextTokens
        if let maxTokens, !tokens.contains(maxTokens) { throw ValidationError("--max-tokens must be from \(tokens.lowerBound) to \(tokens.upperBound)") }
        guard max(pin.count, explainKey.count) <= Limits.namedKeys else {
            throw ValidationError("--pin and --explain-key may be given \(Limits.namedKeys) times each")
        }
    }

    func run() async throws {
        if let batch {
            try await ask(Self.questions(in: batch))
            return
        }
        var body = body()
        if let text { body["query"] = .string(text) }
        if let vector { body["query_vector"] = try InputFile.vector(of: vector) }
        let client = try options.client()
        let answer = try await client.post(["projects", project, "query"], .object(body))
        if (answer["matches"]?.arrayValue ?? []).isEmpty { try await client.requireProject(project) }
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
        } else {
            show(answer)
        }
    }

    /// The fields that options give.
    private func body() -> JSONObject {
        var body = JSONObject([("top_k", .integer(top)), ("response_format", "json"), ("explain", .bool(explain))])
        if let efSearch { body["ef_search"] = .integer(efSearch) }
        if let recall { body["recall"] = .double(recall) }
        if let syntax { body["syntax"] = .string(syntax.rawValue) }
        if let threshold { body["threshold"] = .double(threshold) }
        if let mode { body["mode"] = .string(mode.rawValue) }
        if let fusion { body["fusion"] = .string(fusion.rawValue) }
        if let weights { body["weights"] = .object(JSONObject(weights.shares.map { ($0.name, .double($0.value)) })) }
        if let limit { body["limit"] = .integer(limit) }
        if let cursor { body["cursor"] = .string(cursor) }
        if let asOf { body["as_of"] = .string(asOf) }
        if let maxTokens { body["max_tokens"] = .integer(maxTokens) }
        if let diversity { body["diversity"] = .double(diversity) }
        if byDocument { body["group_by"] = "document" }
        if let perDocument { body["nodes_per_document"] = .integer(perDocument) }
        if let filter { body["filter"] = .object(filter.object) }
        if !pin.isEmpty { body["pinned"] = .array(pin.map(JSONValue.string)) }
        if !explainKey.isEmpty { body["explain_keys"] = .array(explainKey.map(JSONValue.string)) }
        return body
    }

    // MARK: - Many

    private static func questions(in file: String) throws(CommandFailure) -> [JSONObject] {
        var questions: [JSONObject] = []
        for (number, line) in try InputFile.text(of: file).split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = line.hasSuffix("\r") ? line.dropLast() : line
            guard line.contains(where: { !$0.isWhitespace }) else { continue }
            guard line.first == "{" else {
                questions.append(JSONObject([("query", .string(String(line)))]))
                continue
            }
            guard case .object(let question)? = try? JSONParser.parse(text: String(line)) else {
                throw CommandFailure(.failed, "\(InputFile.name(file)), line \(number + 1): this begins like a JSON object and is none")
            }
            questions.append(question)
        }
        return questions
    }

    private func ask(_ questions: [JSONObject]) async throws {
        let client = try options.client()
        var failed = 0
        var isKnown = false
        for start in stride(from: 0, to: questions.count, by: Limits.batchQueries) {
            let items = questions[start..<min(start + Limits.batchQueries, questions.count)].map { question in
                var item = body()
                item["project_id"] = .string(project)
                for (name, value) in question { item[name] = value }
                return JSONValue.object(item)
            }
            let answer = try await client.post(["batch", "query"], .array(items))
            failed += answer["failed"]?.integerValue ?? 0
            isKnown = isKnown || (answer["results"]?.arrayValue ?? []).contains { $0["matches"]?.arrayValue?.isEmpty == false || $0["content"] != nil }
            if !isKnown {
                try await client.requireProject(project)
                isKnown = true
            }
            for result in answer["results"]?.arrayValue ?? [] {
                if options.json {
                    Terminal.say(JSONPrinter.text(result))
                    continue
                }
                Terminal.say(Terminal.paint("? " + Terminal.clean(result["query"]?.stringValue ?? "", atMost: 200), .cyan))
                if let error = result["error"]?.stringValue {
                    Terminal.complain(Terminal.clean(error))
                } else if let content = result["content"]?.stringValue {
                    Terminal.say(content)
                } else {
                    show(result)
                }
            }
        }
        if failed > 0 { throw CommandFailure(.failed, "\(failed) of \(questions.count) questions failed") }
    }

    // MARK: - For people

    private func show(_ answer: JSONValue) {
        let matches = answer["matches"]?.arrayValue ?? []
        if matches.isEmpty { Terminal.complainPlainly("nothing in \(Terminal.clean(project)) is similar enough; --threshold 0 shows what comes nearest") }
        if let note = answer["note"]?.stringValue { Terminal.say(Terminal.paint(Terminal.clean(note), .dim)) }
        if let passing = answer["filter"]?["passing"]?.integerValue, let nodes = answer["filter"]?["nodes"]?.integerValue {
            Terminal.say(Terminal.paint("\(passing) of \(nodes) nodes pass the filter", .dim))
        }
        for note in answer["notes"]?.arrayValue ?? [] { Terminal.complainPlainly(Terminal.clean(note.stringValue ?? "", atMost: 600)) }
        for match in matches {
            let similarity = match["similarity"]?.doubleValue ?? 0
            let key = Terminal.clean(match["data_key"]?.stringValue ?? "")
            var notes: [String] = []
            if match["pinned"]?.boolValue == true { notes.append("pinned") }
            if let tokens = match["tokens"]?.integerValue { notes.append("\(tokens) tokens") }
            if match["truncated"]?.boolValue == true { notes.append("cut, of \(match["token_count"]?.integerValue ?? 0)") }
            let note = notes.isEmpty ? "" : "  " + Terminal.paint("(\(notes.joined(separator: ", ")))", .dim)
            Terminal.say("\(Terminal.paint(Self.threeDigits(similarity), .green))  \(Terminal.paint(key, .bold))\(note)")
            // What answers, rather than how a long node begins.
            Terminal.say("       " + Terminal.clean((match["passage"]?["text"] ?? match["description"])?.stringValue ?? "", atMost: 300))
            for other in match["others"]?.arrayValue ?? [] {
                let key = Terminal.clean(other["data_key"]?.stringValue ?? "")
                let text = Terminal.clean((other["passage"]?["text"] ?? other["description"])?.stringValue ?? "", atMost: 120)
                Terminal.say("       \(Self.threeDigits(other["similarity"]?.doubleValue ?? 0))  \(key)  " + Terminal.paint(text, .dim))
            }
            if let parts = match["explanation"] { show(explanation: parts) }
        }
        if let next = answer["next_cursor"]?.stringValue { Terminal.say(Terminal.paint("more: --cursor \(Terminal.clean(next))", .dim)) }
        if let packing = answer["packing"] { show(packing: packing) }
        for key in answer["explained"]?.arrayValue ?? [] { show(explained: key) }
    }

    private func show(packing: JSONValue) {
        if let tokens = packing["tokens"]?.integerValue, let budget = packing["max_tokens"]?.integerValue {
            Terminal.say(Terminal.paint("\(tokens) of \(budget) tokens", .dim))
        }
        let omitted = (packing["omitted_keys"]?.arrayValue ?? []).compactMap(\.stringValue)
        if !omitted.isEmpty { Terminal.say(Terminal.paint("no room for: \(Terminal.clean(omitted.joined(separator: ", "), atMost: 600))", .dim)) }
        for duplicate in packing["duplicates"]?.arrayValue ?? [] {
            let (key, other) = (duplicate["data_key"]?.stringValue ?? "", duplicate["duplicate_of"]?.stringValue ?? "")
            Terminal.say(Terminal.paint("\(Terminal.clean(key)) says what \(Terminal.clean(other)) says", .dim))
        }
        let missing = (packing["pinned_missing"]?.arrayValue ?? []).compactMap(\.stringValue)
        if !missing.isEmpty { Terminal.complainPlainly("pinned, but not there: \(Terminal.clean(missing.joined(separator: ", "), atMost: 600))") }
    }

    private func show(explanation parts: JSONValue) {
        func line(_ text: String) { Terminal.say("       " + Terminal.paint(Terminal.clean(text, atMost: 600), .dim)) }
        func number(_ name: String) -> String { Self.threeDigits(parts[name]?.doubleValue ?? 0) }
        func place(_ name: String) -> String { parts[name]?.integerValue.map { "place \($0)" } ?? "no place" }
        func list(_ name: String) -> String {
            (parts[name]?.objectValue ?? JSONObject()).map { "\($0.key) \(Self.threeDigits($0.value.doubleValue ?? 0))" }.joined(separator: ", ")
        }
        let mode = parts["mode"]?.stringValue ?? ""
        line("similarity \(number("similarity")) (threshold \(number("threshold")), \(place("rank"))), \(mode): \(list("parts"))")
        let words = list("terms")
        let cosine = parts["cosine"]?.doubleValue == nil ? "no vector" : "cosine \(number("cosine")) (\(place("vector_rank")))"
        line("\(cosine), bm25 \(number("bm25")) of \(number("bm25_ceiling")) (\(place("text_rank"))): \(words)")
    }

    private func show(explained key: JSONValue) {
        let parts = key["explanation"]
        func number(_ name: String) -> String { Self.threeDigits(parts?[name]?.doubleValue ?? 0) }
        let rank = parts?["rank"]?.integerValue ?? 0
        let reason =
            switch key["outcome"]?.stringValue.flatMap(KeyExplanation.Outcome.init(rawValue:)) {
            case .match: "is a match"
            case .notThere: "is not there"
            case .filteredOut: "is left out by the signs or fields of the question"
            case .belowThreshold: "is below the threshold: \(number("similarity")) of \(number("threshold"))"
            case .beyondTopK: "is in place \(rank), and fewer were asked for"
            case .notACandidate: "is similar enough, but neither index gave it among its best, so it has no place"
            case .maxTokens: "had no room within the budget of tokens"
            case .duplicate: "says what \(Terminal.clean(key["duplicate_of"]?.stringValue ?? "")) says"
            case .diversity: "is in place \(rank), but others add more that is new"
            case nil: key["outcome"]?.stringValue ?? ""
            }
        let node = key["node"]?.stringValue.flatMap { $0 == key["data_key"]?.stringValue ? nil : " (\(Terminal.clean($0)))" } ?? ""
        Terminal.say("\(Terminal.paint(Terminal.clean(key["data_key"]?.stringValue ?? ""), .bold))\(node) \(reason)")
        if let parts, !parts.isNull { show(explanation: parts) }
    }

    private static func threeDigits(_ value: Double) -> String {
        let text = String((value * 1_000).rounded() / 1_000)
        return text + String(repeating: "0", count: max(0, 5 - text.count))
    }
}

extension SearchMode: ExpressibleByArgument {}
extension QuerySyntax: ExpressibleByArgument {}
extension FusionMethod: ExpressibleByArgument {}

/// `semantic=0.7,keyword=0.3`
struct FusionShares: ExpressibleByArgument {
    let shares: [(name: String, value: Double)]

    init?(argument: String) {
        var shares: [(name: String, value: Double)] = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard sides.count == 2, ["semantic", "keyword"].contains(sides[0]), !shares.contains(where: { $0.name == sides[0] }),
                let value = Double(sides[1])
            else { return nil }
            shares.append((sides[0], value))
        }
        func share(_ name: String) -> Double { shares.first { $0.name == name }?.value ?? 0 }
        guard FusionWeights(semantic: share("semantic"), keyword: share("keyword")) != nil else { return nil }
        self.shares = shares
    }
}
