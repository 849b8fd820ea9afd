// The filter language and the bounds of metadata: any JSON.

internal import Attributes
internal import Base
internal import Content
internal import KeySpace
internal import LMDB
internal import TestSupport

extension FuzzTargets {
    private static let store = try! TestStore()

    static let filter = FuzzTarget(
        "filter", "any JSON is a filter that can be evaluated or is refused by its place; metadata that passes its bounds is found and leaves nothing behind",
        seeds: texts(
            #"{"metadata.team":"core","data_format":["json","yaml"],"metadata.size":{"gte":3,"lt":10},"updated_after":"2026-01-01T00:00:00Z"}"#,
            #"{"and":[{"metadata.a":1},{"or":[{"metadata.b":null},{"not":{"data_key":{"prefix":"x"}}}]}]}"#,
            #"{"metadata.a":{"ne":1,"in":[1,2],"exists":true,"prefix":"","eq":false}}"#, #"{"updated_at":{"gte":1.5,"lt":"2026-01-01"},"published_by":null}"#,
            #"{"team":"core","size":-1.5,"id":9007199254740993,"tags":["x",["é"]],"due":"2026-01-31T08:30:00Z","owner":{"name":"Ada"}}"#,
            #"{"metadata.x":{"gt":"a","lte":"b"},"or":[],"and":[{}]}"#)
    ) { input in
        guard let value = try? JSONParser.parse(input) else { return }
        let index = AttributeIndex(scope: store.scope)
        var transaction = try store.environment.beginWrite()
        let known = DocumentAttributes(
            key: Name(stored: "x"), format: "json", updatedAt: Timestamp(rawValue: 1), publisher: nil, metadata: JSONObject([("a", .integer(1))]),
            nodes: [NodeID(rawValue: 1)])
        try index.replace(nil, with: known, in: &transaction)
        do throws(PlacedFault) {
            let filter = try Filter(value)
            let (passing, failing): (NodeSet, NodeSet)
            do {
                passing = try index.nodes(passing: filter, in: transaction.view)
                failing = try index.nodes(passing: .not(filter), in: transaction.view)
            } catch { preconditionFailure("a filter cannot be evaluated: \(error)") }
            precondition(passing.count + failing.count == 1, "a node passes a filter and its opposite, or neither")
        } catch {
            try require(error.place.first == .name("filter") && !error.reason.isEmpty, "refused as \(error)")
        }
        guard case .object(let metadata) = value else { return }
        do throws(PlacedFault) { try Metadata.check(metadata) } catch {
            try require(error.place.first == .name("metadata") && !error.reason.isEmpty, "refused as \(error)")
            return
        }
        var document = known
        document.metadata = metadata
        document.nodes = [NodeID(rawValue: 2)]
        try index.replace(nil, with: document, in: &transaction)
        for (key, member) in metadata where key.utf8.count <= Limits.metadataPathBytes {
            let found = try index.nodes(passing: try Filter(.object(JSONObject([("metadata." + key, ["exists": .bool(true)])]))), in: transaction.view)
            try require(found.contains(NodeID(rawValue: 2)), "metadata.\(key) is not there")
            if case .string(let text) = member, text.utf8.count <= Limits.filterTextBytes {
                let same = try index.nodes(passing: try Filter(.object(JSONObject([("metadata." + key, member)]))), in: transaction.view)
                try require(same.contains(NodeID(rawValue: 2)), "metadata.\(key) is not its own text")
            }
        }
        var check = AttributeCheck(index)
        for document in [known, document] { try check.expect(document, in: transaction.view) }
        let findings = try check.findings(in: transaction.view)
        try require(findings.isEmpty, "\(findings)")
        for document in [known, document] { try index.replace(document, with: nil, in: &transaction) }
        var left = 0
        try transaction.view.scan(prefix: []) { _, _ in
            left += 1
            return .onward
        }
        try require(left == 0, "\(left) records are left behind")
    }
}
