import Base
import Testing
import TestSupport

@Suite struct JSONObjectTests {
    @Test func keepsOrderAndFirstPlaceOfRepeatedKeys() {
        let object = JSONObject([("b", 1), ("a", 2), ("b", 3), ("c", 4)].map { ($0.0, .integer($0.1)) })
        #expect(object.keys == ["b", "a", "c"])
        #expect(object["b"]?.integerValue == 3)
        #expect(object.map(\.key) == object.keys)
        #expect(object["nothing"] == nil)
    }

    @Test func removal() {
        var object = JSONObject([("a", .null), ("b", .bool(true)), ("c", .null)])
        object["b"] = nil
        object["never"] = nil
        #expect(object.keys == ["a", "c"])
        object["b"] = .bool(false)
        #expect(object.keys == ["a", "c", "b"])
    }

    /// Canonically equivalent keys are two keys, as for every JSON parser; below and above the size where hashing begins.
    @Test(arguments: [0, 40]) func keysAreComparedByBytes(others: Int) {
        var object = JSONObject((0..<others).map { ("k\($0)", .null) })
        object["\u{e9}"] = .integer(1)
        object["e\u{301}"] = .integer(2)
        object["a\u{301}\u{323}"] = .integer(3)
        object["a\u{323}\u{301}"] = .integer(4)
        #expect(object.count == others + 4)
        #expect(object["\u{e9}"]?.integerValue == 1)
        #expect(object["e\u{301}"]?.integerValue == 2)
        #expect(object["a\u{301}\u{323}"]?.integerValue == 3)
    }

    /// Against a list of pairs searched from the front, over the size where hashing begins.
    @Test func againstListOfPairs() {
        var random = SeededRandom(seed: testSeed("againstListOfPairs"))
        for _ in 0..<50 {
            var object = JSONObject()
            var twin: [(String, JSONValue)] = []
            let names = Int.random(in: 1...60, using: &random)
            for step in 0..<300 {
                let key = "key\(Int.random(in: 0..<names, using: &random))"
                if Int.random(in: 0..<4, using: &random) == 0 {
                    object[key] = nil
                    twin.removeAll { $0.0 == key }
                } else {
                    object[key] = .integer(step)
                    if let at = twin.firstIndex(where: { $0.0 == key }) { twin[at].1 = .integer(step) } else { twin.append((key, .integer(step))) }
                }
                #expect(object.keys == twin.map(\.0))
                #expect(object[key] == twin.first { $0.0 == key }?.1)
            }
            #expect(object == JSONObject(twin))
            #expect(twin.allSatisfy { object[$0.0] == $0.1 })
        }
    }

    @Test func equalityHeedsOrder() {
        let ab = JSONObject([("a", .null), ("b", .null)])
        let ba = JSONObject([("b", .null), ("a", .null)])
        #expect(ab != ba)
        #expect(ab == JSONObject([("a", .bool(true)), ("b", .null), ("a", .null)]))
    }
}

@Suite struct JSONValueTests {
    @Test func equalityHeedsText() {
        #expect(JSONValue.string("\u{e9}") != .string("e\u{301}"))
        #expect(JSONValue.number(JSONNumber(uncheckedText: "1.0")) != .integer(1))
        #expect(JSONValue.array([.null, .bool(true)]) == .array([.null, .bool(true)]))
        #expect(JSONValue.null != .bool(false))
        #expect(JSONValue.object(["\u{e9}": .null]) != .object(["e\u{301}": .null]))
    }

    @Test func numbers() {
        #expect(JSONNumber(1.0).text == "1.0")
        #expect(JSONNumber(0.1).text == "0.1")
        #expect(JSONNumber(1e300).text == "1e+300")
        #expect(JSONNumber(-0.0).text == "-0.0")
        #expect(JSONNumber(Int64.min).integer == Int(Int64.min))
        #expect(JSONNumber(uncheckedText: "1e2").integer == nil)
        #expect(JSONNumber(uncheckedText: "1e2").double == 100)
        #expect(JSONNumber(uncheckedText: "9223372036854775808").integer == nil)
        var random = SeededRandom(seed: testSeed("numbers"))
        for _ in 0..<1_000 {
            let value = Double(bitPattern: random.next())
            if value.isFinite { #expect(JSONNumber(value).double == value) }
        }
    }

    @Test func accessors() {
        let value = JSONValue.object(["s": .string("x"), "a": .array([.integer(7)]), "t": .bool(true), "d": .double(0.5), "n": .null])
        #expect(value["s"]?.stringValue == "x")
        #expect(value["a"]?.arrayValue?.first?.integerValue == 7)
        #expect(value["t"]?.boolValue == true)
        #expect(value["d"]?.doubleValue == 0.5)
        #expect(value["n"]?.isNull == true)
        #expect(value["s"]?.objectValue == nil)
        #expect(JSONValue.null["s"] == nil)
    }
}
