/// What waits between threads that put something in and the one that takes it out, in the same order. Whoever takes is woken once
/// for all that has come until it looks. How much may wait, `ReaderLedger` says.
public struct Mailbox<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var isWoken = false

    public init() {}

    /// - Returns: whether the one who takes must be woken.
    public mutating func put(_ element: Element) -> Bool {
        elements.append(element)
        defer { isWoken = true }
        return !isWoken
    }

    /// What has come since the last call.
    public mutating func take() -> [Element] {
        defer {
            elements = []
            isWoken = false
        }
        return elements
    }
}
