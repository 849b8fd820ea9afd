import Access
import Base
import Engine
import Maintenance
import Service
import TestSupport
import Testing

/// What keys and roles are worth that were made while authentication was off, once it is on.
@Suite struct OpenTimeTests {
    @Test func aKeyOfTheOpenTimeWaitsForAConfirmation() async throws {
        let fixture = try await Fixture(authentication: false)
        let (open, closed) = (fixture.operations, Operations(database: fixture.database, authenticationRequired: true))
        let anybody = fixture.caller(nil)
        // While it is off: a key of one's own, with every right there is.
        let intruder = try await open.createKey(name: "intruder", by: anybody)
        let id = "\(intruder.record.keyID)"
        _ = try await open.assignRole(keyID: id, role: "admin", projects: [], by: anybody)
        let holder = fixture.caller(intruder.text)
        #expect(try await open.keys(by: holder).map(\.record.rule) == [.authenticated, .open])
        #expect(await category { try await open.confirmKey(id, by: anybody) } == .conflict)
        #expect(await category { try await open.confirmKey(id, by: holder) } == .conflict)

        // Switched on: it is not valid, and cannot make itself so.
        let refused = await #expect(throws: ContexError.self) { try await closed.keys(by: holder) }
        #expect(refused?.category == .unauthenticated && refused?.message.contains("contex keys confirm \(id)") == true)
        #expect(await category { try await closed.confirmKey(id, by: holder) } == .unauthenticated)
        #expect(try await fixture.database.unconfirmedKeys(.standard).map(\.role) == [.admin])
        #expect(fixture.database.keyRing.administrators == 1)

        // Whoever has the first key decides. A role that he gives says nothing about the key.
        _ = try await closed.assignRole(keyID: id, role: "publisher", projects: ["own"], by: fixture.admin)
        #expect(await category { try await closed.projects(by: holder) } == .unauthenticated)
        try await closed.confirmKey(id, by: fixture.admin)
        #expect(try await closed.publish(fixture.command("own"), by: holder).sequence.rawValue == 1)
        #expect(await category { try await closed.keys(by: holder) } == .forbidden)
        #expect(try await fixture.database.unconfirmedKeys(.standard).isEmpty)
        #expect(await category { try await closed.confirmKey("0000000000000001", by: fixture.admin) } == .notFound)
        #expect(await category { try await closed.confirmKey("nonsense", by: fixture.admin) } == .notFound)
        await fixture.database.close()
    }

    @Test func aRoleOfTheOpenTimeWaitsToo() async throws {
        let fixture = try await Fixture(authentication: false)
        let (open, closed) = (fixture.operations, Operations(database: fixture.database, authenticationRequired: true))
        let anybody = fixture.caller(nil)
        let issued = try await closed.createKey(name: "reader", by: fixture.admin)
        let (id, reader) = ("\(issued.record.keyID)", fixture.caller(issued.text))
        _ = try await closed.assignRole(keyID: id, role: "publisher", projects: ["own"], by: fixture.admin)
        #expect(try await closed.projects(by: reader).items.isEmpty)

        // Neither a larger role, nor the larger reach that a key without a role has.
        _ = try await open.assignRole(keyID: id, role: "admin", projects: [], by: anybody)
        #expect(await category { try await closed.projects(by: reader) } == .unauthenticated)
        try await closed.confirmKey(id, by: fixture.admin)
        #expect(try await closed.keys(by: reader).count == 2)
        try await open.removeRole(of: id, by: anybody)
        #expect(await category { try await closed.projects(by: reader) } == .unauthenticated)
        #expect(try await fixture.database.unconfirmedKeys(.standard).map { "\($0.record.keyID)" } == [id])
        await fixture.database.close()
    }

    @Test func theDataFolderIsTheLastWayIn() async throws {
        let fixture = try await Fixture(authentication: false)
        let anybody = fixture.caller(nil)
        let own = try await fixture.operations.createKey(name: "own", by: anybody)
        let id = own.record.keyID
        _ = try await fixture.operations.assignRole(keyID: "\(id)", role: "admin", projects: [], by: anybody)
        // With an administrator to be confirmed the first key may go.
        try await fixture.operations.revokeKey("\(fixture.root.record.keyID)", by: anybody)
        #expect(fixture.database.keyRing.administrators == 0 && fixture.database.keyRing.possibleAdministrators == 1)
        let folder = fixture.folder.path
        #expect(try HeldKeys.list(directory: folder).map(\.record.keyID) == [id])
        let running = #expect(throws: ContexError.self) { try HeldKeys.confirm(nil, directory: folder) }
        #expect(running?.category == .conflict)
        await fixture.database.close()

        let unknown = #expect(throws: ContexError.self) { try HeldKeys.confirm([id, KeyID(rawValue: 1)], directory: folder) }
        #expect(unknown?.category == .notFound)
        #expect(try HeldKeys.list(directory: folder).map(\.record.rule) == [.open])
        #expect(try HeldKeys.confirm(nil, directory: folder).map(\.record.keyID) == [id])
        #expect(try HeldKeys.confirm([id], directory: folder).isEmpty)
        #expect(try HeldKeys.list(directory: folder).map(\.record.rule) == [.confirmed])
        #expect(try IntegrityCheck.run(directory: folder).findings == [])
        let missing = #expect(throws: ContexError.self) { try HeldKeys.confirm(nil, directory: folder + "/nowhere") }
        #expect(missing?.category == .notFound)
        try HeldKeys.revoke([id], directory: folder)
        #expect(try HeldKeys.list(directory: folder).isEmpty)
    }
}
