// Random values go there and back; random damage never traps.
import Base
import TOON
import TestSupport
import Testing

private struct ValueSource {
    var random: SeededRandom

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    mutating func text() -> String {
        let pieces = [
            "a", "name", "true", "null", "-", "#", ":", ",", "|", "\t", " ", "\"", "\\", "[", "]", "{", "}", "\n", "\r", "\u{0}",
            "\u{1f}", "\u{7f}", "\u{a0}", "\u{2028}", "é", "e\u{301}", "🚀", "0", "05", "1", ".", "e", "+", "[2]:", "- ", "__proto__",
        ]
        return (0..<below(4)).map { _ in pieces[below(pieces.count)] }.joined()
    }

    mutating func digits(_ count: Int) -> String { (0..<count).map { _ in String(below(10)) }.joined() }

    mutating func number() -> JSONNumber {
        switch below(4) {
        case 0: return JSONNumber(Int.random(in: -1000...1000, using: &random))
        case 1: return JSONNumber(Double(bitPattern: random.next() & ~(0x7FF << 52) | UInt64(below(2046)) << 52))
        case 2: return JSONNumber(uncheckedText: "-0")
        default:
            let sign = below(2) == 0 ? "" : "-"
            let whole = below(2) == 0 ? "0" : String(1 + below(9)) + digits(below(24))
            let fraction = below(2) == 0 ? "" : "." + digits(1 + below(24))
            let exponent = below(2) == 0 ? "" : ["e", "E"][below(2)] + ["", "+", "-"][below(3)] + digits(1 + below(3))
            return JSONNumber(uncheckedText: sign + whole + fraction + exponent)
        }
    }

    mutating func primitive() -> JSONValue {
        switch below(5) {
        case 0: .null
        case 1: .bool(below(2) == 0)
        case 2: .number(number())
        default: .string(text())
        }
    }

    mutating func value(_ depth: Int) -> JSONValue {
        switch below(depth == 0 ? 1 : 6) {
        case 0, 1: primitive()
        case 2: .array((0..<below(4)).map { _ in value(depth - 1) })
        case 3: .object(JSONObject((0..<below(4)).map { _ in (text(), value(depth - 1)) }))
        case 4: .array(uniform(depth))
        default: .object(JSONObject(uniform(depth).map { (text(), $0) }))
        }
    }

    /// Objects of one shape, which become tables. Keys keep their order, since a table gives its own to every row.
    mutating func uniform(_ depth: Int) -> [JSONValue] {
        let names = (0..<(1 + below(3))).map { _ in text() }
        let nested = below(3) == 0 && depth > 1 ? (0..<(1 + below(2))).map { _ in text() } : []
        return (0..<(1 + below(4))).map { _ in
            var members = names.map { ($0, primitive()) }
            if !nested.isEmpty { members.append(("group", .object(JSONObject(nested.map { ($0, primitive()) })))) }
            return .object(JSONObject(members))
        }
    }
}

@Suite struct RandomTests {
    @Test func valuesGoThereAndBack() throws {
        let seed = testSeed("TOON values")
        var source = ValueSource(random: SeededRandom(seed: seed))
        for round in 0..<20_000 {
            let value = source.value(4)
            let indent = 1 + source.below(4)
            let delimiter = TOONDelimiter.allCases[source.below(3)]
            let text = TOONEncoder.encode(value, options: .init(indent: indent, delimiter: delimiter))
            let back = try TOONDecoder.decode(text, options: .init(indent: indent))
            guard back == value else {
                Issue.record("round \(round), seed \(seed):\n\(text)")
                return
            }
        }
    }

    @Test func damageNeverTraps() {
        var source = ValueSource(random: SeededRandom(seed: testSeed("TOON damage")))
        let structure = Array("[]{}:,|\t-# \n\"\\0129aeu.+".utf8)
        for _ in 0..<20_000 {
            var bytes = Array(TOONEncoder.encode(source.value(4)).utf8)
            for _ in 0...source.below(4) {
                let at = source.below(bytes.count + 1)
                switch source.below(3) {
                case 0: bytes.insert(structure[source.below(structure.count)], at: at)
                case 1: if at < bytes.count { bytes.remove(at: at) }
                default: if at < bytes.count { bytes[at] = UInt8(source.below(256)) }
                }
            }
            for strict in [true, false] {
                guard let value = try? TOONDecoder.decode(utf8: bytes, options: .init(strict: strict)) else { continue }
                let text = TOONEncoder.encode(value)
                #expect((try? TOONDecoder.decode(text)) != nil, "\(String(decoding: bytes, as: UTF8.self))")
            }
        }
    }
}
