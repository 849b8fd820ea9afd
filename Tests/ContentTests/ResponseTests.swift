import Base
import Content
import Testing
import TestSupport
import TOMLKit
import Yams

private func text(_ value: JSONValue, _ format: ContentFormat) throws -> String {
    String(decoding: try ResponseEncoder.encode(value, as: format), as: UTF8.self)
}

@Suite struct ResponseTests {
    static let answer =
        #"{"query":"db, please","matches":[{"data_key":"tech.root","similarity":0.75,"data":{"db":"PG","n":[1,2]},"description":null},"#
        + #"{"data_key":"x.root","similarity":0.5,"data":{"value":"a\nb"},"description":"x: 1"}],"total_matches":2}"#

    @Test func examples() throws {
        let value = try jsonValue(Self.answer)
        #expect(try text(value, .json) == Self.answer)
        #expect(try text(value, .yaml) == """
            query: "db, please"
            matches:
              - data_key: tech.root
                similarity: 0.75
                data:
                  db: PG
                  "n":
                    - 1
                    - 2
                description: null
              - data_key: x.root
                similarity: 0.5
                data:
                  value: |-
                    a
                    b
                description: "x: 1"
            total_matches: 2

            """)
        #expect(try text(value, .toml) == """
            # TOML has no null: 1 null value is left out.
            query = "db, please"
            total_matches = 2

            [[matches]]
            data_key = "tech.root"
            similarity = 0.75

            [matches.data]
            db = "PG"
            n = [1, 2]

            [[matches]]
            data_key = "x.root"
            similarity = 0.5
            description = "x: 1"

            [matches.data]
            value = "a\\nb"

            """)
        #expect(try text(value, .csv) == """
            data_key,similarity,data,description\r
            tech.root,0.75,"{""db"":""PG"",""n"":[1,2]}",\r
            x.root,0.5,"{""value"":""a\\nb""}",x: 1\r

            """)
        #expect(try text(value, .xml) == """
            <?xml version="1.0" encoding="UTF-8"?>
            <response>
              <query>db, please</query>
              <matches type="array">
                <item>
                  <data_key>tech.root</data_key>
                  <similarity type="number">0.75</similarity>
                  <data>
                    <db>PG</db>
                    <n type="array">
                      <item type="number">1</item>
                      <item type="number">2</item>
                    </n>
                  </data>
                  <description type="null"/>
                </item>
                <item>
                  <data_key>x.root</data_key>
                  <similarity type="number">0.5</similarity>
                  <data>
                    <value>a&#10;b</value>
                  </data>
                  <description>x: 1</description>
                </item>
              </matches>
              <total_matches type="number">2</total_matches>
            </response>

            """)
        #expect(try text(value, .markdown) == """
            - **query**: db, please
            - **total\\_matches**: 2

            ## matches

            ### matches 1

            - **data\\_key**: tech.root
            - **similarity**: 0.75
            - **data**:
              - **db**: PG
              - **n**:
                - 1
                - 2
            - **description**: null

            ### matches 2

            - **data\\_key**: x.root
            - **similarity**: 0.5
            - **data**:
              - **value**:

                ```
                a
                b
                ```
            - **description**: x: 1

            """)
        #expect(try text(value, .text) == """
            query: db, please
            matches:
              -
                data_key: tech.root
                similarity: 0.75
                data:
                  db: PG
                  n:
                    - 1
                    - 2
                description: null
              -
                data_key: x.root
                similarity: 0.5
                data:
                  value: a
                    b
                description: x: 1
            total_matches: 2

            """)
    }

    @Test func anyValueComesBack() throws {
        var random = RandomJSON(seed: testSeed("response round trip"))
        random.isForYams = true
        for round in 0..<3_000 {
            let value = round % 3 == 0 ? random.value(depth: 5) : random.object(depth: 5)
            for format in ContentFormat.allCases { _ = try ResponseEncoder.encode(value, as: format) }

            let yaml = try text(value, .yaml)
            #expect(isSame(try YAMLReader.value(yaml), value), "yaml:\n\(yaml)\nfor \(JSONPrinter.text(value))")
            let node = try Yams.compose(yaml: yaml.utf8.count > 15 ? yaml : "# short document\n" + yaml)
            #expect(isSame(try self.value(yams: node), value), "Yams:\n\(yaml)\nfor \(JSONPrinter.text(value))")

            let toml = try text(value, .toml)
            let inTOML = withoutNulls(value.objectValue == nil ? .object(["value": value]) : value)
            #expect(isSame(try TOMLReader.value(toml), inTOML), "toml:\n\(toml)")
            let table = try TOMLTable(string: toml)
            #expect(isSame(self.value(tomlKit: table), inTOML), "TOMLKit:\n\(toml)")

            let xml = try text(value, .xml)
            #expect(try self.value(xml: XMLReader.element(xml)) == value, "xml:\n\(xml)")

            #expect(try JSONParser.parse(ResponseEncoder.encode(value, as: .code)) == value)
            try checkCSV(value)
        }
    }

    @Test func longKeysAndEmptyTables() throws {
        let key = String(repeating: "k ", count: 2_000)
        let long = JSONValue.object(JSONObject([(key, .object(JSONObject([(key, .array([.integer(1)]))])))]))
        for value: JSONValue in [long, .array([]), .object([:]), .array([.object([:])]), .array([.array([])])] {
            #expect(isSame(try YAMLReader.value(text(value, .yaml)), value))
            #expect(try self.value(xml: XMLReader.element(text(value, .xml))) == value)
            try checkCSV(value)
        }
    }

    // MARK: - Reading back

    /// With the default rules of Yams, those of YAML 1.1.
    private func value(yams node: Node?) throws -> JSONValue {
        switch node {
        case nil: return .null
        case .scalar(let scalar):
            let any = node!.any
            if scalar.style != .plain { return .string(scalar.string) }
            // Yams has no type for an integer of more than 64 bits and leaves it a text.
            if any is String {
                let isLongInteger = scalar.string.count > 18 && Double(scalar.string) != nil
                return isLongInteger ? .number(JSONNumber(uncheckedText: scalar.string)) : .string(scalar.string)
            }
            if let flag = any as? Bool { return .bool(flag) }
            if any is Int || any is UInt || any is Double { return .number(JSONNumber(uncheckedText: scalar.string)) }
            #expect(scalar.string == "null")
            return .null
        case .sequence(let sequence): return .array(try sequence.map { try value(yams: $0) })
        case .mapping(let mapping):
            return .object(JSONObject(try mapping.map { ($0.key.scalar!.string, try value(yams: $0.value)) }))
        case .alias: return .null
        }
    }

    private func value(tomlKit any: any TOMLValueConvertible) -> JSONValue {
        if let table = any.table { return .object(JSONObject(table.keys.map { ($0, value(tomlKit: table[$0]!)) })) }
        if let array = any.array { return .array(array.map { value(tomlKit: $0) }) }
        if let flag = any.bool { return .bool(flag) }
        if let text = any.string { return .string(text) }
        if let integer = any.int { return .integer(integer) }
        return .double(any.double!)
    }

    private func withoutNulls(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let items): return .array(items.filter { !$0.isNull }.map(withoutNulls))
        case .object(let members): return .object(JSONObject(members.filter { !$0.value.isNull }.map { ($0.key, withoutNulls($0.value)) }))
        case .number(let number):
            // Integers of more than 64 bits are written as text.
            return number.text.contains { ".eE".contains($0) } || Int64(number.text) != nil ? value : .string(number.text)
        default: return value
        }
    }

    private func value(xml element: XMLElement) throws -> JSONValue {
        func attribute(_ name: String) -> String? { element.attributes.first { $0.name == name }?.value }
        switch attribute("type") {
        case "null": return .null
        case "boolean": return .bool(element.text == "true")
        case "number": return .number(JSONNumber(uncheckedText: element.text))
        case "json": return try JSONParser.parse(text: element.text)
        case "array": return .array(try element.elements.map(value(xml:)))
        case "object": return .object(JSONObject())
        default:
            if element.elements.isEmpty { return .string(element.text) }
            return .object(JSONObject(try element.elements.map { inner in
                if let key = inner.attributes.first(where: { $0.name == "key" })?.value { return (key, try value(xml: inner)) }
                if let key = inner.attributes.first(where: { $0.name == "json-key" })?.value {
                    return (try JSONParser.parse(text: key).stringValue!, try value(xml: inner))
                }
                return (inner.name, try value(xml: inner))
            }))
        }
    }

    /// Every leaf of the value stands in some cell.
    private func checkCSV(_ value: JSONValue) throws {
        let csv = try text(value, .csv)
        let rows = try CSVReader.rows(csv)
        func cell(_ value: JSONValue) -> String { value.isNull ? "" : value.stringValue ?? JSONPrinter.text(value) }
        func table(_ value: JSONValue) -> [JSONObject]? {
            guard let items = value.arrayValue, !items.isEmpty else { return nil }
            let objects = items.compactMap(\.objectValue)
            return objects.count == items.count ? objects : nil
        }
        let tables = value.objectValue?.compactMap { table($0.value) } ?? []
        guard let items = table(value) ?? (tables.count == 1 ? tables[0] : nil), items.contains(where: { !$0.isEmpty }) else {
            #expect(csv.hasPrefix("path,value\r\n") && !rows.isEmpty)
            return
        }
        #expect(rows.count == items.count, "\(csv)")
        for (row, item) in zip(rows, items) {
            for member in item where !member.key.isEmpty { #expect(row[member.key]?.stringValue == cell(member.value), "\(csv)") }
        }
    }
}
