extension Timestamp {
    /// Reads a date, or a date and time, of ISO 8601's extended form as RFC 3339 narrows it:
    /// `2026-01-31`, `2026-01-31T08:30:00`, `2026-01-31T08:30:00.250Z`, `2026-01-31T08:30:00+02:00`.
    ///
    /// A date is its first moment, a time without an offset is UTC. Digits of a second after the sixth are cut off. Years 1 to 9999.
    /// Nil for anything else, also for days that no month has and for a leap second.
    /// - Complexity: O(1); a text of more than 35 bytes is not looked at.
    public init?(iso8601 text: String) {
        guard (10...35).contains(text.utf8.count) else { return nil }
        var reader = DateReader(Array(text.utf8))
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"), let day = reader.number(2),
            year >= 1, (1...12).contains(month), day >= 1, day <= Self.days(of: month, year)
        else { return nil }
        var seconds = Self.days(year, month, day) * 86_400
        var micros = 0
        if !reader.isAtEnd {
            guard reader.take("T") || reader.take("t"), let hour = reader.number(2), reader.take(":"), let minute = reader.number(2), reader.take(":"),
                let second = reader.number(2), hour < 24, minute < 60, second < 60
            else { return nil }
            seconds += hour * 3_600 + minute * 60 + second
            if reader.take(".") {
                guard let fraction = reader.fraction() else { return nil }
                micros = fraction
            }
            guard let offset = reader.offset(), reader.isAtEnd else { return nil }
            seconds -= offset
        }
        self.init(rawValue: Int64(seconds) * 1_000_000 + Int64(micros))
    }

    private static func days(of month: Int, _ year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 1970-01-01: Howard Hinnant's days-from-civil, for years from 1 on.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let y = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = (y / 400, y % 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

private struct DateReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    private func digit(at place: Int) -> Int? {
        guard place < bytes.count, (0x30...0x39).contains(bytes[place]) else { return nil }
        return Int(bytes[place]) - 0x30
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func number(_ digits: Int) -> Int? {
        var value = 0
        for place in position..<position + digits {
            guard let digit = digit(at: place) else { return nil }
            value = value * 10 + digit
        }
        position += digits
        return value
    }

    /// Digits after the point, as microseconds.
    mutating func fraction() -> Int? {
        guard digit(at: position) != nil else { return nil }
        var (value, place) = (0, 100_000)
        while let digit = digit(at: position) {
            value += digit * place
            place /= 10
            position += 1
        }
        return value
    }

    /// Seconds east of UTC; 0 when nothing is left.
    mutating func offset() -> Int? {
        if isAtEnd || take("Z") || take("z") { return 0 }
        let sign = take("+") ? 1 : take("-") ? -1 : 0
        guard sign != 0, let hours = number(2), hours < 24 else { return nil }
        _ = take(":")
        guard let minutes = number(2), minutes < 60 else { return nil }
        return sign * (hours * 3_600 + minutes * 60)
    }
}
