// What a tenant has used of what comes back each month. Everything else that has a quota is counted where it lies (RecordSums, TenantStorage).

public import Base

/// A month of the calendar, in UTC: months since January of year 0.
public struct Month: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public init(of time: Timestamp) {
        // Days since the epoch to the civil calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
        let (whole, rest) = time.rawValue.quotientAndRemainder(dividingBy: 86_400_000_000)
        let days = (rest < 0 ? whole - 1 : whole) + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let day = days - era * 146_097
        let yearOfEra = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        rawValue = UInt32(clamping: year * 12 + month - 1)
    }

    public var next: Month { Month(rawValue: rawValue + 1) }

    /// Its first moment.
    public var begin: Timestamp {
        let (year, month) = (Int64(rawValue / 12), Int64(rawValue % 12) + 1)
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Timestamp(rawValue: (era * 146_097 + dayOfEra - 719_468) * 86_400_000_000)
    }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String {
        let month = rawValue % 12 + 1
        return "\(rawValue / 12)-\(month < 10 ? "0" : "")\(month)"
    }
}

/// Events of the month.
public struct TenantUsage: Hashable, Sendable {
    public private(set) var month: Month
    public private(set) var events: Int
    public private(set) var updatedAt: Timestamp

    public init(month: Month, events: Int, updatedAt: Timestamp) {
        self.month = month
        self.events = events
        self.updatedAt = updatedAt
    }

    /// In the month of this time: none yet in a month after the one that was counted last. A clock that was set back opens no new month.
    public func events(at time: Timestamp) -> Int { Month(of: time) > month ? 0 : events }

    public mutating func add(_ count: Int, at time: Timestamp) {
        events = events(at: time) + count
        month = max(month, Month(of: time))
        updatedAt = time
    }

    /// From nothing again.
    public mutating func reset(at time: Timestamp) {
        (events, updatedAt) = (0, time)
        month = max(month, Month(of: time))
    }

    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 20)
        writer.u32(month.rawValue)
        writer.u64(UInt64(events))
        writer.i64(updatedAt.rawValue)
        return writer.bytes
    }

    init(bytes: [UInt8]) throws(ByteError) {
        var reader = ByteReader(bytes)
        let month = Month(rawValue: try reader.u32())
        let events = try reader.u64()
        guard events <= UInt64(Int.max) / 2 else { throw .malformed(at: reader.offset) }
        self.init(month: month, events: Int(events), updatedAt: Timestamp(rawValue: try reader.i64()))
        try reader.end()
    }
}
