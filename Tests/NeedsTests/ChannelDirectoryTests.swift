import Base
import KeySpace
import LMDB
import Needs
import TestSupport
import Testing

@Suite struct ChannelDirectoryTests {
    let store: TestStore
    let channels = ChannelDirectory(tenant: .standard)

    init() throws { store = try TestStore() }

    private static func agent(_ name: String, _ number: UInt32, on channel: String) -> AgentRecord {
        AgentRecord(
            name: Name(stored: name), number: number, inbox: number, needs: [], delivery: .redis, responseFormat: "json", channel: channel, webhookURL: nil,
            webhookSecret: nil, lastSequence: .zero, registeredAt: Timestamp(rawValue: 0))
    }

    /// Claims and releases against a dictionary of counts, with names that differ in their bytes only and names longer than a key.
    @Test func aDirectoryCountsTheAgentsOfOneProject() throws {
        var random = SeededRandom(seed: testSeed("aDirectoryCountsTheAgentsOfOneProject"))
        let long = String(repeating: "\u{1F511}", count: 250)
        let names = ["", "a", "é", "e\u{301}", "agent:a:b:c:updates", long, long + "1"]
        struct Held: Equatable {
            var project: UInt32
            var count: UInt32
        }
        var twin: [ExactText: Held] = [:]
        for _ in 0..<400 {
            let name = names.randomElement(using: &random)!
            let project = UInt32.random(in: 1...3, using: &random)
            try store.write { (transaction: inout WriteTransaction) throws in
                let held = twin[ExactText(name)]
                let isOpen = try channels.isOpen(name, to: ProjectID(rawValue: project), in: transaction.view)
                #expect(isOpen == (held == nil || held?.project == project))
                #expect(try channels.isOpen(name, to: nil, in: transaction.view) == (held == nil))
                if let held, Bool.random(using: &random) {
                    try channels.release(name, by: ProjectID(rawValue: held.project), in: &transaction)
                    twin[ExactText(name)] = held.count > 1 ? Held(project: held.project, count: held.count - 1) : nil
                } else if isOpen {
                    try channels.claim(name, for: ProjectID(rawValue: project), named: Name(stored: "p\(project)"), in: &transaction)
                    twin[ExactText(name)] = Held(project: project, count: (held?.count ?? 0) + 1)
                }
            }
            try store.read { (view: borrowing TransactionView) throws in
                let found = try channels.owners(in: view)
                #expect(found.count == twin.count)
                for owner in found { #expect(twin[ExactText(owner.channel)] == Held(project: owner.project.rawValue, count: owner.agents)) }
            }
        }
    }

    @Test func whatDoesNotFitTheAgentsIsFound() throws {
        let (one, two) = (ProjectID(rawValue: 1), ProjectID(rawValue: 2))
        try store.write { (transaction: inout WriteTransaction) throws in
            for _ in 0..<2 { try channels.claim("a", for: one, named: Name(stored: "one"), in: &transaction) }
            try channels.claim("b", for: two, named: Name(stored: "two"), in: &transaction)
        }
        try store.read { (view: borrowing TransactionView) throws in
            let sound = [one: [Self.agent("x", 1, on: "a"), Self.agent("y", 2, on: "a")], two: [Self.agent("x", 1, on: "b")]]
            #expect(try channels.findings(agents: sound, in: view) == [])
            let fewer = [one: [Self.agent("x", 1, on: "a")], two: [Self.agent("x", 1, on: "b"), Self.agent("z", 2, on: "a")]]
            #expect(
                try channels.findings(agents: fewer, in: view) == [
                    "channel 'a' counts 2 agents of project 'one', there are 1", "channel 'a' has agents of project 2, which does not hold it",
                ])
        }
        try store.write { (transaction: inout WriteTransaction) throws in
            let error = #expect(throws: ContexError.self) { try channels.release("a", by: two, in: &transaction) }
            #expect(error?.category == .damaged)
        }
    }
}
