import Assembly
import Base
import Content
import ContexClient
import Foundation
import TestSupport
import Testing
import Wire

/// The binary protocol of a whole server over TLS, with the Swift client. Other clients are in Tests/Conformance/test_tls.py.
@Suite(.serialized) struct SecureDoorTests {
    /// Certificates that openssl makes for one test.
    private struct Certificates {
        let folder = TemporaryFolder()
        func path(_ name: String) -> String { folder.path + "/" + name }

        init() throws {
            try run(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "5", "-subj", "/CN=authority",
                     "-keyout", path("authority.key"), "-out", path("authority.pem")])
        }

        func make(_ name: String, _ alternatives: String) throws {
            try Data("subjectAltName=\(alternatives)\n".utf8).write(to: URL(fileURLWithPath: path(name + ".ext")))
            try run(["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=\(name)",
                     "-keyout", path(name + ".key"), "-out", path(name + ".csr")])
            try run(["x509", "-req", "-in", path(name + ".csr"), "-CA", path("authority.pem"), "-CAkey", path("authority.key"), "-CAcreateserial",
                     "-days", "5", "-extfile", path(name + ".ext"), "-out", path(name + ".pem")])
        }

        private func run(_ arguments: [String]) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            process.arguments = arguments
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
        }
    }

    private static func ask(_ running: TestServer, _ tls: ClientTLS?) async -> String {
        guard let address = running.server.wire else { return "no door" }
        let client = Client(ClientConfiguration(host: address.host, port: address.port, attempts: 1, tls: tls))
        defer { Task { await client.close() } }
        do {
            _ = try await client.ping()
            return "answered"
        } catch let error as ContexError {
            return error.code.rawValue
        } catch {
            return "\(error)"
        }
    }

    @Test func theClientChecksWhoAnswers() async throws {
        let certificates = try Certificates()
        try certificates.make("server", "DNS:contex.example")
        let running = try await TestServer {
            $0.httpPort = nil
            $0.respPort = nil
            ($0.tlsCertificate, $0.tlsKey) = (certificates.path("server.pem"), certificates.path("server.key"))
        }
        let authorities = certificates.path("authority.pem")
        #expect(await Self.ask(running, ClientTLS(authorities: authorities, serverName: "contex.example")) == "answered")
        // The address alone, for which it is not; another name, nobody who is known, no TLS at all, and a file that is none.
        #expect(await Self.ask(running, ClientTLS(authorities: authorities)) == "unavailable")
        #expect(await Self.ask(running, ClientTLS(authorities: authorities, serverName: "other.example")) == "unavailable")
        #expect(await Self.ask(running, ClientTLS(authorities: authorities, serverName: "other.example", checksServerName: false)) == "answered")
        #expect(await Self.ask(running, ClientTLS()) == "unavailable")
        #expect(await Self.ask(running, nil) != "answered")
        #expect(await Self.ask(running, ClientTLS(authorities: certificates.path("nothing.pem"))) == "unavailable")
        await running.server.stop()
    }

    @Test func aClientShowsItsCertificate() async throws {
        let certificates = try Certificates()
        try certificates.make("server", "IP:127.0.0.1")
        try certificates.make("client", "URI:spiffe://example/client")
        let running = try await TestServer {
            $0.httpPort = nil
            $0.respPort = nil
            ($0.tlsCertificate, $0.tlsKey) = (certificates.path("server.pem"), certificates.path("server.key"))
            $0.tlsClientAuthority = certificates.path("authority.pem")
        }
        let authorities = certificates.path("authority.pem")
        let mine = ClientTLS(authorities: authorities, certificate: certificates.path("client.pem"), key: certificates.path("client.key"))
        #expect(await Self.ask(running, mine) == "answered")
        #expect(await Self.ask(running, ClientTLS(authorities: authorities)) != "answered")
        await running.server.stop()
    }

    /// A server whose files are wrong does not start, and leaves nothing behind.
    @Test func filesAreHeldAgainstEachOther() async throws {
        let certificates = try Certificates()
        try certificates.make("server", "IP:127.0.0.1")
        let error = await #expect(throws: ContexError.self) {
            _ = try await TestServer { ($0.tlsCertificate, $0.tlsKey) = (certificates.path("server.pem"), certificates.path("authority.key")) }
        }
        #expect(error?.message.contains("does not belong") == true)
    }
}
