internal import Base
internal import Needs

/// How the trace of a change is found again when somebody is told of the change: in the server's memory (`Tracer.remember`), by its place.
enum TracePlace {
    static func text(_ tenant: TenantID, _ project: Name, _ sequence: Sequence) -> String { "\(tenant.rawValue)/\(sequence)/\(project.text)" }
}

extension Outcome {
    /// Of a change that agents may be told of.
    func place(of command: Command) -> String? {
        switch (command, self) {
        case (.attributed(let attributed), _): place(of: attributed.command)
        case (.publish(let publish), .published(let receipt)): TracePlace.text(publish.tenant, receipt.project, receipt.sequence)
        case (.delete(let delete), .deleted(let receipt)): TracePlace.text(delete.tenant, receipt.project, receipt.sequence)
        default: nil
        }
    }
}

extension Notification {
    /// Of the change that it tells of; nil for what is told at a registration.
    public var tracePlace: String? {
        switch message {
        case .update(let sequence, _, _), .deletion(let sequence, _): TracePlace.text(tenant, project, sequence)
        case .initialContext, .event: nil
        }
    }
}
