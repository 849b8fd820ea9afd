/// What tells how much memory the work on a body needs, before it is parsed.
public struct BodyMeasure: Sendable {
    public private(set) var bytes = 0
    /// Signs that may make a value: of JSON and, inside of its texts, of the other formats. That they stand in prose too errs to the safe side.
    public private(set) var signs = 0

    private static let isSign: [Bool] = (0..<256).map { ",:\\[{<=\n".utf8.contains(UInt8($0)) }

    public init() {}

    public mutating func add(_ piece: ArraySlice<UInt8>) {
        let isSign = Self.isSign
        var count = 0
        for byte in piece where isSign[Int(byte)] { count += 1 }
        bytes += piece.count
        signs += count
    }

    /// Bytes that a body and all that is made of it hold at most at one time, measured by shapes of body (decision 35).
    ///
    /// What is parsed costs by its values, not by its bytes: one costs 24 bytes in its array, half as much again while the array grows, a list
    /// or an object of its own 64 and more. Then there are the text by which it is found and the terms of that.
    public var weight: Int { 32 << 10 + Self.perByte * bytes + Self.perSign * signs }

    private static let perByte = 8
    private static let perSign = 96
}
