public import Base
internal import KeySpace
public import LMDB

/// How far a store has come: how many commands have changed it, over all tenants and projects, and when the last one was proposed.
///
/// Kept in the transaction that applies the command, so a copy of the store says by itself where it stands.
public struct StorePosition: Sendable, Equatable {
    /// 1, 2, 3 ...; 0 before the first.
    public let position: Position
    public let time: Timestamp

    public init(position: Position, time: Timestamp) {
        self.position = position
        self.time = time
    }

    public static let start = StorePosition(position: .zero, time: Timestamp(rawValue: 0))

    public static func load(_ view: borrowing TransactionView) throws -> StorePosition {
        guard let bytes = try view.loadBytes(TenantScope.system.key(.position)) else { return .start }
        var reader = ByteReader(bytes)
        let found = StorePosition(position: Position(rawValue: try reader.u64()), time: Timestamp(rawValue: try reader.i64()))
        try reader.end()
        return found
    }

    public func store(in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.u64(position.rawValue)
        writer.i64(time.rawValue)
        try transaction.store(TenantScope.system.key(.position), writer.bytes)
    }
}
