// What packing shows of each candidate: the passage of a long node first, since that is what answers; then, with the tokens that are left when
// all that fits is chosen, the whole of the best, or as much around its passage as there is room for.

internal import Base
internal import Content
internal import Documents

struct PackedData {
    private let scale: TokenScale
    private let candidates: [FoundNode]
    private var values: [JSONValue?]
    private var passages: [JSONValue?]
    private var counts: [Int?]
    private var isWhole: [Bool]

    init(_ scale: TokenScale, _ candidates: [FoundNode]) {
        self.scale = scale
        self.candidates = candidates
        values = .init(repeating: nil, count: candidates.count)
        passages = .init(repeating: nil, count: candidates.count)
        counts = .init(repeating: nil, count: candidates.count)
        isWhole = candidates.map { if case .passages = $0.record.extent { scale.budget == .max } else { true } }
    }

    func isPassage(at place: Int) -> Bool { !isWhole[place] }

    /// As it is stored.
    mutating func value(at place: Int) throws(ContexError) -> JSONValue {
        if let known = values[place] { return known }
        let value = try EventData.parsed(candidates[place].record.data)
        values[place] = value
        return value
    }

    /// What the answer has of it.
    mutating func shown(at place: Int) throws(ContexError) -> JSONValue {
        if isWhole[place] { return MatchData.wrapped(try value(at: place)) }
        if let known = passages[place] { return known }
        let whole = try value(at: place)
        guard let shown = candidates[place].reduced(whole) else {
            isWhole[place] = true
            return MatchData.wrapped(whole)
        }
        passages[place] = shown
        return shown
    }

    mutating func tokens(at place: Int) throws -> Int {
        if let known = counts[place] { return known }
        let count = try scale.tokens(of: shown(at: place))
        counts[place] = count
        return count
    }

    mutating func head(at place: Int, tokensMax: Int) throws -> JSONValue? { try scale.head(of: shown(at: place), tokensMax: tokensMax) }

    /// Shows more of the first, as far as so many tokens go: the whole, or the passages around the one that was found.
    mutating func fill(_ tokens: Int, of places: [Int]) throws {
        var rest = tokens
        for place in places where !isWhole[place] {
            let passage = try self.tokens(at: place)
            let whole = try scale.tokens(of: MatchData.wrapped(value(at: place)))
            if whole != .max, whole - passage <= rest {
                rest -= whole - passage
                isWhole[place] = true
                counts[place] = whole
            } else {
                rest -= try widen(place, from: passage, by: rest)
            }
        }
    }

    /// - Returns: the tokens that were taken.
    private mutating func widen(_ place: Int, from passage: Int, by rest: Int) throws -> Int {
        let value = try value(at: place)
        let neighbours = candidates[place].neighbours
        var (taken, before, behind) = (0, 0, 0)
        func fits(_ before: Int, _ behind: Int) throws -> (data: JSONValue, tokens: Int)? {
            guard let data = candidates[place].reduced(value, before: before, behind: behind) else { return nil }
            let count = try scale.tokens(of: data)
            return count != .max && count - passage <= rest ? (data, count) : nil
        }
        // As many on both sides as fit, then what more fits behind.
        for step in [(1, 1), (0, 1)] {
            var (low, high) = (0, max(neighbours.before * step.0, neighbours.behind) + 1)
            while high - low > 1 {
                let middle = (low + high) / 2
                let next = (min(neighbours.before, before + middle * step.0), min(neighbours.behind, behind + middle * step.1))
                if let more = try fits(next.0, next.1) {
                    (passages[place], counts[place], taken, low) = (more.data, more.tokens, more.tokens - passage, middle)
                } else {
                    high = middle
                }
            }
            (before, behind) = (min(neighbours.before, before + low * step.0), min(neighbours.behind, behind + low * step.1))
        }
        return taken
    }
}
