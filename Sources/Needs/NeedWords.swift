// The lists of the index of needs: of each term, the needs that say it.
//
// Blocks of at most `entriesMax` entries; the key of each is the term, a zero byte, and the number from which on it holds needs, 0 for the first.
// A block:
//
//     u8       level of the term, in the first block; 0 in others
//     entries  varint (difference to the number before, of the first to that in the key) << 2 | exact << 1 | many; if many, varint count
//
// The level says how many texts have the term at most: 4^level. Of a need's ceiling (the sum of count x idf over its terms, FullText/BM25.swift) it
// gives a lower bound that no look-up is needed for: idf = ln(texts + 1) - ln(texts with the term + 1/2), so that a ceiling is the need's length times
// ln(texts + 1), the same for all, less a sum of logarithms, which rise only when texts come that have the term. With levels for counts that sum
// changes when a term has become four times as frequent, some eight times in its life: then each need that says it is told. Levels never fall,
// which leaves bounds true. A level may be higher than it has to be, which leaves them true too, only wider: a term that many needs say is given
// room, because to tell a thousand needs is to write a thousand places (docs/decisions/0106-room-in-levels.md).

internal import Base
internal import KeySpace
public import LMDB

enum NeedWords {
    /// Some 700 bytes.
    static let entriesMax = 256

    /// Needs in the first block of a list from which on the term's level is given room.
    static let many = 32

    /// The least level of such a term: most terms that a text brings are in few texts, and pass 1 and 4 of them soon.
    static let levelOfMany: UInt8 = 2

    /// The level that a term gets when it must have at least one.
    static func level(atLeast level: UInt8, needs: Int) -> UInt8 { needs < many ? level : min(31, max(level + 1, levelOfMany)) }

    /// The least level of a term that so many texts have.
    static func level(documents: Int) -> UInt8 {
        var level: UInt8 = 0
        while level < 31, documents > 1 << (2 * Int(level)) { level += 1 }
        return level
    }

    /// ln(4^level + 1/2) in 256ths, rounded up.
    static func log(level: UInt8) -> UInt32 { UInt32((PortableMath.log(Double(1 << (2 * Int(min(level, 31)))) + 0.5) * 256).rounded(.up)) }

    struct Entry: Equatable {
        let number: UInt32
        let count: Int
        let isExact: Bool
    }

    struct Block {
        var level: UInt8
        var entries: [Entry]

        init(level: UInt8, entries: [Entry]) {
            self.level = level
            self.entries = entries
        }

        init(_ payload: [UInt8], from first: UInt32) throws {
            var reader = ByteReader(payload)
            level = try reader.u8()
            entries = []
            var number = UInt64(first)
            while reader.remaining > 0 {
                let head = try reader.varint()
                guard head >> 2 <= UInt64(UInt32.max), entries.isEmpty || head >= 4 else { throw ContexError.damaged("a list of needs does not rise") }
                number += head >> 2
                guard let own = UInt32(exactly: number), level < 32 else { throw ContexError.damaged("a list of needs has a number that none has") }
                entries.append(Entry(number: own, count: head & 1 == 1 ? try reader.count(limit: Int(UInt32.max)) : 1, isExact: head & 2 != 0))
            }
        }

        func encode(from first: UInt32) -> [UInt8] {
            var writer = ByteWriter(capacity: 3 * entries.count + 1)
            writer.u8(level)
            var before = first
            for entry in entries {
                writer.varint(UInt64(entry.number - before) << 2 | (entry.isExact ? 2 : 0) | (entry.count > 1 ? 1 : 0))
                if entry.count > 1 { writer.varint(UInt64(entry.count)) }
                before = entry.number
            }
            return writer.bytes
        }
    }
}

/// What is added to the log of a need's limits.
struct NeedRaise {
    let number: UInt32
    let by: UInt32
}

/// A term that needs say.
public struct SaidTerm: Sendable {
    /// Among the terms that were asked about.
    public let place: Int
    public let term: [UInt8]
    let level: UInt8
}

extension NeedStore {
    func termPrefix(_ term: String) -> [UInt8] { termPrefix(term.utf8) }

    func termPrefix(_ term: some Collection<UInt8>) -> [UInt8] {
        var key = scope.key(.needTerm)
        key += term
        key.append(0)
        return key
    }

    private func blockKey(_ term: [UInt8], _ first: UInt32) -> [UInt8] {
        var key = term
        key.append(bigEndian: first)
        return key
    }

    /// Adds a need to the lists of its words; returns the sum of the logs of their levels.
    func enterWords(of need: StandingNeed, _ number: UInt32, in transaction: inout WriteTransaction) throws -> UInt32 {
        var sum: UInt32 = 0
        for term in need.terms {
            let prefix = termPrefix(term.text)
            let entry = NeedWords.Entry(number: number, count: term.count, isExact: term.isExact)
            let level = try add(entry, to: prefix, in: &transaction)
            sum &+= UInt32(term.count) &* NeedWords.log(level: level)
        }
        return sum
    }

    /// - Returns: the term's level.
    private func add(_ entry: NeedWords.Entry, to term: [UInt8], in transaction: inout WriteTransaction) throws -> UInt8 {
        guard let found = try block(of: term, holding: entry.number, in: transaction.view) else {
            try transaction.store(blockKey(term, 0), NeedWords.Block(level: 0, entries: [entry]).encode(from: 0))
            return 0
        }
        let first = found.first
        var block = found.block
        var level = first == 0 ? block.level : try level(ofTerm: term, in: transaction.view)
        let place = block.entries.firstIndex { $0.number > entry.number } ?? block.entries.count
        guard place == 0 || block.entries[place - 1].number < entry.number else {
            throw ContexError.damaged("need number \(entry.number) is in a list of words twice: run 'contex check'")
        }
        block.entries.insert(entry, at: place)
        if first == 0, block.entries.count >= NeedWords.many, level < NeedWords.levelOfMany {
            // The list is as it was before this need, which is told of the level by what is returned.
            try raiseLogs(raises(of: term, from: level, to: NeedWords.levelOfMany, in: transaction.view), in: &transaction)
            level = NeedWords.levelOfMany
            block.level = level
        }
        if block.entries.count > NeedWords.entriesMax {
            // What comes at the end goes on in a block of its own, so that needs that come in order fill theirs.
            let cut = place == block.entries.count - 1 ? place : block.entries.count / 2
            let rest = NeedWords.Block(level: 0, entries: Array(block.entries[cut...]))
            let start = rest.entries[0].number
            try transaction.store(blockKey(term, start), rest.encode(from: start))
            block.entries.removeSubrange(cut...)
        }
        try transaction.store(blockKey(term, first), block.encode(from: first))
        return level
    }

    func removeWords(of need: StandingNeed, _ number: UInt32, in transaction: inout WriteTransaction) throws {
        for term in need.terms {
            let prefix = termPrefix(term.text)
            guard let found = try block(of: prefix, holding: number, in: transaction.view),
                let place = found.block.entries.firstIndex(where: { $0.number == number })
            else { throw ContexError.damaged("need number \(number) is not in the list of '\(term.text)': run 'contex check'") }
            let first = found.first
            var block = found.block
            block.entries.remove(at: place)
            // The first block keeps the level while there is another.
            if block.entries.isEmpty, try first > 0 || !hasFurtherBlock(prefix, in: transaction.view) {
                try transaction.delete(blockKey(prefix, first))
                if first > 0 { try dropEmptyFirst(prefix, in: &transaction) }
            } else {
                try transaction.store(blockKey(prefix, first), block.encode(from: first))
            }
        }
    }

    /// The first block without entries goes when it has become the only one.
    private func dropEmptyFirst(_ term: [UInt8], in transaction: inout WriteTransaction) throws {
        guard let first = try block(of: term, holding: 0, in: transaction.view), first.block.entries.isEmpty,
            try !hasFurtherBlock(term, in: transaction.view)
        else { return }
        try transaction.delete(blockKey(term, 0))
    }

    private func hasFurtherBlock(_ term: [UInt8], in view: borrowing TransactionView) throws -> Bool {
        var has = false
        try view.scan(prefix: term, from: blockKey(term, 1)) { _, _ in
            has = true
            return .stop
        }
        return has
    }

    /// The block in which a need is, or would be; nil for a term that no need has.
    private func block(
        of term: [UInt8], holding number: UInt32, in view: borrowing TransactionView
    ) throws -> (first: UInt32, block: NeedWords.Block)? {
        var found: (first: UInt32, block: NeedWords.Block)?
        try view.scanRecords(prefix: term, from: blockKey(term, number), .descending) { key, payload in
            let first = UInt32(lastOf: key)
            found = (first, try NeedWords.Block(Array(payload), from: first))
            return .stop
        }
        return found
    }

    func entry(of number: UInt32, in term: [UInt8], in view: borrowing TransactionView) throws -> NeedWords.Entry? {
        try block(of: term, holding: number, in: view)?.block.entries.first { $0.number == number }
    }

    private func level(ofTerm term: [UInt8], in view: borrowing TransactionView) throws -> UInt8 {
        guard let payload = try view.load(blockKey(term, 0)), payload.byteCount > 0 else {
            throw ContexError.damaged("a list of needs has no first block: run 'contex check'")
        }
        return unsafe payload.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
    }

    // MARK: - Levels

    /// Those of some terms, in the order of their bytes, that needs say.
    /// - Complexity: O(terms x log n), less where they lie together.
    public func saidTerms(of terms: some Swift.Sequence<ArraySlice<UInt8>>, in view: borrowing TransactionView) throws -> [SaidTerm] {
        var said: [SaidTerm] = []
        let cursor = try TableCursor(view)
        var key = scope.key(.needTerm)
        let bare = key.count
        for (place, term) in terms.enumerated() {
            key.removeLast(key.count - bare)
            key += term
            key.append(0)
            key.append(bigEndian: UInt32(0))
            guard let entry = try cursor.ceiling(key), entry.key.byteCount == key.count, entry.key.starts(with: key) else { continue }
            let payload = try Seal.open(key: entry.key, value: entry.value, version: 1)
            guard payload.byteCount > 0 else { throw ContexError.damaged("a list of needs has no level: run 'contex check'") }
            said.append(SaidTerm(place: place, term: Array(term), level: unsafe payload.unsafeLoad(fromByteOffset: 0, as: UInt8.self)))
        }
        return said
    }

    /// Tells the index how many texts have terms that needs say: to be called whenever it may have become more, before a text is held against
    /// the needs.
    /// - Complexity: O(terms), and O(needs that say it) when a term has become four times as frequent, sixteen times where many say it.
    public func raiseLevels(_ terms: [SaidTerm], documents: [Int], in transaction: inout WriteTransaction) throws {
        var all: [NeedRaise] = []
        for (said, documents) in zip(terms, documents) {
            let least = NeedWords.level(documents: documents)
            let prefix = termPrefix(said.term)
            guard least > said.level, var first = try block(of: prefix, holding: 0, in: transaction.view)?.block else { continue }
            let level = NeedWords.level(atLeast: least, needs: first.entries.count)
            all += try raises(of: prefix, from: first.level, to: level, in: transaction.view)
            first.level = level
            try transaction.store(blockKey(prefix, 0), first.encode(from: 0))
        }
        // A need may say several of the terms, and a record of limits has many needs: each is written once.
        all.sort { $0.number < $1.number }
        try raiseLogs(all, in: &transaction)
    }

    /// What a term's new level adds to the logs of the needs that say it, by rising number.
    private func raises(of term: [UInt8], from: UInt8, to level: UInt8, in view: borrowing TransactionView) throws -> [NeedRaise] {
        let more = NeedWords.log(level: level) - NeedWords.log(level: from)
        var raises: [NeedRaise] = []
        try forEachEntry(of: term, in: view) { raises.append(NeedRaise(number: $0.number, by: more &* UInt32($0.count))) }
        return raises
    }

    func forEachEntry(of term: [UInt8], in view: borrowing TransactionView, _ body: (NeedWords.Entry) -> Void) throws {
        try view.scanRecords(prefix: term) { key, payload in
            for entry in try NeedWords.Block(Array(payload), from: UInt32(lastOf: key)).entries { body(entry) }
            return .onward
        }
    }

    /// Every term that needs say, and how many texts the index takes it to be in at most; for checks.
    public func levels(in view: borrowing TransactionView) throws -> [(term: String, documentsMax: Int)] {
        var found: [(term: String, documentsMax: Int)] = []
        let prefix = scope.key(.needTerm)
        try view.scanRecords(prefix: prefix) { key, payload in
            guard UInt32(lastOf: key) == 0, key.count > prefix.count + 5, payload.byteCount > 0 else { return .onward }
            let level = unsafe payload.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
            found.append((String(decoding: key[prefix.count..<key.count - 5], as: UTF8.self), 1 << (2 * Int(min(level, 31)))))
            return .onward
        }
        return found
    }
}
