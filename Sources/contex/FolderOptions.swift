internal import ArgumentParser

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Which data folder a tool looks at that needs no server.
struct FolderOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The data folder (default: CONTEX_DATA_DIR, else ./contex-data).", valueName: "folder"))
    var dataDir: String?

    @Flag(help: "Print the report as JSON.")
    var json = false

    var folder: String {
        let named = ProcessInfo.processInfo.environment["CONTEX_DATA_DIR"].flatMap { $0.isEmpty ? nil : $0 }
        return dataDir ?? named ?? "./contex-data"
    }
}
