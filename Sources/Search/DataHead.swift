// The head of data that is larger than a budget: whole members, items and lines from the beginning, as many as fit.
//
// A piece is what is never cut: a number, a value of at most `pieceBytes`, a line of a text (or, of a line longer than that, what
// ends at a space). Counted in the order of the document, the first n pieces are a value of the same shape, only with less in
// it. n is found by doubling and halving, so that nothing much larger than the head is ever counted.

public import Base

public enum DataHead {
    static let pieceBytes = 400

    /// The largest head of a value that fits, nil when not even one piece does.
    /// - Parameter fits: must hold for every head smaller than one for which it holds; where it does not quite, the head still fits
    ///   but may not be the largest.
    /// - Complexity: O(log pieces) heads are made and tried, none with more than twice the pieces of the largest that fits.
    public static func largest(of value: JSONValue, fitting fits: (JSONValue) throws -> Bool) rethrows -> JSONValue? {
        var largest: JSONValue?
        var (low, high) = (0, 1)
        while high <= 1 << 40, let head = head(of: value, pieces: high), try fits(head.value) {
            largest = head.value
            if head.isWhole { return largest }
            (low, high) = (high, 2 * high)
        }
        while high - low > 1 {
            let middle = (low + high) / 2
            if let head = head(of: value, pieces: middle), try fits(head.value) {
                (largest, low) = (head.value, middle)
            } else {
                high = middle
            }
        }
        return largest
    }

    /// The first pieces of a value.
    static func head(of value: JSONValue, pieces: Int) -> (value: JSONValue, isWhole: Bool)? {
        var rest = pieces
        var isWhole = true
        return take(value, &rest, &isWhole).map { ($0, isWhole) }
    }

    private static func take(_ value: JSONValue, _ rest: inout Int, _ isWhole: inout Bool) -> JSONValue? {
        guard rest > 0 else {
            isWhole = false
            return nil
        }
        var bytes = pieceBytes
        if isSmall(value, &bytes) {
            rest -= 1
            return value
        }
        switch value {
        case .null, .bool, .number:
            rest -= 1
            return value
        case .string(let text): return .string(lines(text, &rest, &isWhole))
        case .array(let items):
            var kept: [JSONValue] = []
            for item in items {
                guard let head = take(item, &rest, &isWhole) else { break }
                kept.append(head)
            }
            return .array(kept)
        case .object(let members):
            var kept = JSONObject()
            for (key, member) in members {
                guard let head = take(member, &rest, &isWhole) else { break }
                kept[key] = head
            }
            return .object(kept)
        }
    }

    /// Whether a value is a piece; `bytes` is what it may still hold.
    private static func isSmall(_ value: JSONValue, _ bytes: inout Int) -> Bool {
        switch value {
        case .null, .bool: bytes -= 4
        case .number(let number): bytes -= number.text.utf8.count
        case .string(let text): bytes -= text.utf8.count
        case .array(let items): return items.allSatisfy { isSmall($0, &bytes) && bytes >= 0 }
        case .object(let members):
            return members.allSatisfy { member in
                bytes -= member.key.utf8.count
                return bytes >= 0 && isSmall(member.value, &bytes)
            }
        }
        return bytes >= 0
    }

    /// The first lines of a text.
    private static func lines(_ text: String, _ rest: inout Int, _ isWhole: inout Bool) -> String {
        var length = 0
        var end = text.utf8.startIndex
        for index in text.utf8.indices {
            length += 1
            let byte = text.utf8[index]
            guard byte == UInt8(ascii: "\n") || byte == UInt8(ascii: " ") && length >= pieceBytes else { continue }
            end = text.utf8.index(after: index)
            length = 0
            rest -= 1
            if rest == 0 {
                if end != text.utf8.endIndex { isWhole = false }
                return String(text[..<end])
            }
        }
        if length > 0 { rest -= 1 }
        return text
    }
}
