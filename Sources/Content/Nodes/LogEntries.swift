// The entries of a log: lines that begin with a time, with a level, or with a name before the time, as programs write them; what stands
// between them (the trace of a stack) belongs to the one before.

internal import Base

enum LogEntries {
    /// The entries of a text that is a log, several together when there are more than `Limits.logNodes`; nil when it is none. At least every second
    /// line in the first column must begin an entry, the first one too; nearly every one, when words stand before the time.
    ///
    /// - Complexity: O(*n*).
    static func ranges(in bytes: [UInt8]) -> [Range<Int>]? {
        let (starts, outer) = beginnings(in: bytes)
        guard starts.count >= 2, starts.count * 2 >= outer else { return named(bytes) }
        return entries(starts, of: bytes)
    }

    private static func beginnings(in bytes: [UInt8]) -> (starts: [Int], outer: Int) {
        var starts: [Int] = []
        var outer = 0
        for line in TextLines(bytes) where !line.isEmpty && !TextNodes.isSpace(bytes[line.lowerBound]) {
            outer += 1
            if begins(bytes[line]) {
                starts.append(line.lowerBound)
            } else if starts.isEmpty {
                return ([], outer)
            }
        }
        return (starts, outer)
    }

    /// Entries that begin with a word or a few, such as the name of a program, before their date and time (update-alternatives): as many in nearly
    /// every line, since prose tells times too.
    private static func named(_ bytes: [UInt8]) -> [Range<Int>]? {
        var starts: [Int] = []
        var outer = 0
        var words: Int? = nil
        for line in TextLines(bytes) where !line.isEmpty && !TextNodes.isSpace(bytes[line.lowerBound]) {
            outer += 1
            let found = wordsBeforeTime(bytes[line])
            guard let first = words ?? found else { return nil }
            words = first
            if found == first { starts.append(line.lowerBound) }
            // Not nearly every one any more.
            if outer >= 20, starts.count * 10 < outer * 8 { return nil }
        }
        guard starts.count >= 3, starts.count * 10 >= outer * 9 else { return nil }
        return entries(starts, of: bytes)
    }

    /// One to four words that are no sign of a list or a table, then a date with a time.
    private static func wordsBeforeTime(_ line: ArraySlice<UInt8>) -> Int? {
        var rest = line.prefix(160)
        for words in 1...4 {
            guard let blank = rest.firstIndex(of: 0x20), let last = rest[..<blank].last, let first = rest.first else { return nil }
            guard !",;|=\"".utf8.contains(last), first >= 0x80 || (first | 0x20) &- 0x61 < 26 || first == UInt8(ascii: "[") else { return nil }
            rest = rest[(blank + 1)...]
            var head = Head(rest)
            _ = head.take("[") || head.take("(")
            if head.takeDate(), head.take("T") || head.take(" "), head.takeClock(), head.endsTime() { return words }
        }
        return nil
    }

    private static func entries(_ starts: [Int], of bytes: [UInt8]) -> [Range<Int>] {
        let together = (starts.count + Limits.logNodes - 1) / Limits.logNodes
        let firsts = stride(from: 0, to: starts.count, by: together).map { starts[$0] }
        return zip(firsts, firsts.dropFirst() + [bytes.count]).map { $0..<$1 }
    }

    // MARK: - One line

    /// Of the forms that programs write: ISO 8601 and its kin, syslog, clock times, access logs, kernel and klog, a level alone, logfmt.
    static func begins(_ line: ArraySlice<UInt8>) -> Bool {
        var head = Head(line.prefix(160))
        if head.takesLogfmt() || head.takesAccess() { return true }
        if head.take("<") { guard head.takeDigits(1...3), head.take(">") else { return false } }
        _ = head.take("1 ")
        let isInBrackets = head.take("[")
        if isInBrackets {
            // [   12.345678] of the kernel
            var kernel = head
            kernel.skipSpaces()
            if kernel.takeDigits(1...8), kernel.take("."), kernel.takeDigits(6...6), kernel.take("]") { return true }
            // [Wed Oct 11 14:32:52 2000] of Apache
            var apache = head
            if apache.takeName(Self.weekdays), apache.take(" ") { head = apache }
        }
        if head.takesLevel(isInBrackets) || head.takesKlog() { return true }
        if head.takeDate() {
            guard head.take("T") || head.take(" ") || head.take(", ") || head.take(":") else { return false }
        } else if head.takeName(Self.months) {
            head.skipSpaces()
            guard head.takeDigits(1...2), head.take(" ") else { return false }
        }
        return head.takeClock() && head.endsTime()
    }

    private static let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    private static let levels = [
        "TRACE", "DEBUG", "INFO", "NOTICE", "WARNING", "WARN", "ERROR", "FATAL", "CRITICAL", "SEVERE", "FINE",
    ]

    private struct Head {
        private var rest: ArraySlice<UInt8>

        init(_ line: ArraySlice<UInt8>) { rest = line }

        mutating func take(_ token: String) -> Bool {
            guard rest.starts(with: token.utf8) else { return false }
            rest = rest.dropFirst(token.utf8.count)
            return true
        }
        mutating func takeName(_ names: [String]) -> Bool { names.contains { take($0) } }
        mutating func takeDigits(_ count: ClosedRange<Int>) -> Bool {
            let digits = rest.prefix { $0 &- 0x30 < 10 }.count
            guard count.contains(digits) else { return false }
            rest = rest.dropFirst(digits)
            return true
        }
        mutating func skipSpaces() { rest = rest.drop { $0 == 0x20 } }

        /// 2026-01-31, 2026/01/31, 31.01.2026, 31/Jan/2026
        mutating func takeDate() -> Bool {
            var date = self
            if date.takeDigits(4...4) {
                guard date.take("-") || date.take("/") || date.take("."), date.takeDigits(2...2), date.take("-") || date.take("/") || date.take("."),
                    date.takeDigits(2...2)
                else { return false }
            } else {
                guard date.takeDigits(1...2), date.take("/") || date.take(".") || date.take("-") || date.take(" "),
                    date.takeDigits(2...2) || date.takeName(LogEntries.months),
                    date.take("/") || date.take(".") || date.take("-") || date.take(" "), date.takeDigits(2...4)
                else { return false }
            }
            self = date
            return true
        }

        /// 12:00:00, with a fraction or without, and the zone.
        mutating func takeClock() -> Bool {
            guard takeDigits(1...2), take(":"), takeDigits(2...2) else { return false }
            guard take(":"), takeDigits(2...2) else { return false }
            if take(".") || take(",") { guard takeDigits(1...9) else { return false } }
            if !take("Z"), take("+") || take("-") {
                guard takeDigits(1...4) else { return false }
                if take(":") { guard takeDigits(2...2) else { return false } }
            }
            return true
        }

        /// What no table has after a time.
        mutating func endsTime() -> Bool { take(" ") || take("]") || take(": ") }

        /// INFO, [INFO], INFO:
        func takesLevel(_ isInBrackets: Bool) -> Bool {
            var level = self
            guard level.takeName(LogEntries.levels) else { return false }
            return isInBrackets ? level.take("]") : level.take(":") || level.take(" ") || level.take("\t")
        }

        /// I0131 12:00:00.000000
        func takesKlog() -> Bool {
            var klog = self
            guard klog.takeName(["I", "W", "E", "F"]), klog.takeDigits(4...4), klog.take(" ") else { return false }
            return klog.takeClock() && klog.endsTime()
        }

        /// time="2026-01-31T12:00:00Z" level=info msg="started"
        func takesLogfmt() -> Bool {
            guard ["time=", "ts=", "t=", "level=", "lvl="].contains(where: { rest.starts(with: $0.utf8) }) else { return false }
            let text = String(decoding: rest, as: UTF8.self)
            return text.contains("level=") || text.contains("lvl=") || text.contains(" msg=")
        }

        /// 127.0.0.1 - - [31/Jan/2026:12:00:00 +0000] "GET /
        func takesAccess() -> Bool {
            guard let bracket = rest.firstIndex(of: UInt8(ascii: "[")), bracket > rest.startIndex, rest[bracket - 1] == 0x20 else { return false }
            var time = self
            time.rest = rest[(bracket + 1)...]
            return time.takeDigits(2...2) && time.take("/") && time.takeName(LogEntries.months) && time.take("/") && time.takeDigits(4...4)
                && time.take(":") && time.takeClock()
        }
    }
}
