// What of a document is found together: a long node has several passages, and neighbours that are too short to say what they are about (the
// sentences of a text, a heading and its first lines) have one together. Everything else, objects and rows above all, is a passage by itself.
//
// Made of the nodes alone, in their order, so that an export that is imported has the units that its documents had.

public import Base

/// A node with several passages, a node with one, or neighbours with one together.
public struct PassageUnit: Sendable, Equatable {
    /// Places among the nodes of the document.
    public let nodes: Range<Int>
    /// Of the one node; empty when it has one passage.
    public let passages: [PassageBounds]
    /// What stands above, by which it is found too.
    public let context: String

    public init(nodes: Range<Int>, passages: [PassageBounds], context: String) {
        self.nodes = nodes
        self.passages = passages
        self.context = context
    }
}

public enum PassageUnits {
    /// What a unit is made of.
    public struct Node {
        let kind: String
        let value: JSONValue

        public init(kind: String, value: JSONValue) {
            self.kind = kind
            self.value = value
        }
    }

    /// Bytes of each heading in a context.
    static let headingBytes = 120

    /// The units of a document's nodes.
    /// - Parameter isWhole: a vector of the publisher's stands for each node.
    /// - Complexity: O(size of the nodes x pieces of a passage).
    public static func units(of nodes: [Node], isWhole: Bool = false) -> [PassageUnit] {
        if isWhole { return nodes.indices.map { PassageUnit(nodes: $0..<$0 + 1, passages: [], context: "") } }
        var units: [PassageUnit] = []
        var gathering: [PassageCutter.Piece] = []
        var headings = Headings()
        var context = ""
        let size = size(for: nodes)
        let hasTitle = beginsWithTitle(nodes)
        /// Puts the nodes before `end` together.
        func gather(upTo end: Int) {
            guard !gathering.isEmpty else { return }
            let first = end - gathering.count
            let starts = gathering.count == 1 ? [0] : PassageCutter.cuts(gathering, gathering[0].bound == .sentence ? .sentences : .paragraphs)
            for (start, next) in zip(starts, starts.dropFirst() + [gathering.count]) {
                // The first group begins with the title of a text itself.
                let above = hasTitle && context.isEmpty && first + start > 0 ? headings.title : context
                units.append(PassageUnit(nodes: first + start..<first + next, passages: [], context: above))
            }
            gathering = []
        }
        for (place, node) in nodes.enumerated() {
            let isUnderHeading = place > 0 && nodes[place - 1].kind == NodeKind.heading.rawValue || hasTitle && place == 1
            guard let text = PassageGathering.text(of: node) else {
                gather(upTo: place)
                let leaves = PassageLeaf.all(of: node.value, kind: node.kind)
                let passages = PassageCutter.passages(leaves, kind: node.kind, size: size) ?? []
                let above = node.kind == NodeKind.codeBlock.rawValue ? headings.context : ""
                units.append(PassageUnit(nodes: place..<place + 1, passages: passages, context: above))
                continue
            }
            if hasTitle, place == 0 { headings.add(text) }
            if node.kind == NodeKind.heading.rawValue {
                gather(upTo: place)
                context = headings.title
                headings.add(text)
            }
            let tokens = TokenEstimate.tokens(text.utf8)
            guard tokens <= PassageSize.whole else {
                gather(upTo: place)
                context = headings.context
                let passages = PassageCutter.passages(PassageLeaf.all(of: .string(text)), kind: node.kind, size: size) ?? []
                units.append(PassageUnit(nodes: place..<place + 1, passages: passages, context: context))
                continue
            }
            if gathering.isEmpty, node.kind != NodeKind.heading.rawValue { context = place == 0 ? "" : headings.context }
            // What stands under a heading is not parted from it.
            let bound: PassageBound = node.kind == NodeKind.sentence.rawValue ? .sentence : isUnderHeading ? .space : .paragraph
            gathering.append(.init(start: .init(leaf: place, byte: 0), end: .init(leaf: place, byte: 1), tokens: max(1, tokens), bound: bound))
        }
        gather(upTo: nodes.count)
        return units
    }

    /// Whether the unit that begins with a node goes on with a text of which other units are before it, as far as its path tells: sentences,
    /// paragraphs and headings are numbered from 0. Rows, objects and blocks stand for themselves.
    public static func goesOn(path: String, kind: String) -> Bool {
        guard let kind = NodeKind(rawValue: kind), kind.isProse, let mark = path.utf8.lastIndex(of: UInt8(ascii: "_"))
        else { return false }
        let number = path.utf8[mark...].dropFirst()
        return !number.isEmpty && number.allSatisfy { $0 &- 0x30 < 10 } && !number.allSatisfy { $0 == UInt8(ascii: "0") }
    }

    /// Whether a text begins with a line that names it: short, and in a text of paragraphs no sentence.
    private static func beginsWithTitle(_ nodes: [Node]) -> Bool {
        guard nodes.count > 1, nodes[0].kind == NodeKind.sentence.rawValue || nodes[0].kind == NodeKind.paragraph.rawValue,
            nodes[1].kind == nodes[0].kind, let text = PassageGathering.text(of: nodes[0]), text.utf8.count <= headingBytes
        else { return false }
        return nodes[0].kind == NodeKind.sentence.rawValue || text.utf8.last.map { !".!?:;,".utf8.contains($0) } ?? false
    }

    private static func size(for nodes: [Node]) -> PassageSize {
        var bytes = 0
        for node in nodes { bytes += ContentBounds.bytes(of: node.value) }
        // No passage has fewer bytes than pieces.
        guard bytes > Limits.passagesPerDocument * PassageSize.standard.wished / 2 else { return .standard }
        return .forDocument(of: nodes.reduce(0) { $0 + PassageCutter.tokens(PassageLeaf.all(of: $1.value, kind: $1.kind)) })
    }

    /// The headings that stand above a node: the first of the document, which names it, and the last.
    private struct Headings {
        private var first: String?
        private var last: String?

        mutating func add(_ title: String) {
            if first == nil { first = title } else { last = title }
        }

        /// Of the document, "" before it came.
        var title: String { first.map { cut($0, to: headingBytes) } ?? "" }

        var context: String {
            let titles = [first, last].compactMap { $0 }.map { cut($0, to: headingBytes) }
            return titles.joined(separator: " › ")
        }

        private func cut(_ title: String, to bytes: Int) -> String {
            guard title.utf8.count > bytes else { return title }
            var cut = title.prefix(bytes)
            while cut.utf8.count > bytes { cut.removeLast() }
            return String(cut)
        }
    }
}

extension PassageSize {
    /// What sentences and short paragraphs are gathered into.
    static let sentences = PassageSize(wished: 160, largest: PassageSize.whole)
    static let paragraphs = PassageSize(wished: 64, largest: PassageSize.whole)
}

/// Which nodes are found with their neighbours.
enum PassageGathering {
    /// The text of a node of prose that is no entry of a log; nil of any other.
    static func text(of node: PassageUnits.Node) -> String? {
        guard let kind = NodeKind(rawValue: node.kind), kind.isProse,
            case .string(let text) = SearchText.unwrapped(node.value, kind: node.kind)
        else { return nil }
        if kind == .paragraph, LogEntries.begins(Array(text.utf8.prefix(160))[...]) { return nil }
        return text
    }
}
