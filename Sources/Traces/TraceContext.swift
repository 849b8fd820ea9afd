// What travels with a request from service to service: W3C Trace Context (www.w3.org/TR/trace-context/) and Baggage.
//
//     traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//                  version, trace, the caller's span, flags
//
// Whatever is not of that form is as if it had not come: a trace is begun anew. Nothing that a caller sends here is refused for.

/// 16 bytes, not all of them zero.
public struct TraceID: Sendable, Hashable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    init?(high: UInt64, low: UInt64) {
        guard high != 0 || low != 0 else { return nil }
        self.high = high
        self.low = low
    }

    static func random() -> TraceID { TraceID(high: .random(in: 0...UInt64.max), low: .random(in: 1...UInt64.max))! }

    /// 32 hexadecimal digits, in lowercase.
    public var description: String { hexadecimal(high) + hexadecimal(low) }
}

/// 8 bytes, not all of them zero.
public struct SpanID: Sendable, Hashable, CustomStringConvertible {
    let value: UInt64

    init?(_ value: UInt64) {
        guard value != 0 else { return nil }
        self.value = value
    }

    static func random() -> SpanID { SpanID(.random(in: 1...UInt64.max))! }

    /// 16 hexadecimal digits, in lowercase.
    public var description: String { hexadecimal(value) }
}

/// Where in a trace somebody is.
public struct TraceContext: Sendable, Equatable {
    public let trace: TraceID
    public let span: SpanID
    /// Whoever began the trace wants it to be kept.
    public let isSampled: Bool
    /// What other systems keep with the trace, as it came; empty: nothing.
    public let state: String
    /// What services tell each other beside, as it came; empty: nothing.
    public let baggage: String

    static let stateBytesMax = 512
    static let stateMembersMax = 32
    /// The standard asks for 8,192 of those who pass it on; here it may wait for a webhook in memory, so a longer one is let go.
    static let baggageBytesMax = 1_024

    init(trace: TraceID, span: SpanID, isSampled: Bool, state: String = "", baggage: String = "") {
        self.trace = trace
        self.span = span
        self.isSampled = isSampled
        self.state = state
        self.baggage = baggage
    }

    /// - Parameters:
    ///   - parent: the header `traceparent`.
    ///   - state: the headers `tracestate`, each after the other with commas between them.
    ///   - baggage: the same of `baggage`.
    /// - Returns: nil for what is no trace context.
    public init?(parent: String, state: String = "", baggage: String = "") {
        let bytes = Array(parent.utf8.prefix(57))
        // Version 00 has 55 bytes; later ones may have more behind a dash, and begin like it.
        guard bytes.count >= 55, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = number(bytes[0..<2]), version != 0xFF, version == 0 ? bytes.count == 55 : bytes.count == 55 || bytes[55] == dash,
            let high = number(bytes[3..<19]), let low = number(bytes[19..<35]), let trace = TraceID(high: high, low: low),
            let span = number(bytes[36..<52]).flatMap({ SpanID($0) }), let flags = number(bytes[53..<55])
        else { return nil }
        self.init(
            trace: trace, span: span, isSampled: flags & 1 == 1,
            state: Self.isState(state) ? state : "", baggage: Self.isPlain(baggage, bytesMax: Self.baggageBytesMax) ? baggage : "")
    }

    /// The header `traceparent` of a request that this span makes.
    public var parent: String { "00-\(trace)-\(span)-\(isSampled ? "01" : "00")" }

    private static func isState(_ text: String) -> Bool {
        isPlain(text, bytesMax: stateBytesMax) && text.split(separator: ",").count <= stateMembersMax
    }

    /// Fit to stand in a header.
    private static func isPlain(_ text: String, bytesMax: Int) -> Bool {
        text.utf8.count <= bytesMax && text.utf8.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x09 }
    }
}

private let dash = UInt8(ascii: "-")

/// Of digits in lowercase only, as the standard wants them.
private func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for digit in digits {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
        default: return nil
        }
    }
    return value
}

private func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
