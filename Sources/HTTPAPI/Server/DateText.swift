internal import Base
internal import Synchronization

/// The `Date` of answers, made once a second.
final class DateText: Sendable {
    private let known = Mutex<(second: Int, text: String)>((-1, ""))

    func now() -> String {
        let second = Int(SystemClock().now().seconds)
        return known.withLock { known in
            if known.second != second { known = (second, Self.text(second)) }
            return known.text
        }
    }

    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// As RFC 9110, section 5.6.7 has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
    /// - Parameter second: since 1970, from 0 on.
    static func text(_ second: Int) -> String {
        let (day, time) = second.quotientAndRemainder(dividingBy: 86_400)
        // From a day's number to its date: years that begin in March end with the day that is not always there.
        let shifted = day + 719_468
        let (era, dayOfEra) = shifted.quotientAndRemainder(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let year = era * 400 + yearOfEra + (month < 10 ? 0 : 1)
        func two(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
        let clock = "\(two(time / 3_600)):\(two(time / 60 % 60)):\(two(time % 60))"
        return "\(days[day % 7]), \(two(dayOfMonth)) \(months[(month + 2) % 12]) \(year) \(clock) GMT"
    }
}
