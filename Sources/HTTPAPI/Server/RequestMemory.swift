internal import Base
internal import Service

/// What one request holds of the server's memory, from the first byte of its body to the last of its answer.
public struct RequestMemory: Sendable {
    /// For the body on its way.
    let arriving: MemoryLease
    /// For what it becomes, and for the answer.
    let working: MemoryLease
    let gate: MemoryGate

    /// Waits for the memory that the work will need; then the body no longer counts as on its way.
    /// - Throws: `.unavailable`
    func takeForWork(on admitted: APIHandler.AdmittedRequest, _ body: BodyMeasure, _ configuration: HTTPAPIConfiguration) async throws {
        try await gate.take(body.weight + admitted.route.answerBytes, for: working, within: configuration.memoryWait)
        arriving.shrink(to: 0)
    }

    /// What the work has held is gone; from here on it is the answer that counts.
    func finishWork(holding count: Int) {
        // Before the next such one begins, or what this one has left behind would be there twice.
        if working.isAlone { Allocator.giveBack() }
        working.settle(at: count)
    }
}

/// What tells how much memory the work on a body needs, before it is parsed.
struct BodyMeasure: Sendable {
    private(set) var bytes = 0
    /// Signs that may make a value: of JSON and, inside of its texts, of the other formats. That they stand in prose too errs to the safe side.
    private(set) var signs = 0

    private static let isSign: [Bool] = (0..<256).map { ",:\\[{<=\n".utf8.contains(UInt8($0)) }

    mutating func add(_ piece: ArraySlice<UInt8>) {
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
    var weight: Int { 32 << 10 + Self.perByte * bytes + Self.perSign * signs }

    private static let perByte = 8
    private static let perSign = 96
}

extension Route {
    /// Whether it is much work whatever its body: it reads or writes a whole project, or many answers at once.
    var isHeavy: Bool { answerBytes > 0 }

    /// Memory that is held for its answer before it is known how large that is.
    var answerBytes: Int {
        switch action {
        case .listData, .exportData, .importData, .queryBatch, .readEvents, .readVersions: 8 << 20
        default: 0
        }
    }
}
