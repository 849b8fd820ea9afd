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
    func isRead(text: String, microseconds: Int64) { #expect(Timestamp(iso8601: text)?.rawValue == microseconds) }

    @Test(arguments: [
        "", "1970", "1970-01", "1970-1-1", "1970-13-01", "1970-00-01", "1970-02-29", "1900-02-29", "1970-04-31", "1970-01-00", "0000-01-01", "01970-01-01",
        "1970-01-01 00:00:00", "1970-01-01T", "1970-01-01T00:00", "1970-01-01T24:00:00", "1970-01-01T00:60:00", "1970-01-01T00:00:60", "1970-01-01T00:00:00.",
        "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00+", "1970-01-01T00:00:00+2", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+02:60",
        "1970-01-01T00:00:00Zx",
        "1970-01-01x", "+970-01-01", "1970-01-01T00:00:00.\(String(repeating: "1", count: 40))", "１９７０-01-01", "1970-01-01Z",
    ])
    func isNoDate(text: String) { #expect(Timestamp(iso8601: text) == nil) }

    @Test func whatIsPrintedIsRead() {
        var random = SeededRandom(seed: testSeed("whatIsPrintedIsRead"))
        for _ in 0..<2_000 {
            let time = Timestamp(rawValue: Int64.random(in: -62_135_596_800_000_000...253_402_300_799_999_999, using: &random))
            #expect(Timestamp(iso8601: time.iso8601) == time, "\(time.iso8601)")
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
