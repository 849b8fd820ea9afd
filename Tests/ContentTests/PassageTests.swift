import Base
import Content
import TestSupport
import Testing

/// Nodes fall into passages of a bounded size that hold all of the text, each whole from one bound to another.
@Suite struct PassageTests {
    private static func units(_ data: JSONValue, hint: String? = nil) throws -> (nodes: [ContentNode], units: [PassageUnit]) {
        let nodes = try ContentSplitter.split(data, hint: hint).nodes
        return (nodes, PassageUnits.units(of: nodes.map { .init(kind: $0.kind.rawValue, value: $0.value) }))
    }

    private static func texts(_ node: ContentNode, _ unit: PassageUnit) -> [String] {
        unit.passages.map { ShownPassage(node.value, kind: node.kind.rawValue, $0)?.text ?? "?" }
    }

    /// What the model and the text index get of a passage.
    private static func found(by bounds: PassageBounds, _ node: ContentNode, key: String) -> [String] {
        let (path, kind, value) = (node.path, node.kind.rawValue, node.value)
        return SearchText.embedded(key: key, context: "", path: path, kind: kind, value: value, passages: [bounds])
            + SearchText.indexed(key: key, context: "", path: path, kind: kind, value: value, passages: [bounds])
    }

    private static func sentence(_ number: Int) -> String { "Sentence number \(number) says something about the matter at hand" }

    // MARK: - Single shapes

    @Test func whatIsShortIsOnePassage() throws {
        for (data, hint) in [
            (["title": "A lion", "text": .string(Self.sentence(1))], nil), (.string(Self.sentence(1)), "text"), ("# A\n\nB", "markdown"),
            ("a,b\n1,2\n3,4", "csv"),
            ("def f():\n    return 1", "code"), (.integer(3), nil),
        ] as [(JSONValue, String?)] {
            #expect(try Self.units(data, hint: hint).units.allSatisfy { $0.passages.isEmpty })
        }
        // An object, and each row of a table, stands for itself.
        #expect(try Self.units(["a": ["b": "c"], "d": "e"]).units.map(\.nodes) == [0..<1, 1..<2])
        #expect(try Self.units("a,b\n1,2\n3,4", hint: "csv").units.map(\.nodes) == [0..<1, 1..<2])
    }

    @Test func aLongMemberFallsIntoPassagesOfWholeSentences() throws {
        let text = (0..<120).map(Self.sentence).joined(separator: ". ")
        let (nodes, units) = try Self.units(["title": "The matter", "text": .string(text), "n": .integer(3)])
        #expect(units.count == 1 && units[0].passages.count >= 8)
        let texts = Self.texts(nodes[0], units[0])
        // The last one has the member behind the text too.
        #expect(texts.dropLast().allSatisfy { $0.hasPrefix("Sentence number") } && texts.last?.hasSuffix("n: 3") == true)
        // Each sentence stands whole in a passage.
        for number in 0..<120 { #expect(texts.contains { $0.contains(Self.sentence(number)) }, "\(number)") }
        // The title is part of what each is found by, and the end of one is the beginning of the next.
        for bounds in units[0].passages {
            for text in Self.found(by: bounds, nodes[0], key: "k") { #expect(text.contains("title: The matter")) }
        }
        let middle = try #require(ShownPassage(nodes[0].value, kind: "object", units[0].passages[3]))
        #expect(middle.path == "text" && middle.lastPath == nil)
        #expect(String(String.UnicodeScalarView(Array(text.unicodeScalars)[middle.start..<middle.end])) == middle.text)
        let before = try #require(ShownPassage(nodes[0].value, kind: "object", units[0].passages[2]))
        #expect(middle.start < before.end)
    }

    /// Paragraphs of half a passage stay apart, so that each is found as if it stood alone; shorter ones go together.
    @Test func paragraphsStayApart() throws {
        func paragraphs(_ sentences: Int) throws -> [String] {
            let text = (0..<12).map { number in (0..<sentences).map { Self.sentence(100 * number + $0) }.joined(separator: ". ") + "." }
            let (nodes, units) = try Self.units(["title": "T", "text": .string(text.joined(separator: "\n\n"))])
            return Self.texts(nodes[0], units[0])
        }
        #expect(try paragraphs(7).count == 12 && paragraphs(5).count == 12)
        #expect(try paragraphs(2).count < 8)
    }

    /// What the model gets of JSON in a string has none of its signs: they do not make it long.
    @Test func jsonInAStringIsAsLongAsItsWords() throws {
        let members = (0..<20).map { "\"name\($0)\": {\"type\": \"text of it\"}" }
        #expect(try Self.units(["title": "T", "text": .string("{" + members.joined(separator: ", ") + "}")]).units[0].passages.isEmpty)
        let long = "{" + (0..<8).flatMap { _ in members }.joined(separator: ", ") + "}"
        let (nodes, units) = try Self.units(["title": "T", "text": .string(long)])
        #expect(units[0].passages.count > 3)
        for bounds in units[0].passages {
            let found = Self.found(by: bounds, nodes[0], key: "k")
            #expect(!found[0].contains("\"") && !found[0].contains("{") && found[1].contains("\""))
        }
    }

    /// Only the first unit of a text of prose begins it.
    @Test func whatGoesOn() {
        for (path, kind, goesOn) in [
            ("sentence_0", "sentence", false), ("sentence_7", "sentence", true), ("paragraph_10", "paragraph", true), ("heading_0", "heading", false),
            ("heading_2", "heading", true), ("row_3", "row", false), ("root", "object", false), ("code_block_2", "code_block", false),
            ("cells[3].text", "paragraph", false), ("a_3", "custom", false), ("sentence_", "sentence", false),
        ] { #expect(PassageUnits.goesOn(path: path, kind: kind) == goesOn, "\(path)") }
    }

    @Test func rowsOfATableKeepTheirHeader() throws {
        let rows = (0..<180).map { "| host-\($0) | eu-west-\($0 % 3) | \($0 * 7) MB |" }.joined(separator: "\n")
        let (nodes, units) = try Self.units(.string("| Host | Region | Memory |\n|---|---|---|\n" + rows), hint: "markdown")
        #expect(nodes.count == 1 && units[0].passages.count > 5)
        let last = try #require(units[0].passages.last)
        let text = Self.found(by: last, nodes[0], key: "k")[0]
        #expect(text.contains("| Host | Region | Memory |") && text.contains("host-179") && !text.contains("host-0 "))
    }

    @Test func aLongFunctionKeepsItsDeclaration() throws {
        let body = (0..<120).map { "    total = total + lookup_\($0)(request, \($0))" }.joined(separator: "\n")
        let (nodes, units) = try Self.units(.string("def charge_invoice(request):\n" + body + "\n    return total"), hint: "code")
        #expect(nodes.count == 1 && units[0].passages.count > 3)
        let last = try #require(units[0].passages.last)
        let text = Self.found(by: last, nodes[0], key: "k")[1]
        #expect(text.contains("def charge_invoice(request):") && text.contains("lookup_119"))
    }

    @Test func sentencesAreGathered() throws {
        let (nodes, units) = try Self.units("The build is green. Deploys are frozen on Fridays. Ask the release manager.")
        #expect(nodes.count == 3 && units == [PassageUnit(nodes: 0..<3, passages: [], context: "")])
        #expect(
            SearchText.embedded(key: "notes", gathered: nodes.map(\.value))
                == "notes | The build is green. Deploys are frozen on Fridays. Ask the release manager.")
        let long = try Self.units(.string((0..<90).map(Self.sentence).joined(separator: ". ")))
        #expect(long.nodes.count == 90 && (6...12).contains(long.units.count))
        #expect(long.units.allSatisfy { $0.nodes.count > 3 })
    }

    @Test func aHeadingStaysWithWhatStandsUnderIt() throws {
        let long = (0..<60).map(Self.sentence).joined(separator: ". ")
        let (nodes, units) = try Self.units(.string("# Guide\n\nShort.\n\n## Install\n\nRun it.\n\n\(long)\n\n## Remove\n\nDelete it."), hint: "markdown")
        #expect(nodes.map(\.kind) == [.heading, .paragraph, .heading, .paragraph, .paragraph, .heading, .paragraph])
        #expect(units.map(\.nodes) == [0..<2, 2..<4, 4..<5, 5..<7])
        #expect(units.map(\.context) == ["", "Guide", "Guide › Install", "Guide"])
        #expect(units[2].passages.count > 2)
    }

    @Test func aTitleIsPartOfWhatALongTextIsFoundBy() throws {
        let long = (0..<90).map(Self.sentence).joined(separator: ". ")
        for (data, isTitled) in [
            ("The matter at hand. " + long, true), ("The matter at hand\n\n\(long)\n\nAnd so on.", true), ("It was done.\n\n\(long)\n\nAnd so on.", false),
        ] {
            let (nodes, units) = try Self.units(.string(data), hint: "text")
            #expect(units[0].context == "" && units[0].nodes.lowerBound == 0)
            let title = isTitled ? nodes[0].value.stringValue : ""
            #expect(units.count > 1 && units.dropFirst().allSatisfy { $0.context == title }, "\(data.prefix(20))")
        }
    }

    @Test func entriesOfALogStandForThemselves() throws {
        let log = (10..<40).map { "2026-01-31T12:00:\($0)Z INFO worker \($0) is done" }.joined(separator: "\n")
        let (nodes, units) = try Self.units(.string(log))
        #expect(nodes.count == 30 && units.count == 30)
    }

    @Test func anOwnVectorStandsForTheWhole() throws {
        let node = PassageUnits.Node(kind: "paragraph", value: .string(String(repeating: "word ", count: 5_000)))
        #expect(PassageUnits.units(of: [node], isWhole: true) == [PassageUnit(nodes: 0..<1, passages: [], context: "")])
    }

    @Test func aDocumentHasABoundedNumberOfPassages() throws {
        let text = String(repeating: "some words that say nothing new. ", count: 100_000)
        let (_, units) = try Self.units(["text": .string(text)])
        #expect(units[0].passages.count <= Limits.passagesPerDocument)
        #expect(units[0].passages.count > Limits.passagesPerDocument / 4)
    }

    @Test func aPassageIsDataOfTheSameShape() throws {
        let text = (0..<60).map(Self.sentence).joined(separator: ". ")
        let value: JSONValue = ["title": "T", "parts": .array([.string(text), "short"]), "n": .integer(3)]
        let (nodes, units) = try Self.units(value)
        let passages = units[0].passages
        let reduced = try #require(passages[1].reduced(nodes[0].value))
        #expect(reduced["title"] == "T" && reduced["n"] == nil)
        let shown = try #require(ShownPassage(nodes[0].value, kind: "object", passages[1]))
        #expect(shown.path == "parts[0]" && reduced["parts"]?.arrayValue == [.string(shown.text)])
    }

    // MARK: - Any text

    private static func randomText(_ random: inout SeededRandom) -> String {
        let words = ["lion", "x", "日本語", "naïve", "counterrevolutionaries", "e\u{301}", "42", "/usr/lib", "Ж", "ไทย", "👩‍👩‍👧", "a_b", "..."]
        let joints = [" ", " ", " ", " ", ". ", ".\n", "\n", "\n\n", "! ", "。", " | ", "\t", ";\n", "  \n \n"]
        return (0..<Int.random(in: 1...1_500, using: &random)).map { _ in
            words.randomElement(using: &random)! + joints.randomElement(using: &random)!
        }.joined()
    }

    private static func randomValue(_ random: inout SeededRandom) -> JSONValue {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return .string(randomText(&random))
        case 1: return ["title": "short", "text": .string(randomText(&random)), "flag": .bool(true), "none": .null]
        case 2: return ["list": .array((0..<Int.random(in: 0...300, using: &random)).map { .string("item \($0) of the list") })]
        default:
            return .object(JSONObject((0..<Int.random(in: 1...200, using: &random)).map { ("member_\($0)", .string("value \($0) is \($0 * $0)")) }))
        }
    }

    /// All letters of a text, which is what passages must have among them.
    private static func letters(_ text: String) -> [UInt8] { text.utf8.filter { $0 > 0x20 } }

    @Test func passagesHoldAllOfAnyValue() throws {
        var random = SeededRandom(seed: testSeed("passagesHoldAllOfAnyValue"))
        for _ in 0..<150 {
            let value = Self.randomValue(&random)
            let kind = value.objectValue == nil ? (Bool.random(using: &random) ? "paragraph" : "code_block") : "object"
            let unit = try #require(PassageUnits.units(of: [.init(kind: kind, value: value)]).first)
            #expect(PassageUnits.units(of: [.init(kind: kind, value: value)]) == [unit])
            guard !unit.passages.isEmpty else { continue }
            let leaves = PassageLeaf.all(of: value)
            #expect(unit.passages.count > 1)
            // Every byte that is no white space lies in a passage; passages begin and end one after the other.
            var covered = leaves.map { [Bool](repeating: false, count: $0.text.utf8.count) }
            for bounds in unit.passages {
                for leaf in bounds.start.leaf...bounds.end.leaf {
                    let from = leaf == bounds.start.leaf ? bounds.start.byte : 0
                    let to = leaf == bounds.end.leaf ? bounds.end.byte : covered[leaf].count
                    for byte in from..<to { covered[leaf][byte] = true }
                    // On whole characters.
                    for edge in [from, to] where edge < covered[leaf].count { #expect(Array(leaves[leaf].text.utf8)[edge] & 0xC0 != 0x80) }
                }
                #expect(ShownPassage(value, kind: kind, bounds) != nil)
                #expect(bounds.reduced(value) != nil)
            }
            for (leaf, bytes) in zip(leaves, covered) {
                for (byte, isCovered) in zip(leaf.text.utf8, bytes) where !isCovered { #expect(byte <= 0x20 , "\(byte) of \(leaf.path) is in no passage") }
            }
            for (a, b) in zip(unit.passages, unit.passages.dropFirst()) { #expect(a.start < b.start && a.end < b.end) }
        }
    }

    @Test func unitsHoldEveryNodeOnce() throws {
        var random = SeededRandom(seed: testSeed("unitsHoldEveryNodeOnce"))
        let kinds = NodeKind.allCases.map(\.rawValue) + ["what an import brought"]
        for _ in 0..<200 {
            let nodes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                let count = [2, 9, 60, 400].randomElement(using: &random)!
                let text = (0..<count).map { "w\($0)" }.joined(separator: " ")
                return PassageUnits.Node(
                    kind: kinds.randomElement(using: &random)!, value: Bool.random(using: &random) ? .string(text) : ["value": .string(text)])
            }
            let units = PassageUnits.units(of: nodes)
            #expect(units.flatMap { Array($0.nodes) } == Array(nodes.indices))
            #expect(units.allSatisfy { $0.passages.count != 1 && ($0.nodes.count == 1 || $0.passages.isEmpty) })
        }
    }
}
