internal import ArgumentParser
internal import Assembly

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    static let text = "contex \(Version.current) (HTTP API \(Version.httpAPI))"

    @Flag(help: "Print it as JSON.")
    var json = false

    func run() {
        Terminal.say(json ? #"{"version":"\#(Version.current)","http_api":"\#(Version.httpAPI)"}"# : Self.text)
    }
}
