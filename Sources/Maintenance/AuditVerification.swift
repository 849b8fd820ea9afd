public import Audit
internal import Base
internal import Engine
internal import KeySpace
internal import LMDB

/// The proof that a folder's audit trail is whole, on one snapshot; it may run beside a serving process.
public enum AuditVerification {
    /// - Parameters:
    ///   - known: a record that is known from before, and its link: it must be in the trail as it was, unless it was let go because it was old.
    ///   - progress: records that are proven.
    /// - Returns: nil for a store where nothing was ever written down.
    /// - Throws: `.damaged` with the place where the trail was changed, left out or cut off; `.notFound` when there is no store.
    public static func run(
        directory: String, known: (sequence: UInt64, link: String)? = nil, progress: (UInt64) -> Void = { _ in }
    ) throws -> AuditLog.State? {
        let environment = try Database.openForReading(directory: directory)
        do {
            return try environment.readVerified { view in
                guard try StoreFormat.verify(view) else { throw ContexError(.storeNotFound, "the store is empty") }
                let log = AuditLog(tenant: .standard)
                var proven: UInt64 = 0
                try log.verify(in: view) { record in
                    proven += 1
                    if proven % 1_024 == 0 { progress(proven) }
                    if let known, record.sequence == known.sequence, record.linkText != known.link {
                        throw ContexError.damaged("audit record \(known.sequence) is another one than it was")
                    }
                }
                let state = try log.state(in: view)
                if let known, (state?.last ?? 0) < known.sequence {
                    throw ContexError.damaged("the audit trail ends at record \(state?.last ?? 0), and had record \(known.sequence): it was cut off")
                }
                return state
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }
}
