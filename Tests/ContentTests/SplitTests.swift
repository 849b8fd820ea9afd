import Base
import Content
import Testing
import TestSupport

/// `path kind description` of each node.
private func outline(_ data: JSONValue, hint: String? = nil) throws -> [String] {
    try ContentSplitter.split(data, hint: hint).nodes.map { "\($0.path) \($0.kind.rawValue) \($0.description)" }
}
private func outline(text: String, hint: String? = nil) throws -> [String] { try outline(.string(text), hint: hint) }

@Suite struct StructureTests {
    @Test func flatObjectIsOneNode() throws {
        #expect(try outline(jsonValue(#"{"backend":"Python","db":"PostgreSQL"}"#)) == ["root object root | backend: Python | db: PostgreSQL"])
        #expect(try outline(jsonValue(#"{"tags":["a","b"],"n":1.0,"none":null,"on":true}"#))
            == ["root object root | tags: ['a', 'b'] | n: 1.0 | none: None | on: True"])
        #expect(try outline(jsonValue("{}")) == ["root object root"])
    }

    @Test func innerObjectsAreNodes() throws {
        #expect(try outline(jsonValue(#"{"people":[{"n":"Al","role":"ops"},{"n":"Bob","role":"dev"}]}"#))
            == ["people[0] object people | n: Al | role: ops", "people[1] object people | n: Bob | role: dev"])
        #expect(try outline(jsonValue(#"{"a":{"b":{"c":1}}}"#)) == ["a.b object a b | c: 1"])
    }

    @Test func scalarsBesideObjectsStaySearchable() throws {
        #expect(try outline(jsonValue(#"{"name":"X","db":{"host":"h","pool":{"max":5}},"tags":["p","q"]}"#)) == [
            "root object root | name: X | tags: ['p', 'q']", "db object db | host: h", "db.pool object db pool | max: 5",
        ])
        #expect(try outline(jsonValue(#"{"list":[{"a":1},2,[3,{"b":4}]]}"#)) == [
            "root object root | list: [2]", "list[0] object list | a: 1", "list[2][0] primitive list | 3", "list[2][1] object list | b: 4",
        ])
    }

    @Test func everyLeafIsInSomeNode() throws {
        var random = RandomJSON(seed: testSeed("leaves"))
        func leaves(_ value: JSONValue) -> Int {
            switch value {
            case .array(let items): items.reduce(0) { $0 + leaves($1) }
            case .object(let members): members.reduce(0) { $0 + leaves($1.value) }
            default: 1
            }
        }
        for _ in 0..<500 {
            let value = random.object(depth: 5)
            let nodes = try ContentSplitter.split(value, hint: nil).nodes
            #expect(nodes.reduce(0) { $0 + leaves($1.value) } == leaves(value))
            #expect(Set(nodes.map { Array($0.path.utf8) }).count == nodes.count)
        }
    }

    @Test func arraysAndScalarsAreJSON() throws {
        #expect(try outline(jsonValue(#"[{"a":1},"x",[1,2],null]"#)) == [
            "[0] object a: 1", "[1] primitive x", "[2] primitive 1, 2", "[3] primitive None",
        ])
        #expect(try outline(jsonValue(#"[{"a":{"b":1},"c":2}]"#)) == ["[0] object c: 2", "[0].a object a | b: 1"])
        #expect(try outline(jsonValue("42")) == ["value primitive value | 42"])
        #expect(try outline(jsonValue("true")) == ["value primitive value | True"])
        #expect(try outline(.null) == ["value primitive value | None"])
        #expect(try outline(jsonValue("[]")) == [])
        #expect(try outline(text: "") == [])
        #expect(try outline(text: " \n ") == [])
        #expect(try outline(text: "42") == ["value primitive value | 42"])
        #expect(try outline(text: #"["x"]"#) == ["[0] primitive x"])
    }

    @Test func pathsAreUnique() throws {
        #expect(try outline(jsonValue(#"{"a":{"b":{"x":1}},"a.b":{"y":2},"root":{"z":3},"s":4}"#)).map { $0.split(separator: " ")[0] }
            == ["root~2", "a.b", "a.b~2", "root"])
    }

    @Test func wireDataIsAlwaysAnObject() throws {
        let nodes = try ContentSplitter.split(jsonValue(#"["x",{"a":1}]"#), hint: nil).nodes
        #expect(nodes.map { JSONPrinter.text($0.data) } == [#"{"value":"x"}"#, #"{"a":1}"#])
    }

    @Test func nestedValuesAreInPythonNotation() throws {
        let text =
            #"{"v":[1,-0,1e2,1.50,1e16,1e-5,123456789012345678901234567890,0.0001,1e22,-2.5e-7,"#
            + #""it's","q\"'","n\n\t\u0001é\u00a0\ud83d\ude00\u200b",{"k":[null,false]}],"s":"plain 'text'","f":1E2,"inf":1e999}"#
        let expected =
            #"{'v': [1, 0, 100.0, 1.5, 1e+16, 1e-05, 123456789012345678901234567890, 0.0001, 1e+22, -2.5e-07, "#
            + #""it's", 'q"\'', 'n\n\t\x01é\xa0😀\u200b', {'k': [None, False]}], 's': "plain 'text'", 'f': 100.0, 'inf': inf}"#
        #expect(PythonNotation.repr(try jsonValue(text)) == expected)
        let floats: [(Double, String)] = [
            (1e15, "1000000000000000.0"), (9999999999999998.0, "9999999999999998.0"), (1.2e17, "1.2e+17"), (0.1, "0.1"),
            (Double.leastNonzeroMagnitude, "5e-324"), (-0.0, "-0.0"), (1.7976931348623157e308, "1.7976931348623157e+308"),
            (123456.789, "123456.789"),
        ]
        for (double, expected) in floats {
            #expect(PythonNotation.repr(.double(double)) == expected)
        }
    }

    @Test func refusesWhatCannotBeStored() throws {
        func kind(_ data: JSONValue, hint: String? = nil) -> String? {
            do throws(ContexError) {
                _ = try ContentSplitter.split(data, hint: hint)
                return nil
            } catch {
                return "\(error.category.rawValue) \(error.field ?? "") \(error.kind ?? "")"
            }
        }
        let refused = "invalid data value_error"
        #expect(kind(.string("a\0b")) == refused)
        #expect(kind(.object(["k\0": .integer(1)])) == refused)
        #expect(kind(.string(#"{"a":"\u0000"}"#)) == refused)
        #expect(kind(.string("a = \"\\u0000\""), hint: "toml") == refused)
        #expect(kind(.string(String(repeating: "[", count: 10_000))) == refused)
        for hint in ["json", "yaml", "toml"] {
            let text = (hint == "toml" ? "a = " : "") + String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
            #expect(kind(.string(text), hint: hint) == refused, "\(hint)")
        }
        #expect(kind(.string(String(repeating: "<a>", count: 10_000)), hint: "xml") == refused)
        #expect(kind(.array(Array(repeating: .integer(1), count: Limits.nodesPerDocument))) == nil)
        #expect(kind(.array(Array(repeating: .integer(1), count: Limits.nodesPerDocument + 1))) == refused)
        var deep = JSONValue.null
        for _ in 0..<65 { deep = .array([deep]) }
        #expect(kind(deep) == refused)
    }
}

@Suite struct FormatTests {
    private func format(_ text: String, hint: String? = nil) throws -> ContentFormat { try ContentSplitter.split(.string(text), hint: hint).format }

    @Test func textBecomesSentencesOrParagraphs() throws {
        #expect(try outline(text: "One here. Two there! Three? Four.") == [
            "sentence_0 sentence sentence_0 | One here", "sentence_1 sentence sentence_1 | Two there",
            "sentence_2 sentence sentence_2 | Three", "sentence_3 sentence sentence_3 | Four.",
        ])
        // Where other scripts end theirs; the mark stays.
        for (text, sentences) in [
            ("今日は晴れです。明日は雨かもしれない！本当？はい", ["今日は晴れです。", "明日は雨かもしれない！", "本当？", "はい"]),
            ("「行きますか？」　はい。ｿｳﾃﾞｽ｡次", ["「行きますか？」", "はい。", "ｿｳﾃﾞｽ｡", "次"]),
            ("यह पहला है। यह दूसरा है॥ तीसरा", ["यह पहला है।", "यह दूसरा है॥", "तीसरा"]),
            ("ما هذا؟ هذا كتاب. وهذا قلم", ["ما هذا؟", "هذا كتاب", "وهذا قلم"]), ("یہ پہلا ہے۔ یہ دوسرا ہے۔", ["یہ پہلا ہے۔", "یہ دوسرا ہے۔"]),
            ("ይህ አንድ ነው። ይህ ሁለት ነው፧ ሦስት", ["ይህ አንድ ነው።", "ይህ ሁለት ነው፧", "ሦስት"]), ("នេះទីមួយ។ នេះទីពីរ៕", ["នេះទីមួយ។", "នេះទីពីរ៕"]),
            ("ဒါပထမ။ ဒါဒုတိယ။", ["ဒါပထမ။", "ဒါဒုတိယ။"]), ("Սա առաջինն է։ Սա երկրորդն է։", ["Սա առաջինն է։", "Սա երկրորդն է։"]),
            ("バージョン３．１４を使う．次は４だ．", ["バージョン３．１４を使う．", "次は４だ．"]), ("Was?! Wirklich‽ Ja.", ["Was?", "Wirklich‽", "Ja."]),
            ("Version 3.14 is out. Dr. Who", ["Version 3.14 is out", "Dr", "Who"]),
        ] {
            #expect(
                try outline(text: text, hint: "text") == sentences.enumerated().map { "sentence_\($0) sentence sentence_\($0) | \($1)" })
        }
        #expect(try outline(text: "First one.\nStill first.\n  \nSecond one.\r\n\r\n\r\nThird.") == [
            "paragraph_0 paragraph paragraph_0 | First one.\nStill first.", "paragraph_1 paragraph paragraph_1 | Second one.",
            "paragraph_2 paragraph paragraph_2 | Third.",
        ])
    }

    @Test func csvBecomesRows() throws {
        #expect(try outline(text: "name,age\nAl,3\n\"B, C\",4\n") == ["row_0 row row_0 | name: Al | age: 3", "row_1 row row_1 | name: B, C | age: 4"])
        #expect(try outline(text: "a,a,\n1,2,3,4\n5\n", hint: "csv")
            == ["row_0 row row_0 | a: 1 | a_2: 2 | column_3: 3 | column_4: 4", "row_1 row row_1 | a: 5 | a_2:  | column_3: "])
    }

    @Test func markdownBecomesHeadingsCodeAndParagraphs() throws {
        let text = """
            Intro line.

            # First *title*

            Some **prose** here.

            ```swift
            let x = 1
            ```

            - one
            - two

            Second
            ------
            > quoted

            ***

                indented code
            """
        #expect(try outline(text: text) == [
            "paragraph_0 paragraph paragraph_0 | Intro line.", "heading_0 heading heading_0 | First title",
            "code_block_2 code_block code_block_2 | let x = 1", "paragraph_3 paragraph paragraph_3 | Some **prose** here.",
            "paragraph_4 paragraph paragraph_4 | - one\n- two", "heading_1 heading heading_1 | Second",
            "code_block_6 code_block code_block_6 | indented code", "paragraph_7 paragraph paragraph_7 | > quoted",
        ])
        #expect(try format(text) == .markdown)
    }

    @Test func codeBecomesBlocks() throws {
        let text = """
            import os
            from sys import path

            def first(a, b):
                x = a

                return x

            class Second:
                pass
            """
        #expect(try format(text) == .code)
        #expect(try outline(text: text) == [
            "block_0 code_block block_0 | import os\nfrom sys import path", "block_1 code_block block_1 | def first(a, b):\n    x = a\n\n    return x",
            "block_2 code_block block_2 | class Second:\n    pass",
        ])
        #expect(try format("#!/bin/sh\n# a comment\necho hello\n") == .code)
        #expect(try format("func add(_ a: Int, _ b: Int) -> Int {\n    return a + b\n}\n") == .code)
        #expect(try format("#include <stdio.h>\n\nint main(void) {\n  return 0;\n}\n") == .code)
        #expect(try format("function f(a, b) {\n  return a + b;\n}\n") == .code)
        #expect(try format("def f():\n    return 1\n") == .code)
        #expect(try format("const a = require('x');\n\nmodule.exports = { a };\n") == .code)
    }

    @Test func tomlAndXMLAreReallyParsed() throws {
        #expect(try outline(text: "title = \"T\"\n[server]\nhost = \"h\"\nports = [1, 2]\n") == [
            "root object root | title: T", "server object server | host: h | ports: [1, 2]",
        ])
        #expect(try outline(text: "<note id=\"7\"><to>Al</to><to>Bo</to><body>Hi &amp; bye</body></note>") == [
            "note object note | @id: 7 | to: ['Al', 'Bo'] | body: Hi & bye"
        ])
        #expect(try outline(text: "<list><item><n>1</n></item><item><n>2</n></item></list>")
            == ["list.item[0] object list item | n: 1", "list.item[1] object list item | n: 2"])
        #expect(try format("<a/>") == .xml)
        #expect(try format("<?xml version=\"1.0\"?>\n<a b='c'/>") == .xml)
        #expect(try format("<not closed") == .text)
        #expect(try format("<!DOCTYPE a><a/>") == .xml)
        #expect(try format("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>") == .text)
    }

    @Test func yamlIsDetectedWhereItIsMeant() throws {
        #expect(try format("name: x\nport: 5\n") == .yaml)
        #expect(try format("# settings\nname: x, y\nport: 5\n") == .yaml)
        #expect(try format("- a\n- b\n") == .yaml)
        #expect(try format("key: value") == .yaml)
        #expect(try format("[a, b]") == .yaml)
        #expect(try format("---\na: 1\n---\nb: 2\n") == .yaml)
        #expect(try format("volumes:\n  data:\n") == .yaml)
        for text in ["Things to do:", "Shopping:\n\n", #":python3.11:M::\xa7\x0d::/usr/bin/python3.11:"#] { #expect(try format(text) == .text) }
        #expect(try outline(text: "server:\n  host: h\n  on: no\nname: x\n") == ["root object root | name: x", "server object server | host: h | on: no"])
        #expect(try outline(text: "base: &b {a: 1, b: 2}\nx:\n  <<: *b\n  b: 3\n") == ["base object base | a: 1 | b: 2", "x object x | a: 1 | b: 3"])
        // Prose is not YAML.
        #expect(try format("Note: hello there. This is the second sentence.") == .text)
        #expect(try format("Remember the words of the teacher: never give up") == .text)
        #expect(try format("It was late - very late. Then: nothing.") == .text)
        #expect(try format("See https://example.org/a:b for more") == .text)
        #expect(try format("# Title\n\n- a\n- b\n") == .markdown)
        #expect(try format("---\ntitle: T\n---\n# Heading\n\nText here.\n") == .markdown)
    }

    @Test func markdownRuleIsNarrow() throws {
        #expect(try format("Version 3.5. was released in 2024. It has 2. parts.") == .text)
        #expect(try format("3.14 is pi. 2.72 is e.") == .text)
        #expect(try format("A #hashtag and issue #5 here") == .text)
        #expect(try format("2*3*4 equals 24") == .text)
        #expect(try format("* one\n* two") == .markdown)
        #expect(try format("1. one\n2. two") == .markdown)
        #expect(try format("# Title") == .markdown)
        #expect(try format("Look:\n```\nx\n```") == .markdown)
    }

    @Test func csvRuleWantsATable() throws {
        #expect(try format("a,b\n1,2") == .csv)
        #expect(try format("name (EUR),b\n1,2\n3,4") == .csv)
        #expect(try format("Dear all, hello.\nSee you soon, friends.") == .text)
        #expect(try format("One, two\nthree, four, five") == .text)
        #expect(try format("just, one line") == .text)
    }

    @Test func hintsDecideAndFallBack() throws {
        #expect(try format("a,b\n1,2", hint: "text") == .text)
        #expect(try format("hello", hint: "markdown") == .markdown)
        #expect(try format("x", hint: "code") == .code)
        #expect(try format("42", hint: "CSV") == .csv)
        #expect(try format("42", hint: "zzz") == .json)
        #expect(try ContentSplitter.split(.string("42"), hint: "zzz").note == nil)
        let misfits: [(String, String, ContentFormat)] = [
            ("{broken", "json", .text), ("a: [", "yaml", .text), ("a: 1\nb: 2", "toml", .yaml), ("a: 1\nb: 2", "xml", .yaml),
            ("{\"a\":1}", "xml", .json), ("a,\"b\n1,2", "csv", .text), ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "xml", .text),
        ]
        for (text, hint, wanted) in misfits {
            let content = try ContentSplitter.split(.string(text), hint: hint)
            #expect(content.format == wanted, "\(text)")
            let note = try #require(content.note)
            #expect(note.contains("'\(hint)'") && note.hasSuffix("It was read as \(wanted.rawValue)."), "\(note)")
        }
        let object = try ContentSplitter.split(jsonValue(#"{"a":1}"#), hint: "csv")
        #expect(object.format == .json && object.note == nil)
    }

    @Test func aliasBombsAreRefusedAtOnce() throws {
        let start = ContinuousClock.now
        var bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        var keyBomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        for level in 1...12 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ",")
            bomb += "a\(level): &a\(level) [\(aliases)]\n"
            keyBomb += "? &a\(level) [\(aliases)]\n: x\n"
        }
        for text in [bomb, keyBomb, bomb + "*a12 : x\n", bomb + "{*a12: x}\n"] {
            #expect(throws: FormatError.self) { try YAMLReader.value(text) }
        }
        #expect(throws: FormatError.self) { try YAMLReader.value(String(repeating: "- ", count: 10_000)) }
        #expect(throws: FormatError.self) { try YAMLReader.value(String(repeating: "{a: ", count: 100_000)) }
        #expect(throws: FormatError.self) { try YAMLReader.value((0..<900).map { String(repeating: " ", count: $0) + "a:\n" }.joined()) }
        #expect(throws: FormatError.self) { try TOMLReader.value("a = " + String(repeating: "[", count: 1_000_000)) }
        #expect(throws: FormatError.self) { try TOMLReader.value("a = " + String(repeating: "{a=", count: 100_000)) }
        #expect(throws: FormatError.self) { try TOMLReader.value(String(repeating: "a.", count: 100_000) + "a = 1") }
        #expect(throws: FormatError.self) { try XMLReader.element(String(repeating: "<a>", count: 1_000_000)) }
        #expect(MarkdownReader.blocks(String(repeating: "> ", count: 20_000)).count <= 1)
        _ = MarkdownReader.blocks(String(repeating: "[", count: 100_000))
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func anyBytesAreReadWithoutATrap() throws {
        var random = SeededRandom(seed: testSeed("any bytes"))
        let pieces = [
            "{", "}", "[", "]", "\"", "'", ":", ",", "\n", " ", "- ", "a", "1", ".", "#", "# ", "```", "&a", "*a",
            "<", ">", "/", "=", "<a>", "</a>", "&#1;", "&amp;", "<!--", "-->", "<![CDATA[", "]]>", "\\", "\\u", "é", "\r\n", "\t",
            "|", "? ", "%", "!t", "\"\"\"", "'''", "1979-05-27", "[[", "]]", "0x", "\u{FEFF}", "---\n", "...\n",
        ]
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<12, using: &random) { text += pieces.randomElement(using: &random)! }
            _ = try? ContentSplitter.split(.string(text), hint: ContentFormat.allCases.randomElement(using: &random)!.rawValue)
            _ = try? XMLReader.element(bytes: Array(text.utf8))
        }
    }
}
