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
    func takeForWork(on admitted: APIHandler.AdmittedRequest, _ body: RequestBytes, _ configuration: HTTPAPIConfiguration) async throws {
        let weight = body.weight(isPacked: admitted.coding != .identity, bytesMax: configuration.bodyBytesMax)
        try await gate.take(weight + admitted.route.answerBytes, for: working, within: configuration.memoryWait)
        arriving.shrink(to: 0)
    }
}

extension RequestBytes {
    /// Bytes that a body and what is made of it hold at most at one time.
    ///
    /// What is parsed costs by its values, not by its bytes: one costs 24 bytes in its array, half as much again while the array grows,
    /// and members of objects twice that. In texts of other formats it is the same signs and line breaks that make values of them, so all
    /// are counted, also those inside of strings: that errs to the safe side.
    ///
    /// - Parameter isPacked: gzip hides how much there is; the most that it may become is assumed.
    func weight(isPacked: Bool, bytesMax: Int) -> Int {
        guard !isPacked else { return Self.weight(bytes: min(bytesMax, count * Limits.expansionRatio), signs: 0) * 2 }
        return Self.weight(bytes: count, signs: signs)
    }

    static func weight(bytes: Int, signs: Int) -> Int { 32 << 10 + 4 * bytes + 48 * signs }

    private var signs: Int {
        peek { bytes in
            var count = 0
            for byte in bytes where byte == UInt8(ascii: ",") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "\\") || byte == 0x0A { count += 1 }
            return count
        }
    }
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
