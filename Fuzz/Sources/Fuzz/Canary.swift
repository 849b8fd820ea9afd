// Targets that must be found: tools/fuzz --self-test proves by them that traps, bad memory, findings and hangs are noticed.

struct Canary: Error, CustomStringConvertible {
    let description: String
}

enum Canaries {
    static func check(_ name: String) -> (([UInt8]) throws -> Void)? {
        switch name {
        case "canary-trap": { input in if sings(input) { preconditionFailure("the canary sings") } }
        case "canary-finding": { input in if sings(input) { throw Canary(description: "the canary sings") } }
        case "canary-memory": { input in if sings(input) { readPastTheEnd() } }
        case "canary-hang": { input in if sings(input) { while true { if getenvLength() < 0 { break } } } }
        default: nil
        }
    }

    private static func sings(_ input: [UInt8]) -> Bool {
        guard input.count > 2 else { return false }
        guard input[0] == UInt8(ascii: "F") else { return false }
        guard input[1] == UInt8(ascii: "U") else { return false }
        return input[2] == UInt8(ascii: "Z")
    }

    private static func readPastTheEnd() {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 16)
        defer { memory.deallocate() }
        memory.initialize(repeating: 0, count: 16)
        // One byte behind: AddressSanitizer stops here.
        print(memory[16 + CommandLine.arguments.count - CommandLine.arguments.count])
    }

    /// Something the optimiser cannot foresee, so that the endless loop stays one.
    private static func getenvLength() -> Int { CommandLine.arguments.count }
}
