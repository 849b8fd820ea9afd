// The task of one request: its message becomes a call of Service, and the answer a message again. `+Data`, `+Query` and `+Agents` have the
// operations; here is what is the same for all.

internal import Base
internal import Content
internal import Engine
internal import Logging
internal import Service
internal import Wire

struct OperationCalls: Sendable {
    let house: WireConnection.House
    let caller: Caller
    let keyID: String?
    let address: String
    let box: AnswerBox
    let stream: UInt32
    let sendsHalves: Bool
    var operations: Operations { house.operations }

    /// - Parameter arriving: what the message held on its way.
    func run(_ operation: WireOperation, _ body: [UInt8], arriving: MemoryLease?) async {
        let lease = MemoryLease(of: operations.memory.working, address: caller.address, key: keyID)
        do {
            var measure = BodyMeasure()
            measure.add(body[...])
            try await operations.memory.working.take(measure.weight + operation.answerBytes, for: lease, within: house.bounds.memoryWait)
            arriving?.shrink(to: 0)
            let answer = try await answer(operation, body, lease)
            // Before the next such one begins, or what this one has left behind would be there twice.
            if lease.isAlone { Allocator.giveBack() }
            lease.shrink(to: 0)
            let waiting = MemoryLease(of: operations.memory.answering, address: caller.address, key: keyID)
            try operations.memory.answering.hold(answer.count, for: waiting, mayRefuse: !operation.action.changes)
            box.put(.message(AnswerBox.Message(kind: .answer, stream: stream, bytes: answer, lease: waiting)))
        } catch {
            await refuse(error, operation)
        }
        house.connections.leave(address)
        box.put(.ended(stream))
    }

    /// Says why not, once meter and audit have heard of it.
    func refuse(_ error: any Error, _ operation: WireOperation) async {
        var failure: ContexError
        switch error {
        case let error as ContexError: failure = error
        case let error as WireFault: failure = error.contexError
        case is CancellationError: failure = ContexError(.cancelled, "The request was cancelled")
        default: failure = ContexError(.bug, "\(error)")
        }
        switch failure.category {
        case .damaged, .bug, .storageFull:
            house.logger.error("\(operation) failed", metadata: ["request": "\(caller.requestID)", "error": "\(failure)"])
        default: break
        }
        if !failure.isRecorded { failure = await operations.refuse(operation.action, by: caller, failure) }
        box.put(.message(AnswerBox.Message(kind: .error, stream: stream, bytes: WireError(failure).encoded)))
    }

    private func answer(_ operation: WireOperation, _ body: [UInt8], _ lease: MemoryLease) async throws -> [UInt8] {
        switch operation {
        case .publish: try await publish(WirePublish(decoding: body)).encoded
        case .publishBatch: try await publishBatch(WirePublishBatch(decoding: body)).encoded
        case .delete: try await delete(WireDataKey(decoding: body)).encoded
        case .showData: try await showData(WireDataKey(decoding: body)).encoded
        case .listKeys: try await listKeys(WireListing(decoding: body)).encoded
        case .listProjects: try await listProjects(WireListing(decoding: body)).encoded
        case .query: try await query(WireQuery(decoding: body)).encoded
        case .queryBatch: try await queryBatch(WireQueryBatch(decoding: body)).encoded
        case .embed: try await embed(WireEmbed(decoding: body)).encoded
        case .registerAgent: try await register(WireRegister(decoding: body)).encoded
        case .removeAgent: try await remove(WireAgent(decoding: body)).encoded
        case .showAgent: try await showAgent(WireAgent(decoding: body)).encoded
        case .listAgents: try await listAgents(WireListing(decoding: body)).encoded
        case .rehearse: try await rehearse(WirePublish(decoding: body)).encoded
        case .tryNeeds: try await tryNeeds(WireTryNeeds(decoding: body)).encoded
        case .readInbox: try await readInbox(WireReadInbox(decoding: body), lease).encoded
        case .acknowledge: try await acknowledge(WireAcknowledge(decoding: body)).encoded
        case .readEvents: try await readEvents(WireReadEvents(decoding: body)).encoded
        case .health: try await health().encoded
        case .followInbox, .followEvents: throw ContexError(.bug, "a subscription as a request")
        }
    }
}

extension WireOperation {
    var action: Action {
        switch self {
        case .publish: .publish
        case .publishBatch: .publishBatch
        case .delete: .deleteData
        case .query: .query
        case .queryBatch: .queryBatch
        case .embed: .embed
        case .registerAgent: .registerAgent
        case .removeAgent: .removeAgent
        case .showAgent: .showAgent
        case .listAgents: .listAgents
        case .readInbox, .followInbox: .readInbox
        case .acknowledge: .acknowledgeInbox
        case .readEvents, .followEvents: .readEvents
        case .showData: .showData
        case .listKeys: .listData
        case .listProjects: .listProjects
        case .rehearse: .rehearse
        case .tryNeeds: .tryNeeds
        case .health: .showHealth
        }
    }

    /// Whether it is much work whatever its message.
    var isHeavy: Bool { answerBytes > 0 }

    /// Memory that is held for its answer before it is known how large that is.
    var answerBytes: Int {
        switch self {
        case .queryBatch, .readEvents, .readInbox, .listKeys: Limits.answerBytes
        default: 0
        }
    }
}

// MARK: - Fields as they must be

/// Reads a field of a message as what it stands for, or refuses it in the words of the HTTP API.
enum Given {
    static func name(_ text: String, _ field: String) throws(ContexError) -> Name { try Name(text, field: field) }
    static func name(_ text: String?, _ field: String) throws(ContexError) -> Name? {
        if let text { try Name(text, field: field) } else { nil }
    }

    static func integer(_ number: UInt64?, _ range: ClosedRange<Int>, _ field: String) throws(ContexError) -> Int? {
        guard let number else { return nil }
        guard number <= UInt64(range.upperBound), number >= UInt64(range.lowerBound) else {
            throw .invalid(field: field, kind: "value_error", message: "Value error, \(field) must be \(range.lowerBound) to \(range.upperBound)")
        }
        return Int(number)
    }

    static func number(_ number: Double?, _ range: ClosedRange<Double>, _ field: String) throws(ContexError) -> Double? {
        guard let number else { return nil }
        guard range.contains(number) else {
            throw .invalid(field: field, kind: "value_error", message: "Value error, \(field) must be \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    static func word<T: RawRepresentable & CaseIterable>(_ text: String?, _ field: String) throws(ContexError) -> T? where T.RawValue == String {
        guard let text else { return nil }
        guard let value = T(rawValue: text) else {
            throw .invalid(
                field: field, kind: "enum", message: "Input should be one of \(T.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", "))")
        }
        return value
    }

    static func json(_ bytes: [UInt8], _ field: String) throws(ContexError) -> JSONValue {
        do throws(JSONParseError) {
            return try JSONParser.parse(bytes, maximumDepth: Limits.nestingDepth + Limits.envelopeLevels)
        } catch {
            throw .invalid(field: field, kind: "json_invalid", message: "JSON decode error: \(error)")
        }
    }

    static func moment(_ text: String?, _ field: String) throws(ContexError) -> Moment? {
        guard let text else { return nil }
        guard let moment = Moment(text) else {
            throw .invalid(field: field, kind: "value_error", message: "Value error, \(field) must be a sequence or a time in ISO 8601")
        }
        return moment
    }

    static func vector(_ vector: [Float]?, _ halves: [Float]?, _ field: String) throws(ContexError) -> [Float]? {
        guard let given = vector ?? halves else { return nil }
        guard given.count <= Limits.vectorNumbers else {
            throw .invalid(
                field: field, kind: "too_long", message: "List should have at most \(Limits.vectorNumbers) items after validation, not \(given.count)")
        }
        return given
    }

    static func sequence(_ number: UInt64) -> Sequence { Sequence(rawValue: min(number, UInt64(Int.max))) }
}
