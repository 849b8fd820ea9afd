// Signs where the audit trail stands, every minute and every thousand records, and puts the signed line where it outlives the folder: into the
// server's log, and at the end of a file if one is named (on another disk, of another user, or shipped away).

public import Access
public import Audit
public import Base
public import Engine
internal import Content
internal import Dispatch
internal import Logging

#if canImport(Glibc)
internal import Glibc
#endif

public struct AuditSigner: Sendable {
    static let seconds = 60
    static let records: UInt64 = 1_000
    /// Between two looks.
    static let lookSeconds = 2

    private let database: Database
    private let tenant: TenantID
    private let seed: [UInt8]
    private let path: String?
    /// Of the file: a write waits for the disk, and no thread of the cooperative pool may.
    private let file = DispatchQueue(label: "contex.audit.checkpoints")
    private let logger = Logger(label: "contex.audit")

    /// - Parameters:
    ///   - key: the file of the signing key, made when missing.
    ///   - path: the file that checkpoints are put at the end of; nil: only the log has them.
    /// - Throws: as `SecretFile.loadOrCreate`; `.folderUnusable` when nothing can be added to the file.
    public init(database: Database, tenant: TenantID, key: SecretFile, path: String?) throws(ContexError) {
        self.database = database
        self.tenant = tenant
        seed = try key.loadOrCreate()
        self.path = path
        // That it cannot be written must be known before there is something to lose.
        if let path { try Self.append("", to: path) }
    }

    /// Signs until it is cancelled. Where the trail stands then is for `sign`, of somebody who is not.
    public func run() async {
        var signed: UInt64 = 0
        var looks = 0
        while (try? await Task.sleep(for: .seconds(Self.lookSeconds))) != nil {
            looks += 1
            guard let last = try? await database.auditState(tenant)?.last, last > signed else { continue }
            if last - signed >= Self.records || looks >= Self.seconds / Self.lookSeconds {
                signed = await sign() ?? signed
                looks = 0
            }
        }
    }

    /// - Returns: the record that it is of; nil: nothing was signed.
    @discardableResult
    public func sign(after: UInt64 = 0) async -> UInt64? {
        do {
            guard let state = try await database.auditState(tenant), state.last > after else { return nil }
            let checkpoint = try AuditCheckpoint(state, tenant: tenant, at: database.currentTime(), seed: seed)
            let line = JSONPrinter.text(.object(JSONObject(checkpoint.fields.map { ($0.name, .string($0.value)) })))
            logger.info("audit checkpoint", metadata: ["line": "\(line)"])
            if let path { try await append(line + "\n", to: path) }
            return state.last
        } catch {
            logger.error("no audit checkpoint could be made", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    /// A receipt with the word of whoever signs the trail.
    public func sign(_ receipt: ErasureReceipt) throws -> ErasureReceipt { try receipt.signed(seed: seed) }

    private func append(_ text: String, to path: String) async throws {
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            file.async { done.resume(with: Result { try Self.append(text, to: path) }) }
        }
    }

    /// One write, at the end, and on the disk when this returns.
    private static func append(_ text: String, to path: String) throws(ContexError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        func failure() -> ContexError {
            ContexError(.folderUnusable, "audit checkpoints cannot be written to \(path): \(unsafe String(cString: strerror(errno)))")
        }
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard unsafe bytes.isEmpty || (write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0) else { throw failure() }
    }
}
