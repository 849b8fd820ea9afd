// Writing a batch of changes.
//
// 1. Gather: every term of every change, into one table of terms (open addressing); a counting sort puts the postings of each
//    term together, in the order of nodes.
// 2. Walk: the batch's terms in order, and with them the records of the small dictionary; then those that must or are to go to the large one
//    (DictionaryLevels.swift). A record's entries and the terms that fall into its stretch are merged; what comes out of neighbours replaces them.
// 3. A term's change, usually: new postings above its tail. They are appended; each 128 that are then too many become a
//    packed block, and blocks go to the end of the term's last record or into a new one.
//    In the rare case (a removal, a node number below the tail's) the posting is sought where it must be, and the block
//    that changes is packed again.

internal import Base
internal import KeySpace
internal import LMDB

struct TextWriter {
    private let index: TextIndex
    private var state: TextIndex.State
    private let changes: [TextChange]
    private var lengths: LengthTable

    // One element a posting: term after term, each in the order of nodes; count 0 is a removal.
    private var nodes: [UInt32] = []
    private var counts: [UInt32] = []
    /// Of each term of `table`, where its postings begin, and the end of all.
    private var starts: [Int] = []
    private var table = TermTable(slots: 1_024)

    private var entry = TermEntry()

    /// How many texts have each term of `table`.
    private var documents: [BatchTerms.Known] = []

    init(_ index: TextIndex, _ changes: [TextChange], in transaction: inout WriteTransaction) throws {
        self.index = index
        state = try index.state(in: transaction.view)
        lengths = LengthTable(scope: index.scope)
        let isSorted = zip(changes, changes.dropFirst()).allSatisfy { $0.node < $1.node }
        self.changes = isSorted ? changes : changes.sorted { $0.node < $1.node }
        for (a, b) in zip(self.changes, self.changes.dropFirst()) where a.node == b.node {
            throw TextIndex.contradiction("node \(a.node.rawValue) changes twice in a batch")
        }
    }

    /// - Returns: the terms of the batch, and how many texts have each now.
    mutating func run(in transaction: inout WriteTransaction) throws -> BatchTerms {
        try checkAndCount(in: transaction.view)
        gather()
        let order = table.sorted()
        try writeTerms(order, in: &transaction)
        try lengths.store(in: &transaction)
        if state.options.positions { try writePositions(in: &transaction) }
        try index.store(state, in: &transaction)
        return BatchTerms(table, order: order, documents, isMerged: state.levels.termsBytes > 0)
    }

    // MARK: - Gathering

    private mutating func checkAndCount(in view: borrowing TransactionView) throws {
        var documents = state.statistics.documents
        var total = state.statistics.totalLength
        var (beginnings, totalLog) = (state.statistics.beginnings, state.statistics.totalLogLength)
        for change in changes {
            let number = change.node.rawValue
            let known = try lengths.length(of: number, in: view)
            guard known.map(Int.init) == change.old?.length else {
                throw TextIndex.contradiction("node \(number) has \(known.map { "a text of \($0) terms" } ?? "no text"), another was said to be there")
            }
            documents += (change.new == nil ? 0 : 1) - (change.old == nil ? 0 : 1)
            total += (change.new?.length ?? 0) - (change.old?.length ?? 0)
            for (text, sign) in [(change.new, 1), (change.old, -1)] {
                guard let text, !text.goesOn else { continue }
                beginnings += sign
                totalLog += sign * TextStatistics.logLength(text.length)
            }
            if change.old != nil || change.new != nil { try lengths.set(change.new.map { UInt32($0.length) }, of: number, in: view) }
        }
        guard documents >= 0, total >= 0, beginnings >= 0, beginnings <= documents, totalLog >= 0 else {
            throw TextIndex.contradiction("the statistics are below their parts")
        }
        state.statistics = TextStatistics(documents: documents, totalLength: total, beginnings: beginnings, totalLogLength: totalLog)
    }

    private mutating func gather() {
        var terms: [UInt32] = []
        var ofNodes: [UInt32] = []
        var frequencies: [UInt32] = []
        let size = changes.reduce(0) { $0 + ($1.old?.distinct ?? 0) + ($1.new?.distinct ?? 0) }
        terms.reserveCapacity(size)
        ofNodes.reserveCapacity(size)
        frequencies.reserveCapacity(size)
        for change in changes {
            for (text, isNew) in [(change.old, false), (change.new, true)] {
                guard let text else { continue }
                for place in 0..<text.distinct {
                    terms.append(UInt32(table.place(of: text.bytes, text.range(place))))
                    ofNodes.append(change.node.rawValue)
                    frequencies.append(isNew ? text.counts[place] : 0)
                }
            }
        }
        starts = [Int](repeating: 0, count: table.count + 1)
        for term in terms { starts[Int(term) + 1] += 1 }
        for term in 0..<table.count { starts[term + 1] += starts[term] }
        var next = starts
        nodes = [UInt32](repeating: 0, count: size)
        counts = nodes
        for place in 0..<size {
            let term = Int(terms[place])
            nodes[next[term]] = ofNodes[place]
            counts[next[term]] = frequencies[place]
            next[term] += 1
        }
    }

    // MARK: - The dictionaries

    /// What becomes of one term: places of its postings in `nodes` and `counts`.
    private struct Move {
        let term: ArraySlice<UInt8>
        /// In `table`, nil for one that the batch did not bring here.
        var place: Int?
        /// What `textRecent` had of it, all to be added.
        var recent: Range<Int> = 0..<0
        /// What the batch says of it.
        var batch: Range<Int> = 0..<0
    }

    private mutating func writeTerms(_ order: [Int], in transaction: inout WriteTransaction) throws {
        let all = order.map { Move(term: table.term($0), place: $0, batch: starts[$0]..<starts[$0 + 1]) }
        documents = [BatchTerms.Known](repeating: .nothing, count: table.count)
        let isLarge = nodes.count > DictionaryLevels.postingsMax
        var direct: [Move] = []
        if isLarge {
            direct = all
        } else {
            try write(all, to: .textRecent, in: &transaction) { writer, move, transaction in
                if try writer.changeRecent(move) {
                    writer.documents[move.place!] = .recent(writer.entry.documents)
                    return
                }
                var moved = move
                moved.recent = try writer.take()
                direct.append(moved)
            }
        }
        let due = try takeRecent(leaving: isLarge ? 0 : state.levels.recentMax, in: &transaction)
        let moves = Self.merged(direct, due)
        for move in moves {
            for range in [move.recent, move.batch] where !range.isEmpty {
                state.levels.termsLast = max(state.levels.termsLast, nodes[range.upperBound - 1])
            }
        }
        try write(moves, to: .textTerms, in: &transaction) { writer, move, transaction in
            try writer.change(move.term, move.recent, in: &transaction)
            try writer.change(move.term, move.batch, in: &transaction)
            // What was recent is taken along, so that this is all; also of a term that the batch has made recent just now.
            if let place = move.place ?? writer.table.place(of: move.term) { writer.documents[place] = .all(writer.entry.documents) }
        }
        if state.statistics.documents == 0 {
            guard state.levels.termsBytes == 0, state.levels.recentBytes == 0 else { throw TextIndex.contradiction("terms without texts") }
            state.levels = DictionaryLevels()
        }
    }

    /// Both in the order of terms; a term that is in both has what is recent from the second.
    private static func merged(_ direct: [Move], _ due: [Move]) -> [Move] {
        if due.isEmpty { return direct }
        var moves: [Move] = []
        moves.reserveCapacity(direct.count + due.count)
        var place = 0
        for move in direct {
            while place < due.count, due[place].term.lexicographicallyPrecedes(move.term) {
                moves.append(due[place])
                place += 1
            }
            var move = move
            if place < due.count, due[place].term == move.term {
                move.recent = due[place].recent
                place += 1
            }
            moves.append(move)
        }
        return moves + due[place...]
    }

    /// Adds the batch's postings to the entry of `textRecent` when the rules allow it.
    private mutating func changeRecent(_ move: Move) throws -> Bool {
        let first = move.batch.lowerBound
        guard !entry.hasBlocks, entry.nodes.count + move.batch.count <= TermEntry.tailMax,
            state.levels.termsBytes == 0 || nodes[first] > state.levels.termsLast,
            entry.nodes.last.map({ $0 < nodes[first] }) ?? true, !counts[move.batch].contains(0)
        else { return false }
        // They rise: a node that is there twice is there once as a removal.
        entry.nodes += nodes[move.batch]
        entry.counts += counts[move.batch]
        entry.documents = entry.nodes.count
        return true
    }

    /// Moves the postings of the entry to the end of `nodes` and `counts`.
    private mutating func take() throws -> Range<Int> {
        guard !entry.hasBlocks else { throw TextIndex.contradiction("recent postings in blocks") }
        let start = nodes.count
        nodes += entry.nodes
        counts += entry.counts
        entry.reset()
        return start..<nodes.count
    }

    /// Takes records out of `textRecent` until no more than `bytes` are left, from where the last step ended.
    private mutating func takeRecent(leaving bytes: Int, in transaction: inout WriteTransaction) throws -> [Move] {
        guard state.levels.recentBytes > bytes else { return [] }
        let prefix = index.scope.key(.textRecent)
        // From the start of the alphabet on, and before that from the place of the last step.
        var parts: [[Move]] = []
        for isRest in [true, false] {
            var part: [Move] = []
            var keys: [[UInt8]] = []
            let from = prefix + (isRest ? state.levels.mergeFrom : [])
            var next: [UInt8] = []
            try transaction.view.scanRecords(prefix: prefix, from: from) { key, payload in
                guard state.levels.recentBytes > bytes else {
                    next = Array(key[prefix.count...])
                    return .stop
                }
                try unsafe payload.withUnsafeBytes { buffer in
                    var walk = unsafe TermBlockWalk(buffer)
                    while !walk.isAtEnd {
                        try walk.next()
                        let term = walk.term[...]
                        try walk.read(&entry)
                        part.append(Move(term: term, recent: try take()))
                    }
                }
                state.levels.recentBytes -= payload.byteCount
                keys.append(key)
                return .onward
            }
            for key in keys { try transaction.delete(key) }
            state.levels.mergeFrom = next
            parts.insert(part, at: 0)
            if state.levels.recentBytes <= bytes { break }
        }
        return parts.flatMap { $0 }
    }

    /// Merges changes into the records of a dictionary. Neighbouring records that change are written anew as one run, full.
    private mutating func write(
        _ moves: [Move], to kind: KeyKind, in transaction: inout WriteTransaction,
        _ body: (inout TextWriter, Move, inout WriteTransaction) throws -> Void
    ) throws {
        let prefix = index.scope.key(kind)
        var (position, bytes) = (0, 0)
        var run = TermBlockRun()
        /// Keys of the run's old records that no new one has taken yet.
        var old: Set<[UInt8]> = []
        while position < moves.count {
            let (found, next) = try Self.recordCovering(prefix + moves[position].term, prefix, in: transaction.view)
            let payload = found?.payload ?? []
            if let found { old.insert(found.key) }
            bytes -= payload.count
            try unsafe payload.withUnsafeBytes { buffer in
                var merge = unsafe TermBlockMerge(buffer)
                while position < moves.count {
                    let term = moves[position].term
                    if let next, !term.lexicographicallyPrecedes(next[prefix.count...]) { break }
                    let isOld = try merge.seek(term, &entry)
                    try body(&self, moves[position], &transaction)
                    if entry.documents > 0 {
                        merge.put(term, entry, isNew: !isOld)
                    } else if isOld {
                        merge.drop()
                    }
                    position += 1
                }
                try merge.finish()
                try run.append(merge.payload, first: merge.first)
            }
            // The run goes on when the next record changes as well.
            let goesOn: Bool
            if position < moves.count, let next {
                let covering = try Self.keyCovering(prefix + moves[position].term, prefix, in: transaction.view)
                goesOn = covering == next
            } else {
                goesOn = false
            }
            if !goesOn, let next, !run.isEmpty, run.count < TermBlock.bytesMax / 4,
                let more = try transaction.view.loadBytes(next), more.count < TermBlock.bytesMax / 2
            {
                // What has become small takes in the next record when both fit well.
                try run.append(more, first: Array(next[prefix.count...]))
                old.insert(next)
                bytes -= more.count
            }
            for record in try goesOn ? run.full() : run.finish() {
                let key = prefix + record.first
                old.remove(key)
                bytes += record.payload.count
                try transaction.store(key, record.payload)
            }
            if !goesOn {
                for key in old { try transaction.delete(key) }
                old = []
            }
        }
        switch kind {
        case .textRecent: state.levels.recentBytes += bytes
        default: state.levels.termsBytes += bytes
        }
        guard state.levels.recentBytes >= 0, state.levels.termsBytes >= 0 else { throw TextIndex.contradiction("the size of the dictionaries") }
    }

    private static func keyCovering(_ key: [UInt8], _ prefix: [UInt8], in view: borrowing TransactionView) throws -> [UInt8]? {
        var found: [UInt8]?
        try view.scan(prefix: prefix, from: key, .descending) { key, _ in
            found = Array(key)
            return .stop
        }
        return found
    }

    /// The dictionary record in whose stretch a key falls, and the key of the next one. Before the first record, the first.
    private static func recordCovering(
        _ key: [UInt8], _ prefix: [UInt8], in view: borrowing TransactionView
    ) throws -> (found: (key: [UInt8], payload: [UInt8])?, next: [UInt8]?) {
        var found: (key: [UInt8], payload: [UInt8])?
        var next: [UInt8]?
        try view.scanRecords(prefix: prefix, from: key, .descending) { key, payload in
            found = (key, Array(payload))
            return .stop
        }
        try view.scan(prefix: prefix, from: found?.key ?? prefix) { keySpan, value in
            if found == nil {
                let key = Array(keySpan)
                found = (key, Array(try Seal.open(key: key, value: value, version: 1)))
                return .onward
            }
            let key = Array(keySpan)
            if key == found!.key { return .onward }
            next = key
            return .stop
        }
        return (found, next)
    }

    // MARK: - One term

    /// Applies the changes of one term to `entry`.
    private mutating func change(_ term: ArraySlice<UInt8>, _ range: Range<Int>, in transaction: inout WriteTransaction) throws {
        if range.isEmpty { return }
        var place = range.lowerBound
        // One by one while they remove or fall among the old ones, then the rest as one run.
        while place < range.upperBound, counts[place] == 0 || !(entry.nodes.last.map { $0 < nodes[place] } ?? true) {
            if counts[place] == 0 {
                try withdraw(nodes[place], term, in: &transaction)
            } else {
                try insert(nodes[place], counts[place], term, in: &transaction)
            }
            place += 1
        }
        if let removal = counts[place..<range.upperBound].firstIndex(of: 0) {
            try append(place..<removal, term, in: &transaction)
            try change(term, removal..<range.upperBound, in: &transaction)
        } else {
            try append(place..<range.upperBound, term, in: &transaction)
        }
    }

    /// Appends postings above the tail; what is over 128 becomes packed blocks.
    private mutating func append(_ range: Range<Int>, _ term: ArraySlice<UInt8>, in transaction: inout WriteTransaction) throws {
        if range.isEmpty { return }
        entry.documents += range.count
        entry.nodes += nodes[range]
        entry.counts += counts[range]
        guard entry.nodes.count > TermEntry.tailMax else { return }
        var blocks: [PostingBlock] = []
        var start = 0
        while entry.nodes.count - start > TermEntry.tailMax {
            let part = start..<start + BlockHeader.postingsMax
            blocks.append(try block(entry.nodes[part], entry.counts[part], in: transaction.view))
            start = part.upperBound
        }
        entry.nodes.removeFirst(start)
        entry.counts.removeFirst(start)
        try append(blocks, index.termPrefix(term), in: &transaction)
    }

    private mutating func block(
        _ nodes: ArraySlice<UInt32>, _ counts: ArraySlice<UInt32>, in view: borrowing TransactionView
    ) throws -> PostingBlock {
        var ofTexts: [UInt32] = []
        ofTexts.reserveCapacity(nodes.count)
        // A removal later in this batch may have taken the length already: then 0, which only makes the bound wider.
        for node in nodes { ofTexts.append(try lengths.length(of: node, in: view) ?? 0) }
        return PostingBlock(nodes: Array(nodes), counts: Array(counts), impacts: Impacts(counts: counts, lengths: ofTexts))
    }

    /// Appends blocks to a term's records.
    private func append(_ blocks: [PostingBlock], _ prefix: [UInt8], in transaction: inout WriteTransaction) throws {
        var key: [UInt8]?
        var payload: [UInt8] = []
        var last: UInt32 = 0
        if let found = try lastSegment(prefix, at: .max, in: transaction.view) {
            (key, payload) = found
            last = try PostingSegment.lastNode(payload, first: UInt32(lastOf: found.key))
        }
        for block in blocks {
            var bytes: [UInt8] = []
            block.write(to: &bytes, after: key == nil ? block.first : last)
            if key != nil, payload.count + bytes.count > PostingSegment.bytesMax {
                try transaction.store(key!, payload)
                (key, payload, bytes) = (nil, [], [])
                block.write(to: &bytes, after: block.first)
            }
            if key == nil { key = index.segmentKey(prefix, first: block.first) }
            payload += bytes
            last = block.last
        }
        if let key { try transaction.store(key, payload) }
    }

    /// The record of a term's blocks whose first node is the highest at or below `node`; else the first of all.
    private func lastSegment(_ prefix: [UInt8], at node: UInt32, in view: borrowing TransactionView) throws -> (key: [UInt8], payload: [UInt8])? {
        var found: (key: [UInt8], payload: [UInt8])?
        let from = index.segmentKey(prefix, first: node)
        try view.scanRecords(prefix: prefix, from: from, .descending) { key, payload in
            found = (key, Array(payload))
            return .stop
        }
        if found == nil {
            try view.scanRecords(prefix: prefix) { key, payload in
                found = (key, Array(payload))
                return .stop
            }
        }
        return found
    }


    // MARK: - The rare case

    private mutating func insert(_ node: UInt32, _ count: UInt32, _ term: ArraySlice<UInt8>, in transaction: inout WriteTransaction) throws {
        if !entry.hasBlocks || node > entry.nodes[0] {
            let place = entry.nodes.firstIndex { $0 >= node } ?? entry.nodes.count
            guard place == entry.nodes.count || entry.nodes[place] != node else { throw TextIndex.contradiction("node \(node) has a posting already") }
            entry.nodes.insert(node, at: place)
            entry.counts.insert(count, at: place)
            entry.documents += 1
            if entry.nodes.count > TermEntry.tailMax {
                let half = entry.nodes.count / 2
                let lower = try block(entry.nodes[..<half], entry.counts[..<half], in: transaction.view)
                entry.nodes.removeFirst(half)
                entry.counts.removeFirst(half)
                try append([lower], index.termPrefix(term), in: &transaction)
            }
            return
        }
        let length = try lengths.length(of: node, in: transaction.view) ?? 0
        entry.documents += 1
        try changeSegment(of: node, index.termPrefix(term), in: &transaction) { segment in
            let at = segment.blocks.lastIndex { $0.first <= node } ?? 0
            var block = segment.blocks[at]
            let place = block.nodes.firstIndex { $0 >= node } ?? block.nodes.count
            guard place == block.nodes.count || block.nodes[place] != node else { throw TextIndex.contradiction("node \(node) has a posting already") }
            block.nodes.insert(node, at: place)
            block.counts.insert(count, at: place)
            block.impacts = Impacts(block.impacts.pairs + [Impact(count: count, length: length)])
            segment.blocks[at] = block
            if block.nodes.count > BlockHeader.postingsMax {
                // Both halves keep the impacts of the whole: a bound all the same.
                let half = block.nodes.count / 2
                segment.blocks[at] = PostingBlock(
                    nodes: Array(block.nodes[..<half]), counts: Array(block.counts[..<half]), impacts: block.impacts)
                segment.blocks.insert(
                    PostingBlock(nodes: Array(block.nodes[half...]), counts: Array(block.counts[half...]), impacts: block.impacts), at: at + 1)
            }
        }
    }

    private mutating func withdraw(_ node: UInt32, _ term: ArraySlice<UInt8>, in transaction: inout WriteTransaction) throws {
        guard entry.documents > 0 else { throw Self.missing(node, term) }
        let prefix = index.termPrefix(term)
        entry.documents -= 1
        if node >= entry.nodes[0] {
            guard let place = entry.nodes.firstIndex(of: node) else { throw Self.missing(node, term) }
            entry.nodes.remove(at: place)
            entry.counts.remove(at: place)
        } else {
            try changeSegment(of: node, prefix, in: &transaction) { segment in
                guard let at = segment.blocks.lastIndex(where: { $0.first <= node }), let place = segment.blocks[at].nodes.firstIndex(of: node)
                else { throw Self.missing(node, term) }
                segment.blocks[at].nodes.remove(at: place)
                segment.blocks[at].counts.remove(at: place)
                Self.mendSmallBlock(&segment.blocks, at)
            }
        }
        if entry.documents == 0 { return }
        if entry.nodes.isEmpty { try takeLastBlock(prefix, term, in: &transaction) }
        // Few enough for the entry: no record of their own. A quarter less than a tail, so that it does not flap.
        while entry.hasBlocks, entry.documents <= TermEntry.tailMax * 3 / 4 { try takeLastBlock(prefix, term, in: &transaction) }
    }

    private static func missing(_ node: UInt32, _ term: ArraySlice<UInt8>) -> ContexError {
        TextIndex.contradiction("node \(node) is missing under '\(String(decoding: term, as: UTF8.self))'")
    }

    /// A block that has become empty goes, one that has become small joins a neighbour, so that churn leaves no trail of crumbs.
    private static func mendSmallBlock(_ blocks: inout [PostingBlock], _ at: Int) {
        if blocks[at].nodes.isEmpty {
            blocks.remove(at: at)
            return
        }
        guard blocks[at].nodes.count <= BlockHeader.postingsMax / 4 else { return }
        for lower in [at, at - 1] where lower >= 0 && lower + 1 < blocks.count {
            let (a, b) = (blocks[lower], blocks[lower + 1])
            guard a.nodes.count + b.nodes.count <= BlockHeader.postingsMax * 3 / 4 else { continue }
            blocks[lower] = PostingBlock(
                nodes: a.nodes + b.nodes, counts: a.counts + b.counts, impacts: Impacts(a.impacts.pairs + b.impacts.pairs))
            blocks.remove(at: lower + 1)
            return
        }
    }

    /// Moves the last block of a term's records to the front of its tail.
    private mutating func takeLastBlock(_ prefix: [UInt8], _ term: ArraySlice<UInt8>, in transaction: inout WriteTransaction) throws {
        guard let (key, payload) = try lastSegment(prefix, at: .max, in: transaction.view) else {
            throw TextIndex.contradiction("the blocks of '\(String(decoding: term, as: UTF8.self))' are missing")
        }
        var segment = try PostingSegment(payload, first: UInt32(lastOf: key))
        let last = segment.blocks.removeLast()
        guard entry.nodes.count + last.nodes.count <= TermEntry.tailMax, entry.nodes.first.map({ $0 > last.last }) ?? true else {
            throw TextIndex.contradiction("the tail of '\(String(decoding: term, as: UTF8.self))'")
        }
        entry.nodes = last.nodes + entry.nodes
        entry.counts = last.counts + entry.counts
        if segment.blocks.isEmpty {
            try transaction.delete(key)
        } else {
            try transaction.store(key, segment.bytes)
        }
    }

    /// Rewrites the record of blocks that a node belongs to: in two when it no longer fits, together with the next one when it has become small.
    private func changeSegment(
        of node: UInt32, _ prefix: [UInt8], in transaction: inout WriteTransaction, _ body: (inout PostingSegment) throws -> Void
    ) throws {
        guard let (key, payload) = try lastSegment(prefix, at: node, in: transaction.view) else {
            throw TextIndex.contradiction("node \(node) has no record of blocks")
        }
        var segment = try PostingSegment(payload, first: UInt32(lastOf: key))
        try body(&segment)
        guard let first = segment.blocks.first?.first else {
            try transaction.delete(key)
            return
        }
        var bytes = segment.bytes
        if bytes.count < PostingSegment.bytesMax / 4, let next = try nextSegment(prefix, after: key, in: transaction.view),
            bytes.count + next.payload.count < PostingSegment.bytesMax * 3 / 4
        {
            segment.blocks += try PostingSegment(next.payload, first: UInt32(lastOf: next.key)).blocks
            try transaction.delete(next.key)
            bytes = segment.bytes
        }
        if first != UInt32(lastOf: key) { try transaction.delete(key) }
        if bytes.count <= PostingSegment.bytesMax {
            try transaction.store(index.segmentKey(prefix, first: first), bytes)
            return
        }
        let half = segment.blocks.count / 2
        for part in [segment.blocks[..<half], segment.blocks[half...]] {
            let half = PostingSegment(blocks: Array(part))
            try transaction.store(index.segmentKey(prefix, first: half.blocks[0].first), half.bytes)
        }
    }

    private func nextSegment(_ prefix: [UInt8], after key: [UInt8], in view: borrowing TransactionView) throws -> (key: [UInt8], payload: [UInt8])? {
        var found: (key: [UInt8], payload: [UInt8])?
        try view.scanRecords(prefix: prefix, from: key) { other, payload in
            if other == key { return .onward }
            found = (other, Array(payload))
            return .stop
        }
        return found
    }

    // MARK: - Positions

    private func writePositions(in transaction: inout WriteTransaction) throws {
        var orders: [PositionWriter.Change] = []
        for change in changes where change.old != nil || change.new != nil {
            orders.append((change.node.rawValue, change.new.flatMap(PositionRecord.bytes)))
        }
        try PositionWriter(index.scope).apply(orders, in: &transaction)
    }
}
