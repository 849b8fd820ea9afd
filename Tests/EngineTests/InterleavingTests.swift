import Base
import Content
import Dispatch
import Engine
import Events
import Needs
import Search
import Synchronization
import TestSupport
import Testing

/// What happens to a project between the preparation of a change and its transaction: every pair of changes, at every place where one may
/// get in between. Whoever comes last, agents follow what a fresh scoring of their needs finds, and were told what they need to know.
@Suite struct InterleavingTests {
    enum Change: String, CaseIterable, Sendable {
        case publish, publishBatch, delete, register, registerBatch, importDocument, unregister

        /// Whether it works outside its transaction.
        var isPrepared: Bool { self != .delete && self != .unregister }
    }

    enum Seam: CaseIterable, Sendable {
        /// Of documents and needs, before a registration has its snapshot.
        case embedding
        /// Of documents after their snapshot, of a registration's context on it.
        case counting
    }

    struct Pair: Sendable, CustomTestStringConvertible {
        let change: Change
        let meanwhile: Change
        var seam: Seam?
        var testDescription: String { "\(change), \(meanwhile) meanwhile, at \(seam.map { "\($0)" } ?? "the writer")" }
    }

    private static let pairs = Change.allCases.flatMap { change in Change.allCases.map { Pair(change: change, meanwhile: $0) } }
    private static let seams = pairs.filter(\.change.isPrepared).flatMap { pair in
        Seam.allCases.map { Pair(change: pair.change, meanwhile: pair.meanwhile, seam: $0) }
    }

    /// The second change is done, whole, while the first prepares itself.
    @Test(arguments: seams) func changesThatComeWhileAnotherPrepares(_ pair: Pair) async throws {
        let meanwhile = Meanwhile()
        let fixture = try await Self.filled(meanwhile.models(at: pair.seam!))
        let early = Mutex<[Notification]>([])
        meanwhile.set {
            try await Self.perform(pair.meanwhile, 2, fixture)
            early.withLock { $0 = fixture.sink.take() }
        }
        try await Self.perform(pair.change, 1, fixture)
        #expect(!meanwhile.isWaiting && meanwhile.failure == nil)
        let late = fixture.sink.take()
        if pair.meanwhile == .unregister { #expect(!late.contains { $0.agent.name.text == "leaves" }) }
        try await Self.verify(fixture, told: early.withLock { $0 } + late, mirrors: pair.change != .importDocument && pair.meanwhile != .importDocument)
    }

    /// Both are prepared on the same state, and run one after the other in one transaction.
    @Test(arguments: pairs) func changesOfOneGroup(_ pair: Pair) async throws {
        let fixture = try await Self.filled(WordHash.models)
        let holding = HoldingSink(fixture.sink)
        fixture.database.setSink(holding, for: .redis)
        _ = try await fixture.database.register(Fixture.tenant, Self.registration("holder", ["zebra"], project: "held"))
        holding.hold()
        async let held = fixture.publish("held", "k", ["x": "zebra"])
        try await holding.waitUntilHeld()
        async let second: Void = Self.perform(pair.meanwhile, 2, fixture)
        let waiting = try await Self.pendingWrites(fixture, above: 0)
        async let first: Void = Self.perform(pair.change, 1, fixture)
        _ = try await Self.pendingWrites(fixture, above: waiting)
        holding.release()
        _ = try await (held, second, first)
        let told = fixture.sink.take().filter { $0.project.text == "p" }
        try await Self.verify(fixture, told: told, mirrors: pair.change != .importDocument && pair.meanwhile != .importDocument)
    }

    /// A registration that was searched with one analyser is not entered under another.
    @Test func anotherAnalyserMeanwhile() async throws {
        let meanwhile = Meanwhile()
        let fixture = try Fixture(models: meanwhile.models(at: .counting)) {
            $0.mode = .keyword
            $0.threshold = 0.05
            $0.contextTokensMax = 30
        }
        try await fixture.publish("p", "k", ["x": .string("zebras meanwhile \(Self.filling)")])
        meanwhile.set { _ = try await fixture.database.setAnalyzer(Fixture.tenant, project: Name(stored: "p"), "simple") }
        _ = try await fixture.database.register(Fixture.tenant, Self.registration("late", ["zebra"]))
        #expect(!meanwhile.isWaiting && meanwhile.failure == nil)
        #expect(try await Self.followed("late", fixture) == [])
        _ = try await fixture.database.setAnalyzer(Fixture.tenant, project: Name(stored: "p"), "english")
        _ = try await fixture.database.register(Fixture.tenant, Self.registration("late", ["zebra"]))
        #expect(try await Self.followed("late", fixture) == ["k.root"])
    }

    // MARK: - A project and what is done to it

    /// Bytes, so that a context is counted before it is known to fit.
    private static let filling = String(repeating: ".", count: 40)

    private static func text(_ words: String, _ version: Int) -> JSONValue { ["x": .string("\(words) meanwhile \(version)\(filling)")] }

    private static func filled(_ models: Models) async throws -> Fixture {
        let fixture = try Fixture(models: models) {
            $0.mode = .semantic
            // Between a text with the word of a need (.24 and more) and one without (.12 and less).
            $0.threshold = 0.2
            $0.contextTokensMax = 60
            $0.threads = 4
        }
        for (key, words) in [("stays", "zebra"), ("turns", "wolf"), ("goes", "zebra"), ("other", "wolf")] {
            try await fixture.publish("p", key, text(words, 0))
        }
        for (agent, need) in [("listens", "zebra"), ("leaves", "zebra"), ("changes", "wolf")] {
            _ = try await fixture.database.register(Fixture.tenant, registration(agent, [need]))
        }
        return fixture
    }

    private static func registration(_ agent: String, _ needs: [String], project: String = "p") -> RegisterCommand {
        RegisterCommand(project: Name(stored: project), agent: Name(stored: agent), needs: needs, lastSeen: Sequence(rawValue: .max), responseFormat: "toon")
    }

    /// - Parameter version: makes what two of a kind write different.
    private static func perform(_ change: Change, _ version: Int, _ fixture: Fixture) async throws {
        let (database, project) = (fixture.database, Name(stored: "p"))
        func command(_ key: String, _ words: String) -> PublishCommand {
            PublishCommand(project: project, key: Name(stored: key), data: text(words, version))
        }
        switch change {
        case .publish: _ = try await database.publish(Fixture.tenant, [command("turns", "zebra")])[0].get()
        case .publishBatch:
            let commands = [command("turns", "zebra"), command("goes", "wolf"), command("comes", "zebra"), command("comes", "wolf")]
            for outcome in await database.publish(Fixture.tenant, commands) { _ = try outcome.get() }
        case .delete:
            do throws(any Error) {
                _ = try await database.delete(Fixture.tenant, project: project, key: Name(stored: "goes"))
            } catch let error as ContexError where error.category == .notFound {
                // The other change was quicker.
            }
        case .register: _ = try await database.register(Fixture.tenant, registration("changes", ["zebra meanwhile", "stone \(version)"]))
        case .registerBatch:
            let commands = [registration("changes", ["zebra meanwhile"]), registration("comes", ["wolf meanwhile"]), registration("comes", ["zebra"])]
            for outcome in await database.register(Fixture.tenant, commands) { _ = try outcome.get() }
        case .importDocument:
            func node(_ key: String, _ words: String) -> JSONValue {
                ["data_key": .string(key), "node_path": "root", "description": .string(words), "data": text(words, version)]
            }
            func event(_ number: Int, _ key: String, _ words: String) -> JSONValue {
                ["event_id": .string("\(number)"), "event_type": "t", "data": .object(JSONObject([(key, text(words, version))]))]
            }
            let document: JSONValue = [
                "project_id": "p", "version": "1.0",
                "data": [
                    "events": .array((1...4).map { event($0, "turns", "zebra") }),
                    "embeddings": .array([node("turns", "zebra"), node("goes", "wolf"), node("comes", "zebra")]),
                    "agents": .array([["agent_id": "changes", "data": ["needs": .array(["zebra meanwhile"])]]]),
                ],
            ]
            _ = try await database.importDocument(Fixture.tenant, project: project, document: document, overwrite: true, validateOnly: false)
        case .unregister: try await database.unregister(Fixture.tenant, Name(stored: "leaves"), projects: [project])
        }
    }

    private static func pendingWrites(_ fixture: Fixture, above count: Int) async throws -> Int {
        while true {
            let waiting = try await fixture.database.status().pendingWrites
            if waiting > count { return waiting }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    // MARK: - What must hold

    private static func followed(_ agent: String, _ fixture: Fixture) async throws -> [String] {
        try await fixture.database.agent(Fixture.tenant, Name(stored: agent), project: Name(stored: "p")).last?.nodeKeys.sorted() ?? []
    }

    private static func verify(_ fixture: Fixture, told: [Notification], mirrors: Bool) async throws {
        let agents = try await fixture.database.agents(Fixture.tenant, project: Name(stored: "p"))
        var held: [String: JSONValue] = [:]
        for node in try await fixture.database.listNodes(Fixture.tenant, project: Name(stored: "p")) { held[node.documentKey] = node.data }
        #expect(!agents.isEmpty)
        for agent in agents {
            let name = agent.record.name.text
            let follows = try await followed(name, fixture)
            #expect(!follows.isEmpty, "\(name) needs \(agent.record.needs)")
            _ = try await fixture.database.register(Fixture.tenant, registration("fresh", agent.record.needs))
            #expect(try await followed("fresh", fixture) == follows, "\(name) needs \(agent.record.needs)")
            guard mirrors else { continue }
            // What the agent knows of the project, from what it was told.
            var known: [String: JSONValue] = [:]
            var head = Sequence.zero
            for notification in told where notification.agent.name.text == name {
                switch notification.message {
                case .initialContext(let context):
                    known = Dictionary(context.matches.map { ($0.documentKey, $0.data) }) { $1 }
                    head = notification.provenance.sequence ?? .zero
                case .update(let sequence, let key, let data):
                    #expect(sequence > head, "\(name) is told again of event \(sequence)")
                    (head, known[key]) = (sequence, try JSONParser.parse(data))
                case .deletion(let sequence, let key):
                    #expect(sequence > head && known[key] != nil, "\(name) is told again that '\(key)' is gone")
                    (head, known[key]) = (sequence, nil)
                case .event: Issue.record("\(name) missed nothing")
                }
            }
            let keys = follows.map { String($0.dropLast(".root".count)) }
            for key in keys { #expect(known[key] == held[key], "\(name) follows \(key)") }
            // What it does not follow is not what it needed when it last heard of it.
            for (key, data) in known where !keys.contains(key) {
                try await fixture.publish("alone", key, data)
                _ = try await fixture.database.register(Fixture.tenant, registration("fresh", agent.record.needs, project: "alone"))
                let nodes = try await fixture.database.agent(Fixture.tenant, Name(stored: "fresh"), project: Name(stored: "alone"))[0].nodeKeys
                #expect(!nodes.contains(key + ".root"), "\(name) was not told that \(key) is something else")
            }
        }
        #expect(try await fixture.closeAndCheck() == [])
    }
}

/// Does something in the middle of something else: once, when the model meets a text with the word.
private final class Meanwhile: Sendable {
    private struct State {
        var action: (@Sendable () async throws -> Void)?
        var failure: String?
    }
    private let state = Mutex(State())

    func set(_ action: @escaping @Sendable () async throws -> Void) { state.withLock { $0.action = action } }
    var isWaiting: Bool { state.withLock { $0.action != nil } }
    var failure: String? { state.withLock { $0.failure } }

    func run() async throws {
        let action = state.withLock { state in
            defer { state.action = nil }
            return state.action
        }
        do { try await action?() } catch { state.withLock { $0.failure = "\(error)" } }
    }

    func models(at seam: InterleavingTests.Seam) -> Models {
        Models(
            identity: "hashed words", dimension: WordHash.dimension,
            embed: { [self] texts in
                if seam == .embedding, texts.contains(where: { $0.contains("meanwhile") }) { try await run() }
                return texts.map(WordHash.vector)
            },
            countTokens: { [self] text in
                if seam == .counting, isWaiting, text.contains("meanwhile") {
                    // On a thread of the readers', which may wait; there are others.
                    let done = DispatchSemaphore(value: 0)
                    Task {
                        try? await run()
                        done.signal()
                    }
                    done.wait()
                }
                return text.split(separator: " ").count
            })
    }
}

/// Holds the writer, which calls it, at the next notification.
private final class HoldingSink: NotificationSink {
    private let sink: RecordingSink
    private let isHolding = Atomic(false)
    private let isHeld = Atomic(false)
    private let released = DispatchSemaphore(value: 0)

    init(_ sink: RecordingSink) { self.sink = sink }

    func deliver(_ notification: Notification) {
        sink.deliver(notification)
        if isHolding.exchange(false, ordering: .sequentiallyConsistent) {
            isHeld.store(true, ordering: .sequentiallyConsistent)
            released.wait()
        }
    }

    func hold() { isHolding.store(true, ordering: .sequentiallyConsistent) }
    func waitUntilHeld() async throws {
        while !isHeld.load(ordering: .sequentiallyConsistent) { try await Task.sleep(for: .milliseconds(1)) }
    }
    func release() { released.signal() }
}
