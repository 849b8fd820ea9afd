// The command line. Each subcommand has a file of its own; `serve`, `check`, `doctor`, `stats`, `reindex`, `replay`, `backup`, `restore`,
// `compact` and `import` work on a data folder, the others are clients of a running server over its HTTP API (`import` with --server too).

internal import ArgumentParser
internal import Base

internal import Glibc

@main
struct Contex: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contex",
        abstract: "Gives agents the context they ask for: publish, register, query, be notified.",
        discussion: """
            Exit codes: 0 done; 1 failed; 2 wrong usage, or a request that is refused as wrong; 3 not found (a project, key, agent, file or \
            store); 4 conflict (a port or data folder in use, an import that is not finished); 5 refused (no API key, or one that may not); 6 server not \
            reachable.
            """,
        version: VersionCommand.text,
        subcommands: [
            Serve.self, Publish.self, Query.self, DataCommand.self, AgentCommand.self, Events.self, Projects.self, SettingsCommand.self,
            KeysCommand.self, AccountsCommand.self, RolesCommand.self, LimitsCommand.self, TenantsCommand.self, RetentionCommand.self,
            AuditCommand.self, WebhookCommand.self, MCPCommand.self,
            Check.self, DoctorCommand.self, Stats.self, ReindexCommand.self, ImportCommand.self, ReplayCommand.self, BackupCommand.self,
            RestoreCommand.self, CompactCommand.self, VersionCommand.self,
        ])

    static func main() async {
        do {
            do { try Kernels.verify() } catch { throw CommandFailure(error) }
            var command = try await asyncParseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Terminal.complain(failure.message)
            Glibc.exit(failure.status.rawValue)
        } catch {
            // Help was asked for, or the command line was wrong.
            if exitCode(for: error).isSuccess {
                Terminal.say(fullMessage(for: error))
                Glibc.exit(ExitStatus.done.rawValue)
            }
            Terminal.complainPlainly(fullMessage(for: error))
            Glibc.exit(ExitStatus.usage.rawValue)
        }
        Glibc.exit(ExitStatus.done.rawValue)
    }
}
