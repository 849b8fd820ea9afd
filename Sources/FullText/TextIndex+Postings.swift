internal import Base
internal import KeySpace
internal import LMDB

// Adding and withdrawing one posting. The layout is told in PostingBlock.swift.
extension TextIndex {
    /// Key of the term record, and the prefix of the term's blocks: no term holds a zero byte.
    func termKey(_ term: String) -> [UInt8] {
        var key = scope.key(.posting)
        key.append(contentsOf: term.utf8)
        key.append(0)
        return key
    }

    func blockKey(_ termKey: [UInt8], first: UInt32) -> [UInt8] {
        var key = termKey
        for shift: UInt32 in [24, 16, 8, 0] { key.append(UInt8(truncatingIfNeeded: first >> shift)) }
        return key
    }

    func insert(_ posting: Posting, _ term: String, in transaction: inout WriteTransaction) throws {
        let key = termKey(term)
        var record = try TermRecord(transaction.view.loadBytes(key))
        let blocksExist = record.documents > record.tail.count
        record.documents += 1
        if record.tail.count == 0 || posting.node > record.tail.last {
            if record.tail.count == PostingBlock.postingsMax {
                try store(record.tail, key, in: &transaction)
                record.tail = PostingBlock()
            }
            record.tail.append(posting)
        } else if !blocksExist || posting.node > record.tail.first {
            var parts = Self.blocks(try Self.inserting(posting, into: record.tail.postings()))
            record.tail = parts.removeLast()
            for part in parts { try store(part, key, in: &transaction) }
        } else {
            let earlier = try block(from: posting.node, .descending, key, in: transaction.view)
            guard let block = try earlier ?? block(from: posting.node, .ascending, key, in: transaction.view) else {
                throw Self.contradiction("the blocks of '\(term)' are missing")
            }
            try transaction.delete(blockKey(key, first: block.first))
            for part in Self.blocks(try Self.inserting(posting, into: block.postings())) { try store(part, key, in: &transaction) }
        }
        try transaction.store(key, record.bytes)
    }

    func withdraw(_ node: UInt32, _ term: String, in transaction: inout WriteTransaction) throws {
        let key = termKey(term)
        var record = try TermRecord(transaction.view.loadBytes(key))
        guard record.documents > 0 else { throw Self.contradiction("the term '\(term)' of node \(node) is missing") }
        record.documents -= 1
        if record.documents == 0 {
            guard record.tail.first == node else { throw Self.contradiction("node \(node) is missing under '\(term)'") }
            try transaction.delete(key)
            return
        }
        if node >= record.tail.first {
            record.tail = PostingBlock(try Self.removing(node, from: record.tail.postings()))
            if record.tail.count == 0 {
                guard let last = try block(from: .max, .descending, key, in: transaction.view) else {
                    throw Self.contradiction("the blocks of '\(term)' are missing")
                }
                try transaction.delete(blockKey(key, first: last.first))
                record.tail = last
            }
        } else {
            guard let block = try block(from: node, .descending, key, in: transaction.view) else {
                throw Self.contradiction("node \(node) is missing under '\(term)'")
            }
            try transaction.delete(blockKey(key, first: block.first))
            var rest = try Self.removing(node, from: block.postings())
            // A block that has become small takes in the next one, so that churn does not leave a trail of crumbs.
            if rest.count <= PostingBlock.postingsMax / 4,
                let next = try self.block(from: block.last, .ascending, key, in: transaction.view),
                rest.count + next.count <= PostingBlock.postingsMax * 3 / 4
            {
                try transaction.delete(blockKey(key, first: next.first))
                rest += try next.postings()
            }
            if !rest.isEmpty { try store(PostingBlock(rest), key, in: &transaction) }
        }
        try transaction.store(key, record.bytes)
    }

    private func store(_ block: PostingBlock, _ termKey: [UInt8], in transaction: inout WriteTransaction) throws {
        try transaction.store(blockKey(termKey, first: block.first), block.bytes)
    }

    /// The block whose first node is nearest to `node`, at or before it (descending), at or after it (ascending).
    private func block(
        from node: UInt32, _ direction: TransactionView.Direction, _ termKey: [UInt8], in view: borrowing TransactionView
    ) throws -> PostingBlock? {
        var found: PostingBlock?
        try view.scanRecords(prefix: termKey, from: blockKey(termKey, first: node), direction) { key, payload in
            // Before the first block stands the term record.
            if key.count == termKey.count + 4 { found = try PostingBlock(bytes: Array(payload)) }
            return .stop
        }
        return found
    }

    private static func inserting(_ posting: Posting, into postings: [Posting]) throws -> [Posting] {
        var postings = postings
        let place = postings.firstIndex { $0.node >= posting.node } ?? postings.count
        if place < postings.count, postings[place].node == posting.node {
            throw contradiction("node \(posting.node) is there without its text")
        }
        postings.insert(posting, at: place)
        return postings
    }

    private static func removing(_ node: UInt32, from postings: [Posting]) throws -> [Posting] {
        var postings = postings
        guard let place = postings.firstIndex(where: { $0.node == node }) else { throw contradiction("node \(node) lacks a posting") }
        postings.remove(at: place)
        return postings
    }

    /// One block, or two halves when it would be too long.
    private static func blocks(_ postings: [Posting]) -> [PostingBlock] {
        if postings.count <= PostingBlock.postingsMax { return [PostingBlock(postings)] }
        let middle = postings.count / 2
        return [PostingBlock(postings[..<middle]), PostingBlock(postings[middle...])]
    }
}
