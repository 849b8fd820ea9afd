import Base
import Content
import Testing
import TestSupport

/// For each reader the inputs that might cost it more than their length is worth: read at a size and at four times the size.
///
/// Only time can show it (`WorkTime`); below the floor nothing is said.
@Suite struct WorstInputTests {
    private static let bytes = 128 << 10
    private static let floorSeconds = 0.5

    private struct Input: Sendable {
        let format: String
        let name: String
        let make: @Sendable (_ bytes: Int) -> String
    }

    private static func repeated(_ format: String, _ unit: String, head: String = "", tail: String = "") -> Input {
        Input(format: format, name: "\(head.prefix(20))\(unit.prefix(40))\(tail.prefix(20))") { bytes in
            head + String(repeating: unit, count: max(1, bytes / unit.utf8.count)) + tail
        }
    }
    private static func numbered(_ format: String, _ name: String, head: String = "", tail: String = "", _ unit: @escaping @Sendable (Int) -> String) -> Input {
        Input(format: format, name: name) { bytes in
            var text = head
            text.reserveCapacity(bytes + 100)
            var number = 0
            while text.utf8.count < bytes {
                text += unit(number)
                number += 1
            }
            return text + tail
        }
    }

    private static let inputs: [Input] = {
        var inputs: [Input] = []
        for unit in ["a,", ",", "\"", "\"\",", "a\"", " ", "\n", "a\n", "a;b,c\td|e\n", "\\\"", "\"\\\"\",", "\"a\nb\"\n", "1,2\n1\n1,2,3\n"] {
            inputs.append(repeated("csv", unit))
        }
        inputs += [
            repeated("csv", "1\n", head: String(repeating: "column,", count: 500) + "\n"), repeated("csv", " \"", head: String(repeating: " ", count: 10_000)),
            numbered("csv", "names that are in each other's way") { $0.isMultiple(of: 2) ? "a," : "a_\($0 / 2)," },
            Input(format: "csv", name: "a long name") { String(repeating: "n", count: 16 << 10) + ",b\n" + String(repeating: "1,2\n", count: $0 / 4) },
            Input(format: "csv", name: "a name of half the text") { String(repeating: "n", count: $0 / 2) + ",b\n" + String(repeating: "1,2\n",
                count: $0 / 8) },
        ]
        for unit in [
            "[1],", "{\"a\":1}", "{}\n", "[", "{\"a\":", "// c\n", "/* c */", "/* ", "'a',", "{'a':\"\\'\",},", "0x1,", "a:1,", "\\", "\u{1E}",
                "NaN,", "1.,", ",", "\"\\u0041\",",
        ] {
            inputs += [repeated("json", unit), repeated("json", unit, head: "["), repeated("json", unit, head: "{")]
        }
        for unit in [
            "<a>", "<a/>", "<a b='c'/>", "&#65;", "&amp;", "<!-- - -->", "<!--", "<?p ?>", "<![CDATA[]]>", "]]", "\r\n", "<a", "</a", "<a>x</a>", "<",
                " ", "'", "&",
        ] {
            inputs += [repeated("xml", unit), repeated("xml", unit, head: "<r>", tail: "</r>"), repeated("xml", unit, head: "<!DOCTYPE a [")]
        }
        inputs += [
            repeated("xml", "<!ELEMENT a ANY>", head: "<!DOCTYPE a [", tail: "]><a/>"), repeated("xml", "<?p?><!---->", head: "<!DOCTYPE a [", tail: "]><a/>"),
            numbered("xml", "attributes", head: "<r ", tail: "/>") { "a\($0)='' " }, numbered("xml", "prefixes", head: "<r ",
                tail: "/>") { "xmlns:a\($0)='u' " },
            Input(format: "xml", name: "a long namespace") { bytes in
                var text = "<r xmlns:p='" + String(repeating: "n", count: bytes / 2) + "' "
                for number in 0..<(bytes / 24) { text += "p:a\(number)='' " }
                return text + "/>"
            },
            Input(format: "xml", name: "a long namespace of many elements") { bytes in
                "<r xmlns='" + String(repeating: "n", count: bytes / 2) + "'>" + String(repeating: "<a/>", count: bytes / 8) + "</r>"
            },
            numbered("xml", "names", head: "<r>", tail: "</r>") { "<a\($0)/><a/>" },
            repeated("xml", String(repeating: "<a>", count: 30) + String(repeating: "</a>", count: 30), head: "<r>", tail: "</r>"),
        ]
        for unit in [
            "- a\n", "- ", "a: ", "[", "{", "[a,", "{a: ", "? a\n", "? ", "- ? a\n", "- *a\n", "- &a x\n", "---\n", "--- a\n", "# c\n", "- |\n\n\n",
                "- >-\n  a\n", "- 'a'\n",
            "- \"\\n\"\n", "a\n", "a ", "\t", "\n", " \n", "- a\n\n\n\n", "- !t a\n", "- !!python/x [a]\n", "]", "}:", "[]: ", "{{{{a}: 1}: 1}: 1}\n",
                "\"", "'", "\u{2028}", "- [] : x\n",
            "- a:\n    b:\n      c: d\n", "- [[[[[[[[a]]]]]]]]\n", "%TAG ! x\n", "- *",
        ] {
            inputs.append(repeated("yaml", unit))
        }
        inputs += [
            repeated("yaml", "a,", head: String(repeating: "[", count: 60)), repeated("yaml", "a,", head: String(repeating: "[", count: 900)),
            repeated("yaml", "[]: 1,", head: "{"), repeated("yaml", "- *a\n", head: "- &a [x,x,x,x,x,x,x,x]\n"), repeated("yaml", "- <<: *a\n",
                head: "- &a {b: c}\n"),
            repeated("yaml", "- !e!x a\n", head: "%TAG !e! tag:\(String(repeating: "n", count: 100))\n---\n"),
            Input(format: "yaml", name: "a long prefix of tags") { "%TAG !e! tag:" + String(repeating: "n", count: $0 / 2) + "\n"
                + "---\n" + String(repeating: "- !e!x a\n", count: $0 / 18) },
            numbered("yaml", "keys") { "k\($0): v\n" }, numbered("yaml", "anchors") { "- &a\($0) x\n" }, numbered("yaml",
                "anchors and aliases") { "- &a\($0) x\n- *a\($0)\n" },
            numbered("yaml", "keys inside keys of one line") { _ in String(repeating: "{", count: 150) + "a" + String(repeating: "}: 1", count: 150) + "\n" },
            numbered("yaml", "quoted brackets") { _ in "- " + String(repeating: "[\"]\",", count: 60) + "x" + String(repeating: "]", count: 60) + "\n" },
            Input(format: "yaml", name: "a long key") { String(repeating: "k", count: $0) + ": v" },
            Input(format: "yaml", name: "explicit keys in a row") { String(repeating: "? ", count: 60) + String(repeating: "a ", count: $0 / 2) },
        ]
        for unit in ["a=1\n", "[a]\n", "[[a]]\n", "[[a.b]]\n", "a.b.c=1\n", "#\n", "\n", "a=[", "[", "1,", "{a=", "\"", "'''\n", "\\u0041", "a.", "1_", " "] {
            inputs += [repeated("toml", unit), repeated("toml", unit, head: "a = [", tail: "]"), repeated("toml", unit, head: "a = \"\"\"", tail: "\"\"\"")]
        }
        inputs += [
            numbered("toml", "keys") { "k\($0) = 'v'\n" }, numbered("toml", "tables") { "[t\($0)]\na.b.c.d = 1\n" }, numbered("toml",
                "inline") { "k\($0) = {a = {b = [1, {c = 2}]}}\n" },
            numbered("toml", "dotted") { "a.b.c.d.e.f.k\($0) = 1\n" }, numbered("toml", "arrays of tables") { "[[t]]\nn = \($0)\n[t.u]\nm = 1\n" },
        ]
        for unit in [
            "[", "](", "[a](", "![a](b", "[a](b) ", "[[a]]", "*a ", "**a", "_a_ ", "*_", "`", "`` ` ", "``` ", "<", "<a", "<!--", "<?", "<!A ",
                "<![CDATA[", "</a", "&amp;", "&#1;", "\\", "a@b.c ",
            "> ", ">", "- ", "1. ", "# a\n", "#", "a\n===\n", "a\n\n", "```\n", "~~~\na\n", "    a\n", "\t", "[a]: b\n", "[a]: <b> 'c'\n", "[a][b] ",
                "| a | b |\n", "- [ ] a\n",
            "<div>\n", "***\n", "---\n", "a  \n", "\n", " ", "\u{0}a".replacing("\u{0}", with: "é"), "a*b_c`d[e]f(g)h<i>j&k\\l ", "- a\n  - b\n",
                "> a\n", "+ a\n\n", "(a ", "![", "![[]()", "![a][b]",
        ] {
            inputs.append(repeated("markdown", unit))
        }
        inputs += [
            numbered("markdown", "code spans of all lengths") { "a" + String(repeating: "`", count: $0 % 2_000 + 1) },
            numbered("markdown", "links to many definitions", head: "[a]: b\n") { "[a\($0)]: b\n" }, repeated("markdown", "a: b\n", head: "---\n",
                tail: "---\n# T\n"),
            repeated("markdown", "---\n", head: "---\na: 1\n"), numbered("markdown", "deeper lists") { String(repeating: " ", count: $0 % 200) + "- a\n" },
            numbered("markdown", "deeper quotes") { String(repeating: ">", count: $0 % 300) + " a\n" },
        ]
        for unit in ["import a\n", "}\n", "def a():\n\n", "\n", " \n", "a", " ", "a\n\n", "#!/bin/sh\n", "modifier public static ",
            "x = 1;\n"] { inputs.append(repeated("code", unit)) }
        for unit in ["Aa. ", "Aa.\n\n", ".", " ", "\n", "2026-01-31 12:00:00 a\n", "INFO ", "[", "a\r", "31/"] { inputs.append(repeated("text", unit)) }
        for unit in ["[a]\n", "[a \"b\"]\n", "a=b\n", "a\n", "]", "[", "[a] ] ] ;", " a\n", "a=\\\n", "\\\n", "\\", "a=b\n c\n", ";\n", "a:",
            "a = \"b\"\n", "[a\n"] {
            inputs += [repeated("ini", unit), repeated("ini", unit, head: "[s]\nk = v\n")]
        }
        for unit in ["a.b.c=d\n", "a=\\\n", "\\", "\\u0041", "a", "a=b\n", "=", "a:b\n", "\\ud83d\\ude00", ".", "#\n",
            " "] { inputs += [repeated("properties", unit), repeated("properties", unit, head: "k=")] }
        for unit in ["A=b\n", "A=\"\n", "A='\n", "A=\"\\\"\n", "export A\n", "A=`", "A=b # c", "#\n", "A= # #", "\n", "A=\"x\"y\n",
            "A='b\"\n"] { inputs.append(repeated("env", unit)) }
        return inputs
    }()

    @Test(arguments: ["csv", "json", "xml", "yaml", "toml", "markdown", "code", "text", "ini", "properties", "env"])
    func readingTakesTimeByLength(format: String) {
        var slowest: [(Double, String)] = []
        for input in Self.inputs where input.format == format {
            let (small, large) = (input.make(Self.bytes), input.make(4 * Self.bytes))
            for hint in [input.format, nil] {
                func split(_ text: String) -> () -> Void { { _ = try? ContentSplitter.split(.string(text), hint: hint) } }
                let name = "\(hint ?? "detected") \(input.name)"
                let seconds = WorkTime.seconds(split(large))
                slowest.append((seconds, name))
                if seconds <= Self.floorSeconds { continue }
                let excess = WorkTime.excess(factor: 4, floor: Self.floorSeconds, small: split(small), large: split(large))
                #expect(excess == nil, "\(name.debugDescription): \(excess ?? "")")
            }
        }
        slowest.sort { $0.0 > $1.0 }
        for (seconds, name) in slowest.prefix(3) { print("512 KiB as \(format), \(name.debugDescription): \(seconds) s") }
    }
}
