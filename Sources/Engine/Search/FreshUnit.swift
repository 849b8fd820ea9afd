internal import Base
internal import Documents
internal import FullText

/// A passage that has just been written, with what matching needs of it.
struct FreshPassage {
    /// Its number in the indexes.
    let entry: NodeID
    /// No numbers for a text that the model cannot read.
    let vector: [Float]
    let text: AnalyzedText
}

/// The passages of a node that has just been written, or the one of several that are gathered.
struct FreshUnit {
    let nodes: [NodeID]
    let passages: [FreshPassage]
    /// The words of its document; nil when that is no whole: each passage is its own then.
    var whole: WholeWords?
    /// Of each gathered node.
    private let nodeTexts: [AnalyzedText]

    init(_ unit: IndexedUnit, vectors: [[Float]], _ analyzed: (texts: [AnalyzedText], ofNodes: [AnalyzedText])) throws(ContexError) {
        guard vectors.count == unit.entries.count, analyzed.texts.count == vectors.count else {
            throw .damaged("'\(unit.records[0].nodeKey)' has \(unit.entries.count) passages and \(vectors.count) vectors")
        }
        nodes = unit.nodes
        passages = zip(unit.entries, zip(vectors, analyzed.texts)).map { FreshPassage(entry: $0, vector: $1.0, text: $1.1) }
        nodeTexts = analyzed.ofNodes
    }

    /// The node that a need's words stand in: of gathered ones that with the most of them, else the first.
    func node(answering weights: QueryWeights?) -> NodeID {
        guard let weights, !nodeTexts.isEmpty else { return nodes[0] }
        return nodes[weights.best(of: nodeTexts)]
    }
}

extension QueryWeights {
    /// The place of the text that has the most of the query; of equal ones the first.
    func best(of texts: [AnalyzedText]) -> Int {
        var (best, most) = (0, Float(0))
        for (place, text) in texts.enumerated() {
            let score = score(text)
            if score > most { (best, most) = (place, score) }
        }
        return best
    }
}
