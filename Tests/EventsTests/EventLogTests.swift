import Base
import Events
import Hashing
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite struct EventLogTests {
    let store: TestStore
    let log: EventLog

    init() throws {
        store = try TestStore()
        log = EventLog(scope: store.scope)
    }

    // MARK: - Against an array

    static func draft(_ random: inout SeededRandom) -> EventDraft {
        let texts = ["", "orders", "é", "e\u{301}", "日本語", "\u{1F511}\u{FFFD}", String(repeating: "k", count: 300)]
        return EventDraft(
            kind: [.published, .deleted, .imported].randomElement(using: &random)!, type: texts.randomElement(using: &random)!,
            key: texts.randomElement(using: &random)!, format: ["json", "yaml", ""].randomElement(using: &random)!,
            recordedAt: Timestamp(rawValue: Int64(bitPattern: random.next())),
            data: (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) },
            vector: Bool.random(using: &random) ? nil : (0..<Int.random(in: 1...100, using: &random)).map { _ in Float(random.unit() - 0.5) },
            metadata: Bool.random(using: &random) ? [] : Array(#"{"a":1}"#.utf8),
            publisher: Bool.random(using: &random) ? nil : Publisher(keyID: "00000000000000aa", name: texts.randomElement(using: &random)!))
    }

    /// The chain as docs/formats/events-v1.md defines it, written down once more.
    static func link(after previous: [UInt8], _ sequence: UInt64, _ draft: EventDraft) -> SHA256Digest {
        func number(_ value: UInt64) -> [UInt8] { (0..<8).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) } }
        func text(_ text: String) -> [UInt8] {
            let utf8 = Array(text.utf8)
            let length = utf8.count < 128 ? [UInt8(utf8.count)] : [UInt8(utf8.count & 127 | 128), UInt8(utf8.count >> 7)]
            return length + utf8
        }
        return SHA256.digest(
            previous, number(sequence), number(7), [draft.kind.rawValue], number(UInt64(bitPattern: draft.recordedAt.rawValue)), text(draft.type),
            text(draft.key), text(draft.format), draft.publisher.map { [1] + text($0.keyID) + text($0.name) } ?? [0], [UInt8(draft.metadata.count)],
            draft.metadata, number(UInt64(draft.data.count)), [UInt8(draft.vector?.count ?? 0)],
            (draft.vector ?? []).flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) } }, draft.data)
    }

    @Test func aLogIsAnArray() throws {
        var random = SeededRandom(seed: testSeed("aLogIsAnArray"))
        var twin: [EventDraft] = []
        var hash = SHA256Digest.zero
        #expect(try store.read { (view: borrowing TransactionView) throws in try log.head(in: view).sequence } == .zero)
        for _ in 0..<20 {
            try store.write { (transaction: inout WriteTransaction) throws in
                for _ in 0..<Int.random(in: 1...12, using: &random) {
                    let draft = Self.draft(&random)
                    twin.append(draft)
                    hash = Self.link(after: hash.bytes, UInt64(twin.count), draft)
                    let event = try log.append(draft, at: Position(rawValue: 7), in: &transaction)
                    #expect(event.sequence.rawValue == UInt64(twin.count) && event.hash == hash && Self.same(event, draft))
                }
            }
            try store.read { (view: borrowing TransactionView) throws in
                let head = try log.head(in: view)
                #expect(head.sequence.rawValue == UInt64(twin.count) && head.hash == hash)
                let records = try (1...twin.count).map { try #require(try view.loadBytes(store.scope.key(.event, UInt64($0)))).count }
                for _ in 0..<20 {
                    let since = Int.random(in: 0...twin.count + 2, using: &random)
                    let count = Int.random(in: 0...twin.count + 2, using: &random)
                    let bytesMax = Bool.random(using: &random) ? Int.max : Int.random(in: 0...2_000, using: &random)
                    let found = try log.events(after: Sequence(rawValue: UInt64(since)), count: count, bytesMax: bytesMax, in: view)
                    let expected = Self.page(twin, records: records, after: since, count: count, bytesMax: bytesMax)
                    #expect(found.map(\.sequence.rawValue) == expected.map { UInt64($0 + 1) })
                    #expect(zip(found, expected).allSatisfy { event, place in Self.same(event, twin[place]) })
                }
                let place = Int.random(in: 1...twin.count, using: &random)
                let event = try #require(try log.event(Sequence(rawValue: UInt64(place)), in: view))
                #expect(Self.same(event, twin[place - 1]))
                #expect(try log.event(.zero, in: view) == nil)
                #expect(try log.event(Sequence(rawValue: UInt64(twin.count + 1)), in: view) == nil)
                #expect(try log.events(after: Sequence(rawValue: .max), count: 1, in: view) == [])
                #expect(try log.findings(in: view) == [])
            }
        }
    }

    static func same(_ event: EventRecord, _ draft: EventDraft) -> Bool {
        event.kind == draft.kind && ExactText(event.type) == ExactText(draft.type) && ExactText(event.key) == ExactText(draft.key)
            && event.format == draft.format && event.recordedAt == draft.recordedAt && event.data == draft.data
            && event.vector == draft.vector && event.metadata == draft.metadata && event.publisher == draft.publisher
    }

    /// - Parameter records: bytes of each event's record.
    static func page(_ twin: [EventDraft], records: [Int], after since: Int, count: Int, bytesMax: Int) -> [Int] {
        var places: [Int] = []
        var bytes = 0
        for place in twin.indices.dropFirst(since) where places.count < count {
            if !places.isEmpty, bytes >= bytesMax || records[place] > bytesMax - bytes { break }
            places.append(place)
            let draft = twin[place]
            bytes += draft.data.count + draft.metadata.count + 4 * (draft.vector?.count ?? 0) + draft.type.utf8.count + draft.key.utf8.count + 128
        }
        return places
    }

    @Test func logsOfOtherProjectsAreApart() throws {
        var random = SeededRandom(seed: testSeed("logsOfOtherProjectsAreApart"))
        let other = EventLog(scope: TenantScope(tenant: store.scope.tenant, project: ProjectID(rawValue: store.scope.project.rawValue + 1)))
        try store.write { (transaction: inout WriteTransaction) throws in
            for _ in 0..<5 { _ = try log.append(Self.draft(&random), at: Position(rawValue: 7), in: &transaction) }
            #expect(try other.append(Self.draft(&random), at: Position(rawValue: 7), in: &transaction).sequence.rawValue == 1)
            try log.removeAll(in: &transaction)
            #expect(try log.events(after: .zero, count: 10, in: transaction.view) == [])
            #expect(try log.append(Self.draft(&random), at: Position(rawValue: 7), in: &transaction).sequence.rawValue == 1)
            #expect(try log.findings(in: transaction.view) == [])
            #expect(try other.findings(in: transaction.view) == [])
        }
    }

    // MARK: - The chain

    func fill(_ count: Int) throws -> [[UInt8]] {
        var random = SeededRandom(seed: testSeed("fill"))
        return try store.write { (transaction: inout WriteTransaction) throws in
            for _ in 0..<count { _ = try log.append(Self.draft(&random), at: Position(rawValue: 7), in: &transaction) }
            return try (1...UInt64(count)).map { try transaction.view.loadBytes(store.scope.key(.event, $0))! }
        }
    }

    /// What `findings` says, also when a record cannot be read at all.
    func findings(_ view: borrowing TransactionView) -> [String] {
        do { return try log.findings(in: view) } catch { return ["\(error)"] }
    }

    @Test func everyChangedByteOfAnEventIsFound() throws {
        let payloads = try fill(4)
        for (place, sound) in payloads.enumerated() {
            let key = store.scope.key(.event, UInt64(place + 1))
            for byte in sound.indices {
                var changed = sound
                changed[byte] ^= 1 << UInt8(byte % 8)
                let found = try store.afterPlanting(changed, under: key) { (view: borrowing TransactionView) throws in findings(view) }
                #expect(!found.isEmpty, "event \(place + 1), byte \(byte)")
            }
        }
    }

    @Test func everyDroppedEventIsFound() throws {
        _ = try fill(6)
        for sequence: UInt64 in 1...6 {
            let found = try store.afterPlanting(nil, under: store.scope.key(.event, sequence)) { (view: borrowing TransactionView) throws in findings(view) }
            #expect(found.contains { $0.contains(sequence == 6 ? "the log ends at 5" : "event \(sequence) is missing") })
        }
        let found = try store.afterPlanting(nil, under: store.scope.key(.logState)) { (view: borrowing TransactionView) throws in findings(view) }
        #expect(found == ["the log ends at 6, its head record says 0"])
    }

    @Test func everySwapAndEveryAdditionIsFound() throws {
        let payloads = try fill(5)
        for first in 1...5 {
            for second in 1...5 where first != second {
                var transaction = try store.environment.beginWrite()
                try transaction.store(store.scope.key(.event, UInt64(first)), payloads[second - 1])
                #expect(findings(transaction.view).contains("event \(first) breaks the hash chain"), "copied")
                try transaction.store(store.scope.key(.event, UInt64(second)), payloads[first - 1])
                #expect(findings(transaction.view).contains("event \(second) breaks the hash chain"), "swapped")
            }
        }
        for sequence in [0, 6, 9, UInt64.max] {
            let found = try store.afterPlanting(payloads[0], under: store.scope.key(.event, sequence)) { (view: borrowing TransactionView) throws in
                findings(view)
            }
            #expect(!found.isEmpty, "event \(sequence) added")
        }
    }

    // MARK: - Damaged records

    @Test func damagedRecordsAreRefused() throws {
        _ = try fill(2)
        let second = Sequence(rawValue: 2)
        #expect(try store.decoderFaults(under: store.scope.key(.event, UInt64(2))) { (view: borrowing TransactionView) throws in
            _ = try log.event(second, in: view)
        } == [])
        #expect(try store.decoderFaults(under: store.scope.key(.event, UInt64(2))) { (view: borrowing TransactionView) throws in
            _ = try log.events(after: .zero, count: 9, in: view)
        } == [])
        #expect(try store.decoderFaults(under: store.scope.key(.logState)) { (view: borrowing TransactionView) throws in
            _ = try log.head(in: view)
        } == [])
        let end = [UInt8](repeating: 0xFF, count: 8) + [UInt8](repeating: 0, count: 36)
        var transaction = try store.environment.beginWrite()
        try transaction.store(store.scope.key(.logState), end)
        let draft = EventDraft(kind: .deleted, type: "", key: "", format: "", recordedAt: Timestamp(rawValue: 0), data: [])
        let error = #expect(throws: ContexError.self) { _ = try log.append(draft, at: Position(rawValue: 7), in: &transaction) }
        #expect(error?.category == .damaged)
    }

    // MARK: - Golden bytes

    static let golden = [
        EventDraft(
            kind: .published, type: "orders_updated", key: "orders", format: "json", recordedAt: Timestamp(rawValue: 1_700_000_000_000_000),
            data: Array(#"{"a":[1,2.50,"é"]}"#.utf8), metadata: Array(#"{"team":"core"}"#.utf8), publisher: Publisher(keyID: "00000000000000aa", name: "ci")),
        EventDraft(
            kind: .deleted, type: "orders_deleted", key: "orders", format: "json", recordedAt: Timestamp(rawValue: -1), data: Array("null".utf8)),
        EventDraft(kind: .imported, type: "custom", key: "", format: "", recordedAt: Timestamp(rawValue: 0), data: Array("{}".utf8)),
        EventDraft(
            kind: .published, type: "日本", key: String(repeating: "ü", count: 255), format: "text", recordedAt: Timestamp(rawValue: .max),
            data: Array((#"""# + String(repeating: "x", count: 200) + #"""#).utf8)),
        EventDraft(
            kind: .published, type: "own_updated", key: "own", format: "json", recordedAt: Timestamp(rawValue: 2), data: Array("1".utf8),
            vector: [0.6, -0.8, 1e-30]),
    ]

    @Test func goldenBytesAreWritten() throws {
        try store.write { (transaction: inout WriteTransaction) throws in
            for draft in Self.golden { _ = try log.append(draft, at: Position(rawValue: 7), in: &transaction) }
        }
        try GoldenRecord.rewriteIfAsked("events-v1/records.txt", try store.records())
        #expect(try store.records() == GoldenRecord.file("events-v1/records.txt"))
    }

    @Test func goldenBytesAreRead() throws {
        let store = try TestStore(records: try GoldenRecord.file("events-v1/records.txt"))
        try store.read { (view: borrowing TransactionView) throws in
            let events = try log.events(after: .zero, count: 10, in: view)
            #expect(events.count == Self.golden.count && zip(events, Self.golden).allSatisfy { Self.same($0, $1) })
            #expect(try log.findings(in: view) == [])
        }
    }
}
