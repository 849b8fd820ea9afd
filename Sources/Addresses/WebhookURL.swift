// A URL taken apart so strictly that no two readers can disagree about it. Most ways around an address filter are two
// parsers that see two hosts in one text (`http://public.example\@127.0.0.1/`); so what a browser would mend is refused here,
// and the client is given a URL written anew from the checked parts.

public import Base

/// Where a webhook is posted.
public struct WebhookURL: Hashable, Sendable {
    public enum Host: Hashable, Sendable {
        case address(IPAddress)
        /// Lower case, letters, digits, `-`, `_` and `.` only, without the final dot.
        case name(String)
    }

    /// Longer than any URL that proxies and servers take.
    public static let byteCountMax = 8_192

    public let isSecure: Bool
    public let host: Host
    public let port: Int
    /// Path and query, percent-encoded; begins with `/`.
    public let target: String

    /// - Throws: `.invalid` for `webhook_url`, saying what is wrong with it.
    /// - Complexity: O(length).
    public init(_ text: String) throws(ContexError) {
        guard text.utf8.count <= Self.byteCountMax else { throw Self.mistake("is longer than \(Self.byteCountMax) bytes") }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "\\") }) else {
            throw Self.mistake("must not contain spaces, control characters or backslashes")
        }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")), text[colon...].hasPrefix("://") else {
            throw Self.mistake("must begin with http:// or https://")
        }
        switch text[..<colon].lowercased() {
        case "http": isSecure = false
        case "https": isSecure = true
        default: throw Self.mistake("must begin with http:// or https://")
        }
        let rest = text[colon...].dropFirst(3)
        let end = rest.utf8.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.utf8.contains(UInt8(ascii: "@")) else {
            throw Self.mistake("must not contain a user name or password: sign with webhook_secret instead")
        }
        let (hostText, portText) = try Self.split(authority)
        host = try Self.host(hostText)
        port = try Self.port(portText) ?? (isSecure ? 443 : 80)
        let beforeFragment = rest[end...].utf8.prefix { $0 != UInt8(ascii: "#") }
        target = (beforeFragment.first == UInt8(ascii: "/") ? "" : "/") + Self.encoded(beforeFragment)
    }

    /// Host as it stands in a URL and in the `Host` header: an IPv6 address in brackets.
    public var hostText: String {
        switch host {
        case .address(.v4(let value)): IPAddress.v4(value).description
        case .address(let address): "[\(address)]"
        case .name(let name): name
        }
    }

    /// `https://host:port`: what may be logged. Paths and queries of webhooks often are secrets.
    public var origin: String { "\(isSecure ? "https" : "http")://\(hostText):\(port)" }

    /// The whole URL, written anew.
    public var text: String { origin + target }

    // MARK: - Parts

    private static func split(_ authority: Substring) throws(ContexError) -> (host: Substring, port: Substring?) {
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { throw mistake("has an IPv6 address without ']'") }
            let after = authority[authority.index(after: close)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw mistake("has something between ']' and the port") }
            return (authority[...close], after.isEmpty ? nil : after.dropFirst())
        }
        guard let colon = authority.firstIndex(of: ":") else { return (authority, nil) }
        return (authority[..<colon], authority[authority.index(after: colon)...])
    }

    private static func host(_ text: Substring) throws(ContexError) -> Host {
        if text.hasPrefix("[") {
            guard let address = IPAddress(text.dropFirst().dropLast()), case .v6 = address else { throw mistake("has no IPv6 address in its brackets") }
            return .address(address)
        }
        let name = (text.hasSuffix(".") ? text.dropLast() : text).lowercased()
        if let address = IPAddress(resolverForm: name) { return .address(address) }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...253).contains(name.utf8.count), labels.allSatisfy({ (1...63).contains($0.utf8.count) }) else {
            throw mistake("has no host, or one with an empty or overlong part")
        }
        guard name.utf8.allSatisfy(isNameByte) else {
            throw mistake("has a host with characters other than letters, digits, '-', '_' and '.': write an international name as xn--...")
        }
        // No top-level domain is a number: this is an address that somebody wrote in a form that only some resolvers know.
        guard !looksNumeric(labels[labels.count - 1]) else { throw mistake("has a host that is neither a name nor an IP address") }
        return .name(name)
    }

    private static func port(_ text: Substring?) throws(ContexError) -> Int? {
        guard let text else { return nil }
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy(isDigit), let port = Int(text), (1...65_535).contains(port)
        else { throw mistake("has a port that is not a number of 1 to 65535") }
        return port
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
        default: isDigit(byte) || isLetter(byte)
        }
    }

    private static func looksNumeric(_ label: Substring) -> Bool {
        label.utf8.allSatisfy(isDigit) || label.hasPrefix("0x")
    }

    /// Percent-encodes what RFC 3986 does not allow in path and query, and a `%` that begins no escape.
    private static func encoded(_ view: Substring.UTF8View.SubSequence) -> String {
        let bytes = Array(view)
        func isHexadecimal(_ index: Int) -> Bool { index < bytes.count && (isDigit(bytes[index]) || isLetter(bytes[index], to: "f")) }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for (index, byte) in bytes.enumerated() {
            if isPathByte(byte) || (byte == UInt8(ascii: "%") && isHexadecimal(index + 1) && isHexadecimal(index + 2)) {
                result.append(byte)
            } else {
                result += "%\(byte < 16 ? "0" : "")\(String(byte, radix: 16, uppercase: true))".utf8
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func isLetter(_ byte: UInt8, to last: Unicode.Scalar = "z") -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: last)).contains(byte | 0x20)
    }

    private static func isPathByte(_ byte: UInt8) -> Bool {
        switch byte {
        // - . _ ~ ! $ & ' ( ) * + , ; = : @ / ?
        case 0x21, 0x24, 0x26...0x2F, 0x3A, 0x3B, 0x3D, 0x3F, 0x40, 0x5F, 0x7E: true
        default: isDigit(byte) || isLetter(byte)
        }
    }

    private static func mistake(_ message: String) -> ContexError {
        .invalid(field: "webhook_url", kind: "value_error", message: "Value error, webhook_url \(message)")
    }
}
