// What is refused in published data, whatever format it came in: one check of the value that resulted, at every door.

internal import Base

enum ContentBounds {
    /// - Returns: how many bytes the value is, about: its names, texts and numbers, and some for each.
    /// - Throws: `.invalid` with the place: NUL in a text, levels over `Limits.nestingDepth`, a name or a number that is too long.
    /// - Complexity: O(size of the value).
    @discardableResult
    static func check(_ value: JSONValue) throws(ContexError) -> Int {
        var bytes = 0
        do throws(Fault) {
            try walk(value, level: 0, &bytes)
        } catch {
            throw invalid("data \(error.reason)\(error.steps.isEmpty ? "" : ", at \(place(error.steps))")")
        }
        return bytes
    }

    static func invalid(_ message: String) -> ContexError { .invalid(.contentRefused, field: "data", kind: "value_error", message: "Value error, \(message)") }

    /// The same sum for a value that was checked.
    static func bytes(of value: JSONValue) -> Int {
        switch value {
        case .null, .bool: 4
        case .number(let number): number.text.utf8.count + 1
        case .string(let text): text.utf8.count + 3
        case .array(let items): items.reduce(2) { $0 + bytes(of: $1) }
        case .object(let members): members.reduce(2) { $0 + $1.key.utf8.count + 3 + bytes(of: $1.value) }
        }
    }

    /// A text that is shown in a refusal: its beginning, in quotes.
    static func shown(_ text: String) -> String {
        let scalars = text.unicodeScalars
        let head = scalars.prefix(shownScalars)
        return "'\(String(head))\(head.endIndex < scalars.endIndex ? "…" : "")'"
    }

    private static let shownScalars = 100

    // MARK: - The walk

    private enum Step {
        case name(String)
        case place(Int)
    }

    /// What is wrong, and the way there, innermost step first.
    private struct Fault: Error {
        let reason: String
        var steps: [Step] = []

        func under(_ step: Step) -> Fault {
            var fault = self
            fault.steps.append(step)
            return fault
        }
    }

    private static func walk(_ value: JSONValue, level: Int, _ bytes: inout Int) throws(Fault) {
        switch value {
        case .null, .bool: bytes += 4
        case .number(let number):
            let count = number.text.utf8.count
            guard count <= Limits.numberCharacters else { throw Fault(reason: "has a number of more than \(Limits.numberCharacters) characters") }
            bytes += count + 1
        case .string(let text):
            try check(text)
            bytes += text.utf8.count + 3
        case .array(let items):
            try check(level)
            bytes += 2
            for (place, item) in items.enumerated() {
                do throws(Fault) { try walk(item, level: level + 1, &bytes) } catch { throw error.under(.place(place)) }
            }
        case .object(let members):
            try check(level)
            bytes += 2
            for member in members {
                do throws(Fault) {
                    try check(member.key)
                    let count = member.key.utf8.count
                    guard count <= Limits.contentNameBytes else { throw Fault(reason: "has a name of more than \(Limits.contentNameBytes) bytes") }
                    bytes += count + 3
                    try walk(member.value, level: level + 1, &bytes)
                } catch { throw error.under(.name(member.key)) }
            }
        }
    }

    private static func check(_ level: Int) throws(Fault) {
        guard level < Limits.nestingDepth else { throw Fault(reason: "is nested deeper than \(Limits.nestingDepth) levels") }
    }

    private static func check(_ text: String) throws(Fault) {
        if text.utf8.contains(0) { throw Fault(reason: "must not contain NUL characters") }
    }

    private static func place(_ steps: [Step]) -> String {
        var path = ""
        for step in steps.reversed() where path.utf8.count < 4 * shownScalars {
            switch step {
            case .name(let name): path += (path.isEmpty ? "" : ".") + String(name.unicodeScalars.prefix(shownScalars + 1))
            case .place(let place): path += "[\(place)]"
            }
        }
        return shown(path)
    }
}
