// The files of a certificate, read and held against each other before a connection depends on them. What is wrong is said in words that
// name the file and never what is in it.

public import Base
internal import NIOCore
internal import NIOSSL

#if canImport(Glibc)
internal import Glibc
#endif

/// A certificate and its key as they lie on the disk.
public struct CertificateFiles: Sendable {
    /// What a certificate says of itself.
    public struct Facts: Sendable, Equatable {
        /// `dns:...`, `uri:...`, `email:...`, `ip:...`, `cn:...`
        public let names: [String]
        /// Seconds since 1970.
        public let begins: Int
        public let ends: Int

        /// Whether it holds at a time.
        func holds(at time: Int) -> Bool { begins <= time && time <= ends }
    }

    public let facts: Facts
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    let authorities: [NIOSSLCertificate]?
    /// What is no mistake and no good practice.
    public let remarks: [String]

    /// Reads them.
    /// - Throws: `.invalid` with a sentence that names the file and what is wrong with it: it cannot be read, is no PEM, is encrypted, or key and
    ///   certificate do not belong together.
    public init(_ settings: TLSSettings) throws(ContexError) {
        let (chainBytes, _) = try Self.read(settings.certificate, "CONTEX_TLS_CERT")
        chain = try Self.certificates(chainBytes, settings.certificate, "CONTEX_TLS_CERT")
        let (keyBytes, mode) = try Self.read(settings.key, "CONTEX_TLS_KEY")
        let text = String(decoding: keyBytes, as: UTF8.self)
        guard !text.contains("ENCRYPTED") else {
            throw ContexError(
                .invalid,
                "CONTEX_TLS_KEY: the key in \(settings.key) is encrypted, and nobody is there to type its password: "
                    + "write it without one (openssl pkey -in OLD -out NEW), readable by this user only")
        }
        guard let read = try? NIOSSLPrivateKey(bytes: keyBytes, format: .pem) else {
            throw ContexError(.invalid, "CONTEX_TLS_KEY: \(settings.key) has no private key in PEM (BEGIN PRIVATE KEY)")
        }
        key = read
        if let path = settings.clientAuthority {
            authorities = try Self.certificates(try Self.read(path, "CONTEX_TLS_CLIENT_CA").bytes, path, "CONTEX_TLS_CLIENT_CA")
        } else {
            authorities = nil
        }
        facts = Self.facts(chain[0])
        remarks =
            mode & 0o004 == 0 ? [] : ["every user of this machine can read the private key \(settings.key): chmod 600 it, or 640 with a group of its own"]
        // The library holds key and certificate against each other when it takes them.
        do {
            _ = try context(settings, protocols: [])
        } catch {
            throw ContexError(
                .invalid, "the key in \(settings.key) does not belong to the first certificate in \(settings.certificate), or one of them cannot be used")
        }
    }

    private static func read(_ path: String, _ setting: String) throws(ContexError) -> (bytes: [UInt8], mode: mode_t) {
        func refusal(_ reason: String) -> ContexError { ContexError(.invalid, "\(setting): the file \(path) \(reason)") }
        // Not blocking: a pipe under this name would wait for a writer.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw refusal("cannot be read: \(unsafe String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw refusal("is no regular file") }
        guard status.st_size <= TLSLimits.fileBytes else { throw refusal("has more than \(TLSLimits.fileBytes) bytes") }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let more = unsafe bytes.withUnsafeMutableBytes { buffer in unsafe Glibc.read(descriptor, buffer.baseAddress! + count, buffer.count - count) }
            guard more > 0 else { throw refusal("changed while it was read") }
            count += more
        }
        return (bytes, status.st_mode)
    }

    private static func certificates(_ bytes: [UInt8], _ path: String, _ setting: String) throws(ContexError) -> [NIOSSLCertificate] {
        guard let found = try? NIOSSLCertificate.fromPEMBytes(bytes), !found.isEmpty else {
            throw ContexError(.invalid, "\(setting): \(path) has no certificate in PEM (BEGIN CERTIFICATE)")
        }
        guard found.count <= TLSLimits.certificates else {
            throw ContexError(.invalid, "\(setting): \(path) has more than \(TLSLimits.certificates) certificates")
        }
        return found
    }

    static func facts(_ certificate: NIOSSLCertificate) -> Facts {
        var names: [String] = []
        func add(_ kind: String, _ text: String) {
            guard names.count < TLSLimits.names, !text.isEmpty, text.utf8.count <= TLSLimits.nameBytes, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
            else { return }
            names.append("\(kind):\(text)")
        }
        for name in certificate._subjectAlternativeNames() {
            let bytes = Array(name.contents)
            switch name.nameType {
            case .dnsName: add("dns", String(decoding: bytes, as: UTF8.self).lowercased())
            case .uri: add("uri", String(decoding: bytes, as: UTF8.self))
            case .email: add("email", String(decoding: bytes, as: UTF8.self))
            default: break
            }
        }
        for part in certificate.subjectName where part.type == .commonName { add("cn", part.value) }
        return Facts(names: names, begins: Int(certificate.notValidBefore), ends: Int(certificate.notValidAfter))
    }

    /// What connections are made of.
    /// - Parameter protocols: what clients may choose by ALPN.
    func context(_ settings: TLSSettings, protocols: [String]) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = settings.least == .thirteen ? .tlsv13 : .tlsv12
        // Of 1.2 only what 1.3 has kept: a key of its own for each connection, and sums that are part of the cipher.
        configuration.cipherSuiteValues = [
            .TLS_AES_128_GCM_SHA256, .TLS_AES_256_GCM_SHA384, .TLS_CHACHA20_POLY1305_SHA256,
            .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ]
        configuration.applicationProtocols = protocols
        configuration.shutdownTimeout = .seconds(TLSLimits.farewellSeconds)
        if let authorities {
            configuration.trustRoots = .certificates(authorities)
            configuration.certificateVerification = settings.client == .required ? .noHostnameVerification : .optionalVerification
            configuration.sendCANameList = true
        }
        return try NIOSSLContext(configuration: configuration)
    }
}

/// Which files these were: another size, time or place means another content.
struct FileStamp: Sendable, Equatable {
    private let values: [Int]

    init(_ settings: TLSSettings) {
        values = [settings.certificate, settings.key, settings.clientAuthority ?? ""].flatMap { path in
            var status = stat()
            guard unsafe stat(path, &status) == 0 else { return [Int(errno)] }
            return [Int(status.st_ino), Int(status.st_size), Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec)]
        }
    }
}
