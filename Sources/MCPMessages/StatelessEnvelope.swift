// What every request of the stateless revisions says of itself, in `params._meta`, and what HTTP's headers say of it a second time so that
// whoever is in between need not read the body. Both must say the same: who routes by the one would else be led by the other.

internal import Base

/// The names of `_meta` and of HTTP that the protocol has given.
public enum MCPName {
    public static let protocolVersion = "io.modelcontextprotocol/protocolVersion"
    public static let clientCapabilities = "io.modelcontextprotocol/clientCapabilities"
    public static let serverInfo = "io.modelcontextprotocol/serverInfo"
    public static let subscriptionID = "io.modelcontextprotocol/subscriptionId"

    public static let versionHeader = "MCP-Protocol-Version"
    public static let methodHeader = "Mcp-Method"
    public static let nameHeader = "Mcp-Name"
}

/// The headers of a request that belong to the protocol: every value of each.
public struct RoutingHeaders: Sendable {
    public var versions: [String]
    public var methods: [String]
    public var names: [String]

    public init(versions: [String] = [], methods: [String] = [], names: [String] = []) {
        self.versions = versions
        self.methods = methods
        self.names = names
    }
}

public struct StatelessEnvelope: Sendable {
    public let revision: ProtocolRevision

    /// Whether a request speaks of itself: half an envelope is one that is told what is missing.
    public static func isIn(_ request: RPCRequest) -> Bool {
        request.meta.map { $0[MCPName.protocolVersion] != nil || $0[MCPName.clientCapabilities] != nil } ?? false
    }

    /// - Parameter headers: nil where there are none (standard input).
    /// - Throws: in this order for an envelope that is not whole, headers that say something else, and a revision that is not spoken here.
    public init(_ request: RPCRequest, headers: RoutingHeaders?) throws(RPCFault) {
        func refused(_ code: RPCFault.Code, _ text: String, _ data: JSONValue? = nil) -> RPCFault { RPCFault(code, text, data: data, id: request.id) }
        let meta = request.meta ?? JSONObject()
        for key in [MCPName.protocolVersion, MCPName.clientCapabilities] where meta[key] == nil {
            throw refused(.invalidParams, "params._meta has \(MCPName.protocolVersion) and \(MCPName.clientCapabilities); \(key) is missing")
        }
        let version = meta[MCPName.protocolVersion]?.stringValue
        if let headers { try Self.compare(headers, request, version: version) }
        guard let version, version.utf8.count <= MCPLimits.wordBytes else {
            throw refused(.invalidParams, "\(MCPName.protocolVersion) is a text: the date of a revision")
        }
        guard meta[MCPName.clientCapabilities]?.objectValue != nil else { throw refused(.invalidParams, "\(MCPName.clientCapabilities) is an object") }
        guard let revision = ProtocolRevision.stateless.first(where: { $0.rawValue == version }) else {
            throw Self.unsupported(version, id: request.id)
        }
        self.revision = revision
    }

    public static func unsupported(_ version: String, id: MessageID?) -> RPCFault {
        RPCFault(
            .revisionUnsupported, "Unsupported protocol version",
            data: [
                "supported": .array(ProtocolRevision.stateless.map { .string($0.rawValue) }), "requested": .string(version.excerpt(bytes: MCPLimits.wordBytes)),
            ], id: id)
    }

    /// Of the methods that name one thing: the member of `params` that does.
    private static func nameMember(_ method: String) -> String? {
        switch method {
        case "tools/call", "prompts/get": "name"
        case "resources/read": "uri"
        default: nil
        }
    }

    private static func compare(_ headers: RoutingHeaders, _ request: RPCRequest, version: String?) throws(RPCFault) {
        func mismatch(_ header: String, _ why: String) -> RPCFault { RPCFault(.headerMismatch, "The header \(header) \(why)", id: request.id) }
        for (name, values) in [
            (MCPName.versionHeader, headers.versions), (MCPName.methodHeader, headers.methods), (MCPName.nameHeader, headers.names),
        ] where values.count > 1 { throw mismatch(name, "is there more than once") }
        guard let stated = headers.versions.first, stated == version else {
            throw mismatch(MCPName.versionHeader, "does not say what params._meta says")
        }
        guard headers.methods.first == request.method else { throw mismatch(MCPName.methodHeader, "does not say the method of the message") }
        guard let member = nameMember(request.method), let name = request.params[member], !name.isNull else { return }
        guard let stated = headers.names.first.flatMap(HeaderText.decode), .string(stated) == name else {
            throw mismatch(MCPName.nameHeader, "does not say params.\(member) of the message")
        }
    }
}

/// Texts as headers carry them: `=?base64?...?=` around what is no plain ASCII.
public enum HeaderText {
    private static let (opening, closing) = ("=?base64?", "?=")

    /// nil for a text that says that it is encoded and is not.
    public static func decode(_ text: String) -> String? {
        guard text.hasPrefix(opening), text.hasSuffix(closing), text.utf8.count >= opening.utf8.count + closing.utf8.count else { return text }
        let payload = text.dropFirst(opening.count).dropLast(closing.count)
        guard let bytes = decode(payload.utf8) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// As a header may carry it.
    public static func encode(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20...0x7E).contains($0) } && text.first != " " && text.last != " " && !text.hasPrefix(opening)
        return isPlain ? text : opening + encode(Array(text.utf8)) + closing
    }

    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8?] = {
        var values = [UInt8?](repeating: nil, count: 256)
        for (value, digit) in digits.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }()

    private static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            let number = part.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (16 - 8 * UInt32($1.offset)) }
            for place in 0..<4 {
                text.append(place <= part.count ? digits[Int(number >> (18 - 6 * UInt32(place)) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The one spelling of RFC 4648, section 4; nil for any other.
    private static func decode(_ text: Substring.UTF8View) -> [UInt8]? {
        let all = Array(text)
        guard all.count % 4 == 0 else { return nil }
        let padding = all.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        var bytes: [UInt8] = []
        var (number, bits) = (UInt32(0), 0)
        for byte in all.dropLast(padding) {
            guard let value = values[Int(byte)] else { return nil }
            number = number << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: number >> UInt32(bits)))
                number &= 1 << UInt32(bits) - 1
            }
        }
        return number == 0 && bits == (padding == 0 ? 0 : padding == 1 ? 2 : 4) ? bytes : nil
    }
}
