// Answers that were given before, for as long as their project is as it was.
//
// Many agents ask the same, and most projects change less often than they are asked. An answer is a function of the request and of the state
// of its project (settings are the server's, and a model is the store's), so the same request of the same state has the same answer: kept with
// the version of its project, it is never stale. The version is a number in memory that grows when a commit has changed what is found in the
// project, before the writer answers anybody: whoever has heard that a publish is on the disk gets no answer from before it. It is read
// before the snapshot of a query is taken, so that an answer of an older state never stands under a newer number.
//
// Documents that end by themselves end without a commit: an answer says until when it holds.
//
// Not kept: answers of pages and of the past, which say what they are of, and those that are large. Two generations: what is asked for again
// in the older one is taken over into the younger, and when that is half the room, the older one goes (as in CLOCK, without a list).

internal import Base
internal import Hashing
internal import Measures
internal import Search
internal import Synchronization

final class AnswerCache: Sendable {
    /// All that an answer depends on beside the state of the project.
    struct Key: Hashable {
        fileprivate let digest: [UInt8]
    }

    /// Of a project before a query.
    struct Version: Equatable {
        fileprivate let slot: Int
        fileprivate let number: UInt64
    }

    private struct Entry {
        let answer: QueryAnswer
        let version: Version
        let bytes: Int
    }
    private struct State {
        var versions = [UInt64](repeating: 0, count: AnswerCache.slots)
        var young: [Key: Entry] = [:]
        var old: [Key: Entry] = [:]
        var youngBytes = 0
        var oldBytes = 0
    }
    private let state = Mutex(State())
    private let bytesMax: Int
    private let hits = Counter()
    private let misses = Counter()

    /// Projects share numbers when there are more; then one's changes cost the other's answers.
    private static let slots = 1_024
    /// Of the data of one answer.
    static let answerBytesMax = 128 << 10
    /// What an answer weighs in memory, beside its data: its values, twice, and the texts that are made of it.
    private static let weight = 6

    /// - Parameter bytesMax: about; 0 keeps nothing.
    init(bytesMax: Int) { self.bytesMax = bytesMax }

    func measure(_ registry: MeasureRegistry) {
        registry.counter("contex_answer_cache_hits", "Queries whose answer was known") { [hits] in Int(hits.value) }
        registry.counter("contex_answer_cache_misses", "Queries that could have been and were not") { [misses] in Int(misses.value) }
        registry.gauge("contex_answer_cache_size", "Answers that are kept") { [self] in Double(state.withLock { $0.young.count + $0.old.count }) }
        registry.gauge("contex_answer_cache_bytes", "About the bytes of them") { [self] in Double(state.withLock { $0.youngBytes + $0.oldBytes }) }
    }

    /// - Returns: the answer, if it is known, and in any case what to keep the one that is made now under; nil: it is not for keeping.
    func find(_ tenant: TenantID, _ request: QueryRequest, at time: Timestamp) -> (answer: QueryAnswer?, key: Key, version: Version)? {
        guard bytesMax > 0, let key = Key(tenant, request) else { return nil }
        let slot = Self.slot(tenant, request.project)
        let version: Version
        var answer: QueryAnswer?
        (answer, version) = state.withLock { state in
            let version = Version(slot: slot, number: state.versions[slot])
            return (Self.take(key, version, &state, bytesMax)?.answer, version)
        }
        // A document has ended by itself meanwhile.
        if let end = answer?.lastsUntil, end <= time { answer = nil }
        if answer == nil { misses.add() } else { hits.add() }
        return (answer, key, version)
    }

    private static func take(_ key: Key, _ version: Version, _ state: inout State, _ bytesMax: Int) -> Entry? {
        if let entry = state.young[key] {
            if entry.version == version { return entry }
            state.young[key] = nil
            state.youngBytes -= entry.bytes
            return nil
        }
        guard let entry = state.old.removeValue(forKey: key) else { return nil }
        state.oldBytes -= entry.bytes
        guard entry.version == version else { return nil }
        put(entry, key, &state, bytesMax)
        return entry
    }

    private static func put(_ entry: Entry, _ key: Key, _ state: inout State, _ bytesMax: Int) {
        if let before = state.young.updateValue(entry, forKey: key) { state.youngBytes -= before.bytes }
        state.youngBytes += entry.bytes
        guard state.youngBytes > bytesMax / 2 else { return }
        (state.old, state.oldBytes) = (state.young, state.youngBytes)
        (state.young, state.youngBytes) = ([:], 0)
    }

    /// - Parameter version: of before the snapshot that the answer is of.
    func keep(_ answer: QueryAnswer, _ key: Key, _ version: Version) {
        let data = answer.matches.reduce(0) { $0 + $1.byteCount }
        guard data <= Self.answerBytesMax else { return }
        let entry = Entry(answer: answer.known, version: version, bytes: Self.weight * data + 2_048)
        guard entry.bytes <= bytesMax / 2 else { return }
        state.withLock { state in
            // It has changed meanwhile: nobody would find it.
            guard state.versions[version.slot] == version.number else { return }
            Self.put(entry, key, &state, bytesMax)
        }
    }

    /// A commit has changed what is found in projects.
    func projectsChanged(_ projects: some Swift.Sequence<ProjectLog>) {
        state.withLock { state in for project in projects { state.versions[Self.slot(project.tenant, project.project)] &+= 1 } }
    }

    /// Something was erased: it must not be in memory either.
    func removeAll() {
        state.withLock { state in
            (state.young, state.old) = ([:], [:])
            (state.youngBytes, state.oldBytes) = (0, 0)
        }
    }

    private static func slot(_ tenant: TenantID, _ project: Name) -> Int {
        var hasher = Hasher()
        hasher.combine(tenant)
        hasher.combine(ExactText(project.text))
        return Int(truncatingIfNeeded: UInt(bitPattern: hasher.finalize()) % UInt(slots))
    }
}

extension AnswerCache.Key {
    /// - Returns: nil for a request whose answer is not kept.
    fileprivate init?(_ tenant: TenantID, _ request: QueryRequest) {
        guard request.page == nil, request.asOf == nil else { return nil }
        var writer = ByteWriter()
        writer.u32(tenant.rawValue)
        writer.text(request.project.text)
        writer.text(request.text)
        writer.bool(request.vector != nil)
        writer.floats(request.vector ?? [])
        writer.varint(UInt64(request.topK))
        func optional(_ number: Double?) {
            writer.bool(number != nil)
            writer.f64(number ?? 0)
        }
        optional(request.threshold)
        writer.text(request.syntax.rawValue)
        optional(request.maxTokens.map(Double.init))
        writer.text(request.mode?.rawValue ?? "")
        writer.text(request.fusion?.rawValue ?? "")
        optional(request.weights?.semantic)
        optional(request.weights?.keyword)
        writer.bool(request.explain)
        writer.text(request.format.rawValue)
        optional(request.diversity)
        for keys in [request.pinned, request.explainKeys] {
            writer.varint(UInt64(keys.count))
            for key in keys { writer.text(key) }
        }
        optional(request.efSearch.map(Double.init))
        optional(request.recall)
        writer.bool(request.filter != nil)
        // As it prints itself, with every text quoted.
        writer.text(request.filter.map { "\($0)" } ?? "")
        writer.bool(request.groupsByDocument)
        optional(request.nodesPerDocument.map(Double.init))
        digest = SHA256.digest(writer.bytes).bytes
    }
}

/// An answer as it is written, for those who ask for it again: each format once.
public final class AnswerText: Sendable {
    private let texts = Mutex<[AnswerFormat: [UInt8]]>([:])

    fileprivate init() {}

    fileprivate func text(_ format: AnswerFormat, _ make: () throws -> [UInt8]) rethrows -> [UInt8] {
        if let text = texts.withLock({ $0[format] }) { return text }
        // Two may make it at one time: it is the same.
        let text = try make()
        texts.withLock { $0[format] = text }
        return text
    }
}

extension QueryAnswer {
    /// As somebody else gets it: it took none of the time that it took at first.
    fileprivate var known: QueryAnswer {
        var answer = self
        answer.plan = nil
        answer.text = AnswerText()
        return answer
    }

    /// The answer written down: by `make`, or as it was before.
    public func written(as format: AnswerFormat, _ make: () throws -> [UInt8]) rethrows -> [UInt8] {
        guard let text else { return try make() }
        return try text.text(format, make)
    }
}
