import Base
import Content
import Engine
import HTTPAPI
import TestSupport
import Testing
import TOON

@Suite("Packing, explanations and batches of queries over HTTP")
struct QueryOptionTests {
    private func filled() async throws -> Harness {
        let harness = try Harness()
        for i in 0..<30 {
            let text = "zebra \(String(repeating: "stripe, grass: river; ", count: 10 + i))"
            _ = await harness.send(
                "POST", "/api/v1/data/publish", JSONPrinter.text(["project_id": "p", "data_key": .string("k\(i)"), "data": ["text": .string(text)]]))
        }
        _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"menu","data":{"soup":"of the day"}}"#)
        return harness
    }

    /// Every way in which the fields can be wrong: the place and the reason, and nothing searched.
    @Test(arguments: [
        (#""max_tokens":999"#, ["max_tokens"], "greater_than_equal"), (#""max_tokens":128001"#, ["max_tokens"], "less_than_equal"),
        (#""max_tokens":"many""#, ["max_tokens"], "int_parsing"), (#""diversity":1.01"#, ["diversity"], "less_than_equal"),
        (#""diversity":-0.1"#, ["diversity"], "greater_than_equal"), (#""diversity":"some""#, ["diversity"], "float_parsing"),
        (#""diversity":[0.5]"#, ["diversity"], "float_type"), (#""diversity":"nan""#, ["diversity"], "less_than_equal"),
        (#""pinned":"k1""#, ["pinned"], "list_type"), (#""pinned":["k1",2]"#, ["pinned", .integer(1)], "string_type"),
        (#""pinned":["a\u0000b"]"#, ["pinned", .integer(0)], "value_error"), (#""explain_keys":{}"#, ["explain_keys"], "list_type"),
        (#""explain_keys":[null]"#, ["explain_keys", .integer(0)], "string_type"), (#""explain":"perhaps""#, ["explain"], "bool_parsing"),
        (#""pinned":[\#((0..<21).map { "\"k\($0)\"" }.joined(separator: ","))]"#, ["pinned"], "too_long"),
        (#""explain_keys":[\#((0..<21).map { "\"k\($0)\"" }.joined(separator: ","))]"#, ["explain_keys"], "too_long"),
        (#""pinned":["\#(String(repeating: "x", count: 4_097))"]"#, ["pinned", .integer(0)], "string_too_long"),
    ] as [(String, [JSONValue], String)])
    func mistakes(field: String, place: [JSONValue], kind: String) async throws {
        let harness = try Harness()
        let item = #"{"project_id":"p","query":"q",\#(field)}"#
        func fault(_ target: String, _ body: String, _ place: [JSONValue]) async throws {
            let answer = await harness.send("POST", target, body)
            #expect(answer.status == 422, "\(answer.text)")
            let detail = try answer.json["detail"]?.arrayValue?.first
            #expect(detail?["loc"] == .array(place) && detail?["type"]?.stringValue == kind, "\(answer.text.prefix(300))")
            #expect(detail?["msg"]?.stringValue?.isEmpty == false)
        }
        try await fault("/api/v1/projects/p/query", item, ["body"] + place)
        try await fault("/api/v1/batch/query", "[\(#"{"project_id":"p","query":"fine"}"#),\(item)]", ["body", .integer(1)] + place)
        if place[0] == "explain" || place[0] == "explain_keys" { return }
        try await fault("/api/v1/agents/register", #"{"project_id":"p","agent_id":"a","data_needs":[],\#(field)}"#, ["body"] + place)
    }

    /// Where signs leave nothing the answer says so; `plain` switches them off.
    @Test func signsAndPlainWords() async throws {
        let harness = try await filled()
        func ask(_ text: String, _ more: String = "") async throws -> JSONValue {
            let body = JSONPrinter.text(["query": .string(text), "threshold": .integer(0), "response_format": "json", "top_k": .integer(50)])
            return try await harness.send("POST", "/api/v1/projects/p/query", String(body.dropLast()) + more + "}").json
        }
        func count(_ answer: JSONValue) -> Int? { answer["total_matches"]?.integerValue }
        let soup = try await ask("+\"soup\" zebra")
        #expect(count(soup) == 1 && soup["syntax"] == nil && soup["note"] == nil)
        let nothing = try await ask("+\"zebra soup\"")
        #expect(count(nothing) == 31 && nothing["syntax"] == "plain" && nothing["note"]?.stringValue?.contains("signs") == true)
        #expect(nothing["query"] == "+\"zebra soup\"")
        let plain = try await ask("+\"soup\" zebra", #","syntax":"plain""#)
        #expect(count(plain) == 31 && plain["syntax"] == nil)
        let batch = try await harness.send(
            "POST", "/api/v1/batch/query",
            #"[{"project_id":"p","query":"+\"soup\"","threshold":0,"top_k":50},"#
                + #"{"project_id":"p","query":"+\"soup\"","threshold":0,"top_k":50,"syntax":"plain"}]"#
        ).json
        #expect(batch["results"]?.arrayValue?.map { $0["total_matches"]?.integerValue } == [1, 31])
        let wrong = await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"q","syntax":"none"}"#)
        #expect(wrong.status == 422 && wrong.text.contains("syntax"))
        await harness.close()
    }

    /// Documents in the places of an answer, passages of long nodes and of gathered ones, and what is wrong with the fields that ask.
    @Test func documentsAndPassages() async throws {
        let harness = try Harness()
        func publish(_ key: String, _ data: JSONValue, _ format: String) async {
            let body = JSONPrinter.text(["project_id": "p", "data_key": .string(key), "data": data, "data_format": .string(format)])
            #expect(await harness.send("POST", "/api/v1/data/publish", body).status == 200)
        }
        func ask(_ fields: String) async throws -> [JSONValue] {
            let answer = await harness.send(
                "POST", "/api/v1/projects/p/query", #"{"query":"release train","threshold":0,"response_format":"json"\#(fields)}"#)
            #expect(answer.status == 200, "\(answer.text)")
            return try #require(try answer.json["matches"]?.arrayValue)
        }
        func document(_ match: JSONValue) -> Substring { match["data_key"]!.stringValue!.split(separator: ".")[0] }
        for table in 0..<4 {
            await publish("table\(table)", .string("id,text\n" + (0..<6).map { "n\($0),release train \(table) of \($0)" }.joined(separator: "\n")), "csv")
        }
        let plain = try await ask(#","top_k":20"#)
        #expect(plain.count == 20 && plain.allSatisfy { $0["others"] == nil && $0["passage"] == nil })
        let grouped = try await ask(#","top_k":3,"group_by":"document","nodes_per_document":4"#)
        #expect(grouped.count == 3 && Set(grouped.map(document)).count == 3)
        for match in grouped {
            let others = try #require(match["others"]?.arrayValue)
            #expect(others.count == 3 && others.allSatisfy { document($0) == document(match) && $0["data"]?["text"] != nil })
        }
        #expect(try await ask(#","top_k":3,"group_by":"document""#).allSatisfy { $0["others"]?.arrayValue?.count == Limits.nodesPerGroup - 1 })
        let bounded = try await ask(#","top_k":20,"nodes_per_document":1"#)
        #expect(bounded.count == 4 && Set(bounded.map(document)).count == 4 && bounded.allSatisfy { $0["others"] == nil })
        #expect(try await ask(#","top_k":20,"group_by":null,"nodes_per_document":null"#) == plain)

        let lines = (0..<90).map { "Line \($0) has the zebra\($0) on board of it" }.joined(separator: ". ")
        await publish("long", ["title": "Trains", "text": .string(lines)], "json")
        await publish("notes", "The giraffe is here. The lion waits. The train stops.", "text")
        let answer = try await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"zebra71","threshold":0,"response_format":"json","top_k":1}"#).json
        let match = try #require(answer["matches"]?.arrayValue?.first)
        let passage = try #require(match["passage"]?.objectValue)
        #expect(match["data_key"] == "long.root" && passage.keys == ["start", "end", "text", "path"] && passage["path"] == "text")
        let text = Array(try #require(match["data"]?["text"]?.stringValue).unicodeScalars)
        let range = try #require(passage["start"]?.integerValue)..<(try #require(passage["end"]?.integerValue))
        #expect(String(String.UnicodeScalarView(text[range])) == passage["text"]?.stringValue)
        #expect(passage["text"]?.stringValue?.contains("zebra71 ") == true)
        let sentence = try await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"lion","threshold":0,"response_format":"json","top_k":1}"#).json
        let found = try #require(sentence["matches"]?.arrayValue?.first)
        #expect(found["data_key"] == "notes.sentence_1" && found["passage"]?["nodes"]?.arrayValue?.count == 3)
        #expect(found["passage"]?["text"]?.stringValue?.hasPrefix("The giraffe is here. The lion waits. The train stops") == true)
        let toon = await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"zebra71","threshold":0,"response_format":"toon","top_k":1}"#)
        #expect(try TOONDecoder.decode(utf8: toon.body)["matches"]?.arrayValue?.first?["passage"]?["path"] == "text")

        for (fields, place) in [
            (#""group_by":"node""#, "group_by"), (#""group_by":1"#, "group_by"), (#""nodes_per_document":0"#, "nodes_per_document"),
            (#""nodes_per_document":51"#, "nodes_per_document"), (#""nodes_per_document":"few""#, "nodes_per_document"),
        ] {
            let wrong = await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"q",\#(fields)}"#)
            let location = try wrong.json["detail"]?.arrayValue?.first?["loc"]?.arrayValue
            #expect(wrong.status == 422 && location == [.string("body"), .string(place)], "\(fields): \(wrong.text)")
        }
        await harness.close()
    }

    @Test func nullAsksForNothing() async throws {
        let harness = try await filled()
        let plain = await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"zebra stripe","threshold":0,"response_format":"json"}"#)
        let null = await harness.send(
            "POST", "/api/v1/projects/p/query",
            #"{"query":"zebra stripe","threshold":0,"response_format":"json","max_tokens":null,"diversity":null,"pinned":null,"explain_keys":[]}"#)
        #expect(plain.status == 200 && plain.text == null.text && plain.text.hasSuffix(#""total_matches":5}"#))
        #expect(try plain.json.objectValue?.keys == ["query", "matches", "total_matches"])
        #expect(try plain.json["matches"]?.arrayValue?[0].objectValue?.keys == ["data_key", "similarity", "data", "description", "token_count", "preview"])
        await harness.close()
    }

    /// What the server counted is what the answer's data has, in the format that came.
    @Test func tokensAreThoseOfTheFormat() async throws {
        let harness = try await filled()
        for format in ["json", "toon"] {
            let answer = await harness.send(
                "POST", "/api/v1/projects/p/query",
                #"{"query":"zebra stripe","top_k":50,"threshold":0,"max_tokens":1000,"pinned":["menu"],"response_format":"\#(format)"}"#)
            let value = format == "json" ? try answer.json : try TOONDecoder.decode(utf8: answer.body)
            let matches = try #require(value["matches"]?.arrayValue)
            var sum = 0
            for match in matches {
                let text = format == "json" ? JSONPrinter.text(match["data"]!) : TOONEncoder.encode(match["data"]!)
                let count = text.split { $0.isWhitespace || $0.isPunctuation }.count
                #expect(match["tokens"]?.integerValue == count)
                sum += count
            }
            let packing = try #require(value["packing"])
            #expect(sum <= 1_000 && sum > 900 && packing["tokens"]?.integerValue == sum && packing["max_tokens"]?.integerValue == 1_000)
            #expect(packing["truncated"] == .bool(true) && packing["omitted"]?.integerValue == 31 - matches.count)
            #expect(packing["omitted_keys"]?.arrayValue?.count == 31 - matches.count)
            #expect(matches[0]["data_key"] == "menu.root" && matches[0]["pinned"] == .bool(true) && matches[1]["pinned"] == nil)
        }
        await harness.close()
    }

    @Test func whyAKeyIsNoMatch() async throws {
        let harness = try await filled()
        let all = try await harness.send(
            "POST", "/api/v1/projects/p/query", #"{"query":"zebra stripe","top_k":50,"threshold":0,"response_format":"json"}"#).json
        let similarities = (all["matches"]?.arrayValue ?? []).compactMap { $0["similarity"]?.doubleValue }
        try #require(similarities.count == 31 && similarities[29] > similarities[30])
        let threshold = (similarities[29] + similarities[30]) / 2
        let answer = try await harness.send(
            "POST", "/api/v1/projects/p/query",
            """
            {"query":"zebra stripe","top_k":1,"threshold":\(threshold),"response_format":"json","explain":true,
            "explain_keys":["menu","nothing","k29.root"]}
            """
        ).json
        let explained = try #require(answer["explained"]?.arrayValue)
        #expect(explained.map { $0["outcome"]?.stringValue }.prefix(2) == ["below_threshold", "not_there"])
        #expect(explained[0]["node"] == "menu.root" && explained[0]["explanation"]?["threshold"]?.doubleValue == threshold)
        #expect(explained[0]["explanation"]?["rank"] == .null && explained[1]["explanation"] == nil)
        #expect(explained[2]["explanation"]?["rank"]?.integerValue != nil)
        let parts = try #require(answer["matches"]?.arrayValue?.first?["explanation"])
        #expect(parts["rank"]?.integerValue == 1 && parts["parts"]?["cosine"]?.doubleValue != nil && parts["terms"]?["zebra"]?.doubleValue != nil)
        await harness.close()
    }

    @Test func manyQuestionsOfOneMoment() async throws {
        let harness = try await filled()
        let body = #"""
            [{"project_id":"p","query":"zebra stripe","top_k":2,"threshold":0},
             {"project_id":"p","query":"soup of the day","threshold":0,"top_k":1,"response_format":"toon","max_tokens":1000},
             {"project_id":"none","query":"zebra"}]
            """#
        let answer = await harness.send("POST", "/api/v1/batch/query", body)
        #expect(answer.status == 200 && answer.header("Content-Type") == "application/json")
        let json = try answer.json
        #expect(json["status"] == "completed" && json["total"]?.integerValue == 3 && json["successful"]?.integerValue == 3)
        let results = try #require(json["results"]?.arrayValue)
        #expect(results.map { $0["total_matches"]?.integerValue } == [2, 1, 0] && results.map { $0["query"] }[0] == "zebra stripe")
        let single = try await harness.send(
            "POST", "/api/v1/projects/p/query", #"{"query":"zebra stripe","top_k":2,"threshold":0,"response_format":"json"}"#).json
        #expect(results[0]["matches"] == single["matches"])
        let content = try #require(results[1]["content"]?.stringValue)
        #expect(try TOONDecoder.decode(utf8: Array(content.utf8))["matches"]?.arrayValue?.first?["data_key"] == "menu.root")
        #expect(results[1]["matches"] == nil && results[1]["response_format"] == "toon")

        let many = "[" + Array(repeating: #"{"project_id":"p","query":"q"}"#, count: 101).joined(separator: ",") + "]"
        let refused = await harness.send("POST", "/api/v1/batch/query", many)
        #expect(refused.status == 422 && refused.text.contains("at most 100 items"))
        #expect(try await harness.send("POST", "/api/v1/batch/query", "[]").json["total"]?.integerValue == 0)
        #expect(await harness.send("POST", "/api/batch/query", "[]").status == 404)
        await harness.close()
    }

    /// The batch has fields of its own, and both schemas name theirs.
    @Test func schemasAreApart() {
        let schemas = OpenAPIDocument.json(version: "0.2.0")["components"]?["schemas"]
        let (single, batch) = (schemas?["QueryRequest"]?["properties"]?.objectValue, schemas?["QueryBatchRequest"]?["properties"]?.objectValue)
        for field in ["max_tokens", "diversity", "pinned", "explain", "explain_keys"] { #expect(single?[field] != nil && batch?[field] != nil, "\(field)") }
        #expect(single?["project_id"] == nil && batch?["project_id"] != nil)
        #expect(single?["response_format"]?["default"] == "toon" && batch?["response_format"]?["default"] == "json")
        #expect(schemas?["PublishRequest"] != nil && schemas?["PublishBatchRequest"] == nil)
    }
}
