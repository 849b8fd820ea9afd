// What packing shows of each candidate: the passage of a long node first, since that is what answers; then, with the tokens that are left when
// all that fits is chosen, the whole of the best.

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

    /// Shows the whole of the first for which so many tokens are enough.
    mutating func fill(_ tokens: Int, of places: [Int]) throws {
        var rest = tokens
        for place in places where !isWhole[place] {
            let passage = try self.tokens(at: place)
            let whole = try scale.tokens(of: MatchData.wrapped(value(at: place)))
            guard whole != .max, whole - passage <= rest else { continue }
            rest -= whole - passage
            isWhole[place] = true
            counts[place] = whole
        }
    }
}
