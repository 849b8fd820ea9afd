internal import ArgumentParser
internal import Base
internal import Content

struct Events: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the events of a project, oldest first.", discussion: "With --json: one JSON object a line.")

    @Argument(help: "The project.") var project: String
    @Option(help: ArgumentHelp("Only events after this one.", valueName: "sequence")) var since: UInt64 = 0
    @Flag(help: "Go on with what comes, until interrupted.") var follow = false
    @OptionGroup var options: ClientOptions

    private static let pageEvents = 500
    private static let pauseMilliseconds = 500

    func run() async throws {
        let client = try options.client()
        var last = since
        while true {
            let page = try await client.get(["projects", project, "events"], [("since", String(last)), ("count", String(Self.pageEvents))])
            let events = page["events"]?.arrayValue ?? []
            if events.isEmpty, last == since { try await client.requireProject(project) }
            for event in events {
                show(event)
                if let sequence = event["sequence"]?.stringValue.flatMap(UInt64.init) { last = max(last, sequence) }
            }
            if page["has_more"]?.boolValue == true { continue }
            guard follow else { return }
            try await Task.sleep(for: .milliseconds(Self.pauseMilliseconds))
        }
    }

    private func show(_ event: JSONValue) {
        if options.json {
            Terminal.say(JSONPrinter.text(event))
            return
        }
        let sequence = event["sequence"]?.stringValue ?? "?"
        let type = Terminal.clean(event["event_type"]?.stringValue ?? "")
        let data = Terminal.clean(JSONPrinter.text(event["data"] ?? .null, style: .compact), atMost: 300)
        Terminal.say("\(Terminal.paint(sequence, .green))  \(Terminal.paint(type, .bold))  \(data)")
    }
}
