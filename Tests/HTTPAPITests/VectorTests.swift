import Base
import Content
import Engine
import Foundation
import HTTPAPI
import KeySpace
import LMDB
import Maintenance
import Service
import TestSupport
import Testing

/// Vectors in requests, and what a damaged index answers.
@Suite struct VectorTests {
    private static func list(_ vector: [Float]) -> String { "[" + vector.map { "\($0)" }.joined(separator: ",") + "]" }
    private static func axis(_ place: Int, _ value: String = "1") -> String {
        "[" + (0..<Harness.dimension).map { $0 == place ? value : "0" }.joined(separator: ",") + "]"
    }

    @Test func publishedAloneAndInABatch() async throws {
        let harness = try Harness()
        let one = await harness.send(
            "POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"one","data":{"a":{"b":1}},"vector":\#(Self.axis(3, "2.5e-3"))}"#)
        #expect(one.text == #"{"status":"published","project_id":"p","data_key":"one","sequence":"1"}"#)
        let batch = try await harness.send(
            "POST", "/api/v1/batch/publish",
            #"[{"project_id":"p","data_key":"two","data":"text","vector":\#(Self.axis(4))},{"project_id":"p","data_key":"three","data":"text","vector":[1,2]},"#
                + #"{"project_id":"p","data_key":"four","data":"text","vector":null},"#
                + #"{"project_id":"p","data_key":"five","data":"t","vector":\#(Self.axis(5, "0"))}]"#
        ).json
        #expect(batch["successful"]?.integerValue == 2)
        let errors = batch["results"]?.arrayValue?.map { $0["error"]?.stringValue }
        #expect(errors == [nil, "a vector of 2 numbers; the project's have 384", nil, "the vector is zero: it points nowhere and is near to nothing"])
        let found = try await harness.send(
            "POST", "/api/v1/projects/p/query", #"{"query_vector":\#(Self.axis(3)),"threshold":0.5,"response_format":"json"}"#
        ).json
        #expect(found["query"] == "" && found["matches"]?.arrayValue?.map { $0["data_key"] } == ["one.root"])
        let both = try await harness.send(
            "POST", "/api/v1/projects/p/query",
            #"{"query":"text","query_vector":\#(Self.axis(3)),"threshold":0,"response_format":"json","explain":true,"ef_search":64}"#
        ).json
        #expect(both["matches"]?.arrayValue?.count == 3)
        #expect(both["matches"]?.arrayValue?.allSatisfy { $0["explanation"]?["mode"] == "hybrid" } == true)
        await harness.close()
    }

    /// A cosine may be negative: a filter that passes five gives five.
    @Test func thresholdsOfCosines() async throws {
        let harness = try Harness()
        for (number, value) in ["-1", "-0.5", "0", "0.5", "1"].enumerated() {
            var vector = [Float](repeating: 0, count: Harness.dimension)
            (vector[3], vector[4]) = (Float(value)!, number == 2 ? 1 : 0)
            let answer = await harness.send(
                "POST", "/api/v1/data/publish",
                #"{"project_id":"p","data_key":"k\#(number)","data":"text","vector":\#(Self.list(vector)),"metadata":{"team":"a"}}"#)
            #expect(answer.status == 200)
        }
        func ask(_ fields: String) async -> APIAnswer {
            await harness.send("POST", "/api/v1/projects/p/query", #"{"response_format":"json","top_k":50,"filter":{"metadata.team":"a"},\#(fields)}"#)
        }
        let vector = Self.axis(3)
        for fields in [#""query_vector":\#(vector),"threshold":-1"#, #""query_vector":\#(vector),"query":null,"threshold":"-1""#,
            #""query":"text","query_vector":\#(vector),"mode":"semantic","threshold":-1.0"#,
        ] {
            let answer = await ask(fields)
            #expect(try answer.json["matches"]?.arrayValue?.count == 5, "\(answer.text)")
        }
        #expect(try await ask(#""query_vector":\#(vector),"threshold":-0.5"#).json["matches"]?.arrayValue?.count == 3)
        // Everywhere else as it was.
        for (fields, least) in [
            (#""query":"text","threshold":-0.5"#, "0"), (#""query":"text","mode":"hybrid","threshold":-0.5"#, "0"),
            (#""query":"text","query_vector":\#(vector),"threshold":-0.5"#, "0"), (#""query":"text","mode":"semantic","threshold":-1.1"#, "-1"),
            (#""query":"text","mode":null,"threshold":-0.1"#, "0"),
        ] {
            let answer = await ask(fields)
            #expect(answer.status == 422 && answer.text.contains("Input should be greater than or equal to \(least)"), "\(answer.text)")
        }
        await harness.close()
    }

    @Test func whatIsNoVectorNamesItsField() async throws {
        let harness = try Harness()
        let wrong: [(String, String)] = [
            ("\"text\"", "list_type"), ("1", "list_type"), ("{}", "list_type"), ("[]", "value_error"), ("[1e999]", "finite_number"),
            ("[1e39]", "finite_number"), (Self.axis(0, "-1e999"), "finite_number"),
            (Self.axis(0, "\"1\""), "float_type"), (Self.axis(7, "[1]"), "float_type"), (Self.axis(7, "null"), "float_type"),
            (Self.axis(7, "true"), "float_type"), (Self.axis(0, "0"), "value_error"), (Self.axis(400, "1"), "value_error"),
            ("[1" + String(repeating: ",0", count: 382) + "]", "value_error"), ("[1" + String(repeating: ",0", count: 384) + "]", "value_error"),
            ("[1" + String(repeating: ",0", count: 8_192) + "]", "too_long"),
        ]
        for (text, kind) in wrong {
            for (path, body, field) in [
                ("/api/v1/data/publish", #"{"project_id":"p","data_key":"k","data":1,"vector":\#(text)}"#, "vector"),
                ("/api/v1/projects/p/query", #"{"query_vector":\#(text)}"#, "query_vector"),
            ] {
                let answer = await harness.send("POST", path, body)
                let fault = try answer.json["detail"]?.arrayValue?.first
                #expect(answer.status == 422 && fault?["type"]?.stringValue == kind, "\(path) \(text.prefix(60)): \(answer.text.prefix(300))")
                #expect(fault?["loc"]?.arrayValue?.prefix(2).map(\.stringValue) == ["body", field])
            }
        }
        // JSON has no NaN.
        #expect(await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"k","data":1,"vector":[NaN]}"#).status == 422)
        #expect(try await harness.operations.projects(by: .init(apiKey: nil, address: nil, requestID: "t", client: nil)).items.isEmpty)
        await harness.close()
    }

    @Test func questionsThatCannotBe() async throws {
        let harness = try Harness()
        let vector = Self.axis(1)
        let wrong: [(String, String)] = [
            ("{}", "query"), (#"{"query_vector":null}"#, "query"), (#"{"query":null,"query_vector":null}"#, "query"),
            (#"{"query":"","query_vector":\#(vector)}"#, "query"), (#"{"query":"q","mode":"keyword","query_vector":\#(vector)}"#, "mode"),
            (#"{"mode":"hybrid","query_vector":\#(vector)}"#, "mode"), (#"{"query":"q","top_k":0}"#, "top_k"),
            (#"{"query":"q","ef_search":0}"#, "ef_search"), (#"{"query":"q","ef_search":4097}"#, "ef_search"), (#"{"query":"q","recall":0.49}"#, "recall"),
            (#"{"query":"q","recall":1}"#, "recall"), (#"{"query":"q","recall":1e999}"#, "recall"), (#"{"query":"q","recall":0.9,"ef_search":9}"#, "recall"),
        ]
        for (body, field) in wrong {
            let answer = await harness.send("POST", "/api/v1/projects/p/query", body)
            #expect(answer.status == 422, "\(body.prefix(60))")
            #expect(try answer.json["detail"]?.arrayValue?.first?["loc"] == .array(["body", .string(field)]), "\(body.prefix(60)): \(answer.text)")
        }
        #expect(await harness.send("POST", "/api/v1/projects/p/query", #"{"query":null,"query_vector":\#(vector),"top_k":50,"recall":0.5}"#).status == 200)
        let document = try await harness.send("GET", "/openapi.json").json
        let request = document["components"]?["schemas"]?["QueryRequest"]
        #expect(request?["required"] == .array([]) && request?["anyOf"]?.arrayValue?.count == 2)
        #expect(request?["properties"]?["query_vector"]?["items"] == ["type": "number"])
        await harness.close()
    }

    /// One byte of one stored value is flipped: the project it belongs to says so by name, another goes on.
    @Test(arguments: [KeyKind.vector, .vectorLinks, .vectorCodes, .vectorState, .vectorSum, .node])
    func aFlippedByteIsFoundNamedAndContained(_ kind: KeyKind) async throws {
        let folder = TemporaryFolder()
        var random = SeededRandom(seed: testSeed("aFlippedByte \(kind)"))
        let vectors = (0..<1_100).map { _ in (0..<Harness.dimension).map { _ in Float(random.unit() - 0.5) } }
        let first = try Harness(folder)
        for project in ["sound", "broken"] {
            let commands = vectors.indices.map {
                PublishCommand(project: Name(stored: project), key: Name(stored: "k\($0)"), data: .integer($0), vector: vectors[$0])
            }
            for outcome in await first.database.publish(.standard, commands) { #expect(try outcome.get().changed) }
        }
        await first.close()
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])

        // What a search for this vector must read.
        let wanted = 700
        do {
            let environment = try Environment(path: folder.path + "/store", options: .init(mapBytes: 1 << 30))
            let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 2))
            let key: [UInt8] = try environment.read { (view: borrowing TransactionView) throws in
                var chunks = 0
                try view.scan(prefix: scope.key(kind)) { _, _ in
                    chunks += 1
                    return .onward
                }
                return switch kind {
                case .vector: scope.key(kind, UInt32(wanted * chunks / vectors.count))
                case .vectorLinks: scope.key(kind, UInt32(wanted))
                case .vectorCodes: scope.key(kind, UInt32(wanted >> 8))
                case .node: scope.key(kind, UInt32(wanted + 1))
                default: scope.key(kind)
                }
            }
            var value = try #require(try environment.read { (view: borrowing TransactionView) throws in try view.copy(key) })
            let place = Int.random(in: 0..<value.count, using: &random)
            value[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            var transaction = try environment.beginWrite()
            try transaction.put(key, value)
            try transaction.commit()
        }

        let second = try Harness(folder)
        let body = #"{"query":"no such words","query_vector":\#(Self.list(vectors[wanted])),"response_format":"json","top_k":5}"#
        for _ in 0..<2 {
            let broken = await second.send("POST", "/api/v1/projects/broken/query", body)
            #expect(broken.status == 500 && broken.text.contains("project 'broken'") && broken.text.contains("contex check"), "\(broken.text)")
            let sound = await second.send("POST", "/api/v1/projects/sound/query", body)
            #expect(try sound.status == 200 && sound.json["matches"]?.arrayValue?.first?["data_key"]?.stringValue == "k\(wanted).root")
        }
        #expect(await second.send("POST", "/api/v1/data/publish", #"{"project_id":"sound","data_key":"new","data":1}"#).status == 200)
        await second.close()
        #expect(try IntegrityCheck.run(directory: folder.path).findings.count == 1)
    }
}
