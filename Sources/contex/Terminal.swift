internal import Base
internal import Glibc

/// Standard output and standard error. Colours only where a person looks, and not when NO_COLOR (no-color.org) is set.
enum Terminal {
    enum Style: String {
        case bold = "1"
        case dim = "2"
        case red = "31"
        case green = "32"
        case cyan = "36"
    }

    private static let plain = unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false
    /// Whether a person sees standard output, standard error.
    static let outputIsTerminal = isatty(1) == 1
    static let errorIsTerminal = isatty(2) == 1

    static func paint(_ text: String, _ style: Style) -> String { outputIsTerminal ? colour(text, style) : text }

    private static func colour(_ text: String, _ style: Style) -> String { plain ? text : "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" }

    /// A text and a line break on standard output, at once.
    static func say(_ text: String) { write(text + "\n", to: 1) }

    /// Bytes as they are on standard output, at once.
    static func sayBytes(_ bytes: [UInt8]) { write(bytes, to: 1) }

    static func complain(_ message: String) {
        write((errorIsTerminal ? colour("contex:", .red) : "contex:") + " " + message + "\n", to: 2)
    }

    static func complainPlainly(_ text: String) { write(text + "\n", to: 2) }

    /// Shows how far something is, on a line that is written over; nothing where no person looks.
    static func progress(_ text: String) {
        if errorIsTerminal { write("\r\u{1B}[K" + text, to: 2) }
    }

    /// The same as a bar: how many of how many are done.
    static func progress(_ done: Int, of all: Int, _ what: String) {
        let width = 30
        let filled = all == 0 ? width : min(width, done * width / all)
        progress("[" + String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled) + "] \(done) of \(all) \(what)")
    }

    private static func write(_ text: String, to descriptor: Int32) { write(Array(text.utf8), to: descriptor) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        unsafe bytes.withUnsafeBytes { bytes in
            var rest = unsafe bytes
            while unsafe !rest.isEmpty {
                let count = unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else {
                    // Whoever read (`contex events ... | head`) has had enough.
                    if errno == EPIPE { exit(ExitStatus.done.rawValue) }
                    let reason = unsafe String(cString: strerror(errno))
                    if descriptor == 1 { complain("the output cannot be written: \(reason)") }
                    exit(ExitStatus.failed.rawValue)
                }
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    /// Text from outside on one line and without control characters, so that it cannot play tricks with the terminal.
    static func clean(_ text: String, atMost columns: Int = .max) -> String {
        var line = ""
        var count = 0
        for character in text {
            if count == columns { return line + "..." }
            let isControl = character.unicodeScalars.contains { $0.properties.generalCategory == .control }
            line.append(isControl ? " " : character)
            count += 1
        }
        return line
    }

    /// Rows with their columns under each other.
    static func table(_ rows: [[String]]) -> String {
        var widths: [Int] = []
        for row in rows {
            for (column, text) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], text.count)
            }
        }
        return rows.map { row in
            row.enumerated().map { column, text in
                column == row.count - 1 ? text : text + String(repeating: " ", count: widths[column] - text.count + 2)
            }.joined()
        }.joined(separator: "\n")
    }
}
