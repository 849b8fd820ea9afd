// The span of a request, as OpenTelemetry's conventions for HTTP servers name it, and what its answer says of it.

internal import Base
internal import Service
internal import Traces

extension APIRequest {
    /// Where in whose trace the request comes from; nil: it begins one.
    var traceContext: TraceContext? {
        // Two of them are none: nobody could tell which is meant.
        guard count(of: "traceparent") == 1, let parent = header("traceparent") else { return nil }
        func joined(_ name: String) -> String { headers.lazy.filter { HeaderName.areSame($0.name, name) }.map(\.value).joined(separator: ",") }
        return TraceContext(parent: parent, state: joined("tracestate"), baggage: joined("baggage"))
    }
}

extension APIHandler {
    /// Runs what answers a request inside a span of its own, when there is tracing.
    func traced(_ admitted: AdmittedRequest, _ body: () async -> APIAnswer) async -> APIAnswer {
        let (request, route) = (admitted.request, admitted.route)
        guard operations.tracer.isOn else { return await body() }
        let path = (route.bases.prefixes.first { !$0.isEmpty && request.path.hasPrefix($0 + "/") } ?? "") + route.path
        guard let span = operations.tracer.open("\(route.method) \(path)", .server, after: request.traceContext) else { return await body() }
        span.set("http.request.method", .text(request.method))
        span.set("http.route", .text(path))
        span.set("url.path", .text(String(request.path).excerpt()))
        span.set("url.scheme", .text(request.scheme))
        span.set("client.address", request.address.map { .text($0) })
        span.set("user_agent.original", request.header("User-Agent").map { .text($0.excerpt()) })
        span.set("contex.request_id", .text(admitted.requestID))
        span.set("contex.key_id", admitted.keyID.map { .text($0) })
        var answer = await OpenSpan.$current.withValue(span) { await body() }
        span.set("http.response.status_code", .integer(answer.status))
        // What a client did wrong is no error of the server's.
        if answer.status >= 500 { span.set("error.type", .text(answer.fault?.code.rawValue ?? "\(answer.status)")) }
        span.end(failure: answer.status >= 500 ? answer.fault?.code.meaning ?? "HTTP \(answer.status)" : nil)
        answer.headers += [
            ("X-Trace-Id", "\(span.context.trace)"), ("X-Span-Id", "\(span.context.span)"), ("traceresponse", span.context.parent),
        ]
        return answer
    }
}
