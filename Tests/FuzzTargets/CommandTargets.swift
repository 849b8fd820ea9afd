internal import Base
internal import Engine
internal import TestSupport

extension FuzzTargets {
    static let commands = FuzzTarget(
        "commands", "what is read as a command is encoded to the same again; the rest is refused as damage",
        seeds: {
            try ["commands.txt", "deliveries.txt", "audit.txt", "accounts.txt", "retention.txt", "tenants.txt", "parts.txt", "feedback.txt"].flatMap {
                try GoldenRecord.file("commands-v1/\($0)")
            }.map(\.value)
        }
    ) { input in
        let first: [UInt8]
        do throws(ContexError) {
            first = try EncodedCommand.canonical(input)
        } catch {
            try require(error.category == .damaged, "refused as \(error.category)")
            return
        }
        try require(try EncodedCommand.canonical(first) == first, "a command that changes when it is read")
        try require(first.count <= input.count, "a command that grows when it is read")
    }
}
