// Reading and writing bytes of our own formats: big-endian fixed numbers where order matters, LEB128 varints elsewhere.

extension FixedWidthInteger where Self: UnsignedInteger {
    /// The big-endian number in the first bytes, as many as its type has; of fewer bytes, the number that those are.
    @inlinable public init(firstOf bytes: borrowing [UInt8]) { self.init(bigEndian: bytes, 0..<Swift.min(bytes.count, Self.bitWidth / 8)) }

    /// The big-endian number in the last bytes: keys end with them.
    @inlinable public init(lastOf bytes: borrowing [UInt8]) { self.init(bigEndian: bytes, Swift.max(0, bytes.count - Self.bitWidth / 8)..<bytes.count) }

    @inlinable init(bigEndian bytes: borrowing [UInt8], _ places: Range<Int>) {
        self = 0
        for place in places { self = self &<< 8 | Self(bytes[place]) }
    }
}

extension Array where Element == UInt8 {
    /// The bytes of a number, the highest first.
    @inlinable public mutating func append<T: FixedWidthInteger & UnsignedInteger>(bigEndian number: T) {
        var shift = T.bitWidth - 8
        while shift >= 0 {
            append(UInt8(truncatingIfNeeded: number >> T(shift)))
            shift -= 8
        }
    }
}

/// Appends to a growing array.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    public init(capacity: Int = 64) { bytes.reserveCapacity(capacity) }

    @inlinable public mutating func u8(_ value: UInt8) { append(value) }
    @usableFromInline mutating func append(_ byte: UInt8) { bytes.append(byte) }
    public mutating func u16(_ value: UInt16) { bytes.append(bigEndian: value) }
    public mutating func u32(_ value: UInt32) { bytes.append(bigEndian: value) }
    public mutating func u64(_ value: UInt64) { bytes.append(bigEndian: value) }
    public mutating func i64(_ value: Int64) { bytes.append(bigEndian: UInt64(bitPattern: value)) }
    /// LEB128, 1 to 10 bytes.
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
    public mutating func raw(_ more: some Swift.Sequence<UInt8>) { bytes.append(contentsOf: more) }
    /// Length as varint, then the bytes.
    public mutating func blob(_ more: some Collection<UInt8>) {
        varint(UInt64(more.count))
        bytes.append(contentsOf: more)
    }
    public mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            varint(UInt64(utf8.count))
            unsafe bytes.append(contentsOf: utf8)
        }
    }
    public mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }
    /// Little-endian IEEE 754 floats, four bytes each, as the kernels read them.
    public mutating func floats(_ values: [Float]) {
        for value in values {
            let bits = value.bitPattern
            for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        }
    }
    public mutating func f64(_ value: Double) { u64(value.bitPattern) }
}

/// What a reader of stored bytes found wrong.
public enum ByteError: Error, Sendable, Equatable {
    /// Bytes end before the field does.
    case truncated(at: Int)
    /// A varint over 64 bits, text that is not UTF-8, a flag that is neither 0 nor 1.
    case malformed(at: Int)
    /// Bytes are left after the last field.
    case excess(at: Int)
}

/// Reads fields in order, one bounds check a field; never past the end, never a trap.
public struct ByteReader: Sendable {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    public init(_ bytes: [UInt8]) { self.init(bytes[...]) }
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    public var offset: Int { position - bytes.startIndex }
    public var remaining: Int { bytes.endIndex - position }

    public mutating func u8() throws(ByteError) -> UInt8 {
        guard position < bytes.endIndex else { throw .truncated(at: offset) }
        defer { position += 1 }
        return bytes[position]
    }
    public mutating func u16() throws(ByteError) -> UInt16 { try bigEndian() }
    public mutating func u32() throws(ByteError) -> UInt32 { try bigEndian() }
    public mutating func u64() throws(ByteError) -> UInt64 { try bigEndian() }
    public mutating func i64() throws(ByteError) -> Int64 { Int64(bitPattern: try bigEndian()) }
    private mutating func bigEndian<T: FixedWidthInteger & UnsignedInteger>() throws(ByteError) -> T {
        let width = T.bitWidth / 8
        guard remaining >= width else { throw .truncated(at: offset) }
        var value: T = 0
        for i in 0..<width { value = value << 8 | T(bytes[position + i]) }
        position += width
        return value
    }
    public mutating func varint() throws(ByteError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let at = offset
            let byte = try u8()
            if shift == 63 && byte > 1 { throw .malformed(at: at) }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
    }
    /// A varint that must fit an index; bounded by `limit` so that a damaged length cannot ask for memory.
    public mutating func count(limit: Int = Int(Int32.max)) throws(ByteError) -> Int {
        let at = offset
        let value = try varint()
        guard value <= UInt64(limit) else { throw .malformed(at: at) }
        return Int(value)
    }
    public mutating func raw(_ count: Int) throws(ByteError) -> ArraySlice<UInt8> {
        guard count >= 0, remaining >= count else { throw .truncated(at: offset) }
        defer { position += count }
        return bytes[position..<position + count]
    }
    public mutating func blob() throws(ByteError) -> ArraySlice<UInt8> { try raw(try count()) }
    public mutating func text() throws(ByteError) -> String {
        let at = offset
        let slice = try blob()
        guard let text = String(validating: slice, as: UTF8.self) else { throw .malformed(at: at) }
        return text
    }
    public mutating func bool() throws(ByteError) -> Bool {
        let at = offset
        switch try u8() {
        case 0: return false
        case 1: return true
        default: throw .malformed(at: at)
        }
    }
    public mutating func floats(_ count: Int) throws(ByteError) -> [Float] {
        guard count >= 0, count <= remaining / 4 else { throw .truncated(at: offset) }
        let slice = try raw(count * 4)
        var values: [Float] = []
        values.reserveCapacity(count)
        var at = slice.startIndex
        while at < slice.endIndex {
            let bits = UInt32(slice[at]) | UInt32(slice[at + 1]) << 8 | UInt32(slice[at + 2]) << 16 | UInt32(slice[at + 3]) << 24
            values.append(Float(bitPattern: bits))
            at += 4
        }
        return values
    }
    public mutating func f64() throws(ByteError) -> Double { Double(bitPattern: try u64()) }
    /// Every field was read and nothing is left.
    public func end() throws(ByteError) { if remaining != 0 { throw .excess(at: offset) } }
}
