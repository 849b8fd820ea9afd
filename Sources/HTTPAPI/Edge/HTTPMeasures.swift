internal import Measures

/// What this edge counts: every answer, also those that no operation was made for.
struct HTTPMeasures: Sendable {
    private let requests: FoundCounters
    private let times: FoundHistograms

    init(_ registry: MeasureRegistry) {
        requests = registry.foundCounters("contex_http_requests", "Requests that were answered", ["method", "endpoint", "status_code"], most: 2_000)
        times = registry.foundHistograms(
            "contex_http_request_duration_seconds", "Time from a request that is there to its answer, without the sending", ["method", "endpoint"])
    }

    /// - Parameter route: nil when none was found: what a stranger asks for is no label.
    func answered(_ route: Route?, status: Int, _ time: Stopwatch) {
        let (method, endpoint) = (route?.method ?? "none", route?.endpoint ?? "none")
        requests.add(1, method, endpoint, "\(status)")
        times.record(time.nanoseconds, method, endpoint)
    }
}

extension Route {
    /// Its path with the names of its parameters, under the first of its prefixes.
    var endpoint: String { (bases.prefixes.first ?? "") + path }
}
