import Access
import Base
import Content
import Engine
import HTTPAPI
import KeySpace
import LMDB
import Service
import Tenants
import TestSupport
import Testing

/// Two tenants with the same names for everything, and every route of the table as the one, aimed at the other: a route that is added is tried the
/// moment it is there.
@Suite("Tenants do not see each other")
struct TenantIsolationTests {
    /// In everything that the other tenant has.
    private static let mark = "betasecret"

    private struct World {
        let harness: Harness
        let root: String
        /// Admin keys of the tenants.
        let acme: String
        let beta: String
        /// Of the other tenant's things, by the names of fields in paths.
        let values: [String: String]
        let number: TenantID
    }

    private static func key(_ harness: Harness, root: String, tenant: String) async throws -> (id: String, text: String) {
        let headers = [("X-Tenant-ID", tenant)]
        let created = try await harness.send("POST", "/api/v1/auth/keys?name=\(tenant)\(tenant == "beta" ? mark : "")", key: root, headers: headers).json
        let (id, text) = try (#require(created["key_id"]?.stringValue), #require(created["key"]?.stringValue))
        #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=admin", "[]", key: root, headers: headers).status == 200)
        return (id, text)
    }

    private static func world(audit: ((Database) -> any AuditTrail)? = nil) async throws -> World {
        let harness = try Harness(authentication: true)
        try await harness.database.setTenancy(true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        for tenant in ["acme", "beta"] {
            let body = #"{"tenant_id":"\#(tenant)","name":"\#(tenant)","plan":"enterprise","quotas":{"max_requests_per_minute":1000000}}"#
            #expect(await harness.send("POST", "/api/v1/tenants", body, key: root).status == 201)
        }
        let (acme, beta) = (try await key(harness, root: root, tenant: "acme"), try await key(harness, root: root, tenant: "beta"))
        var values = ["tenant_id": "beta", "key_id": beta.id]
        for (key, text) in [(acme.text, "zebra of acme"), (beta.text, "\(mark) lion")] {
            let isBeta = key == beta.text
            for project in isBeta ? ["shared", "beta only"] : ["shared"] {
                for sequence in 1...2 {
                    let body = #"{"project_id":"\#(project)","data_key":"doc","data":{"text":"\#(text) \#(sequence)"}}"#
                    #expect(await harness.send("POST", "/api/v1/data/publish", body, key: key).status == 200)
                }
                let agent = #"{"agent_id":"\#(isBeta ? "beta-agent" : "acme-agent")","project_id":"\#(project)","data_needs":["\#(text)"]}"#
                #expect(await harness.send("POST", "/api/v1/agents/register", agent, key: key).status == 200)
            }
            let hook = #"{"name":"\#(isBeta ? mark : "hook")","url":"https://hooks.example/\#(isBeta ? mark : "acme")"}"#
            let endpoint = await harness.send("POST", "/api/v1/webhooks/endpoints", hook, key: key)
            #expect(endpoint.status == 201)
            if isBeta { values["endpoint_id"] = try endpoint.json["endpoint_id"]?.stringValue }
            let limit = #"{"subject":"project","id":"\#(isBeta ? mark : "shared")","class":"query","limit":\#(isBeta ? 7 : 9)}"#
            #expect(await harness.send("PUT", "/api/v1/admin/rate-limits/rules", limit, key: key).status == 200)
        }
        values["agent_id"] = "beta-agent"
        values["data_key"] = "doc"
        values["sequence"] = "1"
        let number = try #require(harness.database.tenants.tenant(named: "beta")).number
        return World(harness: harness, root: root, acme: acme.text, beta: beta.text, values: values, number: number)
    }

    /// All that the store holds of a tenant, and of the list of tenants.
    private static func records(_ world: World) throws -> [[UInt8]: [UInt8]] {
        var found: [[UInt8]: [UInt8]] = [:]
        try world.harness.database.environment().read { (view: borrowing TransactionView) throws in
            var prefix: [UInt8] = []
            prefix.append(bigEndian: world.number.rawValue)
            for prefix in [prefix, TenantScope.system.key(.tenant), TenantScope.system.key(.tenantByName)] {
                try view.scan(prefix: prefix) { key, value in
                    found[Array(key)] = Array(value)
                    return .onward
                }
            }
        }
        return found
    }

    @Test func everyRouteAsAnotherTenant() async throws {
        let world = try await Self.world()
        let harness = world.harness
        // It is not that nobody sees it.
        let own = await harness.send("POST", "/api/v1/projects/shared/query", #"{"query":"\#(Self.mark) lion"}"#, key: world.beta)
        #expect(own.text.contains(Self.mark))
        // What both ask for by one name each has of its own; what nobody asks for only its tenant has.
        _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"beta hidden","data_key":"k","data":1}"#, key: world.beta)
        let secrets = [Self.mark, "beta hidden", "beta-agent"] + [world.values["endpoint_id"]!, world.values["key_id"]!]

        let before = try Self.records(world)
        var checked = 0
        for route in RouteTable.all {
            for prefix in route.bases.prefixes {
                for project in ["shared", "beta only"] {
                    let (target, body) = try RoleMatrixTests.request(route, prefix: prefix, project: project, values: world.values)
                    let asked = target + (body ?? "")
                    for way in ["own", "header", "path"] {
                        let headers = way == "header" ? [("X-Tenant-ID", "beta")] : []
                        let path = (way == "path" ? "/t/beta" : "") + target
                        let answer = await harness.send(route.method, path, body, key: world.acme, headers: headers)
                        let place = "\(route.method) \(path) (\(way)): \(answer.status) \(answer.text.prefix(300))"
                        let judgesCredentials = [.issueToken, .validateToken].contains(route.action)
                        #expect(answer.status != 500 && (answer.status != 401 || judgesCredentials), "\(place)")
                        // What it was asked with may be in an answer again; nothing else.
                        for secret in secrets where !asked.contains(secret) && !asked.contains(secret.replacing(" ", with: "%20")) {
                            #expect(!answer.text.contains(secret), "\(place)")
                            #expect(!answer.headers.contains { $0.value.contains(secret) }, "\(place)")
                        }
                        if route.isPublic { continue }
                        switch route.action.place {
                        case .server: #expect(answer.status == 403, "\(place)")
                        case .tenant where way != "own":
                            #expect(answer.status == 403 && answer.header("X-Contex-Error") == "tenant_foreign", "\(place)")
                        case .anywhere where route.pathFields.contains { $0.name == "tenant_id" }:
                            #expect(answer.status == 404 && answer.header("X-Contex-Error") == "tenant_not_found", "\(place)")
                        case .tenant, .anywhere: break
                        }
                        checked += 1
                    }
                }
            }
        }
        #expect(checked > 3 * RouteTable.all.count)
        // Not a byte of the other tenant is another one.
        let after = try Self.records(world)
        #expect(after == before, "\(Set(after.keys).symmetricDifference(before.keys).map { $0.prefix(9) })")
        await harness.close()
    }

    /// The keys of one tenant are not there for another, not even to be told apart from keys that nobody has.
    @Test func whatIsForeignIsAsWhatIsNot() async throws {
        let world = try await Self.world()
        let harness = world.harness
        func same(_ method: String, _ foreign: String, _ none: String, _ body: String? = nil) async {
            let (a, b) = (
                await harness.send(method, foreign, body, key: world.acme), await harness.send(method, none, body, key: world.acme)
            )
            #expect(a.status == b.status, "\(method) \(foreign)")
            #expect(a.header("X-Contex-Error") == b.header("X-Contex-Error"))
        }
        let key = world.values["key_id"]!
        await same("DELETE", "/api/v1/auth/keys/\(key)", "/api/v1/auth/keys/0123456789abcdef")
        await same("GET", "/api/v1/auth/roles/\(key)", "/api/v1/auth/roles/0123456789abcdef")
        await same("POST", "/api/v1/auth/roles?key_id=\(key)&role=admin", "/api/v1/auth/roles?key_id=0123456789abcdef&role=admin", "[]")
        await same("GET", "/api/v1/agents/beta-agent", "/api/v1/agents/nobody")
        await same("GET", "/api/v1/projects/beta%20only/data", "/api/v1/projects/nothing/data")
        await same("GET", "/api/v1/webhooks/endpoints/\(world.values["endpoint_id"]!)", "/api/v1/webhooks/endpoints/whep_0123456789abcdef")
        await same("GET", "/api/v1/tenants/beta", "/api/v1/tenants/nobody")
        await same("GET", "/t/beta/api/v1/projects", "/t/nobody/api/v1/projects")
        await harness.close()
    }

    @Test func whoseARequestIs() async throws {
        let world = try await Self.world()
        let harness = world.harness
        func projects(_ path: String, key: String?, tenant: String? = nil) async throws -> [String]? {
            let answer = await harness.send("GET", path + "/api/v1/projects", key: key, headers: tenant.map { [("X-Tenant-ID", $0)] } ?? [])
            guard answer.status == 200 else { return ["\(answer.status) " + (answer.header("X-Contex-Error") ?? "")] }
            return try answer.json["projects"]?.arrayValue?.compactMap { $0["project_id"]?.stringValue }
        }
        // The key says it; naming its own tenant is no harm.
        #expect(try await projects("", key: world.acme) == ["shared"])
        #expect(try await projects("", key: world.acme, tenant: "acme") == ["shared"])
        #expect(try await projects("/t/acme", key: world.acme) == ["shared"])
        #expect(try await projects("", key: world.acme, tenant: "beta") == ["403 tenant_foreign"])
        #expect(try await projects("", key: world.acme, tenant: "ACME") == ["403 tenant_foreign"])
        #expect(try await projects("/t/acme", key: world.acme, tenant: "beta") == ["400 bad_request"])
        // The operator is in his own, or where he says.
        #expect(try await projects("", key: world.root) == [])
        #expect(try await projects("", key: world.root, tenant: "beta") == ["beta only", "shared"])
        #expect(try await projects("/t/beta", key: world.root) == ["beta only", "shared"])
        #expect(try await projects("", key: world.root, tenant: "nobody") == ["404 tenant_not_found"])
        // The key goes first: without one nothing is learnt of tenants.
        #expect(try await projects("", key: nil, tenant: "beta") == ["401 key_missing"])
        #expect(try await projects("/t/nobody", key: "ck_wrong", tenant: nil) == ["401 key_unknown"])

        // A tenant that is switched off is shut for its keys, and for the operator in its name; its data stays.
        #expect(await harness.send("PATCH", "/api/v1/tenants/beta", #"{"is_active":false}"#, key: world.root).status == 200)
        #expect(try await projects("", key: world.beta) == ["403 tenant_inactive"])
        #expect(try await projects("", key: world.root, tenant: "beta") == ["403 tenant_inactive"])
        let refusal = await harness.send("GET", "/api/v1/projects", key: world.beta)
        #expect(try refusal.json == ["detail": "Tenant 'beta' is inactive"])
        #expect(await harness.send("PATCH", "/api/v1/tenants/beta", #"{"is_active":true}"#, key: world.root).status == 200)
        #expect(try await projects("", key: world.beta) == ["beta only", "shared"])

        // With one tenant again, keys of others are what they were, and the server is not theirs.
        try await harness.database.setTenancy(false)
        #expect(try await projects("", key: world.beta) == ["beta only", "shared"])
        #expect(try await projects("", key: world.root) == [])
        #expect(await harness.send("GET", "/api/v1/metrics", key: world.beta).status == 403)
        #expect(await harness.send("GET", "/api/v1/metrics", key: world.root).status == 200)
        #expect(await harness.send("GET", "/api/v1/tenants", key: world.root).header("X-Contex-Error") == "tenancy_off")
        #expect(await harness.send("GET", "/t/beta/api/v1/projects", key: world.root).status == 404)
        await harness.close()
    }

    @Test func withoutAuthenticationTheRequestNamesItsTenant() async throws {
        let harness = try Harness()
        try await harness.database.setTenancy(true)
        #expect(await harness.send("POST", "/api/v1/tenants", #"{"tenant_id":"acme","name":"Acme"}"#).status == 201)
        let missing = await harness.send("GET", "/api/v1/projects")
        #expect(try missing.status == 400 && missing.json == ["detail": "Tenant identification required"])
        #expect(await harness.send("GET", "/api/v1/projects", headers: [("X-Tenant-ID", "nobody")]).status == 404)
        let body = #"{"project_id":"p","data_key":"k","data":"lion"}"#
        #expect(await harness.send("POST", "/t/acme/api/v1/data/publish", body).status == 200)
        #expect(await harness.send("GET", "/api/v1/projects/p/data", headers: [("X-Tenant-ID", "acme")]).text.contains("lion"))
        #expect(await !harness.send("GET", "/api/v1/projects/p/data", headers: [("X-Tenant-ID", "default")]).text.contains("lion"))
        #expect(await harness.send("GET", "/api/v1/health").status == 200)
        // A slash too many leads to where the tenant is.
        let redirect = await harness.send("GET", "/t/acme/api/v1", headers: [])
        #expect(redirect.status == 307 && redirect.header("Location") == "/t/acme/api/v1/")
        await harness.close()
    }

    @Test func routesInTheOriginalsShapes() async throws {
        let world = try await Self.world()
        let (harness, root) = (world.harness, world.root)
        let created = await harness.send(
            "POST", "/api/v1/tenants",
            #"{"tenant_id":"small","name":"Small","owner_email":"s@small.example","settings":{"a":1},"metadata":{"b":2}}"#, key: root)
        #expect(created.status == 201)
        let tenant = try created.json
        #expect(
            tenant.objectValue?.keys == [
                "tenant_id", "name", "plan", "quotas", "settings", "metadata", "created_at", "updated_at", "is_active", "owner_email",
            ])
        #expect(tenant["plan"] == "free" && tenant["quotas"]?["max_projects"] == .integer(1) && tenant["updated_at"] == .null)
        let again = await harness.send("POST", "/api/v1/tenants", #"{"tenant_id":"small","name":"Small"}"#, key: root)
        #expect(try again.status == 400 && again.json == ["detail": "Tenant 'small' already exists"])
        for bad in [#"{"tenant_id":"Small","name":"x"}"#, #"{"tenant_id":"x","name":"x"}"#, #"{"tenant_id":"good","name":""}"#,
            #"{"tenant_id":"good","name":"x","plan":"gold"}"#, #"{"tenant_id":"good","name":"x","quotas":[]}"#,
            #"{"tenant_id":"good","name":"x","quotas":{"max_projects":-1}}"#] {
            #expect(await harness.send("POST", "/api/v1/tenants", bad, key: root).status == 422, "\(bad)")
        }
        let listed = try await harness.send("GET", "/api/v1/tenants", key: root).json
        #expect(listed["tenants"]?.arrayValue?.map { $0["tenant_id"] } == ["small", "beta", "acme", "default"] && listed["total"] == .integer(4))
        #expect(try await harness.send("GET", "/api/v1/tenants?plan=free", key: root).json["total"] == .integer(1))

        let body = #"{"project_id":"p","data_key":"k","data":"lion"}"#
        let small = [("X-Tenant-ID", "small")]
        #expect(await harness.send("POST", "/api/v1/data/publish", body, key: root, headers: small).status == 200)
        // The second project of a plan that has one.
        let refused = await harness.send("POST", "/api/v1/tenants/small/projects/q", key: root)
        #expect(refused.status == 429 && refused.header("Retry-After") == nil)
        #expect(
            try refused.json == [
                "detail": "Quota exceeded: projects (2/1)", "error_code": "QUOTA_EXCEEDED", "resource": "projects", "used": .integer(1), "limit": .integer(1),
                "reset": .null,
            ])
        #expect(await harness.send("POST", "/api/v1/data/publish", body.replacing(#""p""#, with: #""q""#), key: root, headers: small).status == 429)
        #expect(await harness.send("GET", "/api/v1/projects/p/data", key: root, headers: small).text.contains("lion"))
        let usage = try await harness.send("GET", "/api/v1/tenants/small/usage", key: root).json
        #expect(usage["usage"]?["projects_count"] == .integer(1) && usage["usage"]?["events_this_month"] == .integer(1))
        #expect(usage["usage_percentage"]?["projects"] == .double(100) && usage["quotas"]?["max_storage_mb"] == .integer(10))
        #expect(try await harness.send("GET", "/api/v1/tenants/small/projects", key: root).json == .array(["p"]))
        let patched = try await harness.send("PATCH", "/api/v1/tenants/small", #"{"plan":"starter","settings":{"a":null,"c":3}}"#, key: root).json
        #expect(patched["quotas"]?["max_projects"] == .integer(3) && patched["settings"] == ["c": .integer(3)] && patched["updated_at"] != .null)
        let added = await harness.send("POST", "/api/v1/tenants/small/projects/q", key: root)
        #expect(try added.status == 201 && added.json == ["project_key": "small:project:q"])
        #expect(await harness.send("DELETE", "/api/v1/tenants/small/projects/q", key: root).status == 204)
        #expect(await harness.send("DELETE", "/api/v1/tenants/small/projects/q", key: root).status == 404)
        #expect(await harness.send("DELETE", "/api/v1/tenants/small/projects/p", key: root).status == 400)
        #expect(await harness.send("POST", "/api/v1/tenants/small/reset-monthly-usage", key: root).status == 204)
        #expect(try await harness.send("GET", "/api/v1/tenants/small/usage", key: root).json["usage"]?["events_this_month"] == .integer(0))
        #expect(await harness.send("DELETE", "/api/v1/tenants/small", key: root).status == 400)
        #expect(await harness.send("DELETE", "/api/v1/tenants/small?force=true", key: root).status == 204)
        #expect(try await harness.send("GET", "/api/v1/tenants/small", key: root).json == ["detail": "Tenant 'small' not found"])
        #expect(await harness.send("DELETE", "/api/v1/tenants/default?force=true", key: root).status == 400)
        // A tenant's own administrator sees his own, and changes nothing of it.
        #expect(try await harness.send("GET", "/api/v1/tenants/acme", key: world.acme).json["tenant_id"] == "acme")
        #expect(try await harness.send("GET", "/api/v1/tenants/acme/usage", key: world.acme).json["usage"]?["projects_count"] == .integer(1))
        #expect(await harness.send("PATCH", "/api/v1/tenants/acme", #"{"plan":"pro"}"#, key: world.acme).status == 403)
        await harness.close()
    }

    @Test func warningsAndRequestsAMinute() async throws {
        let world = try await Self.world()
        let (harness, root) = (world.harness, world.root)
        #expect(await harness.send("PATCH", "/api/v1/tenants/acme", #"{"quotas":{"max_events_per_month":20}}"#, key: root).status == 200)
        var warned: [Int: String] = [:]
        // Two events are there.
        for number in 3...20 {
            let body = #"{"project_id":"shared","data_key":"k\#(number)","data":"zebra \#(number)"}"#
            let answer = await harness.send("POST", "/api/v1/data/publish", body, key: world.acme)
            #expect(answer.status == 200)
            warned[number] = answer.headers.first { $0.name == "X-Quota-Warning" && $0.value.hasPrefix("events;") }?.value
        }
        #expect(warned.keys.min() == 16 && warned[16] == "events;used=16;limit=20;percent=80" && warned[20] == "events;used=20;limit=20;percent=100")
        let refused = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"shared","data_key":"l","data":"zebra"}"#, key: world.acme)
        #expect(try refused.status == 429 && refused.json["resource"] == "events" && refused.json["reset"] != .null)
        #expect(Int(refused.header("Retry-After") ?? "") ?? 0 > 0 && refused.header("X-Contex-Error") == "quota_exceeded")

        #expect(await harness.send("PATCH", "/api/v1/tenants/acme", #"{"quotas":{"max_requests_per_minute":3}}"#, key: root).status == 200)
        var statuses: [Int] = []
        for _ in 0..<5 { statuses.append(await harness.send("GET", "/api/v1/projects", key: world.acme).status) }
        #expect(statuses.contains(429) && statuses.last == 429)
        let limited = await harness.send("GET", "/api/v1/projects", key: world.acme)
        #expect(try limited.json["error"] == "rate_limit_exceeded" && limited.json["policy"] == "tenant")
        // Nobody else is.
        #expect(await harness.send("GET", "/api/v1/projects", key: world.beta).status == 200)
        await harness.close()
    }
}
