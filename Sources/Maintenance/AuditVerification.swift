public import Audit
internal import Base
internal import Content
internal import Engine
internal import KeySpace
internal import LMDB
internal import Tenants

/// The proof that a folder's audit trail is whole, on one snapshot; it may run beside a serving process.
public enum AuditVerification {
    /// What is known of the trail from elsewhere.
    public struct Known: Sendable {
        fileprivate var links: [UInt64: String] = [:]
        public private(set) var checkpoints = 0

        public init() {}

        /// A record that there was.
        public mutating func add(_ sequence: UInt64, link: String) { links[sequence] = link.lowercased() }

        /// Signed checkpoints, a line each.
        /// - Parameter publicKey: whose signatures they must have, in hexadecimal digits; nil: all that of the first.
        /// - Throws: `.damaged` with the line that is no checkpoint, is signed by another key, or not signed at all.
        public mutating func add(checkpoints text: String, publicKey: String?) throws {
            var key = publicKey?.lowercased()
            for (place, line) in text.split(separator: "\n", omittingEmptySubsequences: true).enumerated() {
                func refuse(_ reason: String) -> ContexError { .damaged("line \(place + 1) of the checkpoints \(reason)") }
                guard let members = (try? JSONParser.parse(Array(line.utf8)))?.objectValue,
                    let checkpoint = AuditCheckpoint(fields: Dictionary(members.map { ($0.key, $0.value.stringValue ?? "") }, uniquingKeysWith: { $1 }))
                else { throw refuse("is no checkpoint") }
                let own = members["key"]?.stringValue?.lowercased()
                guard own == key ?? own else { throw refuse("is signed by another key") }
                guard checkpoint.isSigned else { throw refuse("has a signature that does not hold") }
                key = own
                if let other = links[checkpoint.sequence], other != checkpoint.linkText {
                    throw refuse("contradicts another about record \(checkpoint.sequence)")
                }
                links[checkpoint.sequence] = checkpoint.linkText
                checkpoints += 1
            }
        }
    }

    /// - Parameters:
    ///   - known: each of these records must be in the trail as it was, unless it was let go because it was old.
    ///   - progress: records that are proven.
    /// - Returns: nil for a store where nothing was ever written down.
    /// - Throws: `.damaged` with the place where the trail was changed, left out or cut off; `.notFound` when there is no store.
    public static func run(directory: String, known: Known = Known(), progress: (UInt64) -> Void = { _ in }) throws -> AuditLog.State? {
        let environment = try Database.openForReading(directory: directory)
        do {
            return try environment.readVerified { view in
                guard try StoreFormat.verify(view) else { throw ContexError(.storeNotFound, "the store is empty") }
                var proven: UInt64 = 0
                // Of the others nobody has signed checkpoints.
                for tenant in try TenantRegistry.numbers(in: view) where tenant != .standard {
                    try AuditLog(tenant: tenant).verify(in: view) { _ in
                        proven += 1
                        if proven % 1_024 == 0 { progress(proven) }
                    }
                }
                let log = AuditLog(tenant: .standard)
                try log.verify(in: view) { record in
                    proven += 1
                    if proven % 1_024 == 0 { progress(proven) }
                    if let link = known.links[record.sequence], link != record.linkText {
                        throw ContexError.damaged("audit record \(record.sequence) is another one than it was")
                    }
                }
                let state = try log.state(in: view)
                if let last = known.links.keys.max(), (state?.last ?? 0) < last {
                    throw ContexError.damaged("the audit trail ends at record \(state?.last ?? 0), and had record \(last): it was cut off")
                }
                return state
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }
}
