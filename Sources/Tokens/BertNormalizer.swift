@_spi(_Unicode) internal import Swift
// What BERT's uncased models do to text before they cut it into word pieces, scalar by scalar and in one pass:
//
//     clean     drop NUL, U+FFFD and the scalars of category Other (but TAB, LF, CR); white space becomes a space
//     CJK       an ideograph stands alone, a word of its own
//     accents   canonical decomposition (NFD), then drop the non-spacing marks
//     case      lowercase without regard to context
//     split     at spaces (dropped) and around punctuation (kept)
//
// The reference is BertNormalizer and BertPreTokenizer of the `tokenizers` library; where it differs from the Unicode
// Standard, it is followed: one of its ranges of ideographs begins at U+2B920 instead of U+2B820, and its categories are
// those of Unicode 8.0, so that later scalars are neither marks nor punctuation to it.

/// What became of the text, one event after another.
enum NormalizedPart {
    /// A scalar of the current word.
    case letter(Unicode.Scalar)
    /// The current word ends here.
    case boundary
    /// Punctuation or an ideograph: ends the current word and is one by itself.
    case alone(Unicode.Scalar)
}

/// Takes scalars in, hands parts out. Holds back only a run of reordered combining characters.
struct BertNormalizer {
    /// Non-starters since the last starter that survive accent stripping, until their canonical order is known.
    /// (Nearly all non-starters are non-spacing marks and are dropped; the few that are not may change places.)
    private var held: [(order: UInt8, scalar: Unicode.Scalar)] = []

    private enum Kind: UInt8 { case drop, boundary, letter, punctuation, upper }

    /// Kinds of the 128 ASCII scalars.
    private static let ascii: [Kind] = (0..<128).map { value in
        switch UInt8(value) {
        case 9, 10, 13, 32: .boundary
        case 0..<32, 127: .drop
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): .upper
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): .letter
        default: .punctuation
        }
    }
    private let ascii = Self.ascii

    mutating func add(_ scalar: Unicode.Scalar, _ emit: (NormalizedPart) -> Void) {
        guard scalar.value < 128 else { return addOther(scalar, emit) }
        if !held.isEmpty { finish(emit) }
        switch ascii[Int(scalar.value)] {
        case .drop: break
        case .boundary: emit(.boundary)
        case .letter: emit(.letter(scalar))
        case .punctuation: emit(.alone(scalar))
        case .upper: emit(.letter(Unicode.Scalar(UInt8(truncatingIfNeeded: scalar.value | 0x20))))
        }
    }

    private mutating func addOther(_ scalar: Unicode.Scalar, _ emit: (NormalizedPart) -> Void) {
        switch Self.category(scalar) {
        case .control, .format, .privateUse, .surrogate: return
        default: break
        }
        if scalar.value == 0xFFFD { return }
        if scalar.properties.isWhitespace {
            finish(emit)
            return emit(.boundary)
        }
        let ideograph = Self.isIdeograph(scalar)
        if ideograph {
            finish(emit)
            emit(.boundary)
        }
        if scalar.value >= 0xC0 {
            for part in String(Character(scalar))._nfd { addDecomposed(part, emit) }
        } else {
            addDecomposed(scalar, emit)
        }
        if ideograph {
            finish(emit)
            emit(.boundary)
        }
    }

    private mutating func addDecomposed(_ scalar: Unicode.Scalar, _ emit: (NormalizedPart) -> Void) {
        let order = scalar.properties.canonicalCombiningClass.rawValue
        if order == 0 { finish(emit) }
        if Self.category(scalar) == .nonspacingMark { return }
        if order == 0 { Self.lowercase(scalar, emit) } else { held.append((order, scalar)) }
    }

    /// Hands out what is held back: at a starter, and at the end of the text.
    mutating func finish(_ emit: (NormalizedPart) -> Void) {
        if held.isEmpty { return }
        let run = held.enumerated().sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }
        held.removeAll(keepingCapacity: true)
        for (_, item) in run { Self.lowercase(item.scalar, emit) }
    }

    private static func lowercase(_ scalar: Unicode.Scalar, _ emit: (NormalizedPart) -> Void) {
        guard scalar.properties.changesWhenLowercased else { return part(scalar, emit) }
        for lower in scalar.properties.lowercaseMapping.unicodeScalars { part(lower, emit) }
    }

    private static func part(_ scalar: Unicode.Scalar, _ emit: (NormalizedPart) -> Void) {
        emit(isPunctuation(scalar) ? .alone(scalar) : .letter(scalar))
    }

    private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 128 { return ascii[Int(scalar.value)] == .punctuation }
        return switch category(scalar) {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation: true
        default: false
        }
    }

    /// The category in Unicode 8.0. Letters and symbols of later versions are told from "not assigned" by nobody here,
    /// so only the categories that decide anything look at the age.
    private static func category(_ scalar: Unicode.Scalar) -> Unicode.GeneralCategory {
        let properties = scalar.properties
        let category = properties.generalCategory
        switch category {
        case .uppercaseLetter, .lowercaseLetter, .otherLetter, .otherSymbol, .unassigned: return category
        default: return (properties.age?.major ?? 0) > 8 ? .unassigned : category
        }
    }

    private static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F: true
        default: false
        }
    }
}
