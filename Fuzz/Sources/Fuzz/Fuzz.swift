import CLibFuzzer
import Foundation
import FuzzTargets

/// `Fuzz list`, `Fuzz seeds TARGET FOLDER`, or `Fuzz TARGET ...` with whatever libFuzzer understands.
@main
enum Fuzz {
    /// Set once before libFuzzer begins, which calls `check` on the main thread.
    nonisolated(unsafe) static var check: ([UInt8]) throws -> Void = { _ in }

    /// Where libFuzzer's own children, which merge and minimise, find the target: they get nothing but its arguments.
    static let inherited = "CONTEX_FUZZ_TARGET"

    static func main() throws {
        var arguments = CommandLine.arguments.dropFirst()
        if let target = getenv(inherited) { arguments.insert(String(cString: target), at: arguments.startIndex) }
        guard let name = arguments.first else { return usage() }
        if name == "list" {
            for target in FuzzTargets.all { print("\(target.name)\t\(target.inputBytesMax)\t\(target.property)") }
            return
        }
        if name == "seeds" {
            guard arguments.count == 3, let target = FuzzTargets.named(arguments[2]) else { return usage() }
            for (place, seed) in try target.seeds().enumerated() {
                try Data(seed).write(to: URL(fileURLWithPath: arguments[3]).appendingPathComponent("seed-\(place)"))
            }
            return
        }
        if let target = FuzzTargets.named(name) {
            check = target.check
        } else if let canary = Canaries.check(name) {
            check = canary
        } else {
            return usage()
        }
        setenv(inherited, name, 1)
        var words: [UnsafeMutablePointer<CChar>?] = ([CommandLine.arguments[0]] + arguments.dropFirst()).map { strdup($0) } + [nil]
        exit(words.withUnsafeMutableBufferPointer { buffer in
            var count = CInt(buffer.count - 1)
            var list = buffer.baseAddress
            return LLVMFuzzerRunDriver(&count, &list) { data, size in
                do {
                    try Fuzz.check(Array(UnsafeBufferPointer(start: data, count: size)))
                } catch {
                    FileHandle.standardError.write(Data("== FINDING: \(error)\n".utf8))
                    abort()
                }
                return 0
            }
        })
    }

    static func usage() {
        print("usage: Fuzz list | Fuzz seeds TARGET FOLDER | Fuzz TARGET [libFuzzer's arguments]; tools/fuzz does it all")
        exit(2)
    }
}
