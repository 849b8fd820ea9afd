internal import Base
internal import KeySpace
internal import LMDB

/// The links that a change of the graph touches: read once, changed here, written together at the end.
///
/// Every link is kept at both of its ends. That is the graph's first invariant (a is in links(b) exactly if b is in
/// links(a), at each level), and because of it a removal knows every record that names the node.
struct GraphEdit {
    private let index: VectorIndex
    private var key: NodeKey
    private var loaded: [UInt32: NodeLinks] = [:]
    private var changed: Set<UInt32> = []

    init(_ index: VectorIndex) {
        self.index = index
        key = NodeKey(index.scope, .vectorLinks)
    }

    /// Puts a record in the place of the node's own, if it has one.
    mutating func set(_ node: UInt32, _ links: NodeLinks) {
        loaded[node] = links
        changed.insert(node)
    }

    /// Brings a node's links here.
    /// - Throws: `.damaged` when they are missing.
    @discardableResult
    mutating func load(_ node: UInt32, in view: borrowing TransactionView) throws -> NodeLinks {
        if let links = loaded[node] { return links }
        key.point(to: node)
        guard let payload = try view.load(key.bytes) else { throw GraphDamage.missing("links", node) }
        do {
            let links = try NodeLinks(decoding: payload)
            loaded[node] = links
            return links
        } catch let error as ByteError {
            throw GraphDamage.unreadable(node, error)
        }
    }

    /// The neighbours of a loaded node, ascending; none above its own level.
    func neighbours(of node: UInt32, at level: Int) -> [UInt32] {
        guard let links = loaded[node], level < links.levels.count else { return [] }
        return links.levels[level]
    }

    func degree(of node: UInt32, at level: Int) -> Int { neighbours(of: node, at: level).count }

    func level(of node: UInt32) -> Int { loaded[node]?.level ?? 0 }

    func isLinked(_ a: UInt32, _ b: UInt32, at level: Int) -> Bool {
        let list = neighbours(of: a, at: level)
        let at = Self.place(of: b, in: list)
        return at < list.count && list[at] == b
    }

    /// A node that both are linked to, so that they stay connected when the link between them goes.
    func haveCommonNeighbour(_ a: UInt32, _ b: UInt32, at level: Int) -> Bool {
        let (left, right) = (neighbours(of: a, at: level), neighbours(of: b, at: level))
        var (i, j) = (0, 0)
        while i < left.count && j < right.count {
            if left[i] == right[j] { return true }
            if left[i] < right[j] { i += 1 } else { j += 1 }
        }
        return false
    }

    /// Links two different loaded nodes, at both ends.
    /// - Throws: `.damaged` when one of them is not on this level, which only a wrong list elsewhere can cause.
    mutating func link(_ a: UInt32, _ b: UInt32, at level: Int) throws {
        try change(a, at: level) { list in
            let at = Self.place(of: b, in: list)
            if at == list.count || list[at] != b { list.insert(b, at: at) }
        }
        try change(b, at: level) { list in
            let at = Self.place(of: a, in: list)
            if at == list.count || list[at] != a { list.insert(a, at: at) }
        }
    }

    mutating func unlink(_ a: UInt32, _ b: UInt32, at level: Int) throws {
        try change(a, at: level) { list in
            let at = Self.place(of: b, in: list)
            if at < list.count && list[at] == b { list.remove(at: at) }
        }
        try change(b, at: level) { list in
            let at = Self.place(of: a, in: list)
            if at < list.count && list[at] == a { list.remove(at: at) }
        }
    }

    mutating func setPreviousTwin(of twin: UInt32, to node: UInt32, in view: borrowing TransactionView) throws {
        var links = try load(twin, in: view)
        guard links.isTwin else {
            throw ContexError.damaged("node \(twin) is named as a twin and is a member of the vector graph: stop the server and run 'contex check'")
        }
        links.previousTwin = node
        set(twin, links)
    }

    /// Leaves a node out of what will be written; its record is the caller's to delete.
    mutating func forget(_ node: UInt32) {
        loaded[node] = nil
        changed.remove(node)
    }

    /// Writes every changed list, in the order of the nodes' numbers.
    mutating func write(in transaction: inout WriteTransaction) throws {
        for node in changed.sorted() {
            guard let links = loaded[node] else { continue }
            key.point(to: node)
            try transaction.store(key.bytes, links.encoded())
        }
        changed.removeAll()
    }

    private mutating func change(_ node: UInt32, at level: Int, _ body: (inout [UInt32]) -> Void) throws {
        guard let levels = loaded[node]?.levels.count, level < levels else {
            throw ContexError.damaged("node \(node) is linked at level \(level), above its own: stop the server and run 'contex check'")
        }
        body(&loaded[node]!.levels[level])
        changed.insert(node)
    }

    /// Where `node` is in the ascending list, or belongs.
    private static func place(of node: UInt32, in list: [UInt32]) -> Int {
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle] < node { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

