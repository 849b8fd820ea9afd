/// For how long commands are kept.
public enum JournalWindow: Sendable, Equatable {
    case off
    /// The oldest go when all together come to more.
    case bytes(Int)
    /// Those go that are older, by the time of the newest.
    case days(Int)
    /// All of them, whatever comes.
    case all
}
