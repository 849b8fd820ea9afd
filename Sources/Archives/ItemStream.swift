// The content of a backup as one string of bytes: items one after the other, cut into blocks wherever a block is full. A reader puts together
// what was cut, and holds no more than the item at hand.
//
//     a record   varint length of key | key | varint length of value | value, as it lies in the store, with its seal
//     a command  u64 position | i64 time | varint length | the whole command (commands-v1.md)

public import Base

/// Fills blocks.
public struct BlockCutter {
    private var block: [UInt8] = []

    public init() { block.reserveCapacity(Limits.backupBlockBytes) }

    /// - Parameter emit: gets each block that is full.
    public mutating func record(_ key: borrowing RawSpan, _ value: borrowing RawSpan, emit: ([UInt8]) throws -> Void) rethrows {
        try varint(key.byteCount, emit)
        try bytes(key, emit)
        try varint(value.byteCount, emit)
        try bytes(value, emit)
    }

    public mutating func command(_ place: BackupPlace, _ command: [UInt8], emit: ([UInt8]) throws -> Void) rethrows {
        var writer = ByteWriter(capacity: 32)
        writer.u64(place.position.rawValue)
        writer.i64(place.time.rawValue)
        writer.varint(UInt64(command.count))
        try bytes(unsafe writer.bytes.span.bytes, emit)
        try bytes(unsafe command.span.bytes, emit)
    }

    /// The last block, which nothing fills up.
    public mutating func finish(emit: ([UInt8]) throws -> Void) rethrows {
        if !block.isEmpty { try emit(block) }
        block = []
    }

    private mutating func varint(_ number: Int, _ emit: ([UInt8]) throws -> Void) rethrows {
        var writer = ByteWriter(capacity: 10)
        writer.varint(UInt64(number))
        try bytes(unsafe writer.bytes.span.bytes, emit)
    }

    private mutating func bytes(_ span: borrowing RawSpan, _ emit: ([UInt8]) throws -> Void) rethrows {
        var place = 0
        while place < span.byteCount {
            let count = min(span.byteCount - place, Limits.backupBlockBytes - block.count)
            unsafe span.extracting(place..<place + count).withUnsafeBytes { unsafe block.append(contentsOf: $0) }
            place += count
            if block.count == Limits.backupBlockBytes {
                try emit(block)
                block = []
                block.reserveCapacity(Limits.backupBlockBytes)
            }
        }
    }
}

/// Puts items together again.
public struct ItemReader {
    /// What was fed and is not read, from `start` on.
    private var bytes: [UInt8] = []
    private var start = 0

    /// LMDB's bounds: docs/formats/keyspace-v1.md.
    private static let keyBytesMax = 511
    private static let valueBytesMax = Int(UInt32.max)

    public init() {}

    public mutating func feed(_ block: [UInt8]) {
        if start == bytes.count {
            bytes = block
        } else {
            bytes.removeSubrange(..<start)
            bytes.append(contentsOf: block)
        }
        start = 0
    }

    /// The next record; nil when more has to be fed first.
    /// - Throws: `.damaged` for lengths that no record has.
    public mutating func record() throws(ContexError) -> (key: ArraySlice<UInt8>, value: ArraySlice<UInt8>)? {
        var place = start
        guard let key = try field(&place, within: 1...Self.keyBytesMax), let value = try field(&place, within: 0...Self.valueBytesMax) else { return nil }
        start = place
        return (key, value)
    }

    /// The next command; nil when more has to be fed first.
    public mutating func command() throws(ContexError) -> (place: BackupPlace, command: ArraySlice<UInt8>)? {
        guard bytes.count - start >= 16 else { return nil }
        let position = Position(rawValue: UInt64(firstOf: Array(bytes[start..<start + 8])))
        let time = Timestamp(rawValue: Int64(bitPattern: UInt64(firstOf: Array(bytes[start + 8..<start + 16]))))
        var place = start + 16
        guard let command = try field(&place, within: 1...Self.valueBytesMax) else { return nil }
        start = place
        return (BackupPlace(position: position, time: time), command)
    }

    /// - Throws: `.damaged` when the bytes end within an item.
    public func finish() throws(ContexError) {
        guard start == bytes.count else { throw .damaged("the content ends within an item, \(bytes.count - start) bytes after its begin") }
    }

    /// A length and as many bytes; nil when they are not all there.
    private func field(_ place: inout Int, within lengths: ClosedRange<Int>) throws(ContexError) -> ArraySlice<UInt8>? {
        var (length, shift) = (0, 0)
        var at = place
        while true {
            guard at < bytes.count else { return nil }
            let byte = bytes[at]
            at += 1
            length |= Int(byte & 0x7F) << shift
            // Five groups of seven bits hold every length that there may be.
            guard shift < 35, length <= lengths.upperBound else { throw .damaged("an item with a length that none has") }
            if byte & 0x80 == 0 { break }
            shift += 7
        }
        guard length >= lengths.lowerBound else { throw .damaged("an item with a length that none has") }
        guard bytes.count - at >= length else { return nil }
        place = at + length
        return bytes[at..<at + length]
    }
}
