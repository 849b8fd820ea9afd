internal import Synchronization

/// Whether work is still wanted: whoever waits for it says when not, and the work asks now and then.
///
/// A question costs a load or two, so that a loop may ask at each row, element or node.
public final class Cancellation: Sendable {
    private let isRaised = Atomic(false)
    private let outer: Cancellation?

    /// - Parameter outer: whose end is the end of this work too: all work of a store, for one request.
    public init(within outer: Cancellation? = nil) { self.outer = outer }

    /// For work that nobody gives up.
    public static let never = Cancellation()

    public func cancel() { isRaised.store(true, ordering: .relaxed) }

    public var isCancelled: Bool { isRaised.load(ordering: .relaxed) || outer?.isCancelled == true }

    /// - Throws: `.unavailable` once it was cancelled.
    public func check() throws(ContexError) {
        if isCancelled { throw ContexError(.cancelled, "The work was given up: whoever asked for it has left, or the server is stopping") }
    }
}
