// The envelope of every value.
//
//     offset  size  field
//     0       1     format version of the payload, of the kind of its key
//     1       1     flags: 0; later compression and encryption
//     2       4     CRC-32C over key, version, flags and payload, big-endian
//     6       ...   payload
//
// LMDB itself has no checksums: of 300 random bit flips in a store, 272 gave a wrong value without a word (measured).
// Because the sum includes the key, a value that a damaged branch page serves under another key is found as well.

public import Base
public import LMDB

public enum Seal {
    public static let headerBytes = 6

    static func checksum(key: borrowing RawSpan, version: UInt8, flags: UInt8, payload: borrowing RawSpan) -> UInt32 {
        var sum = CRC32C()
        sum.update(key)
        sum.update([version, flags])
        sum.update(payload)
        return sum.value
    }

    /// A payload in its envelope.
    static func sealed(_ key: borrowing [UInt8], version: UInt8 = 1, _ payload: borrowing [UInt8]) -> [UInt8] {
        var value: [UInt8] = []
        value.reserveCapacity(headerBytes + payload.count)
        value.append(version)
        value.append(0)
        value.append(bigEndian: unsafe checksum(key: key.span.bytes, version: version, flags: 0, payload: payload.span.bytes))
        value += payload
        return value
    }

    /// The payload of a sealed value.
    /// - Throws: `.damaged` when the seal does not fit key and bytes, or the version is newer than this build knows.
    @_lifetime(copy value)
    public static func open(key: borrowing [UInt8], value: RawSpan, version: UInt8) throws(ContexError) -> RawSpan {
        try unsafe open(key: key.span.bytes, value: value, version: version)
    }

    /// The same with a key that lies in the store.
    @_lifetime(copy value)
    public static func open(key: borrowing RawSpan, value: RawSpan, version: UInt8) throws(ContexError) -> RawSpan {
        let payload = try open(key: key, value: value)
        guard self.version(of: value) == version else {
            throw ContexError(
                .formatUnknown, "the value under key \(hex(key)) has format \(self.version(of: value)), this build reads format \(version)")
        }
        return payload
    }

    /// The format version that a sealed value says it has.
    public static func version(of value: RawSpan) -> UInt8 { unsafe value.unsafeLoad(fromByteOffset: 0, as: UInt8.self) }

    /// The payload of a value in whatever format, for those that do not read it.
    /// - Throws: `.damaged` when the seal does not fit key and bytes, or the envelope is newer than this build knows.
    @_lifetime(copy value)
    public static func open(key: borrowing RawSpan, value: RawSpan) throws(ContexError) -> RawSpan {
        guard value.byteCount >= headerBytes else {
            throw .damaged("value of \(value.byteCount) bytes under key \(hex(key)) is shorter than its envelope")
        }
        let stored = unsafe value.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt32.self).bigEndian
        let flags = unsafe value.unsafeLoad(fromByteOffset: 1, as: UInt8.self)
        let payload = value.extracting(headerBytes..<value.byteCount)
        guard checksum(key: key, version: version(of: value), flags: flags, payload: payload) == stored else {
            throw .damaged("the seal under key \(hex(key)) is broken: stop the server and run 'contex check'")
        }
        guard flags == 0 else {
            throw ContexError(
                .formatUnknown, "the value under key \(hex(key)) has an envelope with flags \(flags), which this build does not know")
        }
        return payload
    }

    /// Whether a value that is not in LMDB's hands is the one that was sealed under its key, in whatever format.
    public static func holds(key: ArraySlice<UInt8>, value: ArraySlice<UInt8>) -> Bool {
        unsafe key.withUnsafeBytes { key in
            unsafe value.withUnsafeBytes { value in
                (try? unsafe open(key: RawSpan(_unsafeBytes: key), value: RawSpan(_unsafeBytes: value))) != nil
            }
        }
    }

    /// What is sealed opens again, to the same bytes. Each finding is a sentence; for tests.
    static func checkInvariants(key: [UInt8], value: [UInt8], version: UInt8, payload: [UInt8]) -> [String] {
        let opened = try? Array(open(key: key, value: unsafe value.span.bytes, version: version))
        return opened == payload ? [] : ["what is sealed under \(unsafe hex(key.span.bytes)) does not open"]
    }

    static func hex(_ key: borrowing RawSpan) -> String {
        var text = ""
        for byte in unsafe key.withUnsafeBytes({ unsafe Array($0.prefix(64)) }) {
            let digits = String(byte, radix: 16)
            text += digits.count == 1 ? "0" + digits : digits
        }
        return text
    }
}

extension TransactionView {
    /// The checked payload under `key`, nil when there is none; valid as long as the view's transaction is unchanged.
    @_lifetime(copy self)
    public func load(_ key: borrowing [UInt8], version: UInt8 = 1) throws -> RawSpan? {
        guard let value = try get(key) else { return nil }
        return try Seal.open(key: key, value: value, version: version)
    }

    /// The checked payload, copied.
    public func loadBytes(_ key: borrowing [UInt8], version: UInt8 = 1) throws -> [UInt8]? {
        guard let payload = try load(key, version: version) else { return nil }
        return Array(payload)
    }

    /// Walks the records under `prefix`, each opened and checked; `body` gets the whole key and the payload.
    public func scanRecords(
        prefix: [UInt8], from: [UInt8]? = nil, _ direction: Direction = .ascending, version: UInt8 = 1,
        _ body: (_ key: [UInt8], _ payload: RawSpan) throws -> Step
    ) throws {
        try scan(prefix: prefix, from: from, direction) { keySpan, value in
            let key = Array(keySpan)
            return try body(key, try Seal.open(key: key, value: value, version: version))
        }
    }
}

extension WriteTransaction {
    /// Seals and stores a payload.
    public mutating func store(_ key: borrowing [UInt8], version: UInt8 = 1, _ payload: borrowing [UInt8]) throws(LMDBError) {
        let value = Seal.sealed(key, version: version, payload)
        if Invariants.areChecked {
            let faults = Seal.checkInvariants(key: copy key, value: value, version: version, payload: copy payload)
            Invariants.hold(faults)
        }
        try put(key, value)
    }
}
