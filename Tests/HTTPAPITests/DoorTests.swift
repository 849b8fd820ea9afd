import Base
import Content
import HTTPAPI
import Testing

/// How deep data may be does not depend on the route it comes by, and whatever was taken can be read by every other.
@Suite struct DoorTests {
    private static func nested(_ levels: Int) -> String { String(repeating: "[", count: levels) + String(repeating: "]", count: levels) }

    private static let export = "/api/v1/projects/p/data?include_events=true&include_embeddings=true&include_agents=true&format="

    /// Of an answer that holds the deepest data.
    private static func number(_ name: String, _ answer: APIAnswer) throws -> Int? {
        try JSONParser.parse(answer.body, maximumDepth: Limits.nestingDepth + Limits.envelopeLevels)[name]?.integerValue
    }

    @Test func theSameDepthByEveryRoute() async throws {
        let harness = try Harness()
        let deepest = Self.nested(Limits.nestingDepth), tooDeep = Self.nested(Limits.nestingDepth + 1)
        #expect(await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"a","data":\#(deepest)}"#).status == 200)
        let refused = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"b","data":\#(tooDeep)}"#)
        #expect(refused.status == 422)
        #expect(refused.text.contains("data is nested deeper than 64 levels"), "\(refused.text)")
        let batch = await harness.send(
            "POST", "/api/v1/batch/publish",
            #"[{"project_id":"p","data_key":"c","data":\#(deepest)},{"project_id":"p","data_key":"d","data":\#(tooDeep)}]"#)
        #expect(batch.status == 200, "\(batch.text)")
        #expect(try batch.json["successful"]?.integerValue == 1 && batch.json["failed"]?.integerValue == 1, "\(batch.text)")
        // What the server was ended by: one level more in a text than the reader of what is stored read back.
        let yaml = #"{"project_id":"p","data_key":"e","data_format":"yaml","data":"a: \#(deepest)"}"#
        #expect(await harness.send("POST", "/api/v1/data/publish", yaml).status == 422)
        #expect(try Self.number("count", await harness.send("GET", "/api/v1/projects/p/events")) == 2)

        // An export with it comes in again, and an event of it can be read, exported and told.
        for format in ["json", "toon"] {
            let exported = await harness.send("GET", Self.export + format)
            #expect(exported.status == 200)
            let other = try Harness()
            let imported = await other.send("POST", "/api/v1/projects/p/import?format=\(format)", exported.text)
            #expect(imported.status == 200, "\(format): \(imported.text)")
            #expect(try Self.number("count", await other.send("GET", "/api/v1/projects/p/events")) == 2)
            let agent = #"{"agent_id":"a","project_id":"p","data_needs":["value"],"last_seen_sequence":"0"}"#
            #expect(try Self.number("caught_up_events", await other.send("POST", "/api/v1/agents/register", agent)) == 2)
            #expect(await other.send("GET", Self.export + format).status == 200)
            await other.close()
        }
        await harness.close()
    }

    @Test func aNumberOfManyDigitsIsRefusedWithItsPlace() async throws {
        let harness = try Harness()
        let digits = String(repeating: "7", count: Limits.numberCharacters)
        #expect(await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"a","data":\#(digits)}"#).status == 200)
        let refused = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"a","data":\#(digits)7}"#)
        #expect(refused.status == 422)
        let fault = try refused.json["detail"]?.arrayValue?.first
        #expect(fault?["loc"]?.arrayValue?.last?.integerValue == 40, "\(refused.text)")
        #expect(fault?["ctx"]?["error"]?.stringValue == "A number of more than 1000 characters")
        await harness.close()
    }
}
