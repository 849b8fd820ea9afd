/// A revision of the Model Context Protocol, by its date.
///
/// There are two eras. Up to 2025-11-25 a client begins with `initialize` and speaks the revision that the answer named. From 2026-07-28 on every
/// request says by itself, in `_meta`, in which revision it is written: nothing is agreed on, nothing is kept.
public enum ProtocolRevision: String, Sendable, CaseIterable {
    case march2025 = "2025-03-26"
    case june2025 = "2025-06-18"
    case november2025 = "2025-11-25"
    case july2026 = "2026-07-28"

    /// Every request is complete in itself.
    public var isStateless: Bool { self == .july2026 }

    /// Several messages may come as one. Only the first revision with one endpoint had that.
    public var hasBatches: Bool { self == .march2025 }

    /// Those that `initialize` can agree on.
    public static let ofHandshake = allCases.filter { !$0.isStateless }
    public static let stateless = allCases.filter(\.isStateless)

    /// What a request of the first era is written in that does not say: the header came with a later revision.
    public static let unsaid = ProtocolRevision.march2025

    /// What `initialize` is answered with: the client's when it is known, else the newest of its era.
    public static func agreed(on wanted: String) -> ProtocolRevision {
        ofHandshake.first { $0.rawValue == wanted } ?? .november2025
    }
}
