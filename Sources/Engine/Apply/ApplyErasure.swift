// Erasure: what a key or a project ever held leaves the store, a bounded piece in each transaction.
//
//     begin     nobody finds it any more: documents, indexes, names; an erasure record says that there is more to do
//     journal   the entries up to there go, all of them: commands carry what was published, whoever published it
//     content   of a key: its events, one piece of the log after the other; of a project: its records, whatever they are
//     finish    what is still to be told to endpoints goes, and the erasure record
//
// A server that is stopped in between goes on where it was (`Database.resumeErasures`). The log of a key's project stays a chain: of an erased
// event its place, its time and its hash are left (docs/decisions/0100-erasure.md says what a hash gives away).

internal import Attributes
internal import Base
internal import Content
internal import Documents
internal import Events
internal import Journal
internal import KeySpace
internal import LMDB
internal import Needs
internal import Outbox
internal import Rates
internal import Search

extension Command.Erase {
    /// Whether the audit trail has a record of the step.
    var isTold: Bool {
        switch step {
        case .begin, .finish: true
        case .journal, .content: false
        }
    }
}

extension Applier {
    /// - Throws: `.projectNotFound`, `.dataNotFound`; `.notFound` for the number of an erasure that is done; `.conflict` while the project has agents.
    func erase(_ command: Command.Erase, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        switch command.step {
        case .begin(let project, nil): return try beginErasing(project, command, &work, in: &transaction)
        case .begin(let project, let key?): return try beginErasing(key, of: project, command, &work, in: &transaction)
        case .journal(let number):
            var record = try erasure(number, command.tenant, in: transaction.view)
            let gone = try Journal().trim(upTo: Position(rawValue: number), count: max(1, command.count), in: &transaction)
            return try went(&record, command, work, hasMore: gone == max(1, command.count), in: &transaction)
        case .content(let number):
            var record = try erasure(number, command.tenant, in: transaction.view)
            let scope = TenantScope(tenant: command.tenant, project: record.project)
            let hasMore =
                if let key = record.progress.key {
                    try eraseEvents(of: key, scope, &record, count: max(1, command.count), in: &transaction)
                } else {
                    try eraseRecords(scope, &record, count: max(1, command.count), in: &transaction)
                }
            return try went(&record, command, work, hasMore: hasMore, in: &transaction)
        case .finish(let number):
            let record = try erasure(number, command.tenant, in: transaction.view)
            let (project, key) = (record.progress.project.text, record.progress.key?.text)
            try EventOutbox(tenant: command.tenant).erase(where: { event in
                // What came after the beginning is of others of that name.
                guard event.project == project, event.time <= record.progress.startedAt else { return false }
                guard let key else { return event.kind != .projectDeleted }
                // That it is gone they are still to hear.
                if event.kind == .dataDeleted, event.time == record.progress.startedAt { return false }
                guard let told = try EventData.parsed(event.data).objectValue?["data_key"]?.stringValue else { return false }
                return told.utf8.elementsEqual(key.utf8)
            }, in: &transaction)
            try record.remove(command.tenant, in: &transaction)
            return .erasing(ErasureStep(number: number, position: work.position, progress: record.progress))
        }
    }

    private func erasure(_ number: UInt64, _ tenant: TenantID, in view: borrowing TransactionView) throws -> ErasureRecord {
        guard let record = try ErasureRecord.load(tenant, number, in: view) else {
            throw ContexError.notFound("There is no erasure \(number) under way: it is done")
        }
        return record
    }

    private func went(
        _ record: inout ErasureRecord, _ command: Command.Erase, _ work: Work, hasMore: Bool, in transaction: inout WriteTransaction
    ) throws -> Outcome {
        record.steps += 1
        try record.store(command.tenant, in: &transaction)
        return .erasing(ErasureStep(number: record.number, position: work.position, hasMore: hasMore, progress: record.progress))
    }

    /// The erasure of the same that has begun already.
    private func known(
        _ project: Name, _ key: Name?, _ command: Command.Erase, _ work: Work, in view: borrowing TransactionView
    ) throws -> Outcome? {
        guard let record = try ErasureRecord.all(command.tenant, in: view).first(where: { $0.progress.project == project && $0.progress.key == key }) else {
            return nil
        }
        return .erasing(ErasureStep(number: record.number, position: work.position, progress: record.progress))
    }

    // MARK: - A project

    private func beginErasing(_ project: Name, _ command: Command.Erase, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let registry = ProjectRegistry(tenant: command.tenant)
        guard let scope = try registry.scope(of: project, in: transaction.view) else {
            if let known = try known(project, nil, command, work, in: transaction.view) { return known }
            throw ContexError(.projectNotFound, "Project not found")
        }
        guard try NeedStore(scope: scope).count(in: transaction.view) == 0 else {
            throw ContexError(.conflict, "Project '\(project)' has agents: they are unregistered first")
        }
        try registry.remove(project, in: &transaction)
        try forgetQueries(of: project, scope.registry, in: &transaction)
        for rule in try RateRules.all(transaction.view, scope: scope.registry) {
            guard case .project(let name) = rule.subject, name.utf8.elementsEqual(project.text.utf8) else { continue }
            try RateRules.remove(rule.subject, rule.rateClass, in: &transaction, scope: scope.registry)
            work.effects.haveLimitsChanged = true
        }
        try tellEndpoints(.projectDeleted, command.tenant, project, at: command.time, &work.effects, in: &transaction) {
            [("project_id", .string(project.text))]
        }
        // Whoever follows the log has to look again.
        work.grows(command.tenant, project, isReplaced: true)
        var record = ErasureRecord(
            number: work.position.rawValue, project: scope.project, end: try EventLog(scope: scope).head(in: transaction.view).sequence,
            progress: ErasureProgress(project: project, key: nil, startedAt: command.time))
        return try went(&record, command, work, hasMore: false, in: &transaction)
    }

    /// Queries that were asked of a project often: the texts are kept by the server, to be embedded after the next start.
    private func forgetQueries(of project: Name, _ registry: TenantScope, in transaction: inout WriteTransaction) throws {
        guard let bytes = try transaction.view.loadBytes(registry.key(.usedQueries)) else { return }
        var reader = ByteReader(bytes)
        var kept: [Command.KeepQueries.Query] = []
        for _ in 0..<(try reader.count(limit: QueryUse.keptMax)) {
            let query = Command.KeepQueries.Query(project: Name(stored: try reader.text()), text: try reader.text(), uses: try reader.u32())
            if query.project != project { kept.append(query) }
        }
        _ = try keepQueries(.init(tenant: registry.tenant, queries: kept, time: Timestamp(rawValue: 0)), in: &transaction)
    }

    /// - Returns: whether there is more.
    private func eraseRecords(_ scope: TenantScope, _ record: inout ErasureRecord, count: Int, in transaction: inout WriteTransaction) throws -> Bool {
        let sums = KeyKind.recordSums.rawValue
        var keys: [[UInt8]] = []
        try transaction.view.scan(prefix: scope.prefix) { key, _ in
            let key = Array(key)
            // The sums go with the last record that they are of.
            if key[TenantScope.prefixBytes - 1] == sums { return .onward }
            keys.append(key)
            return keys.count < count ? .onward : .stop
        }
        for key in keys {
            switch KeyKind(rawValue: key[TenantScope.prefixBytes - 1]) {
            case .documentExpiry:
                try DocumentExpiry(scope: scope).set(nil, of: DocumentID(rawValue: UInt32(lastOf: key)), in: &transaction)
            case .event:
                record.progress.events += 1
                try transaction.delete(key)
            case .documentVersion:
                record.progress.versions += 1
                try transaction.delete(key)
            default: try transaction.delete(key)
            }
        }
        record.progress.records += UInt64(keys.count)
        return keys.count == count
    }

    // MARK: - A key

    private func beginErasing(
        _ key: Name, of project: Name, _ command: Command.Erase, _ work: inout Work, in transaction: inout WriteTransaction
    ) throws -> Outcome {
        guard let scope = try ProjectRegistry(tenant: command.tenant).scope(of: project, in: transaction.view) else {
            throw ContexError(.projectNotFound, "Project not found")
        }
        let (documents, log) = (DocumentStore(scope: scope), EventLog(scope: scope))
        guard var document = try documents.document(key, in: transaction.view) else {
            if let known = try known(project, key, command, work, in: transaction.view) { return known }
            throw ContexError(.dataNotFound, "Data key '\(key.text.excerpt())' not found")
        }
        // Those of before: the event that says that something is gone says nothing of it.
        let end = try log.head(in: transaction.view).sequence
        let marks = try documents.marks(of: document.id, in: transaction.view)
        var record = ErasureRecord(
            number: work.position.rawValue, project: scope.project, end: end,
            progress: ErasureProgress(project: project, key: key, startedAt: command.time))
        record.progress.versions = UInt64(marks.count)
        if document.exists {
            let units = try documents.units(of: document.nodes, in: transaction.view)
            for unit in units { try removeUnit(unit, scope, in: &transaction) }
            record.progress.records += UInt64(document.nodes.count)
            try AttributeIndex(scope: scope).replace(try document.attributes, with: nil, in: &transaction)
            try DocumentExpiry(scope: scope).set(nil, of: document.id, in: &transaction)
            let event = try log.append(.erased(at: command.time), at: work.position, in: &transaction)
            work.grows(command.tenant, project)
            (document.nodes, document.passages) = ([], [])
            document.exists = false
            (document.sequence, document.updatedAt) = (event.sequence, command.time)
            try documents.put(document, in: &transaction)
            let telling = Telling(
                tenant: command.tenant, scope: scope, project: project, document: document.id, standing: [], fresh: [],
                routing: .init(mode: .semantic, threshold: 1), source: Provenance(event), sequence: event.sequence,
                message: .deletion(sequence: event.sequence, key: key.text))
            try tell(telling, nil, in: &transaction, &work.effects)
            try tellEndpoints(.dataDeleted, command.tenant, project, at: command.time, &work.effects, in: &transaction) {
                [("project_id", .string(project.text)), ("data_key", .string(key.text)), ("sequence", .string(event.sequence.description))]
            }
        }
        for mark in marks { try documents.removeMark(mark.sequence, of: document.id, in: &transaction) }
        try documents.forgetKey(of: document, in: &transaction)
        return try went(&record, command, work, hasMore: false, in: &transaction)
    }

    /// - Returns: whether there is more.
    private func eraseEvents(
        of key: Name, _ scope: TenantScope, _ record: inout ErasureRecord, count: Int, in transaction: inout WriteTransaction
    ) throws -> Bool {
        let log = EventLog(scope: scope)
        let (first, end) = (record.reached.next, record.end)
        var meant: [EventRecord] = []
        var (looked, bytes, last) = (0, 0, record.reached)
        var hasMore = false
        if first <= end {
            try log.forEach(from: first, in: transaction.view) { event in
                guard event.sequence <= end else { return .stop }
                guard looked < count, looked == 0 || bytes < Limits.erasedBytesAtOnce else {
                    hasMore = true
                    return .stop
                }
                looked += 1
                bytes += event.byteCount
                last = event.sequence
                if try Self.says(event, of: key) { meant.append(event) }
                return .onward
            }
        }
        for event in meant { try log.erase(event, in: &transaction) }
        record.progress.events += UInt64(meant.count)
        record.reached = hasMore ? last : max(last, end)
        return hasMore
    }

    /// An event of the key, or one that an import brought as a whole and that holds the key's data.
    private static func says(_ event: EventRecord, of key: Name) throws -> Bool {
        switch event.kind {
        case .published, .deleted: event.key.utf8.elementsEqual(key.text.utf8)
        case .imported: try EventData.parsed(event.data).objectValue?[key.text] != nil
        case .erased: false
        }
    }
}
