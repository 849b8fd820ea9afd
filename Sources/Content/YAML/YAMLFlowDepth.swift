// How deep flow collections lie in each other, told from the bytes as libyaml's scanner would. libyaml itself stops at 1,000 levels, and by
// then each of its tokens has looked at all of them: a megabyte that stays 900 deep costs it 1.5 s.
//
// Brackets count where they are indicators: in a flow collection everywhere but in quoted texts and comments, outside of one only where a
// node may begin, and never in the lines of a block scalar. Where it cannot be sure (a plain text that goes on in the next line, a block
// scalar behind `---`), a bracket that begins a line counts: that matters to texts with seventy open ones only.

internal import Base

struct YAMLFlowDepth {
    private enum State {
        case plain
        /// In quotes of this kind; `escapes` when the last byte was a backslash.
        case quoted(UInt8, escapes: Bool)
        case comment
        /// `&name`, `!tag`: up to the next blank.
        case property
        /// A block scalar: its lines are indented by so many, nil before the first that is not empty.
        case block(parent: Int, content: Int?)
    }

    private(set) var depth = 0
    private var state = State.plain
    /// What comes next may be the first byte of a node.
    private var mayBegin = true
    /// A quoted text or a flow collection has just ended: a colon right behind it is an indicator.
    private var hasEnded = false
    /// `-` or `:` was read, which is an indicator if a blank follows.
    private var isIndicatorIfBlank = false
    private var previous: UInt8 = 0x0A
    private var lineStart = 0
    /// Of the line in which a block scalar was begun.
    private var headStart = -1

    mutating func read(_ byte: UInt8, at index: Int, in bytes: [UInt8]) {
        defer { previous = byte }
        let isBreak = byte == 0x0A || byte == 0x0D
        if isBreak { lineStart = index + 1 }
        switch state {
        case .quoted(let mark, let escapes):
            if byte == mark, !escapes {
                if mark == UInt8(ascii: "'"), index + 1 < bytes.count, bytes[index + 1] == mark {
                    state = .quoted(mark, escapes: true)
                } else {
                    (state, hasEnded) = (.plain, true)
                }
            } else {
                state = .quoted(mark, escapes: mark == UInt8(ascii: "\"") && byte == UInt8(ascii: "\\") && !escapes)
            }
        case .comment:
            if isBreak { endLine() }
        case .property:
            if byte == 0x20 || byte == 0x09 || isBreak {
                (state, mayBegin) = (.plain, true)
            } else if depth > 0, ",[]{}".utf8.contains(byte) {
                (state, mayBegin) = (.plain, true)
                indicator(byte, at: index, in: bytes)
            }
        case .block(let parent, let content):
            // The head of the scalar ends with its line.
            guard !isBreak, byte != 0x20, lineStart != headStart else { return }
            let indent = index - lineStart
            if let content {
                if indent >= content { return }
            } else if indent > parent {
                state = .block(parent: parent, content: indent)
                return
            }
            // Bytes behind the first of a line are further in than that was, so the scalar ends with the first byte of a line only.
            state = .plain
            endLine()
            indicator(byte, at: index, in: bytes)
        case .plain:
            if isBreak { endLine() } else { indicator(byte, at: index, in: bytes) }
        }
    }

    private mutating func endLine() {
        if case .comment = state { state = .plain }
        if depth == 0 || isIndicatorIfBlank { mayBegin = true }
        (hasEnded, isIndicatorIfBlank) = (false, false)
    }

    private mutating func indicator(_ byte: UInt8, at index: Int, in bytes: [UInt8]) {
        if byte == 0x20 || byte == 0x09 {
            if isIndicatorIfBlank { mayBegin = true }
            isIndicatorIfBlank = false
            return
        }
        let (could, ended) = (mayBegin, hasEnded)
        (mayBegin, hasEnded, isIndicatorIfBlank) = (false, false, false)
        switch byte {
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            guard could || depth > 0 else { return }
            depth += 1
            mayBegin = true
        case UInt8(ascii: "]"), UInt8(ascii: "}"):
            guard depth > 0 else { return }
            depth -= 1
            hasEnded = true
        case UInt8(ascii: ","): mayBegin = depth > 0
        case UInt8(ascii: "\""), UInt8(ascii: "'"): if could { state = .quoted(byte, escapes: false) }
        case UInt8(ascii: "#"):
            if [0x20, 0x09, 0x0A, 0x0D].contains(previous) { state = .comment }
            mayBegin = could
        case UInt8(ascii: ":"):
            mayBegin = depth > 0 && (could || ended)
            isIndicatorIfBlank = true
        case UInt8(ascii: "-"), UInt8(ascii: "?"):
            mayBegin = depth > 0 && could && byte == UInt8(ascii: "?")
            // Only of several in a row may a node follow the last: `--- [`, `- - [`.
            isIndicatorIfBlank = could || previous == UInt8(ascii: "-")
        case UInt8(ascii: "&"), UInt8(ascii: "!"): if could { state = .property }
        case UInt8(ascii: "|"), UInt8(ascii: ">"):
            if could, depth == 0, let parent = parentOfBlock(at: index, in: bytes) {
                (state, headStart) = (.block(parent: parent, content: nil), lineStart)
            }
        default: break
        }
    }

    /// The column of the key or dash that a block scalar belongs to, when its line is no more than dashes, a plain key and the scalar's head.
    private func parentOfBlock(at index: Int, in bytes: [UInt8]) -> Int? {
        var end = index + 1
        while end < bytes.count, bytes[end] == UInt8(ascii: "+") || bytes[end] == UInt8(ascii: "-") { end += 1 }
        // With its indentation as a number, or with a comment, it is not taken for one.
        while end < bytes.count, bytes[end] == 0x20 { end += 1 }
        guard end == bytes.count || bytes[end] == 0x0A || bytes[end] == 0x0D else { return nil }
        var at = lineStart
        var dash: Int? = nil
        while at < index, bytes[at] == 0x20 || (bytes[at] == UInt8(ascii: "-") && bytes[at + 1] == 0x20) {
            if bytes[at] != 0x20 { dash = at - lineStart }
            at += 1
        }
        if at == index { return dash }
        let key = bytes[at..<index]
        return key.contains { "\"'[]{}#&!*?|>".utf8.contains($0) } ? nil : at - lineStart
    }
}
