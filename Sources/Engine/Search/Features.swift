// What the text index knows of a query, as the calibration (Search) asks for it.

public import FullText
public import Search

extension TextStatistics {
    var features: ProjectFeatures { ProjectFeatures(documents: beginnings, typicalLength: typicalLength) }
}

extension QueryWeights {
    var shareCut: Float { Calibration.shareCut(documents: statistics.documents) }

    public var features: QueryFeatures {
        QueryFeatures(project: statistics.features, ceiling: ceiling, deviation: deviation, knownShare: knownShare)
    }
}

extension ExactWord {
    init(_ rarity: Rarity) {
        switch rarity {
        case .rare: self = .rare
        case .alone: self = .alone
        }
    }
}
