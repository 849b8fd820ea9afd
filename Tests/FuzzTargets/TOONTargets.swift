internal import Base
internal import Content
internal import TOON

extension FuzzTargets {
    static let toon = FuzzTarget(
        "toon", "what decodes is valid JSON, its encoding decodes to the same in both modes; errors name a line",
        seeds: texts("a: 1\nb[2]{x,y}:\n  1,\"t\"\n  2,null\nc[3]: 1,2,3\nd:\n  e[1]:\n    - f: g\n", "[2]:\n  - a: 1\n  - [2]: x,y\n")
    ) { input in
        for strict in [true, false] {
            let value: JSONValue
            do throws(TOONError) {
                value = try TOONDecoder.decode(utf8: input, options: .init(strict: strict))
            } catch {
                try require(error.line >= 0 && !error.message.isEmpty, "an error without words: \(error)")
                continue
            }
            try requireJSON(value)
            try roundTrip(value)
        }
    }

    static let toonEncoder = FuzzTarget("toon-encoder", "any value of JSON goes into TOON and back, with every delimiter and indentation") { input in
        guard let value = try? JSONParser.parse(input) else { return }
        try roundTrip(value)
    }

    private static func roundTrip(_ value: JSONValue) throws {
        for (delimiter, indent) in zip(TOONDelimiter.allCases, [2, 1, 4]) {
            let text = TOONEncoder.encode(value, options: .init(indent: indent, delimiter: delimiter))
            let back: JSONValue
            do throws(TOONError) {
                back = try TOONDecoder.decode(text, options: .init(indent: indent))
            } catch {
                throw FuzzFinding("\(text)\nis refused: \(error)")
            }
            try require(back == value, "\(text)\nreads back as \(JSONPrinter.text(back)), not \(JSONPrinter.text(value))")
        }
    }
}
