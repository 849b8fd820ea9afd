// Under which conditions a rule holds:
//
//     address=10.0.0.0/8,192.0.2.7      where the caller comes from
//     hours=08:00-18:00                 the time of day, UTC; 22:00-06:00 goes over midnight
//     days=mon-fri,sun                  the day of the week, UTC
//     from=... until=...                from a time, and before one (ISO 8601)
//     keys=config/,public/              how the key of the data begins
//
// All of them must hold. What is not known (a message that is carried to an agent has no caller's address) holds for no rule that allows and for
// every rule that denies.

public import Addresses
public import Base

public struct RuleConditions: Hashable, Sendable {
    public private(set) var addresses: [CIDR] = []
    /// Minutes of the day in which it holds.
    private var window: Range<Int>?
    /// Of a window that goes over midnight the minutes in which it does not hold.
    private var nightly: Range<Int>?
    /// Bit 0 is Monday.
    public private(set) var days: UInt8?
    public private(set) var from: Timestamp?
    public private(set) var until: Timestamp?
    public private(set) var keys: [String] = []

    public init() {}
    public static let none = RuleConditions()
    public var isEmpty: Bool { self == .none }

    private static let dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// - Throws: `.badRequest` with the reason.
    init(_ parts: some Collection<Substring>) throws(ContexError) {
        var seen: Set<String> = []
        for part in parts {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, !halves[1].isEmpty else { throw .badRequest("'\(String(part).excerpt())' is no condition: NAME=VALUE") }
            let (name, value) = (String(halves[0]), halves[1])
            guard seen.insert(name).inserted else { throw .badRequest("the condition \(name.excerpt())= stands there twice") }
            let items = value.split(separator: ",", omittingEmptySubsequences: false)
            guard items.count <= AccessLimits.conditionItems else {
                throw .badRequest("\(name.excerpt())= has \(items.count) items, and \(AccessLimits.conditionItems) is the most")
            }
            switch name {
            case "address": for item in items { addresses.append(try CIDR(item)) }
            case "hours": try readHours(value)
            case "days": days = try Self.days(items)
            case "from": from = try Self.time(value)
            case "until": until = try Self.time(value)
            case "keys":
                guard items.allSatisfy({ !$0.isEmpty }) else { throw .badRequest("keys= has an empty prefix") }
                keys = items.map(String.init)
            default: throw .badRequest("there is no condition '\(name.excerpt())': address, hours, days, from, until or keys")
            }
        }
        if let from, let until, until <= from { throw .badRequest("until= is not after from=") }
    }

    private mutating func readHours(_ text: Substring) throws(ContexError) {
        func minutes(_ text: Substring) -> Int? {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }), let hour = Int(parts[0]),
                let minute = Int(parts[1]), minute < 60, hour * 60 + minute <= 1_440
            else { return nil }
            return hour * 60 + minute
        }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let begin = minutes(ends[0]), let end = minutes(ends[1]), begin != end, begin < 1_440 else {
            throw .badRequest("hours= is written as 08:00-18:00, in UTC")
        }
        if begin < end { window = begin..<end } else { nightly = end..<begin }
    }

    private static func days(_ items: [Substring]) throws(ContexError) -> UInt8 {
        var days: UInt8 = 0
        for item in items {
            let ends = item.split(separator: "-", omittingEmptySubsequences: false)
            guard (1...2).contains(ends.count), let first = dayNames.firstIndex(of: String(ends[0])),
                let last = dayNames.firstIndex(of: String(ends[ends.count - 1]))
            else { throw .badRequest("days= is written as mon-fri,sun") }
            var day = first
            while true {
                days |= 1 << UInt8(day)
                if day == last { break }
                day = (day + 1) % 7
            }
        }
        return days
    }

    private static func time(_ text: Substring) throws(ContexError) -> Timestamp {
        guard case .time(let time)? = Moment(String(text)) else { throw .badRequest("'\(String(text).excerpt())' is no time (ISO 8601)") }
        return time
    }

    /// Whether all of them hold; nil: that depends on what is not known.
    func hold(_ question: borrowing AccessQuestion) -> Bool? {
        var isKnown = true
        if let time = question.time {
            if let from, time < from { return false }
            if let until, time >= until { return false }
            if window != nil || nightly != nil || days != nil {
                let minute = time.rawValue.floored(by: 60_000_000)
                let ofDay = Int(minute - minute.floored(by: 1_440) * 1_440)
                if let window, !window.contains(ofDay) { return false }
                if let nightly, nightly.contains(ofDay) { return false }
                // 1970-01-01 was a Thursday.
                let day = minute.floored(by: 1_440) + 3
                if let days, days & (1 << UInt8(day - day.floored(by: 7) * 7)) == 0 { return false }
            }
        } else if from != nil || until != nil || window != nil || nightly != nil || days != nil {
            isKnown = false
        }
        if !addresses.isEmpty {
            if let text = question.address, let address = IPAddress(text.prefix { $0 != "%" }) {
                let unmapped = address.unmapped
                if !addresses.contains(where: { $0.contains(unmapped) }) { return false }
            } else {
                isKnown = false
            }
        }
        if !keys.isEmpty {
            if let key = question.dataKey {
                if !keys.contains(where: { key.utf8.starts(with: $0.utf8) }) { return false }
            } else {
                isKnown = false
            }
        }
        return isKnown ? true : nil
    }
}

extension Int64 {
    /// Divided and rounded down, also below zero.
    fileprivate func floored(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
