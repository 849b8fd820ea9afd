internal import Base
internal import Needs

extension Command {
    /// An agent enters a project, or takes the place of the one that has its id there.
    package struct Register: Sendable {
        /// Checked.
        let agent: RegisterCommand
        /// The needs, each once, with their vectors, and how they are searched.
        let search: NeedSearch
        /// What the search found when the command was prepared; nil searches where it is applied.
        var found: NeedSearch.Found?
        /// When what was found is no longer true: refuses the command as stale, instead of searching inside the transaction. Not part of it.
        var refusesStale = false
        let time: Timestamp
    }
}
