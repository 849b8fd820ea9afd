/// The scripts in which no space stands between words, and Hangul.
enum UnspacedScript {
    /// Each letter may be a word: Han, Hangul.
    case ideographs
    /// Kana, and the scripts of South East Asia that Unicode's line breaking (UAX 14) leaves to dictionaries, class SA.
    case letters

    init?(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case 0x3005, 0x3007, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0x20000...0x3FFFD: self = .ideographs
        case 0x3041...0x30FF, 0x31F0...0x31FF, 0x1AFF0...0x1B16F: self = .letters
        // Thai and Lao; Burmese; Khmer; Tai Le and New Tai Lue; Tai Tham; more Burmese and Tai Viet; Ahom.
        case 0xE00...0xEFF, 0x1000...0x109F, 0x1780...0x17FF, 0x1950...0x19DF, 0x1A20...0x1AAD, 0xA9E0...0xA9FF, 0xAA60...0xAADF, 0x11700...0x1174F:
            self = .letters
        default: return nil
        }
    }

    /// Marks behind which the next letter is written below this one: Khmer, Burmese, Tai Tham.
    static func stacks(_ mark: Unicode.Scalar) -> Bool { mark.value == 0x17D2 || mark.value == 0x1039 || mark.value == 0x1A60 }
}
