import Base
import Content
import TestSupport
import Testing

@Suite struct SearchTextTests {
    /// Both texts of every node of a document published as `key`.
    private func texts(_ data: JSONValue, hint: String? = nil, key: String = "teamNotes") throws -> [(model: String, index: String)] {
        try ContentSplitter.split(data, hint: hint).nodes.map { node in
            (
                SearchText.embedded(key: key, path: node.path, kind: node.kind.rawValue, value: node.value),
                SearchText.indexed(key: key, path: node.path, kind: node.kind.rawValue, value: node.value)
            )
        }
    }

    @Test func json() throws {
        let found = try texts(
            JSONParser.parse(
                text: """
                    {"people":[{"homeAddress":{"zipCode":"89073","isNew":true,"floor":null,"flats":[2,"b_side"]},"name":"Bob Fischer"}],
                    "db":{"engine":"PostgreSQL","maxConnections":50,"entryPoint":"src/main.swift","handler":"get_user_names.run"}}
                    """))
        #expect(found.map(\.model) == [
            "team notes | people | name: Bob Fischer",
            "team notes | people home address | zip code: 89073 | is new: true | floor | flats: 2, b side",
            "team notes | db | engine: PostgreSQL | max connections: 50 | entry point: src/main.swift | handler: get user names run",
        ])
        #expect(found[1].index == "teamNotes | people homeAddress | zipCode: 89073 | isNew: True | floor: None | flats: [2, 'b_side']")
    }

    @Test func yamlAndTOMLAreReadAsTheyAreWritten() throws {
        let yaml = try texts("server:\n  listenPort: 8001\n  hosts: [a, b]\nname: test bench\n", hint: "yaml")
        #expect(yaml.map(\.model) == ["team notes | name: test bench", "team notes | server | listen port: 8001 | hosts: a, b"])
        let toml = try texts("[server]\nlisten_port = 8001\n", hint: "toml")
        #expect(toml.map(\.model) == ["team notes | server | listen port: 8001"])
        #expect(toml.map(\.index) == ["teamNotes | server | listen_port: 8001"])
    }

    /// What the splitter calls its parts is in neither text.
    @Test func namesOfTheSplitterAreLeftOut() throws {
        let csv = try texts("city,zipCode\nUlm,89073\n", hint: "csv")
        #expect(csv.map(\.model) == ["team notes | city: Ulm | zip code: 89073"] && csv.map(\.index) == ["teamNotes | city: Ulm | zipCode: 89073"])
        let markdown = try texts("# The way home\n\nA road of 3 km.\n\n```swift\nfunc goHome() {}\n```\n", hint: "markdown")
        #expect(markdown.map(\.model) == ["team notes | The way home", "team notes | func goHome() {}", "team notes | A road of 3 km."])
        #expect(markdown.map(\.index) == ["teamNotes | The way home", "teamNotes | func goHome() {}", "teamNotes | A road of 3 km."])
        #expect(try texts("One. Two", hint: "text").map(\.index) == ["teamNotes | One", "teamNotes | Two"])
        #expect(try texts(JSONParser.parse(text: #"[1,"x y"]"#)).map(\.model) == ["team notes | 1", "team notes | x y"])
        #expect(try texts(.integer(7)).map(\.model) == ["team notes | 7"])
    }

    /// JSON in a string is told in words, like JSON; the index has it as it stands.
    @Test func jsonInsideAString() throws {
        let inner =
            #"{"name": "get_area.run", "description": "Finds an area, or \"none\".\nOf any shape","zipCode":"89073", "flats": [2, 4], "#
            + #""kinds": ["a", "b"]}"#
        let found = try texts(["title": "areas", "text": .string(inner)])
        #expect(found.map(\.model) == [
            "team notes | title: areas | text: name: get area run. description: Finds an area, or \"none\". Of any shape. zip code: 89073. "
                + "flats: 2, 4. kinds: a. b"
        ])
        #expect(found[0].index == "teamNotes | title: areas | text: " + inner)
        for plain in ["{braces} of a template", "[see the notes]", "{", "[]", "{\"", "} {", "", " "] {
            #expect(try texts(["a": .string(plain), "b": "c"]).map(\.model) == ["team notes | a\(plain.isEmpty ? "" : ": \(plain)") | b: c"], "\(plain)")
        }
    }

    /// An object that is one text under a name that only says so is that text.
    @Test func aTextInAnObject() throws {
        #expect(try texts(["title": "", "text": "Two words", "note": .null]).map(\.model) == ["team notes | Two words"])
        #expect(try texts(["content": "Two words"]).map(\.model) == ["team notes | Two words"])
        for data in [
            ["title": "Two words", "text": ""], ["text": "Two words", "n": .integer(3)], ["text": "a", "body": "b"], ["cause": "Two words"],
        ] as [JSONValue] {
            let model = try texts(data).map(\.model)[0]
            #expect(data.objectValue!.keys.allSatisfy { model.contains($0) }, "\(model)")
        }
        let long = String(repeating: "Words of a long text. ", count: 80)
        for (data, isNamed) in [(["text": .string(long)], false), (["title": "T", "text": .string(long)], true)] as [(JSONValue, Bool)] {
            let node = try ContentSplitter.split(data, hint: nil).nodes[0]
            let unit = PassageUnits.units(of: [.init(kind: node.kind.rawValue, value: node.value)])[0]
            let embedded = SearchText.embedded(
                key: "k", context: "", path: node.path, kind: node.kind.rawValue, value: node.value, passages: unit.passages)
            #expect(embedded.count > 2 && embedded.allSatisfy { $0.contains("text: ") == isNamed })
        }
    }

    /// Code was measured to be found better as it stands.
    @Test func codeStaysAsItIs() throws {
        let code = "def create_path(path):\n    os.makedirs(path)"
        #expect(try texts(.string(code), hint: "code").map(\.model) == ["team notes | " + code])
    }

    /// Numbers and hashes are no words for the model; the index has them.
    @Test func keysThatSayNothing() throws {
        #expect(try texts(["a": "b"], key: "doc-000417").map(\.model) == ["doc | a: b"])
        #expect(try texts(["a": "b"], key: "7c9e6679").map(\.model) == ["a: b"])
        #expect(try texts(["a": "b"], key: "7c9e6679").map(\.index) == ["7c9e6679 | a: b"])
        #expect(try texts(["a": "b"], key: "api_limits.HTTPServer").map(\.model) == ["api limits HTTP server | a: b"])
        #expect(try texts(.object(JSONObject()), key: "42").map(\.model) == [""])
    }

    /// Exports of the original have every value as an object.
    @Test func wrappedValues() {
        #expect(SearchText.embedded(key: "k", path: "sentence_0", kind: "sentence", value: ["value": "Two words"]) == "k | Two words")
        #expect(SearchText.indexed(key: "k", path: "sentence_0", kind: "sentence", value: ["value": "Two words"]) == "k | Two words")
        #expect(SearchText.embedded(key: "k", path: "root", kind: "object", value: ["value": "Two words"]) == "k | value: Two words")
    }

    /// A number is indexed and embedded as it was written, and shown as the original shows it.
    @Test(arguments: [
        (#"{"price":19.90,"list":[1.50,2e3],"deep":{"n":-0.10}}"#, "json"), ("price: 19.90\nlist: [1.50, 2e3]\ndeep:\n  n: -0.10\n", "yaml"),
        ("price = 19.90\nlist = [1.50, 2e3]\ndeep = {n = -0.10}\n", "toml"),
    ])
    func numbersStayAsWritten(text: String, format: String) throws {
        let nodes = try ContentSplitter.split(.string(text), hint: format).nodes
        let indexed = nodes.map { SearchText.indexed(key: "k", path: $0.path, kind: $0.kind.rawValue, value: $0.value) }.joined(separator: " ")
        let embedded = nodes.map { SearchText.embedded(key: "k", path: $0.path, kind: $0.kind.rawValue, value: $0.value) }.joined(separator: " ")
        for number in ["19.90", "1.50", "2e3", "-0.10"] { #expect(indexed.contains(number) && embedded.contains(number), "\(number): \(indexed)") }
        #expect(nodes.contains { $0.description.contains("price: 19.9 ") || $0.description.hasSuffix("price: 19.9") })
    }

    /// Two members that spell one path are told apart by a number, which is no word either.
    @Test func theNumberOfAnEqualPath() throws {
        let found = try texts(JSONParser.parse(text: #"{"a.b":{"x":1},"a":{"b":{"x":2}}}"#))
        #expect(found.map(\.model) == ["team notes | a b | x: 1", "team notes | a b | x: 2"])
    }
}
