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
        // Each step asks for endings of few letters: most words pass by most steps on their last letter.
        if last == UInt8(ascii: "s") { plurals() }
        if last == UInt8(ascii: "d") || last == UInt8(ascii: "g") { participles() }
        if last == UInt8(ascii: "y") { finalY() }
        apply(Self.doubleSuffixRules[place], measureOver: 0)
        apply(Self.singleSuffixRules[place], measureOver: 0)
        lastSuffixes()
        if last == UInt8(ascii: "e") || last == UInt8(ascii: "l") { finalE() }
        swap(&word, &token)
    }

    private var last: UInt8 { word[word.count - 1] }
    /// The last letter's place in a table of rules; 26 for a digit.
    private var place: Int { last >= UInt8(ascii: "a") && last <= UInt8(ascii: "z") ? Int(last - UInt8(ascii: "a")) : 26 }

    private static func byLastLetter<Rule>(_ rules: [Rule], _ suffix: (Rule) -> StaticString) -> [[Rule]] {
        (0...26).map { place in
            rules.filter { rule in
                let text = suffix(rule)
                return unsafe Int(text.utf8Start[text.utf8CodeUnitCount - 1]) == Int(UInt8(ascii: "a")) + place
            }
        }
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

    /// Step 4.
    private mutating func lastSuffixes() {
        for suffix in Self.lastSuffixList[place] where hasSuffix(suffix) {
            if measure > 1 { replaceSuffix("") }
            return
        }
        if last == UInt8(ascii: "n"), hasSuffix("ion"), stemLength > 0, [UInt8(ascii: "s"), UInt8(ascii: "t")].contains(word[stemLength - 1]), measure > 1 {
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

    /// Step 2.
    private static let doubleSuffixRules = byLastLetter(doubleSuffixes, \.suffix)
    private static let doubleSuffixes: [(suffix: StaticString, replacement: StaticString)] = [
        ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"), ("alli", "al"),
        ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"),
        ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("logi", "log"),
    ]

    /// Step 3.
    private static let singleSuffixRules = byLastLetter(singleSuffixes, \.suffix)
    private static let singleSuffixes: [(suffix: StaticString, replacement: StaticString)] = [
        ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
    ]

    /// Longer ones before those they end with: "ement" before "ment" before "ent".
    private static let lastSuffixList = byLastLetter(lastOnes, \.self)
    private static let lastOnes: [StaticString] = [
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ou", "ism", "ate", "iti", "ous", "ive", "ize",
    ]
}
