// Where a webhook may go. Who registers an agent names a URL that this server will call from inside its network: without a
// check that is a way to every service that trusts the network (server-side request forgery), the cloud's metadata first.
// The rule is the simplest that holds: an address is called when it is public, or when the operator has named its block.
// Names do not count; they are resolved, and what they resolve to is judged.

public import Base

/// Which addresses webhooks may be delivered to.
public struct AddressPolicy: Sendable, Equatable {
    public let allowed: [CIDR]

    /// Public addresses and nothing else.
    public static let publicOnly = AddressPolicy(allowing: [])
    /// Public addresses and this machine: the default while the server itself is bound to loopback.
    public static let loopback = AddressPolicy(allowing: [CIDR(known: "127.0.0.0/8"), CIDR(known: "::1")])

    public init(allowing blocks: [CIDR]) { allowed = blocks }

    /// Reads `10.0.0.0/8, ::1/128`; the empty text allows nothing beyond public addresses.
    /// - Throws: `.invalid` naming the part that is no block.
    public static func parse(_ text: String) throws(ContexError) -> AddressPolicy {
        var blocks: [CIDR] = []
        for part in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) { blocks.append(try CIDR(part)) }
        return AddressPolicy(allowing: blocks)
    }

    /// - Complexity: O(blocks).
    public func permits(_ address: IPAddress) -> Bool {
        let address = address.unmapped
        return allowed.contains { $0.contains(address) } || Self.isPublic(address)
    }

    /// Refuses a webhook that no delivery would reach, as far as its text tells: what another name resolves to is judged by each
    /// delivery, since it may be another address every time.
    /// - Throws: `.invalid` for `webhook_url`.
    public func check(_ url: WebhookURL) throws(ContexError) {
        let addresses: [IPAddress]
        switch url.host {
        case .address(let address): addresses = [address]
        // RFC 6761: these names are this machine, whoever is asked.
        case .name(let name) where name == "localhost" || name.hasSuffix(".localhost"): addresses = [.v4(0x7F00_0001), .v6(1)]
        case .name: return
        }
        guard !addresses.contains(where: permits) else { return }
        throw ContexError.invalid(
            .webhookRefused, field: "webhook_url", kind: "value_error",
            message: "Value error, webhook_url leads to \(url.hostText), which is no public address: "
                + "whoever runs this server may allow its network in CONTEX_WEBHOOK_ALLOW")
    }

    /// Whether the address belongs to a host of the public Internet.
    public static func isPublic(_ address: IPAddress) -> Bool {
        switch address.unmapped {
        case .v4:
            return !specialV4.contains { $0.contains(address.unmapped) }
        case .v6(let value):
            // RFC 6052: the last 32 bits are the IPv4 host that the translator calls. Networks with IPv6 only reach every
            // IPv4 host this way, so it is that host that counts.
            if translated.contains(address) { return isPublic(.v4(UInt32(truncatingIfNeeded: value))) }
            return globalUnicast.contains(address) && !specialV6.contains { $0.contains(address) }
        }
    }

    /// The IANA IPv4 Special-Purpose Address Registry, without the blocks it calls globally reachable, and multicast.
    private static let specialV4 = [
        "0.0.0.0/8",  // this network
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  // private
        "100.64.0.0/10",  // shared by carriers
        "127.0.0.0/8",  // loopback
        "168.63.129.16",  // a public address that is the host agent of every Azure machine
        "169.254.0.0/16",  // link-local, and where clouds serve metadata
        "192.0.0.0/24",  // IETF protocol assignments
        "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24",  // documentation
        "192.88.99.0/24",  // 6to4 relays
        "198.18.0.0/15",  // benchmarking
        "224.0.0.0/4",  // multicast
        "240.0.0.0/4",  // reserved, and the broadcast address
    ].map(CIDR.init(known:))

    /// All that IANA has given out as global unicast. Loopback, unspecified, IPv4-compatible, discard-only, local NAT64,
    /// segment routing, unique local, link-local and multicast addresses lie outside.
    private static let globalUnicast = CIDR(known: "2000::/3")

    /// The special blocks inside global unicast.
    private static let specialV6 = [
        "2001::/23",  // IETF protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32", "3fff::/20",  // documentation
        "2002::/16",  // 6to4, which carries any IPv4 address
    ].map(CIDR.init(known:))

    private static let translated = CIDR(known: "64:ff9b::/96")
}
