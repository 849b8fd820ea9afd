// A span for each operation, through whichever door it came, named as OpenTelemetry's conventions for databases have it; what is a search for
// context says so in those for generative AI.

internal import Base
internal import Engine
public import Traces

extension Operations {
    public var tracer: Tracer { database.tracer }

    func traced<T: Sendable>(_ action: Action, project: Name?, by caller: Caller, _ body: () async throws -> T) async throws -> T {
        guard let span = span(of: action) else { return try await body() }
        span.set("db.system.name", "contex")
        span.set("db.operation.name", .text(action.rawValue))
        span.set("db.namespace", project.map { .text($0.text) })
        span.set("contex.request_id", .text(caller.requestID))
        if action == .query { span.set("gen_ai.operation.name", "retrieval") }
        do {
            let answer = try await OpenSpan.$current.withValue(span) { try await body() }
            if let answer = answer as? QueryAnswer { span.set("db.response.returned_rows", .integer(answer.matches.count)) }
            span.end()
            return answer
        } catch {
            let failure = ContexError(from: error)
            span.set("error.type", .text(failure.code.rawValue))
            span.end(failure: failure.code.meaning)
            throw error
        }
    }

    /// Of a door that has begun none it is the first.
    private func span(of action: Action) -> OpenSpan? {
        if let current = OpenSpan.current { return current.child("contex \(action.rawValue)") }
        return tracer.open("contex \(action.rawValue)", .server)
    }
}
