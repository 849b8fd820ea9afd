import Base
import Content
import HTTPAPI
import TestSupport
import Testing

@Suite("The documents come from the route table")
struct DocumentationTests {
    @Test func everyRouteIsInTheOpenAPIDocument() async throws {
        let harness = try Harness()
        let answer = await harness.send("GET", "/openapi.json")
        #expect(answer.header("Content-Type") == "application/json")
        let document = try answer.json
        #expect(document["openapi"] == "3.1.0")
        var identifiers: Set<String> = []
        var count = 0
        for route in RouteTable.all {
            for prefix in route.bases.prefixes {
                let operation = try #require(document["paths"]?[prefix + route.path]?[route.method.lowercased()], "\(prefix + route.path)")
                let identifier = try #require(operation["operationId"]?.stringValue)
                #expect(identifiers.insert(identifier).inserted, "\(identifier) names two operations")
                #expect(operation["responses"]?.objectValue?.isEmpty == false)
                if let failure = operation["responses"]?["default"] {
                    #expect(failure["headers"]?["X-Contex-Error"] != nil && failure["content"]?["application/problem+json"] != nil)
                }
                let parameters = operation["parameters"]?.arrayValue ?? []
                #expect(parameters.count == route.pathFields.count + route.queryFields.count)
                // What is sent is described by a schema of its own fields, not by that of another route of the same action.
                for (_, content) in operation["requestBody"]?["content"]?.objectValue ?? JSONObject() {
                    guard let name = content["schema"]?["$ref"]?.stringValue?.split(separator: "/").last else { continue }
                    let members = document["components"]?["schemas"]?[String(name)]?["properties"]?.objectValue ?? JSONObject()
                    #expect(Set(members.map(\.key)) == Set(route.body.fields.map(\.name)), "\(identifier)")
                }
                // Every parameter of the template is declared, and no other.
                let inTemplate = route.path.matches(of: /\{([^}]+)\}/).map { String($0.1) }
                #expect(inTemplate == route.pathFields.map(\.name))
                count += 1
            }
        }
        #expect((document["paths"]?.objectValue ?? JSONObject()).reduce(0) { $0 + ($1.value.objectValue?.count ?? 0) } == count)
        await harness.close()
    }

    /// Whatever format is asked for, the document says what comes.
    @Test func everyContentTypeOfAnAnswerIsDocumented() async throws {
        let harness = try Harness()
        let document = OpenAPIDocument.json(version: "0.2.0")
        for name in ["json", "yaml", "toml", "csv", "xml", "markdown", "toon", "text"] {
            let query = await harness.send(
                "POST", "/api/v1/projects/p/query", #"{"query":"q","response_format":"\#(name)"}"#)
            let export = await harness.send("GET", "/api/v1/projects/p/data?include_events=true&format=\(name)")
            for (answer, path, method) in [(query, "query", "post"), (export, "data", "get")] {
                let type = try #require(answer.header("Content-Type"))
                let content = document["paths"]?["/api/v1/projects/{project_id}/\(path)"]?[method]?["responses"]?["200"]?["content"]
                #expect(answer.status == 200 && content?[type] != nil, "\(path) \(name): \(answer.status) \(type)")
            }
        }
        await harness.close()
    }

    @Test func everyReferenceResolves() throws {
        let document = OpenAPIDocument.json(version: "0.2.0")
        var references = 0
        func walk(_ value: JSONValue) {
            switch value {
            case .array(let items): items.forEach(walk)
            case .object(let members):
                for (key, member) in members {
                    if key == "$ref", let target = member.stringValue {
                        references += 1
                        var place: JSONValue? = document
                        for step in target.split(separator: "/").dropFirst() { place = place?[String(step)] }
                        #expect(place != nil, "\(target)")
                    }
                    walk(member)
                }
            default: break
            }
        }
        walk(document)
        #expect(references > 100)
    }

    @Test func theDocumentIsItsOwnTextAgain() throws {
        let document = OpenAPIDocument.json(version: "0.2.0")
        #expect(try JSONParser.parse(JSONPrinter.bytes(document)) == document)
    }

    /// Examples that no answer would look like are worse than none.
    @Test func examplesAreJSON() throws {
        for route in RouteTable.all where route.answer.contentType == "application/json" {
            _ = try JSONParser.parse(text: route.answer.example)
        }
    }

    @Test func thePageStandsAlone() async throws {
        let harness = try Harness()
        let page = await harness.send("GET", "/docs")
        #expect(page.header("Content-Type") == "text/html; charset=utf-8")
        #expect(page.header("Content-Security-Policy")?.hasPrefix("default-src 'none'") == true)
        for route in RouteTable.all {
            let summary = route.summary.replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("'", with: "&#39;")
            #expect(page.text.contains(summary))
        }
        for word in ["<script", "<link", "src=", "http://", "https://", "@import", "url("] { #expect(!page.text.contains(word), "\(word)") }
        await harness.close()
    }
}
