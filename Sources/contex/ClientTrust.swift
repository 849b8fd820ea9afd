internal import ArgumentParser
internal import AsyncHTTPClient
internal import Base
internal import NIOSSL
internal import Synchronization
internal import Webhooks

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Whom a client command trusts over https, and what it shows of itself.
struct TrustOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Who signed the server's certificate, in PEM (default: CONTEX_CA_FILE, else those that the system trusts).", valueName: "file"))
    var caFile: String?

    @Option(help: ArgumentHelp("The certificate to show the server, in PEM (default: CONTEX_CLIENT_CERT).", valueName: "file"))
    var clientCert: String?

    @Option(help: ArgumentHelp("Its private key (default: CONTEX_CLIENT_KEY, else the file of the certificate).", valueName: "file"))
    var clientKey: String?

    var trust: ClientTrust {
        let environment = ProcessInfo.processInfo.environment
        func named(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        return ClientTrust(
            authorities: caFile ?? named("CONTEX_CA_FILE"), certificate: clientCert ?? named("CONTEX_CLIENT_CERT"),
            key: clientKey ?? named("CONTEX_CLIENT_KEY"))
    }
}

struct ClientTrust: Hashable, Sendable {
    var authorities: String?
    var certificate: String?
    var key: String?

    /// Clients live as long as the process.
    private static let clients = Mutex<[ClientTrust: HTTPClient]>([:])

    /// A refused connection is the answer: a person waits for it, and scripts try again themselves.
    func client() throws(CommandFailure) -> HTTPClient {
        if let client = Self.clients.withLock({ $0[self] }) { return client }
        var configuration = HTTPClient.Configuration.singletonConfiguration
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.guardAnswers()
        if self != ClientTrust() { configuration.tlsConfiguration = try tls() }
        let made = configuration
        return Self.clients.withLock { clients in
            let client = clients[self] ?? HTTPClient(eventLoopGroupProvider: .singleton, configuration: made)
            clients[self] = client
            return client
        }
    }

    private func tls() throws(CommandFailure) -> TLSConfiguration {
        func failure(_ path: String, _ what: String) -> CommandFailure {
            CommandFailure(.usage, "the file '\(Terminal.clean(path, atMost: 200))' has no \(what) in PEM that can be read")
        }
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if let authorities {
            guard let read = try? NIOSSLCertificate.fromPEMFile(authorities), !read.isEmpty else { throw failure(authorities, "certificate") }
            tls.trustRoots = .certificates(read)
        }
        if let certificate {
            guard let chain = try? NIOSSLCertificate.fromPEMFile(certificate), !chain.isEmpty else { throw failure(certificate, "certificate") }
            guard let read = try? NIOSSLPrivateKey(file: key ?? certificate, format: .pem) else { throw failure(key ?? certificate, "private key") }
            tls.certificateChain = chain.map { .certificate($0) }
            tls.privateKey = .privateKey(read)
        }
        return tls
    }

    /// Why there was no connection, when TLS is why.
    static func reason(_ error: any Error) -> String? {
        guard error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError else { return nil }
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate is signed by nobody who is trusted, or has ended: --ca-file names who signed it"
        }
        if text.contains("failedToValidateHostname") || text.contains("unableToValidateCertificate") { return "its certificate is for another name" }
        if text.contains("CERTIFICATE_REQUIRED") { return "it wants a certificate of the client's: --client-cert and --client-key" }
        if text.contains("WRONG_VERSION_NUMBER") { return "it does not speak TLS there: http:// and not https://" }
        return Terminal.clean(text, atMost: 200)
    }
}
