// Words that are names: an identifier, an error code, a number as written. Who asks for one wants the text that has it, whatever else it is about: where
// such a word is rare in the project, sharing it is enough for a match (Search/ScoreParts.swift).

internal import Base

enum ExactWords {
    /// The terms of those words, each whole. The analyser `simple` knows no compounds: of it what is one term.
    static func terms(_ text: String, _ analyzer: Analyzer) -> [String] {
        guard mayBeName(text.utf8) else { return [] }
        var terms: [String] = []
        for token in text.split(whereSeparator: { !isPart($0) }) where mayBeName(token.utf8) {
            let word = trimmed(token)
            guard isName(word) else { continue }
            let list = analyzer.terms(String(word))
            guard let whole = list.first, analyzer.kind != .simple || list.count == 1 else { continue }
            terms.append(whole)
        }
        return terms
    }

    /// Letters, digits, and what the analyser joins them with.
    private static func isPart(_ character: Character) -> Bool {
        guard let byte = character.asciiValue else { return character.isLetter || character.isNumber }
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): return true
        default: return "_-./:@#+".utf8.contains(byte)
        }
    }

    /// Whether there is anything that `isName` takes for a name, in one look at each byte: most questions have nothing.
    private static func mayBeName(_ bytes: some Swift.Sequence<UInt8>) -> Bool {
        var capitals = 0
        var last: UInt8 = 0
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): return true
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                capitals += 1
                if capitals >= capitalsMin || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(last) { return true }
            default: break
            }
            last = byte
        }
        return false
    }

    /// Without the marks around it.
    private static func trimmed(_ token: Substring) -> Substring {
        func isMark(_ character: Character) -> Bool { !(character.isLetter || character.isNumber) }
        guard let start = token.firstIndex(where: { !isMark($0) }), let end = token.lastIndex(where: { !isMark($0) }) else { return "" }
        return token[start...end]
    }

    /// A word of capitals alone is a name from so many on.
    private static let capitalsMin = 4

    static func isName(_ word: Substring) -> Bool {
        let bytes = Array(word.utf8)
        guard (3...Analyzer.termBytesMax).contains(bytes.count) else { return false }
        var (digits, capitals, smalls, others) = (0, 0, 0, 0)
        var isCamel = false
        var last: UInt8 = 0
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digits += 1
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                capitals += 1
                if (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(last) { isCamel = true }
            case UInt8(ascii: "a")...UInt8(ascii: "z"): smalls += 1
            default: others += 1
            }
            last = byte
        }
        // A number of less than three digits (0.5) is in any text by chance, and so is a year.
        if capitals + smalls == 0 { return digits > 2 && !(digits == 4 && others == 0 && (bytes[0] == UInt8(ascii: "1") || bytes[0] == UInt8(ascii: "2"))) }
        if digits > 0 { return true }
        if isCamel || bytes.contains(UInt8(ascii: "_")) { return true }
        return smalls == 0 && capitals >= capitalsMin
    }
}
