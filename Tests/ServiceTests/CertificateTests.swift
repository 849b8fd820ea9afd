import Access
import Base
import Engine
import Service
import TestSupport
import Testing

/// Client certificates that stand for keys.
@Suite struct CertificateTests {
    private func caller(_ names: [String], key: String? = nil, from address: String? = "192.0.2.1") -> Caller {
        Caller(apiKey: key, address: address, requestID: "test", client: nil, certificate: names)
    }

    private func entry(_ name: String, _ key: IssuedKey) throws -> CertificateKeys.Entry { try #require(CertificateKeys.Entry("\(name)=\(key.record.keyID)")) }

    @Test func aNameStandsForAKeyAndNothingElseDoes() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        let robot = try await fixture.database.createKey(.standard, name: "robot")
        let other = try await fixture.database.createKey(.standard, name: "other")
        try operations.certificateKeys.set([
            entry("uri:spiffe://corp/robot", robot), entry("dns:Robot.Example", robot), entry("dns:other.example", other),
        ])
        for names in [["uri:spiffe://corp/robot"], ["cn:robot", "dns:robot.example"], ["dns:robot.example", "uri:spiffe://corp/robot"]] {
            #expect(try operations.authenticate(caller(names)).keyID == robot.record.keyID)
        }
        // Another kind, another case of what has one, a part, two keys, nothing.
        for names in [["cn:robot.example"], ["uri:SPIFFE://corp/robot"], ["dns:a.robot.example"], ["dns:robot.example", "dns:other.example"], []] {
            #expect(!operations.isValid(caller(names)))
            #expect(throws: ContexError.self) { try operations.authenticate(caller(names)) }
        }
        // A key that is given goes before.
        #expect(try operations.authenticate(caller(["dns:robot.example"], key: fixture.root.text)).keyID == fixture.root.record.keyID)
        #expect(throws: ContexError.self) { try operations.authenticate(caller(["dns:robot.example"], key: "wrong")) }
        // Another list, and nobody is left.
        try operations.certificateKeys.set([])
        #expect(!operations.isValid(caller(["dns:robot.example"])))
        await fixture.database.close()
    }

    @Test func aKeyThatIsRevokedTakesItsCertificatesAlong() async throws {
        let fixture = try await Fixture()
        let robot = try await fixture.database.createKey(.standard, name: "robot")
        try fixture.operations.certificateKeys.set([entry("cn:robot", robot)])
        #expect(fixture.operations.isValid(caller(["cn:robot"])))
        try await fixture.operations.revokeKey(robot.record.keyID.text, by: fixture.admin)
        #expect(!fixture.operations.isValid(caller(["cn:robot"])))
        await fixture.database.close()
    }

    @Test func linesOfTheList() throws {
        #expect(CertificateKeys.Entry("uri:spiffe://a/b?c=d=0123456789abcdef")?.name == "uri:spiffe://a/b?c=d")
        #expect(CertificateKeys.Entry("dns:A.Example=0123456789abcdef")?.name == "dns:a.example")
        for text in ["", "=", "a=0123456789abcdef", "cn:=0123456789abcdef", "ip:127.0.0.1=0123456789abcdef", "cn:a=0123456789ABCDEF", "cn:a=1", "cn:a"] {
            #expect(CertificateKeys.Entry(text) == nil, "\(text)")
        }
    }

    @Test func aNameOfTwoKeysIsRefused() async throws {
        let fixture = try await Fixture()
        let entries = ["0123456789abcdef", "fedcba9876543210"].compactMap { CertificateKeys.Entry("cn:a=\($0)") }
        #expect(throws: ContexError.self) { try fixture.operations.certificateKeys.set(entries) }
        #expect(throws: Never.self) { try fixture.operations.certificateKeys.set([entries[0], entries[0]]) }
        await fixture.database.close()
    }
}
