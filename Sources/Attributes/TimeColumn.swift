internal import Base
internal import KeySpace
internal import LMDB

/// When the document of each node took its present state, by the node's number.
struct TimeColumn {
    let scope: TenantScope

    /// 128 x 8 bytes stay inside a page of the tree.
    static let nodes = 128
    static let shift: UInt32 = 7
    /// A number without a node.
    static let none = Int64.min

    /// - Parameter time: nil takes the nodes out.
    func set(_ time: Timestamp?, of nodes: Set<NodeID>, in transaction: inout WriteTransaction) throws {
        var chunks: [UInt32: [Int]] = [:]
        for node in nodes { chunks[node.rawValue >> Self.shift, default: []].append(Int(node.rawValue) % Self.nodes) }
        for (chunk, places) in chunks.sorted(by: { $0.key < $1.key }) {
            let key = scope.key(.attributeTimes, chunk)
            var times = [Int64](repeating: Self.none, count: Self.nodes)
            if let payload = try transaction.view.load(key) { try Self.read(payload) { times[$0] = $1 } }
            let before = times
            for place in places { times[place] = time?.rawValue ?? Self.none }
            if times == before { continue }
            if times.allSatisfy({ $0 == Self.none }) {
                try transaction.delete(key)
            } else {
                var writer = ByteWriter(capacity: 8 * Self.nodes)
                for time in times { writer.i64(time) }
                try transaction.store(key, writer.bytes)
            }
        }
    }

    static func read(_ payload: RawSpan, _ body: (_ place: Int, _ time: Int64) -> Void) throws {
        guard payload.byteCount == 8 * nodes else {
            throw ContexError.damaged("a record of times has \(payload.byteCount) bytes, not \(8 * nodes): run 'contex check'")
        }
        for place in 0..<nodes {
            body(place, unsafe Int64(bigEndian: payload.unsafeLoadUnaligned(fromByteOffset: 8 * place, as: Int64.self)))
        }
    }
}
