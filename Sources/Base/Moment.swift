/// A point of a project's past: the state after an event, or at a time.
public enum Moment: Sendable, Equatable {
    case sequence(Sequence)
    case time(Timestamp)

    /// Digits are a sequence, 0 the state before the first event; anything else must be a time (`Timestamp.init(iso8601:)`).
    public init?(_ text: String) {
        if !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            // No log reaches numbers beyond Int: they are in the future like any other that is too high.
            self = .sequence(Sequence(rawValue: min(UInt64(text) ?? .max, UInt64(Int.max))))
        } else if let time = Timestamp(iso8601: text) {
            self = .time(time)
        } else {
            return nil
        }
    }
}

extension Timestamp {
    /// `2026-11-23T08:00:00.000123+00:00`, as answers print times, and what else ISO 8601 calls the extended format: a space for the `T`, no
    /// seconds, 1 to 9 digits of a fraction (those after the sixth are cut), `Z`, no offset (UTC), a date alone (its first moment in UTC).
    /// A space is taken for the plus of an offset, which is what becomes of one in the query of a URL.
    public init?(iso8601 text: String) {
        var reader = ISOReader(text)
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"), let day = reader.number(2),
            (1...12).contains(month), (1...Self.days(year, month)).contains(day)
        else { return nil }
        var micros = Self.days(before: year, month, day) * 86_400 * 1_000_000
        if !reader.isAtEnd {
            guard reader.take("T") || reader.take("t") || reader.take(" "), let hour = reader.number(2), reader.take(":"), let minute = reader.number(2),
                hour < 24, minute < 60
            else { return nil }
            var second: Int64 = 0
            if reader.take(":") {
                guard let found = reader.number(2), found < 60 else { return nil }
                second = found
                if reader.take(".") || reader.take(",") {
                    guard let fraction = reader.fraction() else { return nil }
                    micros += fraction
                }
            }
            micros += ((hour * 60 + minute) * 60 + second) * 1_000_000
            if !reader.isAtEnd, !reader.take("Z"), !reader.take("z") {
                let isEast = reader.take("+") || reader.take(" ")
                guard isEast || reader.take("-"), let hours = reader.number(2) else { return nil }
                _ = reader.take(":")
                guard let minutes = reader.isAtEnd ? 0 : reader.number(2), hours < 24, minutes < 60 else { return nil }
                micros -= (isEast ? 1 : -1) * (hours * 60 + minutes) * 60 * 1_000_000
            }
        }
        guard reader.isAtEnd else { return nil }
        self.init(rawValue: micros)
    }

    private static func days(_ year: Int64, _ month: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        default: 31
        }
    }

    /// Howard Hinnant's days_from_civil, the inverse of what `iso8601` uses.
    private static func days(before year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}

private struct ISOReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ sign: Unicode.Scalar) -> Bool {
        guard position < bytes.count, UInt32(bytes[position]) == sign.value else { return false }
        position += 1
        return true
    }

    private mutating func digit() -> Int64? {
        guard position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) else { return nil }
        position += 1
        return Int64(bytes[position - 1] - UInt8(ascii: "0"))
    }

    mutating func number(_ digits: Int) -> Int64? {
        var number: Int64 = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            number = 10 * number + digit
        }
        return number
    }

    /// In microseconds.
    mutating func fraction() -> Int64? {
        var (micros, unit, count): (Int64, Int64, Int) = (0, 100_000, 0)
        while count < 9, let digit = digit() {
            micros += digit * unit
            unit /= 10
            count += 1
        }
        return count > 0 ? micros : nil
    }
}
