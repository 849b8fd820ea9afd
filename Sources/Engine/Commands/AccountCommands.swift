internal import Access
internal import Base

extension Command {
    /// A change of service accounts.
    package struct ChangeAccounts: Sendable {
        enum Change: Sendable {
            /// With its first key.
            case create(ServiceAccount)
            case update(AccountID, AccountPatch)
            case remove(AccountID)
            case addKey(AccountID, AccountKey)
            case removeKey(AccountID, KeyID)
        }
        let tenant: TenantID
        let change: Change
        /// The projects of whoever asks: an account that reaches beyond them is not there for him.
        let reach: ProjectScope
        /// As of `ChangeKeys`.
        let asker: ChangeKeys.Asker
        let time: Timestamp
    }

    /// A change of the roles that administrators make.
    package struct ChangeRoles: Sendable {
        enum Change: Sendable {
            case put(CustomRole)
            case remove(String)
        }
        let tenant: TenantID
        let change: Change
        let time: Timestamp
    }

    /// A change of what an API key has beside a built-in role: a custom one in its place, permissions that narrow it.
    package struct SetGrants: Sendable {
        enum Change: Sendable {
            case role(String, projects: [String])
            case permissions([String])
        }
        let tenant: TenantID
        let keyID: KeyID
        let change: Change
        let reach: ProjectScope
        let asker: ChangeKeys.Asker
        let time: Timestamp
    }
}

// MARK: - Codec

extension CommandCodec {
    static func encode(_ command: Command.ChangeAccounts, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.list(command.reach.projects) { $0.text($1) }
        body.u8(command.asker.rawValue)
        switch command.change {
        case .create(let account):
            body.u8(1)
            account.write(to: &body)
        case .update(let id, let patch):
            body.u8(2)
            body.u64(id.rawValue)
            patch.write(to: &body)
        case .remove(let id):
            body.u8(3)
            body.u64(id.rawValue)
        case .addKey(let id, let key):
            body.u8(4)
            body.u64(id.rawValue)
            key.write(to: &body)
        case .removeKey(let id, let key):
            body.u8(5)
            body.u64(id.rawValue)
            body.u64(key.rawValue)
        }
    }

    static func changeAccounts(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.ChangeAccounts {
        let reach = ProjectScope(try body.list { try $0.text() })
        guard let asker = Command.ChangeKeys.Asker(rawValue: try body.u8()) else { throw ByteError.malformed(at: body.offset) }
        let change: Command.ChangeAccounts.Change
        switch try body.u8() {
        case 1: change = .create(try ServiceAccount.read(&body))
        case 2: change = .update(AccountID(rawValue: try body.u64()), try AccountPatch.read(&body))
        case 3: change = .remove(AccountID(rawValue: try body.u64()))
        case 4: change = .addKey(AccountID(rawValue: try body.u64()), try AccountKey.read(&body))
        case 5: change = .removeKey(AccountID(rawValue: try body.u64()), KeyID(rawValue: try body.u64()))
        case let other: throw ContexError.damaged("the change of service accounts is of kind \(other), which this build does not know")
        }
        return Command.ChangeAccounts(tenant: tenant, change: change, reach: reach, asker: asker, time: time)
    }

    static func encode(_ command: Command.ChangeRoles, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        switch command.change {
        case .put(let role):
            body.u8(1)
            role.write(to: &body)
        case .remove(let name):
            body.u8(2)
            body.text(name)
        }
    }

    static func changeRoles(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.ChangeRoles {
        let change: Command.ChangeRoles.Change
        switch try body.u8() {
        case 1: change = .put(try CustomRole.read(&body))
        case 2: change = .remove(try body.text())
        case let other: throw ContexError.damaged("the change of roles is of kind \(other), which this build does not know")
        }
        return Command.ChangeRoles(tenant: tenant, change: change, time: time)
    }

    static func encode(_ command: Command.SetGrants, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.u64(command.keyID.rawValue)
        body.list(command.reach.projects) { $0.text($1) }
        body.u8(command.asker.rawValue)
        switch command.change {
        case .role(let name, let projects):
            body.u8(1)
            body.text(name)
            body.list(projects) { $0.text($1) }
        case .permissions(let permissions):
            body.u8(2)
            body.list(permissions) { $0.text($1) }
        }
    }

    static func setGrants(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.SetGrants {
        let id = KeyID(rawValue: try body.u64())
        let reach = ProjectScope(try body.list { try $0.text() })
        guard let asker = Command.ChangeKeys.Asker(rawValue: try body.u8()) else { throw ByteError.malformed(at: body.offset) }
        let change: Command.SetGrants.Change
        switch try body.u8() {
        case 1: change = .role(try body.text(), projects: try body.list { try $0.text() })
        case 2: change = .permissions(try body.list { try $0.text() })
        case let other: throw ContexError.damaged("the change of permissions is of kind \(other), which this build does not know")
        }
        return Command.SetGrants(tenant: tenant, keyID: id, change: change, reach: reach, asker: asker, time: time)
    }
}
