// A command that is larger than one entry of the journal should be: its encoding comes in parts, each a command of its own, and a last one
// does what the whole says. Until then nothing but the parts is in the store.

internal import Base
internal import Hashing

extension Command {
    /// Keeps a part of a command that is not whole yet; or lets all of it go.
    package struct KeepPart: Sendable {
        let tenant: TenantID
        /// Of the command that the parts are of, drawn by whoever proposes it.
        let number: UInt64
        /// In order from 0 on; nil: the command does not come, its parts go.
        let part: Int?
        let bytes: [UInt8]
        let time: Timestamp
    }

    /// Does what the command says whose parts are there; they go with it.
    package struct Assembled: Sendable {
        let tenant: TenantID
        let number: UInt64
        let parts: Int
        /// Of the whole encoding.
        let digest: SHA256Digest
        let time: Timestamp
    }
}

extension CommandCodec {
    static func encode(_ command: Command.KeepPart, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.u64(command.number)
        body.bool(command.part != nil)
        if let part = command.part {
            body.varint(UInt64(part))
            body.blob(command.bytes)
        }
    }

    static func keepPart(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.KeepPart {
        let number = try body.u64()
        guard try body.bool() else { return Command.KeepPart(tenant: tenant, number: number, part: nil, bytes: [], time: time) }
        let part = try body.count(limit: Limits.commandParts - 1)
        let bytes = Array(try body.blob())
        guard (1...Limits.commandPartBytes).contains(bytes.count) else { throw ByteError.malformed(at: body.offset) }
        return Command.KeepPart(tenant: tenant, number: number, part: part, bytes: bytes, time: time)
    }

    static func encode(_ command: Command.Assembled, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.u64(command.number)
        body.varint(UInt64(command.parts))
        body.raw(command.digest.bytes)
    }

    static func assembled(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.Assembled {
        let (number, parts) = (try body.u64(), try body.count(limit: Limits.commandParts))
        return Command.Assembled(tenant: tenant, number: number, parts: parts, digest: try body.sha256(), time: time)
    }
}
