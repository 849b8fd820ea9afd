// Fuzz targets: one per decoder of foreign bytes. They stand apart from libFuzzer, so that Fuzz/ drives them with its
// mutations (tools/fuzz) and FuzzReplayTests runs every input that once failed in the ordinary suite.

internal import Base

/// A decoder and what must hold of it for any bytes.
public struct FuzzTarget: Sendable {
    public let name: String
    /// What must hold, in a line.
    public let property: String
    /// Bytes of the longest input that makes sense; longer ones find the same at a higher price.
    public let inputBytesMax: Int
    /// Inputs to begin with that no file holds.
    public let seeds: @Sendable () throws -> [[UInt8]]
    /// - Throws: `FuzzFinding` when the property does not hold. It may trap as well: that is found too.
    public let check: @Sendable (_ input: [UInt8]) throws -> Void

    init(
        _ name: String, _ property: String, inputBytesMax: Int = 4_096, seeds: @escaping @Sendable () throws -> [[UInt8]] = { [] },
        check: @escaping @Sendable (_ input: [UInt8]) throws -> Void
    ) {
        self.name = name
        self.property = property
        self.inputBytesMax = inputBytesMax
        self.seeds = seeds
        self.check = check
    }
}

/// A property that does not hold.
public struct FuzzFinding: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

func require(_ holds: Bool, _ what: @autoclosure () -> String) throws {
    if !holds { throw FuzzFinding(what()) }
}

func texts(_ seeds: String...) -> @Sendable () -> [[UInt8]] {
    { seeds.map { Array($0.utf8) } }
}

public enum FuzzTargets {
    public static let all: [FuzzTarget] =
        contents + [toon, toonEncoder] + protocols + wire + mcp + tokens + records + backups + [filter, safetensors, commands] + http + access

    public static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// Cuts an input apart: numbers from its front, the rest is the payload.
struct InputReader {
    private var bytes: ArraySlice<UInt8>
    init(_ input: [UInt8]) { bytes = input[...] }

    /// 0 when the input is used up.
    mutating func byte() -> Int { bytes.popFirst().map(Int.init) ?? 0 }
    var rest: [UInt8] { Array(bytes) }
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// An input of which a part can be repeated: two bytes say where it begins and how long it is.
struct RepeatedPart {
    private let before: ArraySlice<UInt8>
    private let part: ArraySlice<UInt8>
    private let after: ArraySlice<UInt8>

    init(_ reader: inout InputReader) {
        let (start, count) = (reader.byte(), reader.byte())
        let bytes = reader.rest[...]
        before = bytes.prefix(start)
        part = bytes.dropFirst(start).prefix(max(1, count))
        after = bytes.dropFirst(start + max(1, count))
    }

    /// - Parameter count: bytes, about.
    func repeated(to count: Int) -> [UInt8] {
        guard !part.isEmpty else { return Array(before + after) }
        var bytes = Array(before)
        for _ in 0..<max(1, count / part.count) { bytes += part }
        return bytes + after
    }
}
