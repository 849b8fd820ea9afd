// The published cases of specification 4.0 (toon-format/spec): every file, every case, none forgotten.
import Base
import Content
import Foundation
import TOON
import TestSupport
import Testing

private let folder = "toon/v4.0"

private struct Fixture: Sendable {
    let file: String
    let name: String
    let input: JSONValue
    let expected: JSONValue?
    let mustFail: Bool
    let indent: Int
    let delimiter: TOONDelimiter
    let strict: Bool

    var title: Comment { "\(file): \(name)" }
}

private func fixtures(_ category: String) throws -> [Fixture] {
    let directory = "\(folder)/fixtures/\(category)"
    let files = try FileManager.default.contentsOfDirectory(atPath: TestData.root!.appendingPathComponent(directory).path)
    return try files.filter { $0.hasSuffix(".json") }.sorted().flatMap { file in
        let document = try JSONParser.parse(try TestData.file("\(directory)/\(file)"))
        return try #require(document["tests"]?.arrayValue).map { test in
            let options = test["options"]
            return Fixture(
                file: file, name: test["name"]?.stringValue ?? "", input: try #require(test["input"]), expected: test["expected"],
                mustFail: test["shouldError"]?.boolValue ?? false, indent: options?["indentSize"]?.integerValue ?? 2,
                delimiter: try #require(TOONDelimiter(rawValue: (options?["delimiter"]?.stringValue ?? ",").utf8.first!)),
                strict: options?["strict"]?.boolValue ?? true)
        }
    }
}

/// Numbers in one spelling, so that equal values are equal.
func canonical(_ value: JSONValue) -> JSONValue {
    switch value {
    case .number(let number): .number(TOONNumber.canonical(number))
    case .array(let elements): .array(elements.map(canonical))
    case .object(let object): .object(JSONObject(object.map { ($0.key, canonical($0.value)) }))
    default: value
    }
}

@Suite(.enabled(if: TestData.hasData))
struct SpecificationTests {
    @Test func everyFileAndCaseIsThere() throws {
        let encode = try fixtures("encode")
        let decode = try fixtures("decode")
        #expect(encode.count == 173)
        #expect(decode.count == 343)
        #expect(decode.count { $0.mustFail } == 79)
        #expect(Set((encode.map { "encode/" + $0.file }) + decode.map { "decode/" + $0.file }).count == 23)
    }

    @Test func encodes() throws {
        for fixture in try fixtures("encode") {
            let text = TOONEncoder.encode(fixture.input, options: .init(indent: fixture.indent, delimiter: fixture.delimiter, numbers: .canonical))
            #expect(text == fixture.expected?.stringValue, fixture.title)
        }
    }

    @Test func decodes() throws {
        for fixture in try fixtures("decode") {
            let text = try #require(fixture.input.stringValue)
            let options = TOONDecodingOptions(indent: fixture.indent, strict: fixture.strict)
            if fixture.mustFail {
                #expect(throws: TOONError.self, fixture.title) { try TOONDecoder.decode(text, options: options) }
                continue
            }
            let expected = canonical(try #require(fixture.expected))
            do {
                #expect(canonical(try TOONDecoder.decode(text, options: options)) == expected, fixture.title)
            } catch {
                Issue.record("\(fixture.file): \(fixture.name): \(error)")
            }
        }
    }

    /// What an encoder writes, a decoder reads back.
    @Test func encodedInputsReadBack() throws {
        for fixture in try fixtures("encode") {
            let options = TOONEncodingOptions(indent: fixture.indent, delimiter: fixture.delimiter)
            let text = TOONEncoder.encode(fixture.input, options: options)
            let value = try TOONDecoder.decode(text, options: .init(indent: fixture.indent))
            #expect(TOONEncoder.encode(value, options: options) == text, fixture.title)
        }
    }

    @Test(arguments: ["api-response", "config", "users"])
    func convertsTheExamples(name: String) throws {
        let json = canonical(try JSONParser.parse(try TestData.file("\(folder)/examples/conversions/\(name).json")))
        let text = String(decoding: try TestData.file("\(folder)/examples/conversions/\(name).toon"), as: UTF8.self)
        #expect(canonical(try TOONDecoder.decode(text)) == json)
        #expect(TOONEncoder.encode(json) == text.trimmingCharacters(in: .newlines))
    }

    @Test func judgesTheExamples() throws {
        let root = try #require(TestData.root).appendingPathComponent("\(folder)/examples")
        let valid = try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("valid").path)
        let invalid = try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("invalid").path)
        #expect(valid.count == 7)
        #expect(invalid.count == 3)
        for name in valid {
            let text = String(decoding: try TestData.file("\(folder)/examples/valid/\(name)"), as: UTF8.self)
            #expect(throws: Never.self, "\(name)") { try TOONDecoder.decode(text) }
        }
        for name in invalid {
            let text = String(decoding: try TestData.file("\(folder)/examples/invalid/\(name)"), as: UTF8.self)
            #expect(throws: TOONError.self, "\(name)") { try TOONDecoder.decode(text) }
        }
    }
}
