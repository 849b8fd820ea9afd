// The index of needs, by which a fresh text finds those that it may reach without scoring all of them.
//
// A need has a number (small, dense, given again when the need is gone), and so a place in three things that a publish walks through instead of the
// needs themselves:
//
// * words (NeedWords.swift): of each term the needs that say it, and how often. What a text can add to each need by its words is summed up from
//   the lists of its terms.
// * limits (`needLimits`), eleven bytes a need: what of its ceiling is known without looking up its words, its own threshold and mode.
// * codes (`needCodes`), half a byte a dimension and eight more (NeedCode.swift): an upper bound of the cosine of any vector to the need's.
//
// NeedScan.swift makes of the three a bound of the similarity, and leaves the needs whose bound reaches their threshold. They are scored by what
// scores everything else, so that the index decides what is looked at and never what is found. docs/decisions/0068-needs-index.md
//
// Everything is changed in the transaction of the registration, and the same registrations give the same bytes.

internal import Base
internal import KeySpace
public import LMDB

/// The limits of the needs of a block.
struct NeedLimits: Equatable {
    /// Needs of a block, as the kernels have it: a codes record fills four pages.
    static let needs = 80
    static let bytes = 11

    /// The sum over a need's words of count x `NeedWords.log` of their level.
    var logs: [UInt32] = []
    /// Of the need itself; what it is without, a number that nobody reads.
    var thresholds: [Float] = []
    /// Words with repeats, at most 65,535.
    var lengths: [UInt16] = []
    var kinds: [NeedKind] = []

    var count: Int { kinds.count }

    init() {}

    init(_ payload: [UInt8]) throws {
        guard payload.count % Self.bytes == 0, payload.count / Self.bytes <= Self.needs else {
            throw ContexError.damaged("the limits of needs have \(payload.count) bytes: run 'contex check'")
        }
        let count = payload.count / Self.bytes
        func little(_ at: Int, _ bytes: Int) -> UInt32 { (0..<bytes).reduce(0) { $0 | UInt32(payload[at + $1]) << UInt32(8 * $1) } }
        for place in 0..<count {
            logs.append(little(4 * place, 4))
            thresholds.append(Float(bitPattern: little(4 * (count + place), 4)))
            lengths.append(UInt16(little(8 * count + 2 * place, 2)))
            kinds.append(NeedKind(rawValue: payload[10 * count + place]))
        }
    }

    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.bytes * count)
        func little(_ value: UInt32, _ count: Int) { for shift in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(8 * shift))) } }
        for log in logs { little(log, 4) }
        for threshold in thresholds { little(threshold.bitPattern, 4) }
        for length in lengths { little(UInt32(length), 2) }
        for kind in kinds { bytes.append(kind.rawValue) }
        return bytes
    }

    mutating func set(_ place: Int, log: UInt32, threshold: Float, length: UInt16, kind: NeedKind) {
        while count <= place {
            logs.append(0)
            thresholds.append(0)
            lengths.append(0)
            kinds.append(NeedKind(rawValue: 0))
        }
        (logs[place], thresholds[place], lengths[place], kinds[place]) = (log, threshold, length, kind)
    }
}

/// What a number stands for, in a byte.
struct NeedKind: RawRepresentable, Equatable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ need: StandingNeed) {
        rawValue = 1 | (need.vector.isEmpty ? 0 : 2) | (need.settings.minSimilarity == nil ? 0 : 4) | (need.settings.mode?.rawValue ?? 0) << 4
    }

    /// Of a need with a vector that says nothing of threshold and mode.
    static let plain: UInt8 = 3

    var isUsed: Bool { rawValue & 1 != 0 }
    var hasVector: Bool { rawValue & 2 != 0 }
    var hasThreshold: Bool { rawValue & 4 != 0 }
    var mode: NeedSettings.Mode? { NeedSettings.Mode(rawValue: rawValue >> 4) }
}

extension NeedStore {
    // MARK: - Single needs

    /// - Complexity: O(log n).
    public func need(_ number: UInt32, in view: borrowing TransactionView) throws -> StandingNeed? {
        guard let bytes = try view.loadBytes(scope.key(.need, number)), case .need(let need) = try StandingNeed.decode(bytes) else { return nil }
        return need
    }

    /// Of a need only this, empty where it has none; nil for a number that stands for none.
    public func vector(ofNeed number: UInt32, in view: borrowing TransactionView) throws -> [Float]? {
        guard let record = try view.load(scope.key(.need, number)), record.byteCount > 0,
            unsafe record.unsafeLoad(fromByteOffset: 0, as: UInt8.self) == 1
        else { return nil }
        var reader = ByteReader(Array(record.extracting(1..<min(record.byteCount, 6))))
        let count = try reader.count()
        let start = 1 + reader.offset
        guard count <= (record.byteCount - start) / 4 else { throw ContexError.damaged("need number \(number) is shorter than its vector") }
        return unsafe [Float](unsafeUninitializedCapacity: count) { buffer, used in
            unsafe record.withUnsafeBytes { bytes in
                unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + 4 * count]))
            }
            used = count
        }
    }

    /// The words of a need, each with how often it says it; nil for a number that stands for none.
    public func words(ofNeed number: UInt32, in view: borrowing TransactionView) throws -> [(term: ArraySlice<UInt8>, count: Int)]? {
        guard let record = try view.load(scope.key(.need, number)), record.byteCount > 0,
            unsafe record.unsafeLoad(fromByteOffset: 0, as: UInt8.self) == 1
        else { return nil }
        var head = ByteReader(Array(record.extracting(1..<min(record.byteCount, 6))))
        let count = try head.count()
        let start = 1 + head.offset + 4 * count
        guard start <= record.byteCount else { throw ContexError.damaged("need number \(number) is shorter than its vector") }
        var reader = ByteReader(Array(record.extracting(start..<record.byteCount)))
        _ = try reader.blob()
        _ = try NeedSettings.read(&reader)
        var words: [(term: ArraySlice<UInt8>, count: Int)] = []
        for _ in 0..<(try reader.count(limit: reader.remaining)) { words.append((try reader.blob(), try reader.count(limit: Int(UInt32.max)) >> 1)) }
        return words
    }

    /// Numbers of the index are below.
    public func needSlots(in view: borrowing TransactionView) throws -> Int { Int(try state(in: view).slots) }

    // MARK: - In and out

    /// The number of a need, a new one when nobody asks it yet.
    func number(of need: StandingNeed, in transaction: inout WriteTransaction) throws -> UInt32 {
        let byText = scope.key(.needByText, Self.hash(of: need))
        var alike = try numbers(under: byText, in: transaction.view)
        for number in alike where try self.need(number, in: transaction.view) == need { return number }
        var state = try state(in: transaction.view)
        let number: UInt32
        if state.free > 0 {
            number = state.free - 1
            guard let bytes = try transaction.view.loadBytes(scope.key(.need, number)), case .free(let next) = try StandingNeed.decode(bytes) else {
                throw ContexError.damaged("number \(number) is said to be free, but is a need's: run 'contex check'")
            }
            state.free = next
        } else {
            guard state.slots < .max - 1 else {
                throw ContexError(.numbersExhausted, "the project has \(state.slots) different needs, the most there can be")
            }
            number = state.slots
            state.slots += 1
        }
        state.count += 1
        if !need.vector.isEmpty {
            let padded = UInt16(NeedCode.padded(need.vector.count))
            if state.padded == 0 { state.padded = padded }
            guard state.padded == padded else {
                throw ContexError.damaged("a need has \(need.vector.count) dimensions, the codes have \(state.padded): run 'contex reindex'")
            }
        }
        try store(state, in: &transaction)
        try transaction.store(scope.key(.need, number), need.encode())
        alike.append(number)
        try store(alike, under: byText, in: &transaction)
        let log = try enterWords(of: need, number, in: &transaction)
        try changeLimits(of: number, in: &transaction) { limits, place in
            limits.set(
                place, log: log, threshold: Float(need.settings.minSimilarity ?? 0), length: UInt16(clamping: Self.length(of: need)), kind: NeedKind(need))
        }
        if !need.vector.isEmpty { try storeCode(of: number, need.vector, in: &transaction) }
        return number
    }

    /// Gives the number of a need back that nobody asks any more.
    func removeNeed(_ number: UInt32, in transaction: inout WriteTransaction) throws {
        guard let need = try need(number, in: transaction.view) else {
            throw ContexError.damaged("need number \(number) was asked by an agent, but is not there: run 'contex check'")
        }
        try removeWords(of: need, number, in: &transaction)
        let byText = scope.key(.needByText, Self.hash(of: need))
        try store(try numbers(under: byText, in: transaction.view).filter { $0 != number }, under: byText, in: &transaction)
        var state = try state(in: transaction.view)
        state.count -= min(state.count, 1)
        if state.count == 0 {
            // Nothing is left: the next one begins anew.
            for kind in [KeyKind.need, .needLimits, .needCodes] { try transaction.deleteAll(prefix: scope.key(kind)) }
            try store(State(lastNumber: state.lastNumber), in: &transaction)
            return
        }
        try transaction.store(scope.key(.need, number), StandingNeed.encodeFree(next: state.free))
        state.free = number + 1
        try store(state, in: &transaction)
        try changeLimits(of: number, in: &transaction) { limits, place in
            limits.set(place, log: 0, threshold: 0, length: 0, kind: NeedKind(rawValue: 0))
        }
    }

    static func length(of need: StandingNeed) -> Int { need.terms.reduce(0) { $0 + $1.count } }

    /// Gives every need the words that another analyser makes of it.
    /// - Complexity: O(needs), one at a time in memory.
    public func reanalyze(in transaction: inout WriteTransaction, _ words: (String) -> [NeedTerm]) throws {
        for number in 0..<(try state(in: transaction.view).slots) {
            guard let old = try need(number, in: transaction.view) else { continue }
            try removeWords(of: old, number, in: &transaction)
            let new = StandingNeed(text: old.text, vector: old.vector, terms: words(old.text), settings: old.settings)
            try transaction.store(scope.key(.need, number), new.encode())
            let log = try enterWords(of: new, number, in: &transaction)
            try changeLimits(of: number, in: &transaction) { limits, place in
                (limits.logs[place], limits.lengths[place]) = (log, UInt16(clamping: Self.length(of: new)))
            }
        }
    }

    // MARK: - By text

    /// Two sums of what makes needs equal but for the vector, as `KeyText` has them.
    static func hash(of need: StandingNeed) -> UInt64 {
        var writer = ByteWriter(capacity: need.text.utf8.count + 32)
        writer.text(need.text)
        need.settings.write(to: &writer)
        return UInt64(CRC32C.of(writer.bytes)) << 32 | UInt64(CRC32C.of(writer.bytes.reversed()))
    }

    func numbers(under key: [UInt8], in view: borrowing TransactionView) throws -> [UInt32] {
        guard let bytes = try view.loadBytes(key) else { return [] }
        var reader = ByteReader(bytes)
        var numbers: [UInt32] = []
        while reader.remaining > 0 { numbers.append(try reader.u32()) }
        return numbers
    }

    private func store(_ numbers: [UInt32], under key: [UInt8], in transaction: inout WriteTransaction) throws {
        guard !numbers.isEmpty else {
            try transaction.delete(key)
            return
        }
        var writer = ByteWriter(capacity: 4 * numbers.count)
        for number in numbers { writer.u32(number) }
        try transaction.store(key, writer.bytes)
    }

    // MARK: - Blocks

    func limits(_ block: UInt32, in view: borrowing TransactionView) throws -> NeedLimits {
        try view.loadBytes(scope.key(.needLimits, block)).map { try NeedLimits($0) } ?? NeedLimits()
    }

    private func changeLimits(
        of number: UInt32, in transaction: inout WriteTransaction, _ change: (inout NeedLimits, Int) -> Void
    ) throws {
        let block = number / UInt32(NeedLimits.needs)
        var limits = try limits(block, in: transaction.view)
        change(&limits, Int(number % UInt32(NeedLimits.needs)))
        try transaction.store(scope.key(.needLimits, block), limits.encode())
    }

    /// Adds to the logs of needs whose numbers do not fall.
    func raiseLogs(_ raises: [NeedRaise], in transaction: inout WriteTransaction) throws {
        var at = 0
        while at < raises.count {
            let block = raises[at].number / UInt32(NeedLimits.needs)
            let key = scope.key(.needLimits, block)
            // In place: the logs are what a record begins with.
            var bytes = try transaction.view.loadBytes(key) ?? []
            let count = bytes.count / NeedLimits.bytes
            guard bytes.count % NeedLimits.bytes == 0, count <= NeedLimits.needs else {
                throw ContexError.damaged("the limits of needs have \(bytes.count) bytes: run 'contex check'")
            }
            while at < raises.count, raises[at].number / UInt32(NeedLimits.needs) == block {
                let place = Int(raises[at].number % UInt32(NeedLimits.needs))
                guard place < count else { throw ContexError.damaged("need number \(raises[at].number) has no limits: run 'contex check'") }
                var log: UInt32 = 0
                for byte in 0..<4 { log |= UInt32(bytes[4 * place + byte]) << UInt32(8 * byte) }
                log &+= raises[at].by
                for byte in 0..<4 { bytes[4 * place + byte] = UInt8(truncatingIfNeeded: log >> UInt32(8 * byte)) }
                at += 1
            }
            try transaction.store(key, bytes)
        }
    }

    /// A codes record: the codes of a block's needs, their factors, their rests. A need behind its end has none.
    private func storeCode(of number: UInt32, _ vector: [Float], in transaction: inout WriteTransaction) throws {
        let code = NeedCode(vector)
        let key = scope.key(.needCodes, number / UInt32(NeedLimits.needs))
        let size = code.bytes.count
        let place = Int(number % UInt32(NeedLimits.needs))
        let old = try transaction.view.loadBytes(key) ?? []
        let had = old.count / (size + 8)
        guard had <= NeedLimits.needs, had * (size + 8) == old.count else { throw ContexError.damaged("a codes record of needs has \(old.count) bytes") }
        let count = max(had, place + 1)
        var bytes = [UInt8](repeating: 0, count: count * (size + 8))
        func copy(_ from: ArraySlice<UInt8>, to start: Int) { bytes.replaceSubrange(start..<start + from.count, with: from) }
        copy(old[..<(had * size)], to: 0)
        copy(old[(had * size)..<(had * (size + 4))], to: count * size)
        copy(old[(had * (size + 4))...], to: count * (size + 4))
        copy(code.bytes[...], to: place * size)
        var numbers = ByteWriter(capacity: 8)
        numbers.floats([code.factor, code.rest])
        copy(numbers.bytes[..<4], to: count * size + 4 * place)
        copy(numbers.bytes[4...], to: count * (size + 4) + 4 * place)
        try transaction.store(key, bytes)
    }
}
