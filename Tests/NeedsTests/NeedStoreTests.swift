import Base
import KeySpace
import LMDB
import Needs
import TestSupport
import Testing

@Suite struct NeedStoreTests {
    let store: TestStore
    let needs: NeedStore

    init() throws {
        store = try TestStore()
        needs = NeedStore(scope: store.scope)
    }

    init(store: TestStore, needs: NeedStore) {
        self.store = store
        self.needs = needs
    }

    static func name(_ text: String) throws -> Name { try Name(text, field: "agent_id") }

    static func names() throws -> [Name] {
        let long = String(repeating: "\u{1F511}", count: 250)
        return try [" ", "a", "a.b", "ab", "é", "e\u{301}", "日本語", String(repeating: "ü", count: 240), String(repeating: "ü", count: 255), long, long + "1"]
            .map(name)
    }

    static func agent(
        _ name: Name, _ number: UInt32, needs: [String], _ random: inout SeededRandom, _ chosen: NeedSettings? = nil
    ) -> AgentRecord {
        AgentRecord(
            name: name, number: number, inbox: number / 2 + 1, needs: needs, delivery: Bool.random(using: &random) ? .redis : .webhook,
            responseFormat: ["json", "toon", ""].randomElement(using: &random)!, channel: "agent:\(name):updates",
            webhookURL: Bool.random(using: &random) ? "https://example.com/日本" : nil, webhookSecret: Bool.random(using: &random) ? "" : nil,
            envelope: Bool.random(using: &random) ? .plain : .full, settings: chosen ?? settings.randomElement(using: &random)!,
            registrant: Bool.random(using: &random) ? Publisher(keyID: "00000000000000ff", name: "é") : nil,
            lastSequence: Sequence(rawValue: random.next()), registeredAt: Timestamp(rawValue: Int64(bitPattern: random.next())))
    }

    static let settings: [NeedSettings] = [
        .none, .none, NeedSettings(minSimilarity: 0.25), NeedSettings(mode: .keyword, filter: "{}", topK: 3), NeedSettings(minSimilarity: 1, mode: .semantic),
    ]

    static func records(_ agent: AgentRecord, _ random: inout SeededRandom) -> [NeedRecord] {
        agent.needs.enumerated().map { index, text in
            // One text has one vector and one set of words, as from one model and one analyser; sometimes another vector, as from another model.
            var own = SeededRandom(seed: UInt64(text.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) } ^ UInt64.random(in: 0...1, using: &random)))
            let words = ["order", "unpaid", "日本", "ünïcode", "x1"].shuffled(using: &own).prefix(Int.random(in: 0...4, using: &own))
            return NeedRecord(
                agent: agent.number, index: UInt32(index), text: text,
                vector: (0..<Int.random(in: 0...5, using: &own)).map { _ in Float.random(in: -1...1, using: &own) },
                terms: words.map { NeedTerm($0, count: Int.random(in: 1...3, using: &own), isExact: Bool.random(using: &own)) }, settings: agent.settings)
        }
    }

    // MARK: - Against dictionaries

    struct Twin {
        var agents: [Name: AgentRecord] = [:]
        var needs: [UInt32: [NeedRecord]] = [:]
        var follows: [UInt32: [DocumentID: [NodeID]]] = [:]
        var lastNumber: UInt32 = 0

        mutating func remove(_ name: Name) -> Bool {
            guard let old = agents.removeValue(forKey: name) else { return false }
            needs[old.number] = nil
            follows[old.number] = nil
            return true
        }
    }

    /// Document of a node, so that a check knows which nodes exist: ten nodes to a document.
    static let nodes = Dictionary(uniqueKeysWithValues: (0..<200).map { (NodeID(rawValue: $0), DocumentID(rawValue: $0 / 10)) })

    func step(_ twin: inout Twin, _ random: inout SeededRandom, _ transaction: inout WriteTransaction) throws {
        let names = try Self.names()
        let name = names.randomElement(using: &random)!
        switch Int.random(in: 0..<6, using: &random) {
        case 0...1:
            let texts = ["unpaid orders", "é", "e\u{301}", "日本", "", String(repeating: "long ", count: 400)].shuffled(using: &random)
            let number = try needs.nextNumber(in: transaction.view)
            #expect(number == twin.lastNumber + 1)
            let agent = Self.agent(name, number, needs: Array(texts.prefix(Int.random(in: 0...5, using: &random))), &random)
            let records = Self.records(agent, &random)
            try needs.register(agent, needs: records, in: &transaction)
            _ = twin.remove(name)
            twin.agents[name] = agent
            twin.needs[number] = records
            twin.lastNumber = number
        case 2:
            let was = twin.remove(name)
            #expect(try needs.remove(name, in: &transaction) == was)
        case 3:
            guard var agent = twin.agents[name] else { return }
            agent.channel = "moved"
            try needs.update(agent, in: &transaction)
            twin.agents[name] = agent
        default:
            guard let agent = twin.agents.values.sorted(by: { $0.number < $1.number }).randomElement(using: &random) else { return }
            let document = UInt32.random(in: 0..<20, using: &random)
            let own = (document * 10..<document * 10 + 10).shuffled(using: &random).map { NodeID(rawValue: $0) }
            let matched = Array(own.prefix(Int.random(in: 0...4, using: &random)))
            try needs.setFollow(agent: agent.number, document: DocumentID(rawValue: document), nodes: matched, in: &transaction)
            twin.follows[agent.number, default: [:]][DocumentID(rawValue: document)] = matched.isEmpty ? nil : matched
        }
    }

    /// What the store keeps with a need: what decides a match.
    static func kept(_ need: NeedRecord) -> NeedRecord {
        var settings = need.settings
        settings.topK = nil
        return NeedRecord(agent: need.agent, index: need.index, text: need.text, vector: need.vector, terms: need.terms, settings: settings)
    }

    static func isSame(_ a: NeedRecord, _ b: NeedRecord) -> Bool {
        NeedRecord(agent: 0, index: 0, text: a.text, vector: a.vector, terms: a.terms, settings: a.settings)
            == NeedRecord(agent: 0, index: 0, text: b.text, vector: b.vector, terms: b.terms, settings: b.settings)
    }

    func compare(_ twin: Twin, _ view: borrowing TransactionView) throws {
        #expect(try needs.agents(in: view) == twin.agents.values.sorted { $0.number < $1.number })
        for name in try Self.names() { #expect(try needs.agent(name, in: view) == twin.agents[name]) }
        #expect(try needs.needs(in: view) == twin.needs.keys.sorted().flatMap { twin.needs[$0]! }.map(Self.kept))
        // Equal needs of several agents are one, which knows them all.
        var numbers: [UInt32: Int] = [:]
        for number in 0..<UInt32(try needs.needSlots(in: view)) where try needs.need(number, in: view) != nil {
            numbers[number] = try needs.followers(ofNeed: number, in: view).count
        }
        #expect(numbers.values.reduce(0, +) == twin.needs.values.reduce(0) { $0 + $1.count })
        let all = twin.needs.values.joined().map(Self.kept)
        #expect(numbers.count == all.enumerated().count { place, need in !all[..<place].contains { Self.isSame($0, need) } })
        for number in 0...twin.lastNumber {
            let follows = twin.follows[number] ?? [:]
            #expect(try needs.followed(by: number, in: view) == follows)
            for (document, matched) in follows { #expect(try needs.followedNodes(by: number, document: document, in: view) == matched) }
        }
        for document in (UInt32(0)..<21).map(DocumentID.init) {
            #expect(try needs.followers(of: document, in: view) == twin.follows.filter { $0.value[document] != nil }.keys.sorted())
        }
        #expect(try needs.findings(nodes: Self.nodes, in: view) == [])
    }

    @Test func aStoreIsAFewDictionaries() throws {
        var random = SeededRandom(seed: testSeed("aStoreIsAFewDictionaries"))
        var twin = Twin()
        for _ in 0..<40 {
            try store.write { (transaction: inout WriteTransaction) throws in
                for _ in 0..<6 { try step(&twin, &random, &transaction) }
            }
            try store.read { (view: borrowing TransactionView) throws in try compare(twin, view) }
        }
        let other = NeedStore(scope: TenantScope(tenant: store.scope.tenant, project: ProjectID(rawValue: 8)))
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try other.agents(in: view) == [])
            #expect(try other.needs(in: view) == [])
            #expect(try other.needSlots(in: view) == 0)
        }
        try store.write { (transaction: inout WriteTransaction) throws in
            for name in try Self.names() { try needs.remove(name, in: &transaction) }
        }
        // All that is left is the state record.
        #expect(try store.records().map(\.key) == [store.scope.key(.needState)])
    }

    @Test func aCollidingLongNameIsRefused() throws {
        try writeGolden(store)
        let sound = try #require(try store.payload(store.scope.key(.agent, text: Self.long)))
        let other = try Self.name(String(Self.long.dropLast()) + "x")
        let error = #expect(throws: ContexError.self) {
            try store.afterPlanting(sound, under: store.scope.key(.agent, text: other.text)) { (view: borrowing TransactionView) throws in
                _ = try needs.agent(other, in: view)
            }
        }
        #expect(error?.category == .invalid && error?.field == "agent_id")
    }

    // MARK: - Planted faults

    @Test func plantedFaultsAreFound() throws {
        try writeGolden(store)
        let nodes = [NodeID(rawValue: 7): DocumentID(rawValue: 5), NodeID(rawValue: 300): DocumentID(rawValue: 5)]
        func expect(_ words: String, _ payload: [UInt8]?, under key: [UInt8]) throws {
            let found = try store.afterPlanting(payload, under: key) { (view: borrowing TransactionView) throws in
                try needs.findings(nodes: nodes, in: view)
            }
            #expect(found.contains { $0.contains(words) }, "\(words) not in \(found)")
        }
        let scope = store.scope
        func pair(_ first: UInt64, _ second: UInt64) -> UInt64 { first << 32 | second }
        #expect(try store.read { (view: borrowing TransactionView) throws in try needs.findings(nodes: nodes, in: view) } == [])

        let agent = scope.key(.agent, text: "billing")
        let sound = try #require(try store.payload(agent))
        let need = try #require(try store.payload(scope.key(.need, UInt32(0))))
        let own = try #require(try store.payload(scope.key(.agentNeeds, UInt32(1))))
        try expect("belong to agent number 1, which is not there", nil, under: agent)
        try expect("agent number 1 follows document 5, but is not there", nil, under: agent)
        try expect("1 need records for 2 needs", Array(own.dropLast(4)), under: scope.key(.agentNeeds, UInt32(1)))
        try expect("asks 'ünïcode' as need number 1, which is another", need, under: scope.key(.need, UInt32(1)))
        try expect("0 need records for 2 needs", nil, under: scope.key(.agentNeeds, UInt32(1)))
        try expect("belong to agent number 3", own, under: scope.key(.agentNeeds, UInt32(3)))
        try expect("both have number 1", sound, under: scope.key(.agent, text: "twin"))
        try expect("the last one given is 0", nil, under: scope.key(.needState))
        try expect("does not know that agent 'billing' asks it", nil, under: scope.key(.needFollower, pair(0, 1)))
        try expect("does not know that agent 'billing' asks it", [1], under: scope.key(.needFollower, pair(0, 1)))
        try expect("names agent number 9, which does not ask it", [0], under: scope.key(.needFollower, pair(0, 9)))
        try expect("is neither a need's nor free", nil, under: scope.key(.need, UInt32(1)))
        try expect("is not found by its text", nil, under: try #require(try store.records().map(\.key).first { KeyKind(of: $0) == .needByText }))
        try expect("is not in the list of 'order'", nil, under: scope.key(.needTerm, bytes: Array("order".utf8) + [0, 0, 0, 0, 0]))
        try expect("has other limits", [1, 4, 6], under: scope.key(.needTerm, bytes: Array("order".utf8) + [0, 0, 0, 0, 0]))
        try expect("needs more than say the words", [0, 0], under: scope.key(.needTerm, bytes: Array("other".utf8) + [0, 0, 0, 0, 0]))
        let limits = try #require(try store.payload(scope.key(.needLimits, UInt32(0))))
        for place in limits.indices {
            var changed = limits
            changed[place] ^= 1
            try expect("has other limits", changed, under: scope.key(.needLimits, UInt32(0)))
        }
        let codes = try #require(try store.payload(scope.key(.needCodes, UInt32(0))))
        for place in stride(from: 0, to: codes.count, by: 7) {
            var changed = codes
            changed[place] ^= 16
            try expect("has another code", changed, under: scope.key(.needCodes, UInt32(0)))
        }
        try expect("more than there are records", [0, 0, 0, 2, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 128], under: scope.key(.needState))
        try expect("is said to be free", [0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 128], under: scope.key(.needState))
        try expect("there are 2, and 0 are free", [0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 128], under: scope.key(.needState))
        try expect("which does not know it", nil, under: scope.key(.agentMatchByDocument, pair(5, 1)))
        try expect("names agent number 1 as its follower", nil, under: scope.key(.agentMatch, pair(1, 5)))
        try expect("names agent number 2 as its follower", [], under: scope.key(.agentMatchByDocument, pair(5, 2)))
        try expect("without a node", [], under: scope.key(.agentMatch, pair(1, 5)))
        try expect("holds node 8 of document 5", [0, 0, 0, 8], under: scope.key(.agentMatch, pair(1, 5)))
        try expect("holds node 7 of document 6", [0, 0, 0, 7], under: scope.key(.agentMatch, pair(1, 6)))
    }

    /// Needs as they were in format 1 are no damage: they are made anew.
    @Test func needsOfFormat1AskForAReindex() throws {
        try writeGolden(store)
        let error = #expect(throws: ContexError.self) {
            try store.afterPlanting([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2], under: store.scope.key(.needState)) { (view: borrowing TransactionView) throws in
                _ = try needs.nextNumber(in: view)
            }
        }
        #expect(error?.code == .reindexNeeded && error?.message.contains("contex reindex") == true)
        try store.write { (transaction: inout WriteTransaction) throws in
            try transaction.store(store.scope.key(.needState), [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2])
            try needs.removeAllNeeds(in: &transaction)
            for agent in try needs.agents(in: transaction.view) {
                try needs.renew(agent, needs: Self.goldenNeeds.filter { $0.agent == agent.number }, in: &transaction)
            }
        }
        try store.read { (view: borrowing TransactionView) throws in #expect(try needs.needs(in: view) == Self.goldenNeeds) }
        #expect(try store.records() == GoldenRecord.file("needs-v2/records.txt"))
    }

    // MARK: - Damaged records

    @Test func damagedRecordsAreRefused() throws {
        try writeGolden(store)
        let scope = store.scope
        for text in ["billing", Self.long] {
            let name = try Self.name(text)
            #expect(try store.decoderFaults(under: scope.key(.agent, text: text)) { (view: borrowing TransactionView) throws in
                _ = try needs.agent(name, in: view)
            } == [])
        }
        #expect(try store.decoderFaults(under: scope.key(.agent, text: "billing")) { (view: borrowing TransactionView) throws in
            _ = try needs.agents(in: view)
        } == [])
        #expect(try store.decoderFaults(under: scope.key(.need, UInt32(0))) { (view: borrowing TransactionView) throws in
            _ = try needs.needs(in: view)
        } == [])
        #expect(try store.decoderFaults(under: scope.key(.needState)) { (view: borrowing TransactionView) throws in
            _ = try needs.needSlots(in: view)
        } == [])
        for kind in [KeyKind.needFollower, .needByText, .needTerm, .needLimits, .needCodes, .agentNeeds] {
            for record in try store.records() where KeyKind(of: record.key) == kind {
                // Whatever bytes they are: no trap, and an error of ours.
                _ = try store.decoderFaults(under: record.key) { (view: borrowing TransactionView) throws in
                    _ = try needs.findings(nodes: [:], in: view)
                    _ = try needs.candidates([Self.probe], Self.rule, NeedMemory(), in: view)
                }
            }
        }
        let directory = AgentDirectory(tenant: scope.tenant)
        let entry = scope.registry.key(.agentDirectory, text: "billing") + [0, 0, 0, 0, 7]
        #expect(try store.decoderFaults(under: entry) { (view: borrowing TransactionView) throws in _ = try directory.entries(in: view) } == [])

        let channel = scope.registry.key(.channelOwner, text: "c")
        #expect(try store.decoderFaults(under: channel) { (view: borrowing TransactionView) throws in
            _ = try ChannelDirectory(tenant: scope.tenant).owners(in: view)
        } == [])

        // A follow is numbers to its end: cut between two of them it is another follow, cut within one it is damage.
        for length in 0...9 where length % 4 != 0 {
            let cut = Array(([0, 0, 0, 7, 0, 0, 1, 44, 0] as [UInt8]).prefix(length))
            #expect(throws: ByteError.self) {
                try store.afterPlanting(cut, under: scope.key(.agentMatch, UInt64(1 << 32 | 5))) { (view: borrowing TransactionView) throws in
                    _ = try needs.followedNodes(by: 1, document: DocumentID(rawValue: 5), in: view)
                }
            }
        }
    }

    @Test func numbersThatAreUsedUpAreAnError() throws {
        let error = #expect(throws: ContexError.self) {
            try store.afterPlanting([UInt8](repeating: 255, count: 18), under: store.scope.key(.needState)) { (view: borrowing TransactionView) throws in
                _ = try needs.nextNumber(in: view)
            }
        }
        #expect(error?.category == .limited)
    }

    // MARK: - Golden bytes

    static let long = String(repeating: "ü", count: 255)

    func goldenAgents() throws -> [AgentRecord] {
        [
            AgentRecord(
                name: try Self.name("billing"), number: 1, inbox: 1, needs: ["unpaid orders", "ünïcode"], delivery: .redis, responseFormat: "json",
                channel: "agent:billing:updates", webhookURL: nil, webhookSecret: nil, lastSequence: Sequence(rawValue: 9),
                registeredAt: Timestamp(rawValue: 1_700_000_000_000_000)),
            AgentRecord(
                name: try Self.name(Self.long), number: 2, inbox: 1, needs: [], delivery: .webhook, responseFormat: "toon", channel: "c",
                webhookURL: "https://example.com/hook", webhookSecret: "s3cret", envelope: .full,
                registrant: Publisher(keyID: "0123456789abcdef", name: "chief"), lastSequence: .zero, registeredAt: Timestamp(rawValue: -1)),
        ]
    }

    static let goldenNeeds = [
        NeedRecord(
            agent: 1, index: 0, text: "unpaid orders", vector: [1, -0.5, 0.25],
            terms: [NeedTerm("order", count: 1, isExact: false), NeedTerm("unpaid", count: 1, isExact: false)]),
        NeedRecord(agent: 1, index: 1, text: "ünïcode", vector: [], terms: [NeedTerm("ünïcode", count: 2, isExact: true)]),
    ]

    func writeGolden(_ store: TestStore) throws {
        let directory = AgentDirectory(tenant: store.scope.tenant)
        let shop = try Name("shop", field: "project_id")
        try store.write { (transaction: inout WriteTransaction) throws in
            for agent in try goldenAgents() {
                try needs.register(agent, needs: Self.goldenNeeds.filter { $0.agent == agent.number }, in: &transaction)
                let entry = AgentDirectory.Entry(
                    agent: agent.name, project: store.scope.project, projectName: shop, registeredAt: agent.registeredAt)
                try directory.put(entry, in: &transaction)
                try ChannelDirectory(tenant: store.scope.tenant).claim(
                    agent.channel, for: store.scope.project, named: shop, in: &transaction)
            }
            try needs.setFollow(
                agent: 1, document: DocumentID(rawValue: 5), nodes: [NodeID(rawValue: 7), NodeID(rawValue: 300)], in: &transaction)
        }
    }

    @Test func goldenBytesAreWritten() throws {
        try writeGolden(store)
        try GoldenRecord.rewriteIfAsked("needs-v2/records.txt", try store.records())
        #expect(try store.records() == GoldenRecord.file("needs-v2/records.txt"))
    }

    @Test func goldenBytesAreRead() throws {
        let store = try TestStore(records: try GoldenRecord.file("needs-v2/records.txt"))
        let expected = try goldenAgents()
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try needs.agents(in: view) == expected)
            #expect(try needs.needs(in: view) == Self.goldenNeeds)
            #expect(try needs.followed(by: 1, in: view) == [DocumentID(rawValue: 5): [NodeID(rawValue: 7), NodeID(rawValue: 300)]])
            #expect(try needs.followers(of: DocumentID(rawValue: 5), in: view) == [1])
            #expect(try needs.needSlots(in: view) == 2)
            #expect(try needs.nextNumber(in: view) == 3)
            #expect(try AgentDirectory(tenant: store.scope.tenant).entries(in: view).map(\.agent.text) == [Self.long, "billing"])
            let channels = try ChannelDirectory(tenant: store.scope.tenant).owners(in: view)
            #expect(channels.map(\.channel) == ["agent:billing:updates", "c"] && channels.allSatisfy { $0.projectName.text == "shop" && $0.agents == 1 })
        }
    }
}
