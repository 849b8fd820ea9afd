public import Wire

/// The fields that are there, by their numbers, as JSON: what any reader must find in the bytes.
public struct WireTeller: FieldCoder {
    private var members: [(field: Int, text: String)] = []

    public init() {}

    public static func text<M: WireMessage>(_ message: M) -> String {
        var (copy, teller) = (message, WireTeller())
        try? copy.fields(&teller)
        return "{" + teller.members.map { "\"\($0.field)\":\($0.text)" }.joined(separator: ",") + "}"
    }

    private mutating func tell(_ field: Int, _ text: String?) { if let text { members.append((field, text)) } }
    private static func quoted(_ text: String) -> String {
        "\"" + text.unicodeScalars.map { $0.isASCII && $0.value > 0x20 && $0 != "\"" && $0 != "\\" ? String($0) : escaped($0) }.joined() + "\""
    }
    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        String(scalar).utf16.map { unit in "\\u" + String(repeating: "0", count: 4 - String(unit, radix: 16).count) + String(unit, radix: 16) }.joined()
    }
    private static func hex(_ bytes: [UInt8]) -> String { "{\"hex\":\"" + hexadecimal(bytes) + "\"}" }

    public mutating func number(_ field: Int, _ value: inout UInt64) { tell(field, value == 0 ? nil : "\(value)") }
    public mutating func number(_ field: Int, _ value: inout UInt64?) { tell(field, value.map { "\($0)" }) }
    public mutating func signed(_ field: Int, _ value: inout Int64?) { tell(field, value.map { "\($0)" }) }
    public mutating func flag(_ field: Int, _ value: inout Bool) { tell(field, value ? "true" : nil) }
    public mutating func double(_ field: Int, _ value: inout Double) { tell(field, value == 0 ? nil : "\(value)") }
    public mutating func double(_ field: Int, _ value: inout Double?) { tell(field, value.map { "\($0)" }) }
    public mutating func text(_ field: Int, _ value: inout String) { tell(field, value.isEmpty ? nil : Self.quoted(value)) }
    public mutating func text(_ field: Int, _ value: inout String?) { tell(field, value.map(Self.quoted)) }
    public mutating func bytes(_ field: Int, _ value: inout [UInt8]?) { tell(field, value.map(Self.hex)) }
    public mutating func floats(_ field: Int, _ value: inout [Float]?) { tell(field, value.map { "[" + $0.map { "\($0)" }.joined(separator: ",") + "]" }) }
    public mutating func halves(_ field: Int, _ value: inout [Float]?) { floats(field, &value) }
    public mutating func numbers(_ field: Int, _ value: inout [UInt64], most: Int) {
        tell(field, value.isEmpty ? nil : "[" + value.map { "\($0)" }.joined(separator: ",") + "]")
    }
    public mutating func texts(_ field: Int, _ value: inout [String], most: Int) {
        tell(field, value.isEmpty ? nil : "[" + value.map(Self.quoted).joined(separator: ",") + "]")
    }
    public mutating func message<M: WireMessage>(_ field: Int, _ value: inout M?) { tell(field, value.map { Self.text($0) }) }
    public mutating func messages<M: WireMessage>(_ field: Int, _ value: inout [M], most: Int) {
        tell(field, value.isEmpty ? nil : "[" + value.map { Self.text($0) }.joined(separator: ",") + "]")
    }
}

public func hexadecimal(_ bytes: some Swift.Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
