// Messages are lists of numbered fields, written as Protocol Buffers write them, without groups:
//
//     key: number << 3 | way (varint)      way 0: varint   1: eight bytes, little-endian   2: length (varint), then so many bytes   5: four bytes
//
// A message names its fields once, in `fields`; who writes, reads, or fills them for a test is a `FieldCoder`. A field that has its default is not
// written. A reader passes over numbers that it does not know.

/// What can be sent: a list of fields.
public protocol WireMessage: Sendable, Equatable {
    /// Every field has its default.
    init()
    /// Names every field to the coder, with its number, which is never given to another.
    mutating func fields(_ coder: inout some FieldCoder) throws(WireFault)
}

public protocol FieldCoder {
    mutating func number(_ field: Int, _ value: inout UInt64) throws(WireFault)
    mutating func number(_ field: Int, _ value: inout UInt64?) throws(WireFault)
    /// Zigzag: small whatever its sign.
    mutating func signed(_ field: Int, _ value: inout Int64?) throws(WireFault)
    mutating func flag(_ field: Int, _ value: inout Bool) throws(WireFault)
    mutating func double(_ field: Int, _ value: inout Double) throws(WireFault)
    mutating func double(_ field: Int, _ value: inout Double?) throws(WireFault)
    mutating func text(_ field: Int, _ value: inout String) throws(WireFault)
    mutating func text(_ field: Int, _ value: inout String?) throws(WireFault)
    mutating func bytes(_ field: Int, _ value: inout [UInt8]?) throws(WireFault)
    /// Four bytes each, little-endian.
    mutating func floats(_ field: Int, _ value: inout [Float]?) throws(WireFault)
    /// Two bytes each, little-endian: numbers as halves have them.
    mutating func halves(_ field: Int, _ value: inout [Float]?) throws(WireFault)
    /// Varints in one field.
    mutating func numbers(_ field: Int, _ value: inout [UInt64], most: Int) throws(WireFault)
    mutating func texts(_ field: Int, _ value: inout [String], most: Int) throws(WireFault)
    mutating func message<M: WireMessage>(_ field: Int, _ value: inout M?) throws(WireFault)
    mutating func messages<M: WireMessage>(_ field: Int, _ value: inout [M], most: Int) throws(WireFault)
}

extension WireMessage {
    public var encoded: [UInt8] {
        var writer = FieldWriter()
        var copy = self
        // It writes what is there: nothing of it can fail.
        try? copy.fields(&writer)
        return writer.bytes
    }

    public init(decoding bytes: some Collection<UInt8>) throws(WireFault) { try self.init(decoding: ArraySlice(bytes), depth: 0) }

    init(decoding bytes: ArraySlice<UInt8>, depth: Int) throws(WireFault) {
        guard depth <= FieldReader.depthMax else { throw .tooDeep }
        self.init()
        var reader = FieldReader(bytes, depth: depth)
        while try reader.advance() { try fields(&reader) }
    }
}

/// How a field is written.
enum FieldWay: UInt64 {
    case varint = 0, eight = 1, counted = 2, four = 5
}

struct FieldWriter: FieldCoder {
    private(set) var bytes: [UInt8] = []

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
    private mutating func key(_ field: Int, _ way: FieldWay) { varint(UInt64(field) << 3 | way.rawValue) }
    private mutating func put(_ field: Int, varint value: UInt64) {
        key(field, .varint)
        varint(value)
    }
    private mutating func put(_ field: Int, counted content: some Collection<UInt8>) {
        key(field, .counted)
        varint(UInt64(content.count))
        bytes += content
    }
    private mutating func put(_ field: Int, eight value: Double) {
        key(field, .eight)
        littleEndian(value.bitPattern)
    }
    private mutating func littleEndian<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        for shift in stride(from: 0, to: T.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> T(shift))) }
    }

    mutating func number(_ field: Int, _ value: inout UInt64) { if value != 0 { put(field, varint: value) } }
    mutating func number(_ field: Int, _ value: inout UInt64?) { if let value { put(field, varint: value) } }
    mutating func signed(_ field: Int, _ value: inout Int64?) {
        if let value { put(field, varint: UInt64(bitPattern: value << 1 ^ value >> 63)) }
    }
    mutating func flag(_ field: Int, _ value: inout Bool) { if value { put(field, varint: 1) } }
    mutating func double(_ field: Int, _ value: inout Double) { if value.bitPattern != 0 { put(field, eight: value) } }
    mutating func double(_ field: Int, _ value: inout Double?) { if let value { put(field, eight: value) } }
    mutating func text(_ field: Int, _ value: inout String) { if !value.isEmpty { put(field, counted: value.utf8) } }
    mutating func text(_ field: Int, _ value: inout String?) { if let value { put(field, counted: value.utf8) } }
    mutating func bytes(_ field: Int, _ value: inout [UInt8]?) { if let value { put(field, counted: value) } }
    mutating func floats(_ field: Int, _ value: inout [Float]?) {
        guard let value else { return }
        key(field, .counted)
        varint(UInt64(4 * value.count))
        for number in value { littleEndian(number.bitPattern) }
    }
    mutating func halves(_ field: Int, _ value: inout [Float]?) {
        guard let value else { return }
        key(field, .counted)
        varint(UInt64(2 * value.count))
        for number in value { littleEndian(Float16(number).bitPattern) }
    }
    mutating func numbers(_ field: Int, _ value: inout [UInt64], most: Int) {
        guard !value.isEmpty else { return }
        var list = FieldWriter()
        for number in value { list.varint(number) }
        put(field, counted: list.bytes)
    }
    mutating func texts(_ field: Int, _ value: inout [String], most: Int) { for text in value { put(field, counted: text.utf8) } }
    mutating func message<M: WireMessage>(_ field: Int, _ value: inout M?) { if let value { put(field, counted: value.encoded) } }
    mutating func messages<M: WireMessage>(_ field: Int, _ value: inout [M], most: Int) { for message in value { put(field, counted: message.encoded) } }
}

/// Reads one field at a time: the message offers all that it knows, and the one that is meant takes it.
struct FieldReader: FieldCoder {
    private enum Value {
        case number(UInt64), counted(ArraySlice<UInt8>)
    }
    static let depthMax = 8

    private var rest: ArraySlice<UInt8>
    private let depth: Int
    private var field = 0
    private var way = FieldWay.varint
    private var value = Value.number(0)

    init(_ bytes: ArraySlice<UInt8>, depth: Int) {
        rest = bytes
        self.depth = depth
    }

    /// False at the end.
    mutating func advance() throws(WireFault) -> Bool {
        guard !rest.isEmpty else { return false }
        let key = try varint()
        guard key >> 3 > 0, key >> 3 < 1 << 29, let way = FieldWay(rawValue: key & 7) else { throw .malformed(field: Int(key >> 3 & 0xFFFF_FFFF)) }
        field = Int(key >> 3)
        self.way = way
        switch way {
        case .varint: value = .number(try varint())
        case .eight: value = .number(try littleEndian(8))
        case .four: value = .number(try littleEndian(4))
        case .counted:
            let count = try varint()
            guard count <= UInt64(rest.count) else { throw .truncated }
            value = .counted(rest.prefix(Int(count)))
            rest = rest.dropFirst(Int(count))
        }
        return true
    }

    private mutating func varint() throws(WireFault) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = rest.popFirst() {
            if shift == 63, byte > 1 { throw .malformed(field: field) }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        throw .truncated
    }
    private mutating func littleEndian(_ count: Int) throws(WireFault) -> UInt64 {
        guard rest.count >= count else { throw .truncated }
        var value: UInt64 = 0
        for byte in rest.prefix(count).reversed() { value = value << 8 | UInt64(byte) }
        rest = rest.dropFirst(count)
        return value
    }

    /// The number of this field, when it is the one that is meant.
    private func taken(_ field: Int, _ wanted: FieldWay) throws(WireFault) -> UInt64? {
        guard field == self.field else { return nil }
        guard wanted == way, case .number(let number) = value else { throw .mismatched(field: field) }
        return number
    }
    private func content(_ field: Int) throws(WireFault) -> ArraySlice<UInt8>? {
        guard field == self.field else { return nil }
        guard case .counted(let bytes) = value else { throw .mismatched(field: field) }
        return bytes
    }
    private func string(_ bytes: ArraySlice<UInt8>) throws(WireFault) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed(field: field) }
        return text
    }

    func number(_ field: Int, _ value: inout UInt64) throws(WireFault) { if let number = try taken(field, .varint) { value = number } }
    func number(_ field: Int, _ value: inout UInt64?) throws(WireFault) { if let number = try taken(field, .varint) { value = number } }
    func signed(_ field: Int, _ value: inout Int64?) throws(WireFault) {
        if let number = try taken(field, .varint) { value = Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1) }
    }
    func flag(_ field: Int, _ value: inout Bool) throws(WireFault) {
        guard let number = try taken(field, .varint) else { return }
        guard number <= 1 else { throw .malformed(field: field) }
        value = number == 1
    }
    func double(_ field: Int, _ value: inout Double) throws(WireFault) {
        if let bits = try taken(field, .eight) { value = Double(bitPattern: bits) }
    }
    func double(_ field: Int, _ value: inout Double?) throws(WireFault) {
        if let bits = try taken(field, .eight) { value = Double(bitPattern: bits) }
    }
    func text(_ field: Int, _ value: inout String) throws(WireFault) { if let bytes = try content(field) { value = try string(bytes) } }
    func text(_ field: Int, _ value: inout String?) throws(WireFault) { if let bytes = try content(field) { value = try string(bytes) } }
    func bytes(_ field: Int, _ value: inout [UInt8]?) throws(WireFault) { if let bytes = try content(field) { value = Array(bytes) } }
    func floats(_ field: Int, _ value: inout [Float]?) throws(WireFault) {
        guard let bytes = try content(field) else { return }
        guard bytes.count % 4 == 0 else { throw .malformed(field: field) }
        var numbers: [Float] = []
        numbers.reserveCapacity(bytes.count / 4)
        for place in stride(from: bytes.startIndex, to: bytes.endIndex, by: 4) {
            var bits: UInt32 = 0
            for byte in bytes[place..<place + 4].reversed() { bits = bits << 8 | UInt32(byte) }
            numbers.append(Float(bitPattern: bits))
        }
        value = numbers
    }
    func halves(_ field: Int, _ value: inout [Float]?) throws(WireFault) {
        guard let bytes = try content(field) else { return }
        guard bytes.count % 2 == 0 else { throw .malformed(field: field) }
        var numbers: [Float] = []
        numbers.reserveCapacity(bytes.count / 2)
        for place in stride(from: bytes.startIndex, to: bytes.endIndex, by: 2) {
            let bits = UInt16(bytes[place]) | UInt16(bytes[place + 1]) << 8
            numbers.append(Float(Float16(bitPattern: bits)))
        }
        value = numbers
    }
    func numbers(_ field: Int, _ value: inout [UInt64], most: Int) throws(WireFault) {
        guard let bytes = try content(field) else { return }
        var list = FieldReader(bytes, depth: depth)
        list.field = field
        while !list.rest.isEmpty {
            guard value.count < most else { throw .tooMany(field: field, most: most) }
            value.append(try list.varint())
        }
    }
    func texts(_ field: Int, _ value: inout [String], most: Int) throws(WireFault) {
        guard let bytes = try content(field) else { return }
        guard value.count < most else { throw .tooMany(field: field, most: most) }
        value.append(try string(bytes))
    }
    func message<M: WireMessage>(_ field: Int, _ value: inout M?) throws(WireFault) {
        if let bytes = try content(field) { value = try M(decoding: bytes, depth: depth + 1) }
    }
    func messages<M: WireMessage>(_ field: Int, _ value: inout [M], most: Int) throws(WireFault) {
        guard let bytes = try content(field) else { return }
        guard value.count < most else { throw .tooMany(field: field, most: most) }
        value.append(try M(decoding: bytes, depth: depth + 1))
    }
}
