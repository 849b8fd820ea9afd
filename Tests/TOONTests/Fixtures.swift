import Base
import Foundation
import TestSupport

struct FixtureReader {
    var bytes: [UInt8]; var p = 0
    mutating func ws() { while p < bytes.count, [32,9,10,13].contains(bytes[p]) { p += 1 } }
    mutating func value() -> JSONValue {
        ws()
        defer { ws() }
        switch bytes[p] {
        case UInt8(ascii: "{"):
            p += 1; var o = JSONObject(); ws()
            if bytes[p] == UInt8(ascii: "}") { p += 1; return .object(o) }
            while true {
                ws(); guard case .string(let k) = value() else { fatalError() }
                p += 1
                o[k] = value()
                let c = bytes[p]; p += 1
                if c == UInt8(ascii: "}") { return .object(o) }
            }
        case UInt8(ascii: "["):
            p += 1; var a: [JSONValue] = []; ws()
            if bytes[p] == UInt8(ascii: "]") { p += 1; return .array(a) }
            while true {
                a.append(value())
                let c = bytes[p]; p += 1
                if c == UInt8(ascii: "]") { return .array(a) }
            }
        case UInt8(ascii: "\""):
            let s = p; p += 1
            while bytes[p] != 34 { p += bytes[p] == 92 ? 2 : 1 }
            p += 1
            return .string(try! JSONDecoder().decode(String.self, from: Data(bytes[s..<p])))
        case UInt8(ascii: "t"): p += 4; return .bool(true)
        case UInt8(ascii: "f"): p += 5; return .bool(false)
        case UInt8(ascii: "n"): p += 4; return .null
        default:
            let s = p
            while p < bytes.count, "+-0123456789.eE".utf8.contains(bytes[p]) { p += 1 }
            return .number(JSONNumber(uncheckedText: String(decoding: bytes[s..<p], as: UTF8.self)))
        }
    }
}
func parseJSON(_ data: Data) throws -> JSONValue { var r = FixtureReader(bytes: Array(data)); return r.value() }
