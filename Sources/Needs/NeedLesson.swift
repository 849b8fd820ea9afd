// What an agent says of what it was told, and the cut that its need gets of it.
//
// A need is told of a node from a similarity on: its min_similarity, or the server's threshold. Similarities are calibrated for needs in general; one
// need may do better with another cut. What its agent says of its deliveries (useful, or not) moves it:
//
//     cut   = sigmoid(logit(usual) + shift)
//     shift = i / 8, where i is of -10...20 the one that costs least, of equal ones the one nearest to 0:
//     cost  = 16 wrong + i^2 - (useless - 4 useful) i
//
// wrong counts the verdicts that the cut would have decided otherwise: useful ones that it would have kept from the agent, and others that it would
// have told. i^2 holds it back: for one wrong delivery less it goes half a unit of log-odds, for four one. The last part moves it where no cut parts
// the verdicts: up for what is not useful, by a sixteenth each, and down for what is, by a quarter, since of what lies below the cut nothing is
// delivered and so nothing can be said. Chosen by simulation: docs/decisions/0108-needs-learn.md.
//
// In log-odds, since there a similarity is a sum (Search/Calibration.swift): a shift of the cut is the same for a low one and a high one, and the same
// as if the need's calibration were another. In eighths, so that needs of one text, however many agents learn, are at most as many as there are steps.
//
// The shift is made of the verdicts that are kept and of nothing else. So the order in which they come, a verdict that is given twice, changed or taken
// back leave nothing behind.

public import Base
internal import KeySpace
public import LMDB

/// What an agent said of deliveries of one of its needs.
public struct NeedLesson: Sendable, Equatable {
    public struct Verdict: Sendable, Equatable {
        /// Of the delivery.
        public let sequence: Sequence
        /// That it had.
        public let similarity: Float
        public let isUseful: Bool

        public init(sequence: Sequence, similarity: Float, isUseful: Bool) {
            self.sequence = sequence
            self.similarity = similarity
            self.isUseful = isUseful
        }
    }

    /// Verdicts of a need; the oldest deliveries' go first.
    public static let verdictsMax = 32
    /// Needs of an agent that may have some: its record is read with everything that it is told.
    public static let needsMax = 64

    /// The place of the need among the agent's.
    public internal(set) var need: UInt32
    /// What the similarity had to be without any verdict, when the last one was given.
    public internal(set) var usual: Double
    /// By rising sequence, each once.
    public private(set) var verdicts: [Verdict]

    public init(need: UInt32, usual: Double) {
        self.need = need
        self.usual = usual
        verdicts = []
    }

    // MARK: - The cut

    /// Of log-odds.
    private static let step = 0.125
    private static let reach = -10...20
    public static let bounds = Double(reach.lowerBound) * step...Double(reach.upperBound) * step

    public var useful: Int { verdicts.count { $0.isUseful } }

    /// How far the cut is moved, in log-odds; up when what was told was not useful.
    public var shift: Double {
        let usual = Self.odds(usual)
        let odds = verdicts.map { (Self.odds(Double($0.similarity)) - usual, $0.isUseful) }
        let pull = verdicts.count - 5 * useful
        var best = (cost: Int.max, place: 0)
        for place in Self.reach.sorted(by: { (abs($0), $0) < (abs($1), $1) }) {
            let cut = Double(place) * Self.step
            let wrong = odds.count { ($0 < cut) == $1 }
            let cost = 16 * wrong + place * place - pull * place
            if cost < best.cost { best = (cost, place) }
        }
        return Double(best.place) * Self.step
    }

    /// nil: what it is without verdicts.
    public var cut: Double? {
        let shift = shift
        return shift == 0 ? nil : 1 / (1 + PortableMath.exp(-(Self.odds(usual) + shift)))
    }

    /// What lies at an end of the scale has none, and is taken to lie near it.
    private static func odds(_ similarity: Double) -> Double {
        let similarity = min(max(similarity, 0.01), 0.99)
        return PortableMath.log(similarity / (1 - similarity))
    }

    // MARK: - Verdicts

    /// Takes the place of an earlier one of the same delivery.
    mutating func add(_ verdict: Verdict) {
        verdicts.removeAll { $0.sequence == verdict.sequence }
        verdicts.insert(verdict, at: verdicts.firstIndex { $0.sequence > verdict.sequence } ?? verdicts.count)
        if verdicts.count > Self.verdictsMax { verdicts.removeFirst() }
    }

    mutating func remove(_ sequence: Sequence) { verdicts.removeAll { $0.sequence == sequence } }

    // MARK: - Bytes

    static func write(_ lessons: [NeedLesson], to writer: inout ByteWriter) {
        writer.varint(UInt64(lessons.count))
        for lesson in lessons {
            writer.varint(UInt64(lesson.need))
            writer.f64(lesson.usual)
            writer.varint(UInt64(lesson.verdicts.count))
            for verdict in lesson.verdicts {
                writer.varint(verdict.sequence.rawValue)
                writer.floats([verdict.similarity])
                writer.bool(verdict.isUseful)
            }
        }
    }

    static func read(_ reader: inout ByteReader) throws -> [NeedLesson] {
        var lessons: [NeedLesson] = []
        for _ in 0..<(try reader.count(limit: needsMax)) {
            var lesson = NeedLesson(need: UInt32(try reader.count(limit: Int(UInt32.max))), usual: try reader.f64())
            for _ in 0..<(try reader.count(limit: verdictsMax)) {
                let sequence = Sequence(rawValue: try reader.varint())
                let similarity = try reader.floats(1)[0]
                lesson.verdicts.append(Verdict(sequence: sequence, similarity: similarity, isUseful: try reader.bool()))
            }
            lessons.append(lesson)
        }
        return lessons
    }
}

extension AgentRecord {
    /// What is asked of a match of one of its needs.
    package func matching(_ need: Int) -> NeedSettings {
        var matching = settings.ofMatching
        if let cut = lessons.first(where: { $0.need == need })?.cut { matching.minSimilarity = cut }
        return matching
    }

    /// What it said of a delivery; nil: nothing.
    package func verdict(of sequence: Sequence, need: UInt32) -> Bool? {
        lessons.first { $0.need == need }?.verdicts.first { $0.sequence == sequence }?.isUseful
    }

    /// What was learned of needs that it has still, with their places now; it is another one's where settings or words differ.
    public mutating func inherit(_ before: AgentRecord) {
        guard !before.lessons.isEmpty, before.settings.ofMatching == settings.ofMatching else { return }
        var places: [ExactText: Int] = [:]
        for (place, text) in needs.enumerated() { places[ExactText(text)] = place }
        lessons = before.lessons.compactMap { lesson in
            guard before.needs.indices.contains(Int(lesson.need)), let place = places[ExactText(before.needs[Int(lesson.need)])] else { return nil }
            var lesson = lesson
            lesson.need = UInt32(place)
            return lesson
        }.sorted { $0.need < $1.need }
    }

    /// Notes a verdict.
    /// - Parameter usual: what the similarity has to be of needs that do not say it.
    /// - Returns: false when it is known.
    /// - Throws: `.limited` when too many needs have some.
    package mutating func learn(_ verdict: NeedLesson.Verdict, of need: UInt32, usual: Double) throws -> Bool {
        let place = lessons.firstIndex { $0.need >= need } ?? lessons.count
        var lesson = place < lessons.count && lessons[place].need == need ? lessons[place] : NeedLesson(need: need, usual: usual)
        let before = lesson
        lesson.add(verdict)
        guard lesson != before else { return false }
        lesson.usual = settings.minSimilarity ?? usual
        if !before.verdicts.isEmpty {
            lessons[place] = lesson
            return true
        }
        guard lessons.count < NeedLesson.needsMax else {
            throw ContexError(
                .limited,
                "Of \(NeedLesson.needsMax) needs of agent '\(name)' something was said already, which is the most: take back what was said of another one")
        }
        lessons.insert(lesson, at: place)
        return true
    }

    /// Forgets verdicts: of one need, or of all; of one delivery, or of all.
    /// - Returns: how many there were.
    package mutating func forget(need: UInt32?, sequence: Sequence?) -> Int {
        func count() -> Int { lessons.reduce(0) { $0 + $1.verdicts.count } }
        let before = count()
        lessons = lessons.compactMap { lesson in
            guard need == nil || lesson.need == need else { return lesson }
            guard let sequence else { return nil }
            var lesson = lesson
            lesson.remove(sequence)
            return lesson.verdicts.isEmpty ? nil : lesson
        }
        return before - count()
    }
}

extension NeedStore {
    /// Rewrites an agent's record, and moves those of its needs whose cut has become another: a need has as followers only who asks it with the same
    /// cut, so that one agent's verdicts move nobody else's, and the index of needs holds them as it holds any.
    /// - Parameter places: of the needs that it may be.
    /// - Returns: the needs that it asks now and did not ask before.
    public func relearn(_ agent: AgentRecord, _ places: Set<UInt32>, in transaction: inout WriteTransaction) throws -> [NeedRecord] {
        guard let own = try agentNeeds(agent.number, in: transaction.view), own.numbers.count == agent.needs.count else {
            throw ContexError.damaged("agent '\(agent.name)' has other needs than its record says: run 'contex check'")
        }
        var numbers = own.numbers
        var moved: [NeedRecord] = []
        for place in places.sorted() where numbers.indices.contains(Int(place)) {
            let number = numbers[Int(place)]
            guard let need = try need(number, in: transaction.view) else {
                throw ContexError.damaged("agent '\(agent.name)' has need number \(number), which is not there: run 'contex check'")
            }
            let wanted = agent.matching(Int(place))
            guard need.settings != wanted else { continue }
            let record = NeedRecord(agent: agent.number, index: place, text: need.text, vector: need.vector, terms: need.terms, settings: wanted)
            // Its new number first: so the lists of its words stay.
            numbers[Int(place)] = try self.number(of: record.standing, in: &transaction)
            try enter(agent.number, asking: numbers[Int(place)], as: place, in: &transaction)
            try leave(agent.number, number, in: &transaction)
            moved.append(record)
        }
        if !moved.isEmpty {
            try transaction.store(scope.key(.agentNeeds, agent.number), AgentNeeds(name: own.name, numbers: numbers).encode())
        }
        try update(agent, in: &transaction)
        return moved
    }
}

extension AgentRecord {
    /// What is wrong with its lessons, in a sentence.
    var lessonFinding: String? {
        let isSound = lessons.allSatisfy { lesson in
            let sequences = lesson.verdicts.map(\.sequence)
            return needs.indices.contains(Int(lesson.need)) && !sequences.isEmpty && sequences.count <= NeedLesson.verdictsMax
                && zip(sequences, sequences.dropFirst()).allSatisfy { $0 < $1 } && (0...1).contains(lesson.usual)
        }
        let places = lessons.map(\.need)
        guard isSound, lessons.count <= NeedLesson.needsMax, zip(places, places.dropFirst()).allSatisfy({ $0 < $1 }) else {
            return "agent '\(name)' has verdicts of needs that it does not have, or out of order"
        }
        return nil
    }
}
