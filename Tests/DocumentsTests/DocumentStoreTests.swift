import Base
import Documents
import Hashing
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite struct DocumentStoreTests {
    let store: TestStore
    let documents: DocumentStore

    init() throws {
        store = try TestStore()
        documents = DocumentStore(scope: store.scope)
    }

    static func name(_ text: String) throws -> Name { try Name(text, field: "data_key") }

    /// Names that are hard on keys: prefixes of each other, canonically equal, longer than a key holds, at the edge of it.
    static func names() throws -> [Name] {
        let long = String(repeating: "\u{1F511}", count: 250)
        return try ["a", "a.b", "ab", "a\u{1}", "é", "e\u{301}", "日本語", "\u{FFFF}", "\u{10FFFF}", String(repeating: "x", count: 255),
            String(repeating: "ü", count: 240), String(repeating: "ü", count: 240) + "a", long, long + "1", long + "12", long + "2"].map(name)
    }

    // MARK: - Against a dictionary

    struct Twin {
        var documents: [Name: DocumentRecord] = [:]
        var nodes: [NodeID: NodeRecord] = [:]
        var versions: [DocumentID: [Sequence]] = [:]
        var lastDocument: UInt32 = 0
        var lastNode: UInt32 = 0
    }

    func node(_ document: DocumentID, _ key: Name, _ random: inout SeededRandom) -> NodeRecord {
        let texts = ["", "root", "people[0]", "row_3", "日本", "e\u{301}", String(repeating: "long ", count: 500)]
        let data = texts.randomElement(using: &random)!
        // Some end in the middle of the data, or of one of its characters' neighbours.
        let end = data.suffix(Int.random(in: 0...30, using: &random)).dropLast(Int.random(in: 0...3, using: &random))
        let description = Bool.random(using: &random) ? texts.randomElement(using: &random)! : "note: \(end)"
        let isOwn = Bool.random(using: &random)
        let extent = Self.extent(&random)
        return NodeRecord(
            document: document, documentKey: key.text, path: texts.randomElement(using: &random)!, kind: "json", format: "yaml",
            description: description, data: Array(data.utf8),
            tokenCount: Int.random(in: 0...5_000, using: &random), hasOwnVector: isOwn,
            context: texts.randomElement(using: &random)!, extent: extent,
            unread: isOwn ? [] : (0..<extent.numbers).filter { _ in Int.random(in: 0..<4, using: &random) == 0 })
    }

    static func extent(_ random: inout SeededRandom) -> NodeExtent {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return .whole
        case 1:
            let count = Int.random(in: 2...9, using: &random)
            return .gathered(place: Int.random(in: 0..<count, using: &random), count: count)
        default:
            return .passages(
                (0..<Int.random(in: 2...5, using: &random)).map { leaf in
                    let start = PassageBounds.Place(leaf: leaf, byte: Int.random(in: 0...900, using: &random))
                    return PassageBounds(start: start, end: .init(leaf: leaf + Int.random(in: 0...1, using: &random), byte: start.byte + 1))
                })
        }
    }

    func publish(_ key: Name, at sequence: Sequence, _ twin: inout Twin, _ random: inout SeededRandom, _ transaction: inout WriteTransaction) throws {
        let known = try documents.document(key, in: transaction.view)
        #expect(known == twin.documents[key])
        let id: DocumentID
        if let known {
            id = known.id
        } else {
            id = try documents.create(key, in: &transaction)
            twin.lastDocument += 1
            #expect(id.rawValue == twin.lastDocument)
        }
        for old in known?.nodes ?? [] {
            try documents.removeNode(old, in: &transaction)
            twin.nodes[old] = nil
        }
        let deleted = known != nil && Int.random(in: 0..<4, using: &random) == 0
        var fresh: [NodeID] = []
        var passages: [DocumentRecord.PassageRun] = []
        for _ in 0..<(deleted ? 0 : Int.random(in: 0...6, using: &random)) {
            let node = node(id, key, &random)
            let numbers = try documents.reserveNodes(node.extent.numbers, in: &transaction)
            #expect(numbers.map(\.rawValue) == numbers.indices.map { twin.lastNode + UInt32($0) + 1 })
            twin.lastNode += UInt32(numbers.count)
            try documents.put(node, as: numbers[0], in: &transaction)
            twin.nodes[numbers[0]] = node
            fresh.append(numbers[0])
            if numbers.count > 1 { passages.append(.init(node: numbers[0], count: numbers.count)) }
        }
        fresh.shuffle(using: &random)
        passages.sort { a, b in fresh.firstIndex(of: a.node)! < fresh.firstIndex(of: b.node)! }
        let record = DocumentRecord(
            id: id, key: key, sequence: sequence, exists: !deleted, format: "json", updatedAt: Timestamp(rawValue: Int64(bitPattern: random.next())),
            publisher: Bool.random(using: &random) ? nil : Publisher(keyID: "00000000000000aa", name: "ci"),
            metadata: Bool.random(using: &random) ? [] : Array(#"{"a":1}"#.utf8),
            fingerprint: SHA256.digest(Array("\(random.next())".utf8)), nodes: fresh, passages: passages)
        try documents.put(record, in: &transaction)
        twin.documents[key] = record
        if !deleted {
            try documents.addVersion(sequence, of: id, in: &transaction)
            twin.versions[id, default: []].append(sequence)
        }
    }

    func compare(_ twin: Twin, _ view: borrowing TransactionView, _ random: inout SeededRandom) throws {
        var listed: [DocumentRecord] = []
        try documents.forEachDocument(in: view) { listed.append($0) }
        // By the bytes of the key; names that are cut share a beginning and may stand in any order among themselves.
        let expected = twin.documents.values.filter(\.exists).sorted {
            store.scope.key(.documentByKey, text: $0.key.text).lexicographicallyPrecedes(store.scope.key(.documentByKey, text: $1.key.text))
        }
        #expect(listed == expected)
        let short = listed.map(\.key).filter { $0.text.utf8.count <= KeyText.inlineBytes }
        #expect(short == short.sorted())
        #expect(try documents.nodeIDs(in: view) == twin.nodes.keys.sorted())
        for (id, node) in twin.nodes {
            #expect(try documents.node(id, in: view) == node)
            // Each of its numbers leads to it.
            for number in 0..<UInt32(node.extent.numbers) {
                let found = try documents.node(of: NodeID(rawValue: id.rawValue + number), in: view)
                #expect(found?.id == id && found?.record == node)
            }
        }
        for name in try Self.names() {
            #expect(try documents.document(name, in: view) == twin.documents[name])
            guard let document = twin.documents[name] else { continue }
            #expect(try documents.document(document.id, in: view) == document)
            let versions = twin.versions[document.id] ?? []
            let count = Int.random(in: 0...versions.count + 1, using: &random)
            #expect(try documents.versions(of: document.id, count: count, in: view) == Array(versions.reversed().prefix(count)))
            for version in versions { #expect(try documents.hasVersion(version, of: document.id, in: view)) }
            #expect(try !documents.hasVersion(Sequence(rawValue: .max), of: document.id, in: view))
        }
        #expect(try documents.node(NodeID(rawValue: twin.lastNode + 1), in: view) == nil)
        #expect(try documents.node(of: NodeID(rawValue: twin.lastNode + 1), in: view) == nil)
        #expect(try documents.document(DocumentID(rawValue: 0), in: view) == nil)
    }

    @Test func aStoreIsADictionary() throws {
        var random = SeededRandom(seed: testSeed("aStoreIsADictionary"))
        var twin = Twin()
        let names = try Self.names()
        var sequence = Sequence.zero
        for round in 0..<30 {
            try store.write { (transaction: inout WriteTransaction) throws in
                for _ in 0..<4 {
                    sequence = sequence.next
                    try publish(names.randomElement(using: &random)!, at: sequence, &twin, &random, &transaction)
                }
                if round == 20 {
                    try documents.removeAllVersions(in: &transaction)
                    twin.versions = [:]
                }
            }
            try store.read { (view: borrowing TransactionView) throws in try compare(twin, view, &random) }
        }
    }

    @Test func anotherProjectSeesNothing() throws {
        var random = SeededRandom(seed: testSeed("anotherProjectSeesNothing"))
        var twin = Twin()
        let other = DocumentStore(scope: TenantScope(tenant: store.scope.tenant, project: ProjectID(rawValue: 8)))
        try store.write { (transaction: inout WriteTransaction) throws in
            try publish(try Self.name("a"), at: Sequence(rawValue: 1), &twin, &random, &transaction)
        }
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try other.document(Self.name("a"), in: view) == nil)
            #expect(try other.nodeIDs(in: view) == [])
            #expect(try other.versions(of: DocumentID(rawValue: 1), count: 9, in: view) == [])
        }
    }

    /// A name whose key is that of another: the place is planted, for a pair with one beginning and one checksum is hard to find.
    @Test func aCollidingLongNameIsRefused() throws {
        var random = SeededRandom(seed: testSeed("aCollidingLongNameIsRefused"))
        var twin = Twin()
        let names = try Self.names().suffix(2)
        try store.write { (transaction: inout WriteTransaction) throws in
            try publish(names.first!, at: Sequence(rawValue: 1), &twin, &random, &transaction)
        }
        let place = try #require(try store.payload(store.scope.key(.documentByKey, text: names.first!.text)))
        let error = #expect(throws: ContexError.self) {
            try store.afterPlanting(place, under: store.scope.key(.documentByKey, text: names.last!.text)) { (view: borrowing TransactionView) throws in
                _ = try documents.document(names.last!, in: view)
            }
        }
        #expect(error?.category == .invalid && error?.field == "data_key")
    }

    /// The end of a description that stands in the data is stored once; whole characters only, and not for a few bytes.
    @Test func whatStandsInTheDataIsStoredOnce() throws {
        let text = String(repeating: "We deploy on Fridays, änd never on Mondays. ", count: 20)
        let quoted = #""\#(text)""#
        func size(_ description: String, _ data: String) throws -> Int {
            let record = NodeRecord(
                document: DocumentID(rawValue: 1), documentKey: "a", path: "note", kind: "text", format: "json", description: description,
                data: Array(data.utf8), tokenCount: 9)
            try store.write { (transaction: inout WriteTransaction) throws in try documents.put(record, as: NodeID(rawValue: 1), in: &transaction) }
            #expect(try store.read { try documents.node(NodeID(rawValue: 1), in: $0) } == record, "\(description) of \(data)")
            return try store.payload(store.scope.key(.node, UInt32(1)))!.count
        }
        let alone = try size("", quoted)
        #expect(try size(text, quoted) <= alone + 4)
        let wrapped = #"{"a":1,"note":\#(quoted),"z":2}"#
        #expect(try size("note: \(text)", wrapped) <= size("", wrapped) + "note: ".utf8.count + 4)
        // From a whole character on, the last bytes of which are those of another.
        for (description, data) in [
            ("x\u{e4}1234567", "\u{124}1234567"), ("\u{e4}12345678", "\u{124}12345678"), ("1234567", "1234567"), ("12345678", "12345678"),
            ("aaaaaaaaaaaa", "aaaaaaaaab"), ("abababababab", "bababababa"), ("\u{1F511}\u{1F511}\u{1F511}", "\u{1F511}\u{1F511}"),
        ] {
            let bytes = try size(description, data)
            let least = try size("", data) + 1
            #expect(bytes <= least + description.utf8.count + 3)
        }
        // A long one: what is looked for is bounded.
        let long = String(repeating: "0123456789 ", count: 20_000)
        #expect(try size(long, "\"\(long)\"") < 2 * long.utf8.count)
    }

    // MARK: - Damaged records

    @Test func damagedRecordsAreRefused() throws {
        try writeGolden(store)
        let (one, node) = (DocumentID(rawValue: 1), NodeID(rawValue: 300))
        let orders = try Self.name("orders")
        #expect(try store.decoderFaults(under: store.scope.key(.document, one.rawValue)) { (view: borrowing TransactionView) throws in
            _ = try documents.document(one, in: view)
        } == [])
        #expect(try store.decoderFaults(under: store.scope.key(.node, node.rawValue)) { (view: borrowing TransactionView) throws in
            _ = try documents.node(node, in: view)
        } == [])
        #expect(try store.decoderFaults(under: store.scope.key(.documentByKey, text: "orders")) { (view: borrowing TransactionView) throws in
            _ = try documents.document(orders, in: view)
        } == [])
        #expect(try store.decoderFaults(under: store.scope.key(.documentByKey, text: "orders")) { (view: borrowing TransactionView) throws in
            try documents.forEachDocument(in: view) { _ in }
        } == [])
    }

    @Test func damagedCountersAreRefused() throws {
        try writeGolden(store)
        let key = store.scope.key(.documentState)
        let sound = try #require(try store.payload(key))
        // A 0 behind them says that no document has had several numbers.
        for bad in sound.indices.map({ Array(sound.prefix($0)) }) + [sound + [1], sound + [0, 0]] {
            var transaction = try store.environment.beginWrite()
            try transaction.store(key, bad)
            #expect(throws: ByteError.self) { _ = try documents.reserveNodes(1, in: &transaction) }
        }
    }

    @Test func theFirstDocumentOfSeveralNumbersIsNoted() throws {
        var transaction = try store.environment.beginWrite()
        func hasWholes() throws -> Bool { try documents.hasWholes(in: transaction.view) }
        for (key, nodes, runs, expected) in [("a", 1, 0, false), ("b", 0, 0, false), ("c", 1, 3, true), ("d", 1, 0, true)] as [(String, Int, Int, Bool)] {
            let name = try Self.name(key)
            let id = try documents.create(name, in: &transaction)
            let numbers = try documents.reserveNodes(max(nodes, runs), in: &transaction)
            try documents.put(
                DocumentRecord(
                    id: id, key: name, sequence: Sequence(rawValue: 1), exists: true, format: "json", updatedAt: Timestamp(rawValue: 1), fingerprint: .zero,
                    nodes: Array(numbers.prefix(nodes)), passages: runs == 0 ? [] : [.init(node: numbers[0], count: runs)]), in: &transaction)
            #expect(try hasWholes() == expected, "\(key)")
            #expect(try documents.numbers(of: id, max: 64, in: transaction.view)?.entries == (key == "c" ? numbers : nil))
            #expect(try documents.numbers(of: id, max: 2, in: transaction.view) == nil)
        }
    }

    @Test func numbersThatAreUsedUpAreAnError() throws {
        var transaction = try store.environment.beginWrite()
        try transaction.store(store.scope.key(.documentState), [255, 255, 255, 255, 255, 255, 255, 250])
        let name = try Self.name("a")
        let noDocument = #expect(throws: ContexError.self) { _ = try documents.create(name, in: &transaction) }
        #expect(noDocument?.category == .limited)
        #expect(try documents.reserveNodes(4, in: &transaction).last?.rawValue == .max - 1)
        let noNodes = #expect(throws: ContexError.self) { _ = try documents.reserveNodes(2, in: &transaction) }
        #expect(noNodes?.category == .limited)
        #expect(try documents.reserveNodes(1, in: &transaction).last?.rawValue == .max)
        #expect(try documents.reserveNodes(0, in: &transaction) == [])
    }

    // MARK: - Golden bytes

    static let long = String(repeating: "ü", count: 255)
    static let longer = String(repeating: "\u{1F511}", count: 200)
    static let goldenNode = NodeRecord(
        document: DocumentID(rawValue: 1), documentKey: "orders", path: "people[0]", kind: "json", format: "json",
        description: "name: Zoë 日本", data: Array(#"{"name":"Zoë 日本"}"#.utf8), tokenCount: 200)
    static let goldenOwnNode = NodeRecord(
        document: DocumentID(rawValue: 1), documentKey: "orders", path: "root", kind: "primitive", format: "json", description: "root | 1",
        data: Array("1".utf8), tokenCount: 1, hasOwnVector: true)
    static let goldenLongNode = NodeRecord(
        document: DocumentID(rawValue: 1), documentKey: "orders", path: "paragraph_1", kind: "paragraph", format: "markdown", description: "A long text",
        data: Array("\"A long text\"".utf8), tokenCount: 300, context: "Orders › Terms",
        extent: .passages([PassageBounds(leaf: 0, 0..<6), PassageBounds(leaf: 0, 2..<11)]))
    static let goldenGatheredNode = NodeRecord(
        document: DocumentID(rawValue: 1), documentKey: "orders", path: "sentence_1", kind: "sentence", format: "text", description: "It is short",
        data: Array("\"It is short\"".utf8), tokenCount: 4, extent: .gathered(place: 1, count: 2))

    static let goldenUnreadNode = NodeRecord(
        document: DocumentID(rawValue: 1), documentKey: "orders", path: "paragraph_2", kind: "paragraph", format: "markdown", description: "日本語",
        data: Array("\"日本語の文\"".utf8), tokenCount: 9, extent: .passages([PassageBounds(leaf: 0, 0..<9), PassageBounds(leaf: 0, 9..<15)]), unread: [1])

    func goldenDocuments() throws -> [DocumentRecord] {
        [
            DocumentRecord(
                id: DocumentID(rawValue: 1), key: try Self.name("orders"), sequence: Sequence(rawValue: 3), exists: true, format: "json",
                updatedAt: Timestamp(rawValue: 1_700_000_000_000_000), publisher: Publisher(keyID: "00000000000000aa", name: "ci"),
                metadata: Array(#"{"team":"core"}"#.utf8), fingerprint: SHA256Digest(Array(0..<32))!, nodes: [1, 300, 2].map { NodeID(rawValue: $0) },
                passages: [.init(node: NodeID(rawValue: 300), count: 2), .init(node: NodeID(rawValue: 2), count: 3)]),
            DocumentRecord(
                id: DocumentID(rawValue: 2), key: try Self.name(Self.long), sequence: Sequence(rawValue: 2), exists: false, format: "markdown",
                updatedAt: Timestamp(rawValue: -1), fingerprint: .zero, nodes: []),
        ]
    }

    func writeGolden(_ store: TestStore) throws {
        try store.write { (transaction: inout WriteTransaction) throws in
            let projects = ProjectRegistry(tenant: .standard)
            _ = try projects.scopeCreating(Name("shop", field: "project_id"), at: Timestamp(rawValue: 5), in: &transaction)
            _ = try projects.scopeCreating(Name(Self.longer, field: "project_id"), at: Timestamp(rawValue: -6), in: &transaction)
            for document in try goldenDocuments() {
                #expect(try documents.create(document.key, in: &transaction) == document.id)
                try documents.put(document, in: &transaction)
            }
            _ = try documents.reserveNodes(300, in: &transaction)
            try documents.put(Self.goldenNode, as: NodeID(rawValue: 300), in: &transaction)
            try documents.put(Self.goldenOwnNode, as: NodeID(rawValue: 299), in: &transaction)
            try documents.put(Self.goldenLongNode, as: NodeID(rawValue: 297), in: &transaction)
            try documents.put(Self.goldenGatheredNode, as: NodeID(rawValue: 296), in: &transaction)
            try documents.put(Self.goldenUnreadNode, as: NodeID(rawValue: 294), in: &transaction)
            for (id, version) in [(1, 1), (2, 2), (1, 3)] as [(UInt32, UInt64)] {
                try documents.addVersion(Sequence(rawValue: version), of: DocumentID(rawValue: id), in: &transaction)
            }
        }
    }

    @Test func goldenBytesAreWritten() throws {
        try writeGolden(store)
        try GoldenRecord.rewriteIfAsked("documents-v1/records.txt", try store.records())
        #expect(try store.records() == GoldenRecord.file("documents-v1/records.txt"))
    }

    @Test func goldenBytesAreRead() throws {
        let store = try TestStore(records: try GoldenRecord.file("documents-v1/records.txt"))
        let expected = try goldenDocuments()
        try store.read { (view: borrowing TransactionView) throws in
            for document in expected { #expect(try documents.document(document.key, in: view) == document) }
            #expect(try documents.node(NodeID(rawValue: 300), in: view) == Self.goldenNode)
            #expect(try documents.node(NodeID(rawValue: 299), in: view) == Self.goldenOwnNode)
            #expect(try documents.node(NodeID(rawValue: 297), in: view) == Self.goldenLongNode)
            #expect(try documents.node(of: NodeID(rawValue: 298), in: view)?.record == Self.goldenLongNode)
            #expect(try documents.node(NodeID(rawValue: 296), in: view) == Self.goldenGatheredNode)
            #expect(try documents.node(NodeID(rawValue: 294), in: view) == Self.goldenUnreadNode)
            #expect(try documents.versions(of: DocumentID(rawValue: 1), count: 9, in: view).map(\.rawValue) == [3, 1])
            let projects = try ProjectRegistry(tenant: .standard).entries(in: view)
            #expect(projects.map(\.name.text) == ["shop", Self.longer])
            #expect(projects.map(\.project.rawValue) == [1, 2])
            #expect(projects.map(\.createdAt.rawValue) == [5, -6])
        }
    }
}
