internal import Base
internal import Hashing
internal import KeySpace
internal import LMDB

/// How far an import of lines has come: one record of the store, moved by the transaction that stores what it counts, and gone when
/// the import is done.
struct ImportMark: Equatable {
    /// What the input is called.
    var name: String
    /// Lines that are done.
    var lines: Int
    /// SHA-256 over the chain before and each line that is not blank, from 32 zero bytes on: whether an input begins with the same lines.
    var chain = SHA256Digest.zero
    /// Some project's graph is set apart to be built anew, so that its vectors are not found.
    var isBuilding = false

    mutating func pass(_ line: ImportLines.Line) {
        lines = line.number
        chain = SHA256.digest(chain.bytes, line.bytes)
    }

    static func load(_ view: borrowing TransactionView) throws -> ImportMark? {
        guard let bytes = try view.loadBytes(TenantScope.system.key(.importMark)) else { return nil }
        var reader = ByteReader(bytes)
        let mark = ImportMark(
            name: try reader.text(), lines: try reader.count(limit: .max), chain: try reader.sha256(), isBuilding: try reader.bool())
        try reader.end()
        return mark
    }

    func store(in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.text(name)
        writer.varint(UInt64(lines))
        writer.raw(chain.bytes)
        writer.bool(isBuilding)
        try transaction.store(TenantScope.system.key(.importMark), writer.bytes)
    }

    static func remove(in transaction: inout WriteTransaction) throws { try transaction.delete(TenantScope.system.key(.importMark)) }

    /// - Throws: `.conflict` while a graph is set apart.
    static func refuseUnfinished(in view: borrowing TransactionView, directory: String) throws {
        guard let mark = try load(view), mark.isBuilding else { return }
        throw ContexError(
            .importUnfinished,
            "an import of \(mark.name) into \(directory) stopped after line \(mark.lines), with vectors that cannot be found yet: "
                + "finish it with 'contex import', or make the indexes anew with 'contex reindex --data-dir \(directory)'")
    }
}
