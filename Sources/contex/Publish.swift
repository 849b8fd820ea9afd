public import ArgumentParser
internal import Base
public import Content

struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish a file, or standard input, under a key of a project.",
        discussion: "The format follows from --format, else from the file's name, else the server detects it.")

    @Argument(help: "The project.") var project: String
    @Argument(help: "The key.") var key: String
    @Argument(help: "The file; - for standard input.") var file: String
    @Option(help: "json, yaml, toml, csv, xml, markdown, code, text, ini, properties or env.") var format: ContentFormat?
    @Option(help: ArgumentHelp("The event's type (default: <key>_updated).", valueName: "type")) var eventType: String?
    @Option(
        help: ArgumentHelp("A vector of your own for it, a file with a JSON list of numbers: it is then one node and not embedded.", valueName: "file"))
    var vector: String?
    @Option(help: ArgumentHelp("What filters can ask of the data, a JSON object: '{\"team\":\"core\"}'.", valueName: "json")) var metadata: JSONOption?
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if file == "-", vector == "-" { throw ValidationError("standard input can be the data or the vector, not both") }
    }

    func run() async throws {
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
        let answer = try await options.client().post(["data", "publish"], .object(body))
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
        } else {
            Terminal.say("published \(Terminal.clean(project))/\(Terminal.clean(key)) as event \(answer["sequence"]?.stringValue ?? "?")")
        }
        if let note = answer["note"]?.stringValue { Terminal.complain(Terminal.clean(note)) }
    }

    /// What the name says; nil leaves it to the server.
    private static func format(ofFileNamed name: String) -> ContentFormat? {
        if case .format(let format) = KeyHint.of(name) { format } else { nil }
    }
}

extension ContentFormat: ExpressibleByArgument {}
