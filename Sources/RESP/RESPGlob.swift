// Patterns of PSUBSCRIBE, as Redis matches them (`stringmatchlen`): `*` any bytes, `?` one byte, `[a-c]` and `[^a-c]` one of
// or none of a set, `\` before a byte that means itself. A bracket that is not closed ends with the pattern.
//
// Only the last `*` that was met can ever need to take one byte more, since what stands before it has matched as early as
// possible. So one place to go back to is enough, and the time is at most pattern times text, never exponential.

public enum RESPGlob {
    /// - Complexity: O(pattern x text); O(pattern + text) with at most one star.
    public static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        if text.isEmpty { return pattern.isEmpty }
        var at = 0
        var position = 0
        var retry: (pattern: Int, text: Int)?
        while position < text.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                at += 1
                retry = (at, position)
            } else if at < pattern.count, let next = step(pattern, at, text[position]) {
                at = next
                position += 1
            } else if let again = retry {
                retry = (again.pattern, again.text + 1)
                at = again.pattern
                position = again.text + 1
            } else {
                return false
            }
        }
        while at < pattern.count, pattern[at] == UInt8(ascii: "*") { at += 1 }
        return at == pattern.count
    }

    /// Where the pattern goes on when its element at this place takes the byte, nil when it does not.
    private static func step(_ pattern: [UInt8], _ at: Int, _ byte: UInt8) -> Int? {
        switch pattern[at] {
        case UInt8(ascii: "?"): return at + 1
        case UInt8(ascii: "["): return set(pattern, at + 1, byte)
        case UInt8(ascii: "\\") where at + 1 < pattern.count: return pattern[at + 1] == byte ? at + 2 : nil
        case byte: return at + 1
        default: return nil
        }
    }

    private static func set(_ pattern: [UInt8], _ start: Int, _ byte: UInt8) -> Int? {
        var at = start
        let negated = at < pattern.count && pattern[at] == UInt8(ascii: "^")
        if negated { at += 1 }
        var found = false
        while at < pattern.count, pattern[at] != UInt8(ascii: "]") {
            if pattern[at] == UInt8(ascii: "\\"), at + 1 < pattern.count {
                found = found || pattern[at + 1] == byte
                at += 2
            } else if at + 2 < pattern.count, pattern[at + 1] == UInt8(ascii: "-") {
                let (low, high) = (min(pattern[at], pattern[at + 2]), max(pattern[at], pattern[at + 2]))
                found = found || (low...high).contains(byte)
                at += 3
            } else {
                found = found || pattern[at] == byte
                at += 1
            }
        }
        return found == negated ? nil : min(at + 1, pattern.count)
    }
}
