import Base
import KeySpace
import LMDB
import Needs
import TestSupport
import Testing

@Suite struct AgentDirectoryTests {
    struct Place: Hashable {
        let agent: Name
        let project: ProjectID
    }

    let store: TestStore
    let directory = AgentDirectory(tenant: .standard)

    init() throws { store = try TestStore() }

    @Test func aDirectoryIsADictionary() throws {
        var random = SeededRandom(seed: testSeed("aDirectoryIsADictionary"))
        let long = String(repeating: "\u{1F511}", count: 250)
        let names = try [" ", "a", "ab", "a\u{1}", "é", "e\u{301}", String(repeating: "ü", count: 240), long, long + "1"].map {
            try Name($0, field: "agent_id")
        }
        var twin: [Place: AgentDirectory.Entry] = [:]
        for time in 0..<300 {
            let place = Place(agent: names.randomElement(using: &random)!, project: ProjectID(rawValue: .random(in: 1...4, using: &random)))
            let entry = AgentDirectory.Entry(
                agent: place.agent, project: place.project, projectName: try Name("日本 \(place.project.rawValue)", field: "project_id"),
                registeredAt: Timestamp(rawValue: Int64((time * 7919) % 1_000)))
            try store.write { (transaction: inout WriteTransaction) throws in
                if Int.random(in: 0..<3, using: &random) == 0 {
                    try directory.remove(place.agent, project: place.project, in: &transaction)
                    twin[place] = nil
                } else {
                    try directory.put(entry, in: &transaction)
                    twin[place] = entry
                }
            }
            try store.read { (view: borrowing TransactionView) throws in
                let oldestFirst = twin.values.sorted { $0.registeredAt < $1.registeredAt }
                #expect(try directory.entries(in: view) == oldestFirst)
                #expect(try directory.entries(place.agent, in: view) == oldestFirst.filter { $0.agent == place.agent })
                #expect(try AgentDirectory(tenant: TenantID(rawValue: 2)).entries(in: view) == [])
            }
        }
    }
}
