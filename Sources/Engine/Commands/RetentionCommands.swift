internal import Base

extension Command {
    /// Moves the horizon of a project's log, a step at a time.
    package struct Trim: Sendable {
        let tenant: TenantID
        let project: Name
        /// The event that is to be the horizon in the end; at most the last.
        let horizon: Sequence
        /// Events, or entries of inboxes, that one step takes.
        let count: Int
        let time: Timestamp
    }

    /// Says by which rule a project is trimmed.
    package struct SetRetention: Sendable {
        let tenant: TenantID
        let project: Name
        let settings: RetentionSettings
        let time: Timestamp
    }

    /// One step of an erasure. The first gives it a number, under which the others go on.
    package struct Erase: Sendable {
        enum Step: Sendable, Equatable {
            /// Of a project (without a key) or of a key with its history: nobody finds it any more.
            case begin(project: Name, key: Name?)
            /// Lets the journal up to the first step go.
            case journal(UInt64)
            /// Takes what it said out of the store.
            case content(UInt64)
            /// That was all.
            case finish(UInt64)
        }
        let tenant: TenantID
        let step: Step
        /// Records of one step.
        let count: Int
        let publisher: Publisher?
        let time: Timestamp
    }
}

/// What a step of a trim has done.
package struct TrimStep: Sendable, Equatable {
    /// Where the horizon is now.
    var horizon = Sequence.zero
    /// Events that are gone; those that were kept are none of them.
    var events = 0
    /// The horizon that was asked for is not reached.
    var hasMore = false
}

/// What a step of an erasure has done.
package struct ErasureStep: Sendable, Equatable {
    var number: UInt64
    /// Of the command.
    var position: Position
    /// The same step has more to do.
    var hasMore = false
    /// Of all steps so far.
    var progress: ErasureProgress
}

// MARK: - Codec

extension CommandCodec {
    static func encode(_ command: Command.Trim, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.text(command.project.text)
        body.u64(command.horizon.rawValue)
        body.varint(UInt64(command.count))
    }

    static func trim(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.Trim {
        Command.Trim(
            tenant: tenant, project: try body.name(), horizon: Sequence(rawValue: try body.u64()), count: try body.count(), time: time)
    }

    static func encode(_ command: Command.SetRetention, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.text(command.project.text)
        command.settings.write(to: &body)
    }

    static func setRetention(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.SetRetention {
        Command.SetRetention(tenant: tenant, project: try body.name(), settings: try RetentionSettings.read(&body), time: time)
    }

    static func encode(_ command: Command.Erase, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.varint(UInt64(command.count))
        body.publisher(command.publisher)
        switch command.step {
        case .begin(let project, let key):
            body.u8(1)
            body.text(project.text)
            body.optional(key?.text)
        case .journal(let number):
            body.u8(2)
            body.u64(number)
        case .content(let number):
            body.u8(3)
            body.u64(number)
        case .finish(let number):
            body.u8(4)
            body.u64(number)
        }
    }

    static func erase(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.Erase {
        let count = try body.count()
        let publisher = try body.publisher()
        let step: Command.Erase.Step
        switch try body.u8() {
        case 1: step = .begin(project: try body.name(), key: try body.optional().map { try Name($0, field: "data_key") })
        case 2: step = .journal(try body.u64())
        case 3: step = .content(try body.u64())
        case 4: step = .finish(try body.u64())
        default: throw ByteError.malformed(at: body.offset)
        }
        return Command.Erase(tenant: tenant, step: step, count: count, publisher: publisher, time: time)
    }
}
