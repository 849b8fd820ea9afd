// Tests/Golden/wire-v1/scenario.json with the Swift client. The file says what its words mean.

import Base
import Content
import ContexClient
import Foundation
import TestSupport
import Wire

struct WireScenario {
    let client: Client
    let project: String

    private static let operations: [UInt64: (any WireMessage.Type, any WireMessage.Type)] = [
        1: (WirePublish.self, WireReceipt.self), 2: (WirePublishBatch.self, WireReceipts.self), 3: (WireDataKey.self, WireReceipt.self),
        4: (WireQuery.self, WireQueryAnswer.self), 5: (WireQueryBatch.self, WireQueryAnswers.self), 6: (WireEmbed.self, WireEmbeddings.self),
        7: (WireRegister.self, WireRegistration.self), 8: (WireAgent.self, WireRemoved.self), 9: (WireAgent.self, WireJSON.self),
        10: (WireListing.self, WireAgents.self), 11: (WireReadInbox.self, WireInbox.self), 12: (WireAcknowledge.self, WireRemoved.self),
        13: (WireReadEvents.self, WireEvents.self), 16: (WireDataKey.self, WireHeldData.self), 17: (WireListing.self, WireKeys.self),
        18: (WireListing.self, WireProjects.self), 19: (WirePublish.self, WireJSON.self), 20: (WireTryNeeds.self, WireJSON.self),
        21: (WireNothing.self, WireJSON.self),
    ]

    /// What was not as expected, a sentence a step; stops at the first.
    func findings() async throws -> [String] {
        let file = TestData.checkout.appendingPathComponent("Tests/Golden/wire-v1/scenario.json")
        let steps = try JSONParser.parse(Array(Data(contentsOf: file)))["steps"]?.arrayValue ?? []
        guard steps.count > 40 else { return ["the file has \(steps.count) steps"] }
        var names = ["project": project]
        for step in steps {
            let name = step["name"]?.stringValue ?? ""
            let message = Self.filled(step["message"] ?? .null, names)
            let found: JSONValue
            do {
                found = try await answer(UInt64(step["operation"]?.integerValue ?? 0), message, updates: step["updates"]?.arrayValue?.count)
            } catch let error as ContexError {
                guard let expected = step["error"] else { return ["\(name): refused: \(error)"] }
                let told = try JSONParser.parse(text: WireTeller.text(WireError(error)))
                if let difference = Self.difference(Self.filled(expected, names), told, "error") { return ["\(name): \(difference)"] }
                continue
            }
            guard let expected = step["answer"] ?? step["updates"] else { return ["\(name): answered with \(JSONPrinter.text(found))"] }
            if let difference = Self.difference(Self.filled(expected, names), found, "answer") { return ["\(name): \(difference)"] }
            for (saved, path) in step["save"]?.objectValue ?? JSONObject() {
                var value = found
                for part in path.arrayValue ?? [] {
                    let key = part.stringValue ?? ""
                    if let list = value.arrayValue, let place = Int(key) { value = list[place] } else { value = value[key] ?? .null }
                }
                names[saved] = value.stringValue ?? ""
            }
        }
        return []
    }

    private func answer(_ operation: UInt64, _ message: JSONValue, updates count: Int?) async throws -> JSONValue {
        if operation == 14 || operation == 15 {
            let following =
                operation == 14
                ? client.updates(of: message["1"]?.stringValue ?? "", project: message["2"]?.stringValue, after: message["3"]?.stringValue)
                : client.events(of: message["1"]?.stringValue ?? "", after: message["2"]?.stringValue, fromStart: message["4"]?.boolValue ?? false)
            var told: [JSONValue] = []
            for try await update in following {
                told.append(try JSONParser.parse(text: WireTeller.text(update)))
                if told.count == count { break }
            }
            return .array(told)
        }
        guard let types = Self.operations[operation], let known = WireOperation(rawValue: operation) else {
            throw ContexError(.bug, "the scenario has operation \(operation)")
        }
        return try await call(known, types.0, types.1, message)
    }

    private func call<Request: WireMessage, Answer: WireMessage>(
        _ operation: WireOperation, _ request: Request.Type, _ answer: Answer.Type, _ fields: JSONValue
    ) async throws -> JSONValue {
        let found = try await client.call(operation, try WireScript.message(fields, as: Request.self), as: Answer.self)
        return try JSONParser.parse(text: WireTeller.text(found))
    }

    private static func filled(_ value: JSONValue, _ names: [String: String]) -> JSONValue {
        switch value {
        case .string(let text): .string(names.reduce(text) { $0.replacingOccurrences(of: "{\($1.key)}", with: $1.value) })
        case .array(let items): .array(items.map { filled($0, names) })
        case .object(let members): .object(JSONObject(members.map { ($0.key, filled($0.value, names)) }))
        default: value
        }
    }

    private static func difference(_ expected: JSONValue, _ found: JSONValue?, _ place: String) -> String? {
        switch expected {
        case .object(let members):
            if members["any"] != nil { return found == nil ? "\(place): nothing there" : nil }
            if let json = members["json"] {
                let bytes = WireScript.bytes(hex: found?["hex"]?.stringValue ?? "")
                return (try? JSONParser.parse(bytes)) == json ? nil : "\(place): \(String(decoding: bytes, as: UTF8.self))"
            }
            if let least = members["least"]?.integerValue { return found?.integerValue ?? -1 >= least ? nil : "\(place): \(String(describing: found))" }
            if let count = members["count"]?.integerValue {
                let there = found?.arrayValue?.count ?? found?.objectValue?.count ?? 0
                return there == count ? nil : "\(place): \(there) items"
            }
            for (key, value) in members {
                if let difference = difference(value, found?[key], "\(place).\(key)") { return difference }
            }
            return nil
        case .array(let items):
            let there = found?.arrayValue ?? []
            guard there.count == items.count else { return "\(place): \(there.count) items, not \(items.count)" }
            for (number, item) in items.enumerated() {
                if let difference = difference(item, there[number], "\(place)[\(number)]") { return difference }
            }
            return nil
        case .null: return found == nil ? nil : "\(place): \(String(describing: found))"
        case .number(let number):
            let there = found.flatMap { if case .number(let number) = $0 { number.double } else { nil } } ?? 0
            return there == number.double ? nil : "\(place): \(there), not \(number.double)"
        default: return expected == found ? nil : "\(place): \(String(describing: found)), not \(expected)"
        }
    }
}

/// Fills a message from the fields of a script.
struct WireScript: FieldCoder {
    private let fields: JSONValue

    static func message<M: WireMessage>(_ fields: JSONValue, as type: M.Type) throws(WireFault) -> M {
        var (message, script) = (M(), WireScript(fields: fields))
        try message.fields(&script)
        return message
    }

    static func bytes(hex: String) -> [UInt8] {
        let digits = Array(hex.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0 }
    }

    private func value(_ field: Int) -> JSONValue? { fields["\(field)"] }
    private func double(_ value: JSONValue?) -> Double? { if case .number(let number)? = value { number.double } else { nil } }

    func number(_ field: Int, _ value: inout UInt64) { value = self.value(field)?.integerValue.map { UInt64($0) } ?? 0 }
    func number(_ field: Int, _ value: inout UInt64?) { value = self.value(field)?.integerValue.map { UInt64($0) } }
    func signed(_ field: Int, _ value: inout Int64?) { value = self.value(field)?.integerValue.map { Int64($0) } }
    func flag(_ field: Int, _ value: inout Bool) { value = self.value(field)?.boolValue ?? false }
    func double(_ field: Int, _ value: inout Double) { value = double(self.value(field)) ?? 0 }
    func double(_ field: Int, _ value: inout Double?) { value = double(self.value(field)) }
    func text(_ field: Int, _ value: inout String) { value = self.value(field)?.stringValue ?? "" }
    func text(_ field: Int, _ value: inout String?) { value = self.value(field)?.stringValue }
    func bytes(_ field: Int, _ value: inout [UInt8]?) {
        value = self.value(field).map { given in given["json"].map { JSONPrinter.bytes($0) } ?? Self.bytes(hex: given["hex"]?.stringValue ?? "") }
    }
    func floats(_ field: Int, _ value: inout [Float]?) { value = self.value(field)?.arrayValue?.map { Float(double($0) ?? 0) } }
    func halves(_ field: Int, _ value: inout [Float]?) { floats(field, &value) }
    func numbers(_ field: Int, _ value: inout [UInt64], most: Int) { value = self.value(field)?.arrayValue?.map { UInt64($0.integerValue ?? 0) } ?? [] }
    func texts(_ field: Int, _ value: inout [String], most: Int) { value = self.value(field)?.arrayValue?.map { $0.stringValue ?? "" } ?? [] }
    func message<M: WireMessage>(_ field: Int, _ value: inout M?) throws(WireFault) {
        if let given = self.value(field) { value = try Self.message(given, as: M.self) }
    }
    func messages<M: WireMessage>(_ field: Int, _ value: inout [M], most: Int) throws(WireFault) {
        for given in self.value(field)?.arrayValue ?? [] { value.append(try Self.message(given, as: M.self)) }
    }
}
