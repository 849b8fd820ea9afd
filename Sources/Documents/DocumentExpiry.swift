public import Base
public import KeySpace
public import LMDB

/// The documents of a project that end by themselves, by document, and those of its tenant by time: so that a look for what is over reads no
/// more than that.
///
///     (tenant, project, documentExpiry, document)           the time
///     (tenant, 0, expiryByTime, time, project, document)    nothing
public struct DocumentExpiry: Sendable {
    public let scope: TenantScope

    public init(scope: TenantScope) { self.scope = scope }

    /// A document whose time is over, and when it was.
    public struct Due: Sendable, Equatable {
        public let project: ProjectID
        public let document: DocumentID
        public let time: Timestamp
    }

    /// Times before 1970 sort as its beginning.
    private static func order(_ time: Timestamp) -> UInt64 { UInt64(max(0, time.rawValue)) }

    private func placeKey(_ time: Timestamp, _ id: DocumentID) -> [UInt8] {
        scope.registry.key(.expiryByTime, Self.order(time), UInt64(scope.project.rawValue) << 32 | UInt64(id.rawValue))
    }

    /// When a document ends; nil: never.
    public func time(of id: DocumentID, in view: borrowing TransactionView) throws -> Timestamp? {
        guard let bytes = try view.loadBytes(scope.key(.documentExpiry, id.rawValue)) else { return nil }
        var reader = ByteReader(bytes)
        let time = Timestamp(rawValue: try reader.i64())
        try reader.end()
        return time
    }

    /// - Parameter time: nil: it does not end by itself.
    public func set(_ time: Timestamp?, of id: DocumentID, in transaction: inout WriteTransaction) throws {
        let before = try self.time(of: id, in: transaction.view)
        guard before != time else { return }
        if let before { try transaction.delete(placeKey(before, id)) }
        guard let time else {
            try transaction.delete(scope.key(.documentExpiry, id.rawValue))
            return
        }
        var writer = ByteWriter()
        writer.i64(time.rawValue)
        try transaction.store(scope.key(.documentExpiry, id.rawValue), writer.bytes)
        try transaction.store(placeKey(time, id), [])
    }

    /// The documents of this project whose time is over.
    /// - Complexity: O(log n + documents of the tenant that are over and still there), mostly none.
    public func over(at time: Timestamp, in view: borrowing TransactionView) throws -> Set<DocumentID> {
        var found: Set<DocumentID> = []
        try Self.forEach(scope.tenant, upTo: time, in: view) { due in
            if due.project == scope.project { found.insert(due.document) }
            return .onward
        }
        return found
    }

    /// The documents of a tenant whose time is over, the longest first.
    /// - Parameter isWanted: whether those of a project are.
    public static func due(
        _ tenant: TenantID, upTo time: Timestamp, count: Int, in view: borrowing TransactionView, isWanted: (ProjectID) throws -> Bool = { _ in true }
    ) throws -> [Due] {
        var found: [Due] = []
        guard count > 0 else { return found }
        try forEach(tenant, upTo: time, in: view) { due in
            guard try isWanted(due.project) else { return .onward }
            found.append(due)
            return found.count < count ? .onward : .stop
        }
        return found
    }

    /// When the next document of a tenant ends after a time; nil: none does.
    public static func next(_ tenant: TenantID, after time: Timestamp, in view: borrowing TransactionView) throws -> Timestamp? {
        let registry = TenantScope(tenant: tenant, project: .tenantLevel)
        let prefix = registry.key(.expiryByTime)
        var next: Timestamp?
        try view.scanRecords(prefix: prefix, from: registry.key(.expiryByTime, order(time) + 1, 0)) { key, _ in
            var reader = ByteReader(Array(key.dropFirst(prefix.count)))
            next = Timestamp(rawValue: Int64(clamping: try reader.u64()))
            return .stop
        }
        return next
    }

    private static func forEach(
        _ tenant: TenantID, upTo time: Timestamp, in view: borrowing TransactionView, _ body: (Due) throws -> TransactionView.Step
    ) throws {
        let prefix = TenantScope(tenant: tenant, project: .tenantLevel).key(.expiryByTime)
        let last = order(time)
        try view.scanRecords(prefix: prefix) { key, _ in
            var reader = ByteReader(Array(key.dropFirst(prefix.count)))
            let (order, place) = (try reader.u64(), try reader.u64())
            guard order <= last else { return .stop }
            return try body(
                Due(
                    project: ProjectID(rawValue: UInt32(place >> 32)), document: DocumentID(rawValue: UInt32(truncatingIfNeeded: place)),
                    time: Timestamp(rawValue: Int64(clamping: order))))
        }
    }

    /// The two records of each document against each other; each finding is a sentence.
    public func findings(documents: Set<DocumentID>, in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        let all = Set(try Self.due(scope.tenant, upTo: Timestamp(rawValue: .max), count: .max, in: view).filter { $0.project == scope.project }.map(\.document))
        var own: Set<DocumentID> = []
        try view.scanRecords(prefix: scope.key(.documentExpiry)) { key, _ in
            own.insert(DocumentID(rawValue: UInt32(lastOf: key)))
            return .onward
        }
        for id in own.subtracting(all).sorted() { findings.append("document \(id.rawValue) is to end, and is not listed by time") }
        for id in all.subtracting(own).sorted() { findings.append("document \(id.rawValue) is listed by time as one that ends, and does not say so") }
        for id in own.subtracting(documents).sorted() { findings.append("document \(id.rawValue) is to end, and is not there") }
        return findings
    }
}
