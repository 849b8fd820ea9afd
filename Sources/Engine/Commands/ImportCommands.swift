internal import Base
internal import Documents

extension Command {
    /// An export document takes the place of a project's sections, or fills them.
    package struct ImportProject: Sendable {
        struct Event: Sendable {
            let type: String
            /// JSON, compact: what the event shows, or what was published when it is the publish of a key.
            let data: [UInt8]
            /// The key that it publishes; nil for an event that is kept as it is.
            let key: Name?
            let vector: [Float]?
            let metadata: [UInt8]
        }
        struct Node: Sendable {
            let path: String
            let kind: String
            let format: String
            let description: String
            /// JSON, compact.
            let data: [UInt8]
            let tokenCount: Int
        }
        /// As that of a publish.
        struct Unit: Sendable {
            let nodes: [Node]
            let passages: [PassageBounds]
            let context: String
            /// Of each passage; no numbers for a text that the model cannot read.
            let vectors: [[Float]]
            /// The vector came with the document.
            let hasOwnVector: Bool
        }
        struct Document: Sendable {
            let key: Name
            let units: [Unit]
            /// nil: the nodes say nothing, the last event does.
            let metadata: [UInt8]?
        }

        let tenant: TenantID
        let project: Name
        /// Replaces the sections that are there.
        let overwrites: Bool
        /// nil when the section is absent, which is not the same as empty.
        let events: [Event]?
        let hasNodes: Bool
        let documents: [Document]
        let publisher: Publisher?
        let routing: Routing
        let time: Timestamp
    }
}

extension Command.ImportProject.Unit {
    func records(document: DocumentID, key: Name) -> [NodeRecord] {
        nodes.enumerated().map { place, node in
            NodeRecord(
                document: document, documentKey: key.text, path: node.path, kind: node.kind, format: node.format, description: node.description,
                data: node.data, tokenCount: node.tokenCount, hasOwnVector: hasOwnVector, context: context,
                extent: .init(of: place, in: nodes.count, passages), unread: place == 0 ? vectors.unread : [])
        }
    }
}
