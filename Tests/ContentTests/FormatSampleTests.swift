import Base
import Content
import Testing
import TestSupport

// What common programs write, format by format, in files small enough to be read here. Each sample says which program writes so.

private func split(_ text: String, hint: String? = nil, key: String? = nil) throws -> SplitContent {
    try ContentSplitter.split(.string(text), hint: hint, key: key)
}
private func outline(_ text: String, hint: String? = nil, key: String? = nil) throws -> [String] {
    try split(text, hint: hint, key: key).nodes.map { "\($0.path): \($0.description)" }
}
private func format(_ text: String, hint: String? = nil, key: String? = nil) throws -> ContentFormat { try split(text, hint: hint, key: key).format }
/// The whole value that a text is read as.
private func value(_ text: String, hint: String? = nil, key: String? = nil) throws -> String {
    let whole = try ContentSplitter.whole(.string(text), hint: hint, key: key)
    return JSONPrinter.text(try #require(whole.nodes.first).value)
}

@Suite struct TableSampleTests {
    private let wanted = ["row_0: row_0 | Name: Müller, Anna | Preis: 1.234,50", "row_1: row_1 | Name: Öz | Preis: 7,00"]

    @Test func everySeparatorIsRead() throws {
        let samples = [
            // Excel and LibreOffice in most of Europe; with a byte order mark; with Excel's own first line; on an old Mac.
            "Name;Preis\r\nMüller, Anna;1.234,50\r\nÖz;7,00\r\n",
            "\u{FEFF}Name;Preis\r\n\"Müller, Anna\";\"1.234,50\"\r\nÖz;7,00\r\n",
            "sep=;\r\nName;Preis\r\nMüller, Anna;1.234,50\r\nÖz;7,00\r\n",
            "Name;Preis\rMüller, Anna;1.234,50\rÖz;7,00\r",
            // psql with \copy, a table copied from a spreadsheet, mysql --batch
            "Name\tPreis\nMüller, Anna\t1.234,50\nÖz\t7,00\n",
            // Unix tools, mainframes
            "Name|Preis\nMüller, Anna|1.234,50\nÖz|7,00\n",
            // PostgreSQL, pandas, Google Sheets; with blanks to line columns up
            "Name,Preis\n\"Müller, Anna\",\"1.234,50\"\nÖz,\"7,00\"\n",
            "\"Name\",   \"Preis\"\n\"Müller, Anna\", \"1.234,50\"\n\"Öz\",  \"7,00\"\n",
        ]
        for text in samples {
            #expect(try outline(text, hint: "csv") == wanted, "\(text)")
            #expect(try outline(text, key: "prices/2026.csv") == wanted, "\(text)")
            #expect(try split(text, hint: "csv").note == nil)
            if !text.hasPrefix("sep=") { #expect(try format(text) == .csv, "\(text)") }
        }
    }

    @Test func fieldsHoldWhatTheyHold() throws {
        // A note over several lines (every spreadsheet); quotes by RFC 4180, and as MySQL's INTO OUTFILE and Hive escape them
        #expect(try outline("id,note\n1,\"two\nlines, and \"\"quotes\"\"\"\n") == ["row_0: row_0 | id: 1 | note: two\nlines, and \"quotes\""])
        #expect(try outline("id,note\n1,\"say \\\"hi\\\", twice\"\n2,\"a\\\\b\"\n", hint: "csv")
            == ["row_0: row_0 | id: 1 | note: say \"hi\", twice", "row_1: row_1 | id: 2 | note: a\\b"])
        #expect(try outline("path,n\n\"C:\\\",1\n", hint: "csv") == ["row_0: row_0 | path: C:\\ | n: 1"])
        #expect(try outline("size,n\n5\" pipe,1\n", hint: "csv") == ["row_0: row_0 | size: 5\" pipe | n: 1"])
        // A semicolon inside fields of a table with commas, a comma inside those of one with tabs
        #expect(try outline("id,tags,x\n1,a;b,c\n", hint: "csv") == ["row_0: row_0 | id: 1 | tags: a;b | x: c"])
        #expect(try outline("id\tname, first\n1\tDoe, Jo\n", hint: "csv") == ["row_0: row_0 | id: 1 | name, first: Doe, Jo"])
    }

    @Test func raggedRowsStayATableWithANote() throws {
        let text = "a,b,c\n1,2,3\n1\n1,2,3,4,5\n1,2\n"
        let content = try split(text, key: "t.csv")
        #expect(content.format == .csv)
        #expect(content.nodes.map(\.description) == [
            "row_0 | a: 1 | b: 2 | c: 3", "row_1 | a: 1 | b:  | c: ", "row_2 | a: 1 | b: 2 | c: 3 | column_4: 4 | column_5: 5",
            "row_3 | a: 1 | b: 2 | c: ",
        ])
        #expect(content.note == "Not every row has the 3 fields of the header (the first on line 3): 2 rows have fewer, what is missing is empty; "
            + "1 row has more, the rest is named column_4 and so on.")
        // A bank's export: a title above the header. Headers that are empty or come twice.
        #expect(try split("Konto 4711;;\nDatum;Betrag;Text\n1.1.26;-5,00;Brot\n", hint: "csv").format == .csv)
        #expect(try outline("a,a,,column_3,a_2\n1,2,3,4,5\n", hint: "csv")
            == ["row_0: row_0 | a: 1 | a_2: 2 | column_3: 3 | column_3_2: 4 | a_2_2: 5"])
        // Without a hint a longer table may have a few.
        let rows = (0..<20).map { "\($0);x;\($0),5" }
        #expect(try format((["id;name;value"] + rows + ["20;x"]).joined(separator: "\n")) == .csv)
        #expect(try format("id;name;value\n1;x;2\n2;x") == .text)
    }

    @Test func proseAndMarkdownAreNoTables() throws {
        #expect(try format("I came; I saw what was there to be seen on that day\nYou came; you saw what I had seen there before") == .text)
        #expect(try format("| a | b |\n|---|---|\n| 1 | 2 |\n") != .csv)
        #expect(try format("a | b\n--- | ---\n1 | 2\n") != .csv)
        #expect(try format("x = 1;\ny = 2;\n") != .csv)
    }
}

@Suite struct JSONSampleTests {
    @Test func dialectsAreRead() throws {
        // tsconfig.json, VS Code's settings
        let tsconfig = """
            // compiler
            {
              /* options */
              "compilerOptions": { "target": "ES2022", "paths": { "@/*": ["./src/*"], }, },
              "include": ["src", "// no comment",],
            }
            """
        #expect(try value(tsconfig, key: "tsconfig.json")
            == #"{"compilerOptions":{"target":"ES2022","paths":{"@/*":["./src/*"]}},"include":["src","// no comment"]}"#)
        #expect(try format(tsconfig) == .json && split(tsconfig, hint: "json").note == nil)
        // JSON5
        #expect(try value("{unquoted: 'it''s' }", hint: "json").isEmpty == false)
        let json5 = "{unquoted: 'it\\'s \"x\"', $a_1: .5, b: 5., c: +1, d: 0x1F, e: -Infinity, 'f': \"a\\\nb\", g: [1,2,],}"
        #expect(try value(json5, key: "a.json5")
            == #"{"unquoted":"it's \"x\"","$a_1":0.5,"b":5.0,"c":1,"d":31,"e":"-Infinity","f":"ab","g":[1,2]}"#)
        // Python's json.dumps, as a text
        #expect(try value(#"{"loss": NaN, "best": Infinity, "n": [-Infinity, 1e5]}"#, hint: "json")
            == #"{"loss":"NaN","best":"Infinity","n":["-Infinity",1e5]}"#)
        #expect(try value("\u{FEFF}{\"a\": 1}") == #"{"a":1}"#)
    }

    @Test func severalValuesAreAnArray() throws {
        // Log files of services, BigQuery and Elasticsearch; jq -c; RFC 7464; two documents of kubectl
        let lines = #"{"level":"info","msg":"up"}"# + "\r\n" + #"{"level":"error","msg":"down {\"x\":1}"}"# + "\n\n"
        #expect(try outline(lines) == ["[0]: level: info | msg: up", "[1]: level: error | msg: down {\"x\":1}"])
        #expect(try format(lines) == .json && format(lines, key: "app.ndjson") == .json && format(lines, hint: "jsonl") == .json)
        #expect(try value("{\"a\":1}{\"b\":2}\n[3]") == #"[{"a":1},{"b":2},[3]]"#)
        #expect(try value("\u{1E}{\"a\":1}\n\u{1E}{\"b\":2}\n") == #"[{"a":1},{"b":2}]"#)
        // One broken line: not JSON, and that is said.
        let broken = try split("{\"a\":1}\n{\"b\":\n", key: "x.jsonl")
        #expect(broken.format == .text && broken.note?.contains("its key, which names it json") == true, "\(broken.note ?? "")")
        #expect(try format("1 2 3") == .text && format("1\n2\n", hint: "json") == .text)
    }

    @Test func whatIsNoJSONStaysNone() throws {
        for text in [
            "{a: b}", "{broken", "[1 2]", "{\"a\" 1}", "[,]", "[1,,2]", "{,}", "{\"a\":,}", "[1]]", "{]", "/* only */", "{1a: 2}", "{a-b: 1}", "[0x]", "[0x+1]",
            "[.]", "[+]", "[--1]", "['a]", "{\"a\": undefined}", "[01]", "/", "[1 // x", "{\"a\":1},{\"b\":2}", "[\"a\" \"b\"]", "[{} {}]", "[NaN NaN]",
        ] {
            #expect(try format(text, hint: "json") != .json, "\(text)")
        }
    }

    @Test func notebooksAreReadByCells() throws {
        let notebook = ##"""
            {"cells":[
              {"cell_type":"markdown","metadata":{},"source":["# Sales\n","\n","Some *words*.\n","```\n","x\n","```"]},
              {"cell_type":"code","execution_count":1,"metadata":{},"source":"import pandas as pd\n\nprint(df)","outputs":[
                {"output_type":"stream","name":"stdout","text":["a b\n","1 2\n"]},
                {"output_type":"display_data","data":{"image/png":"iVBORw0KGgo","text/plain":["<Figure>"]},"metadata":{}},
                {"output_type":"error","ename":"KeyError","evalue":"'x'","traceback":["long"]}]},
              {"cell_type":"code","metadata":{},"source":[],"outputs":[]},
              {"cell_type":"raw","metadata":{},"source":"raw text"}],
             "metadata":{"kernelspec":{"display_name":"Python 3","name":"python3"},"language_info":{"name":"python"}},"nbformat":4,"nbformat_minor":5}
            """##
        let expected = [
            "root object root | kernel: Python 3 | language: python", "cells[0].heading_0 heading cells heading_0 | Sales",
            "cells[0].code_block_1 code_block cells code_block_1 | x", "cells[0].paragraph_2 paragraph cells paragraph_2 | Some *words*.",
            "cells[1].code code_block cells code | import pandas as pd\n\nprint(df)",
            "cells[1].output paragraph cells output | a b\n1 2\n<Figure>\nKeyError: 'x'", "cells[3].text paragraph cells text | raw text",
        ]
        for key in ["a.ipynb", nil] {
            #expect(try split(notebook, key: key).nodes.map { "\($0.path) \($0.kind.rawValue) \($0.description)" } == expected)
        }
        #expect(try ContentSplitter.split(jsonValue(notebook), hint: nil).nodes.count == expected.count)
        let loud = notebook.replacing("a b\\n", with: String(repeating: "line\\n", count: 100_000))
        let output = try #require(try split(loud).nodes.first { $0.path == "cells[1].output" }?.value.stringValue)
        #expect(output.utf8.count < Limits.notebookOutputBytes + 8)
    }

    @Test func ordinaryFilesJustWork() throws {
        #expect(try outline(#"{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[9.9,48.4]},"#
            + #""properties":{"name":"Ulm"}}]}"#,
            key: "places.geojson").contains("features[0].properties: features properties | name: Ulm"))
        #expect(try outline(#"{"openapi":"3.1.0","paths":{"/a/{id}":{"get":{"summary":"One","responses":{"200":{"description":"ok"}}}}}}"#).count == 3)
        #expect(try outline(#"{"name":"x","lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0"}}}"#, key: "package-lock.json").count == 2)
    }
}

@Suite struct XMLSampleTests {
    @Test func documentTypesWithoutEntitiesArePassedOver() throws {
        let samples: [(String, String, String)] = [
            // Inkscape, Illustrator
            ("logo.svg",
             """
             <?xml version="1.0" standalone="no"?>
             <!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
             <svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="4"><title>Logo</title><use xlink:href="#a"/></svg>
             """, "Logo"),
            // Xcode
            ("Info.plist",
             """
             <?xml version="1.0" encoding="UTF-8"?>
             <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
             <plist version="1.0"><dict><key>CFBundleName</key><string>Shop</string><true/></dict></plist>
             """, "Shop"),
            // coverage.py, Cobertura
            ("coverage.xml",
             """
             <?xml version="1.0" ?>
             <!DOCTYPE coverage
               SYSTEM 'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>
             <!-- Generated by coverage.py -->
             <coverage line-rate="0.5"><packages><package name="shop"/></packages></coverage>
             """, "shop"),
            ("page.xhtml", "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>T</title></head><body><p>Hi</p></body></html>", "Hi"),
            // DocBook with declarations that change nothing
            ("book.xml", "<!DOCTYPE a [\n<!-- c --><?p i?>\n<!ELEMENT a (#PCDATA)>\n<!ATTLIST a id ID #IMPLIED>\n<!NOTATION n SYSTEM 'x'>\n]>\n"
                + "<a id='1'>text</a>", "text"),
            // Maven, JUnit, .NET: no document type at all
            ("pom.xml",
             """
             <?xml version="1.0" encoding="UTF-8"?>
             <project xmlns="http://maven.apache.org/POM/4.0.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
               xsi:schemaLocation="http://maven.apache.org/POM/4.0.0 x"><groupId>org.x</groupId><dependencies><dependency><artifactId>junit</artifactId>
               </dependency></dependencies></project>
             """, "junit"),
            ("TEST-a.xml",
             "\u{FEFF}<testsuite name='a'><testcase name='t'><failure><![CDATA[a < b & c]]></failure></testcase><system-out/></testsuite>", "a < b & c"),
            ("feed.rss", "<rss version=\"2.0\"><channel><item><title>One</title></item><item><title>Two</title></item></channel></rss>", "Two"),
        ]
        for (key, text, word) in samples {
            for key in [key, nil] {
                let content = try split(text, key: key)
                #expect(content.format == .xml && content.note == nil, "\(text): \(content.note ?? "")")
                #expect(content.nodes.contains { $0.description.contains(word) }, "\(text)")
            }
        }
    }

    @Test func entitiesAndDefaultsStayRefused() throws {
        let refused = [
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "<!DOCTYPE a [<!ENTITY % b 'c'> %b;]><a/>", "<!DOCTYPE a [%b;]><a/>",
            "<!DOCTYPE a [<!ATTLIST a x CDATA 'default'>]><a/>", "<!DOCTYPE html PUBLIC 'x' 'y'><a>&nbsp;</a>",
            "<!DOCTYPE a SYSTEM 'x' [<!ELEMENT a (%b;)>]><a/>",
        ]
        for text in refused {
            do throws(FormatError) {
                _ = try XMLReader.element(text)
                Issue.record("\(text) is accepted")
            } catch {
                #expect(error.reason == .refused, "\(text): \(error)")
            }
            #expect(try split(text, hint: "xml").note?.contains("data_format 'xml'") == true)
        }
        for text in [
            "<a/><!DOCTYPE a>", "<!DOCTYPE a><!DOCTYPE a><a/>", "<!DOCTYPE><a/>", "<!DOCTYPE a", "<!DOCTYPE a [", "<!DOCTYPE a [x]><a/>",
                "<!DOCTYPE a PUBLIC 'x'><a/>",
            "<!DOCTYPE a SYSTEM x><a/>", "<!DOCTYPE a [<!ELEMENT>]><a/>", "<!DOCTYPE a [<!ELEMENT a <b>]><a/>",
        ] {
            #expect(throws: FormatError.self, "\(text)") { try XMLReader.element(text) }
        }
    }
}

@Suite struct YAMLSampleTests {
    @Test func streamsAndTags() throws {
        // kubectl, helm template
        let stream = "---\n# Source: a.yaml\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\n---\napiVersion: apps/v1\nkind: Deployment\n"
            + "spec: {replicas: 2}\n"
        #expect(try outline(stream) == [
            "[0]: apiVersion: v1 | kind: Service", "[0].metadata: metadata | name: web", "[1]: apiVersion: apps/v1 | kind: Deployment",
                "[1].spec: spec | replicas: 2",
        ])
        #expect(try format(stream) == .yaml && format(stream.replacing("\n", with: "\r\n")) == .yaml)
        // CloudFormation
        let cloud = "Resources:\n  Bucket:\n    Name: !Sub '${AWS::StackName}-b'\n    Arn: !GetAtt Other.Arn\n    Ref: !Ref Other\n"
            + "    Join: !Join [':', [a, !Ref b]]\n"
        #expect(try value(cloud, key: "stack.yml")
            == ##"{"Resources":{"Bucket":{"Name":"!Sub ${AWS::StackName}-b","Arn":"!GetAtt Other.Arn","Ref":"!Ref Other","Join":{"!Join":[":",["a","##
                + ##""!Ref b"]]}}}}"##)
        // GitLab, Home Assistant, Ansible, Python, binary data
        #expect(try value("script: !reference [.setup, script]\nauto: !include a.yaml\nsecret: !vault |\n  $ANSIBLE\nt: !!python/tuple [1, 2]\n"
            + "n: !!python/none\n")
            == ##"{"script":{"!reference":[".setup","script"]},"auto":"!include a.yaml","secret":"!vault $ANSIBLE\n","t":{"!!python/tuple":[1,2]},"##
                + ##""n":"!!python/none"}"##)
        #expect(try value("b: !!binary aGk=\ns: !!set {a: , b: }\nx: !!str 12\no: !!omap [a: 1]\ni: ! 12\n")
            == ##"{"b":"aGk=","s":{"a":null,"b":null},"x":"12","o":[{"a":1}],"i":"12"}"##)
        // docker compose
        #expect(try value("x-log: &log {driver: local}\nservices:\n  a: {logging: *log}\n  b:\n    <<: {image: x}\n    ports: [\"80:80\"]\n")
            == ##"{"x-log":{"driver":"local"},"services":{"a":{"logging":{"driver":"local"}},"b":{"image":"x","ports":["80:80"]}}}"##)
        // Tabs are said to be tabs.
        let tabs = try split("a:\n\tb: 1\n", hint: "yaml")
        #expect(tabs.note?.contains("A tab in the indentation, where YAML takes spaces only (line 2)") == true, "\(tabs.note ?? "")")
    }

    /// With many aliases: what looks like a key that holds one, and is none.
    @Test func filesWithManyAliasesAreRead() throws {
        var text = "x-base: &base\n  image: a\n  volumes:\n    - ${DATA:-/srv}:/data\n    - \"${HOME}:/home\"\n  rule: '^(foo)?$'\n"
            + "  cron: '*/5 * * * *'\n  ask: really ? yes\nservices:\n"
        for number in 0..<40 { text += "  s\(number):\n    <<: *base\n    # **Note**: really?\n    cmd: [a, 'b']\n    why: \"{{ x }}: y\"\n" }
        #expect(try format(text) == .yaml)
        #expect(try split(text, key: "compose.yml").nodes.count == 41)
    }
}

@Suite struct TOMLSampleTests {
    @Test func filesOfToolsAreRead() throws {
        // uv, poetry, hatch
        let pyproject = """
            # project
            [project]
            name = "shop"
            version = "1.0.0"
            dependencies = [
              "flask>=3",  # web
              "numpy",
            ]
            [project.optional-dependencies]
            dev = ["pytest"]
            [[tool.uv.index]]
            url = "https://x.org"
            [tool.ruff.lint]
            select = ["E", "F"]
            per-file-ignores = {"tests/*" = ["S101"]}
            """
        let nodes = [
            "project: project | name: shop | version: 1.0.0 | dependencies: ['flask>=3', 'numpy']",
                "project.optional-dependencies: project optional-dependencies | dev: ['pytest']",
            "tool.uv.index[0]: tool uv index | url: https://x.org", "tool.ruff.lint: tool ruff lint | select: ['E', 'F']",
            "tool.ruff.lint.per-file-ignores: tool ruff lint per-file-ignores | tests/*: ['S101']",
        ]
        for key in ["pyproject.toml", nil] { #expect(try outline(pyproject, key: key) == nodes) }
        #expect(try outline(pyproject.replacing("\n", with: "\r\n"), hint: "toml") == nodes)
        // Cargo
        let lock = "version = 3\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://x\"\nchecksum = \"0f\"\n"
            + "dependencies = [\n \"b\",\n]\n\n"
            + "[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n"
        #expect(try outline(lock, key: "Cargo.lock").map { $0.prefix(24) } == ["root: root | version: 3", "package[0]: package | na",
            "package[1]: package | na"])
        #expect(try format(lock) == .toml && format("[package]\nname = \"a\"\nedition = \"2021\"\n[dependencies]\n"
            + "serde = { version = \"1\", features = [\"derive\"] }\n") == .toml)
    }
}

@Suite struct MarkdownSampleTests {
    @Test func frontMatterIsTheRootOfTheDocument() throws {
        // Jekyll, Obsidian, Docusaurus
        let text = "---\ntitle: Deploying\ntags: [ops, web]\nauthor:\n  name: Jo\n---\n\n# Steps\n\nFirst `make`.\n"
        let expected = [
            "root: root | title: Deploying | tags: ['ops', 'web']", "author: author | name: Jo", "heading_0: heading_0 | Steps",
                "paragraph_1: paragraph_1 | First `make`.",
        ]
        for key in ["notes/Deploying.md", nil] { #expect(try outline(text, key: key) == expected) }
        #expect(try outline(text, hint: "markdown") == expected)
        #expect(try outline(text.replacing("\n", with: "\r\n"), hint: "markdown").prefix(3) == expected.prefix(3))
        // Hugo
        #expect(try outline("+++\ntitle = 'T'\ndate = 2026-01-02\n+++\nText.\n", hint: "md") == ["root: root | title: T | date: 2026-01-02",
            "paragraph_0: paragraph_0 | Text."])
        // Only a rule; a head that is no YAML; an empty head.
        #expect(try outline("---\n\nText\n\n---\n\nMore\n", hint: "markdown") == ["paragraph_0: paragraph_0 | Text", "paragraph_1: paragraph_1 | More"])
        let broken = try split("---\ntitle: [a\n---\n# H\n", hint: "markdown")
        #expect(broken.note?.hasPrefix("The front matter is no YAML: ") == true && broken.nodes.contains { $0.description.contains("title: [a") }, "\(broken)")
        #expect(try outline("---\n---\n# H\n", hint: "markdown") == ["heading_0: heading_0 | H"])
        #expect(try format(text) == .markdown && split(text).note == nil)
    }

    @Test func whatPlatformsWrite() throws {
        // GitHub: tables, tasks, HTML; Obsidian: wiki links, callouts; Confluence: setext headings, fences with languages
        let text = """
            Project
            =======

            | Name | Use |
            |------|-----|
            | a    | b   |

            - [x] done
            - [ ] open

            <details><summary>More</summary>

            Hidden [[Wiki Link|words]].

            </details>

            > [!note] Callout
            > Words.

            ~~~~yaml
            a: 1
            ~~~~
            """
        #expect(try outline(text, key: "README.md") == [
            "heading_0: heading_0 | Project", "code_block_1: code_block_1 | a: 1", "paragraph_2: paragraph_2 | | Name | Use |\n|------|-----|\n| a    | b   |",
            "paragraph_3: paragraph_3 | - [x] done\n- [ ] open", "paragraph_4: paragraph_4 | <details><summary>More</summary>",
            "paragraph_5: paragraph_5 | Hidden [[Wiki Link|words]].", "paragraph_6: paragraph_6 | </details>",
                "paragraph_7: paragraph_7 | > [!note] Callout\n> Words.",
        ])
        #expect(try format(text) == .markdown)
    }
}

@Suite struct SettingsSampleTests {
    @Test func iniIsReadBySections() throws {
        // git
        let git = "[core]\n\trepositoryformatversion = 0\n\tbare\n[remote \"origin\"]\n\turl = https://x.org/a.git\n\tfetch = +refs/heads/*\n"
            + "\tfetch = +refs/tags/*\n[remote \"b\"]\n\turl = y\n; end\n"
        let gitValue = ##"{"core":{"repositoryformatversion":"0","bare":true},"remote":{"origin":{"url":"https://x.org/a.git","##
            + ##""fetch":["+refs/heads/*","+refs/tags/*"]},"b":{"url":"y"}}}"##
        #expect(try value(git, key: ".gitconfig") == gitValue && value(git) == gitValue)
        // systemd
        let unit = "[Unit]\nDescription=Shop\nAfter=network.target\n\n[Service]\nExecStart=/usr/bin/shop --port 80 \\\n  --quiet\nExecStartPre=/a\n"
            + "ExecStartPre=/b\nEnvironment=\"A=b\"\n"
        #expect(try value(unit, key: "shop.service")
            == ##"{"Unit":{"Description":"Shop","After":"network.target"},"Service":{"ExecStart":"/usr/bin/shop --port 80 --quiet","##
            + ##""ExecStartPre":["/a","/b"],"Environment":"A=b"}}"##)
        #expect(try format(unit) == .ini)
        // php.ini, my.cnf, .editorconfig, configparser, WireGuard
        #expect(try value("[PHP]\n; comment\nengine = On\nerror_log = \"/var/log/php\"\n", key: "php.ini") == ##"{"PHP":{"engine":"On","##
            + ##""error_log":"/var/log/php"}}"##)
        #expect(try value("[mysqld]\nskip-name-resolve\nuser = mysql\n# c\n", key: "my.cnf") == ##"{"mysqld":{"skip-name-resolve":true,"user":"mysql"}}"##)
        #expect(try value("root = true\n\n[*.{js,py}]\nindent_style = space\n[[ab].txt] ; c\nx=1\n", key: ".editorconfig")
            == ##"{"root":"true","*.{js,py}":{"indent_style":"space"},"[ab].txt":{"x":"1"}}"##)
        #expect(try value("[options]\ninstall_requires =\n    a>=1\n    # none\n    b\n\nurl: https://x.org\n", key: "setup.cfg")
            == ##"{"options":{"install_requires":"a>=1\nb","url":"https://x.org"}}"##)
        #expect(try value("[Interface]\nPrivateKey = a=\n[Peer]\nAllowedIPs = 10.0.0.0/8\n[Peer]\nAllowedIPs = ::/0\n", key: "wg0.conf")
            == ##"{"Interface":{"PrivateKey":"a="},"Peer":[{"AllowedIPs":"10.0.0.0/8"},{"AllowedIPs":"::/0"}]}"##)
        #expect(try outline(git).contains("remote.origin: remote origin | url: https://x.org/a.git | fetch: ['+refs/heads/*', '+refs/tags/*']"))
        #expect(throws: FormatError.self) { try INIReader.value("[a]\nthis is prose\n") }
        #expect(throws: FormatError.self) { try INIReader.value("[a\nb=c\n") }
    }

    @Test func propertiesAndVariables() throws {
        let properties = "# Spring\nserver.port=8080\nspring.datasource.url = jdbc:pg://h/db\nspring.datasource.user: a\\\n  b\n"
            + "greeting Hallo\\u00e9\\ud83d\\ude00\\tx\nserver.port=9090\nempty=\n"
        let wanted = ##"{"greeting":"Halloé😀\tx","empty":"","server":{"port":"9090"},"spring.datasource":{"url":"jdbc:pg://h/db","user":"ab"}}"##
        #expect(try value(properties, key: "src/main/resources/application.properties") == wanted)
        #expect(try outline(properties, hint: "properties").contains("spring.datasource: spring datasource | url: jdbc:pg://h/db | user: ab"))
        #expect(try format("a.b.c=x y\na.b.d=it's\n") == .properties)
        #expect(try format("Some prose here.\nMore of it.\n", key: "x.properties") == .text)
        #expect(try split("# a=b\n# c=d\n", key: "x.properties").note?.contains("Nothing is set (line 1)") == true)
        let env = "# local\nDB_HOST=localhost\nexport API_KEY=\"a b#c\" # secret\nEMPTY=\nPATH_LIKE=/a:/b # c\nRAW='x\\n$y'\nMULTI=\"one\\ntwo\n"
            + "three\"\nPASSED\nODD='a'b'\n"
        #expect(try value(env, key: "deploy/.env.local")
            == ##"{"DB_HOST":"localhost","API_KEY":"a b#c","EMPTY":"","PATH_LIKE":"/a:/b","RAW":"x\\n$y","MULTI":"one\ntwo\nthree","PASSED":null,"##
                + ##""ODD":"'a'b'"}"##)
        #expect(try format("# local\nDB_HOST=localhost\nURL=https://x.org/?a=b\n") == .env)
        #expect(throws: FormatError.self) { try EnvironmentReader.value("A=1\nno variable here\n") }
    }

    /// Comments with # are no headings, lines of settings no prose. With the key and without it.
    @Test func filesOfProgramsAreCode() throws {
        let samples: [(key: String, text: String, isClearAlone: Bool)] = [
            ("Dockerfile", "# build\nFROM python:3.12-slim AS base\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt \\\n"
                + "    && rm -rf /tmp/*\nCMD [\"python\", \"app.py\"]\n", true),
            ("Makefile", "# all\nCC ?= gcc\n.PHONY: all clean\nall: build test\n\nbuild: main.c\n\t$(CC) -o main main.c\n\nclean:\n\trm -f main\n", true),
            ("nginx.conf", "# main\nuser www-data;\nevents {\n  worker_connections 768;\n}\nhttp {\n  server {\n    listen 80;\n    location / {\n"
                + "      root /srv;\n    }\n  }\n}\n", true),
            ("main.tf", "# bucket\nresource \"aws_s3_bucket\" \"b\" {\n  bucket = \"x\"\n  tags = {\n    Name = \"x\"\n  }\n}\n", true),
            ("sshd_config", "# This is the sshd server\n#Port 22\nPermitRootLogin no\nPasswordAuthentication no\nX11Forwarding yes\nUsePAM yes\n"
                + "Subsystem sftp /usr/lib/openssh/sftp-server\n", true),
            ("crontab", "# m h dom mon dow command\nSHELL=/bin/sh\n17 * * * * root run-parts /etc/cron.hourly\n*/5 0-6 * * 1,2 /usr/bin/job\n"
                + "@daily backup\n", true),
            ("requirements.txt", "# web\nflask==3.0.0\nrequests[socks]>=2.31,<3\n-r dev.txt\nnumpy~=1.26 ; python_version < '3.13'\n", true),
            (".gitignore", "# build\nnode_modules/\n*.log\n/dist\n!keep.log\n.env\n", true),
            ("go.mod", "module example.org/shop\n\ngo 1.22\n\nrequire (\n\tgithub.com/x/y v1.2.3\n)\n", false),
            ("Gemfile", "# gems\nsource 'https://rubygems.org'\ngem 'rails', '~> 7.0'\n", false),
            ("setup.py", "# setup\nsetup(name='x')\n", false),
            ("fstab", "# <file system> <mount point>\nUUID=1a-2b / ext4 defaults 0 1\nUUID=3c-4d /home ext4 defaults 0 2\n", true),
            ("environment", "# variables of the server\n# NAME = value\n# The rest is a comment.\n#\n", true),
            ("default.conf", "#a=b\n#c=d\n\n# e\n# f\n#g=h\n", true),
            ("postgresql.conf", "# connections\nmax_connections = 100   # (change requires restart)\nshared_buffers = 128MB\n# memory\nwork_mem = 4MB\n", true),
        ]
        for (key, text, isClearAlone) in samples {
            let named = try split(text, key: "etc/\(key)")
            #expect(named.format == .code && named.note == nil, "\(key): \(named.format) \(named.note ?? "")")
            if isClearAlone { #expect(try format(text) == .code, "\(key)") }
        }
    }

    /// Short documents under a heading, whose lines could be taken for settings.
    @Test func shortMarkdownStaysMarkdown() throws {
        for text in [
            "# Title\n\nGitHub Actions rock", "# Databases\n\nPostgreSQL is used\nMongoDB for logs\nMySQL for the shop\n", "# Where\n\nsrc/main\n",
            "# A\n\n# B\n\n# C\n", "# A\n## B\n## C\n",
            "# Setup\n\nRun it with `a = b` set\n", "# One\n\n[link](https://x.org)\n", "## Use\n\n* a/b\n* c/d\n* e/f\n", "# T\n\n**Bold words**\n**More**\n",
        ] {
            #expect(try format(text) == .markdown, "\(text)")
        }
    }

    @Test func logsAreReadByEntries() throws {
        let samples = [
            // log4j, Python's logging, Go, syslog, nginx, the kernel, glog, logfmt, a level alone
            "2026-01-31 12:00:00,123 INFO  [main] Start: a, b\n2026-01-31 12:00:01,000 ERROR [main] Failed: x\njava.lang.Error: y\n\tat a.b(C.java:1)\n",
            "2026-01-31T12:00:00Z INFO: started, one\n2026-01-31T12:00:01.5+01:00 WARN: stopped, two\n",
            "2026/01/31 12:00:00 main.go:10: # one\n2026/01/31 12:00:01 main.go:11: two\n",
            "Jan 31 12:00:00 host sshd[1]: Accepted key\nJan  1 12:00:01 host cron[2]: run\n",
            "127.0.0.1 - - [31/Jan/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n::1 - a [31/Jan/2026:12:00:01 +0000] \"GET /b HTTP/1.1\" 404 5\n",
            "[    0.000000] Linux version 6.1\n[    1.234567] usb: new device\n",
            "I0131 12:00:00.000000       1 a.go:1] one\nE0131 12:00:01.000000       1 a.go:2] two\n",
            "time=\"2026-01-31T12:00:00Z\" level=info msg=\"a, b\"\ntime=\"2026-01-31T12:00:01Z\" level=warning msg=\"c, d\"\n",
            "INFO:root:one\nERROR:root:two\n", "[12:00:00] one\n[12:00:01] two\n", "12:00:00.123 [main] DEBUG a - b\n12:00:01.123 [main] DEBUG a - c\n",
            "[Wed Jan 31 12:00:00 2026] [error] a\n[Wed Jan 31 12:00:01 2026] [error] b\n", "<34>1 2026-01-31T12:00:00Z h a - - one\n"
                + "<34>1 2026-01-31T12:00:01Z h a - - two\n",
        ]
        for text in samples {
            let content = try split(text)
            #expect(content.format == .text && content.nodes.count == 2, "\(text): \(content.nodes.map(\.path)) \(content.format)")
            #expect(content.nodes.allSatisfy { $0.path.hasPrefix("paragraph_") })
            #expect(try split(text, key: "app.log").nodes == content.nodes)
        }
        let trace = try split(samples[0]).nodes
        #expect(trace[1].value.stringValue?.hasSuffix("at a.b(C.java:1)") == true)
        let long = (0..<12_000).map { "2026-01-31 12:00:00 line \($0)\n" }.joined()
        #expect(try split(long).nodes.count == 4_000)
        // Tables whose first column is a time, and diaries, are none.
        #expect(try format("time,value\n2026-01-31 12:00:00,1.5\n2026-01-31 12:00:01,2.5\n") == .csv)
        #expect(try format("2026-01-31 12:00:00;1,5\n2026-01-31 12:00:01;2,5\n") != .text)
        #expect(try format("12:30 is lunch.\n13:00 is work.") == .text)
    }
}

@Suite struct KeyHintTests {
    @Test func theKeyIsAHint() throws {
        let text = "# Title\n\nWords, words\n"
        #expect(try format(text, key: "a.md") == .markdown && format(text, key: "a.py") == .code && format(text, key: "notes.TXT") == .text)
        #expect(try format("{\"a\":1}", key: "a.md") == .markdown)
        // What is said wins over the name; what is said wrongly does not.
        #expect(try format("a,b\n1,2", hint: "text", key: "a.csv") == .text)
        let both = try split("# Title\n\nWords\n", hint: "json", key: "README.md")
        #expect(both.format == .markdown && both.note?.hasPrefix("The data does not fit data_format 'json': ") == true
            && both.note?.hasSuffix("It was read as markdown.") == true)
        let wrong = try split("just words", key: "data/prices.json")
        #expect(wrong.format == .text && wrong.note?.hasPrefix("The data does not fit its key, which names it json: ") == true)
        // A template of Helm is no YAML and no Markdown.
        let helm = try split("# values\n{{- if .Values.a }}\nkind: {{ .Values.kind }}\n{{- end }}\n", key: "templates/a.yaml")
        #expect(helm.format == .code && helm.note != nil)
        #expect(try format("# a comment\nsome words here\n", key: "any.conf") == .code)
        // Data that came as a value is JSON, whatever its key.
        #expect(try ContentSplitter.split(jsonValue(#"{"a":1}"#), hint: nil, key: "a.csv") == ContentSplitter.split(jsonValue(#"{"a":1}"#), hint: nil))
    }

    @Test func namesOfFiles() {
        let expected: [(String, KeyHint?)] = [
            ("a.JSON", .format(.json)), ("x/y/Dockerfile", .format(.code)), ("Dockerfile.prod", .format(.code)), ("app.dockerfile", .format(.code)),
                (".env", .format(.env)),
            (".env.example", .format(.env)), ("prod.env", .format(.env)), ("requirements-dev.txt", .format(.code)), ("notes.txt", .format(.text)),
            ("C:\\x\\a.ini", .format(.ini)), ("a.tar.gz", nil), ("tech", nil), ("team.people", nil), ("", nil), (".", nil), ("a/", nil),
                ("cargo.lock", .format(.toml)),
            ("Cargo.lock", .format(.toml)), ("CMakeLists.txt", .format(.code)), ("site.conf", .settings), ("a.csv/b", nil), ("v1.0", nil),
                ("logo.svg", .format(.xml)),
        ]
        for (name, hint) in expected { #expect(KeyHint.of(name) == hint, "\(name)") }
    }

    /// What is stored as the format, read again with it, is the same: versions of the past are split anew.
    @Test func theStoredFormatIsEnough() throws {
        let texts = [
            "a;b\n1,5;2\n3;4", "// x\n{\"a\": [1,]}", "{\"a\":1}\n{\"b\":2}\n", "[a]\nb = c d\n", "A_B=1 x\nC=2\n", "a.b=x y\na.c=it's\n", "---\na: 1\n"
                + "---\n# T\n\nx\n",
            "2026-01-31 12:00:00 a\n2026-01-31 12:00:01 b\n", "<!DOCTYPE a><a><b/></a>", "FROM a:1\nRUN b\n", "a: !Ref b\nc: d\n", "Hello. World.",
        ]
        for text in texts {
            for key in ["k", "k.csv", "k.ini", "k.md", "k.conf", "k.json"] {
                let first = try split(text, key: key)
                let again = try split(text, hint: first.format.rawValue, key: key)
                #expect(again.format == first.format && again.nodes == first.nodes, "\(key): \(text)")
            }
        }
    }
}
