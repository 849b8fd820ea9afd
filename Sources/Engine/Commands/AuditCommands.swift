internal import Audit
internal import Base
internal import Rates

extension Command {
    /// Sets a rate limit, or takes one back.
    package struct SetRateLimit: Sendable {
        enum Change: Sendable {
            /// nil: without a limit.
            case set(perMinute: Int?)
            case remove
        }
        let tenant: TenantID
        let subject: RateSubject
        let rateClass: RateClass
        let change: Change
        let time: Timestamp
    }

    /// What changed nothing and is written down all the same: refusals, logins, what was taken out.
    package struct NoteAudit: Sendable {
        let tenant: TenantID
        let drafts: [AuditDraft]
        let keptDays: Int
        let time: Timestamp
    }

    /// A command in somebody's name: what it changes is written down in the transaction that changes it.
    package struct Attributed: Sendable {
        let command: Command
        let attribution: Attribution
    }
}

// MARK: - Codec

extension CommandCodec {
    static func encode(_ command: Command.SetRateLimit, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.text(command.subject.kind)
        body.optional(command.subject.id)
        body.u8(command.rateClass.rawValue)
        switch command.change {
        case .remove: body.u8(0)
        case .set(let perMinute):
            body.u8(perMinute == nil ? 1 : 2)
            if let perMinute { body.varint(UInt64(perMinute)) }
        }
    }

    static func setRateLimit(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.SetRateLimit {
        guard let subject = RateSubject(kind: try body.text(), id: try body.optional()), let rateClass = RateClass(rawValue: try body.u8()) else {
            throw ByteError.malformed(at: body.offset)
        }
        let change: Command.SetRateLimit.Change
        switch try body.u8() {
        case 0: change = .remove
        case 1: change = .set(perMinute: nil)
        case 2: change = .set(perMinute: try body.count(limit: RateAllowances.most))
        default: throw ByteError.malformed(at: body.offset)
        }
        return Command.SetRateLimit(tenant: tenant, subject: subject, rateClass: rateClass, change: change, time: time)
    }

    static func encode(_ command: Command.NoteAudit, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.varint(UInt64(command.keptDays))
        body.list(command.drafts) { list, draft in
            var part = ByteWriter(capacity: 320)
            draft.write(to: &part)
            list.blob(part.bytes)
        }
    }

    static func noteAudit(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.NoteAudit {
        let days = try body.count(limit: Attribution.keptDaysMax)
        let drafts = try body.list { list in
            var part = ByteReader(Array(try list.blob()))
            return try AuditDraft.read(&part)
        }
        return Command.NoteAudit(tenant: tenant, drafts: drafts, keptDays: days, time: time)
    }

    static func encode(_ command: Command.Attributed, _ eliding: Bool, _ body: inout ByteWriter) {
        body.u32(command.command.tenant.rawValue)
        body.i64(command.command.time.rawValue)
        let attribution = command.attribution
        body.u8(attribution.actor.kind.rawValue)
        body.text(attribution.actor.id)
        body.optional(attribution.actor.address)
        body.optional(attribution.actor.client)
        body.text(attribution.place.requestID)
        body.text(attribution.place.endpoint)
        body.text(attribution.place.method)
        body.text(attribution.action)
        body.varint(UInt64(attribution.keptDays))
        body.blob(encode(command.command, eliding: eliding))
    }

    static func attributed(_ tenant: TenantID, _ body: inout ByteReader, _ event: ElidedEvent?) throws -> Command.Attributed {
        guard let kind = AuditActor.Kind(rawValue: try body.u8()) else { throw ByteError.malformed(at: body.offset) }
        let actor = AuditActor(kind: kind, id: try body.text(), address: try body.optional(), client: try body.optional())
        let place = AuditPlace(requestID: try body.text(), endpoint: try body.text(), method: try body.text())
        let action = try body.text()
        let days = try body.count(limit: Attribution.keptDaysMax)
        let command = try decode(Array(try body.blob()), event: event)
        // One within another would let a short text nest without end.
        if case .attributed = command { throw ContexError.damaged("a command has two names on it") }
        guard command.tenant == tenant else { throw ContexError.damaged("a command of tenant \(command.tenant) stands in one of tenant \(tenant)") }
        return Command.Attributed(command: command, attribution: Attribution(actor: actor, place: place, action: action, keptDays: days))
    }
}
