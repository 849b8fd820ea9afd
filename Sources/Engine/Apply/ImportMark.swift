internal import Base
package import Hashing
internal import KeySpace
package import LMDB

/// How far an import of lines has come: one record of the store, moved by the transaction that stores what it counts, and gone when
/// the import is done.
package struct ImportMark: Equatable {
    /// What the input is called.
    package var name: String
    /// Lines that are done.
    package var lines: Int
    /// SHA-256 over the chain before and each line that is not blank, from 32 zero bytes on: whether an input begins with the same lines.
    package var chain = SHA256Digest.zero
    /// Some project's graph is set apart to be built anew, so that its vectors are not found.
    package var isBuilding = false

    package init(name: String, lines: Int, chain: SHA256Digest = .zero, isBuilding: Bool = false) {
        self.name = name
        self.lines = lines
        self.chain = chain
        self.isBuilding = isBuilding
    }

    /// - Parameter number: of the line, 1 for the first.
    package mutating func pass(line number: Int, _ bytes: [UInt8]) {
        lines = number
        chain = SHA256.digest(chain.bytes, bytes)
    }

    package static func load(_ view: borrowing TransactionView) throws -> ImportMark? {
        guard let bytes = try view.loadBytes(TenantScope.system.key(.importMark)) else { return nil }
        var reader = ByteReader(bytes)
        let mark = ImportMark(
            name: try reader.text(), lines: try reader.count(limit: .max), chain: try reader.sha256(), isBuilding: try reader.bool())
        try reader.end()
        return mark
    }

    package func store(in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.text(name)
        writer.varint(UInt64(lines))
        writer.raw(chain.bytes)
        writer.bool(isBuilding)
        try transaction.store(TenantScope.system.key(.importMark), writer.bytes)
    }

    package static func remove(in transaction: inout WriteTransaction) throws { try transaction.delete(TenantScope.system.key(.importMark)) }

    /// - Throws: `.conflict` while a graph is set apart.
    static func refuseUnfinished(in view: borrowing TransactionView, directory: String) throws {
        guard let mark = try load(view), mark.isBuilding else { return }
        throw ContexError(
            .importUnfinished,
            "an import of \(mark.name) into \(directory) stopped after line \(mark.lines), with vectors that cannot be found yet: "
                + "finish it with 'contex import', or make the indexes anew with 'contex reindex --data-dir \(directory)'")
    }
}
