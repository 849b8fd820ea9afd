// One passage of a long node as a text, and as what an answer says of it.

public import Base

/// What a passage says: what lies in it, and before it what it could not be understood without.
struct PassageText {
    private(set) var parts: [LeafPart] = []

    /// Bytes of members, of a header or of a declaration that passages repeat.
    static let leadBytes = 160

    init(_ leaves: [PassageLeaf], kind: String, _ bounds: PassageBounds) {
        for leaf in leaves.prefix(Self.leadCount(leaves.prefix(bounds.start.leaf))) {
            parts.append(LeafPart(name: leaf.name, text: leaf.text, path: leaf.path, isWhole: true, isJSON: leaf.isJSON, bytes: 0..<leaf.text.utf8.count))
        }
        if bounds.start.leaf < leaves.count, bounds.start.byte > 0 {
            let leaf = leaves[bounds.start.leaf]
            if let head = Self.head(of: leaf.text, isCode: kind == NodeKind.codeBlock.rawValue) {
                parts.append(LeafPart(name: "", text: head, path: leaf.path, isWhole: false, bytes: 0..<head.utf8.count))
            }
        }
        parts += bounds.parts(of: leaves)
    }

    /// How many of the leaves before a passage are the name or title that their object begins with.
    static func leadCount(_ leaves: ArraySlice<PassageLeaf>) -> Int {
        var (rest, count) = (leadBytes, 0)
        for leaf in leaves {
            rest -= leaf.text.utf8.count + leaf.name.utf8.count
            guard rest >= 0, !leaf.name.isEmpty else { break }
            count += 1
        }
        return count
    }

    /// The first line of a text when the rest is not understood without it: the header of a table, the declaration of a function.
    private static func head(of text: String, isCode: Bool) -> String? {
        let bytes = Array(text.utf8.prefix(4 * leadBytes))
        var lines = TextLines(bytes)
        guard let first = lines.next(), !first.isEmpty, first.count <= leadBytes else { return nil }
        if !isCode {
            guard let second = lines.next(), bytes[second].contains(UInt8(ascii: "-")), bytes[second].allSatisfy({ "|-:+ \t=".utf8.contains($0) })
            else { return nil }
        }
        return String(decoding: bytes[first], as: UTF8.self)
    }
}

/// A passage as answers show it.
public struct ShownPassage: Sendable, Equatable {
    /// Of the string in the data that it begins in; empty when the data is one string.
    public let path: String
    /// Of the string that it ends in, when that is another.
    public let lastPath: String?
    /// Unicode scalars before it in the string that it begins in, and before its end in the one that it ends in.
    public let start: Int
    public let end: Int
    public let text: String

    /// - Returns: nil for bounds that hold nothing of the value.
    public init?(_ value: JSONValue, kind: String, _ bounds: PassageBounds) {
        let leaves = PassageLeaf.all(of: value, kind: kind)
        var parts = bounds.parts(of: leaves)
        // A title that the first passage begins with is beside it like beside every other.
        let lead = PassageText.leadCount(leaves[..<min(leaves.count, bounds.end.leaf)])
        if bounds.start.leaf == 0, lead < parts.count, parts[lead].bytes.count > PassageText.leadBytes { parts.removeFirst(lead) }
        guard let first = parts.first, let last = parts.last else { return nil }
        path = first.path
        lastPath = parts.count > 1 ? last.path : nil
        func scalars(_ leaf: Int, _ bytes: Int) -> Int { Self.scalars(leaves[leaf].text.utf8.prefix(bytes)) }
        start = scalars(leaves.firstIndex { $0.path == first.path } ?? 0, first.bytes.lowerBound)
        end = scalars(min(bounds.end.leaf, leaves.count - 1), bounds.end.byte)
        text = parts.count == 1 ? first.text : parts.map { $0.name.isEmpty ? $0.text : "\($0.name): \($0.text)" }.joined(separator: "\n")
    }

    private static func scalars(_ bytes: some Swift.Sequence<UInt8>) -> Int { bytes.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) } }
}

extension PassageBounds {
    /// A value with what lies inside and, of an object, the name or title that it begins with; nil when nothing does.
    /// - Parameter value: of a node, as answers show it: what is no object may stand under `value`.
    public func reduced(_ value: JSONValue) -> JSONValue? {
        let lead = PassageText.leadCount(PassageLeaf.all(of: value).prefix(start.leaf))
        var leaf = 0
        return reduce(value, &leaf, lead)
    }

    private func reduce(_ value: JSONValue, _ leaf: inout Int, _ lead: Int) -> JSONValue? {
        func isInside(_ number: Int) -> Bool { number < lead || (start.leaf...end.leaf).contains(number) }
        switch value {
        case .null: return nil
        case .bool, .number:
            defer { leaf += 1 }
            return isInside(leaf) ? value : nil
        case .string(let text):
            defer { leaf += 1 }
            guard isInside(leaf) else { return nil }
            let size = text.utf8.count
            let from = leaf == start.leaf ? min(start.byte, size) : 0
            let to = leaf == end.leaf ? min(end.byte, size) : size
            guard from < to || size == 0 else { return nil }
            return .string(text.bytes(from..<to))
        case .array(let items):
            var kept: [JSONValue] = []
            for item in items { if let item = reduce(item, &leaf, lead) { kept.append(item) } }
            return kept.isEmpty ? nil : .array(kept)
        case .object(let members):
            var kept = JSONObject()
            for member in members { if let value = reduce(member.value, &leaf, lead) { kept[member.key] = value } }
            return kept.isEmpty ? nil : .object(kept)
        }
    }
}
