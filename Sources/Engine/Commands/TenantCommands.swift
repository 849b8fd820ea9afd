internal import Base
internal import Tenants

extension Command {
    /// A tenant is made, changed or removed, or what it has used is counted from nothing again; or a project of it is entered or taken out.
    package struct ChangeTenant: Sendable {
        enum Change: Sendable {
            case create(TenantDraft)
            case update(TenantPatch)
            /// With all that it has, when it is forced.
            case remove(isForced: Bool)
            case resetUsage
            case addProject(Name)
            case removeProject(Name)
        }
        let name: TenantName
        let change: Change
        let time: Timestamp

        var weight: Int {
            switch change {
            case .create(let draft): draft.settings.utf8.count + draft.metadata.utf8.count + 512
            case .update(let patch): (patch.settings?.utf8.count ?? 0) + 512
            case .remove, .resetUsage, .addProject, .removeProject: 512
            }
        }
    }

    /// Erases records of a tenant that was removed.
    package struct EraseTenant: Sendable {
        let number: TenantID
        /// So many at most.
        let count: Int
        let time: Timestamp
    }

    /// Whether there are several tenants.
    package struct SetTenancy: Sendable {
        let isOn: Bool
        let time: Timestamp
    }
}

// MARK: - Codec

extension CommandCodec {
    static func encode(_ command: Command.ChangeTenant, _ body: inout ByteWriter) {
        body.u32(TenantID.standard.rawValue)
        body.i64(command.time.rawValue)
        body.text(command.name.text)
        switch command.change {
        case .create(let draft):
            body.u8(1)
            draft.write(to: &body)
        case .update(let patch):
            body.u8(2)
            patch.write(to: &body)
        case .remove(let isForced):
            body.u8(3)
            body.bool(isForced)
        case .resetUsage: body.u8(4)
        case .addProject(let project):
            body.u8(5)
            body.text(project.text)
        case .removeProject(let project):
            body.u8(6)
            body.text(project.text)
        }
    }

    static func changeTenant(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.ChangeTenant {
        try isOperators(tenant, &body)
        let name = try TenantName(try body.text())
        let change: Command.ChangeTenant.Change
        switch try body.u8() {
        case 1:
            let draft = try TenantDraft.read(&body)
            guard draft.name == name else { throw ByteError.malformed(at: body.offset) }
            change = .create(draft)
        case 2: change = .update(try TenantPatch.read(&body))
        case 3: change = .remove(isForced: try body.bool())
        case 4: change = .resetUsage
        case 5: change = .addProject(try body.name())
        case 6: change = .removeProject(try body.name())
        default: throw ByteError.malformed(at: body.offset)
        }
        return Command.ChangeTenant(name: name, change: change, time: time)
    }

    static func encode(_ command: Command.EraseTenant, _ body: inout ByteWriter) {
        body.u32(TenantID.standard.rawValue)
        body.i64(command.time.rawValue)
        body.u32(command.number.rawValue)
        body.varint(UInt64(command.count))
    }

    static func eraseTenant(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.EraseTenant {
        try isOperators(tenant, &body)
        let number = TenantID(rawValue: try body.u32())
        guard number > .standard else { throw ByteError.malformed(at: body.offset) }
        return Command.EraseTenant(number: number, count: try body.count(limit: Limits.erasureRecords), time: time)
    }

    static func encode(_ command: Command.SetTenancy, _ body: inout ByteWriter) {
        body.u32(TenantID.standard.rawValue)
        body.i64(command.time.rawValue)
        body.bool(command.isOn)
    }

    static func setTenancy(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.SetTenancy {
        try isOperators(tenant, &body)
        return Command.SetTenancy(isOn: try body.bool(), time: time)
    }

    private static func isOperators(_ tenant: TenantID, _ body: inout ByteReader) throws {
        guard tenant == .standard else { throw ByteError.malformed(at: body.offset) }
    }
}
