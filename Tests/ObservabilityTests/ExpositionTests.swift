import Base
import Content
import Foundation
import Measures
import Observability
import TestSupport
import Testing

@Suite("Exposition") struct ExpositionTests {
    private enum Colour: String, MeasureLabel { case red }

    private func registry() -> MeasureRegistry {
        let registry = MeasureRegistry()
        registry.counter("b_things", "Things\nof \\ \"kinds\"").add(3)
        registry.gauges("a_level", "A level", ["name"]) { [(["x\"y\\z\nw"], 0.5), ([""], .infinity)] }
        registry.info("c", "A thing", [("version", "1")])
        registry.histogram("d_size", "A size", .sizes).record(3)
        return registry
    }

    @Test func prometheus() {
        let text = Exposition.prometheus.text(of: registry())
        #expect(
            text.hasPrefix(
                #"""
                # HELP a_level A level
                # TYPE a_level gauge
                a_level{name="x\"y\\z\nw"} 0.5
                a_level{name=""} +Inf
                # HELP b_things_total Things\nof \\ "kinds"
                # TYPE b_things_total counter
                b_things_total 3
                # HELP c_info A thing
                # TYPE c_info gauge
                c_info{version="1"} 1
                # HELP d_size A size
                # TYPE d_size histogram
                d_size_bucket{le="1.0"} 0
                d_size_bucket{le="2.0"} 0
                d_size_bucket{le="4.0"} 1

                """#))
        #expect(text.hasSuffix("d_size_bucket{le=\"+Inf\"} 1\nd_size_sum 3.0\nd_size_count 1\n"))
    }

    @Test func openMetrics() {
        let text = Exposition.openMetrics.text(of: registry())
        #expect(text.contains("# HELP b_things Things\\nof \\\\ \\\"kinds\\\"\n# TYPE b_things counter\nb_things_total 3\n"))
        #expect(text.contains("# TYPE c info\nc_info{version=\"1\"} 1\n"))
        #expect(text.hasSuffix("# EOF\n"))
    }

    @Test(arguments: [
        (nil, Exposition.prometheus), ("", .prometheus), ("*/*", .prometheus), ("text/html", .prometheus),
        ("application/openmetrics-text", .openMetrics), ("application/openmetrics-text; version=1.0.0, text/plain;q=0.5", .openMetrics),
        // As Prometheus 2.42 asks.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            .openMetrics
        ), ("application/openmetrics-text;q=0.4, text/plain;q=0.5", .prometheus), ("application/openmetrics-text;version=9.9", .prometheus),
        ("application/openmetrics-text;q=0, text/plain", .prometheus), (String(repeating: "x,", count: 10_000), .prometheus),
    ] as [(String?, Exposition)])
    func negotiation(accept: String?, expected: Exposition) { #expect(Exposition(accept: accept) == expected) }

    @Test func whatIsPrintedIsRead() throws {
        for exposition in [Exposition.prometheus, .openMetrics] {
            let read = try ExpositionReader(exposition.text(of: registry()))
            #expect(read["b_things_total"] == 3 && read["d_size_sum"] == 3)
            #expect(read.samples.first?.labels == ["name": "x\"y\\z\nw"] && read.samples[1].value == .infinity)
            #expect(read.sum("a_level", where: ["name": "x\"y\\z\nw"]) == 0.5)
            #expect(read.kinds["d_size"] == "histogram")
        }
    }

    @Test func whoIsHeldToProjectsSeesTheirs() throws {
        let registry = registry()
        let counters = registry.projectCounters("e", "By project", "status", ["success"])
        for name in ["mine", "theirs"] { counters.add(2, at: registry.projects.slot(of: name), "success") }
        counters.add(7, at: registry.projects.slot(of: "other"), "success")
        let text = Exposition.prometheus.text(of: registry) { $0 == "mine" || $0 == "other" }
        #expect(text == "# HELP e_total By project\n# TYPE e_total counter\ne_total{project_id=\"mine\",status=\"success\"} 2\n")
        #expect(try ExpositionReader(Exposition.prometheus.text(of: registry)).sum("e_total") == 11)
    }

    @Test(arguments: ["x", "x{", "x{a} 1", "x{a=\"b} 1", "x{a=\"b\" c=\"d\"} 1", "{a=\"b\"} 1", "x{a=\"b\"}", "x one", "9x 1", "x{a=\"1\",a=\"2\"} 1"])
    func whatIsNoSample(line: String) { #expect(throws: ContexError.self) { try ExpositionReader("ok 1\n" + line + "\n") } }

    /// What others print is read too: every exposition of the suite that must parse, and three of real servers.
    @Test(.enabled(if: TestData.hasData)) func expositionsOfOthers() throws {
        for (name, samples) in [("alltypes.237mfs.prom.txt", 1_000), ("alltypes.5mfs.om.txt", 10), ("1histogram.om.txt", 3)] {
            let text = String(decoding: try TestData.file("prometheus/samples/\(name)"), as: UTF8.self)
            #expect(try ExpositionReader(text).samples.count >= samples, "\(name)")
        }
        var count = 0
        for line in String(decoding: try TestData.file("prometheus/openmetrics-cases.jsonl"), as: UTF8.self).split(separator: "\n") {
            let entry = try JSONParser.parse(text: String(line))
            guard entry["should_parse"]?.boolValue == true, let data = entry["metrics_b64"]?.stringValue.flatMap({ Data(base64Encoded: $0) }) else { continue }
            #expect(throws: Never.self, "\(entry["name"]?.stringValue ?? "?")") { try ExpositionReader(String(decoding: data, as: UTF8.self)) }
            count += 1
        }
        #expect(count == 44)
    }
}
