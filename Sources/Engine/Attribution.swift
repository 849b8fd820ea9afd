public import Audit

/// In whose name a command is given, for the audit trail.
///
/// Bound to the task by `Service.Operations` for the time of one operation, and read at the one place where commands are submitted: so no
/// operation can forget to pass it on, and what the server does by itself has none.
public struct Attribution: Sendable, Equatable {
    public static let keptDaysMax = 36_500

    @TaskLocal public static var current: Attribution?

    public let actor: AuditActor
    public let place: AuditPlace
    /// The operation.
    public let action: String
    /// `AUDIT_RETENTION_DAYS`: older records go with new ones.
    public let keptDays: Int

    public init(actor: AuditActor, place: AuditPlace, action: String, keptDays: Int) {
        self.actor = actor
        self.place = place
        self.action = action
        self.keptDays = keptDays
    }

    func of(_ command: Command) -> Command {
        switch command {
        // Notes are of what others did, parts are nothing until they are whole, an agent that has read its inbox has changed nothing that anybody else sees.
        case .noteAudit, .attributed, .acknowledge, .keepQueries, .noteDeliveries, .expireInboxes, .eraseTenant, .keepPart: command
        // Of an erasure the first step and the last are told, of what is done between them how much it was.
        case .erase(let erase) where !erase.isTold: command
        default: .attributed(Command.Attributed(command: command, attribution: self))
        }
    }
}
