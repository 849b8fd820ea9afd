import Access
import Base
import Engine
import Journal
import KeySpace
import TestSupport
import Testing

/// Commands 21 to 23 as docs/formats/commands-v1.md has them, written here by hand: the golden file is this.
@Suite("Commands of accounts and roles") struct AccountCommandTests {
    private static let time: Int64 = 1_800_000_000_000_000

    private static func command(_ kind: UInt8, _ body: (inout ByteWriter) -> Void) -> GoldenRecord {
        var fields = ByteWriter()
        fields.u32(1)
        fields.i64(time)
        body(&fields)
        var whole = ByteWriter()
        whole.u8(1)
        whole.u8(kind)
        whole.blob(fields.bytes)
        return GoldenRecord(key: [kind], value: whole.bytes)
    }

    private static func accountKey(_ writer: inout ByteWriter) {
        writer.u64(0x0102_0304_0506_0708)
        writer.raw([UInt8](repeating: 0xAB, count: 32))
        writer.u64(9)
        writer.i64(time)
        writer.bool(true)
        writer.i64(time + 1)
        writer.bool(true)
        writer.text("Initial key")
    }

    private static func change(_ number: UInt8, _ body: @escaping (inout ByteWriter) -> Void) -> GoldenRecord {
        command(21) { writer in
            writer.varint(1)
            writer.text("app")
            writer.u8(1)
            writer.u8(number)
            body(&writer)
        }
    }

    static let made: [GoldenRecord] = [
        change(1) { writer in
            writer.u64(0x1122_3344_5566_7788)
            writer.u8(2)
            writer.u8(1)
            writer.bool(true)
            writer.u32(0)
            writer.i64(time)
            writer.i64(time)
            writer.text("deploy")
            writer.bool(false)
            writer.text("publisher")
            writer.varint(1)
            writer.text("app")
            writer.varint(1)
            writer.text("project:app:data:publish")
            writer.varint(1)
            accountKey(&writer)
        },
        change(2) { writer in
            writer.u64(0x1122_3344_5566_7788)
            writer.u8(0b111111)
            writer.text("other")
            writer.bool(true)
            writer.text("what it is for")
            writer.text("readonly")
            writer.varint(1)
            writer.text("app")
            writer.varint(0)
            writer.bool(false)
        },
        change(3) { $0.u64(0x1122_3344_5566_7788) },
        change(4) { writer in
            writer.u64(0x1122_3344_5566_7788)
            accountKey(&writer)
        },
        change(5) { writer in
            writer.u64(0x1122_3344_5566_7788)
            writer.u64(0x0102_0304_0506_0708)
        },
        command(22) { writer in
            writer.u8(1)
            writer.text("deployer")
            writer.bool(true)
            writer.text("of the pipeline")
            writer.i64(time)
            writer.varint(1)
            writer.text("readonly")
            writer.varint(1)
            writer.text("!project:payroll:*:*")
        },
        command(22) { writer in
            writer.u8(2)
            writer.text("deployer")
        },
        command(23) { writer in
            writer.u64(0x0102_0304_0506_0708)
            writer.varint(0)
            writer.u8(1)
            writer.u8(1)
            writer.text("deployer")
            writer.varint(1)
            writer.text("app")
        },
        command(23) { writer in
            writer.u64(0x0102_0304_0506_0708)
            writer.varint(0)
            writer.u8(2)
            writer.u8(2)
            writer.varint(1)
            writer.text("project:app:data:publish")
        },
    ]

    @Test func goldenAccountsAreRead() throws {
        try GoldenRecord.rewriteIfAsked("commands-v1/accounts.txt", Self.made)
        #expect(try GoldenRecord.file("commands-v1/accounts.txt") == Self.made)
        for record in Self.made { #expect(try EncodedCommand.canonical(record.value) == record.value) }
    }

    /// What is done is in the journal, and refused commands change nothing.
    @Test func changesAreCommands() async throws {
        let folder = TemporaryFolder()
        var settings = DatabaseConfiguration(directory: folder.path)
        settings.mapBytes = 1 << 30
        settings.journal = .all
        let database = try Database(
            configuration: settings,
            models: Models(identity: "constant", dimension: 4, embed: { $0.map { _ in [1, 0, 0, 0] } }, countTokens: { $0.utf8.count }))
        let tenant = TenantID.standard
        let key = try await database.createKey(tenant, name: "key")
        let account = ServiceAccount(
            id: try .random(), name: "a", description: nil, type: .agent, role: "readonly", projects: [], scopes: [], createdAt: Timestamp(rawValue: 1),
            rule: .authenticated)
        let (made, _) = try await database.createAccount(tenant, account)
        #expect(made.keys.count == 1)
        let issued = try await database.createAccountKey(tenant, account.id, description: nil, expiresAt: nil)
        var patch = AccountPatch()
        patch.isActive = false
        #expect(try await database.updateAccount(tenant, account.id, patch).generation == 1)
        try await database.removeAccountKey(tenant, account.id, issued.key.keyID)
        let role = try CustomRole(name: "r", description: nil, inherits: [], permissions: ["admin"], updatedAt: Timestamp(rawValue: 1))
        try await database.putRole(tenant, role)
        try await database.assignCustomRole(tenant, key.record.keyID, "r", projects: ["p"])
        try await database.setPermissions(tenant, key.record.keyID, ["project:p:data:read"])
        let before = try await database.journal(after: .zero).count
        // Each of these is refused whole.
        for index in 0..<6 {
            await #expect(throws: ContexError.self) {
                switch index {
                case 0:
                    let own = try CustomRole(name: "r", description: nil, inherits: ["r"], permissions: [], updatedAt: Timestamp(rawValue: 1))
                    try await database.putRole(tenant, own)
                case 1: try await database.removeCustomRole(tenant, "r")
                case 2: try await database.assignCustomRole(tenant, key.record.keyID, "nobody", projects: [])
                case 3: try await database.removeAccount(tenant, AccountID(rawValue: 7))
                case 4: try await database.removeAccountKey(tenant, account.id, issued.key.keyID)
                default:
                    patch.role = "nobody"
                    _ = try await database.updateAccount(tenant, account.id, patch)
                }
            }
        }
        let entries = try await database.journal(after: .zero)
        #expect(entries.count == before && entries.count == 8)
        for entry in entries { #expect(try EncodedCommand.canonical(entry.command) == entry.command) }
        // A reach of some projects does not reach an account of all.
        await #expect(throws: ContexError.self) { try await database.removeAccount(tenant, account.id, reach: ProjectScope(["p"])) }
        try await database.removeAccount(tenant, account.id)
        try await database.revokeKey(tenant, key.record.keyID)
        #expect(try await database.keyGrants(tenant).isEmpty)
        try await database.removeCustomRole(tenant, "r")
        await database.close()
    }
}
