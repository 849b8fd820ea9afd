internal import Base
internal import Service

/// What one request holds of the server's memory, from the first byte of its body to the last of its answer.
public struct RequestMemory: Sendable {
    /// For the body on its way.
    let arriving: MemoryLease
    /// For what it becomes.
    let working: MemoryLease
    /// For the answer.
    let answering: MemoryLease
    let gates: InflightMemory

    init(arriving: MemoryLease, of admitted: APIHandler.AdmittedRequest, _ gates: InflightMemory) {
        self.arriving = arriving
        self.gates = gates
        working = MemoryLease(of: gates.working, address: admitted.address, key: admitted.keyID)
        answering = MemoryLease(of: gates.answering, address: admitted.address, key: admitted.keyID)
    }

    /// Waits for the memory that the work will need; then the body no longer counts as on its way.
    /// - Throws: `.unavailable`
    func takeForWork(on admitted: APIHandler.AdmittedRequest, _ body: BodyMeasure, _ configuration: HTTPAPIConfiguration) async throws {
        try await gates.working.take(body.weight + admitted.route.answerBytes, for: working, within: configuration.memoryWait)
        arriving.shrink(to: 0)
    }

    /// The answer, or as much as ever is there of one that is made while it is sent, is held until its reader has taken it.
    /// - Throws: `.busy`
    func hold(_ answer: APIAnswer, of admitted: APIHandler.AdmittedRequest) throws(ContexError) {
        let count: Int
        switch answer.content {
        case .bytes(let bytes): count = admitted.request.method == "HEAD" ? 0 : bytes.count
        // What follows something is counted among the streams.
        case .stream(let stream): count = stream.place == nil ? Self.streamBytes : 0
        case .upgrade: count = 0
        }
        // Of what MCP was asked for, this knows nothing.
        let mayRefuse = !admitted.route.action.changes && admitted.route.action != .useMCP
        try gates.answering.hold(count, for: answering, mayRefuse: mayRefuse)
    }

    /// A piece of an export, and what of it is on its way.
    private static let streamBytes = 2 * Limits.exportPieceBytes

    /// What the work has held is gone.
    func finishWork(holding count: Int = 0) {
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
