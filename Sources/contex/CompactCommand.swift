internal import ArgumentParser
internal import Base
internal import Content
internal import Maintenance

struct CompactCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact", abstract: "Copy a store without its free pages, and without the bytes that deletions and erasures left in its file.",
        discussion: """
            With --to it makes a new data folder, beside a running server too: stop the server and serve the new folder, or keep it. \
            Without, it puts the copy in the place of the store, while no server runs. The old file is unlinked, not overwritten: \
            what a disk keeps of unlinked files is the disk's affair.
            """)

    @Option(help: ArgumentHelp("A data folder to be made; without it the store is replaced.", valueName: "folder")) var to: String?
    @OptionGroup var options: FolderOptions

    func run() throws {
        let report: Compaction.Report
        do {
            report = try to.map { try Compaction.copy(directory: options.folder, to: $0) } ?? Compaction.replace(directory: options.folder)
        } catch {
            throw CommandFailure(error)
        }
        if options.json {
            Terminal.say(JSONPrinter.text(["bytes_before": .integer(report.bytesBefore), "bytes_after": .integer(report.bytesAfter)]))
        } else {
            Terminal.say("\(to ?? options.folder): \(report.bytesBefore) bytes before, \(report.bytesAfter) after")
        }
    }
}
