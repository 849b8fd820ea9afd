/// A text that equals another only when their bytes do.
///
/// Swift's `String` holds canonically equivalent texts for equal: `é` (U+00E9) and `é` written as `e` with U+0301. JSON,
/// the store's keys and every client hold them for two texts, so whatever decides whether two keys, names or values
/// are the same compares this way.
public struct ExactText: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String
    public init(_ text: String) { self.text = text }

    public var description: String { text }

    /// - Complexity: O(n), O(1) when the lengths differ.
    public static func == (a: Self, b: Self) -> Bool {
        a.text.utf8.count == b.text.utf8.count && a.text.utf8.elementsEqual(b.text.utf8)
    }
    public func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
    /// Order of UTF-8 bytes, which is the order of Unicode scalars and of the store's keys.
    public static func < (a: Self, b: Self) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
}
