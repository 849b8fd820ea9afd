// The commands of deliveries and endpoints as bytes: docs/formats/commands-v1.md.

internal import Base
internal import Outbox

extension CommandCodec {
    static func encode(_ command: Command.NoteDeliveries, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.list(command.notes) { list, note in
            var part = ByteWriter(capacity: 128)
            part.lane(note.lane)
            part.u32(note.registration)
            part.u32(note.epoch)
            part.bool(note.settled != nil)
            if let settled = note.settled { settled.write(to: &part) }
            part.varint(UInt64(note.delivered))
            part.bool(note.lastDelivered != nil)
            if let time = note.lastDelivered { part.i64(time.rawValue) }
            part.bool(note.failure != nil)
            if let failure = note.failure {
                part.i64(failure.time.rawValue)
                part.text(failure.reason)
            }
            part.varint(UInt64(note.lost))
            part.u32(note.attempts)
            part.i64(note.nextAttempt.rawValue)
            part.bool(note.disables)
            part.list(note.dead) { $1.write(to: &$0) }
            part.list(note.replayed) { $0.u64($1) }
            part.list(note.returned) {
                $0.u64($1.number)
                $0.u16($1.status)
                $0.text($1.reason)
            }
            part.list(note.records) { $1.write(to: &$0) }
            list.blob(part.bytes)
        }
    }

    static func noteDeliveries(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.NoteDeliveries {
        let notes = try body.list { list in
            var part = ByteReader(try list.blob())
            var note = DeliveryNote(try part.lane(), registration: try part.u32(), epoch: try part.u32())
            if try part.bool() { note.settled = try DeliveryItem.read(&part) }
            note.delivered = try part.count()
            if try part.bool() { note.lastDelivered = Timestamp(rawValue: try part.i64()) }
            if try part.bool() { note.failure = .init(time: Timestamp(rawValue: try part.i64()), reason: try part.text()) }
            note.lost = try part.count()
            note.attempts = try part.u32()
            note.nextAttempt = Timestamp(rawValue: try part.i64())
            note.disables = try part.bool()
            note.dead = try part.list { try DeadLetter.read(&$0) }
            note.replayed = try part.list { try $0.u64() }
            note.returned = try part.list { .init(number: try $0.u64(), status: try $0.u16(), reason: try $0.text()) }
            note.records = try part.list { try DeliveryAttempt.read(&$0) }
            return note
        }
        return Command.NoteDeliveries(tenant: tenant, notes: notes, time: time)
    }

    static func encode(_ command: Command.ChangeLetters, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.lane(command.lane)
        body.u8(command.change.rawValue)
        body.list(command.numbers) { $0.u64($1) }
    }

    static func changeLetters(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.ChangeLetters {
        let lane = try body.lane()
        guard let change = Command.ChangeLetters.Change(rawValue: try body.u8()) else { throw ByteError.malformed(at: body.offset) }
        return Command.ChangeLetters(tenant: tenant, lane: lane, change: change, numbers: try body.list { try $0.u64() }, time: time)
    }

    static func encode(_ command: Command.ChangeEndpoint, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.u64(command.number)
        switch command.change {
        case .create(let endpoint):
            body.u8(1)
            endpoint.write(to: &body)
        case .update(let patch):
            body.u8(2)
            body.optional(patch.name)
            body.bool(patch.description != nil)
            if let description = patch.description { body.optional(description) }
            body.optional(patch.url)
            for list in [patch.events, patch.categories, patch.projects] {
                body.bool(list != nil)
                if let list { body.list(list) { $0.text($1) } }
            }
            for flag in [patch.isActive] {
                body.bool(flag != nil)
                if let flag { body.bool(flag) }
            }
            for number in [patch.timeoutSeconds, patch.retriesMax] {
                body.bool(number != nil)
                if let number { body.u8(number) }
            }
        case .rotate(let secret, let until):
            body.u8(3)
            body.text(secret)
            body.i64(until.rawValue)
        case .remove: body.u8(4)
        }
    }

    static func changeEndpoint(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.ChangeEndpoint {
        let number = try body.u64()
        let change: Command.ChangeEndpoint.Change
        switch try body.u8() {
        case 1: change = .create(try WebhookEndpoint.read(&body, number: number))
        case 2:
            var patch = EndpointPatch()
            patch.name = try body.optional()
            if try body.bool() { patch.description = .some(try body.optional()) }
            patch.url = try body.optional()
            if try body.bool() { patch.events = try body.list { try $0.text() } }
            if try body.bool() { patch.categories = try body.list { try $0.text() } }
            if try body.bool() { patch.projects = try body.list { try $0.text() } }
            if try body.bool() { patch.isActive = try body.bool() }
            if try body.bool() { patch.timeoutSeconds = try body.u8() }
            if try body.bool() { patch.retriesMax = try body.u8() }
            change = .update(patch)
        case 3: change = .rotate(secret: try body.text(), until: Timestamp(rawValue: try body.i64()))
        case 4: change = .remove
        default: throw ByteError.malformed(at: body.offset)
        }
        return Command.ChangeEndpoint(tenant: tenant, number: number, change: change, time: time)
    }

    static func encode(_ command: Command.Announce, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.u8(command.kind.rawValue)
        body.text(command.project)
        body.u64(command.endpoint)
        body.blob(command.data)
    }

    static func announce(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.Announce {
        guard let kind = EventKind(rawValue: try body.u8()) else { throw ByteError.malformed(at: body.offset) }
        return Command.Announce(
            tenant: tenant, kind: kind, project: try body.text(), endpoint: try body.u64(), data: Array(try body.blob()), time: time)
    }
}

extension ByteWriter {
    fileprivate mutating func lane(_ lane: DeliveryLane.Subject) {
        switch lane {
        case .agent(let agent, let project):
            u8(1)
            text(project.text)
            text(agent.text)
        case .endpoint(let number):
            u8(2)
            u64(number)
        }
    }
}

extension ByteReader {
    fileprivate mutating func lane() throws -> DeliveryLane.Subject {
        switch try u8() {
        case 1:
            let project = try name()
            return .agent(try name(), project: project)
        case 2: return .endpoint(try u64())
        default: throw ByteError.malformed(at: offset)
        }
    }
}
