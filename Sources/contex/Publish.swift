public import ArgumentParser
internal import Base
public import Content

struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish a file, standard input or a pipe under a key of a project; or many files.",
        usage: """
            contex publish <project> <key> <file> [options]
            contex publish <project> --each <file> ... [options]
            """,
        discussion: """
            The format follows from --format, else from the file's name, else the server detects it. A file may be anything that can be opened \
            and read: a pipe, /dev/fd/3, <(a command). Data that is what its key has already is no event: the key is unchanged.
            """)

    @Argument(help: "The project.") var project: String
    @Argument(help: "The key and the file, - for standard input; with --each files only.") var items: [String]
    @Flag(help: "Publish each file under its own path as the key; at the first that fails it stops, and says which.") var each = false
    @Option(help: "json, yaml, toml, csv, xml, markdown, code, text, ini, properties or env.") var format: ContentFormat?
    @Option(help: ArgumentHelp("The event's type (default: <key>_updated).", valueName: "type")) var eventType: String?
    @Option(
        help: ArgumentHelp("A vector of your own for it, a file with a JSON list of numbers: it is then one node and not embedded.", valueName: "file"))
    var vector: String?
    @Option(help: ArgumentHelp("What filters can ask of the data, a JSON object: '{\"team\":\"core\"}'.", valueName: "json")) var metadata: JSONOption?
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if each {
            if items.isEmpty { throw ValidationError("name the files to publish") }
            if items.contains("-") { throw ValidationError("standard input has no name that could be its key: contex publish <project> <key> -") }
            if vector != nil { throw ValidationError("--vector is of one key: it goes without --each") }
        } else {
            guard items.count == 2 else {
                throw ValidationError(items.count < 2 ? "name a key and a file" : "name one key and one file; --each publishes many files")
            }
            if items[1] == "-", vector == "-" { throw ValidationError("standard input can be the data or the vector, not both") }
        }
    }

    func run() async throws {
        let client = try options.client()
        guard each else { return try await publish(items[1], under: items[0], client) }
        for file in items { try await publish(file, under: Self.key(of: file), client) }
    }

    /// The path as it was given, without a leading `./`.
    private static func key(of file: String) -> String {
        var rest = file[...]
        while rest.hasPrefix("./") { rest = rest.dropFirst(2).drop { $0 == "/" } }
        return String(rest)
    }

    private func publish(_ file: String, under key: String, _ client: APIClient) async throws(CommandFailure) {
        let text = try InputFile.text(of: file)
        let format = format ?? Self.format(ofFileNamed: file)
        var data = JSONValue.string(text)
        if format == .json {
            do {
                data = try JSONParser.parse(text: text)
            } catch {
                // Comments, records a line: it is sent as it is, and the server reads it so.
                guard (try? ContentSplitter.whole(data, hint: format?.rawValue))?.format == .json else {
                    throw CommandFailure(.failed, "\(InputFile.name(file)) is no JSON: \(error) (--format text publishes it as it is)")
                }
            }
        }
        var body = JSONObject([("project_id", .string(project)), ("data_key", .string(key)), ("data", data)])
        if let format { body["data_format"] = .string(format.rawValue) }
        if let eventType { body["event_type"] = .string(eventType) }
        if let vector { body["vector"] = try InputFile.vector(of: vector) }
        if let metadata { body["metadata"] = .object(metadata.object) }
        let answer: JSONValue
        do throws(CommandFailure) {
            answer = try await client.post(["data", "publish"], .object(body))
        } catch {
            throw each ? CommandFailure(error.status, "\(InputFile.name(file)): \(error.message)") : error
        }
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let (place, sequence) = ("\(Terminal.clean(project))/\(Terminal.clean(key))", answer["sequence"]?.stringValue ?? "?")
        if answer["unchanged"]?.boolValue == true {
            Terminal.say("unchanged: \(place) is what event \(sequence) published")
        } else {
            Terminal.say("published \(place) as event \(sequence)")
        }
        // Whatever was not read as what it is named.
        if let note = answer["note"]?.stringValue { Terminal.complainPlainly("note: \(place): \(Terminal.clean(note, atMost: 300))") }
    }

    /// What the name says; nil leaves it to the server.
    private static func format(ofFileNamed name: String) -> ContentFormat? {
        if case .format(let format) = KeyHint.of(name) { format } else { nil }
    }
}

extension ContentFormat: ExpressibleByArgument {}
