internal import Foundation

/// A key and a value as they lie in the store, written down in Tests/Golden. Every later build reads and writes them so.
public struct GoldenRecord: Equatable, Sendable, CustomStringConvertible {
    public let key: [UInt8]
    public let value: [UInt8]

    public init(key: [UInt8], value: [UInt8]) {
        self.key = key
        self.value = value
    }

    /// The line of the file: key, blank, value, in hexadecimal.
    public var description: String { "\(Self.hexadecimal(key)) \(Self.hexadecimal(value))" }

    /// The records of `Tests/Golden/<path>`; lines that begin with # say what follows.
    public static func file(_ path: String) throws -> [GoldenRecord] {
        let text = try String(contentsOf: TestData.checkout.appendingPathComponent("Tests/Golden/\(path)"), encoding: .utf8)
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let fields = line.split(separator: " ").map(bytes)
            return GoldenRecord(key: fields[0], value: fields[1])
        }
    }

    /// With CONTEX_TEST_WRITE=1 the file's records become these and its remarks stay: for a format that is changed on purpose.
    public static func rewriteIfAsked(_ path: String, _ records: [GoldenRecord]) throws {
        guard ProcessInfo.processInfo.environment["CONTEX_TEST_WRITE"] == "1" else { return }
        let url = TestData.checkout.appendingPathComponent("Tests/Golden/\(path)")
        let remarks = try String(contentsOf: url, encoding: .utf8).split(separator: "\n").prefix { $0.hasPrefix("#") }.map(String.init)
        try Data(((remarks + records.map(\.description)).joined(separator: "\n") + "\n").utf8).write(to: url)
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func bytes(_ text: Substring) -> [UInt8] {
        let digits = text.utf8.map { UInt8(Character(UnicodeScalar($0)).hexDigitValue!) }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
