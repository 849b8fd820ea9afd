internal import Base

/// Gives names that are unlike: one that is taken gets a mark and a number, `a~2`, `a~3`.
///
/// Compared as bytes: two spellings of one letter (NFC, NFD) are two names in the store.
struct UniqueNames {
    private let mark: String
    private var taken: Set<ExactText> = []
    /// The number that each repeated name tries next.
    private var next: [ExactText: Int] = [:]

    init(mark: String) { self.mark = mark }

    /// - Complexity: O(length), amortised: a name with a number can be in the way of one other name only, and only once.
    mutating func unique(_ name: String) -> String {
        if taken.insert(ExactText(name)).inserted { return name }
        var number = next[ExactText(name)] ?? 2
        defer { next[ExactText(name)] = number + 1 }
        while true {
            let unique = "\(name)\(mark)\(number)"
            if taken.insert(ExactText(unique)).inserted { return unique }
            number += 1
        }
    }
}
