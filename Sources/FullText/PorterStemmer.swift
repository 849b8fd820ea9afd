// The stemmer of M. F. Porter, "An algorithm for suffix stripping", Program 14 (3), 1980, with the three departures of his
// own later program, which Lucene's PorterStemFilter keeps: words of one or two letters stay, "bli" becomes "ble" (step 2),
// and "logi" becomes "log" (step 2).
//
// A word is a sequence [C](VC){m}[V] of vowel and consonant runs; m, its measure, decides whether a suffix may go: the rule
// "(m > 0) eed -> ee" mends "agreed" and leaves "feed". Vowels are a, e, i, o, u, and y after a consonant. Digits count as
// consonants. The five steps run one after another on one buffer.

/// Stems one lower-case ASCII word in place.
struct PorterStemmer {
    private var word: [UInt8] = []
    /// Length of the stem before the suffix that `hasSuffix` matched last.
    private var stemLength = 0

    /// - Complexity: O(length).
    mutating func stem(_ token: inout [UInt8]) {
        guard token.count > 2 else { return }
        swap(&word, &token)
        plurals()
        participles()
        finalY()
        doubleSuffixes()
        singleSuffixes()
        lastSuffixes()
        finalE()
        swap(&word, &token)
    }

    private func isConsonant(_ index: Int) -> Bool {
        switch word[index] {
        case UInt8(ascii: "a"), UInt8(ascii: "e"), UInt8(ascii: "i"), UInt8(ascii: "o"), UInt8(ascii: "u"): return false
        case UInt8(ascii: "y"): return index == 0 || !isConsonant(index - 1)
        default: return true
        }
    }

    /// m of the first `stemLength` letters: how often a vowel run is followed by a consonant run.
    private var measure: Int {
        var count = 0
        var afterVowel = false
        for index in 0..<stemLength {
            let consonant = isConsonant(index)
            if consonant && afterVowel { count += 1 }
            afterVowel = !consonant
        }
        return count
    }

    private var stemHasVowel: Bool { (0..<stemLength).contains { !isConsonant($0) } }

    private func endsInDoubleConsonant(_ length: Int) -> Bool {
        length >= 2 && word[length - 1] == word[length - 2] && isConsonant(length - 1)
    }

    /// Consonant, vowel, consonant, the last not w, x or y: a short word such as "hop", which gets its e back.
    private func endsShort(_ length: Int) -> Bool {
        guard length >= 3, isConsonant(length - 1), !isConsonant(length - 2), isConsonant(length - 3) else { return false }
        return ![UInt8(ascii: "w"), UInt8(ascii: "x"), UInt8(ascii: "y")].contains(word[length - 1])
    }

    private mutating func hasSuffix(_ suffix: StaticString) -> Bool {
        let count = suffix.utf8CodeUnitCount
        guard count <= word.count else { return false }
        let start = word.count - count
        for index in 0..<count where unsafe word[start + index] != suffix.utf8Start[index] { return false }
        stemLength = start
        return true
    }

    private mutating func replaceSuffix(_ replacement: StaticString) {
        word.removeSubrange(stemLength...)
        for index in 0..<replacement.utf8CodeUnitCount { unsafe word.append(replacement.utf8Start[index]) }
    }

    /// The first suffix that matches decides; it is replaced when the stem's measure is over `measureMin`.
    private mutating func apply(_ rules: [(suffix: StaticString, replacement: StaticString)], measureOver measureMin: Int) {
        for rule in rules where hasSuffix(rule.suffix) {
            if measure > measureMin { replaceSuffix(rule.replacement) }
            return
        }
    }

    /// Step 1a: caresses, ponies, cats.
    private mutating func plurals() {
        if hasSuffix("sses") { replaceSuffix("ss") }
        else if hasSuffix("ies") { replaceSuffix("i") }
        else if !hasSuffix("ss"), hasSuffix("s") { replaceSuffix("") }
    }

    /// Step 1b: agreed, plastered, motoring; then the stem is mended: conflat(e), hop(p)ing, fil(e).
    private mutating func participles() {
        if hasSuffix("eed") {
            if measure > 0 { replaceSuffix("ee") }
            return
        }
        guard (hasSuffix("ed") && stemHasVowel) || (hasSuffix("ing") && stemHasVowel) else { return }
        replaceSuffix("")
        if hasSuffix("at") { replaceSuffix("ate") }
        else if hasSuffix("bl") { replaceSuffix("ble") }
        else if hasSuffix("iz") { replaceSuffix("ize") }
        else if endsInDoubleConsonant(word.count) {
            if ![UInt8(ascii: "l"), UInt8(ascii: "s"), UInt8(ascii: "z")].contains(word[word.count - 1]) { word.removeLast() }
        } else {
            stemLength = word.count
            if measure == 1 && endsShort(word.count) { word.append(UInt8(ascii: "e")) }
        }
    }

    /// Step 1c: happy, but sky.
    private mutating func finalY() {
        if hasSuffix("y") && stemHasVowel { replaceSuffix("i") }
    }

    /// Step 2.
    private mutating func doubleSuffixes() { apply(Self.doubleSuffixRules, measureOver: 0) }

    /// Step 3.
    private mutating func singleSuffixes() { apply(Self.singleSuffixRules, measureOver: 0) }

    /// Step 4.
    private mutating func lastSuffixes() {
        for suffix in Self.lastSuffixList where hasSuffix(suffix) {
            if measure > 1 { replaceSuffix("") }
            return
        }
        if hasSuffix("ion"), stemLength > 0, [UInt8(ascii: "s"), UInt8(ascii: "t")].contains(word[stemLength - 1]), measure > 1 {
            replaceSuffix("")
        }
    }

    /// Step 5: probate, rate, cease; controll, roll.
    private mutating func finalE() {
        if hasSuffix("e") {
            let measure = measure
            if measure > 1 || (measure == 1 && !endsShort(stemLength)) { replaceSuffix("") }
        }
        stemLength = word.count
        if word.last == UInt8(ascii: "l"), endsInDoubleConsonant(word.count), measure > 1 { word.removeLast() }
    }

    private static let doubleSuffixRules: [(suffix: StaticString, replacement: StaticString)] = [
        ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"), ("alli", "al"),
        ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"),
        ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("logi", "log"),
    ]

    private static let singleSuffixRules: [(suffix: StaticString, replacement: StaticString)] = [
        ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
    ]

    /// Longer ones before those they end with: "ement" before "ment" before "ent".
    private static let lastSuffixList: [StaticString] = [
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ou", "ism", "ate", "iti", "ous", "ive", "ize",
    ]
}
