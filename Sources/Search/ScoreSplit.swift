/// Where scores fall into two groups: those that mean something, and the others.
///
/// Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and Cybernetics 9(1), 1979: the cut at which the
/// two groups differ the most, measured by how much of the variance of all scores lies between them.
public enum ScoreSplit {
    /// What part of the variance must lie between the groups, so that they are two: of evenly spread scores 0.75 does, of a normal heap 0.64.
    static let least = 0.8
    static let scoresMin = 8

    /// The middle of the gap between the groups, in hundredths; nil for a few scores, or when they are one group.
    /// - Complexity: O(scores x log scores).
    public static func threshold(_ scores: [Double]) -> Double? {
        let sorted = scores.sorted()
        guard sorted.count >= scoresMin, let last = sorted.last, last > sorted[0] else { return nil }
        let (count, sum) = (Double(sorted.count), sorted.reduce(0, +))
        let variance = sorted.reduce(0) { $0 + ($1 - sum / count) * ($1 - sum / count) } / count
        var (below, best, cut) = (0.0, 0.0, 0)
        for place in 1..<sorted.count {
            below += sorted[place - 1]
            let (low, high) = (below / Double(place), (sum - below) / (count - Double(place)))
            let between = Double(place) * (count - Double(place)) / (count * count) * (high - low) * (high - low)
            if between > best { (best, cut) = (between, place) }
        }
        guard cut > 0, best >= least * variance else { return nil }
        return ((sorted[cut - 1] + sorted[cut]) / 2 * 100).rounded() / 100
    }
}
