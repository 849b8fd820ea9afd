import Base
import Foundation
import Observability
import TestSupport
import Testing

@Suite("Doctor") struct DoctorTests {
    /// Of a server that is well, and a line of one that is not: what the doctor says then.
    private static let well = [
        "contex_degraded{mode=\"read_only\"}": 0, "contex_degraded{mode=\"draining\"}": 0, "contex_degraded{mode=\"webhooks_held\"}": 0,
        "contex_disk_bytes": 1e11, "contex_disk_free_bytes": 5e10, "contex_snapshot_oldest_seconds": 0.1, "contex_store_file_bytes": 1e9,
        "contex_store_free_bytes": 1e7, "contex_store_map_bytes": 1e12, "contex_store_reopenings_total": 0, "contex_writer_waiting_commands": 3,
        "contex_embedding_waiting_texts{work=\"query\"}": 1, "contex_inflight_waiting_requests{gate=\"working\"}": 0,
        "contex_query_duration_seconds_count{project_id=\"p\"}": 1_000, "contex_query_duration_seconds_sum{project_id=\"p\"}": 2,
        "contex_publish_stage_seconds_count{stage=\"commit\"}": 100, "contex_publish_stage_seconds_sum{stage=\"commit\"}": 0.2,
        "process_open_fds": 60, "process_max_fds": 1_024, "contex_webhooks_sent_total{status=\"success\"}": 1_000,
        "contex_webhooks_sent_total{status=\"failed\"}": 1, "contex_auth_attempts_total{status=\"key_unknown\"}": 2,
        "contex_errors_total{code=\"not_found\"}": 10,
    ]

    private func diagnose(_ changes: [String: Double]) throws -> [Diagnosis] {
        let text = Self.well.merging(changes) { $1 }.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: "\n")
        return Doctor.diagnose(try ExpositionReader(text))
    }

    @Test func aServerThatIsWell() throws { #expect(try diagnose([:]).isEmpty) }

    @Test(arguments: [
        (["contex_degraded{mode=\"read_only\"}": 1], "the last commit failed", Diagnosis.Weight.broken),
        (["contex_degraded{mode=\"draining\"}": 1], "is stopping", .note),
        (["contex_disk_free_bytes": 4e9], "of 95367 MiB are free", .warning), (["contex_disk_free_bytes": 1e6], "are free", .broken),
        (["contex_snapshot_oldest_seconds": 90], "open for 90 s", .warning), (["contex_store_free_bytes": 9e8], "free pages", .note),
        (["contex_store_map_bytes": 1.1e9], "91 % of the size", .warning), (["contex_store_reopenings_total": 2], "opened anew 2 times", .warning),
        (["contex_writer_waiting_commands": 5_000], "5000 commands wait", .warning),
        (["contex_embedding_waiting_texts{work=\"query\"}": 80], "80 texts of queries", .warning),
        (["contex_inflight_waiting_requests{gate=\"working\"}": 2], "2 requests wait", .warning),
        (["contex_query_duration_seconds_sum{project_id=\"p\"}": 80], "takes 80 ms", .warning),
        (["contex_publish_stage_seconds_sum{stage=\"commit\"}": 9], "commit takes 90 ms", .warning), (["process_open_fds": 1_000], "1000 of 1024", .warning),
        (["contex_webhooks_sent_total{status=\"failed\"}": 200], "17 % of 1200", .warning),
        (["contex_degraded{mode=\"webhooks_held\"}": 1], "not called for a while", .warning),
        (["contex_auth_attempts_total{status=\"key_unknown\"}": 500], "500 requests came with a key", .warning),
        (["contex_errors_total{code=\"data_damaged\"}": 1], "fail their seal", .broken),
    ] as [([String: Double], String, Diagnosis.Weight)])
    func aServerThatIsIll(changes: [String: Double], finding: String, weight: Diagnosis.Weight) throws {
        let found = try diagnose(changes)
        #expect(found.count == 1 && found[0].finding.contains(finding) && found[0].weight == weight, "\(found)")
        #expect(!found[0].remedy.isEmpty)
        if let runbook = found.first?.runbook {
            #expect(FileManager.default.fileExists(atPath: TestData.checkout.appendingPathComponent("docs/runbooks/\(runbook)").path), "\(runbook)")
        }
    }

    @Test func theCodesAreThoseThatThereAre() {
        // The doctor asks for them by name.
        #expect(ErrorCode(rawValue: "data_damaged") != nil && ErrorCode(rawValue: "key_unknown") != nil && ErrorCode(rawValue: "internal_error") != nil)
    }

    @Test func folders() {
        var figures = FolderFigures()
        (figures.diskBytes, figures.diskFreeBytes, figures.fileBytes) = (1e11, 5e10, 1 << 30)
        #expect(Doctor.diagnose(figures).isEmpty)
        figures.hasPepper = false
        figures.freePagesBytes = 900 << 20
        figures.readerSlots = 1_000
        figures.diskFreeBytes = 1e8
        #expect(Doctor.diagnose(figures).map(\.weight) == [.warning, .note, .broken, .warning])
    }
}
