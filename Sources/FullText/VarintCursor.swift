internal import Base

/// Reads varints of up to 32 bits out of a span; never past its end.
struct VarintCursor {
    var position = 0

    @inline(__always)
    mutating func next(_ span: borrowing RawSpan) throws -> UInt32 {
        var value: UInt32 = 0
        var shift: UInt32 = 0
        while position < span.byteCount, shift < 35 {
            // Inside the span by the loop's condition.
            let byte = unsafe span.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            position += 1
            value |= UInt32(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw PostingError.damaged
    }
}
