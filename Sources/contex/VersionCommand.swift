internal import ArgumentParser
internal import Assembly

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    @Flag(help: "Print it as JSON.")
    var json = false

    func run() {
        Terminal.say(
            json ? #"{"version":"\#(Version.current)","http_api":"\#(Version.httpAPI)"}"# : "contex \(Version.current) (HTTP API \(Version.httpAPI))")
    }
}
