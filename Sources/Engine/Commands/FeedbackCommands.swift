internal import Base

extension Command {
    /// What an agent says of what it was told, or takes back.
    package struct Judge: Sendable {
        enum Change: Sendable, Equatable {
            /// A delivery was useful, or not, to one of the needs that it matched; nil: to each of them.
            case note(Sequence, need: String?, isUseful: Bool)
            /// Of one need or of all, of one delivery or of all.
            case forget(Sequence?, need: String?)
        }
        let tenant: TenantID
        let project: Name
        let agent: Name
        let change: Change
        /// What the similarity has to be of needs that do not say it.
        let threshold: Double
        let time: Timestamp
    }
}

// MARK: - As bytes: docs/formats/commands-v1.md

extension CommandCodec {
    static func encode(_ command: Command.Judge, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.text(command.project.text)
        body.text(command.agent.text)
        body.f64(command.threshold)
        switch command.change {
        case .note(let sequence, let need, let isUseful):
            body.u8(1)
            body.u64(sequence.rawValue)
            body.optional(need)
            body.bool(isUseful)
        case .forget(let sequence, let need):
            body.u8(2)
            body.bool(sequence != nil)
            if let sequence { body.u64(sequence.rawValue) }
            body.optional(need)
        }
    }

    static func judge(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.Judge {
        let (project, agent, threshold) = (try body.name(), try body.name(), try body.f64())
        guard (0...1).contains(threshold) else { throw ByteError.malformed(at: body.offset) }
        let change: Command.Judge.Change
        switch try body.u8() {
        case 1: change = .note(Sequence(rawValue: try body.u64()), need: try body.optional(), isUseful: try body.bool())
        case 2: change = .forget(try body.bool() ? Sequence(rawValue: try body.u64()) : nil, need: try body.optional())
        default: throw ByteError.malformed(at: body.offset)
        }
        return Command.Judge(tenant: tenant, project: project, agent: agent, change: change, threshold: threshold, time: time)
    }
}
