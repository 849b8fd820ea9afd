// Which needs a fresh text may reach: all whose bound reaches their threshold, by one walk over limits and codes.
//
//     most odds = cosine weight x most cosine + text weight x text(most words) - least cut
//
// most cosine from the code (NeedCode.swift), most words from the lists of the text's terms (ck_needs_add), the ceiling that divides them from the
// need's limits. The least cut has a part that is the need's own: how near it lies to the project's mean. The walk leaves it out at first; for
// needs that are left it is bounded from below by the product of their code with the mean.
//
// Costs: a need's code is read once for all texts that are looked at together (192 bytes at 384 dimensions, in order), and each product takes some 10 ns.
// A codes record is checked against its seal when it is met for the first time, and again when it has changed, by the seal's number.

internal import Base
internal import CKernels
internal import KeySpace
public import LMDB
internal import Synchronization

/// A fresh text, held against all needs.
public struct NeedProbe: Sendable {
    public struct Word: Sendable {
        let term: [UInt8]
        /// The most that it adds to the score of a need for each time that the need says it.
        let most: Float
        /// Few texts have it.
        let isRare: Bool

        /// - Parameter term: its bytes.
        public init(_ term: [UInt8], most: Float, isRare: Bool) {
            self.term = term
            self.most = most
            self.isRare = isRare
        }
    }

    /// No numbers for a text that the model cannot read.
    let vector: [Float]
    let words: [Word]

    public init(vector: [Float], words: [Word]) {
        self.vector = vector
        self.words = words
    }
}

/// How needs are scored where they do not say otherwise, and the numbers of the calibration.
public struct NeedRule: Sendable {
    public var mode: NeedSettings.Mode
    public var threshold: Double
    public var cosine: Float
    public var text: Float
    public var points: Float
    public var coverage: Float
    public var textMax: Float
    public var shareCut: Float
    /// ln(texts + 1)
    public var logDocuments: Float
    /// The mean of the project's vectors, nil when there is none.
    public var mean: [Float]?
    /// What the cut of a need is at least whose cosine to the mean is at least this; rises with it.
    public var leastCut: @Sendable (Float) -> Float

    public init(
        mode: NeedSettings.Mode, threshold: Double, cosine: Float, text: Float, points: Float, coverage: Float, textMax: Float, shareCut: Float,
        logDocuments: Float, mean: [Float]?, leastCut: @escaping @Sendable (Float) -> Float
    ) {
        self.mode = mode
        self.threshold = threshold
        self.cosine = cosine
        self.text = text
        self.points = points
        self.coverage = coverage
        self.textMax = textMax
        self.shareCut = shareCut
        self.logDocuments = logDocuments
        self.mean = mean
        self.leastCut = leastCut
    }
}

/// A need that a text may match, and what is known of the two.
public struct NeedCandidate: Sendable {
    public let number: UInt32
    /// The most that the text's words score for it; 0 when they share none.
    let words: Float
    /// The least that its ceiling is.
    let ceiling: Float
    let threshold: Double
    let mode: NeedSettings.Mode
    let hasVectors: Bool
    /// They share a rare exact word, which is enough.
    var hasExactWord = false

    /// Whether it still may, with the true cosine.
    /// - Parameters:
    ///   - words: the most that the text's words score for it, where more is known than the index knew.
    ///   - leastCut: what its cut is at least.
    public func mayMatch(cosine: Float, words known: Float? = nil, leastCut: Float, _ rule: NeedRule) -> Bool {
        if hasExactWord { return true }
        guard let comparison = Comparison(mode, hasVectors: hasVectors) else { return false }
        let limit = comparison.limit(threshold)
        // What is known by other sums than the index's may be less by the rounding of either.
        let words = known.map { min(self.words, $0 * 1.0001 + 1e-4) } ?? self.words
        let share = min(1.2, words / max(ceiling, 1e-3))
        switch comparison {
        case .cosine: return cosine >= limit
        case .share: return share >= limit
        case .words: return words > 0 && share / (share + rule.shareCut) >= limit
        case .odds:
            let evidence = words / rule.points + rule.coverage * share
            return rule.cosine * cosine + rule.text * (evidence / (1 + evidence / rule.textMax)) - leastCut >= limit
        }
    }

    /// Whether its words have a say in whether it matches.
    public var dependsOnWords: Bool { !hasExactWord && words > 0 && mode != .semantic }
}

/// Which codes records were found sound.
public final class NeedMemory: Sendable {
    /// Of each record the seal's number, and one bit that says that there is one.
    private let seals = Mutex<[TenantScope: [UInt64]]>([:])

    public init() {}

    /// Lends what is known of a project; what two learn at once, one of them learns again.
    func withSeals<T>(_ scope: TenantScope, _ body: (inout [UInt64]) throws -> T) rethrows -> T {
        var own = seals.withLock { $0.removeValue(forKey: scope) } ?? []
        defer { seals.withLock { [own] in $0[scope] = own } }
        return try body(&own)
    }
}

/// How a need is held against a text.
private enum Comparison: Int32, CaseIterable {
    case odds = 0
    case cosine = 1
    case share = 2
    case words = 3

    /// nil: it cannot match.
    init?(_ mode: NeedSettings.Mode, hasVectors: Bool) {
        switch mode {
        case .hybrid: self = hasVectors ? .odds : .words
        case .semantic:
            guard hasVectors else { return nil }
            self = .cosine
        case .keyword: self = .share
        }
    }

    /// What a bound must reach for a threshold, less what arithmetic may be off by.
    func limit(_ threshold: Double) -> Float {
        guard self == .odds else { return Float(threshold) - 1e-4 }
        // Near 1 a similarity is rounded by more than this knows of.
        let threshold = min(threshold, 0.9999)
        return threshold > 0 ? Float(PortableMath.log(threshold / (1 - threshold))) - 0.02 : -.infinity
    }
}

extension NeedStore {
    /// Texts that are held against a need while its code is at hand.
    private static let together = 8

    /// For each text the needs that it may match, by rising number; all others it does not.
    /// - Complexity: O(needs x texts), about 15 ns each, and the lists of the texts' terms.
    public func candidates(
        _ probes: [NeedProbe], _ rule: NeedRule, _ memory: NeedMemory, in view: borrowing TransactionView
    ) throws -> [[NeedCandidate]] {
        let state = try state(in: view)
        guard state.count > 0 else { return probes.map { _ in [] } }
        guard try Int(state.slots) <= view.entryCount() else { throw NeedScan.damaged("it counts \(state.slots) numbers, more than there are records") }
        var found: [[NeedCandidate]] = []
        try memory.withSeals(scope) { seals in
            for start in stride(from: 0, to: probes.count, by: Self.together) {
                let scan = NeedScan(self, state, Array(probes[start..<min(probes.count, start + Self.together)]), rule)
                found += try scan.run(&seals, in: view)
            }
        }
        return found
    }
}

/// One walk.
@safe
private struct NeedScan: ~Copyable {
    let store: NeedStore
    let state: NeedStore.State
    let probes: [NeedProbe]
    let rule: NeedRule
    private let queries: [NeedQuery?]
    private let mean: NeedQuery?
    /// Of each text, of each number: what words add at most.
    private let words: UnsafeMutablePointer<Float>
    /// Numbers, to the end of the last block.
    private let room: Int
    private let level = ck_codes_level()

    init(_ store: NeedStore, _ state: NeedStore.State, _ probes: [NeedProbe], _ rule: NeedRule) {
        self.store = store
        self.state = state
        self.probes = probes
        self.rule = rule
        let padded = Int(state.padded)
        queries = probes.map { $0.vector.isEmpty || NeedCode.padded($0.vector.count) != padded ? nil : NeedQuery($0.vector) }
        mean = rule.mean.flatMap { NeedCode.padded($0.count) == padded ? NeedQuery($0) : nil }
        room = (Int(state.slots) + NeedLimits.needs - 1) / NeedLimits.needs * NeedLimits.needs
        unsafe words = .allocate(capacity: room * probes.count)
        unsafe words.initialize(repeating: 0, count: room * probes.count)
    }

    deinit { unsafe words.deallocate() }

    func run(_ seals: inout [UInt64], in view: borrowing TransactionView) throws -> [[NeedCandidate]] {
        var exact: [[UInt32]] = []
        for place in probes.indices { exact.append(try addWords(of: place, in: view)) }
        var found = probes.map { _ in [NeedCandidate]() }
        try walk(&seals, &found, in: view)
        return zip(found, exact).map { found, exact in
            let exact = Set(exact)
            let reached = found.filter { !exact.contains($0.number) }
            let sure = exact.map {
                NeedCandidate(number: $0, words: 0, ceiling: 0, threshold: 0, mode: .hybrid, hasVectors: false, hasExactWord: true)
            }
            // The walk meets a number once for each way of comparing, and each need is compared in one way.
            return (reached + sure).sorted { $0.number < $1.number }
        }
    }

    /// - Returns: the needs that share a rare exact word, whatever else.
    private func addWords(of place: Int, in view: borrowing TransactionView) throws -> [UInt32] {
        var exact: [UInt32] = []
        let sums = unsafe words + place * room
        let cursor = try TableCursor(view)
        for word in probes[place].words {
            let prefix = store.termPrefix(word.term)
            var next = try cursor.ceiling(prefix)
            while let entry = next, entry.key.byteCount == prefix.count + 4, entry.key.starts(with: prefix) {
                let first = unsafe entry.key.unsafeLoadUnaligned(fromByteOffset: prefix.count, as: UInt32.self).bigEndian
                let list = try Seal.open(key: entry.key, value: entry.value, version: 1)
                guard list.byteCount > 0 else { throw Self.damaged("a list of needs is empty") }
                var numbers = [UInt32](repeating: 0, count: word.isRare ? list.byteCount : 0)
                var count = 0
                let isSound = unsafe list.withUnsafeBytes { bytes in
                    unsafe numbers.withUnsafeMutableBufferPointer { numbers in
                        unsafe ck_needs_add(
                            bytes.baseAddress! + 1, bytes.count - 1, first, state.slots, word.most, sums, word.isRare ? numbers.baseAddress : nil, &count)
                    }
                }
                guard isSound == 1 else { throw Self.damaged("a list of needs does not rise, or names one that there is not") }
                exact += numbers.prefix(count)
                next = try cursor.next()
            }
        }
        return exact
    }

    private func bound(_ query: NeedQuery?) -> ck_need_bound {
        ck_need_bound(
            scale: query?.scale ?? 0, zero: query?.zero ?? 0, norm: query?.norm ?? 0, error: query?.error ?? 0, cosine: rule.cosine, text: rule.text,
            points: rule.points, coverage: rule.coverage, text_max: rule.textMax, cut: rule.leastCut(-1), share_cut: rule.shareCut,
            log_texts: rule.logDocuments)
    }

    private func walk(_ seals: inout [UInt64], _ found: inout [[NeedCandidate]], in view: borrowing TransactionView) throws {
        let bounds = queries.map { bound($0) }
        let looseCut = rule.leastCut(-1)
        let usual = Comparison.allCases.map { $0.limit(rule.threshold) }
        let needs = NeedLimits.needs
        let size = Int(state.padded) / 2
        var products = [Int32](repeating: 0, count: needs)
        var most = [Float](repeating: 0, count: needs)
        // The two kinds of records lie apart, each in order.
        let limitsCursor = try TableCursor(view)
        let codesCursor = try TableCursor(view)
        var nextLimits = try limitsCursor.ceiling(store.scope.key(.needLimits))
        var nextCodes = try codesCursor.ceiling(store.scope.key(.needCodes))
        let limitsPrefix = store.scope.key(.needLimits)
        let codesPrefix = store.scope.key(.needCodes)
        for block in 0..<room / needs {
            guard let entry = nextLimits, entry.key.byteCount == limitsPrefix.count + 4, entry.key.starts(with: limitsPrefix),
                Self.number(entry.key) == UInt32(block)
            else { throw Self.damaged("block \(block) of needs has no limits") }
            let limits = try Seal.open(key: entry.key, value: entry.value, version: 1)
            let count = limits.byteCount / NeedLimits.bytes
            guard limits.byteCount % NeedLimits.bytes == 0, count <= needs else { throw Self.damaged("block \(block) of needs has broken limits") }
            let kinds = 10 * count
            func kind(_ place: Int) -> NeedKind { NeedKind(rawValue: unsafe limits.unsafeLoad(fromByteOffset: kinds + place, as: UInt8.self)) }
            // Of how many needs there is a code: it ends with the last one that has a vector.
            var coded = 0
            var codes = RawSpan()
            if let entry = nextCodes, entry.key.byteCount == codesPrefix.count + 4, entry.key.starts(with: codesPrefix),
                Self.number(entry.key) == UInt32(block)
            {
                codes = try Self.opened(entry.key, entry.value, block, &seals)
                coded = codes.byteCount / (size + 8)
                guard size > 0, codes.byteCount % (size + 8) == 0, coded <= count else { throw Self.damaged("block \(block) of needs has broken codes") }
                nextCodes = try codesCursor.next()
                // The codes of a block are four pages, at each of which the processor would begin anew to guess what comes: while these are
                // multiplied, the next are on their way.
                if let entry = nextCodes { unsafe entry.value.withUnsafeBytes { unsafe ck_prefetch_bytes($0.baseAddress, min($0.count, needs * (size + 8))) } }
            }
            // Most blocks are of needs that have a vector and say nothing else.
            let isPlain = unsafe limits.withUnsafeBytes { bytes in unsafe bytes[kinds...].reduce(UInt8(0)) { $0 | ($1 ^ NeedKind.plain) } } == 0
            var isEmpty = count == 0
            if isPlain {
                guard coded == count else { throw Self.damaged("a need of block \(block) has no code") }
            } else {
                isEmpty = true
                for place in 0..<count where kind(place).isUsed {
                    isEmpty = false
                    if kind(place).hasVector, place >= coded { throw Self.damaged("a need of block \(block) has no code") }
                }
            }
            for place in probes.indices where !isEmpty {
                let hasQuery = queries[place] != nil && coded > 0
                if hasQuery { multiply(queries[place]!, codes, coded, size, &products) }
                for comparison in Comparison.allCases {
                    if isPlain, Comparison(rule.mode, hasVectors: queries[place] != nil) != comparison { continue }
                    let isOfCodes = comparison == .odds || comparison == .cosine
                    if isOfCodes, !hasQuery { continue }
                    let compared = isOfCodes ? coded : count
                    let sums = unsafe words + place * room + block * needs
                    unsafe withUnsafePointer(to: bounds[place]) { bound in
                        unsafe codes.withUnsafeBytes { codes in
                            unsafe limits.withUnsafeBytes { limits in
                                let (codes, limits) = (codes.baseAddress, limits.baseAddress!)
                                unsafe ck_needs_most(
                                    comparison.rawValue, bound, products, codes.map { unsafe $0 + coded * size },
                                    codes.map { unsafe $0 + coded * (size + 4) }, sums, limits, limits + 8 * count, compared, &most)
                            }
                        }
                    }
                    let limit = usual[Int(comparison.rawValue)]
                    for own in 0..<compared where isPlain ? most[own] >= limit : true {
                        let kind = kind(own)
                        let mode = kind.mode ?? rule.mode
                        let hasVectors = kind.hasVector && queries[place] != nil
                        var (threshold, limit) = (rule.threshold, limit)
                        if !isPlain {
                            guard kind.isUsed, Comparison(mode, hasVectors: hasVectors) == comparison else { continue }
                            if kind.hasThreshold {
                                // The number of the record is rounded.
                                threshold = Double(Float(bitPattern: Self.little(limits, 4 * (count + own)))) - 1e-6
                                limit = comparison.limit(threshold)
                            }
                            guard most[own] >= limit else { continue }
                        }
                        if comparison == .odds, let mean {
                            let near = leastCosine(mean, codes, own, coded, size)
                            guard most[own] - (rule.leastCut(near) - looseCut) >= limit else { continue }
                        }
                        let length = Float(unsafe limits.unsafeLoadUnaligned(fromByteOffset: 8 * count + 2 * own, as: UInt16.self).littleEndian)
                        found[place].append(
                            NeedCandidate(
                                number: UInt32(block * needs + own), words: unsafe sums[own],
                                ceiling: length * rule.logDocuments - Float(Self.little(limits, 4 * own)) / 256, threshold: threshold, mode: mode,
                                hasVectors: hasVectors))
                    }
                }
            }
            nextLimits = try limitsCursor.next()
        }
    }

    private func multiply(_ query: NeedQuery, _ codes: RawSpan, _ count: Int, _ size: Int, _ products: inout [Int32]) {
        unsafe codes.withUnsafeBytes { bytes in
            let start = unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
            unsafe withUnsafeTemporaryAllocation(of: Optional<UnsafePointer<UInt8>>.self, capacity: NeedLimits.needs) { places in
                for place in 0..<count { unsafe places[place] = start + place * size }
                unsafe ck_codes_products(level, 4, query.numbers, 2 * size, places.baseAddress!, count, &products)
            }
        }
    }

    /// What the cosine of a need to a vector is at least.
    private func leastCosine(_ query: NeedQuery, _ codes: RawSpan, _ place: Int, _ count: Int, _ size: Int) -> Float {
        unsafe codes.withUnsafeBytes { bytes in
            let start = bytes.baseAddress!
            var code: UnsafePointer<UInt8>? = unsafe (start + place * size).assumingMemoryBound(to: UInt8.self)
            var product: Int32 = 0
            unsafe ck_codes_products(level, 4, query.numbers, 2 * size, &code, 1, &product)
            func float(_ at: Int) -> Float { Float(bitPattern: unsafe start.loadUnaligned(fromByteOffset: at, as: UInt32.self).littleEndian) }
            let (factor, rest) = (float(count * size + 4 * place), float(count * (size + 4) + 4 * place))
            return factor * (query.scale * (Float(product) - query.zero)) - rest * query.norm - query.error
        }
    }

    /// The payload of a codes record, checked when its seal is another than before.
    @_lifetime(copy value)
    private static func opened(_ key: RawSpan, _ value: RawSpan, _ block: Int, _ seals: inout [UInt64]) throws -> RawSpan {
        while seals.count <= block { seals.append(0) }
        guard value.byteCount >= Seal.headerBytes else { throw damaged("block \(block) of needs has no codes") }
        let seal = UInt64(unsafe value.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt32.self)) | 1 << 32
        if seals[block] == seal { return value.extracting(Seal.headerBytes..<value.byteCount) }
        let payload = try Seal.open(key: key, value: value, version: 1)
        seals[block] = seal
        return payload
    }

    private static func little(_ span: RawSpan, _ at: Int) -> UInt32 { unsafe span.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self).littleEndian }

    private static func number(_ key: RawSpan) -> UInt32 {
        unsafe key.unsafeLoadUnaligned(fromByteOffset: key.byteCount - 4, as: UInt32.self).bigEndian
    }

    fileprivate static func damaged(_ what: String) -> ContexError {
        .damaged("the index of needs contradicts itself (\(what)): run 'contex check', then 'contex reindex'")
    }
}
