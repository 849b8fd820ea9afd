import Attributes
import Base
import Content
import Testing

@Suite struct FilterParserTests {
    private func fault(_ text: String) -> String? {
        do {
            _ = try Filter(try JSONParser.parse(Array(text.utf8), maximumDepth: 4_000))
            return nil
        } catch let fault as PlacedFault {
            #expect(fault.contexError.category == .invalid)
            return fault.description
        } catch { return "\(error)" }
    }

    @Test(arguments: [
        "{}", #"{"metadata.team":"core"}"#, #"{"data_format":["json","yaml"]}"#, #"{"metadata.size":{"gte":3,"lt":10}}"#,
        #"{"updated_after":"2026-01-01T00:00:00Z"}"#, #"{"updated_before":1767225600.5}"#, #"{"updated_at":{"gte":"2026-01-01","lt":1e9}}"#,
        #"{"and":[{"metadata.a":1},{"or":[{"metadata.b":null},{"not":{"data_key":{"prefix":"x"}}}]}]}"#, #"{"published_by":null}"#,
        #"{"published_by":{"exists":true}}"#, #"{"metadata.a":{"ne":1,"in":[1,2],"exists":true,"prefix":"","eq":false}}"#, #"{"or":[],"and":[]}"#,
        #"{"metadata.a":[]}"#, #"{"metadata.a":{"gt":"a","lte":"b"}}"#, #"{"metadata.a.b.c":1}"#, #"{"data_key":{"gt":"2026-01-01","lt":"b"}}"#,
    ])
    func isAccepted(_ text: String) { #expect(fault(text) == nil, "\(text)") }

    /// Each with the place and the reason.
    @Test(arguments: [
        ("[]", "filter: expected an object of fields, and, or, not; got a list"),
        (#"{"team":"core"}"#, "filter.team: unknown field; there are metadata.<path>, data_key, data_format"),
        (#"{"metadata":{"team":1}}"#, "filter.metadata: unknown field (name a value in it, as in metadata.team)"),
        (#"{"metadata.":1}"#, "filter.metadata.: the path of a metadata field has 1 to 192 bytes"),
        (#"{"and":{"metadata.a":1}}"#, "filter.and: expected a list of filters, got an object"),
        (#"{"or":[{"metadata.a":1},3]}"#, "filter.or[1]: expected an object of fields, and, or, not; got a number"),
        (#"{"not":[]}"#, "filter.not: expected an object"),
        (#"{"and":[{},{},{},{"metadata.x":{"gte":[1]}}]}"#, "filter.and[3].metadata.x.gte: expected a number, a date or a text, got a list"),
        (#"{"metadata.x":{"gte":true}}"#, "filter.metadata.x.gte: expected a number, a date or a text, got true"),
        (#"{"metadata.x":{"gte":1,"lt":"b"}}"#, "filter.metadata.x.lt: a text, but the other end of the range is a number"),
        (#"{"metadata.x":{"gte":"2026-01-01","lt":"b"}}"#, "filter.metadata.x.lt: a text, but the other end of the range is a date"),
        (#"{"metadata.x":{"gte":1,"gt":2}}"#, "filter.metadata.x.gt: a second lower end of the range"),
        (#"{"metadata.x":{}}"#, "filter.metadata.x: an empty object: name an operator"),
        (#"{"metadata.x":{"name":1}}"#, "filter.metadata.x.name: unknown operator (a value inside is named by its path, metadata.x.name)"),
        (#"{"metadata.x":{"$gte":1}}"#, "filter.metadata.x.$gte: unknown operator"),
        (#"{"metadata.x":[1,[2]]}"#, "filter.metadata.x[1]: expected a text, a number, true, false or null, got a list"),
        (#"{"metadata.x":{"in":3}}"#, "filter.metadata.x.in: expected a list, got a number"),
        (#"{"metadata.x":{"exists":"yes"}}"#, "filter.metadata.x.exists: expected true or false, got a text"),
        (#"{"metadata.x":{"prefix":1}}"#, "filter.metadata.x.prefix: expected a text, got a number"),
        (#"{"metadata.x":1e999}"#, "filter.metadata.x: a number beyond the range of binary64"),
        (#"{"metadata.x":"a\u0000"}"#, "filter.metadata.x: must not contain NUL characters"),
        (#"{"data_key":3}"#, "filter.data_key: expected a text, got a number"),
        (#"{"data_key":{"exists":true}}"#, "filter.data_key.exists: unknown operator; there are eq, ne, in"),
        (#"{"data_key":{"gt":3}}"#, "filter.data_key.gt: expected a text, got a number"),
        (#"{"published_by":3}"#, "filter.published_by: expected a text or null, got a number"),
        (#"{"updated_at":"2026-01-01"}"#, "filter.updated_at: expected an object with gt, gte, lt or lte, got a text"),
        (#"{"updated_at":{"eq":1}}"#, "filter.updated_at.eq: unknown operator; there are gt, gte, lt, lte"),
        (#"{"updated_after":"yesterday"}"#, "filter.updated_after: 'yesterday' is no date that can be read"),
        (#"{"updated_after":1e300}"#, "filter.updated_after: seconds since 1970 must lie in the years 1 to 9999"),
        (#"{"updated_after":null}"#, "filter.updated_after: expected a date as text, or seconds since 1970; got null"),
    ])
    func isRefusedByPlace(_ text: String, _ reason: String) throws {
        let found = try #require(fault(text), "\(text)")
        #expect(found.hasPrefix(reason), "\(text): \(found)")
    }

    /// A path is bytes after the dot, whatever the first of them makes of the dot in Swift's characters.
    @Test func pathsAreBytes() throws {
        guard case .condition(let condition) = try Filter(["metadata.\u{301}a": "x"]) else { throw FilterMissing() }
        #expect(condition.field == .metadata(path: "\u{301}a"))
    }

    private struct FilterMissing: Error {}

    @Test func boundsAreEnforced() throws {
        func nested(_ levels: Int) -> String { String(repeating: #"{"not":"#, count: levels) + "{}" + String(repeating: "}", count: levels) }
        #expect(fault(nested(15)) == nil)
        #expect(fault(nested(16))?.hasSuffix("nested deeper than 16 levels") == true)
        #expect(fault(nested(1_000))?.hasSuffix("nested deeper than 16 levels") == true)
        func many(_ count: Int) -> String { #"{"or":["# + (0..<count).map { #"{"metadata.a\#($0)":1}"# }.joined(separator: ",") + "]}" }
        #expect(fault(many(128)) == nil)
        #expect(fault(many(129)) == "filter.or[128]: more than 256 conditions in one filter")
        #expect(fault(#"{"and":["# + String(repeating: "{},", count: 256) + "{}]}") == "filter.and[256]: more than 256 conditions in one filter")
        func values(_ count: Int) -> String { #"{"data_key":["# + (0..<count).map { "\"k\($0)\"" }.joined(separator: ",") + "]}" }
        #expect(fault(values(10_000)) == nil)
        #expect(fault(values(10_001)) == "filter.data_key[10000]: more than 10000 values in one filter")
        func text(_ count: Int) -> String { String(repeating: "x", count: count) }
        #expect(fault(#"{"metadata.a":"\#(text(4_096))"}"#) == nil)
        #expect(fault(#"{"metadata.a":"\#(text(4_097))"}"#) == "filter.metadata.a: a text of 4097 bytes, at most 4096")
        #expect(fault(#"{"metadata.a":{"prefix":"\#(text(257))"}}"#) == "filter.metadata.a.prefix: a text of 257 bytes, at most 256")
        #expect(fault(#"{"metadata.a":{"gt":"\#(text(257))"}}"#) == "filter.metadata.a.gt: a text of 257 bytes, at most 256")
        #expect(fault(#"{"metadata.\#(text(193))":1}"#)?.hasSuffix("has 1 to 192 bytes and no NUL") == true)
        // A name from outside is not sent back at any length.
        #expect(try #require(fault(#"{"\#(text(100_000))":1}"#)).utf8.count < 400)
    }
}
