package import Base
internal import Content
internal import Documents
internal import FullText
internal import Hashing
internal import Synchronization

extension Command {
    /// A document takes new content.
    package struct Publish: Sendable {
        struct Node: Sendable {
            let identity: NodeIdentity
            let tokenCount: Int
        }
        /// A node with its passages, or neighbours that have one together.
        struct Unit: Sendable {
            let nodes: [Node]
            /// Of the one node, when it has more than one.
            let passages: [PassageBounds]
            /// Of each passage: by the model, or the publisher's own, as an index stores it; no numbers for a text that the model cannot read. nil where
            /// the document had this unit when the command was prepared.
            let vectors: [[Float]]?
            /// What the text index takes of each passage, and of each gathered node, by the analyser that the project had then. Not part of the
            /// command.
            var texts: [AnalyzedText] = []
            var nodeTexts: [AnalyzedText] = []
        }

        let tenant: TenantID
        let project: Name
        let key: Name
        /// The event's name.
        let eventType: String
        /// The publisher's hint, else what was found.
        let eventFormat: String
        /// What the data was split as.
        let format: String
        /// JSON, compact.
        let data: [UInt8]
        /// The publisher's own, of unit length.
        let vector: [Float]?
        /// JSON, compact: empty without metadata.
        let metadata: [UInt8]
        let publisher: Publisher?
        let fingerprint: SHA256Digest
        let units: [Unit]
        let routing: Routing
        package let time: Timestamp
        /// When the document ends by itself; nil: never.
        var expiresAt: Timestamp?
        /// What the texts of the nodes went through. Not part of the command.
        var analyzer: Analyzer?
        /// For the receipt. Not part of the command.
        var note: String?
        /// What of the same call has to come again, so that this may not go before it. Not part of the command.
        var delayed: DelayedKeys?
    }
}

/// The keys of one call whose publishes have to come again.
final class DelayedKeys: Sendable {
    private let keys = Mutex<[Name: Set<Name>]>([:])

    func contains(_ command: Command.Publish) -> Bool { keys.withLock { $0[command.project]?.contains(command.key) ?? false } }
    func insert(_ command: Command.Publish) { keys.withLock { _ = $0[command.project, default: []].insert(command.key) } }
}

extension Command.Publish.Unit {
    func records(document: DocumentID, key: Name) -> [NodeRecord] {
        nodes.enumerated().map { place, node in
            let identity = node.identity
            return NodeRecord(
                document: document, documentKey: key.text, path: identity.path, kind: identity.kind, format: identity.format,
                description: identity.description.text, data: identity.data, tokenCount: node.tokenCount, hasOwnVector: identity.ownVector != nil,
                context: identity.context.text, extent: .init(of: place, in: nodes.count, passages), unread: place == 0 ? (vectors ?? []).unread : [])
        }
    }
}

extension [[Float]] {
    /// The places of those that are none.
    package var unread: [Int] { indices.filter { self[$0].isEmpty } }
}

extension NodeExtent {
    /// Of a node of a unit.
    package init(of place: Int, in count: Int, _ passages: [PassageBounds]) {
        self = !passages.isEmpty ? .passages(passages) : count == 1 ? .whole : .gathered(place: place, count: count)
    }
}
