internal import CLMDB

/// Where a record lies in the file.
public struct PagePlace: Sendable, Equatable {
    /// Names the leaf page: records in order that share one have the same.
    public let leaf: UInt
    /// What the record takes of that page, with LMDB's own fields.
    public let leafBytes: Int
    /// Bytes of the pages that the value has for itself, because it is too long for a leaf; else 0.
    public let ownBytes: Int
}

extension TransactionView {
    private static let pageBytes = 4_096
    /// Before the value that begins on pages of its own.
    private static let pageHeaderBytes = 16
    /// Of a record on a leaf: its header, and its entry in the page's list.
    private static let nodeBytes = 8 + 2
    /// What stands on the leaf of a value that is elsewhere: the number of its page.
    private static let referenceBytes = 8

    /// Walks all records in the order of their keys, each with its place.
    /// - Precondition: the view is a snapshot's: pages that a transaction has written are not in the file yet.
    /// - Complexity: O(records), and of a value no byte is read.
    public func scanPlaces(_ body: (_ key: RawSpan, _ value: RawSpan, PagePlace) throws -> Void) throws {
        guard case .snapshot = state else { preconditionFailure("places of records that are not in the file yet") }
        try scan(prefix: []) { key, value in
            let (keyAt, valueAt) = (Self.address(key), Self.address(value))
            // On a leaf the value follows its key without a gap.
            let isOwn = value.byteCount > 0 && valueAt != keyAt + UInt(key.byteCount)
            let pages = (Self.pageHeaderBytes + value.byteCount + Self.pageBytes - 1) / Self.pageBytes
            let leafBytes = Self.nodeBytes + key.byteCount + (isOwn ? Self.referenceBytes : value.byteCount)
            try body(key, value, PagePlace(leaf: keyAt / UInt(Self.pageBytes), leafBytes: leafBytes, ownBytes: isOwn ? pages * Self.pageBytes : 0))
            return .onward
        }
    }

    private static func address(_ span: RawSpan) -> UInt { unsafe span.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }
}
