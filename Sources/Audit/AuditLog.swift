// The audit trail of a tenant: records in a chain, and three indexes of them.
//
//     auditState                              -> first and last sequence, time of the last, link before the first, link of the last
//     auditRecord    sequence                 -> record, link
//     auditByActor   hash of the actor's id, sequence             -> nothing
//     auditByKind    kind, sequence                               -> nothing
//     auditByObject  hash of project, or of project and resource, sequence -> nothing
//
// Records are appended in the transaction that does what they are of, and let go from the old end when they are older than is asked for. The
// link before the first stays, so that what is left is still a chain.

public import Base
public import Hashing
internal import KeySpace
public import LMDB

/// What is looked for: all that is given holds.
public struct AuditQuery: Sendable {
    public var actor: String?
    public var kind: AuditKind?
    public var project: String?
    /// Of the project.
    public var resource: (type: String, id: String)?
    /// From this time on.
    public var from: Timestamp?
    /// Before this time.
    public var until: Timestamp?
    /// Only records before this one.
    public var before: UInt64?
    /// So many are passed over first.
    public var offset = 0
    public var limit = 100

    public init() {}
}

public struct AuditPage: Sendable {
    /// Newest first.
    public let records: [AuditRecord]
    /// `before` of the next page; nil: there is nothing more.
    public let next: UInt64?
}

public struct AuditLog: Sendable {
    public let tenant: TenantID
    private var scope: TenantScope { TenantScope(tenant: tenant, project: .tenantLevel) }

    public init(tenant: TenantID) { self.tenant = tenant }

    /// Where the trail begins and ends.
    public struct State: Hashable, Sendable {
        public var first: UInt64
        public var last: UInt64
        public var time: Timestamp
        /// The link before the first record.
        public var base: SHA256Digest
        public var link: SHA256Digest

        /// 64 hexadecimal digits.
        public var linkText: String { link.hex }
    }

    /// nil: nothing was ever written down.
    public func state(in view: borrowing TransactionView) throws -> State? {
        guard let bytes = try view.loadBytes(scope.key(.auditState)) else { return nil }
        do {
            var reader = ByteReader(bytes)
            let (first, last) = (try reader.u64(), try reader.u64())
            let state = State(
                first: first, last: last, time: Timestamp(rawValue: try reader.i64()), base: try reader.sha256(), link: try reader.sha256())
            try reader.end()
            guard first > 0, first <= last, last < .max else { throw ByteError.malformed(at: 0) }
            return state
        } catch let error as ByteError {
            throw ContexError.damaged("the state of the audit trail cannot be read (\(error)): run 'contex check'")
        }
    }

    // MARK: - Writing

    /// Old records that go with a new one at most: enough to reach a shorter time, few enough that nobody waits.
    private static let trimmedAtOnce = 4

    /// - Parameters:
    ///   - time: of the command that does it.
    ///   - keptDays: older records go, some with each append.
    /// - Complexity: four to six puts, and two hashes of some 300 bytes.
    public func append(_ draft: AuditDraft, at time: Timestamp, keptDays: Int, in transaction: inout WriteTransaction) throws {
        let known = try state(in: transaction.view)
        let sequence = (known?.last ?? 0) + 1
        let time = max(time, known?.time ?? time)
        let body = AuditRecord.body(sequence, time, draft)
        let link = AuditRecord.link(after: known?.link ?? .zero, body)
        try transaction.store(recordKey(sequence), body + link.bytes)
        for key in indexKeys(draft, sequence) { try transaction.store(key, []) }
        var state = State(first: known?.first ?? sequence, last: sequence, time: time, base: known?.base ?? .zero, link: link)
        let (horizon, overflow) = time.rawValue.subtractingReportingOverflow(Int64(keptDays) * 86_400_000_000)
        var gone = 0
        while !overflow, gone < Self.trimmedAtOnce, state.first < sequence, let oldest = try record(state.first, in: transaction.view),
            oldest.time.rawValue < horizon
        {
            try transaction.delete(recordKey(oldest.sequence))
            for key in indexKeys(oldest.draft, oldest.sequence) { try transaction.delete(key) }
            state.base = oldest.link
            state.first += 1
            gone += 1
        }
        var writer = ByteWriter(capacity: 96)
        writer.u64(state.first)
        writer.u64(state.last)
        writer.i64(state.time.rawValue)
        writer.raw(state.base.bytes)
        writer.raw(state.link.bytes)
        try transaction.store(scope.key(.auditState), writer.bytes)
    }

    // MARK: - Keys

    private func recordKey(_ sequence: UInt64) -> [UInt8] { scope.key(.auditRecord, sequence) }

    /// Beginning and end of an index's keys of one value.
    private func actorPrefix(_ actor: String) -> [UInt8] { scope.key(.auditByActor, Self.hash([actor])) }
    private func kindPrefix(_ kind: AuditKind) -> [UInt8] { scope.key(.auditByKind, bytes: [kind.rawValue]) }
    private func projectPrefix(_ project: String) -> [UInt8] { scope.key(.auditByObject, Self.hash([project])) }
    private func resourcePrefix(_ project: String?, _ type: String, _ id: String) -> [UInt8] {
        scope.key(.auditByObject, Self.hash([project ?? "", type, id]))
    }

    private func indexKeys(_ draft: AuditDraft, _ sequence: UInt64) -> [[UInt8]] {
        var keys = [actorPrefix(draft.actor.id), kindPrefix(draft.kind)]
        if let project = draft.project { keys.append(projectPrefix(project)) }
        if let type = draft.resourceType, let id = draft.resourceID { keys.append(resourcePrefix(draft.project, type, id)) }
        return keys.map { key in
            var key = key
            key.append(bigEndian: sequence)
            return key
        }
    }

    private static func hash(_ texts: [String]) -> UInt64 {
        var writer = ByteWriter()
        for text in texts { writer.text(text) }
        return UInt64(firstOf: SHA256.digest(writer.bytes).bytes)
    }

    // MARK: - Reading

    public func record(_ sequence: UInt64, in view: borrowing TransactionView) throws -> AuditRecord? {
        guard let bytes = try view.loadBytes(recordKey(sequence)) else { return nil }
        return try decoded(bytes, sequence).record
    }

    private func decoded(_ bytes: [UInt8], _ sequence: UInt64) throws -> (record: AuditRecord, body: [UInt8]) {
        do {
            let found = try AuditRecord.decode(bytes)
            guard found.record.sequence == sequence else { throw ByteError.malformed(at: 1) }
            return found
        } catch let error as ByteError {
            throw ContexError.damaged("audit record \(sequence) cannot be read (\(error)): run 'contex check'")
        }
    }

    /// Records that one page looks at, at most: what passes few of them is answered in several pages.
    static let examinedMax = 20_000

    /// Newest first, by the index of what is given that is narrowest.
    /// - Complexity: O(records looked at), `examinedMax` at most.
    public func find(_ query: AuditQuery, in view: borrowing TransactionView) throws -> AuditPage {
        guard let state = try state(in: view) else { return AuditPage(records: [], next: nil) }
        let end = min(query.before ?? .max, try query.until.map { try sequence(from: $0, state, in: view) } ?? .max, state.last + 1)
        let begin = max(state.first, try query.from.map { try sequence(from: $0, state, in: view) } ?? 0)
        guard begin < end else { return AuditPage(records: [], next: nil) }
        let prefix: [UInt8]? =
            if let resource = query.resource {
                resourcePrefix(query.project, resource.type, resource.id)
            } else if let actor = query.actor {
                actorPrefix(actor)
            } else if let project = query.project {
                projectPrefix(project)
            } else if let kind = query.kind {
                kindPrefix(kind)
            } else {
                nil
            }
        var (records, passed, examined, next) = ([AuditRecord](), 0, 0, UInt64?.none)
        /// - Returns: false to stop.
        func look(_ record: AuditRecord) -> Bool {
            if examined >= Self.examinedMax || records.count >= query.limit {
                next = record.sequence + 1
                return false
            }
            examined += 1
            guard query.admits(record) else { return true }
            if passed < query.offset { passed += 1 } else { records.append(record) }
            return true
        }
        if let prefix {
            var from = prefix
            from.append(bigEndian: end - 1)
            try view.scanRecords(prefix: prefix, from: from, .descending) { key, _ in
                let sequence = UInt64(lastOf: key)
                guard sequence >= begin, let record = try record(sequence, in: view) else { return .stop }
                return look(record) ? .onward : .stop
            }
        } else {
            try view.scanRecords(prefix: scope.key(.auditRecord), from: recordKey(end - 1), .descending) { key, payload in
                let sequence = UInt64(lastOf: key)
                guard sequence >= begin else { return .stop }
                return look(try decoded(Array(payload), sequence).record) ? .onward : .stop
            }
        }
        return AuditPage(records: records, next: next)
    }

    /// The first record of that time or later; the one after the last when there is none. Times never go back, so halving finds it.
    private func sequence(from time: Timestamp, _ state: State, in view: borrowing TransactionView) throws -> UInt64 {
        var (low, high) = (state.first, state.last + 1)
        while low < high {
            let middle = low + (high - low) / 2
            guard let found = try record(middle, in: view) else { throw ContexError.damaged("audit record \(middle) is missing: run 'contex check'") }
            if found.time < time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: - Proof

    /// Walks the chain from its beginning.
    /// - Parameter body: gets each record that follows from the one before.
    /// - Throws: `.damaged` with the sequence at which something was changed, left out or cut off.
    public func verify(in view: borrowing TransactionView, _ body: (AuditRecord) throws -> Void = { _ in }) throws {
        guard let state = try state(in: view) else {
            try view.scan(prefix: scope.key(.auditRecord)) { _, _ in throw ContexError.damaged("the audit trail has records and no state") }
            return
        }
        var (due, link) = (state.first, state.base)
        func damaged(_ reason: String) -> ContexError { ContexError.damaged("the audit trail at record \(due): \(reason)") }
        try view.scanRecords(prefix: scope.key(.auditRecord)) { key, payload in
            guard due <= state.last else { throw damaged("a record after the last, \(state.last)") }
            guard key == recordKey(due) else { throw damaged("the record is missing") }
            let (record, bytes) = try decoded(Array(payload), due)
            link = AuditRecord.link(after: link, bytes)
            guard record.link == link else { throw damaged("it does not follow from the record before") }
            try body(record)
            due += 1
            return .onward
        }
        guard due == state.last + 1, link == state.link else { throw damaged("the record is missing; the trail should go on to \(state.last)") }
    }

    /// What is wrong with chain and indexes, a sentence each.
    public func findings(in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        var expected = 0
        do {
            try verify(in: view) { record in
                for key in indexKeys(record.draft, record.sequence) {
                    expected += 1
                    if try view.loadBytes(key) == nil, findings.count < 10 { findings.append("audit record \(record.sequence) is missing in an index") }
                }
            }
        } catch let error as ContexError {
            return [error.message]
        }
        var found = 0
        for kind in [KeyKind.auditByActor, .auditByKind, .auditByObject] {
            try view.scan(prefix: scope.key(kind)) { _, _ in
                found += 1
                return .onward
            }
        }
        if found > expected { findings.append("the indexes of the audit trail have \(found - expected) entries of records that are not there") }
        return findings
    }
}

extension AuditQuery {
    fileprivate func admits(_ record: AuditRecord) -> Bool {
        let draft = record.draft
        if let actor, draft.actor.id != actor { return false }
        if let kind, draft.kind != kind { return false }
        if let project, draft.project != project { return false }
        if let resource, draft.resourceType != resource.type || draft.resourceID != resource.id { return false }
        return true
    }
}
