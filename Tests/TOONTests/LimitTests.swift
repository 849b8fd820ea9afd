// Bounds and messages.
import Base
import TOON
import Testing

private func failure(_ text: String, _ options: TOONDecodingOptions = .init()) -> TOONError? {
    do throws(TOONError) {
        _ = try TOONDecoder.decode(text, options: options)
        return nil
    } catch {
        return error
    }
}

@Suite struct LimitTests {
    /// As many levels as a document may have are read; one more, or thousands, are refused.
    @Test func nestingIsBounded() throws {
        func nested(_ levels: Int) -> JSONValue {
            (1..<levels).reduce(.object(["end": .null])) { inner, level in level % 2 == 0 ? .object(["a": inner]) : .array([.null, inner]) }
        }
        let deepest = nested(Limits.nestingDepth)
        #expect(try TOONDecoder.decode(TOONEncoder.encode(deepest)) == deepest)
        let text = TOONEncoder.encode(nested(Limits.nestingDepth + 1))
        #expect(failure(text)?.message == "nested deeper than 64 levels")
        #expect(failure(text, .init(strict: false))?.message == "nested deeper than 64 levels")

        let objects = (0..<1_000).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n")
        #expect(failure(objects, .init(indent: 1)) != nil)
        let groups = "[1]" + String(repeating: "{a", count: 10_000) + String(repeating: "}", count: 10_000) + ":\n  1"
        #expect(failure(groups)?.message == "nested deeper than 64 levels")
        let lists = (0..<1_000).map { String(repeating: " ", count: $0) + ($0 == 0 ? "[1]:" : "- [1]:") }.joined(separator: "\n")
        #expect(failure(lists, .init(indent: 1, strict: false)) != nil)
    }

    /// Each row repeats the names of the header: a megabyte of them over a thousand rows would be a gigabyte.
    @Test func namesThatRowsRepeatHaveABound() {
        let name = String(repeating: "k", count: 1 << 20)
        for header in ["a[1000]{\(name),b}:", "a[1000]{\(name){c},b}:"] {
            #expect(failure(header + "\n" + String(repeating: "  1,2\n", count: 1_000))?.message.contains("names in headers") == true)
        }
        #expect(failure("a[1000:]{\(name)}:\n" + (0..<1_000).map { "  k\($0): 1\n" }.joined())?.message.contains("names in headers") == true)
        #expect(failure("a[1000]{name_of_a_column,b}:\n" + String(repeating: "  1,2\n", count: 1_000)) == nil)
    }

    @Test func numbersHaveABound() {
        let longest = String(repeating: "7", count: Limits.numberCharacters)
        #expect(failure("a: \(longest)") == nil)
        #expect(failure("a: 1\nb: \(longest)7") == TOONError(line: 2, message: "a number of more than 1000 characters"))
        // Its canonical form would be longer than what is read again.
        let value = JSONValue.array([.number(JSONNumber(uncheckedText: longest))])
        #expect((try? TOONDecoder.decode(TOONEncoder.encode(value))) == value)
    }

    @Test func lengthIsBounded() {
        #expect(failure("abcdef", .init(bytesMax: 5))?.message == "the text has 6 bytes; at most 5 are read")
        #expect(failure("a[99999999999999999999]: 1") != nil)
        #expect(failure("a[999999999999]: 1")?.message == "the header announces 999999999999 values, 1 follow")
    }

    @Test func bytesMustBeUTF8() {
        #expect(throws: TOONError.self) { try TOONDecoder.decode(utf8: [0x61, 0x3A, 0x20, 0xFF]) }
        #expect(throws: TOONError.self) { try TOONDecoder.decode(utf8: [0x61, 0x3A, 0x20, 0xED, 0xA0, 0x80]) }
        #expect(throws: Never.self) { try TOONDecoder.decode(utf8: Array("a: ü".utf8)) }
    }

    @Test func messagesNameTheLine() {
        #expect(failure("a: 1\n# note\n\nb[2]: x")?.description == "line 4: the header announces 2 values, 1 follow")
        #expect(failure("a: 1\na: 2")?.description == "line 2: key \"a\" stands twice in one object")
        #expect(failure("a: \"x")?.description == "line 1: unterminated string: the closing quote is missing")
        #expect(failure("rows[1]{a,b}:\n  1")?.description == "line 2: the row has 1 cells, the header names 2 fields")
    }

    /// Beyond the published cases; the Python package `toon-format` 1.2.0 judges alike.
    @Test func whatIsAHeader() throws {
        #expect(failure("foo [2]: bar")?.message == "white space stands between a key and its bracket")
        #expect(try TOONDecoder.decode("foo [2]: bar", options: .init(strict: false)) == .object(["foo [2]": .string("bar")]))
        #expect(try TOONDecoder.decode("foo bar[1]: x") == .object(["foo bar": .array([.string("x")])]))
        #expect(try TOONDecoder.decode("foo-bar[1]{x y}:\n  1") == .object(["foo-bar": .array([.object(["x y": .integer(1)])])]))
        #expect(failure("items[1]:\n  -\n    a: 1") != nil)
        let lenient = try TOONDecoder.decode("items[1]:\n  -\n    a: 1", options: .init(strict: false))
        #expect(lenient == .object(["items": .array([.object(["a": .integer(1)])])]))
    }

    /// Keys that look alike but differ in their bytes are two keys.
    @Test func keysAreBytes() throws {
        let value = JSONValue.object(["é": .integer(1), "e\u{301}": .integer(2)])
        #expect(try TOONDecoder.decode(TOONEncoder.encode(value)) == value)
        let table = JSONValue.array([.object(["é": .integer(1)]), .object(["e\u{301}": .integer(2)])])
        #expect(try TOONDecoder.decode(TOONEncoder.encode(table)) == table)
    }

    /// No number passes through a host float.
    @Test(arguments: [
        ("1e21", "1e+21"), ("999999999999999999999", "999999999999999999999"), ("1000000000000000000000", "1e+21"),
        ("0.000001", "0.000001"), ("0.0000001", "1e-7"), ("-12.50", "-12.5"), ("1e400", "1e+400"), ("-0.0e5", "0"),
        ("123456789012345678901234567890", "1.2345678901234567890123456789e+29"), ("0.10000000000000000001", "0.10000000000000000001"),
        ("1E2", "100"), ("1e99999999999999999999", "1e99999999999999999999"), ("12e-1", "1.2"),
    ])
    func numbersAreExact(text: String, canonical: String) throws {
        #expect(TOONNumber.canonical(JSONNumber(uncheckedText: text)).text == canonical)
        #expect(TOONEncoder.encode(.number(JSONNumber(uncheckedText: text)), options: .init(numbers: .canonical)) == canonical)
        // Nobody asked for another spelling.
        #expect(TOONEncoder.encode(.number(JSONNumber(uncheckedText: text))) == text)
        #expect(try TOONDecoder.decode(text) == .number(JSONNumber(uncheckedText: text)))
    }

    /// In a line, in a list and in the cells of both kinds of tables.
    @Test func versionsStayWhatTheyWere() throws {
        func number(_ text: String) -> JSONValue { .number(JSONNumber(uncheckedText: text)) }
        let value: JSONValue = [
            "python": number("3.10"), "list": .array([number("1.0"), number("2e3"), number("-0")]),
            "rows": .array([["v": number("1.20")], ["v": number("1.30")]]), "named": ["a": ["v": number("0.50")], "b": ["v": number("1E5")]],
        ]
        let text = "python: 3.10\nlist[3]: 1.0,2e3,-0\nrows[2]{v}:\n  1.20\n  1.30\nnamed[2:]{v}:\n  a: 0.50\n  b: 1E5"
        #expect(TOONEncoder.encode(value) == text)
        #expect(try TOONDecoder.decode(text) == value)
    }
}
