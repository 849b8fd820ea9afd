import Measures
import Testing

@Suite("Measures") struct MeasureTests {
    private enum Colour: String, MeasureLabel { case red, green }

    private func samples(_ registry: MeasureRegistry, _ name: String) -> [MeasureSample] {
        registry.families.first { $0.description.name == name }?.samples ?? []
    }

    @Test func nothingIsLostBetweenThreads() async {
        let registry = MeasureRegistry()
        let counter = registry.counter("c", "a counter")
        let histogram = registry.histogram("h", "a histogram")
        let colours = registry.counters("k", "counters", "colour", of: Colour.self)
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.add()
                        histogram.record(60_000)
                        colours.add(2, for: .green)
                    }
                }
            }
        }
        #expect(counter.value == 80_000 && histogram.distribution.count == 80_000)
        #expect(abs(histogram.distribution.sum - 4.8) < 1e-9)
        #expect(samples(registry, "k") == [MeasureSample(["red"], .integer(0)), MeasureSample(["green"], .integer(160_000))])
    }

    @Test func bucketsBeginAtFiftyMicroseconds() {
        let histogram = Histogram()
        for number: UInt64 in [0, 50_000, 50_001, 100_000, 10_000_000_000, 10_000_000_001] { histogram.record(number) }
        let distribution = histogram.distribution
        #expect(distribution.bounds.first == "5e-05" && distribution.bounds.last == "10.0")
        // At a bound is below it.
        #expect(distribution.counts[0] == 2 && distribution.counts[1] == 4)
        #expect(distribution.counts[distribution.bounds.count - 1] == 5 && distribution.count == 6)
        // The bounds as text are the bounds as numbers.
        for (text, bound) in zip(distribution.bounds, Buckets.times.bounds) { #expect(abs((Double(text) ?? -1) * 1e9 - Double(bound)) < 1) }
        for (text, bound) in zip(Buckets.sizes.bounds.map { "\(Double($0))" }, Buckets.sizes.bounds) { #expect(Double(text) == Double(bound)) }
    }

    @Test func tenThousandNamesAreAHundredAndOneSeries() {
        let registry = MeasureRegistry()
        let counters = registry.projectCounters("p", "by project", "status", ["success", "error"])
        let times = registry.projectHistograms("t", "by project")
        var total: UInt64 = 0
        for round in 0..<3 {
            for number in 0..<10_000 {
                let slot = registry.projects.slot(of: "project \(number)")
                counters.add(at: slot, number % 2 == 0 ? "success" : "error")
                times.record(1, at: slot)
                total += 1
            }
            registry.projects.elect()
            let found = samples(registry, "p")
            #expect(Set(found.map { $0.labels[0] }).count <= LabelSlots.namedMax + 1, "round \(round)")
            let sum = found.reduce(UInt64(0)) { sum, sample in if case .integer(let count) = sample.value { sum + count } else { sum } }
            #expect(sum == total, "an election loses nothing")
            let timed = samples(registry, "t").reduce(UInt64(0)) { sum, sample in
                if case .distribution(let distribution) = sample.value { sum + distribution.count } else { sum }
            }
            #expect(timed == total)
        }
    }

    @Test func whoIsBusyGetsAPlace() {
        let registry = MeasureRegistry()
        let counters = registry.projectCounters("p", "by project", "status", ["success"])
        for number in 0..<LabelSlots.namedMax { counters.add(at: registry.projects.slot(of: "early \(number)"), "success") }
        for _ in 0..<5 { _ = registry.projects.slot(of: "early 7") }
        for _ in 0..<50 { counters.add(at: registry.projects.slot(of: "late"), "success") }
        #expect(!registry.projects.names.contains("late"))
        registry.projects.elect()
        #expect(registry.projects.names.contains("late") && registry.projects.names.contains("early 7"))
        #expect(registry.projects.names.count == LabelSlots.namedMax)
        // From here on it counts for itself; what was before stays with the others.
        counters.add(3, at: registry.projects.slot(of: "late"), "success")
        let found = Dictionary(uniqueKeysWithValues: samples(registry, "p").map { ($0.labels[0], $0.value) })
        #expect(found["late"] == .integer(3) && found["other"] == .integer(51))
        // Nobody can be mistaken for all others.
        #expect(registry.projects.slot(of: "other") == registry.projects.slot(of: "a name that is new"))
    }

    @Test func foundLabelsAreBounded() {
        let registry = MeasureRegistry()
        let counters = registry.foundCounters("f", "found", ["a", "b"], most: 10)
        for number in 0..<1_000 { counters.add(1, "a\(number)", "b") }
        let found = samples(registry, "f")
        #expect(found.count == 11 && found.contains(MeasureSample(["other", "other"], .integer(990))))
        #expect(counters.value("a3", "b") == 1)
        let times = registry.foundHistograms("fh", "found", ["a"], most: 3)
        for number in 0..<100 { times.record(1, "a\(number)") }
        #expect(samples(registry, "fh").count == 4)
    }

    @Test func theOldestIsKnown() async throws {
        let running = UnderWay(places: 2)
        #expect(running.oldest == 0 && running.count == 0)
        let first = running.begin()
        try await Task.sleep(for: .milliseconds(20))
        let (second, third) = (running.begin(), running.begin())
        #expect(running.count == 3 && running.oldest >= 20_000_000 && third == -1)
        running.end(first)
        #expect(running.oldest < 20_000_000 || running.oldest < 1_000_000_000)
        running.end(second)
        running.end(third)
        #expect(running.count == 0 && running.oldest == 0)
    }

    @Test func aPartThatIsMadeAgainTakesItsName() {
        let registry = MeasureRegistry()
        registry.gauge("g", "a gauge") { 1 }
        registry.gauge("g", "a gauge") { 2 }
        #expect(registry.families.count == 1 && samples(registry, "g") == [MeasureSample([], .number(2))])
        registry.close()
        #expect(registry.families.isEmpty)
    }
}
