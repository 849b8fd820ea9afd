// Files of settings as programs ship them: everything, or nearly everything, stands in comments for whoever wants to change it. What a reader
// gets out of such a file is an empty structure, and its text would be found by nobody. So it is read as code, comments and all.

internal import Base

enum CommentedOut {
    /// From so many settings in comments on, and so many times as many as are set, the comments are what the file says. (A head with a
    /// licence holds none.)
    private static let settingsMin = 10
    private static let settingsTimes = 4

    /// - Throws: `.nothingSet` when the value that was read of the text holds nothing and the comments do, or next to nothing beside them.
    /// - Complexity: O(*n*).
    static func check(_ value: JSONValue, of text: String, as format: ContentFormat, _ cancellation: Cancellation) throws(FormatError) {
        let set = settings(in: value)
        let bytes = Array(text.utf8)
        var comments = 0, settings = 0
        for range in TextLines(bytes) {
            try cancellation.check(format)
            let content = TextNodes.trimmedBytes(bytes[range])
            guard let mark = content.first, isMark(mark, format) else { continue }
            let comment = TextNodes.trimmedBytes(content.drop { $0 == mark })
            if !comment.isEmpty { comments += 1 }
            if isSetting(comment) { settings += 1 }
        }
        if set == 0 {
            // Keys of YAML may have no values and mean something: the volumes of a compose file.
            guard isEmpty(value) || format != .yaml ? comments > 0 : settings > 0 else { return }
            throw FormatError(format, .nothingSet, line: 0, "Nothing is set, what it says stands in comments")
        }
        guard settings >= settingsMin, settings >= set * settingsTimes else { return }
        throw FormatError(
            format, .nothingSet, line: 0, "Most of it stands in comments (\(settings) settings, beside \(set) that \(set == 1 ? "is" : "are") set)")
    }

    /// `name = value`, `name: value` in a comment.
    static func isSetting(_ comment: ArraySlice<UInt8>) -> Bool {
        let name = comment.prefix { ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || "_.-".utf8.contains($0) }
        guard let first = name.first, (first | 0x20) &- 0x61 < 26 || first == UInt8(ascii: "_") else { return false }
        let rest = comment.dropFirst(name.count)
        if TextNodes.trimmedBytes(rest).first == UInt8(ascii: "=") { return true }
        return rest.first == UInt8(ascii: ":") && rest.dropFirst().first.map(TextNodes.isSpace) != false
    }

    private static func isMark(_ byte: UInt8, _ format: ContentFormat) -> Bool {
        byte == UInt8(ascii: "#") || format == .ini && byte == UInt8(ascii: ";")
    }

    private static func isEmpty(_ value: JSONValue) -> Bool {
        value.isNull || value.objectValue?.isEmpty == true || value.arrayValue?.isEmpty == true
    }

    /// The values that say something.
    private static func settings(in value: JSONValue) -> Int {
        switch value {
        case .null: 0
        case .object(let members): members.reduce(0) { $0 + settings(in: $1.value) }
        case .array(let items): items.reduce(0) { $0 + settings(in: $1) }
        default: 1
        }
    }
}
