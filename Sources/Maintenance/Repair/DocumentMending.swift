// What of a project's documents follows from the rest and from its log, made again where it is gone:
//
//     documentByKey      the number of a document, under its key          from the documents
//     documentVersion    which events gave it content, or took it         from the log
//     documentState      the last numbers that were given                 from documents and nodes
//     node               a part of a document                             from the event that the document names, split as its publish split it
//
// The sums of records are the proof: they say what the last commit had written. What is made again and does not add up to them is not put into
// the store, but for the counters, of which all that matters is that no number is given twice.

internal import Base
internal import Documents
internal import Engine
internal import Events
internal import KeySpace
internal import LMDB

struct DocumentMending {
    let scope: TenantScope
    let dimension: Int

    private enum Content {
        case payload([UInt8])
        case node(NodeRecord, NodeID)
    }
    private typealias Made = (key: [UInt8], content: Content)

    /// What can be read of the project, by the raw records, so that one that is broken keeps nothing from being read.
    private struct State {
        var documents: [DocumentRecord] = []
        var listed: Set<UInt32> = []
        var nodes: [NodeID: NodeRecord] = [:]
        var versions: Set<[UInt8]> = []
        var lastDocument: UInt32 = 0
        var hasCounters = false
    }

    private func state(in view: borrowing TransactionView) throws -> State {
        var state = State()
        let store = DocumentStore(scope: scope)
        func each(_ kind: KeyKind, _ body: ([UInt8], [UInt8]) -> Void) throws {
            try view.scan(prefix: scope.key(kind)) { span, value in
                let key = Array(span)
                if let payload = try? Seal.open(key: span, value: value) { body(key, Array(payload)) }
                return .onward
            }
        }
        var ids: [UInt32] = []
        try each(.document) { key, _ in ids.append(Self.number(key)) }
        for id in ids {
            if let document = try? store.document(DocumentID(rawValue: id), in: view) { state.documents.append(document) }
        }
        try each(.documentByKey) { _, payload in if payload.count == 4 { state.listed.insert(Self.number(payload)) } }
        var nodes: [UInt32] = []
        try each(.node) { key, _ in nodes.append(Self.number(key)) }
        for id in nodes.map(NodeID.init(rawValue:)) {
            if let node = try? store.node(id, in: view) { state.nodes[id] = node }
        }
        try each(.documentVersion) { key, _ in state.versions.insert(key) }
        state.lastDocument = max(ids.max() ?? 0, state.listed.max() ?? 0)
        try each(.documentState) { _, _ in state.hasCounters = true }
        return state
    }

    private static func number(_ bytes: [UInt8]) -> UInt32 { bytes.suffix(4).reduce(0) { $0 << 8 | UInt32($1) } }

    /// Whether a document has lost nodes: counting their tokens needs a model.
    func needsModel(in view: borrowing TransactionView) throws -> Bool {
        let state = try state(in: view)
        return state.documents.contains { document in document.exists && document.nodes.contains { state.nodes[$0] == nil } }
    }

    /// - Parameter countTokens: nil: nodes are left as they are.
    /// - Returns: what was made again, a sentence each.
    func run(_ environment: Environment, countTokens: ((String) -> Int)?) throws -> [String] {
        var transaction = try environment.beginWrite()
        let state = try state(in: transaction.view)
        let sums = try Self.sums(in: transaction.view)
        var done: [String?] = []
        done.append(try attempt(
            .documentByKey, "entries of keys were made again from the documents",
            state.documents.filter { !state.listed.contains($0.id.rawValue) }.map { document in
                (scope.key(.documentByKey, text: document.key.text), .payload(Self.bytes { $0.u32(document.id.rawValue) }))
            }, in: &transaction))
        let versions = try versions(state, in: transaction.view)
        done.append(try attempt(.documentVersion, "marks of versions were made again from the log", versions, in: &transaction))
        if let countTokens {
            let nodes = try nodes(state, countTokens, in: transaction.view)
            done.append(try attempt(.node, "nodes were made again from the log", nodes, in: &transaction))
        }
        var isCounted = false
        if !state.hasCounters, !state.documents.isEmpty {
            let last = state.nodes.map { $0.key.rawValue + UInt32($0.value.extent.numbers) - 1 }.max() ?? 0
            let listed = state.documents.flatMap { $0.nodes + $0.furtherPassages }.map(\.rawValue).max() ?? 0
            done.append(try attempt(
                .documentState, "record of the last numbers was made again from documents and nodes",
                [
                    (
                        scope.key(.documentState),
                        .payload(
                            Self.bytes { writer in
                                writer.u32(state.lastDocument)
                                writer.u32(max(last, listed))
                            })
                    )
                ], isProven: false, in: &transaction))
            isCounted = true
        }
        // What is there again is what the sums have said all the time.
        try transaction.settleRecords()
        for (key, value) in sums { try transaction.putUncounted(key, value) }
        if isCounted, try RecordSums.areKept(in: transaction.view) { try RecordSums.recount([.documentState], in: &transaction) }
        try transaction.commit()
        environment.growFile()
        return done.compactMap { $0 }
    }

    /// Puts records there, and takes them back when they are not those that were written.
    /// - Returns: what was done; nil: nothing.
    private func attempt(
        _ kind: KeyKind, _ what: String, _ records: [Made], isProven: Bool = true, in transaction: inout WriteTransaction
    ) throws -> String? {
        guard !records.isEmpty else { return nil }
        let before = try records.map { try transaction.view.copy($0.key) }
        for (key, content) in records {
            switch content {
            case .payload(let payload): try transaction.store(key, payload)
            case .node(let node, let id): try DocumentStore(scope: scope).put(node, as: id, in: &transaction)
            }
        }
        if isProven, try !fits(kind, in: transaction.view) {
            for ((key, _), value) in zip(records, before) {
                if let value { try transaction.put(key, value) } else { try transaction.delete(key) }
            }
            return nil
        }
        return "\(records.count) \(what)"
    }

    /// Whether the records of a kind add up to what was written. Without sums nothing is proven.
    private func fits(_ kind: KeyKind, in view: borrowing TransactionView) throws -> Bool {
        guard try RecordSums.areKept(in: view) else { return false }
        var tally = RecordTally()
        try view.scan(prefix: scope.prefix) { key, value in
            tally.add(key, value)
            return .onward
        }
        return try !tally.differences(of: scope, in: view).contains { difference in
            switch difference.what {
            case .count(let other, _, _), .other(let other): other == kind.rawValue
            case .noSums, .oldSums, .storage: true
            }
        }
    }

    /// The records of all sums, and of what tenants have.
    private static func sums(in view: borrowing TransactionView) throws -> [(key: [UInt8], value: [UInt8])] {
        var sums: [(key: [UInt8], value: [UInt8])] = []
        for scope in try StoreReader.all(in: view) {
            for kind in [KeyKind.recordSums, .tenantStorage] {
                let key = scope.key(kind)
                if let value = try view.copy(key) { sums.append((key, value)) }
            }
        }
        return sums
    }

    private static func bytes(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        write(&writer)
        return writer.bytes
    }

    /// Marks that the log has and the store has not, but for the one of each document that stands in its own record.
    private func versions(_ state: State, in view: borrowing TransactionView) throws -> [Made] {
        let log = EventLog(scope: scope)
        let documents = Dictionary(state.documents.map { ($0.key.text, $0) }, uniquingKeysWith: { first, _ in first })
        var numbers: [Sequence] = []
        try view.scan(prefix: scope.key(.event)) { key, _ in
            numbers.append(Sequence(rawValue: Array(key).suffix(8).reduce(0) { $0 << 8 | UInt64($1) }))
            return .onward
        }
        var found: [Made] = []
        for number in numbers {
            guard let event = try? log.event(number, in: view), event.kind == .published || event.kind == .deleted, let document = documents[event.key],
                document.sequence != number
            else { continue }
            let key = scope.key(.documentVersion, document.id.rawValue, number.rawValue)
            if !state.versions.contains(key) { found.append((key, .payload(event.kind == .deleted ? Self.bytes { $0.bool(true) } : []))) }
        }
        return found
    }

    private func nodes(
        _ state: State, _ countTokens: (String) -> Int, in view: borrowing TransactionView
    ) throws -> [Made] {
        let log = EventLog(scope: scope)
        var found: [Made] = []
        for document in state.documents where document.exists && document.nodes.contains(where: { state.nodes[$0] == nil }) {
            guard let event = try? log.event(document.sequence, in: view), event.kind == .published, event.key == document.key.text,
                let records = try? LostNodes.records(of: event, document: document.id, dimension: dimension, countTokens: countTokens),
                records.count == document.nodes.count
            else { continue }
            for (id, record) in zip(document.nodes, records) where state.nodes[id] == nil {
                found.append((scope.key(.node, id.rawValue), .node(record, id)))
            }
        }
        return found
    }
}
