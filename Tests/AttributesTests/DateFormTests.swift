import Attributes
import Base
import Content
import TestSupport
import Testing

/// A moment is the same in whatever form it was printed: in metadata, and in the bounds of a filter.
@Suite struct DateFormTests {
    /// Parts of a moment as a clock `offset` minutes east of UTC shows it.
    private struct Clock {
        let (year, month, day, hour, minute, second): (Int, Int, Int, Int, Int, Int)
        let micros: Int
        let weekday: Int

        /// From the text that this project prints, so that the calendar is not written twice.
        init(_ moment: Int64, offset: Int) {
            let shifted = Timestamp(rawValue: moment + Int64(offset) * 60_000_000)
            let fields = shifted.iso8601.split(whereSeparator: { "-T:.+".contains($0) }).compactMap { Int($0) }
            (year, month, day, hour, minute, second) = (fields[0], fields[1], fields[2], fields[3], fields[4], fields[5])
            micros = Int((moment % 1_000_000 + 1_000_000) % 1_000_000)
            let days = Int((Double(shifted.rawValue) / 86_400_000_000).rounded(.down))
            weekday = ((days + 3) % 7 + 7) % 7
        }
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    private static let longMonths = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ]
    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let longDays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

    private static func pad(_ value: Int, _ width: Int = 2) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    /// The forms that can tell a moment to `unit` microseconds, on a clock `offset` minutes east of UTC.
    private static func forms(_ moment: Int64, offset: Int, unit: Int64) -> [String] {
        let (c, u) = (Clock(moment, offset: offset), Clock(moment, offset: 0))
        func date(_ c: Clock, _ sign: String = "-") -> String { "\(pad(c.year, 4))\(sign)\(pad(c.month))\(sign)\(pad(c.day))" }
        func clock(_ c: Clock, _ sign: String = ":") -> String { "\(pad(c.hour))\(sign)\(pad(c.minute))\(sign)\(pad(c.second))" }
        func half(_ c: Clock, _ sign: String = ":") -> String { "\(c.hour % 12 == 0 ? 12 : c.hour % 12)\(sign)\(pad(c.minute))\(sign)\(pad(c.second))" }
        let noon = c.hour < 12 ? "AM" : "PM"
        let (sign, hours, minutes) = (offset < 0 ? "-" : "+", pad(abs(offset) / 60), pad(abs(offset) % 60))
        let (colon, plain) = ("\(sign)\(hours):\(minutes)", "\(sign)\(hours)\(minutes)")
        let micros = pad(c.micros, 6)
        var forms = [
            // Python, PostgreSQL, Rust, .NET, Java, JavaScript, Go, MySQL and SQLite (UTC), Oracle, SQL Server's datetimeoffset, BigQuery.
            "\(date(c))T\(clock(c)).\(micros)\(colon)", "\(date(c)) \(clock(c)).\(micros)\(colon)", "\(date(u))T\(clock(u)).\(micros)Z",
            "\(date(u)) \(clock(u)).\(micros)",
            "\(date(c))T\(clock(c)).\(micros)0\(colon)", "\(date(c))T\(clock(c)).\(micros)000\(colon)[Some/Where]",
                "\(date(c)) \(clock(c)).\(micros) \(plain)",
            "\(date(c)) \(clock(c)).\(micros)000 \(plain) XYZ m=+0.25", "\(date(u)) \(clock(u)).\(micros) UTC", "\(date(c)) \(clock(c)),\(micros)\(colon)",
            "\(pad(c.day))-\(months[c.month - 1].uppercased())-\(pad(c.year, 4)) \(half(c, ".")).\(micros) \(noon) \(colon)",
            "\(date(c, "/")) \(clock(c)).\(micros)\(plain)",
            "\(date(c, ""))T\(clock(c, "")).\(micros)\(plain)",
            "\(days[c.weekday]) \(months[c.month - 1]) \(pad(c.day)) \(clock(c)).\(micros) \(pad(c.year, 4)) \(plain)",
        ]
        if unit >= 1_000_000 {
            forms += [
                "\(date(c))T\(clock(c))\(colon)", "\(date(u))T\(clock(u))Z", "\(date(u))T\(clock(u))", "\(date(u)) \(clock(u))",
                "\(date(c)) \(clock(c)) \(plain)",
                "\(days[c.weekday]), \(pad(c.day)) \(months[c.month - 1]) \(pad(c.year, 4)) \(clock(c)) \(plain)",
                "\(days[u.weekday]), \(pad(u.day)) \(months[u.month - 1]) \(pad(u.year, 4)) \(clock(u)) GMT",
                "\(days[c.weekday]) \(months[c.month - 1]) \(pad(c.day)) \(pad(c.year, 4)) \(clock(c)) GMT\(plain) (Some Time)",
                "\(days[u.weekday]) \(months[u.month - 1]) \(c.day == u.day ? pad(u.day) : String(u.day)) \(clock(u)) UTC \(pad(u.year, 4))",
                "\(days[u.weekday]) \(months[u.month - 1]) \(u.day) \(clock(u)) \(pad(u.year, 4))",
                "\(pad(c.day))/\(months[c.month - 1])/\(pad(c.year, 4)):\(clock(c)) \(plain)",
                "\(months[c.month - 1]) \(c.day), \(pad(c.year, 4)), \(half(c))\u{202F}\(noon) \(colon)",
                "\(longMonths[c.month - 1]) \(c.day), \(pad(c.year, 4)) at \(half(c)) \(noon) GMT\(colon)",
                "\(pad(u.day)).\(pad(u.month)).\(pad(u.year, 4)) \(clock(u))",
                "\(longDays[c.weekday]), \(c.day) \(longMonths[c.month - 1]) \(pad(c.year, 4)) \(clock(c)) \(plain)",
                "\(date(u, ""))T\(clock(u, ""))Z",
            ]
            if (1_950..<2_050).contains(u.year) {
                forms.append("\(longDays[u.weekday]), \(pad(u.day))-\(months[u.month - 1])-\(pad(u.year % 100)) \(clock(u)) GMT") }
            if (1_900..<2_200).contains(u.year) { forms += ["\(date(u, ""))\(clock(u, ""))", "\(date(u, ""))\(clock(u, ""))Z"] }
        }
        if unit >= 60_000_000 {
            forms += ["\(date(c))T\(pad(c.hour)):\(pad(c.minute))\(colon)", "\(date(u))T\(pad(u.hour)):\(pad(u.minute))Z",
                "\(date(u)) \(pad(u.hour)):\(pad(u.minute))"]
        }
        if unit >= 86_400_000_000 { forms += [date(u), date(u, "/"), "\(u.day) \(months[u.month - 1]) \(pad(u.year, 4))",
            "\(pad(u.day)).\(pad(u.month)).\(pad(u.year, 4))"] }
        // A compact date is one of our times, and a number at others.
        return (1_900..<2_200).contains(u.year) && (1_900..<2_200).contains(c.year) ? forms : forms.filter { !$0.prefix(8).allSatisfy(\.isNumber) }
    }

    private static func document(_ text: String) -> DocumentAttributes {
        DocumentAttributes(
            key: Name(stored: "k"), format: "json", updatedAt: Timestamp(rawValue: 0), publisher: nil, metadata: JSONObject([("t", .string(text))]),
            nodes: [NodeID(rawValue: 1)])
    }

    @Test func allFormsOfAMomentAreOne() throws {
        var random = SeededRandom(seed: testSeed("allFormsOfAMomentAreOne"))
        for round in 0..<400 {
            let unit: Int64 = [1, 1_000_000, 60_000_000, 86_400_000_000][round % 4]
            // Years 2 to 9998, more of ours than of others.
            let range: ClosedRange<Int64> = round % 3 == 0 ? -62_000_000_000...253_300_000_000 : -1_000_000_000...4_000_000_000
            let moment = (Int64.random(in: range, using: &random) * 1_000_000 + Int64.random(in: 0..<1_000_000, using: &random)) / unit * unit
            let offset = Int.random(in: -14 * 4...14 * 4, using: &random) * 15
            let forms = Self.forms(moment, offset: offset, unit: unit)
            for form in forms { #expect(Timestamp(printed: form)?.rawValue == moment, "\(form): \(Timestamp(rawValue: moment).iso8601)") }
            let (stored, lower, upper) = (forms.randomElement(using: &random)!, forms.randomElement(using: &random)!, forms.randomElement(using: &random)!)
            let document = Self.document(stored)
            func passes(_ test: KeyValuePairs<String, JSONValue>) throws -> Bool { try Filter(["metadata.t": .object(test)]).passes(document) }
            #expect(try passes(["gte": .string(lower), "lte": .string(upper)]), "\(stored) \(lower) \(upper)")
            #expect(try !passes(["gt": .string(lower)]) && !passes(["lt": .string(upper)]), "\(stored) \(lower) \(upper)")
        }
    }

    /// What was asked: a bound without seconds is a date, and texts that are none are not in its range.
    @Test func aBoundIsADateAndNoText() throws {
        let filter = try Filter(["metadata.t": ["gte": "2026-03-29T00:00Z"]])
        for text in ["2026-03-29T00:00:00Z", "2026-03-29", "2026-03-29 02:00:00+02", "Sun, 29 Mar 2026 00:00:00 GMT", "2026-04-01"] {
            #expect(filter.passes(Self.document(text)), "\(text)") }
        for text in ["not a date", "zzz", "2026-03-28 23:59:59", "2026-03-29T00:0Z", "03/30/2026", ""] {
            #expect(!filter.passes(Self.document(text)), "\(text)") }
    }

    @Test(arguments: ["2026-03-29T00:0Z", "2026-13-01", "2026-02-30", "03/29/2026", "Mar 29", "2026-03-29 08:30:00 Europe/Berlin"])
    func aBoundThatIsNearlyADateIsRefused(_ text: String) {
        for name in ["gt", "gte", "lt", "lte"] {
            let fault = #expect(throws: PlacedFault.self) { try Filter(["metadata.t": .object([name: .string(text)])]) }
            #expect(fault?.description.contains(text) == true && fault?.contexError.category == .invalid)
        }
        // Of a key it is any text, and so it is for equality.
        #expect(throws: Never.self) { try Filter(["data_key": ["gte": .string(text)]]) }
        #expect(throws: Never.self) { try Filter(["metadata.t": .string(text)]) }
    }
}
