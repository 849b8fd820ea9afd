// How many word pieces a text comes to, about, without asking the model: what passages are measured by, so that the same build cuts the same text
// alike whatever model it has.
//
// BERT's vocabulary has the common English words whole; a rarer word falls into pieces of some four letters, numbers into pieces of
// two digits, and every sign and every letter of another script is a piece of its own.

enum TokenEstimate {
    /// - Complexity: O(bytes).
    static func tokens(_ text: some Swift.Sequence<UInt8>) -> Int {
        var tokens = 0
        var letters = 0
        var digits = 0
        func close() {
            // A piece, and another for each seven letters or three digits beyond.
            if letters > 0 { tokens += 1 + (letters - 1) / 8 }
            if digits > 0 { tokens += 1 + (digits - 1) / 3 }
            (letters, digits) = (0, 0)
        }
        for byte in text {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): letters += 1
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digits += 1
            // The rest of a letter.
            case 0x80..<0xC0: break
            // Latin letters with marks.
            case 0xC3...0xC9: letters += 1
            case 0x09...0x0D, 0x20: close()
            default:
                close()
                tokens += 1
            }
        }
        close()
        return tokens
    }
}
