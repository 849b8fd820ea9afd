internal import Base
internal import CKernels

/// Reads the numbers of a record that lies in the store or in an array, one bounds check a field; never past the end.
///
/// Holds a pointer: whoever makes one sees to it that the bytes stay, which for mapped bytes means that the reader goes no
/// further than the view, and that nothing is written meanwhile.
@safe
struct RecordReader {
    let start: UnsafeRawPointer
    let count: Int
    var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        // An empty buffer may have no address; nothing is read of it.
        unsafe start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!
        count = bytes.count
    }

    var remaining: Int { count - position }
    var isAtEnd: Bool { position == count }
    /// The bytes from here on.
    var here: UnsafeRawPointer { unsafe start + position }

    @inline(__always)
    mutating func byte() throws(ContexError) -> UInt8 {
        guard position < count else { throw Self.damaged }
        position += 1
        return unsafe start.load(fromByteOffset: position - 1, as: UInt8.self)
    }

    /// LEB128 of up to 35 bits.
    @inline(__always)
    mutating func number() throws(ContexError) -> UInt64 {
        let first = UInt64(try byte())
        if first < 0x80 { return first }
        return try longNumber(first)
    }

    private mutating func longNumber(_ first: UInt64) throws(ContexError) -> UInt64 {
        var value = first & 0x7F
        var shift: UInt64 = 7
        while shift < 35 {
            let byte = UInt64(try byte())
            value |= (byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw Self.damaged
    }

    @inline(__always)
    mutating func number32() throws(ContexError) -> UInt32 {
        guard let value = UInt32(exactly: try number()) else { throw Self.damaged }
        return value
    }

    @inline(__always)
    mutating func skip(_ bytes: Int) throws(ContexError) {
        guard bytes >= 0, bytes <= remaining else { throw Self.damaged }
        position += bytes
    }

    static var damaged: ContexError { TextIndex.contradiction("a record that cannot be read") }
}

extension Array where Element == UInt8 {
    /// Appends LEB128.
    @inline(__always)
    mutating func appendNumber(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}

/// The instruction set that the kernels use here, asked once.
let kernelLevel = ck_postings_level()
