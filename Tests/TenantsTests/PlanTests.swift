import Base
import Foundation
import Tenants
import TestSupport
import Testing

@Suite("Plans, quotas, months")
struct PlanTests {
    @Test func plansAreTheOriginals() {
        let table: [(Plan, [JSONValue])] = [
            (.free, [.integer(1), .integer(5), .integer(2), .integer(1_000), .integer(10), .integer(30), .bool(false)]),
            (.starter, [.integer(3), .integer(10), .integer(5), .integer(10_000), .integer(100), .integer(100), .bool(true)]),
            (.pro, [.integer(10), .integer(50), .integer(20), .integer(100_000), .integer(1_000), .integer(500), .bool(true)]),
            (.enterprise, [.integer(100), .integer(500), .integer(100), .integer(1_000_000), .integer(10_000), .integer(2_000), .bool(true)]),
        ]
        let names = [
            "max_projects", "max_agents_per_project", "max_api_keys", "max_events_per_month", "max_storage_mb", "max_requests_per_minute", "webhook_enabled",
        ]
        #expect(table.map(\.0) == Plan.allCases)
        for (plan, values) in table { #expect(plan.quotas.json == JSONObject(Array(zip(names, values))), "\(plan)") }
        for plan in Plan.allCases { #expect(Plan(name: plan.name) == plan) }
        #expect(Plan(name: "Free") == nil && Plan(name: "") == nil)
    }

    @Test func quotasAreMergedAndBounded() throws {
        let merged = try Plan.free.quotas.with(JSONObject([("max_projects", .integer(7)), ("webhook_enabled", .bool(true))]))
        #expect(merged.projects == 7 && merged.webhooks && merged.keys == Plan.free.quotas.keys)
        let wrong: [JSONObject] = [
            JSONObject([("max_projects", .integer(-1))]), JSONObject([("max_projects", .integer(Limits.quotaMost + 1))]),
            JSONObject([("max_projects", .double(1.5))]), JSONObject([("max_projects", "7")]), JSONObject([("max_projects", .null)]),
            JSONObject([("webhook_enabled", .integer(1))]), JSONObject([("max_planets", .integer(1))]),
            JSONObject([("max_storage_mb", .number(JSONNumber(uncheckedText: "99999999999999999999999")))]),
        ]
        for object in wrong {
            #expect { try Plan.pro.quotas.with(object) } throws: { ($0 as? ContexError)?.field == "quotas" }
        }
    }

    @Test func namesOfTenants() throws {
        for good in ["acme", "a-1", "0_0", String(repeating: "a", count: 64), "default"] { #expect(try TenantName(good).text == good) }
        let bad = [
            "", "ab", "Acme", "ACME", "acme ", " acme", "-acme", "_acme", "acmé", "acme\0", "ac/me", "ac.me", "ａｃｍｅ",
            String(repeating: "a", count: 65), "e\u{301}xy",
        ]
        for text in bad { #expect(throws: ContexError.self, "\(text)") { try TenantName(text) } }
    }

    @Test func patchesAreMerged() throws {
        let draft = try TenantDraft(
            name: "acme", title: "Acme", plan: .starter, quotas: JSONObject([("max_projects", .integer(9))]),
            settings: JSONObject([("color", "red"), ("size", .integer(3))]))
        let time = Timestamp(rawValue: 5)
        let tenant = draft.record(as: TenantID(rawValue: 2), at: time)
        #expect(tenant.quotas.projects == 9 && tenant.updatedAt == nil && tenant.isActive)
        let later = Timestamp(rawValue: 9)

        let settings = try TenantPatch(settings: JSONObject([("size", .null), ("shape", "round")])).applied(to: tenant, at: later)
        #expect(settings.settings == #"{"color":"red","shape":"round"}"# && settings.quotas == tenant.quotas && settings.updatedAt == later)
        // Another plan brings its quotas, unless some are given.
        #expect(try TenantPatch(plan: .pro).applied(to: tenant, at: later).quotas == Plan.pro.quotas)
        var expected = Plan.pro.quotas
        expected.keys = 1
        #expect(try TenantPatch(plan: .pro, quotas: JSONObject([("max_api_keys", .integer(1))])).applied(to: tenant, at: later).quotas == expected)
        var kept = tenant.quotas
        kept.keys = 1
        #expect(try TenantPatch(quotas: JSONObject([("max_api_keys", .integer(1))])).applied(to: tenant, at: later).quotas == kept)
        #expect(try TenantPatch(title: "A", isActive: false).applied(to: tenant, at: later).isActive == false)

        let large = JSONObject([("x", .string(String(repeating: "x", count: Limits.tenantSettingsBytes)))])
        #expect { try TenantPatch(settings: large) } throws: { ($0 as? ContexError)?.field == "settings" }
        let half = JSONObject([("y", .string(String(repeating: "y", count: Limits.tenantSettingsBytes - 100)))])
        let full = try TenantPatch(settings: half).applied(to: tenant, at: later)
        #expect { try TenantPatch(settings: JSONObject([("z", .string(String(repeating: "z", count: 200)))])).applied(to: full, at: later) } throws: {
            ($0 as? ContexError)?.field == "settings"
        }
        #expect { try TenantDraft(name: "acme", title: "") } throws: { ($0 as? ContexError)?.field == "name" }
        #expect { try TenantDraft(name: "acme", title: "a\0") } throws: { ($0 as? ContexError)?.field == "name" }
        let owner = String(repeating: "o", count: 321)
        #expect { try TenantDraft(name: "acme", title: "A", owner: owner) } throws: { ($0 as? ContexError)?.field == "owner_email" }
    }

    @Test func monthsAreThoseOfTheCalendar() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        var random = SeededRandom(seed: 91)
        for _ in 0..<5_000 {
            // 1970 to 2300; Foundation's calendar is another one before 1582.
            let seconds = Int64(random.next() % 10_413_792_000)
            let time = Timestamp(rawValue: seconds * 1_000_000 + 999_999)
            let parts = calendar.dateComponents([.year, .month], from: Date(timeIntervalSince1970: Double(seconds)))
            let month = Month(of: time)
            #expect(month.rawValue == UInt32(parts.year! * 12 + parts.month! - 1), "\(seconds)")
            #expect(month.begin <= time && time < month.next.begin)
            #expect(Month(of: month.begin) == month && Month(of: Timestamp(rawValue: month.begin.rawValue - 1)).next == month)
        }
        #expect(Month(of: Timestamp(rawValue: 1_709_164_800_000_000)).description == "2024-02")
        #expect(Month(of: Timestamp(rawValue: -1)).description == "1969-12")
    }

    @Test func monthsRollOver() {
        let january = Month(rawValue: 2026 * 12)
        func at(_ month: Month, _ plus: Int64 = 0) -> Timestamp { Timestamp(rawValue: month.begin.rawValue + plus) }
        var usage = TenantUsage(month: january, events: 0, updatedAt: at(january))
        usage.add(3, at: at(january, 10))
        #expect(usage.events(at: at(january, 20)) == 3)
        #expect(usage.events(at: Timestamp(rawValue: january.next.begin.rawValue - 1)) == 3)
        #expect(usage.events(at: january.next.begin) == 0)
        usage.add(2, at: january.next.begin)
        #expect(usage.events == 2 && usage.month == january.next)
        // A clock that is set back opens no new month.
        usage.add(1, at: at(january, 30))
        #expect(usage.events == 3 && usage.month == january.next)
        usage.reset(at: at(january.next, 5))
        #expect(usage.events == 0 && usage.month == january.next)
    }

    @Test func shares() {
        #expect(QuotaStanding(resource: "events", used: 79, limit: 100).percent == 79)
        #expect(QuotaStanding(resource: "events", used: 0, limit: 0).percent == 0)
        #expect(QuotaStanding(resource: "events", used: 1, limit: 0).percent == 100)
        #expect(QuotaStanding(resource: "storage", used: .max, limit: 1).percent == 100)
    }
}
