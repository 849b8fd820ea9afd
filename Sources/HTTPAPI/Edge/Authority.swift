// Which server a request believes to talk to. A web page can make a name of its own mean this machine (DNS rebinding) and then
// talk to the server as one of its own origin; what it cannot do is to make the browser send another name than its own. So names
// that are not this server's are refused where no key stands between a stranger and the data.

internal import Base
internal import NIOCore

/// Host and port as `Host` carries them (RFC 9110, section 7.2).
struct Authority: Sendable, Equatable {
    /// In lower case, without brackets and without a dot at its end.
    let host: String
    let isAddress: Bool
    let port: Int?

    /// Nil for what is none.
    init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= 512 else { return nil }
        var host = text[...]
        var port = ""[...]
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            port = text[text.index(after: end)...]
            guard port.isEmpty || port.hasPrefix(":") else { return nil }
            guard host.contains(":"), let address = Self.address(String(host)) else { return nil }
            self.host = address
            isAddress = true
        } else {
            if let colon = text.firstIndex(of: ":") {
                host = text[..<colon]
                port = text[colon...]
            }
            let name = (host.hasSuffix(".") ? host.dropLast() : host).lowercased()
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isOfAName) else { return nil }
            let address = Self.address(name)
            self.host = address ?? name
            isAddress = address != nil
        }
        port = port.dropFirst()
        guard port.utf8.count <= 5, port.utf8.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        let number = Int(port)
        guard number ?? 0 <= 65_535 else { return nil }
        self.port = number
    }

    private static func isOfAName(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || byte &- 0x61 < 26 || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }

    /// The one spelling of an IP address, nil for a name. An IPv4 address that came as IPv6 is the IPv4 address.
    static func address(_ text: String) -> String? {
        guard !text.contains("%"), text.utf8.count <= 45, let address = try? SocketAddress(ipAddress: text, port: 0), let spelled = address.ipAddress
        else { return nil }
        let mapped = "::ffff:"
        return spelled.hasPrefix(mapped) && spelled.contains(".") ? String(spelled.dropFirst(mapped.count)) : spelled
    }

    /// A name or address that is always this machine.
    var isLoopback: Bool {
        isAddress ? host == "::1" || host.hasPrefix("127.") : host == "localhost" || host.hasSuffix(".localhost")
    }
}

/// The names that the server answers to.
struct HostRule: Sendable {
    private let bound: String
    private let isBoundToAll: Bool
    private let names: Set<String>
    /// Of `*.example.org`: with the dot.
    private let suffixes: [String]
    private let admitsAny: Bool

    /// - Parameters:
    ///   - bound: the address that is listened on.
    ///   - allowed: what the operator allows: names, addresses, `*.domain`, or `*` for any.
    ///   - authenticationRequired: then a page that has given its name to this machine has no key, and without a list any name will do: behind
    ///     a proxy the name is the proxy's.
    init(bound: String, allowed: [String], authenticationRequired: Bool) {
        let address = Authority.address(bound)
        self.bound = address ?? bound.lowercased()
        isBoundToAll = address == "0.0.0.0" || address == "::"
        var (names, suffixes): (Set<String>, [String]) = ([], [])
        for pattern in allowed.map({ $0.lowercased() }) where pattern != "*" {
            if pattern.hasPrefix("*.") {
                suffixes.append(String(pattern.dropFirst()))
            } else {
                names.insert(Authority(pattern)?.host ?? Authority.address(pattern) ?? pattern)
            }
        }
        (self.names, self.suffixes) = (names, suffixes)
        admitsAny = allowed.contains("*") || (authenticationRequired && allowed.isEmpty)
    }

    func admits(_ authority: Authority) -> Bool {
        if admitsAny || authority.isLoopback || authority.host == bound || names.contains(authority.host) { return true }
        // Bound to every address there is; an address cannot be made to mean another machine.
        if isBoundToAll, authority.isAddress { return true }
        return suffixes.contains { authority.host.hasSuffix($0) }
    }
}
