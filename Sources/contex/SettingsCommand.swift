internal import ArgumentParser
internal import Base
internal import Content
internal import Engine

struct SettingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings", abstract: "Show or change how a project's texts are analysed.",
        discussion: """
            english: stems and stop words. simple: folded words, for other languages. code: compounds and camelCase, every word as it is. \
            A change makes the project's text index anew; of a project with many nodes only 'contex reindex --project P --analyzer NAME' does it.
            """)

    @Argument(help: "The project.") var project: String
    @Option(help: ArgumentHelp("The analyser from now on.", valueName: "english|simple|code")) var analyzer: String?
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if let analyzer, !ProjectSettings.analyzerNames.contains(analyzer) {
            throw ValidationError("--analyzer is one of \(ProjectSettings.analyzerNames.joined(separator: ", "))")
        }
    }

    func run() async throws {
        let client = try options.client()
        let path = ["projects", project, "settings"]
        if analyzer == nil { try await client.requireProject(project) }
        let answer = if let analyzer { try await client.put(path, ["analyzer": .string(analyzer)]) } else { try await client.get(path) }
        if options.json {
            Terminal.say(JSONPrinter.text(answer))
            return
        }
        let name = Terminal.clean(answer["analyzer"]?.stringValue ?? "")
        let nodes = answer["nodes_reindexed"]?.integerValue.map { ", \($0) nodes indexed anew" } ?? ""
        Terminal.say("analyzer: \(name) (version \(answer["analyzer_version"]?.integerValue ?? 0))\(nodes)")
    }
}
