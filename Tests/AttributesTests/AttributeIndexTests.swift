import Attributes
import Base
import Content
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite struct AttributeIndexTests {
    let store: TestStore
    let index: AttributeIndex

    init() throws {
        store = try TestStore()
        index = AttributeIndex(scope: store.scope)
    }

    private func findings(_ documents: some Swift.Sequence<DocumentAttributes>) throws -> [String] {
        try store.read { (view: borrowing TransactionView) throws in
            var check = AttributeCheck(index)
            for document in documents { try check.expect(document, in: view) }
            return try check.findings(in: view)
        }
    }

    private func nodes(_ filter: JSONValue) throws -> NodeSet {
        let filter = try Filter(filter)
        return try store.read { (view: borrowing TransactionView) throws in try index.nodes(passing: filter, in: view) }
    }

    /// Documents come, change and go in a small world, and every filter gives what asking each document gives.
    @Test func everyFilterGivesWhatAskingEachDocumentGives() throws {
        var world = SmallWorld(random: SeededRandom(seed: testSeed("attributes")))
        var naive = NaiveDocuments()
        var nextNode: UInt32 = 1
        var (compared, passing) = (0, 0)
        for round in 0..<60 {
            try store.write { (transaction: inout WriteTransaction) throws in
                for _ in 0..<8 {
                    let key = Name(stored: world.pick(world.keys))
                    let old = naive.documents[key]
                    if old != nil, world.chance(4) {
                        try index.replace(old, with: nil, in: &transaction)
                        naive.documents[key] = nil
                        continue
                    }
                    // Some nodes stay, some go, new ones come; now and then enough for several chunks, all in a row or every other.
                    var nodes = (old?.nodes ?? []).filter { _ in !world.chance(3) }
                    let (count, step) = world.chance(12) ? (world.pick([600, 9_000]), world.pick([1, 2, 3])) : (world.pick([1, 1, 2, 5]), 1)
                    for _ in 0..<count {
                        nodes.append(NodeID(rawValue: nextNode))
                        nextNode += UInt32(step)
                    }
                    let new = DocumentAttributes(
                        key: key, format: world.pick(["json", "yaml", "text"]), updatedAt: world.time(),
                        publisher: world.chance(2) ? nil : Publisher(keyID: "00000000000000aa", name: world.pick(["ci", "robot"])),
                        metadata: world.chance(3) ? old?.metadata ?? JSONObject() : world.object(1), nodes: nodes)
                    try index.replace(old, with: new, in: &transaction)
                    naive.documents[key] = new
                }
            }
            for _ in 0..<25 {
                let json = world.filter()
                let found = try nodes(json)
                let expected = naive.nodes(passing: json)
                #expect(found == expected, "round \(round): \(JSONPrinter.text(json)): \(found.count) nodes, not \(expected.count)")
                let filter = try Filter(json)
                var alone = NodeSet()
                for document in naive.documents.values where filter.passes(document) { alone.formUnion(NodeSet(document.nodes)) }
                #expect(alone == expected, "round \(round): \(JSONPrinter.text(json)), document by document")
                compared += 1
                if !expected.isEmpty { passing += 1 }
            }
            if round % 10 == 9 { #expect(try findings(naive.documents.values) == []) }
        }
        // The world is small enough that filters are not all empty.
        #expect(passing > compared / 5)
        print("\(compared) filters, \(passing) of them with nodes")

        try store.write { (transaction: inout WriteTransaction) throws in
            for document in naive.documents.values { try index.replace(document, with: nil, in: &transaction) }
        }
        #expect(try store.records().isEmpty, "what is removed leaves nothing behind")
    }

    @Test func aChangeOfOneFieldTouchesItsRecordsAlone() throws {
        var document = Self.document("k", #"{"team":"core","size":3}"#, nodes: 1...4)
        try store.write { (transaction: inout WriteTransaction) throws in try index.replace(nil, with: document, in: &transaction) }
        let before = try store.records()
        let old = document
        document.metadata["size"] = .integer(4)
        try store.write { (transaction: inout WriteTransaction) throws in try index.replace(old, with: document, in: &transaction) }
        let after = try store.records()
        #expect(before.count == after.count)
        #expect(Set(before.map(\.key)).symmetricDifference(after.map(\.key)).count == 2)
        #expect(try findings([document]) == [])
        #expect(try nodes(["metadata.size": .integer(4)]).count == 4)
        #expect(try nodes(["metadata.size": .integer(3)]).isEmpty)
    }

    @Test func theCheckSeesWhatIsWrong() throws {
        let (a, b) = (Self.document("a", #"{"team":"core"}"#, nodes: 1...3), Self.document("b", #"{"team":"web"}"#, nodes: 4...4))
        try store.write { (transaction: inout WriteTransaction) throws in
            for document in [a, b] { try index.replace(nil, with: document, in: &transaction) }
        }
        #expect(try findings([a, b]) == [])
        #expect(try !findings([a]).isEmpty, "a document too many")
        var other = b
        other.metadata["more"] = .bool(true)
        #expect(try !findings([a, other]).isEmpty, "a value too few")
        other = b
        other.updatedAt = Timestamp(rawValue: 5)
        #expect(try findings([a, other]) == ["'b': node 4 is not in the index with its time"])
        // Any record that is gone, and any byte of a payload that is another, is seen.
        for record in try store.records() {
            let payload = try #require(try store.payload(record.key))
            var damaged: [[UInt8]?] = [nil]
            for place in payload.indices { damaged.append(Array(payload[..<place]) + [payload[place] ^ 1] + payload[(place + 1)...]) }
            for payload in damaged {
                let found = try store.afterPlanting(payload, under: record.key) { (view: borrowing TransactionView) throws -> [String] in
                    do {
                        var check = AttributeCheck(index)
                        for document in [a, b] { try check.expect(document, in: view) }
                        return try check.findings(in: view)
                    } catch let error as ContexError {
                        #expect(error.category == .damaged)
                        return ["\(error)"]
                    }
                }
                #expect(!found.isEmpty, "\(record): \(payload ?? [])")
            }
        }
    }

    @Test func metadataIsBounded() throws {
        func fault(_ text: String) -> String? {
            do {
                try Metadata.check(JSONParser.parse(text: text).objectValue!)
                return nil
            } catch let fault as PlacedFault {
                return fault.description
            } catch { return "\(error)" }
        }
        #expect(fault(#"{"a":{"b":[1,"x",null,true,{"c":1.5}]},"d":{}}"#) == nil)
        #expect(fault(#"{"a":{"b":[1,"x",{"":1}]}}"#) == "metadata.a.b[2]: a key that is empty: no filter could name it")
        #expect(fault(#"{"a":[1,1e999]}"#) == "metadata.a[1]: a number beyond the range of binary64")
        #expect(fault(#"{"a":"x\u0000"}"#) == "metadata.a: must not contain NUL characters")
        #expect(fault(#"{"a":"\#(String(repeating: "x", count: 65_536))"}"#)?.hasPrefix("metadata: more than 65536 bytes") == true)
        #expect(fault(#"{"a":{"\#(String(repeating: "x", count: 191))":1}}"#)?.hasSuffix("has 193 bytes, at most 192") == true)
        #expect(fault(#"{"a":{"\#(String(repeating: "x", count: 190))":1}}"#) == nil)
        #expect(fault(#"{"a":[[[[[[[1]]]]]]]}"#) == nil)
        #expect(fault(#"{"a":[[[[[[[[1]]]]]]]]}"#)?.hasSuffix("nested deeper than 8 levels") == true)
        #expect(fault("{\"a\":[" + (0..<1_023).map(String.init).joined(separator: ",") + "]}") == nil)
        #expect(fault("{\"a\":[" + (0..<1_024).map(String.init).joined(separator: ",") + "]}")?.hasPrefix("metadata: 1025 paths and values") == true)
    }

    static func document(_ key: String, _ metadata: String, nodes: ClosedRange<UInt32>) -> DocumentAttributes {
        DocumentAttributes(
            key: Name(stored: key), format: "json", updatedAt: Timestamp(rawValue: 1_700_000_000_000_000),
            publisher: Publisher(keyID: "00000000000000aa", name: "ci"),
            metadata: try! JSONParser.parse(text: metadata).objectValue!, nodes: nodes.map { NodeID(rawValue: $0) })
    }

    // MARK: - Golden bytes

    static let golden: [DocumentAttributes] = [
        document(
            "a",
            #"""
            {"team":"core","size":-1.5,"id":9007199254740993,"open":true,"none":null,"tags":["x","é"],"due":"2026-01-31T08:30:00Z","owner":{"name":"Ada"},
            "text":"\#(String(repeating: "long", count: 70))"}
            """#, nodes: 8_190...8_195),
        DocumentAttributes(
            key: Name(stored: "b"), format: "text", updatedAt: Timestamp(rawValue: -1), publisher: nil, metadata: JSONObject(),
            nodes: stride(from: 1, through: 5, by: 2).map { NodeID(rawValue: $0) }),
        DocumentAttributes(
            key: Name(stored: "c"), format: "text", updatedAt: Timestamp(rawValue: 7), publisher: nil, metadata: JSONObject(),
            nodes: stride(from: 16_384, to: 18_000, by: 2).map { NodeID(rawValue: $0) }),
    ]

    /// Format 1, byte for byte (docs/formats/attributes-v1.md).
    @Test func goldenRecords() throws {
        try store.write { (transaction: inout WriteTransaction) throws in
            for document in Self.golden { try index.replace(nil, with: document, in: &transaction) }
        }
        try GoldenRecord.rewriteIfAsked("attributes-v1/records.txt", try store.records())
        #expect(try store.records() == GoldenRecord.file("attributes-v1/records.txt"))
        let written = try TestStore(records: try GoldenRecord.file("attributes-v1/records.txt"))
        try written.read { (view: borrowing TransactionView) throws in
            var check = AttributeCheck(index)
            for document in Self.golden { try check.expect(document, in: view) }
            #expect(try check.findings(in: view) == [])
            #expect(try index.nodes(passing: try Filter(["metadata.id": .integer(9_007_199_254_740_993)]), in: view).count == 6)
            // Bounded, and not for whom it was let in already.
            let range = try Filter(["metadata.id": ["gte": .integer(0)]])
            #expect(throws: ContexError.self) { _ = try index.nodes(passing: range, recordsMax: 0, in: view) }
            #expect(try index.nodes(passing: range, recordsMax: .max, in: view) == index.nodes(passing: range, in: view))
            #expect(try index.nodes(passing: try Filter(["metadata.due": ["lt": "2026-01-31T10:30:00.000001+02:00"]]), in: view).count == 6)
        }
    }
}
