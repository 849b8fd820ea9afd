// Stored records: payloads that no build has written, each under a sound seal, in a store that is otherwise sound. Seals find
// accidents; what lies under a good seal may still be the work of a bug or of another build, and must not bring the process down.

internal import Access
internal import Addresses
internal import Attributes
internal import Base
internal import Documents
internal import Events
internal import FullText
internal import Hashing
internal import Inboxes
internal import Journal
internal import KeySpace
internal import LMDB
internal import Needs
internal import Outbox
internal import TestSupport
internal import Vectors

/// A store with the records of one area, and everything that reads or changes them.
private struct RecordFamily: Sendable {
    let store: TestStore
    /// Of the records that are replaced.
    let keys: [[UInt8]]
    let read: @Sendable (borrowing TransactionView) throws -> Void
    let change: @Sendable (inout WriteTransaction) throws -> Void

    init(
        read: @escaping @Sendable (borrowing TransactionView) throws -> Void,
        change: @escaping @Sendable (inout WriteTransaction) throws -> Void,
        fill: (inout WriteTransaction) throws -> Void
    ) {
        // A store that cannot be made is no finding about a decoder; the trap says why.
        store = try! TestStore()
        try! store.write(fill)
        keys = try! store.records().map(\.key)
        self.read = read
        self.change = change
    }

    /// A mode, then records: which one, length of the payload (255: all the rest), payload.
    func check(_ input: [UInt8]) throws {
        var transaction = try store.environment.beginWrite()
        var rest = input.dropFirst()
        while rest.count >= 2 {
            let key = keys[Int(rest.removeFirst()) % keys.count]
            let length = Int(rest.removeFirst())
            let payload = rest.prefix(length == 255 ? rest.count : length)
            rest = rest.dropFirst(payload.count)
            try transaction.store(key, Array(payload))
        }
        let mode = input.first ?? 0
        try tolerating { () throws in try read(transaction.view) }
        if mode & 1 == 1 {
            do {
                try change(&transaction)
                if mode & 2 == 2 { try tolerating { () throws in try read(transaction.view) } }
            } catch {
                try sort(error)
            }
        }
    }

    private func tolerating(_ body: () throws -> Void) throws {
        do { try body() } catch { try sort(error) }
    }

    /// What damage may be answered with.
    private func sort(_ error: any Error) throws {
        switch error {
        case is ByteError: break
        case let error as ContexError where error.category != .bug && !error.message.isEmpty: break
        case is FuzzFinding: throw error
        default: throw FuzzFinding("damage gives \(error)")
        }
    }

    /// Every record as it is, read only and changed.
    func seeds() throws -> [[UInt8]] {
        try keys.enumerated().flatMap { number, key in
            let payload = try store.payload(key) ?? []
            return [0, 3].map { [$0, UInt8(number), 255] + payload }
        }
    }
}

extension FuzzTargets {
    static let records: [FuzzTarget] = [
        target("events", family: { eventRecords }), target("documents", family: { documentRecords }), target("vectors", family: { vectorRecords }),
        target("fulltext", family: { textRecords }), target("attributes", family: { attributeRecords }),
        target("needs", family: { needRecords }), target("access", family: { accessRecords }),
        target("journal", family: { journalRecords }), target("inboxes", family: { inboxRecords }),
        target("outbox", family: { outboxRecords }), target("sums", family: { sumRecords }), sealed,
    ]

    private static func target(_ name: String, family: @escaping @Sendable () -> RecordFamily) -> FuzzTarget {
        FuzzTarget(
            "records-\(name)", "any payloads under sound seals are read, or refused as damage; reading and changing never trap",
            inputBytesMax: 2_048, seeds: { try family().seeds() }, check: { try family().check($0) })
    }

    private static let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 7))
    private static let time = Timestamp(rawValue: 1_700_000_000_000_000)

    private static let eventRecords: RecordFamily = {
        let log = EventLog(scope: scope)
        @Sendable func draft(_ kind: EventRecord.Kind, _ data: String) -> EventDraft {
            EventDraft(
                kind: kind, type: "a_updated", key: "a", format: "json", recordedAt: time, data: Array(data.utf8),
                vector: kind == .published ? [0.6, -0.8] : nil)
        }
        return RecordFamily(
            read: { view in
                let head = try log.head(in: view)
                _ = try log.event(head.sequence, in: view)
                _ = try log.hash(of: head.sequence, in: view)
                for event in try log.events(after: .zero, count: 10, in: view) {
                    try require(try log.event(event.sequence, in: view) == event, "an event read twice differs")
                }
                _ = try log.findings(in: view)
            },
            change: { transaction in
                let record = try log.append(draft(.published, "{}"), at: Position(rawValue: 7), in: &transaction)
                try require(try log.event(record.sequence, in: transaction.view) == record, "an event appended and read differs")
                try log.removeAll(in: &transaction)
            },
            fill: { transaction in
                for kind in [EventRecord.Kind.published, .deleted, .imported] {
                    _ = try log.append(draft(kind, #"{"a":1}"#), at: Position(rawValue: 7), in: &transaction)
                }
            })
    }()

    private static let outboxRecords: RecordFamily = {
        let outbox = EventOutbox(tenant: .standard)
        let agent = DeliveryLedger(scope: scope, lane: 7)
        let ledger = DeliveryLedger(scope: outbox.scope, lane: 9)
        @Sendable func endpoint(_ name: String) -> WebhookEndpoint {
            WebhookEndpoint(
                number: 9, name: name, description: nil, url: "https://example.com/", events: ["data.published"], categories: ["data"], projects: ["p"],
                isActive: true, timeoutSeconds: 30, retriesMax: 3, createdAt: time, updatedAt: time, secret: "s")
        }
        @Sendable func tell(_ transaction: inout WriteTransaction) throws -> OutboxEvent? {
            try outbox.append(.dataPublished, project: "p", data: { Array("{}".utf8) }, at: time, max: 2, in: &transaction)
        }
        @Sendable func letter(_ event: OutboxEvent?) -> DeadLetter {
            DeadLetter(item: event.map { .event($0.number) } ?? .greeting, id: "msg_1", attempts: 3, time: time, status: 503, reason: "down", event: event)
        }
        return RecordFamily(
            read: { view in
                _ = try outbox.findings(in: view)
                _ = try outbox.state(in: view)
                for endpoint in try outbox.endpoints(in: view) { _ = (endpoint.kinds, endpoint.id, endpoint.secrets(at: time)) }
                for ledger in [agent, ledger] {
                    _ = try ledger.state(in: view)
                    try ledger.forEachLetter(in: view) { _, _ in .onward }
                    _ = try ledger.attempts(limit: 10, in: view)
                    _ = try ledger.findings(end: 9, in: view)
                }
            },
            change: { transaction in
                let event = try tell(&transaction)
                try outbox.put(endpoint("b"), in: &transaction)
                try require(try outbox.endpoint(9, in: transaction.view) == endpoint("b"), "an endpoint put and read differs")
                guard var state = try ledger.state(in: transaction.view) else { return }
                try ledger.bury(letter(event), max: 2, &state, in: &transaction)
                try ledger.change(1, &state, in: &transaction) { $0.isQueued.toggle() }
                try ledger.remove(2, &state, in: &transaction)
                try ledger.store(state, in: &transaction)
                try require(try ledger.state(in: transaction.view) == state, "a state put and read differs")
                try outbox.remove(9, in: &transaction)
            },
            fill: { transaction in
                try outbox.put(endpoint("a"), in: &transaction)
                for ledger in [agent, ledger] {
                    var state = DeliveryState(registration: 3, epoch: 0, settled: 1)
                    state.greeting = .init(tokensMax: 2_000, diversity: 0.5, pinned: ["k"])
                    try ledger.bury(letter(try tell(&transaction)), max: 9, &state, in: &transaction)
                    try ledger.bury(letter(nil), max: 9, &state, in: &transaction)
                    try ledger.record(
                        DeliveryAttempt(
                            deliveryID: "msg_1", eventID: "evt_1", attempt: 1, result: .failed, status: 500, body: "b", error: "e", begun: time,
                            milliseconds: 5), max: 9, &state, in: &transaction)
                    try ledger.store(state, in: &transaction)
                }
            })
    }()

    private static let journalRecords: RecordFamily = {
        let journal = Journal()
        @Sendable func enter(_ transaction: inout WriteTransaction) throws {
            let before = try StorePosition.load(transaction.view).position
            guard before.rawValue < .max else { throw ContexError.damaged("the last position there can be") }
            let reached = StorePosition(position: before.next, time: time)
            try reached.store(in: &transaction)
            let event = reached.position.rawValue % 2 == 0 ? (scope: scope, sequence: Sequence(rawValue: 1)) : nil
            let draft = JournalDraft(digest: SHA256.digest([UInt8(truncatingIfNeeded: reached.position.rawValue)]), body: [1, 2, 3])
            try journal.append(draft, at: reached, event: event, window: .bytes(400), in: &transaction)
        }
        return RecordFamily(
            read: { view in
                _ = try journal.state(in: view)
                _ = try journal.isKept(in: view)
                try journal.forEach(from: .zero.next, in: view) { _ in .onward }
                try journal.verified(in: view) { _ in }
            },
            change: { transaction in
                try enter(&transaction)
                try journal.forEach(from: .zero.next, in: transaction.view) { _ in .stop }
                try enter(&transaction)
                try journal.removeAll(in: &transaction)
            },
            fill: { transaction in
                for _ in 0..<4 { try enter(&transaction) }
            })
    }()

    private static let documentRecords: RecordFamily = {
        let documents = DocumentStore(scope: scope)
        let projects = ProjectRegistry(tenant: .standard)
        let key = Name(stored: "a")
        let node = NodeRecord(
            document: DocumentID(rawValue: 1), documentKey: "a", path: "root", kind: "object", format: "json", description: "x: 1",
            data: Array(#"{"x":1}"#.utf8), tokenCount: 5, hasOwnVector: true)
        return RecordFamily(
            read: { view in
                _ = try documents.document(key, in: view)
                try documents.forEachDocument(in: view) { document in
                    for node in document.nodes.prefix(10) { _ = try documents.node(node, in: view)?.nodeKey }
                    _ = try documents.versions(of: document.id, count: 10, in: view)
                }
                try documents.forEachDocument(from: [], in: view) { place, document in
                    try documents.forEachVersion(of: document.id, upTo: document.sequence, in: view) { _ in .onward }
                    return place.isEmpty ? .stop : .onward
                }
                for id in try documents.nodeIDs(in: view) { _ = try documents.node(id, in: view) }
                _ = try projects.scope(of: Name(stored: "shop"), in: view)
                _ = try projects.entries(in: view)
                _ = try projects.entries(from: [], count: 5, in: view)
            },
            change: { transaction in
                if let document = try documents.document(key, in: transaction.view) {
                    try documents.put(document, in: &transaction)
                    try require(try documents.document(document.id, in: transaction.view) == document, "a document put and read differs")
                }
                if let node = try documents.node(NodeID(rawValue: 1), in: transaction.view) {
                    try documents.put(node, as: NodeID(rawValue: 1), in: &transaction)
                    try require(try documents.node(NodeID(rawValue: 1), in: transaction.view) == node, "a node put and read differs")
                }
                _ = try documents.create(Name(stored: "b"), in: &transaction)
                _ = try documents.reserveNodes(3, in: &transaction)
                _ = try projects.scopeCreating(Name(stored: "other"), at: time, in: &transaction)
            },
            fill: { transaction in
                _ = try projects.scopeCreating(Name(stored: "shop"), at: time, in: &transaction)
                let id = try documents.create(key, in: &transaction)
                let nodes = try documents.reserveNodes(2, in: &transaction)
                for number in nodes { try documents.put(node, as: number, in: &transaction) }
                try documents.put(
                    DocumentRecord(
                        id: id, key: key, sequence: Sequence(rawValue: 1), exists: true, format: "json", updatedAt: time,
                        publisher: Publisher(keyID: "00000000000000aa", name: "ci"), metadata: Array("{}".utf8), fingerprint: .zero, nodes: nodes),
                    in: &transaction)
                try documents.addVersion(Sequence(rawValue: 1), of: id, in: &transaction)
            })
    }()

    private static let vectorRecords: RecordFamily = {
        let index = VectorIndex(scope: scope, dimension: 2, parameters: HNSWParameters(M: 4, M0: 8, efConstruction: 16, exactBelow: 0))
        let nodes = (1...12).map { NodeID(rawValue: $0) }
        // Sixths of a circle, so that each direction is there twice: members and twins.
        let directions: [[Float]] = [[1, 0], [0.6, 0.8], [-0.6, 0.8], [-1, 0], [-0.6, -0.8], [0.6, -0.8]]
        return RecordFamily(
            read: { view in
                _ = try index.count(in: view)
                for node in nodes { _ = try index.vector(of: node, in: view) }
                _ = try index.nodes(in: view)
                for match in try index.search([0.8, 0.6], count: 5, in: view) {
                    try require(match.cosine.isNaN || abs(match.cosine) <= 1, "cosine \(match.cosine)")
                }
                _ = try index.exactSearch([0.8, 0.6], count: 5, in: view)
                _ = try index.cosines([0.8, 0.6], of: nodes, in: view)
                _ = try VectorIndexCheck.findings(index, expectedNodes: Set(nodes), in: view)
            },
            change: { transaction in
                if try index.count(in: transaction.view) % 2 == 1 {
                    _ = try VectorBulkBuild.reopen(index, in: &transaction)
                    try VectorBulkBuild(index, threads: 1).add([(NodeID(rawValue: 60), [0.6, 0.8])], in: &transaction)
                    try index.removeAll(in: &transaction)
                }
                try index.insert(NodeID(rawValue: 50), [0.8, 0.6], in: &transaction)
                try index.insert(NodeID(rawValue: 51), [1, 0], in: &transaction)
                for node in [1, 9, 4, 50] { try index.remove(NodeID(rawValue: UInt32(node)), in: &transaction) }
                try index.insert(NodeID(rawValue: 52), [0, 1], in: &transaction)
            },
            fill: { transaction in
                for (place, node) in nodes.enumerated() { try index.insert(node, directions[place % directions.count], in: &transaction) }
            })
    }()

    private static let textRecords: RecordFamily = {
        let index = TextIndex(scope: scope)
        @Sendable func text(_ node: NodeID) -> AnalyzedText {
            node.rawValue < 100 ? AnalyzedText("Cats cat; dogs number\(node.rawValue)") : AnalyzedText("z")
        }
        let nodes = [1, 2, 3].map { NodeID(rawValue: $0) } + (100..<232).map { NodeID(rawValue: $0) }
        return RecordFamily(
            read: { view in
                _ = try index.statistics(in: view)
                for node in nodes.prefix(5) { _ = try index.length(of: node, in: view) }
                let query = TextQuery("cat dog z")
                _ = try index.search(query, count: 5, in: view)
                let weights = try index.weights(query, in: view)
                _ = try index.scores(weights, of: Array(nodes.prefix(5)), in: view)
                let expected = nodes.map { ($0, TextSignature(text($0))) }
                _ = try TextIndexCheck.findings(index, expected: Dictionary(uniqueKeysWithValues: expected), in: view)
            },
            change: { transaction in
                try index.add(NodeID(rawValue: 400), AnalyzedText("cat z bird"), in: &transaction)
                for node in [1, 100, 231].map({ NodeID(rawValue: $0) }) { try index.remove(node, text(node), in: &transaction) }
                try index.add(NodeID(rawValue: 100), AnalyzedText("z"), in: &transaction)
            },
            fill: { transaction in
                // "z" is in more texts than a block holds.
                for node in nodes { try index.add(node, text(node), in: &transaction) }
            })
    }()

    private static let attributeRecords: RecordFamily = {
        let index = AttributeIndex(scope: scope)
        @Sendable func document(_ key: String, _ size: Int, _ nodes: [UInt32]) -> DocumentAttributes {
            DocumentAttributes(
                key: Name(stored: key), format: "json", updatedAt: time, publisher: Publisher(keyID: "00000000000000aa", name: "ci"),
                metadata: JSONObject([("team", "core"), ("size", .integer(size)), ("due", "2026-01-31")]), nodes: nodes.map { NodeID(rawValue: $0) })
        }
        // A run over two chunks, places, and bits.
        let documents = [
            document("a", 1, Array(8_190...8_195)), document("b", 2, [1, 3, 200]), document("c", 3, Array(stride(from: 16_384, to: 18_000, by: 2))),
        ]
        let filters: [JSONValue] = [
            ["metadata.team": "core"], ["metadata.size": ["gte": .integer(1), "lt": .integer(3)]], ["metadata.due": ["lte": "2026-02-01"]],
            ["updated_after": "2020-01-01", "not": ["data_key": ["prefix": "a"]]], ["published_by": ["exists": .bool(true)]],
        ]
        return RecordFamily(
            read: { view in
                for filter in filters {
                    let found = try index.nodes(passing: try Filter(filter), in: view)
                    try require(found.count == found.members.count, "\(found.count) nodes are counted, \(found.members.count) listed")
                }
                var check = AttributeCheck(index)
                for document in documents { try check.expect(document, in: view) }
                _ = try check.findings(in: view)
            },
            change: { transaction in
                try index.replace(documents[0], with: document("a", 9, Array(8_191...8_196)), in: &transaction)
                try index.replace(documents[2], with: nil, in: &transaction)
                try index.replace(nil, with: document("d", 1, [2, 16_385]), in: &transaction)
            },
            fill: { transaction in
                for document in documents { try index.replace(nil, with: document, in: &transaction) }
            })
    }()

    private static let needRecords: RecordFamily = {
        let needs = NeedStore(scope: scope)
        let directory = AgentDirectory(tenant: .standard)
        let documents = [NodeID(rawValue: 7): DocumentID(rawValue: 5)]
        @Sendable func agent(_ name: String, _ number: UInt32) -> AgentRecord {
            AgentRecord(
                name: Name(stored: name), number: number, inbox: number, needs: ["orders"], delivery: .webhook, responseFormat: "json", channel: "c",
                webhookURL: "https://example.com/", webhookSecret: "s", lastSequence: .zero, registeredAt: time)
        }
        @Sendable func need(_ agent: UInt32, _ vector: [Float]) -> NeedRecord {
            NeedRecord(agent: agent, index: 0, text: "orders", vector: vector, terms: [NeedTerm("order", count: 2, isExact: true)])
        }
        let rule = NeedRule(
            mode: .hybrid, threshold: 0.5, cosine: 8, text: 6, points: 30, coverage: 0.3, textMax: 2, shareCut: 0.2, logDocuments: 2, mean: [0.5, 0.5],
            leastCut: { 2 + $0 })
        return RecordFamily(
            read: { view in
                _ = try needs.candidates([NeedProbe(vector: [1, 0], words: [.init(Array("order".utf8), most: 1, isRare: true)])], rule, NeedMemory(), in: view)
                for agent in try needs.agents(in: view) { _ = try needs.followed(by: agent.number, in: view) }
                _ = try needs.agent(Name(stored: "a"), in: view)
                _ = try needs.needs(in: view)
                for number in 0..<UInt32(try needs.needSlots(in: view)) { _ = try needs.need(number, in: view) }
                _ = try needs.followers(of: DocumentID(rawValue: 5), in: view)
                _ = try needs.followedNodes(by: 1, document: DocumentID(rawValue: 5), in: view)
                _ = try needs.findings(nodes: documents, in: view)
                _ = try directory.entries(in: view)
                _ = try directory.entries(from: nil, count: 5, in: view) { _ in true }
                _ = try needs.names(in: view)
            },
            change: { transaction in
                if let agent = try needs.agent(Name(stored: "a"), in: transaction.view) {
                    try needs.update(agent, in: &transaction)
                    try require(try needs.agent(agent.name, in: transaction.view) == agent, "an agent put and read differs")
                }
                let next = agent("b", try needs.nextNumber(in: transaction.view))
                try needs.register(next, needs: [need(next.number, [1])], in: &transaction)
                try needs.remove(Name(stored: "a"), in: &transaction)
            },
            fill: { transaction in
                try needs.register(
                    agent("a", 1), needs: [need(1, [1, -0.5])], in: &transaction)
                try needs.setFollow(agent: 1, document: DocumentID(rawValue: 5), nodes: [NodeID(rawValue: 7)], in: &transaction)
                try directory.put(
                    AgentDirectory.Entry(agent: Name(stored: "a"), project: scope.project, projectName: Name(stored: "shop"), registeredAt: time),
                    in: &transaction)
            })
    }()

    private static let inboxRecords: RecordFamily = {
        let inbox = Inbox(scope: scope, number: 4)
        @Sendable func match(_ need: UInt32) -> InboxMatch {
            InboxMatch(
                need: need, node: NodeID(rawValue: 9), mode: 1, similarity: 0.75, threshold: 0.5, cosine: 0.5, bm25: 3, ceiling: 8, cut: 4, shareCut: 0.25,
                exactWord: .rare)
        }
        return RecordFamily(
            read: { view in
                _ = try inbox.state(in: view)
                try inbox.forEach(after: .zero, in: view) { entry in
                    _ = try inbox.matches(of: entry.sequence, in: view)
                    return .onward
                }
                _ = try inbox.findings(head: Sequence(rawValue: 9), in: view)
                _ = try Inbox.numbers(scope, in: view)
            },
            change: { transaction in
                let entry = InboxEntry(sequence: Sequence(rawValue: 20), reason: .update, agent: 1, needs: [2])
                try inbox.append(entry, matches: [match(2)], in: &transaction)
                try require(try inbox.matches(of: entry.sequence, in: transaction.view) == [match(2)], "a match appended and read differs")
                try inbox.remove(upTo: Sequence(rawValue: 3), isRead: true, in: &transaction)
                try inbox.removeAll(in: &transaction)
            },
            fill: { transaction in
                for (sequence, reason) in zip([3, 5, 8] as [UInt64], InboxEntry.Reason.allCases) {
                    let needs: [UInt32] = reason == .deletion ? [] : [0, 2]
                    try inbox.append(
                        InboxEntry(sequence: Sequence(rawValue: sequence), reason: reason, agent: 1, needs: needs), matches: needs.map(match), in: &transaction)
                }
            })
    }()

    private static let accessRecords: RecordFamily = {
        let pepper = try! Pepper()
        @Sendable func key(_ number: UInt64) -> KeyRecord {
            KeyRecord(
                keyID: KeyID(rawValue: number), name: "ci", prefix: "ck_0123", createdAt: time, tenant: .standard,
                hash: pepper.hash("key \(number)"), pepper: pepper.id)
        }
        return RecordFamily(
            read: { view in
                for key in try AccessRegistry.keys(view, scope: scope) { _ = try AccessRegistry.find(hash: key.hash, view, scope: scope) }
                _ = try AccessRegistry.assignments(view, scope: scope)
                _ = try AccessRegistry.problems(view, scope: scope)
                let ring = KeyRing(pepper: pepper, snapshot: try KeyRing.Snapshot(view, tenants: [.standard], pepper: pepper))
                _ = ring.login("key 1", from: "192.0.2.1", at: time)
                _ = ring.login("key 5", from: "192.0.2.1", at: time)
                for (_, principal) in try AccessRegistry.accounts(view, scope: scope) { _ = principal.allows(.publishData, project: "a") }
                for role in try RoleBook.all(view, scope: scope) { _ = try? RoleBook(view, scope: scope).rules(of: role.name) }
            },
            change: { transaction in
                try AccessRegistry.create(key(9), in: &transaction, scope: scope)
                try AccessRegistry.assign(
                    RoleAssignment(keyID: KeyID(rawValue: 9), role: .consumer, projects: ProjectScope(["b"])), in: &transaction, scope: scope)
                try AccessRegistry.rotate(KeyID(rawValue: 2), to: key(8), formerUntil: time, in: &transaction, scope: scope)
                try AccessRegistry.rotate(KeyID(rawValue: 2), to: key(7), formerUntil: nil, in: &transaction, scope: scope)
                try AccessRegistry.revoke(KeyID(rawValue: 1), in: &transaction, scope: scope)
            },
            fill: { transaction in
                for number in [1, 2] as [UInt64] { try AccessRegistry.create(key(number), in: &transaction, scope: scope) }
                try AccessRegistry.set(
                    KeyTerms(expiresAt: time, addresses: [try CIDR("192.0.2.0/24")], description: "for a guest"), of: KeyID(rawValue: 2), in: &transaction,
                    scope: scope)
                try AccessRegistry.assign(
                    RoleAssignment(keyID: KeyID(rawValue: 1), role: .publisher, projects: ProjectScope(["a"])), in: &transaction, scope: scope)
                try RoleBook.put(
                    try CustomRole(name: "heir", description: nil, inherits: ["readonly"], permissions: ["project:a:data:publish"], updatedAt: time),
                    in: &transaction, scope: scope)
                try AccessRegistry.set(
                    KeyGrants(customRole: "heir", permissions: ["!project:b:*:*"]), of: KeyID(rawValue: 2), in: &transaction, scope: scope)
                var account = ServiceAccount(
                    id: AccountID(rawValue: 5), name: "robot", description: nil, type: .agent, role: "heir", projects: ["a"], scopes: [], createdAt: time,
                    rule: .authenticated)
                account.keys = [
                    AccountKey(
                        keyID: KeyID(rawValue: 6), hash: pepper.hash("key 5"), pepper: pepper.id, createdAt: time, expiresAt: nil, description: nil)
                ]
                try AccountRegistry.store(account, in: &transaction, scope: scope)
            })
    }()

    private static let sumRecords = RecordFamily(
        read: { view in
            var tally = RecordTally()
            try view.scan(prefix: []) { key, value in
                tally.add(key, value)
                return .onward
            }
            _ = try tally.differences(in: view)
        },
        change: { transaction in
            try RecordSums.recount([.node], in: &transaction)
            try RecordSums.recount(in: &transaction)
        },
        fill: { transaction in
            for number in 0..<3 as Range<UInt32> { try transaction.store(scope.key(.node, number), [1, 2, 3]) }
            try transaction.store(scope.registry.key(.tenantState), [0, 0, 0, 7])
            try RecordSums.recount(in: &transaction)
        })

    // MARK: - Envelopes

    private static let empty = try! TestStore()

    static let sealed = FuzzTarget(
        "sealed", "a value is opened exactly when the seal over key and payload is the one that is written",
        seeds: {
            let key = scope.key(.node, UInt32(3))
            try empty.write { (transaction: inout WriteTransaction) throws in try transaction.store(key, [1, 2, 3]) }
            return try empty.records().map { [0] + $0.value }
        }
    ) { input in
        var reader = InputReader(input)
        let key = scope.key(.node, UInt32(3 + reader.byte()))
        let value = reader.rest
        var transaction = try empty.environment.beginWrite()
        try transaction.put(key, value)
        do {
            guard let payload = try transaction.view.loadBytes(key) else { throw FuzzFinding("a value that was put is not there") }
            try transaction.store(key, payload)
            try require(try transaction.view.copy(key) == value, "opened, though the seal is another")
        } catch let error as ContexError {
            try require(error.category == .damaged && !error.message.isEmpty, "refused as \(error)")
        }
    }
}
