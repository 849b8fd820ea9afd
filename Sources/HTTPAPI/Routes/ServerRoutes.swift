internal import Answers
internal import Base
internal import Service

/// The server itself: is it there, is it well.
extension RouteTable {
    private static let group = "Server"

    static let serverRoutes: [Route] = [
        Route(
            "GET", "/", bases: .root, action: .showHealth, isPublic: true, group: group, "Leads to /sandbox",
            answers: Route.leadsElsewhere, ""
        ) { _ in .redirect(to: "/sandbox") },

        Route(
            "GET", "/health", bases: .root, action: .showHealth, isPublic: true, group: group, "The server answers; nothing is checked",
            #"{"status":"healthy","service":"contex","version":"0.2.0"}"#
        ) { call in
            .json(["status": "healthy", "service": "contex", "version": .string(call.server.version)])
        },

        Route(
            "GET", "/", action: .showHealth, group: group, "The API answers", #"{"service":"Contex","status":"running","version":"0.2.0"}"#
        ) { call in
            .json(["service": "Contex", "status": "running", "version": .string(call.server.version)])
        },

        Route(
            "GET", "/health", action: .showHealth, group: group, "Every part is checked; 503 when one of them fails",
            #"{"status":"healthy","timestamp":"2026-01-01T00:00:00+00:00","uptime_seconds":1.5,"version":"0.2.0","components":{},"degraded_modes":[]}"#
        ) { call in
            let health = try await call.operations.health(by: call.caller)
            let now = call.server.clock.now()
            return .json(
                [
                    "status": .string(health.status.rawValue), "timestamp": .string(now.iso8601),
                    "uptime_seconds": .double(call.server.uptime(at: now)), "version": .string(call.server.version),
                    "components": HealthShape.components(health, at: now), "degraded_modes": HealthShape.modes(health),
                ], status: health.status == .unhealthy ? 503 : 200)
        },

        Route(
            "GET", "/health/ready", action: .showHealth, group: group, "Ready for requests; 503 when not, and while the server stops",
            #"{"ready":true,"timestamp":"2026-01-01T00:00:00+00:00","checks":{"store":true,"accepting":true}}"#
        ) { call in
            let health = try await call.operations.health(by: call.caller)
            let isReady = health.isReady
            return .json(
                [
                    "ready": .bool(isReady), "timestamp": .string(call.server.clock.now().iso8601),
                    "checks": HealthShape.checks(health),
                ], status: isReady ? 200 : 503)
        },

        Route(
            "GET", "/health/startup", bases: .current, action: .showHealth, group: group, "The server has started: it answers only when it has",
            #"{"started":true,"timestamp":"2026-01-01T00:00:00+00:00","uptime_seconds":1.5}"#
        ) { call in
            let now = call.server.clock.now()
            return .json([
                "started": .bool(true), "timestamp": .string(now.iso8601), "uptime_seconds": .double(call.server.uptime(at: now)),
            ])
        },

        Route(
            "GET", "/health/live", action: .showHealth, group: group, "The process runs",
            #"{"alive":true,"timestamp":"2026-01-01T00:00:00+00:00","uptime_seconds":1.5}"#
        ) { call in
            let now = call.server.clock.now()
            return .json([
                "alive": .bool(true), "timestamp": .string(now.iso8601), "uptime_seconds": .double(call.server.uptime(at: now)),
            ])
        },
    ]
}

extension ServerFacts {
    func uptime(at time: Timestamp) -> Double { time.seconds - startedAt.seconds }
}
