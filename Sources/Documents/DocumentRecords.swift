public import Base
public import Hashing

/// What a key holds now: its last event and the nodes it was split into.
public struct DocumentRecord: Sendable, Equatable {
    public let id: DocumentID
    public let key: Name
    /// The event that gave it its present state.
    public var sequence: Sequence
    /// False once deleted: no nodes, not listed, but its versions stay readable.
    public var exists: Bool
    /// The format that the data was split as.
    public var format: String
    /// Of the event that gave it its present state.
    public var updatedAt: Timestamp
    /// Whose publish it was; nil while authentication is off.
    public var publisher: Publisher?
    /// JSON, compact: the object that came along with the data; empty when none did.
    public var metadata: [UInt8]
    /// Over hint, event type, own vector, metadata and data: equal fingerprints mean that a publish changes nothing.
    public var fingerprint: SHA256Digest
    /// In the order of the document.
    public var nodes: [NodeID]
    /// The long ones among them, in the same order: how many passages each has. The first has the node's number, the others those that follow it.
    public var passages: [PassageRun]

    public struct PassageRun: Sendable, Equatable {
        public let node: NodeID
        public let count: Int

        public init(node: NodeID, count: Int) {
            self.node = node
            self.count = count
        }

        /// Numbers of the passages but the first.
        public var further: [NodeID] { (1..<UInt32(count)).map { NodeID(rawValue: node.rawValue + $0) } }
    }

    public init(
        id: DocumentID, key: Name, sequence: Sequence, exists: Bool, format: String, updatedAt: Timestamp, publisher: Publisher? = nil,
        metadata: [UInt8] = [], fingerprint: SHA256Digest, nodes: [NodeID], passages: [PassageRun] = []
    ) {
        self.id = id
        self.key = key
        self.sequence = sequence
        self.exists = exists
        self.format = format
        self.updatedAt = updatedAt
        self.publisher = publisher
        self.metadata = metadata
        self.fingerprint = fingerprint
        self.nodes = nodes
        self.passages = passages
    }

    /// Numbers of the passages of long nodes but the first of each.
    public var furtherPassages: [NodeID] { passages.flatMap(\.further) }

    /// How many numbers its nodes and passages take.
    public var numberCount: Int { passages.reduce(nodes.count) { $0 + $1.count - 1 } }

    /// A node is in one place of one document, and what was deleted has none. Each finding is a sentence; for tests.
    public func checkInvariants() -> [String] {
        var faults: [String] = []
        if Set(nodes).count != nodes.count { faults.append("document '\(key)' names a node twice") }
        if !exists, !nodes.isEmpty { faults.append("document '\(key)' is deleted and has \(nodes.count) nodes") }
        if !Set(nodes).isDisjoint(with: furtherPassages) { faults.append("document '\(key)' has a node where another has a passage") }
        return faults
    }

    /// - Parameter mark: what its event did to it.
    func encode(_ mark: OwnMark) -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + nodes.count * 3)
        writer.u64(sequence.rawValue)
        writer.u8(mark.rawValue)
        writer.bool(exists)
        writer.text(key.text)
        writer.text(format)
        writer.i64(updatedAt.rawValue)
        writer.publisher(publisher)
        writer.blob(metadata)
        writer.raw(fingerprint.bytes)
        writer.varint(UInt64(nodes.count))
        for node in nodes { writer.varint(UInt64(node.rawValue)) }
        writer.varint(UInt64(passages.count))
        var places = nodes.enumerated().makeIterator()
        var last = 0
        for run in passages {
            while let (place, node) = places.next() {
                guard node == run.node else { continue }
                writer.varint(UInt64(place - last))
                last = place
                break
            }
            writer.varint(UInt64(run.count))
        }
        return writer.bytes
    }

    /// Of a record, without looking at what stands behind it.
    static func origin(_ bytes: [UInt8]) throws -> DocumentOrigin {
        var reader = ByteReader(bytes)
        let sequence = try OwnMark.read(&reader).sequence
        _ = (try reader.bool(), try reader.blob(), try reader.blob(), try reader.i64())
        return DocumentOrigin(sequence: sequence, publisher: try reader.publisher(), metadata: Array(try reader.blob()))
    }

    static func decode(_ bytes: [UInt8], id: DocumentID) throws -> DocumentRecord {
        var reader = ByteReader(bytes)
        let sequence = try OwnMark.read(&reader).sequence
        let exists = try reader.bool()
        let key = Name(stored: try reader.text())
        let format = try reader.text()
        let updatedAt = Timestamp(rawValue: try reader.i64())
        let publisher = try reader.publisher()
        let metadata = Array(try reader.blob())
        let fingerprint = try reader.sha256()
        let count = try reader.count(limit: reader.remaining)
        var nodes: [NodeID] = []
        for _ in 0..<count { nodes.append(NodeID(rawValue: UInt32(try reader.count(limit: Int(UInt32.max))))) }
        var passages: [PassageRun] = []
        var place = 0
        for number in 0..<(try reader.count(limit: nodes.count)) {
            let step = try reader.count(limit: nodes.count)
            let count = try reader.count(limit: Limits.passagesPerDocument + 1)
            place += step
            guard number == 0 || step > 0, place < nodes.count, count > 1, Int(nodes[place].rawValue) + count <= Int(UInt32.max) else {
                throw ByteError.malformed(at: reader.offset)
            }
            passages.append(PassageRun(node: nodes[place], count: count))
        }
        try reader.end()
        return DocumentRecord(
            id: id, key: key, sequence: sequence, exists: exists, format: format, updatedAt: updatedAt, publisher: publisher, metadata: metadata,
            fingerprint: fingerprint, nodes: nodes, passages: passages)
    }
}

/// What the head of a document's record says of its present state.
public struct DocumentOrigin: Sendable {
    /// The event that gave it this state.
    public let sequence: Sequence
    /// nil while authentication is off.
    public let publisher: Publisher?
    /// JSON, compact; empty when none came along.
    public let metadata: [UInt8]
}

/// Whether the event that a document's record names is one of its versions. It mostly is, and then has no record of its own as such before the
/// next one comes.
enum OwnMark: UInt8 {
    /// It is where the log stood when an import put the document there, or has a record.
    case none = 0
    case content = 1
    case deletion = 2

    /// What a document's record begins with.
    static let byteCount = 9
    /// Where it stands in the record.
    static let offset = 8

    static func read(_ reader: inout ByteReader) throws -> (sequence: Sequence, mark: OwnMark) {
        let sequence = Sequence(rawValue: try reader.u64())
        guard let mark = OwnMark(rawValue: try reader.u8()) else { throw ByteError.malformed(at: offset) }
        return (sequence, mark)
    }
}

/// One searchable part of a document.
public struct NodeRecord: Sendable, Equatable {
    public let document: DocumentID
    /// The document's key, so that a match needs no second look-up.
    public let documentKey: String
    /// Within the document: `root`, `people[0]`, `row_3` ...
    public let path: String
    public let kind: String
    public let format: String
    /// What answers show of it.
    public let description: String
    /// JSON, compact.
    public let data: [UInt8]
    /// cl100k tokens of the data as Python's `json.dumps` prints it.
    public let tokenCount: Int
    /// The publisher brought the vector: it is in the event that the document names, and no model makes it anew.
    public let hasOwnVector: Bool
    /// What stands before it in its document and says what it is about (the headings above it): it is found by this too.
    public let context: String
    public let extent: NodeExtent
    /// Of the first record of a unit: the places of those of its entries that have no vector, rising. The model makes none of a text that it cannot
    /// read: words alone find such an entry.
    public let unread: [Int]

    public init(
        document: DocumentID, documentKey: String, path: String, kind: String, format: String, description: String, data: [UInt8],
        tokenCount: Int, hasOwnVector: Bool = false, context: String = "", extent: NodeExtent = .whole, unread: [Int] = []
    ) {
        self.document = document
        self.documentKey = documentKey
        self.path = path
        self.kind = kind
        self.format = format
        self.description = description
        self.data = data
        self.tokenCount = tokenCount
        self.hasOwnVector = hasOwnVector
        self.context = context
        self.extent = extent
        self.unread = unread
    }

    /// The same node under another model.
    public func having(unread: [Int]) -> NodeRecord {
        NodeRecord(
            document: document, documentKey: documentKey, path: path, kind: kind, format: format, description: description, data: data,
            tokenCount: tokenCount, hasOwnVector: hasOwnVector, context: context, extent: extent, unread: unread)
    }

    /// In stored bytes: whose vectors it has. The last one says that some are missing.
    private static let (byModel, byPublisher, partly): (UInt8, UInt8, UInt8) = (0, 1, 2)

    /// The name of a node outside: document key, dot, path.
    public var nodeKey: String { "\(documentKey).\(path)" }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: data.count + description.utf8.count + 64)
        writer.u32(document.rawValue)
        writer.text(documentKey)
        writer.text(path)
        writer.text(kind)
        writer.text(format)
        writer.varint(UInt64(tokenCount))
        writer.blob(data)
        let (own, shared) = SharedEnd.split(Array(description.utf8), data)
        writer.blob(own)
        writer.varint(UInt64(shared.count))
        if !shared.isEmpty { writer.varint(UInt64(shared.lowerBound)) }
        writer.u8(hasOwnVector ? Self.byPublisher : unread.isEmpty ? Self.byModel : Self.partly)
        writer.text(context)
        writer.extent(extent)
        guard !hasOwnVector, !unread.isEmpty else { return writer.bytes }
        writer.varint(UInt64(unread.count))
        for place in unread { writer.varint(UInt64(place)) }
        return writer.bytes
    }

    /// Bytes of a record in which its head mostly lies.
    static let headUsual = 256

    /// What a record begins with.
    static func head(_ bytes: [UInt8]) throws -> (document: DocumentID, kind: String) {
        var reader = ByteReader(bytes)
        let document = DocumentID(rawValue: try reader.u32())
        _ = (try reader.blob(), try reader.blob())
        return (document, try reader.text())
    }

    static func decode(_ bytes: [UInt8]) throws -> NodeRecord {
        var reader = ByteReader(bytes)
        let document = DocumentID(rawValue: try reader.u32())
        let documentKey = try reader.text()
        let path = try reader.text()
        let kind = try reader.text()
        let format = try reader.text()
        let tokenCount = try reader.count()
        let data = Array(try reader.blob())
        let own = try reader.blob()
        let shared = try reader.count(limit: data.count)
        let start = shared == 0 ? 0 : try reader.count(limit: data.count - shared)
        guard let description = String(validating: own + data[start..<start + shared], as: UTF8.self) else { throw ByteError.malformed(at: reader.offset) }
        let whose = try reader.u8()
        guard whose <= partly else { throw ByteError.malformed(at: reader.offset) }
        let context = try reader.text()
        let extent = try reader.extent()
        var unread: [Int] = []
        if whose == partly {
            for _ in 0..<(try reader.count(limit: extent.numbers)) {
                let place = try reader.count(limit: extent.numbers)
                guard place < extent.numbers, unread.last.map({ $0 < place }) ?? true else { throw ByteError.malformed(at: reader.offset) }
                unread.append(place)
            }
        }
        try reader.end()
        return NodeRecord(
            document: document, documentKey: documentKey, path: path, kind: kind, format: format, description: description,
            data: data, tokenCount: tokenCount, hasOwnVector: whose == byPublisher, context: context, extent: extent,
            unread: unread)
    }
}

extension NodeRecord {
    /// About what it holds in memory.
    public var byteCount: Int { data.count + description.utf8.count + documentKey.utf8.count + path.utf8.count + context.utf8.count + 64 }
}

extension ByteWriter {
    /// 0: whole. 1: gathered. More: so many passages.
    public mutating func extent(_ extent: NodeExtent) {
        switch extent {
        case .whole: varint(0)
        case .gathered(let place, let count):
            varint(1)
            varint(UInt64(place))
            varint(UInt64(count))
        case .passages(let bounds):
            varint(UInt64(bounds.count))
            for passage in bounds {
                for place in [passage.start, passage.end] {
                    varint(UInt64(place.leaf))
                    varint(UInt64(place.byte))
                }
            }
        }
    }
}

extension ByteReader {
    public mutating func extent() throws(ByteError) -> NodeExtent {
        let count = try count(limit: Limits.passagesPerDocument + 1)
        if count == 0 { return .whole }
        if count == 1 {
            let (place, all) = (try self.count(limit: Limits.nodesPerDocument), try self.count(limit: Limits.nodesPerDocument))
            guard place < all, all > 1 else { throw .malformed(at: offset) }
            return .gathered(place: place, count: all)
        }
        var bounds: [PassageBounds] = []
        for _ in 0..<count {
            let start = PassageBounds.Place(leaf: try self.count(), byte: try self.count())
            let end = PassageBounds.Place(leaf: try self.count(), byte: try self.count())
            guard start < end else { throw .malformed(at: offset) }
            bounds.append(PassageBounds(start: start, end: end))
        }
        return .passages(bounds)
    }
}

/// A description mostly ends with its node's value (`note: We deploy on Fridays.`), and the value stands in the data: it is stored once.
enum SharedEnd {
    /// A shorter end is stored twice: naming the place takes three bytes or so.
    static let bytesMin = 8
    /// Of a longer description only so many bytes are looked for.
    static let bytesMax = 1 << 16

    /// The longest end of a text that stands in the data, from a whole character on: what comes before it, and the place of its first
    /// occurrence from the back.
    /// - Complexity: O(text + data): Knuth, Morris and Pratt's search, both read backwards.
    static func split(_ text: [UInt8], _ data: [UInt8]) -> (own: ArraySlice<UInt8>, shared: Range<Int>) {
        let length = min(text.count, bytesMax)
        let none = (text[...], 0..<0)
        guard length >= bytesMin, data.count >= bytesMin else { return none }
        func byte(_ place: Int) -> UInt8 { text[text.count - 1 - place] }
        // Of each end of the text, how long an end of the text begins with it (backwards), other than itself.
        var borders = [Int32](repeating: 0, count: length)
        var border = 0
        for place in 1..<length {
            while border > 0, byte(place) != byte(border) { border = Int(borders[border - 1]) }
            if byte(place) == byte(border) { border += 1 }
            borders[place] = Int32(border)
        }
        var (matched, best, end) = (0, 0, 0)
        for place in data.indices.reversed() {
            while matched > 0, matched == length || data[place] != byte(matched) { matched = Int(borders[matched - 1]) }
            if data[place] == byte(matched) { matched += 1 }
            if matched > best { (best, end) = (matched, place + matched) }
        }
        var shared = end - best..<end
        while !shared.isEmpty, data[shared.lowerBound] & 0xC0 == 0x80 { shared = shared.lowerBound + 1..<end }
        guard shared.count >= bytesMin else { return none }
        return (text[..<(text.count - shared.count)], shared)
    }
}
