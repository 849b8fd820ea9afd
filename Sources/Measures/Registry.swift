// All measures of one server: what each is called, what it means, and what it has. Whoever counts asks for a measure once, at its
// start, and keeps it; whoever prints asks for the families.

internal import Synchronization

/// What a family of measures is.
public struct MeasureDescription: Sendable, Equatable {
    public enum Kind: String, Sendable { case counter, gauge, histogram, info }

    /// Without the ending that the format puts behind it (`_total`, `_bucket`, `_info`).
    public let name: String
    public let kind: Kind
    /// One sentence without a full stop.
    public let help: String
    /// Names of labels, in their order.
    public let labels: [String]

    public init(name: String, kind: Kind, help: String, labels: [String] = []) {
        (self.name, self.kind, self.help, self.labels) = (name, kind, help, labels)
    }
}

public struct MeasureSample: Sendable, Equatable {
    public enum Value: Sendable, Equatable {
        case integer(UInt64)
        case number(Double)
        case distribution(Distribution)
    }

    /// One for each label of the family.
    public let labels: [String]
    public let value: Value

    public init(_ labels: [String] = [], _ value: Value) { (self.labels, self.value) = (labels, value) }
}

public struct MeasureFamily: Sendable {
    public let description: MeasureDescription
    fileprivate let read: @Sendable () -> [MeasureSample]

    /// As it is now.
    public var samples: [MeasureSample] { read() }
}

/// Values of a label that are known beforehand.
public protocol MeasureLabel: CaseIterable, RawRepresentable, Hashable, Sendable where RawValue == String {}

extension MeasureLabel {
    /// Place among all.
    fileprivate static var places: [Self: Int] { Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) }) }
}

/// A counter for each value of a label.
public final class LabelledCounters<Label: MeasureLabel>: Sendable {
    private let cells = Cells(Label.allCases.count)
    private let places = Label.places

    fileprivate init() {}

    public func add(_ amount: Int = 1, for label: Label) {
        if let place = places[label] { cells.add(UInt64(max(0, amount)), to: place) }
    }
    public func value(of label: Label) -> UInt64 { places[label].map { cells[$0] } ?? 0 }
}

/// A histogram for each value of a label.
public final class LabelledHistograms<Label: MeasureLabel>: Sendable {
    private let buckets: Buckets
    private let cells: Cells
    private let places = Label.places

    fileprivate init(_ buckets: Buckets) {
        self.buckets = buckets
        cells = Cells(Label.allCases.count * buckets.width)
    }

    public func record(_ number: UInt64, for label: Label) {
        if let place = places[label] { buckets.record(number, in: cells, at: place * buckets.width) }
    }
    public func distribution(of label: Label) -> Distribution { buckets.distribution(cells, at: (places[label] ?? 0) * buckets.width) }
}

/// Counters of the names that have places, each with a second label whose values are known beforehand.
public final class SlottedCounters: Sendable {
    private let cells: Cells
    private let places: [String: Int]
    private let width: Int

    fileprivate init(_ values: [String], in slots: LabelSlots) {
        width = values.count
        cells = Cells(LabelSlots.slots * width)
        places = Dictionary(uniqueKeysWithValues: values.enumerated().map { ($1, $0) })
        slots.attach(cells, width: width)
    }

    /// - Parameter value: one that is not known is the last.
    public func add(_ amount: Int = 1, at slot: Int, _ value: String) { cells.add(UInt64(max(0, amount)), to: slot * width + (places[value] ?? width - 1)) }
    fileprivate func value(at slot: Int, _ place: Int) -> UInt64 { cells[slot * width + place] }
}

/// A histogram for each name that has a place.
public final class SlottedHistograms: Sendable {
    private let buckets: Buckets
    private let cells: Cells

    fileprivate init(_ buckets: Buckets, in slots: LabelSlots) {
        self.buckets = buckets
        cells = Cells(LabelSlots.slots * buckets.width)
        slots.attach(cells, width: buckets.width)
    }

    public func record(_ number: UInt64, at slot: Int) { buckets.record(number, in: cells, at: slot * buckets.width) }
    fileprivate func distribution(at slot: Int) -> Distribution { buckets.distribution(cells, at: slot * buckets.width) }
}

/// Counters whose label values are found as they come, so many at most: of what comes later all is in one whose values are `other`.
public final class FoundCounters: Sendable {
    private struct State {
        var counts: [[String]: UInt64] = [:]
    }
    private let state = Mutex(State())
    private let most: Int
    private let labels: Int

    fileprivate init(labels: Int, most: Int) { (self.labels, self.most) = (labels, most) }

    public func add(_ amount: Int = 1, _ values: String...) {
        precondition(values.count == labels)
        state.withLock { state in
            let isKnown = state.counts[values] != nil || state.counts.count < most
            state.counts[isKnown ? values : Array(repeating: LabelSlots.otherName, count: labels), default: 0] += UInt64(max(0, amount))
        }
    }

    public func value(_ values: String...) -> UInt64 { state.withLock { $0.counts[values] ?? 0 } }

    fileprivate var samples: [MeasureSample] {
        state.withLock { $0.counts }.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { MeasureSample($0.key, .integer($0.value)) }
    }
}

/// Histograms of times whose label values are found as they come, so many at most; what comes later is in one whose values are `other`.
public final class FoundHistograms: Sendable {
    private let table = Mutex<[[String]: Histogram]>([:])
    private let most: Int
    private let labels: Int

    fileprivate init(labels: Int, most: Int) { (self.labels, self.most) = (labels, most) }

    public func record(_ number: UInt64, _ values: String...) {
        precondition(values.count == labels)
        let histogram = table.withLock { table in
            if let known = table[values] { return known }
            let values = table.count < most ? values : Array(repeating: LabelSlots.otherName, count: labels)
            let histogram = table[values] ?? Histogram()
            table[values] = histogram
            return histogram
        }
        histogram.record(number)
    }

    fileprivate var samples: [MeasureSample] {
        table.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { MeasureSample($0.key, .distribution($0.value.distribution)) }
    }
}

public final class MeasureRegistry: Sendable {
    private let table = Mutex<[MeasureFamily]>([])
    /// Projects, as they stand in labels.
    public let projects = LabelSlots()

    public init() {}

    /// By name.
    public var families: [MeasureFamily] { table.withLock { $0 }.sorted { $0.description.name < $1.description.name } }

    /// Forgets all families, and with them what they read: parts of a server that are measured hold the registry themselves.
    public func close() { table.withLock { $0 = [] } }

    private func add(
        _ kind: MeasureDescription.Kind, _ name: String, _ help: String, _ labels: [String] = [], _ read: @escaping @Sendable () -> [MeasureSample]
    ) {
        table.withLock { table in
            // A part that is made a second time counts from here on.
            table.removeAll { $0.description.name == name }
            table.append(MeasureFamily(description: MeasureDescription(name: name, kind: kind, help: help, labels: labels), read: read))
        }
    }

    // MARK: - What is counted

    public func counter(_ name: String, _ help: String) -> Counter {
        let counter = Counter()
        add(.counter, name, help) { [MeasureSample([], .integer(counter.value))] }
        return counter
    }

    public func gauge(_ name: String, _ help: String) -> Gauge {
        let gauge = Gauge()
        add(.gauge, name, help) { [MeasureSample([], .number(Double(gauge.value)))] }
        return gauge
    }

    public func histogram(_ name: String, _ help: String, _ buckets: Buckets = .times) -> Histogram {
        let histogram = Histogram(buckets)
        add(.histogram, name, help) { [MeasureSample([], .distribution(histogram.distribution))] }
        return histogram
    }

    public func counters<Label: MeasureLabel>(_ name: String, _ help: String, _ label: String, of: Label.Type) -> LabelledCounters<Label> {
        let counters = LabelledCounters<Label>()
        add(.counter, name, help, [label]) { Label.allCases.map { MeasureSample([$0.rawValue], .integer(counters.value(of: $0))) } }
        return counters
    }

    public func histograms<Label: MeasureLabel>(
        _ name: String, _ help: String, _ label: String, of: Label.Type, _ buckets: Buckets = .times
    ) -> LabelledHistograms<Label> {
        let histograms = LabelledHistograms<Label>(buckets)
        add(.histogram, name, help, [label]) { Label.allCases.map { MeasureSample([$0.rawValue], .distribution(histograms.distribution(of: $0))) } }
        return histograms
    }

    /// Of projects; with a second label when it has values. What nobody has used is not printed.
    public func projectCounters(_ name: String, _ help: String, _ label: String, _ values: [String]) -> SlottedCounters {
        let counters = SlottedCounters(values, in: projects)
        add(.counter, name, help, ["project_id", label]) { [projects] in
            projects.occupied.flatMap { project in
                values.enumerated().compactMap { place, value in
                    let count = counters.value(at: project.place, place)
                    return count == 0 ? nil : MeasureSample([project.name, value], .integer(count))
                }
            }
        }
        return counters
    }

    public func projectHistograms(_ name: String, _ help: String) -> SlottedHistograms {
        let histograms = SlottedHistograms(.times, in: projects)
        add(.histogram, name, help, ["project_id"]) { [projects] in
            projects.occupied.compactMap { project in
                let distribution = histograms.distribution(at: project.place)
                return distribution.count == 0 ? nil : MeasureSample([project.name], .distribution(distribution))
            }
        }
        return histograms
    }

    /// - Parameter most: sets of label values that are kept apart.
    public func foundCounters(_ name: String, _ help: String, _ labels: [String], most: Int = 1_000) -> FoundCounters {
        let counters = FoundCounters(labels: labels.count, most: most)
        add(.counter, name, help, labels) { counters.samples }
        return counters
    }

    public func foundHistograms(_ name: String, _ help: String, _ labels: [String], most: Int = 500) -> FoundHistograms {
        let histograms = FoundHistograms(labels: labels.count, most: most)
        add(.histogram, name, help, labels) { histograms.samples }
        return histograms
    }

    // MARK: - What is read when it is asked for

    /// - Parameter read: nil: there is nothing to say.
    public func gauge(_ name: String, _ help: String, read: @escaping @Sendable () -> Double?) {
        add(.gauge, name, help) { read().map { [MeasureSample([], .number($0))] } ?? [] }
    }

    /// - Parameter read: must never fall while the server runs.
    public func counter(_ name: String, _ help: String, read: @escaping @Sendable () -> Int?) {
        add(.counter, name, help) { read().map { [MeasureSample([], .integer(UInt64(max(0, $0))))] } ?? [] }
    }

    /// The same of what is not counted in whole ones.
    public func counter(_ name: String, _ help: String, reading read: @escaping @Sendable () -> Double?) {
        add(.counter, name, help) { read().map { [MeasureSample([], .number($0))] } ?? [] }
    }

    public func gauges(_ name: String, _ help: String, _ labels: [String], read: @escaping @Sendable () -> [(labels: [String], value: Double)]) {
        add(.gauge, name, help, labels) { read().map { MeasureSample($0.labels, .number($0.value)) } }
    }

    public func counters(_ name: String, _ help: String, _ labels: [String], read: @escaping @Sendable () -> [(labels: [String], value: Int)]) {
        add(.counter, name, help, labels) { read().map { MeasureSample($0.labels, .integer(UInt64(max(0, $0.value)))) } }
    }

    public func info(_ name: String, _ help: String, _ members: [(label: String, value: String)]) {
        add(.info, name, help, members.map(\.label)) { [MeasureSample(members.map(\.value), .integer(1))] }
    }
}
