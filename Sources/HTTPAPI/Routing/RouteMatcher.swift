internal import Base

/// Finds the route of a path by comparing segments, as Starlette does: a parameter takes one segment that is not empty.
///
/// Segments are split before they are decoded, so that `%2F` stays inside a name; the original decodes first and cannot
/// reach a key that contains a slash.
struct RouteMatcher: Sendable {
    enum Match {
        case route(Route, parameters: [(name: String, value: String)])
        /// The path is known, the method is not: 405, with those that are. OPTIONS asks for just these.
        case otherMethod(allowed: [String])
        /// The path is known with or without a slash at its end: 307.
        case otherSlash(path: String)
        case none
    }

    private enum Segment: Sendable {
        case fixed(String)
        case parameter(String)
    }
    private struct Pattern: Sendable {
        let segments: [Segment]
        let route: Route
    }
    /// By number of segments: a request is compared with a handful.
    private let patterns: [Int: [Pattern]]

    init(_ routes: [Route]) {
        var patterns: [Int: [Pattern]] = [:]
        for route in routes {
            for prefix in route.bases.prefixes {
                let segments = Self.split((prefix + route.path)[...]).map { text in
                    text.hasPrefix("{") && text.hasSuffix("}") ? Segment.parameter(String(text.dropFirst().dropLast())) : .fixed(String(text))
                }
                patterns[segments.count, default: []].append(Pattern(segments: segments, route: route))
            }
        }
        self.patterns = patterns
    }

    private static func split(_ path: Substring) -> [Substring] {
        path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    }

    /// - Complexity: O(routes with as many segments).
    func match(method: String, path: Substring) -> Match {
        // Of the server as a whole.
        if path == "*", method == "OPTIONS" { return .otherMethod(allowed: ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]) }
        let found = matches(path)
        // HEAD is GET without the body (RFC 9110, section 9.3.2).
        let wanted = method == "HEAD" ? "GET" : method
        if let hit = found.first(where: { $0.route.method == wanted }) { return .route(hit.route, parameters: hit.parameters) }
        guard found.isEmpty else {
            var allowed: [String] = []
            for method in found.map(\.route.method) where !allowed.contains(method) { allowed += method == "GET" ? ["GET", "HEAD"] : [method] }
            return .otherMethod(allowed: allowed + ["OPTIONS"])
        }
        let toggled = path.hasSuffix("/") ? path.dropLast() : (String(path) + "/")[...]
        return toggled.isEmpty || matches(toggled).isEmpty ? .none : .otherSlash(path: String(toggled))
    }

    private func matches(_ path: Substring) -> [(route: Route, parameters: [(name: String, value: String)])] {
        guard path.hasPrefix("/") else { return [] }
        // Each once, and not for every pattern that it is compared with.
        var values: [String] = []
        for segment in Self.split(path) {
            // What is no text is in no route.
            guard let value = PercentEncoding.decode(segment, plusIsSpace: false) else { return [] }
            values.append(value)
        }
        var found: [(route: Route, parameters: [(name: String, value: String)])] = []
        for pattern in patterns[values.count] ?? [] {
            let isMatch = zip(pattern.segments, values).allSatisfy { expected, value in
                if case .fixed(let text) = expected { value == text } else { !value.isEmpty }
            }
            guard isMatch else { continue }
            let parameters = zip(pattern.segments, values).compactMap { expected, value in
                if case .parameter(let name) = expected { (name: name, value: value) } else { nil }
            }
            found.append((pattern.route, parameters))
        }
        return found
    }
}
