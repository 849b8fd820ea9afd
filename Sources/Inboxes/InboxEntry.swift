public import Base

/// Why an event concerned an agent.
public struct InboxEntry: Sendable, Equatable {
    public enum Reason: UInt8, Sendable, CaseIterable {
        /// A document that the agent did not follow matches one of its needs.
        case firstMatch = 1
        /// A document that it follows took new content.
        case update = 2
        /// A document that it followed is gone.
        case deletion = 3

        /// As answers say it.
        public var word: String {
            switch self {
            case .firstMatch: "first_match"
            case .update: "update"
            case .deletion: "deletion"
            }
        }
    }

    /// Of the project's log.
    public let sequence: Sequence
    public let reason: Reason
    /// The registration that the needs are of.
    public let agent: UInt32
    /// The places, among that registration's needs, of those that new nodes of the document match.
    public let needs: [UInt32]

    public init(sequence: Sequence, reason: Reason, agent: UInt32, needs: [UInt32]) {
        self.sequence = sequence
        self.reason = reason
        self.agent = agent
        self.needs = needs
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: 16)
        writer.u8(reason.rawValue)
        writer.u32(agent)
        writer.varint(UInt64(needs.count))
        for need in needs { writer.varint(UInt64(need)) }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8], sequence: Sequence) throws -> InboxEntry {
        var reader = ByteReader(bytes)
        guard let reason = Reason(rawValue: try reader.u8()) else {
            throw ContexError.damaged("an inbox has event \(sequence) for a reason that this build does not know")
        }
        let agent = try reader.u32()
        var needs: [UInt32] = []
        for _ in 0..<(try reader.count(limit: reader.remaining)) { needs.append(UInt32(try reader.count(limit: Int(UInt32.max)))) }
        try reader.end()
        return InboxEntry(sequence: sequence, reason: reason, agent: agent, needs: needs)
    }
}
