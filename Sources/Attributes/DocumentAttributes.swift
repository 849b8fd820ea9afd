public import Base

/// What filters can ask of a document: of each of its nodes, that is.
public struct DocumentAttributes: Sendable {
    public var key: Name
    public var format: String
    /// Of the event that gave it its present state.
    public var updatedAt: Timestamp
    public var publisher: Publisher?
    public var metadata: JSONObject
    public var nodes: [NodeID]
    /// Numbers of the passages of its long nodes, but the first of each, which has the node's.
    public var furtherPassages: [NodeID]

    public init(
        key: Name, format: String, updatedAt: Timestamp, publisher: Publisher?, metadata: JSONObject, nodes: [NodeID],
        furtherPassages: [NodeID] = []
    ) {
        self.key = key
        self.format = format
        self.updatedAt = updatedAt
        self.publisher = publisher
        self.metadata = metadata
        self.nodes = nodes
        self.furtherPassages = furtherPassages
    }

    /// Every number under which the indexes have something of it.
    var numbers: [NodeID] { nodes + furtherPassages }

    /// Keys of the index under which its nodes stand, without the chunk; each once, in order.
    func entries() -> [[UInt8]] {
        var keys: Set<[UInt8]> = [
            AttributeKey.every, AttributeKey.key(.dataKey, .text(ExactText(key.text))), AttributeKey.key(.dataFormat, .text(ExactText(format))),
        ]
        if let publisher {
            keys.insert(AttributeKey.exists(.publishedBy))
            for name in [publisher.keyID, publisher.name] { keys.insert(AttributeKey.key(.publishedBy, .text(ExactText(name)))) }
        } else {
            keys.insert(AttributeKey.key(.publishedBy, .null))
        }
        Metadata.entries(metadata, into: &keys)
        return keys.sorted { $0.lexicographicallyPrecedes($1) }
    }
}

/// The object that a publisher sends along with the data.
public enum Metadata {
    /// Makes sure that an object can be stored and indexed.
    /// - Throws: a fault that names the place, from `metadata` on.
    /// - Complexity: O(size).
    public static func check(_ metadata: JSONObject) throws(PlacedFault) {
        var bytes = 0
        try check(.object(metadata), path: "", level: 1, at: [.name("metadata")], &bytes)
        var keys: Set<[UInt8]> = []
        entries(metadata, into: &keys)
        guard keys.count <= Limits.metadataEntries else {
            throw PlacedFault([.name("metadata")], "\(keys.count) paths and values; a document has at most \(Limits.metadataEntries)")
        }
    }

    private static func check(_ value: JSONValue, path: String, level: Int, at place: [PlacedFault.Step], _ bytes: inout Int) throws(PlacedFault) {
        func count(_ text: String) throws(PlacedFault) {
            bytes += text.utf8.count
            if bytes > Limits.metadataBytes {
                throw PlacedFault([.name("metadata")], "more than \(Limits.metadataBytes) bytes of keys and values")
            }
            if text.utf8.contains(0) { throw PlacedFault(place, "must not contain NUL characters") }
        }
        switch value {
        case .null, .bool: bytes += 4
        case .number(let number):
            guard AttributeNumber(number) != nil else { throw PlacedFault(place, "a number beyond the range of binary64") }
            try count(number.text)
        case .string(let text): try count(text)
        case .array(let items):
            guard level <= Limits.metadataDepth else { throw PlacedFault(place, tooDeep) }
            for (number, item) in items.enumerated() { try check(item, path: path, level: level + 1, at: place + [.item(number)], &bytes) }
        case .object(let members):
            guard level <= Limits.metadataDepth else { throw PlacedFault(place, tooDeep) }
            for (key, member) in members {
                try count(key)
                let path = path.isEmpty ? key : "\(path).\(key)"
                guard !key.isEmpty else { throw PlacedFault(place, "a key that is empty: no filter could name it") }
                guard path.utf8.count <= Limits.metadataPathBytes else {
                    throw PlacedFault(place, "a key whose path has \(path.utf8.count) bytes, at most \(Limits.metadataPathBytes)")
                }
                try check(member, path: path, level: level + 1, at: place + [.name(key)], &bytes)
            }
        }
    }

    private static let tooDeep = "nested deeper than \(Limits.metadataDepth) levels"

    /// Recursion is bounded: `check` has seen what is stored, and stored JSON is parsed with a bound on its depth.
    static func entries(_ metadata: JSONObject, into keys: inout Set<[UInt8]>) {
        for (key, value) in metadata { entries(value, path: key, into: &keys) }
    }

    private static func entries(_ value: JSONValue, path: String, into keys: inout Set<[UInt8]>) {
        let field = AttributeField.metadata(path: path)
        keys.insert(AttributeKey.exists(field))
        switch value {
        case .array(let items):
            for item in items { entries(item, path: path, into: &keys) }
        case .object(let members):
            for (key, member) in members { entries(member, path: "\(path).\(key)", into: &keys) }
        case .string(let text):
            keys.insert(AttributeKey.key(field, .text(ExactText(text))))
            if let time = Timestamp(printed: text) { keys.insert(AttributeKey.key(field, .date(time))) }
        case .null, .bool, .number:
            if let value = AttributeValue(value) { keys.insert(AttributeKey.key(field, value)) }
        }
    }
}
