// Addresses as numbers. Text is read here, not by the C library, so that what is checked is exactly what is connected to.

public import Base

/// An IPv4 or IPv6 address.
public enum IPAddress: Hashable, Sendable, CustomStringConvertible {
    case v4(UInt32)
    case v6(UInt128)

    /// The usual forms only: four decimal numbers without leading zeros, or RFC 4291's hexadecimal groups.
    /// - Complexity: O(length).
    public init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let value = Self.groups(Substring(text)) else { return nil }
            self = .v6(value)
        } else {
            guard let value = Self.dottedQuad(Substring(text)) else { return nil }
            self = .v4(value)
        }
    }

    /// An IPv4 host as resolvers have read it since 4.2BSD's `inet_aton`: one to four numbers, each decimal, octal with a
    /// leading `0` or hexadecimal with `0x`, the last one filling what is left. So `127.1`, `0x7f.1`, `0177.0.0.1` and
    /// `2130706433` are all 127.0.0.1, and none of them passes a filter as a name.
    public init?(resolverForm text: some StringProtocol) {
        let parts = Substring(text).split(separator: ".", omittingEmptySubsequences: false)
        guard (1...4).contains(parts.count) else { return nil }
        var value: UInt64 = 0
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1
            let bits = isLast ? 8 * UInt64(5 - parts.count) : 8
            guard let number = Self.resolverNumber(part), number < 1 << bits else { return nil }
            value = value << bits | number
        }
        self = .v4(UInt32(value))
    }

    /// The address that packets really go to: an IPv4-mapped address (`::ffff:a.b.c.d`) reaches the IPv4 host.
    public var unmapped: IPAddress {
        if case .v6(let value) = self, value >> 32 == 0xFFFF { .v4(UInt32(truncatingIfNeeded: value)) } else { self }
    }

    /// Dotted decimal, or RFC 5952's shortest form.
    public var description: String {
        switch self {
        case .v4(let value):
            return "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
        case .v6(let value):
            let groups = (0..<8).map { UInt16(truncatingIfNeeded: value >> (112 - 16 * $0)) }
            var longest = 0..<0
            var index = 0
            while index < 8 {
                let end = groups[index...].firstIndex { $0 != 0 } ?? 8
                if end - index > max(1, longest.count) { longest = index..<end }
                index = end + 1
            }
            func text(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
            if longest.isEmpty { return text(groups[...]) }
            return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
        }
    }

    // MARK: - Reading

    private static func dottedQuad(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy(isDigit), part == "0" || part.utf8.first != UInt8(ascii: "0"),
                let number = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(number)
        }
        return value
    }

    private static func groups(_ text: Substring) -> UInt128? {
        let halves = doubleColonHalves(text)
        guard let halves, let front = words(halves.front, allowsQuad: halves.back == nil) else { return nil }
        guard let backText = halves.back else { return front.count == 8 ? joined(front) : nil }
        guard let back = words(backText, allowsQuad: true), front.count + back.count <= 7 else { return nil }
        return joined(front + [UInt16](repeating: 0, count: 8 - front.count - back.count) + back)
    }

    private static func joined(_ words: [UInt16]) -> UInt128 { words.reduce(0) { $0 << 16 | UInt128($1) } }

    /// The text around `::`, or all of it in front; nil when `::` stands twice.
    private static func doubleColonHalves(_ text: Substring) -> (front: Substring, back: Substring?)? {
        let bytes = text.utf8
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let next = bytes.index(after: index)
            if next < bytes.endIndex, bytes[index] == UInt8(ascii: ":"), bytes[next] == UInt8(ascii: ":") {
                let back = text[bytes.index(after: next)...]
                return doubleColonHalves(back)?.back == nil && !back.hasPrefix(":") ? (text[..<index], back) : nil
            }
            index = next
        }
        return (text, nil)
    }

    /// Groups of four hexadecimal digits; the last two may be written as a dotted quad.
    private static func words(_ text: Substring, allowsQuad: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        var words: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return nil }
        for (index, part) in parts.enumerated() {
            if allowsQuad, index == parts.count - 1, part.utf8.contains(UInt8(ascii: ".")) {
                guard let quad = dottedQuad(part) else { return nil }
                words += [UInt16(quad >> 16), UInt16(truncatingIfNeeded: quad)]
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexadecimal), let word = UInt16(part, radix: 16) else { return nil }
                words.append(word)
            }
        }
        return words
    }

    private static func resolverNumber(_ part: Substring) -> UInt64? {
        var digits = part
        var radix = 10
        if part.hasPrefix("0x") || part.hasPrefix("0X") {
            digits = part.dropFirst(2)
            radix = 16
        } else if part.utf8.count > 1, part.hasPrefix("0") {
            digits = part.dropFirst()
            radix = 8
        }
        // inet_aton reads a bare "0x" as zero.
        if digits.isEmpty { return radix == 16 ? 0 : nil }
        guard digits.utf8.allSatisfy(isHexadecimal) else { return nil }
        return UInt64(digits, radix: radix)
    }

    fileprivate static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        let letter = byte | 0x20
        return isDigit(byte) || letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "f")
    }
}

/// A block of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.
public struct CIDR: Hashable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    public let prefixLength: Int

    /// - Throws: `.invalid` saying what is wrong: not an address, a prefix out of range, or bits set behind the prefix.
    public init(_ text: some StringProtocol) throws(ContexError) {
        let parts = Substring(text).split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { throw Self.mistake("'\(parts[0])' is not an IP address") }
        let width = if case .v4 = address { 32 } else { 128 }
        var length = width
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy(IPAddress.isDigit), let number = UInt8(parts[1]).map(Int.init), number <= width else {
                throw Self.mistake("'\(parts[1])' in '\(text)' is not a prefix length of 0 to \(width)")
            }
            length = number
        }
        let block = Self.masked(address, to: length)
        guard block == address else { throw Self.mistake("'\(text)' has bits behind its prefix: write \(block)/\(length)") }
        self.address = address
        prefixLength = length
    }

    /// For the tables in this module.
    init(known text: String) {
        do {
            try self.init(text)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// An address of the other family is never inside.
    public func contains(_ other: IPAddress) -> Bool { Self.masked(other, to: prefixLength, like: address) == address }

    public var description: String { "\(address)/\(prefixLength)" }

    private static func masked(_ address: IPAddress, to length: Int, like family: IPAddress? = nil) -> IPAddress? {
        switch (address, family) {
        case (.v4, .v6), (.v6, .v4): nil
        case (.v4(let value), _): .v4(length == 0 ? 0 : value & ~0 << UInt32(32 - length))
        case (.v6(let value), _): .v6(length == 0 ? 0 : value & ~0 << UInt128(128 - length))
        }
    }

    private static func masked(_ address: IPAddress, to length: Int) -> IPAddress { masked(address, to: length, like: nil)! }

    private static func mistake(_ message: String) -> ContexError {
        .invalid(field: "webhook_allow", kind: "value_error", message: message)
    }
}
