// The lines at the head of a Markdown file that are data about it, as Jekyll, Hugo, Obsidian, Docusaurus and their like write them: YAML
// between lines of `---`, TOML between lines of `+++`.

internal import Base

enum FrontMatter {
    /// - Returns: the data or why they cannot be read, and the rest of the text without them; nil when the text does not begin with an object
    ///   between such lines.
    /// - Complexity: O(*n*).
    static func split(_ text: String, _ cancellation: Cancellation) -> (data: Result<JSONObject, FormatError>, rest: String)? {
        let bytes = Array(text.utf8)
        let start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        guard bytes.count > start + 6 else { return nil }
        let mark = bytes[start]
        guard mark == UInt8(ascii: "-") || mark == UInt8(ascii: "+") else { return nil }
        var begin: Int? = nil
        for line in TextLines(bytes, from: start) {
            let content = TextNodes.trimmedBytes(bytes[line])
            let isFence = content.count == 3 && bytes[line.lowerBound] == mark && content.allSatisfy { $0 == mark }
            guard let begun = begin else {
                guard isFence else { return nil }
                begin = line.upperBound
                continue
            }
            guard isFence || mark == UInt8(ascii: "-") && content.elementsEqual("...".utf8) else { continue }
            let head = String(decoding: bytes[begun..<line.lowerBound], as: UTF8.self)
            let rest = String(decoding: bytes[line.upperBound...], as: UTF8.self)
            do throws(FormatError) {
                let value =
                    mark == UInt8(ascii: "-")
                    ? try YAMLReader.value(head, cancellation: cancellation) : try TOMLReader.value(head, cancellation: cancellation)
                return value.objectValue.map { (.success($0), rest) }
            } catch {
                // Two rules with prose between them are no head.
                return looksLikeData(head) ? (.failure(error), rest) : nil
            }
        }
        return nil
    }

    private static func looksLikeData(_ head: String) -> Bool {
        let first = head.utf8.drop(while: TextNodes.isSpace).prefix { $0 != 0x0A && $0 != 0x0D }
        return first.contains(UInt8(ascii: ":")) || first.contains(UInt8(ascii: "="))
    }
}
