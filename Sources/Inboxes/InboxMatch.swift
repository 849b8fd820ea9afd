public import Base

/// Why a node matched a need when an agent was told of it: what its similarity was made of then. Statistics move with every publish, so that nobody
/// can work it out afterwards.
public struct InboxMatch: Sendable, Equatable {
    public enum ExactWord: UInt8, Sendable {
        case rare = 1
        case alone = 2
    }

    /// The place of the need among the registration's.
    public let need: UInt32
    /// The node that is most like it.
    public let node: NodeID
    /// 1 hybrid, 2 semantic, 3 keyword.
    public let mode: UInt8
    public let similarity: Float
    /// What it had to be.
    public let threshold: Double
    /// nil when one of the two had no vector.
    public let cosine: Float?
    public let bm25: Float
    public let ceiling: Float
    public let cut: Float
    public let shareCut: Float
    public let exactWord: ExactWord?

    public init(
        need: UInt32, node: NodeID, mode: UInt8, similarity: Float, threshold: Double, cosine: Float?, bm25: Float, ceiling: Float, cut: Float,
        shareCut: Float, exactWord: ExactWord?
    ) {
        self.need = need
        self.node = node
        self.mode = mode
        self.similarity = similarity
        self.threshold = threshold
        self.cosine = cosine
        self.bm25 = bm25
        self.ceiling = ceiling
        self.cut = cut
        self.shareCut = shareCut
        self.exactWord = exactWord
    }

    static func encode(_ matches: [InboxMatch]) -> [UInt8] {
        var writer = ByteWriter(capacity: 44 * matches.count)
        for match in matches {
            writer.varint(UInt64(match.need))
            writer.u32(match.node.rawValue)
            writer.u8(match.mode)
            writer.u8(match.exactWord?.rawValue ?? 0)
            writer.bool(match.cosine != nil)
            writer.f64(match.threshold)
            writer.floats([match.similarity, match.cosine ?? 0, match.bm25, match.ceiling, match.cut, match.shareCut])
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> [InboxMatch] {
        var reader = ByteReader(bytes)
        var matches: [InboxMatch] = []
        while reader.remaining > 0 {
            let (need, node) = (UInt32(try reader.count(limit: Int(UInt32.max))), NodeID(rawValue: try reader.u32()))
            let (mode, exact, hasCosine) = (try reader.u8(), try reader.u8(), try reader.bool())
            guard (1...3).contains(mode), exact == 0 || ExactWord(rawValue: exact) != nil else {
                throw ContexError.damaged("an inbox tells of a match in a way that this build does not know")
            }
            let threshold = try reader.f64()
            let numbers = try reader.floats(6)
            matches.append(
                InboxMatch(
                    need: need, node: node, mode: mode, similarity: numbers[0], threshold: threshold, cosine: hasCosine ? numbers[1] : nil,
                    bm25: numbers[2], ceiling: numbers[3], cut: numbers[4], shareCut: numbers[5], exactWord: ExactWord(rawValue: exact)))
        }
        return matches
    }
}
