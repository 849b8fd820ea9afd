// The texts inside a value, one after another: what the bounds of a passage count by.

public import Base

/// A string, number or truth value of a value.
public struct PassageLeaf: Sendable {
    /// Names and indices on the way to it, as in the path of a node; empty when the value is the leaf.
    public let path: String
    /// The last name on that way.
    let name: String
    public let text: String
    /// The text is JSON itself: what is embedded of it is its words.
    var isJSON: Bool { JSONInText.holds(text) }

    /// In the order of the document, nothing for null.
    /// - Complexity: O(size of the value).
    public static func all(of value: JSONValue) -> [PassageLeaf] {
        var leaves: [PassageLeaf] = []
        add(value, path: "", name: "", to: &leaves)
        return leaves
    }

    /// Of a node: what is no object may stand under `value`, as answers show it and exports of the original have it.
    public static func all(of value: JSONValue, kind: String) -> [PassageLeaf] { all(of: SearchText.unwrapped(value, kind: kind)) }

    /// Recursion is bounded: what is stored is not nested deeper than `Limits.storedNestingDepth`.
    private static func add(_ value: JSONValue, path: String, name: String, to leaves: inout [PassageLeaf]) {
        switch value {
        case .null: break
        case .bool(let flag): leaves.append(PassageLeaf(path: path, name: name, text: flag ? "true" : "false"))
        case .number(let number): leaves.append(PassageLeaf(path: path, name: name, text: number.text))
        case .string(let text): leaves.append(PassageLeaf(path: path, name: name, text: text))
        case .array(let items):
            for (place, item) in items.enumerated() { add(item, path: "\(path)[\(place)]", name: name, to: &leaves) }
        case .object(let members):
            for member in members { add(member.value, path: path.isEmpty ? member.key : "\(path).\(member.key)", name: member.key, to: &leaves) }
        }
    }
}

/// Part of a leaf that lies in a passage.
struct LeafPart {
    let name: String
    let text: String
    /// Of the leaf.
    let path: String
    let isWhole: Bool
    var isJSON = false
    let bytes: Range<Int>
}

extension PassageBounds {
    /// Whether nothing of some leaves lies inside.
    public func isEmpty(among leaves: [PassageLeaf]) -> Bool { parts(of: leaves).isEmpty }

    /// What of some leaves lies inside; less when there is not so much.
    /// - Complexity: O(size of the passage): a document has thousands of them.
    func parts(of leaves: [PassageLeaf]) -> [LeafPart] {
        var parts: [LeafPart] = []
        guard start.leaf < leaves.count else { return [] }
        for number in start.leaf...min(end.leaf, leaves.count - 1) {
            let leaf = leaves[number]
            let size = leaf.text.utf8.count
            let from = number == start.leaf ? min(start.byte, size) : 0
            let to = number == end.leaf ? min(end.byte, size) : size
            guard from < to || (size == 0 && start.leaf < number && number < end.leaf) else { continue }
            let isWhole = from == 0 && to == size
            let text = isWhole ? leaf.text : leaf.text.bytes(from..<to)
            parts.append(LeafPart(name: leaf.name, text: text, path: leaf.path, isWhole: isWhole, isJSON: leaf.isJSON, bytes: from..<to))
        }
        return parts
    }
}

extension String {
    /// Some of its UTF-8, whole characters or not.
    /// - Complexity: O(count).
    func bytes(_ range: Range<Int>) -> String {
        let start = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
        return String(decoding: utf8[start..<utf8.index(start, offsetBy: range.count)], as: UTF8.self)
    }
}
