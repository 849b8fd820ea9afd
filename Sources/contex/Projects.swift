internal import ArgumentParser
internal import Base
internal import Content

struct Projects: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the projects.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let answer = try await options.client().getAll(["projects"], list: "projects")
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let rows = (answer["projects"]?.arrayValue ?? []).map { project in
            if let status = project["status"]?.stringValue {
                return [Terminal.clean(project["project_id"]?.stringValue ?? ""), Terminal.clean(status), "", "", ""]
            }
            return [Terminal.clean(project["project_id"]?.stringValue ?? "")]
                + ["documents", "nodes", "agents"].map { String(project[$0]?.integerValue ?? 0) } + [project["last_sequence"]?.stringValue ?? "0"]
        }
        Terminal.say(Terminal.table([["PROJECT", "DOCUMENTS", "NODES", "AGENTS", "EVENTS"]] + rows))
    }
}
