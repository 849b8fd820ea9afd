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
