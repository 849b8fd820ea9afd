// Where a webhook is posted: a URL that is read once (WebAddress), judged by its parts and written anew from them, so that no two readers can
// disagree about it. Most ways around an address filter are two parsers that see two hosts in one text
// (`http://public.example\@127.0.0.1/`); so what a browser would mend before the path is refused here, and the client is given the new text.

public import Base

/// Where a webhook is posted.
public struct WebhookURL: Hashable, Sendable {
    /// Longer than any URL that proxies and servers take.
    public static let byteCountMax = 8_192

    public let isSecure: Bool
    /// A name has letters, digits, `-`, `_` and `.` only, and no final dot.
    public let host: WebAddress.Host
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
        let address: WebAddress
        do throws(WebAddressError) {
            address = try WebAddress(text)
        } catch {
            switch error {
            case .scheme: throw Self.mistake("must begin with http:// or https://")
            case .syntax(let reason): throw Self.mistake("is not a valid URL: \(reason)")
            }
        }
        let start = text.utf8.drop { $0 != UInt8(ascii: ":") }
        guard start.starts(with: "://".utf8), !start.starts(with: ":///".utf8) else { throw Self.mistake("must begin with http:// or https://") }
        guard address.user.isEmpty else { throw Self.mistake("must not contain a user name or password: sign with webhook_secret instead") }
        isSecure = address.isSecure
        host = try Self.checked(address.host)
        port = Int(address.port ?? (isSecure ? 443 : 80))
        guard port > 0 else { throw Self.mistake("has a port that is not a number of 1 to 65535") }
        // A `%` that begins no escape is one itself.
        target = PercentEncoding.encode(address.path + address.query, keepingEscapes: true, keeping: Self.isPathByte)
        guard self.text.utf8.count <= Self.byteCountMax else { throw Self.mistake("is longer than \(Self.byteCountMax) bytes when it is encoded") }
    }

    /// Host as it stands in a URL and in the `Host` header: an IPv6 address in brackets.
    public var hostText: String { host.text }

    /// `https://host:port`: what may be logged. Paths and queries of webhooks often are secrets.
    public var origin: String { "\(isSecure ? "https" : "http")://\(hostText):\(port)" }

    /// The whole URL, written anew.
    public var text: String { origin + target }

    // MARK: - Parts

    private static func checked(_ host: WebAddress.Host) throws(ContexError) -> WebAddress.Host {
        guard case .name(let written) = host else { return host }
        let name = written.hasSuffix(".") ? String(written.dropLast()) : written
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

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
        default: isDigit(byte) || isLetter(byte)
        }
    }

    private static func looksNumeric(_ label: Substring) -> Bool {
        label.utf8.allSatisfy(isDigit) || label.hasPrefix("0x")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }

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
