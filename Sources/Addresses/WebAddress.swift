// The URL of a webhook, read as the WHATWG URL standard reads it for the schemes http and https, which is how the
// original's `HttpUrl` reads it: white space around is dropped, `\` is `/`, a bare host gains `/`, `HTTP://H.Example:80`
// becomes `http://h.example/`, `0x7f.1` becomes `127.0.0.1`. The last point matters: whoever checks the address later
// (no webhook may reach into a private network) must see the address that will be called.
//
// One thing is left out on purpose: host names outside ASCII are refused instead of mapped (UTS 46 needs tables of its
// own); they can be given in their `xn--` form.

internal import Base

public enum WebAddressError: Error, Equatable {
    /// A scheme other than http and https.
    case scheme
    /// In the words of the original's parser.
    case syntax(String)
}

/// A URL of http or https, taken apart.
public struct WebAddress: Hashable, Sendable {
    public enum Host: Hashable, Sendable {
        case address(IPAddress)
        /// In lower case, printable ASCII.
        case name(String)

        /// As it stands in a URL and in the `Host` header: an IPv6 address in brackets.
        public var text: String {
            switch self {
            case .address(.v4(let value)): IPAddress.v4(value).description
            case .address(let address): "[\(address)]"
            case .name(let name): name
            }
        }
    }

    public let isSecure: Bool
    /// Name, or name, colon and password, percent-encoded; empty when there is neither.
    public let user: String
    public let host: Host
    /// nil: the scheme's own.
    public let port: UInt16?
    /// Percent-encoded; begins with `/`.
    public let path: String
    /// From the `?` on, percent-encoded; empty when there is none.
    public let query: String
    /// From the `#` on, percent-encoded; empty when there is none.
    public let fragment: String

    /// - Complexity: O(length).
    public init(_ text: String) throws(WebAddressError) {
        guard !text.isEmpty else { throw .syntax("input is empty") }
        var scalars = Array(text.unicodeScalars)[...]
        while let first = scalars.first, first.value <= 0x20 { scalars.removeFirst() }
        while let last = scalars.last, last.value <= 0x20 { scalars.removeLast() }
        scalars.removeAll { $0 == "\t" || $0 == "\n" || $0 == "\r" }

        guard let colon = scalars.firstIndex(of: ":"), Self.isScheme(scalars[..<colon]) else { throw .syntax("relative URL without a base") }
        switch String(String.UnicodeScalarView(scalars[..<colon])).lowercased() {
        case "http": isSecure = false
        case "https": isSecure = true
        default: throw .scheme
        }

        var rest = scalars[(colon + 1)...]
        while let first = rest.first, first == "/" || first == "\\" { rest = rest.dropFirst() }

        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "\\" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = try Self.authority(rest[..<authorityEnd])
        (user, host) = (authority.user, authority.host)
        port = authority.port == (isSecure ? 443 : 80) ? nil : authority.port
        rest = rest[authorityEnd...]

        let fragmentStart = rest.firstIndex(of: "#")
        fragment = fragmentStart.map { "#" + Self.encoded(rest[($0 + 1)...], besides: " \"<>`") } ?? ""
        rest = rest[..<(fragmentStart ?? rest.endIndex)]
        let queryStart = rest.firstIndex(of: "?")
        query = queryStart.map { "?" + Self.encoded(rest[($0 + 1)...], besides: " \"#<>'") } ?? ""
        path = Self.path(rest[..<(queryStart ?? rest.endIndex)])
    }

    /// The URL in its normal form.
    public var text: String { "\(scheme)://\(user.isEmpty ? "" : user + "@")\(place)\(path)\(query)\(fragment)" }

    /// Scheme, host and port, of which nothing is a secret.
    public var origin: String { "\(scheme)://\(place)" }

    private var scheme: String { isSecure ? "https" : "http" }
    private var place: String { host.text + (port.map { ":\($0)" } ?? "") }

    // MARK: - Parts

    private static let noHost = WebAddressError.syntax("empty host")
    private static let badName = WebAddressError.syntax("invalid international domain name")
    private static let badIPv4 = WebAddressError.syntax("invalid IPv4 address")
    private static let badIPv6 = WebAddressError.syntax("invalid IPv6 address")

    private static func isScheme(_ scalars: ArraySlice<Unicode.Scalar>) -> Bool {
        guard let first = scalars.first, first.isASCII, first.properties.isAlphabetic else { return false }
        return scalars.allSatisfy { $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "+-.".unicodeScalars.contains($0)) }
    }

    private static func authority(
        _ scalars: ArraySlice<Unicode.Scalar>
    ) throws(WebAddressError) -> (user: String, host: Host, port: UInt16?) {
        var user = ""
        var hostAndPort = scalars
        if let at = scalars.lastIndex(of: "@") {
            let parts = scalars[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let name = encoded(parts[0], besides: " \"#<>?`{}/:;=@[\\]^|")
            let password = parts.count > 1 ? encoded(parts[1], besides: " \"#<>?`{}/:;=@[\\]^|") : ""
            user = name + (password.isEmpty ? "" : ":" + password)
            hostAndPort = scalars[(at + 1)...]
        }

        var host = hostAndPort
        var port: ArraySlice<Unicode.Scalar> = []
        if hostAndPort.first == "[" {
            guard let end = hostAndPort.firstIndex(of: "]") else { throw badIPv6 }
            host = hostAndPort[...end]
            port = hostAndPort[(end + 1)...]
            guard port.isEmpty || port.first == ":" else { throw badIPv6 }
            port = port.dropFirst()
        } else if let colon = hostAndPort.firstIndex(of: ":") {
            host = hostAndPort[..<colon]
            port = hostAndPort[(colon + 1)...]
        }
        guard !host.isEmpty else { throw noHost }
        let read = host.first == "[" ? try ipv6(host.dropFirst().dropLast()) : try name(host)

        guard !port.isEmpty else { return (user, read, nil) }
        guard port.allSatisfy({ ("0"..."9").contains($0) }), let number = UInt16(String(String.UnicodeScalarView(port))) else {
            throw .syntax("invalid port number")
        }
        return (user, read, number)
    }

    private static func ipv6(_ scalars: ArraySlice<Unicode.Scalar>) throws(WebAddressError) -> Host {
        let text = String(String.UnicodeScalarView(scalars))
        guard let address = IPAddress(text), case .v6 = address else { throw badIPv6 }
        return .address(address)
    }

    /// A host name in lower case, or the address that a number of whatever form is.
    private static func name(_ scalars: ArraySlice<Unicode.Scalar>) throws(WebAddressError) -> Host {
        let written = String(String.UnicodeScalarView(scalars))
        guard let decoded = PercentEncoding.decode(written[...], plusIsSpace: false) else { throw badName }
        let host = decoded.lowercased()
        guard !host.isEmpty else { throw noHost }
        let forbidden = " #%/:<>?@[\\]^|".utf8
        guard host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !forbidden.contains($0) }) else { throw badName }
        var labels = host.split(separator: ".", omittingEmptySubsequences: false)
        if labels.count > 1, labels.last == "" { labels.removeLast() }
        guard let last = labels.last, isNumber(last) else { return .name(host) }
        guard let address = IPAddress(resolverForm: labels.joined(separator: ".")) else { throw badIPv4 }
        return .address(address)
    }

    private static func isNumber(_ label: Substring) -> Bool {
        if !label.isEmpty, label.utf8.allSatisfy({ $0 &- 0x30 < 10 }) { return true }
        return label.hasPrefix("0x") && label.utf8.dropFirst(2).allSatisfy { $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 6 }
    }

    /// With `.` and `..` resolved; never empty.
    private static func path(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var segments: [String] = []
        let raw = scalars.dropFirst().split(omittingEmptySubsequences: false) { $0 == "/" || $0 == "\\" }
        for (place, segment) in raw.enumerated() {
            let text = encoded(segment, besides: " \"#<>?`{}^")
            let isLast = place == raw.count - 1
            switch text.lowercased().replacing("%2e", with: ".") {
            case "..":
                _ = segments.popLast()
                if isLast { segments.append("") }
            case ".":
                if isLast { segments.append("") }
            default: segments.append(text)
            }
        }
        return "/" + segments.joined(separator: "/")
    }

    private static func encoded(_ scalars: some Collection<Unicode.Scalar>, besides set: String) -> String {
        PercentEncoding.encode(String(String.UnicodeScalarView(scalars))) { $0 > 0x20 && $0 < 0x7F && !set.utf8.contains($0) }
    }
}
