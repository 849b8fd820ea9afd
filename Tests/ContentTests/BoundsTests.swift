import Base
import Content
import TestSupport
import Testing

private func many(_ piece: String, _ count: Int) -> String { String(repeating: piece, count: count) }

/// What a document may be: the same for every format, measured on the value that results.
@Suite struct BoundsTests {
    private func refusal(_ data: JSONValue, hint: String? = nil, whole: Bool = false) -> String? {
        do throws(ContexError) {
            _ = whole ? try ContentSplitter.whole(data, hint: hint) : try ContentSplitter.split(data, hint: hint)
            return nil
        } catch {
            #expect(error.category == .invalid && error.field == "data" && error.kind == "value_error", "\(error)")
            return error.message
        }
    }
    // MARK: - Levels

    /// A text in a format whose value has so many levels.
    private func nested(_ levels: Int, _ format: String) -> String {
        switch format {
        case "json": many("[", levels) + many("]", levels)
        case "yaml": "a: " + many("[", levels - 1) + many("]", levels - 1)
        case "yaml lines": many("- ", levels - 1) + "[]"
        case "yaml documents": "---\n1\n---\n" + many("[", levels - 1) + many("]", levels - 1)
        case "toml": "a = " + many("[", levels - 1) + many("]", levels - 1)
        case "toml tables": "[" + Array(repeating: "a", count: levels - 1).joined(separator: ".") + "]\n"
        // The innermost element is a text, the outermost lies in an object.
        case "xml": many("<a>", levels) + "x" + many("</a>", levels)
        default:
            // Two elements of one name are an array; one around them makes the number even.
            levels % 2 == 0
                ? "<b>" + nested(levels - 1, format) + "</b>" : many("<a>", (levels - 1) / 2) + "<a>x</a>" + many("<a/></a>", (levels - 1) / 2)
        }
    }

    /// libyaml looks at all levels for each of its tokens: what lies deeper than the limit must be refused before it reads on. (Its own word, had it
    /// come to the end of this, would be that the brackets are not closed.)
    @Test(arguments: ["[", "{a: ", "- [", "[\n", "k: {", "!t [", "[ # a ]\n", "? [", "\"x\": [", "{\"a\":[", "- |\n  text \"\n- ["])
    func brackets(opening: String) throws {
        let head = opening == "{a: " ? many(opening, 900) : opening + many("[", 900)
        do {
            _ = try YAMLReader.value(head + many("a,", 1_000))
            Issue.record("read")
        } catch {
            #expect(error.reason == .limit && error.message.hasPrefix("Nested deeper than"), "\(error)")
        }
    }

    /// Each costs more than the two bytes that it is written with.
    @Test func arraysOfOneText() {
        let deep = many("[", 60) + many("]", 60)
        #expect(throws: JSONParseError.self) { try JSONParser.parse(text: "[" + many(deep + ",", 50_000) + "1]") }
        #expect(refusal(.string("[" + many(deep + ",", 50_000) + "1]"), hint: "json")?.contains("arrays and objects") == true)
        #expect((try? JSONParser.parse(text: "[" + many(deep + ",", 40_000) + "1]")) != nil)
    }

    /// Brackets that are text are none.
    @Test(arguments: [
        "- \"\(many("[", 300))\"", "- '\(many("[ it''s ", 300))'", "# \(many("[", 300))\n- a", "- |\n  \(many("[\n  ", 300))",
        "k: >-\n  \(many("- [ \"x\n  ", 300))\nl: [1]",
        "- a\(many("[", 300))", "- - b: |\n      \(many("[\n      ", 100))\n    c: d", "- [\"\(many("\\\"[", 300))\", 'a']", "- [a\(many(" ' ", 3))]",
        "a: b [\(many(" {", 300))",
        many("- [a, {b: [c]}]\n", 300), many("- {\"a\":\"[\",b: 'it''s ['}\n", 300), "- http:\"\(many("[", 300))",
    ])
    func bracketsThatAreText(text: String) throws { _ = try YAMLReader.value(text) }

    @Test(arguments: ["json", "yaml", "yaml lines", "yaml documents", "toml", "toml tables", "xml", "xml arrays"])
    func oneBoundOfDepthForAllFormats(_ format: String) throws {
        let hint = String(format.prefix { $0 != " " })
        for whole in [false, true] {
            let deepest = JSONValue.string(nested(Limits.nestingDepth, format))
            #expect(refusal(deepest, hint: hint, whole: whole) == nil, "\(whole)")
            let message = refusal(.string(nested(Limits.nestingDepth + 1, format)), hint: hint, whole: whole)
            #expect(message?.lowercased().contains("nested deeper than 64 levels") == true, "\(message ?? "taken")")
        }
        // What a door admits, the reader of what is stored reads, with our levels around it.
        let content = try ContentSplitter.whole(.string(nested(Limits.nestingDepth, format)), hint: hint)
        let stored: JSONValue = ["value": ["key": content.nodes[0].value]]
        #expect(try JSONParser.parse(stored: JSONPrinter.bytes(stored)) == stored)
    }

    @Test func depthNamesItsPlace() {
        var deep = JSONValue.array([])
        for _ in 0..<Limits.nestingDepth { deep = .array([.null, deep]) }
        #expect(refusal(["a": ["b": deep]])?.hasPrefix("Value error, data is nested deeper than 64 levels, at 'a.b[1][1]") == true)
    }

    @Test func whatIsNoStoredJSONIsDamage() {
        for text in ["", "{", nested(Limits.storedNestingDepth + 1, "json"), "[nan]"] {
            #expect(throws: ContexError.self) { try JSONParser.parse(stored: Array(text.utf8)) }
            do throws(ContexError) { _ = try JSONParser.parse(stored: Array(text.utf8)) } catch { #expect(error.category == .damaged) }
        }
    }

    // MARK: - Numbers

    @Test func numbersHaveABound() throws {
        let longest = many("7", Limits.numberCharacters), tooLong = longest + "7"
        for (hint, frame) in [("json", ("[", "]")), ("yaml", ("- ", "\n")), ("json", ("{\"a\":", "}"))] {
            #expect(refusal(.string(frame.0 + longest + frame.1), hint: hint) == nil)
            #expect(refusal(.string(frame.0 + tooLong + frame.1), hint: hint)?.contains("1000 characters") == true, "\(hint)")
        }
        #expect(refusal(.string("a = 1." + longest.dropFirst(2)), hint: "toml") == nil)
        #expect(refusal(.string("\na = 1." + longest), hint: "toml")?.hasSuffix("A number of more than 1000 characters (line 2)") == true)
        #expect(refusal(["a": ["b": .number(JSONNumber(uncheckedText: tooLong))]]) == "Value error, data has a number of more than 1000 characters, at 'a.b'")
        #expect(refusal(.string("[\(tooLong)]"))?.contains("byte 1") == true)
        // Digits and nothing else may be a text.
        #expect(try ContentSplitter.split(.string(tooLong), hint: nil).format == .text)
    }

    // MARK: - What nodes come to

    /// Each would have come to hundreds of megabytes.
    @Test func aSmallDocumentCannotBecomeALargeOne() throws {
        let items = "[" + many("{\"a\":1},", 1_000) + "{\"a\":1}]"
        let path = try refusal(JSONParser.parse(text: "{\"\(many("K", 100_000))\":\(items)}"))
        #expect(path?.hasPrefix("Value error, data has a name of more than 16384 bytes, at 'KKK") == true, "\(path ?? "taken")")
        let shorter = try refusal(JSONParser.parse(text: "{\"\(many("K", 10_000))\":\(items)}"))
        #expect(shorter?.hasPrefix("Value error, data has a node whose path is over 3840 bytes, at 'KKK") == true, "\(shorter ?? "taken")")
        #expect((shorter?.utf8.count ?? 0) < 300, "a refusal shows the beginning of a path only")

        let columns: [(String, String)] = [
            (many("K", 2_000_000), "The name of column 1 has more than 16384 bytes"), (many("K", 100_000), "The name of column 1 has more than 16384 bytes"),
            (many("K", 16_000), "With the names of their columns the rows come to more than"),
        ]
        for (name, words) in columns {
            let message = refusal(.string("\(name),b\n" + many("1,2\n", 6_000)), hint: "csv")
            #expect(message?.contains(words) == true, "\(message ?? "taken")")
            #expect(message?.contains("(line ") == true)
        }
        #expect(refusal(.string(many(",", 10 << 20)), hint: "csv")?.contains("More than 2000000 fields") == true)
        #expect(refusal(.string(many("a,", 100_000) + "\n1\n"), hint: "csv")?.contains("More than 65536 columns") == true)

        // The trees of other parsers: cmark's had 1.9 GB for 10 MiB of brackets.
        for (hint, text) in [
            ("markdown", many("[", 10 << 20)), ("markdown", many("a\n", 5 << 20)), ("yaml", "[" + many("0,", 5 << 20) + "0]"), ("yaml", many("- 0\n", 2 << 20)),
            ("yaml", many("- 0\r", 2 << 20)), ("xml", "<a>" + many("<b/>", 2 << 20) + "</a>"),
        ] { #expect(refusal(.string(text), hint: hint)?.contains("More than 1000000") == true, "\(hint) \(text.prefix(8))") }
        #expect(try ContentSplitter.split(.string("# a" + many("\n* a b", 5 << 18)), hint: nil).format == .text)

        // Paths within their bound, and too many of them.
        let long = try refusal(JSONParser.parse(text: "{\"\(many("K", 3_800))\":[" + many("{\"a\":1},", 10_000) + "{\"a\":1}]}"))
        #expect(long?.contains("bytes in nodes, at 'KKK") == true, "\(long ?? "taken")")
    }

    @Test func honestDocumentsPass() throws {
        func number(_ data: JSONValue, hint: String? = nil) throws -> Int { try ContentSplitter.split(data, hint: hint).nodes.count }
        // A table of 200 columns with names of 30 letters; half of the fields have a letter.
        let header = (0..<200).map { "measured_value_of_the_sensor_\($0)" }.joined(separator: ",")
        let row = (0..<200).map { $0 % 2 == 0 ? "7" : "" }.joined(separator: ",")
        #expect(try number(.string(header + "\n" + many(row + "\n", 1_000)), hint: "csv") == 1_000)
        let full = (0..<200).map { "12.\(100 + $0)" }.joined(separator: ",")
        #expect(try number(.string(header + "\n" + many(full + "\n", 3_000)), hint: "csv") == 3_000)
        // A lock file: many packages under long paths.
        var packages = JSONObject()
        for place in 0..<5_000 {
            packages["node_modules/@organisation/package-\(place % 70)/node_modules/another-package-\(place)"] = [
                "version": .string("1.0.\(place)"), "resolved": .string("https://registry.npmjs.org/another-package-\(place)/-/another.tgz"),
                "integrity": .string("sha512-\(many("q", 88))"), "engines": ["node": ">=18"],
            ]
        }
        #expect(try number(["packages": .object(packages)]) == 10_000)
        // An interface description: deep, with paths far longer than what stands there.
        var paths = JSONObject()
        for place in 0..<1_000 {
            let schema: JSONValue = ["properties": ["url": ["type": "string"], "id": ["type": "integer"]]]
            paths["/repositories/{owner}/{name}/branches/{branch}/protection/restrictions/\(place)"] = [
                "get": ["responses": ["200": ["content": ["application/json": ["schema": schema]]]]]
            ]
        }
        #expect(try number(["paths": .object(paths)]) == 2_000)
        // Translations: keys that are sentences.
        #expect(try number(.object(JSONObject([(many("A long sentence. ", 300), "Ein langer Satz.")]))) == 1)
    }

    // MARK: - Equal paths

    @Test func equalPathsAreNumberedInOrder() throws {
        let data: JSONValue = ["a.b": ["x": ["v": "1"]], "a": ["b.x": ["v": "2"], "b": ["x": ["v": "3"], "x~2": ["v": "4"]]]]
        #expect(try ContentSplitter.split(data, hint: nil).nodes.map(\.path) == ["a.b.x", "a.b.x~2", "a.b.x~3", "a.b.x~2~2"])
        #expect(try CSVReader.rows("a_2,a,a,a_3,a\n1,2,3,4,5\n")[0].keys == ["a_2", "a", "a_3", "a_3_2", "a_4"])
    }

    // MARK: - Giving up

    @Test func whatNobodyWantsIsNotSplit() {
        let cancellation = Cancellation(), inner = Cancellation(within: cancellation)
        #expect(!inner.isCancelled)
        cancellation.cancel()
        #expect(inner.isCancelled && !Cancellation.never.isCancelled)
        let texts = ["{\"a\":\(many("[1,2],", 40_000))1}", "a: 1\nb: 2\n", "a = 1\n", "<a><b/></a>", "a,b\n1,2\n", "# a\n\ntext\n", "a. b. c.", "}"]
        for hint in [nil] + ContentFormat.allCases.map(\.rawValue) {
            for text in texts {
                for whole in [false, true] {
                    do throws(ContexError) {
                        _ = try whole
                            ? ContentSplitter.whole(.string(text), hint: hint, cancellation: inner)
                            : ContentSplitter.split(.string(text), hint: hint, cancellation: inner)
                        Issue.record("\(hint ?? "any"): \(text.prefix(20)) was split")
                    } catch {
                        #expect(error.category == .unavailable, "\(error)")
                    }
                }
            }
        }
    }
}
