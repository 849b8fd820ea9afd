// Dates and times as programs print them. A publisher's metadata has them as his language or his database wrote them; who filters writes them as
// his does. All of these are one moment:
//
//     2026-03-29T06:30:00Z               ISO 8601, RFC 3339, JSON.stringify        2026-03-29 06:30:00+00      PostgreSQL
//     20260329T063000Z                   its basic form, iCalendar                 2026-03-29 06:30:00         MySQL, SQLite, Python's str
//     2026-03-29T08:30+02:00[Europe/Berlin]   Java                                 2026-03-29 06:30:00.000000 UTC   BigQuery, Rust
//     2026-03-29 08:30:00 +0200 CEST m=+0.01  Go                                   29-MAR-26 06.30.00.000000 AM     Oracle
//     Sun Mar 29 2026 08:30:00 GMT+0200 (Central European Summer Time)  JavaScript Mar 29 2026  6:30AM         SQL Server
//     Sun, 29 Mar 2026 08:30:00 +0200    RFC 2822 (mail), HTTP                     29.03.2026 08:30:00 CEST    PostgreSQL, German style
//     Sun Mar 29 08:30:00 CEST 2026      date, Java's Date; asctime without zone   29/Mar/2026:08:30:00 +0200  web servers' logs
//
// What may mean two things is none of them: `03/04/2026` is March to one reader and April to the other. Nor is a zone that has no offset of its
// own (`Europe/Berlin` alone, `IST`). Names of months and weekdays are English, as all of these print them.

extension Timestamp {
    /// Reads a date, or a date and time, in any of the forms above. A date is its first moment, a month its first day, a time without a zone is UTC.
    /// Digits of a second after the sixth are cut off; 24:00 is the next day's beginning, a leap second the next minute's. Years 1 to 9999, of two
    /// digits (behind the name of a month) 1950 to 2049.
    ///
    /// Nil for anything else, also for days that no month has.
    /// - Complexity: O(1); a text of more than `PrintedDate.bytesMax` bytes is not looked at.
    public init?(printed text: String) {
        var reader = PrintedDate(text)
        guard let time = reader.read() else { return nil }
        self = time
    }
}

public struct PrintedDate {
    public static let bytesMax = 120

    private var bytes: [UInt8]
    private var position = 0
    private var (year, month, day) = (0, 1, 1)
    /// Of the day; nil without a time.
    private var seconds: Int?
    private var micros = 0
    /// East of UTC.
    private var offset: Int?
    /// How the day was told: what may stand behind it depends on that.
    private enum Form { case year, monthOnly, compact, compactWithTime, dayThenName, dayByDots, nameThenDay, nameThenDayThenTime }

    init(_ text: String) {
        bytes = []
        guard text.utf8.count <= Self.bytesMax else { return }
        bytes.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar.value {
            // Java and JavaScript put narrow spaces without a break before AM and PM.
            case 0x20, 0x09, 0xA0, 0x2009, 0x202F: bytes.append(0x20)
            case 0x21..<0x7F: bytes.append(UInt8(scalar.value))
            default:
                bytes = []
                return
            }
        }
        while bytes.last == 0x20 { bytes.removeLast() }
    }

    /// Whether somebody who writes this means a date, read or not: it begins as one does. A range must not take it for any text.
    /// - Complexity: O(1)
    public static func looksLikeOne(_ text: String) -> Bool {
        var reader = PrintedDate(text)
        reader.skipSpace()
        if reader.isAtEnd { return false }
        if let word = reader.peekWord() {
            let isDay = Self.weekday(word) != nil
            guard isDay || Self.month(word) != nil else { return false }
            reader.position += word.count
            if isDay, reader.take(",") { return true }
            reader.skipSeparators()
            return reader.digits() > 0 || isDay && reader.peekWord().map { Self.month($0) != nil } == true
        }
        let count = reader.digits()
        let number = reader.number(min(count, 4)) ?? 0
        reader.position += count - min(count, 4)
        let sign = reader.current
        let isSign = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "/") || sign == UInt8(ascii: ".")
        switch count {
        // Others are no years of ours but numbers of orders and parts.
        case 4 where isSign && (1_900...2_199).contains(number):
            reader.position += 1
            let next = reader.digits()
            // Versions and addresses are written with dots too.
            if sign == UInt8(ascii: ".") {
                reader.position += next
                return next == 2 && reader.take(".") && reader.digits() == 2
            }
            return (1...2).contains(next) || reader.peekWord().map { Self.month($0) != nil || $0.elementsEqual("w".utf8) } == true
        case 8, 14:
            guard (1_900...2_199).contains(number) else { return false }
            return sign.map { $0 | 0x20 == UInt8(ascii: "t") || $0 | 0x20 == UInt8(ascii: "z") } ?? false
        case 1...2:
            if isSign {
                reader.position += 1
                if let word = reader.peekWord() { return Self.month(word) != nil }
                let next = reader.digits()
                guard (1...2).contains(next) else { return false }
                reader.position += next
                guard reader.current == sign else { return false }
                reader.position += 1
                let year = reader.digits()
                return year == 4 || year == 2 && sign != UInt8(ascii: ".")
            }
            reader.skipSpace()
            return reader.peekWord().map { Self.month($0) != nil } == true
        default: return false
        }
    }

    // MARK: - The date

    fileprivate mutating func read() -> Timestamp? {
        skipSpace()
        guard !isAtEnd else { return nil }
        if let word = peekWord(), Self.weekday(word) != nil {
            position += word.count
            if !take(",") { _ = take(".") }
            guard skipSpace() > 0 || current == UInt8(ascii: "-") else { return nil }
        }
        guard let form = readDate(), readTime(form), readRest(form), year >= 1, (1...12).contains(month), day >= 1, day <= Self.days(of: month, year)
        else { return nil }
        let moment = Self.days(year, month, day) * 86_400 + (seconds ?? 0) - (offset ?? 0)
        return Timestamp(rawValue: Int64(moment) * 1_000_000 + Int64(micros))
    }

    private mutating func readDate() -> Form? {
        if let word = peekWord() { return readNamedDate(word) }
        let count = digits()
        switch count {
        case 4: return readYearFirst()
        case 8:
            guard let whole = number(8) else { return nil }
            (year, month, day) = (whole / 10_000, whole / 100 % 100, whole % 100)
            // A number as well: only one that is a day of our times.
            return (1_900...2_199).contains(year) ? .compact : nil
        case 14:
            guard let date = number(8), let hour = number(2), let minute = number(2), let second = number(2) else { return nil }
            (year, month, day) = (date / 10_000, date / 100 % 100, date % 100)
            return (1_900...2_199).contains(year) && set(hour, minute, second) && readFraction(".") ? .compactWithTime : nil
        case 1, 2: return readDayFirst(count)
        default: return nil
        }
    }

    /// `2026-03-29`, `2026/3/29`, `2026-Mar-29`, `2026-03`, `2026-W13-7`.
    private mutating func readYearFirst() -> Form? {
        year = number(4) ?? 0
        guard let sign = takeSign() else { return nil }
        if sign == UInt8(ascii: "-"), take("W") || take("w") { return readWeek() }
        let isNamed = peekWord() != nil
        if let word = peekWord() {
            guard let named = Self.month(word) else { return nil }
            (month, position) = (named, position + word.count)
        } else {
            let count = digits()
            guard count == 2 || count == 1 && sign != UInt8(ascii: "."), let value = number(count) else { return nil }
            month = value
            if sign == UInt8(ascii: "-"), count == 2, isAtEnd { return .monthOnly }
        }
        guard takeSign() == sign else { return nil }
        let count = digits()
        guard count == 2 || count == 1 && (sign != UInt8(ascii: ".") || isNamed), let value = number(count) else { return nil }
        day = value
        return .year
    }

    /// The days of ISO 8601's weeks: the first has the year's first Thursday.
    private mutating func readWeek() -> Form? {
        guard let week = number(2), (1...53).contains(week) else { return nil }
        var weekday = 1
        if take("-") {
            guard let given = number(1), (1...7).contains(given) else { return nil }
            weekday = given
        }
        // Of the first of January, Monday is 0: 1970 began on a Thursday.
        let first = ((Self.days(year, 1, 1) + 3) % 7 + 7) % 7
        guard week < 53 || first == 3 || first == 2 && Self.days(of: 2, year) == 29 else { return nil }
        var left = (week - 1) * 7 + weekday - 1 - (first <= 3 ? first : first - 7)
        if left < 0 {
            (year, month, day) = (year - 1, 12, 32 + left)
            return .year
        }
        while left >= Self.days(of: month, year) {
            left -= Self.days(of: month, year)
            month += 1
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        day = left + 1
        return .year
    }

    /// `29 Mar 2026`, `29-MAR-26`, `29/Mar/2026`, `29.03.2026`.
    private mutating func readDayFirst(_ count: Int) -> Form? {
        guard let value = number(count) else { return nil }
        day = value
        if take(".") {
            if peekWord() == nil, digits() > 0 {
                let count = digits()
                guard count <= 2, let value = number(count), take("."), digits() == 4, let whole = number(4) else { return nil }
                (month, year) = (value, whole)
                return .dayByDots
            }
        } else if let word = peekWord(), word.count == 2, ["st", "nd", "rd", "th"].contains(where: { word.elementsEqual($0.utf8) }) {
            position += 2
        }
        guard skipSeparators(), let word = peekWord(), let named = Self.month(word) else { return nil }
        (month, position) = (named, position + word.count)
        _ = take(".")
        if !take(",") { _ = takeSign() }
        skipSpace()
        let digits = digits()
        guard digits == 4 || digits == 2, let whole = number(digits) else { return nil }
        year = digits == 4 ? whole : whole < 50 ? 2_000 + whole : 1_900 + whole
        return .dayThenName
    }

    /// `Mar 29, 2026`, `March 29 2026`, `Mar 29 08:30:00 2026`.
    private mutating func readNamedDate(_ word: ArraySlice<UInt8>) -> Form? {
        guard let named = Self.month(word) else { return nil }
        (month, position) = (named, position + word.count)
        _ = take(".")
        if takeSign() == nil, skipSpace() == 0 { return nil }
        let count = digits()
        guard (1...2).contains(count), let value = number(count) else { return nil }
        day = value
        let hasComma = take(",")
        let hasSign = !hasComma && takeSign() != nil
        guard skipSpace() > 0 || hasComma || hasSign else { return nil }
        if digits() == 4 {
            year = number(4) ?? 0
            return .nameThenDay
        }
        return hasComma || hasSign ? nil : .nameThenDayThenTime
    }

    // MARK: - The time

    /// What parts it from the date, and then the time; true without one, too.
    private mutating func readTime(_ form: Form) -> Bool {
        switch form {
        case .monthOnly, .compactWithTime: return true
        case .nameThenDayThenTime: return readClock(form, isOpen: false)
        default: break
        }
        if isAtEnd { return true }
        let start = position
        if take("T") || take("t") { return readClock(form, isOpen: true) }
        if form == .dayThenName, take(":") { return readClock(form, isOpen: false) }
        _ = take(",")
        let spaces = skipSpace()
        if let word = peekWord(), word.elementsEqual("at".utf8), spaces > 0 {
            position += 2
            guard skipSpace() > 0 else { return false }
        }
        // A zone may follow a date without a time.
        guard digits() > 0, spaces > 0 else {
            position = start
            return true
        }
        return readClock(form, isOpen: false)
    }

    /// - Parameter isOpen: hours may stand alone, as behind a T.
    private mutating func readClock(_ form: Form, isOpen: Bool) -> Bool {
        let count = digits()
        if count == 4 || count == 6, isOpen {
            guard let hour = number(2), let minute = number(2) else { return false }
            let second = count == 6 ? number(2) : nil
            return set(hour, minute, second ?? 0) && (second == nil || readFraction(".,"))
        }
        guard (1...2).contains(count), let hour = number(count) else { return false }
        // Oracle parts hours and minutes by dots.
        let isDotted = form == .dayThenName && current == UInt8(ascii: ".")
        let colon: Unicode.Scalar = isDotted ? "." : ":"
        var (minute, second) = (0, 0)
        var isWhole = false
        if take(colon) {
            guard let value = number(2) else { return false }
            minute = value
            isWhole = true
            if take(colon) {
                guard let value = number(2) else { return false }
                second = value
                guard set(hour, minute, second), readFraction(".,") else { return false }
            }
        }
        let start = position
        skipSpace()
        if let half = readHalfDay() { return (1...12).contains(hour) && set(hour % 12 + half, minute, second) }
        position = start
        return (isWhole || isOpen && count == 2) && set(hour, minute, second)
    }

    private mutating func set(_ hour: Int, _ minute: Int, _ second: Int) -> Bool {
        // 60 is a leap second; 24:00 the end of the day.
        guard hour < 24 || hour == 24 && minute == 0 && second == 0, minute < 60, second <= 60 else { return false }
        seconds = hour * 3_600 + minute * 60 + second
        return true
    }

    /// `AM`, `p.m.`: the hours that it adds.
    private mutating func readHalfDay() -> Int? {
        guard let letter = current.map({ $0 | 0x20 }), letter == UInt8(ascii: "a") || letter == UInt8(ascii: "p") else { return nil }
        let rest = bytes[(position + 1)...].prefix(3).map { $0 >= 0x41 ? $0 | 0x20 : $0 }
        let length = rest.first == UInt8(ascii: "m") ? 2 : rest.elementsEqual(".m.".utf8) ? 4 : 0
        guard length > 0, position + length >= bytes.count || !Self.isLetter(bytes[position + length]) else { return nil }
        position += length
        return letter == UInt8(ascii: "p") ? 12 : 0
    }

    /// Digits of a second; true without any.
    private mutating func readFraction(_ signs: String) -> Bool {
        guard let sign = current, signs.utf8.contains(sign) else { return true }
        position += 1
        var (value, place) = (0, 100_000)
        guard digits() > 0 else { return false }
        while let digit = digit(at: position) {
            value += digit * place
            place /= 10
            position += 1
        }
        micros = value
        return true
    }

    // MARK: - Zone, year of the forms that have it last, remarks

    private mutating func readRest(_ form: Form) -> Bool {
        var hasYear = form != .nameThenDayThenTime
        while !isAtEnd {
            let spaces = skipSpace()
            if !hasYear, spaces > 0, digits() == 4 {
                year = number(4) ?? 0
                hasYear = true
            } else if take("[") {
                // A zone's name: Java says the offset before it.
                guard offset != nil, let end = bytes[position...].firstIndex(of: UInt8(ascii: "]")) else { return false }
                position = end + 1
            } else if spaces > 0, take("(") {
                guard let end = bytes[position...].firstIndex(of: UInt8(ascii: ")")) else { return false }
                position = end + 1
                return isAtEnd && hasYear
            } else if spaces > 0, seconds != nil, bytes[position...].starts(with: "m=".utf8) {
                // Go's monotonic clock.
                position += 2
                guard take("+") || take("-") else { return false }
                while digit(at: position) != nil || current == UInt8(ascii: ".") { position += 1 }
                return isAtEnd && hasYear
            } else {
                guard readZone() else { return false }
            }
        }
        return hasYear
    }

    private mutating func readZone() -> Bool {
        if let word = peekWord() {
            guard let named = Self.zone(word) else {
                // Abbreviations may mean several zones; beside an offset they say nothing new.
                guard offset != nil, (3...5).contains(word.count) else { return false }
                position += word.count
                return true
            }
            position += word.count
            if offset == nil { offset = named }
            // GMT+0200
            if named == 0, current == UInt8(ascii: "+") || current == UInt8(ascii: "-") {
                offset = nil
                return readOffset()
            }
            return true
        }
        return offset == nil && readOffset()
    }

    /// `+02:00`, `-0530`, `+02`, `+2`, `+02:00:00`.
    private mutating func readOffset() -> Bool {
        let sign = take("+") ? 1 : take("-") ? -1 : 0
        guard sign != 0 else { return false }
        var (hours, minutes, rest) = (0, 0, 0)
        switch digits() {
        case 4:
            guard let h = number(2), let m = number(2) else { return false }
            (hours, minutes) = (h, m)
        case 6:
            guard let h = number(2), let m = number(2), let s = number(2) else { return false }
            (hours, minutes, rest) = (h, m, s)
        case 1, 2:
            hours = number(digits()) ?? 0
            if take(":") {
                guard digits() == 2, let m = number(2) else { return false }
                minutes = m
                if take(":") {
                    guard digits() == 2, let s = number(2) else { return false }
                    rest = s
                    // Python has offsets to the microsecond; no zone does.
                    if take(".") { while digit(at: position) != nil { position += 1 } }
                }
            }
        default: return false
        }
        guard hours < 24, minutes < 60, rest < 60 else { return false }
        offset = sign * (hours * 3_600 + minutes * 60 + rest)
        return true
    }

    // MARK: - Characters

    private var isAtEnd: Bool { position >= bytes.count }
    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func digit(at place: Int) -> Int? {
        guard place < bytes.count, bytes[place] &- 0x30 < 10 else { return nil }
        return Int(bytes[place]) - 0x30
    }

    /// How many stand here.
    private func digits() -> Int {
        var count = 0
        while digit(at: position + count) != nil { count += 1 }
        return count
    }

    private mutating func number(_ count: Int) -> Int? {
        var value = 0
        for place in position..<position + count {
            guard let digit = digit(at: place) else { return nil }
            value = value * 10 + digit
        }
        position += count
        return value
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// `-`, `/` or `.`.
    private mutating func takeSign() -> UInt8? {
        guard let sign = current, "-/.".utf8.contains(sign) else { return nil }
        position += 1
        return sign
    }

    @discardableResult
    private mutating func skipSpace() -> Int {
        let start = position
        while current == 0x20 { position += 1 }
        return position - start
    }

    /// A sign, or spaces, or nothing before a letter.
    @discardableResult
    private mutating func skipSeparators() -> Bool {
        if takeSign() != nil { return true }
        return skipSpace() > 0
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    /// The letters that stand here, small ones.
    private func peekWord() -> ArraySlice<UInt8>? {
        let word = bytes[min(position, bytes.count)...].prefix(while: Self.isLetter).map { $0 | 0x20 }
        return word.isEmpty ? nil : word[...]
    }

    private static let months = [
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
    ]
    private static let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

    /// A name, or its first three letters (four of September, and of Tuesday and Thursday).
    private static func place(of word: ArraySlice<UInt8>, in names: [String]) -> Int? {
        guard word.count >= 3 else { return nil }
        return names.firstIndex { name in
            name.utf8.starts(with: word)
                && (word.count == 3 || word.count == name.utf8.count || word.count == 4 && ["sept", "tues", "thur"].contains { name.hasPrefix($0) })
        }
    }

    private static func month(_ word: ArraySlice<UInt8>) -> Int? { place(of: word, in: months).map { $0 + 1 } }
    private static func weekday(_ word: ArraySlice<UInt8>) -> Int? { place(of: word, in: weekdays) }

    /// Zones whose abbreviation means one offset: those of RFC 2822 and of Europe.
    private static func zone(_ word: ArraySlice<UInt8>) -> Int? {
        switch String(decoding: word, as: UTF8.self) {
        case "z", "utc", "gmt", "ut", "wet": 0
        case "est": -5 * 3_600
        case "edt": -4 * 3_600
        case "cst": -6 * 3_600
        case "cdt": -5 * 3_600
        case "mst": -7 * 3_600
        case "mdt": -6 * 3_600
        case "pst": -8 * 3_600
        case "pdt": -7 * 3_600
        case "cet", "west", "met": 3_600
        case "cest", "eet", "mest": 2 * 3_600
        case "eest", "msk": 3 * 3_600
        case "jst", "kst": 9 * 3_600
        default: nil
        }
    }

    // MARK: - The calendar

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
