// Names, times, random numbers, errors.
import Base
import Testing
import TestSupport

@Suite struct NameTests {
    @Test func limits() throws {
        let empty = #expect(throws: ContexError.self) { try Name("", field: "data_key") }
        #expect(empty?.kind == "string_too_short" && empty?.field == "data_key")
        #expect(try Name("a/b c.d é😀\n", field: "id").text == "a/b c.d é😀\n")
        // Scalars count, neither bytes nor grapheme clusters.
        #expect(throws: Never.self) { try Name(String(repeating: "😀", count: 255), field: "id") }
        #expect(throws: ContexError.self) { try Name(String(repeating: "e\u{301}", count: 128), field: "id") }

        let long = #expect(throws: ContexError.self) { try Name(String(repeating: "a", count: 256), field: "project_id") }
        #expect(long?.category == .invalid)
        #expect(long?.field == "project_id")
        #expect(long?.kind == "string_too_long")
        #expect(throws: ContexError.self) { try Name(String(repeating: "a", count: 100_000), field: "id") }

        let nul = #expect(throws: ContexError.self) { try Name("a\u{0}b", field: "data_key") }
        #expect(nul?.kind == "value_error")
        #expect(nul?.message.contains("data_key") == true)
    }

    @Test func comparedByBytes() {
        let composed = Name(stored: "\u{e9}")
        let decomposed = Name(stored: "e\u{301}")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(decomposed < composed)
        // UTF-16 order would put U+FFFF last.
        #expect(Name(stored: "\u{ffff}") < Name(stored: "\u{10000}"))
        #expect(Set([ExactText("\u{e9}"), ExactText("e\u{301}"), ExactText("\u{e9}")]).count == 2)
        #expect(ExactText("e\u{301}") < ExactText("\u{e9}"))
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01", 0), ("1970-01-01T00:00:00", 0), ("1970-01-01T00:00:00Z", 0), ("1970-01-01t00:00:00z", 0), ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T18:30:00-0530", 0), ("1970-01-01T00:00:00.000001Z", 1), ("1970-01-01T00:00:00.1", 100_000), ("1970-01-01T00:00:00.1234569", 123_456),
        ("1969-12-31T23:59:59.999999+00:00", -1), ("2000-02-29", 951_782_400_000_000), ("2100-03-01", 4_107_542_400_000_000),
        ("0001-01-01", -62_135_596_800_000_000), ("9999-12-31T23:59:59.999999", 253_402_300_799_999_999),
    ] as [(String, Int64)])
    func isRead(text: String, microseconds: Int64) { #expect(Timestamp(printed: text)?.rawValue == microseconds) }

    @Test(arguments: [
        "", "1970", "1970-13", "1970-13-01", "1970-00-01", "1970-02-29", "1900-02-29", "1970-04-31", "1970-01-00", "0000-01-01", "01970-01-01",
        "1970-01-01T", "1970-01-01T24:00:01", "1970-01-01T24:30", "1970-01-01T00:60:00", "1970-01-01T00:00:61", "1970-01-01T00:00:00.",
        "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00+", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+02:60",
        "1970-01-01T00:00:00Zx",
        "1970-01-01x", "+970-01-01", "1970-01-01T00:00:00.\(String(repeating: "1", count: 110))", "１９７０-01-01",
        // Two readings, or none.
        "03/04/2026", "3/29/26", "29/03/2026", "2026-03-29 08:30:00 Europe/Berlin", "2026-03-29 08:30:00 IST", "2026-03-29 08", "Mar 29", "29 Mar", "March",
        "Mar 29 08:30:00", "not a date", "2026.1.3", "12345678", "20261399", "2026-W54-1", "2025-W53-1", "2026-W00", "29-YYY-26", "1.2.3", "8:30 AM",
        "2026-03-29 13:30 PM", "2026-03-29 0:30 AM", "2026-03-29T08:30:00 +02:00 +03:00", "2026-03-29 (a day)x", "32 Mar 2026", "Mar 29 08:30:00 26",
    ])
    func isNoDate(text: String) { #expect(Timestamp(printed: text) == nil) }

    /// What programs print of 2026-03-29, 06:30 UTC.
    @Test(arguments: [
        // ISO 8601 and its narrower kin: JSON.stringify, Python, Java, C#, Swift, Rust, numpy, XML.
        "2026-03-29T06:30:00Z", "2026-03-29T06:30Z", "2026-03-29T06:30", "2026-03-29T06:30:00.000Z", "2026-03-29T08:30:00+02:00", "2026-03-29T08:30:00+0200",
        "2026-03-29T08:30:00.0000000+02:00", "2026-03-29T08:30+02", "20260329T063000Z", "20260329T0630Z", "20260329T083000+0200", "20260329063000",
        "20260329063000Z",
        "2026-03-29T06:30:00.000000000", "2026-03-29T08:30:00+02:00[Europe/Berlin]", "2026-03-29T06:30:00Z[UTC]", "2026-W13-7T06:30:00Z",
        "2026-03-29T08:30:00+02:00:00",
        // A space instead of the T: Python's str, PostgreSQL, MySQL, SQLite, Ruby, Swift, R, Elixir, BigQuery, chrono, time, loggers.
        "2026-03-29 06:30:00", "2026-03-29 06:30", "2026-03-29 06:30:00Z", "2026-03-29 06:30:00+00", "2026-03-29 08:30:00+02", "2026-03-29 08:30:00+02:00",
        "2026-03-29 08:30:00 +0200", "2026-03-29 06:30:00 UTC", "2026-03-29 06:30:00.000000", "2026-03-29 06:30:00.000000 UTC", "2026-03-29 06:30:00,000",
        "2026-03-29 08:30:00 CEST", "2026-03-29 6:30:00.0 +00:00:00", "2026-03-29 08:30:00.0000000 +02:00", "2026-03-29, 06:30:00", "2026/03/29 06:30:00",
        "2026.03.29 06:30:00", "2026-3-29 6:30:00", "2026-03-29 12:00:00+05:30", "2026-03-29 12:15:00+0545",
        // Go.
        "2026-03-29 08:30:00 +0200 CEST", "2026-03-29 08:30:00.000000000 +0200 CEST m=+0.012345678", "2026-03-29 06:30:00 +0000 UTC",
        // Mail, HTTP, cookies.
        "Sun, 29 Mar 2026 08:30:00 +0200", "Sun, 29 Mar 2026 08:30:00 +0200 (CEST)", "29 Mar 2026 06:30:00 GMT", "Sun, 29 Mar 2026 06:30:00 GMT",
        "Sunday, 29-Mar-26 06:30:00 GMT", "Sun, 29-Mar-2026 06:30:00 UTC", "Sun, 29 Mar 2026 02:30:00 EDT", "Sun, 29 Mar 26 06:30:00 +0000",
        "29 Mar 2026 08:30 +0200",
        // JavaScript, Java, C, date, git.
        "Sun Mar 29 2026 08:30:00 GMT+0200 (Central European Summer Time)", "Sun Mar 29 08:30:00 CEST 2026", "Sun Mar 29 06:30:00 2026",
        "Sun Mar 29 06:30:00 UTC 2026",
        "Sun Mar 29 08:30:00 2026 +0200", "Sun Mar 29 06:30:00.000000 2026 UTC", "Sun 29 Mar 2026 06:30:00 AM UTC", "Mar 29, 2026, 6:30:00 AM",
        "Mar 29, 2026, 6:30:00\u{202F}AM",
        "March 29, 2026 at 8:30 AM GMT+2", "29 March 2026 at 06:30", "Sunday, March 29, 2026 6:30 AM", "sun mar 29 06:30:00 2026",
        // SQL Server, Oracle, PostgreSQL's German style, web servers.
        "Mar 29 2026  6:30AM", "29-MAR-26 06.30.00.000000 AM", "29-MAR-2026 06:30:00", "29-MAR-26 08.30.00.000000000 AM +02:00", "29.03.2026 08:30:00 CEST",
        "29.3.2026 06:30", "29/Mar/2026:08:30:00 +0200", "2026-Mar-29 06:30:00",
    ])
    func everyPrintedFormIsTheSameMoment(_ text: String) {
        #expect(Timestamp(printed: text)?.rawValue == 1_774_765_800_000_000, "\(text)")
        #expect(PrintedDate.looksLikeOne(text) || text.allSatisfy(\.isNumber), "\(text)")
    }

    @Test(arguments: [
        ("2026-03-29", 0), ("2026/03/29", 0), ("20260329", 0), ("29.03.2026", 0), ("29-MAR-26", 0), ("29 March 2026", 0), ("Mar 29, 2026", 0),
        ("Sun, 29 Mar 2026", 0),
        ("2026-03-29Z", 0), ("2026-03-29+02:00", -7_200), ("2026-03-29-05:00", 18_000), ("2026-03-28T24:00", 0), ("2026-03-28 23:59:60", 0), ("2026-W13-7", 0),
        ("2026-03-29 12:00 AM", 0), ("2026-03-29 12:00 PM", 43_200), ("2026-03-29 11:59 p.m.", 86_340), ("2026-03", -28 * 86_400), ("2026-W01", -90 * 86_400),
        ("2026-03-29T08", 28_800),
    ] as [(String, Int64)])
    func aDayIsItsFirstMoment(text: String, seconds: Int64) {
        #expect(Timestamp(printed: text)?.rawValue == (1_774_742_400 + seconds) * 1_000_000, "\(text)")
    }

    @Test(arguments: [
        ("2026-02-30", true), ("2026-13-01", true), ("2026-03-29T00:0Z", true), ("03/04/2026", true), ("29/03/2026", true), ("3-29-26", true),
        ("Mar 32 2026", true), ("Mar 29", true),
        ("29 Mar", true), ("Sun, soon", true), ("2026-03-29 08:30:00 Europe/Berlin", true), ("20261399T00", true), ("2026.13.01", true),
        ("2026-Mar", true), ("2026-03-29x", true),
        ("", false), ("not a date", false), ("2026", false), ("12345678", false), ("1.2.3", false), ("2026.1.3", false), ("10.0.20.1", false),
        ("1234-56", false),
        ("march", false), ("marathon 5", false), ("sunday", false), ("v2026-03", false), ("a2026-03-29", false), ("３/４/2026", false), ("99", false),
        ("2026-123", false),
    ])
    func whatLooksLikeADateIsKnown(text: String, looksSo: Bool) {
        #expect(PrintedDate.looksLikeOne(text) == looksSo, "\(text)")
    }

    @Test func whatIsPrintedIsRead() {
        var random = SeededRandom(seed: testSeed("whatIsPrintedIsRead"))
        for _ in 0..<2_000 {
            let time = Timestamp(rawValue: Int64.random(in: -62_135_596_800_000_000...253_402_300_799_999_999, using: &random))
            #expect(Timestamp(printed: time.iso8601) == time, "\(time.iso8601)")
        }
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00+00:00"),
        (1, "1970-01-01T00:00:00.000001+00:00"),
        (-1, "1969-12-31T23:59:59.999999+00:00"),
        (-1_000_000, "1969-12-31T23:59:59+00:00"),
        (951_782_400_000_000, "2000-02-29T00:00:00+00:00"),
        (951_868_800_000_000, "2000-03-01T00:00:00+00:00"),
        (1_709_164_800_123_000, "2024-02-29T00:00:00.123000+00:00"),
        (4_107_542_399_000_000, "2100-02-28T23:59:59+00:00"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00+00:00"),
        (-2_203_891_200_000_000, "1900-03-01T00:00:00+00:00"),
        (1_234_567_890_000_000, "2009-02-13T23:31:30+00:00"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00+00:00"),
        (-62_135_596_800_000_001, "0000-12-31T23:59:59.999999+00:00"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999+00:00"),
        (Int64.max, "294247-01-10T04:00:54.775807+00:00"),
        (Int64.min, "-290308-12-21T19:59:05.224192+00:00"),
    ] as [(Int64, String)])
    func known(microseconds: Int64, text: String) {
        #expect(Timestamp(rawValue: microseconds).iso8601 == text)
    }

    /// Eight hundred years, a day at a time, with the leap rule spelled out.
    @Test func everyDay() {
        var (year, month, day) = (1600, 1, 1)
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        // 1600-01-01 lies 135,140 days before 1970-01-01.
        var seconds: Int64 = -135_140 * 86_400
        func pad(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        var wrong: [String] = []
        while year < 2400 {
            let text = Timestamp(rawValue: (seconds + 43_200) * 1_000_000).iso8601
            if text != "\(year)-\(pad(month))-\(pad(day))T12:00:00+00:00" { wrong.append(text) }
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            day += 1
            if day > lengths[month - 1] + (month == 2 && leap ? 1 : 0) { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
            seconds += 86_400
        }
        #expect(wrong.isEmpty)
    }

    @Test func systemClock() {
        let first = SystemClock().now()
        #expect(first.iso8601 > "2025")
        #expect(first.iso8601 < "2200")
        #expect(first.seconds > 1_700_000_000)
    }
}

@Suite struct SeededRandomTests {
    /// Values of Vigna's reference implementation, splitmix64.c.
    @Test func known() {
        var random = SeededRandom(seed: 1_234_567)
        #expect(
            (0..<5).map { _ in random.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ])
        var zero = SeededRandom(seed: 0)
        #expect(zero.next() == 0xe220_a839_7b1d_cdaf)
    }

    @Test func unitInterval() {
        var random = SeededRandom(seed: testSeed("unitInterval"))
        let draws = (0..<100_000).map { _ in random.unit() }
        #expect(draws.allSatisfy { $0 >= 0 && $0 < 1 })
        // The mean of n uniform draws has a deviation of 0.2887 / sqrt(n), 0.0009 here.
        #expect(abs(draws.reduce(0, +) / 100_000 - 0.5) < 0.01)
    }
}

@Suite struct ContexErrorTests {
    @Test func factories() {
        #expect(ContexError.notFound("Key not found").category == .notFound)
        #expect(ContexError.badRequest("no").category == .badRequest)
        #expect(ContexError.damaged("seal").category == .damaged)
        let invalid = ContexError.invalid(field: "needs", kind: "missing", message: "Field required")
        #expect(invalid.field == "needs" && invalid.kind == "missing")
        #expect(invalid.description == "invalid_request: Field required")
    }
}

@Suite struct Base64URLTests {
    @Test func bytesAsTextInURLs() {
        #expect(Base64URL.encode(Array("f".utf8)) == "Zg" && Base64URL.encode(Array("foobar".utf8)) == "Zm9vYmFy")
        #expect(Base64URL.encode([0xFB, 0xFF, 0xBF]) == "-_-_" && Base64URL.decode("-_-_") == [0xFB, 0xFF, 0xBF])
        var random = SeededRandom(seed: 7)
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
        for wrong in ["A", "Zh", "Zg==", "+/+/", "Z g", "é"] { #expect(Base64URL.decode(wrong) == nil, "\(wrong)") }
    }
}

@Suite struct NodeSetTests {
    private static func set(_ numbers: Set<UInt32>) -> NodeSet { NodeSet(numbers.map { NodeID(rawValue: $0) }) }

    /// Against sets of numbers, near and far.
    @Test func setsAreSets() {
        var random = SeededRandom(seed: testSeed("setsAreSets"))
        func numbers() -> Set<UInt32> {
            let most = ([100, 9_000, 40_000, .max] as [UInt32]).randomElement(using: &random)!
            return Set((0..<Int.random(in: 0..<300, using: &random)).map { _ in UInt32.random(in: 0...most, using: &random) })
        }
        for _ in 0..<300 {
            let (a, b) = (numbers(), numbers())
            var (union, common, left) = (Self.set(a), Self.set(a), Self.set(a))
            union.formUnion(Self.set(b))
            common.formIntersection(Self.set(b))
            left.subtract(Self.set(b))
            for (found, expected) in [(union, a.union(b)), (common, a.intersection(b)), (left, a.subtracting(b))] {
                #expect(found.members.map(\.rawValue) == expected.sorted() && found.count == expected.count && found.isEmpty == expected.isEmpty)
                #expect(found == Self.set(expected) && Self.set(expected) == found)
                for number in a.union(b).union([0, .max]) { #expect(found.contains(NodeID(rawValue: number)) == expected.contains(number)) }
            }
            #expect((Self.set(a) == Self.set(b)) == (a == b))
        }
    }
}

@Suite struct PercentEncodingTests {
    @Test func roundTrips() {
        var random = SeededRandom(seed: testSeed("percent encoding"))
        for _ in 0..<500 {
            let text = String((0..<Int.random(in: 0...20, using: &random)).map { _ in "az09-._~ %+&=/?#ü😀".randomElement(using: &random)! })
            let encoded = PercentEncoding.encode(text)
            #expect(encoded.utf8.allSatisfy { PercentEncoding.isUnreserved($0) || $0 == UInt8(ascii: "%") })
            #expect(PercentEncoding.decode(encoded[...], plusIsSpace: false) == text)
        }
    }

    @Test func escapesAreKeptWhereTheyAreAsked() {
        let kept: (UInt8) -> Bool = { $0 == UInt8(ascii: "/") || PercentEncoding.isUnreserved($0) }
        #expect(PercentEncoding.encode("/%41%4g%", keepingEscapes: true, keeping: kept) == "/%41%254g%25")
        #expect(PercentEncoding.encode("/%41", keeping: kept) == "/%2541")
        #expect(PercentEncoding.decode("%4", plusIsSpace: false) == "%4" && PercentEncoding.decode("a+%ff", plusIsSpace: true) == nil)
        #expect(PercentEncoding.decodeReplacing("a+%ff", plusIsSpace: true) == "a \u{FFFD}")
    }
}
