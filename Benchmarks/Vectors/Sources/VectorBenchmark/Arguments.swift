import Foundation
import Vectors

/// The words of the command line, taken one after the other.
struct Arguments {
    struct Wrong: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private var words: [String]

    init(_ words: some Sequence<String>) { self.words = Array(words) }

    mutating func next() -> String? { words.isEmpty ? nil : words.removeFirst() }

    mutating func text(_ what: String) throws -> String {
        guard let word = next() else { throw Wrong("\(what) is missing; without arguments the usage is printed") }
        return word
    }

    mutating func folder() throws -> String { try text("folder") }

    mutating func vectors() throws -> VectorFile { try VectorFile(text("vectors.f32")) }

    mutating func number(_ what: String) throws -> Int {
        let word = try text(what)
        guard let number = Int(word), number >= 0 else { throw Wrong("\(what): \(word) is not a number") }
        return number
    }

    /// All that are left.
    mutating func numbers(_ what: String) throws -> [Int] {
        var numbers = [try number(what)]
        while !words.isEmpty { numbers.append(try number(what)) }
        return numbers
    }

    mutating func flag(_ name: String) -> Bool {
        guard let at = words.firstIndex(of: name) else { return false }
        words.remove(at: at)
        return true
    }

    private mutating func option(_ name: String, _ otherwise: Int) throws -> Int {
        guard let at = words.firstIndex(of: name) else { return otherwise }
        guard at + 1 < words.count, let number = Int(words[at + 1]) else { throw Wrong("\(name) wants a number") }
        words.removeSubrange(at...at + 1)
        return number
    }

    mutating func parameters() throws -> HNSWParameters {
        let M = try option("--M", 16)
        return HNSWParameters(
            M: M, M0: 2 * M, efConstruction: try option("--efConstruction", 200), codeBits: try option("--bits", 4),
            rerank: try option("--rerank", 32))
    }

    func end() throws {
        if let word = words.first { throw Wrong("\(word) is one argument too many") }
    }
}
