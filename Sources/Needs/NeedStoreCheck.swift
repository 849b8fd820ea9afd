public import Base
internal import KeySpace
public import LMDB

extension NeedStore {
    /// Agents against needs, needs against agents and against every part of their index, and follows against each other and against `nodes`, the nodes
    /// that exist and their documents. Each finding is a sentence.
    /// - Complexity: O(agents + needs + follows).
    public func findings(nodes: [NodeID: DocumentID], in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        let agents = try agents(in: view)
        let state = try state(in: view)
        let asked = Dictionary(uniqueKeysWithValues: try allAgentNeeds(in: view).map { ($0.agent, $0.needs) })
        var names: [UInt32: Name] = [:]
        var followers: Set<UInt64> = []
        for agent in agents {
            if agent.number > state.lastNumber {
                findings.append("agent '\(agent.name)' has number \(agent.number), the last one given is \(state.lastNumber)")
            }
            if let other = names.updateValue(agent.name, forKey: agent.number) {
                findings.append("agents '\(other)' and '\(agent.name)' both have number \(agent.number)")
            }
            guard let own = asked[agent.number], own.name == agent.name, own.numbers.count == agent.needs.count else {
                findings.append("agent '\(agent.name)': \(asked[agent.number]?.numbers.count ?? 0) need records for \(agent.needs.count) needs, or not its own")
                continue
            }
            if let finding = agent.lessonFinding { findings.append(finding) }
            for (place, (number, text)) in zip(own.numbers, agent.needs).enumerated() {
                let standing = try need(number, in: view)
                if standing.map({ ExactText($0.text) }) != ExactText(text) || standing?.settings != agent.matching(place) {
                    findings.append("agent '\(agent.name)' asks '\(text)' as need number \(number), which is another or is not there")
                }
                followers.insert(Self.pair(number, agent.number))
                if try self.followers(ofNeed: number, in: view).first(where: { $0.agent == agent.number })?.index != UInt32(place) {
                    findings.append("need number \(number) does not know that agent '\(agent.name)' asks it")
                }
            }
        }
        for number in asked.keys.sorted() where names[number] == nil { findings.append("needs belong to agent number \(number), which is not there") }
        try view.scanRecords(prefix: scope.key(.needFollower)) { key, _ in
            let (need, agent) = Self.pair(ofKey: key)
            if !followers.contains(UInt64(lastOf: key)) { findings.append("need number \(need) names agent number \(agent), which does not ask it") }
            return .onward
        }
        findings += try indexFindings(state, Set(followers.map { UInt32(truncatingIfNeeded: $0 >> 32) }), in: view)
        findings += try followFindings(names, nodes, in: view)
        return findings
    }

    /// Every number of the index against the need that it stands for.
    private func indexFindings(_ state: State, _ asked: Set<UInt32>, in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        var (used, free, entries, named) = (0, Set<UInt32>(), 0, 0)
        var next = state.free
        while next > 0, free.insert(next - 1).inserted {
            guard let bytes = try view.loadBytes(scope.key(.need, next - 1)), case .free(let after) = try StandingNeed.decode(bytes) else {
                findings.append("number \(next - 1) is said to be free, but is a need's, or nobody's")
                break
            }
            next = after
        }
        guard try Int(state.slots) <= view.entryCount() else {
            return findings + ["the index of needs counts \(state.slots) numbers, more than there are records"]
        }
        var block: (number: UInt32, limits: NeedLimits, codes: [UInt8]) = (.max, NeedLimits(), [])
        for number in 0..<state.slots {
            let own = number / UInt32(NeedLimits.needs)
            if block.number != own {
                block = (own, try limits(own, in: view), try view.loadBytes(scope.key(.needCodes, own)) ?? [])
            }
            let place = Int(number % UInt32(NeedLimits.needs))
            guard place < block.limits.count else {
                findings.append("need number \(number) has no limits")
                continue
            }
            guard let need = try need(number, in: view) else {
                if !free.contains(number) { findings.append("number \(number) is neither a need's nor free") }
                if block.limits.kinds[place].isUsed { findings.append("number \(number) has limits of a need, but is none") }
                continue
            }
            used += 1
            entries += need.terms.count
            if !asked.contains(number) { findings.append("need '\(need.text)' belongs to no agent") }
            if try !numbers(under: scope.key(.needByText, Self.hash(of: need)), in: view).contains(number) {
                findings.append("need '\(need.text)' is not found by its text")
            }
            var log: UInt32 = 0
            for term in need.terms {
                if try entry(of: number, in: termPrefix(term.text), in: view) != NeedWords.Entry(number: number, count: term.count, isExact: term.isExact) {
                    findings.append("need '\(need.text)' is not in the list of '\(term.text)', or not as it says it")
                }
                guard let bytes = try view.load(termPrefix(term.text) + [0, 0, 0, 0]), bytes.byteCount > 0 else { continue }
                log &+= UInt32(term.count) &* NeedWords.log(level: unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self))
            }
            var expected = NeedLimits()
            expected.set(
                0, log: log, threshold: Float(need.settings.minSimilarity ?? 0), length: UInt16(clamping: Self.length(of: need)), kind: NeedKind(need))
            let limits = block.limits
            if (limits.logs[place], limits.thresholds[place], limits.lengths[place], limits.kinds[place])
                != (expected.logs[0], expected.thresholds[0], expected.lengths[0], expected.kinds[0])
            {
                findings.append("need '\(need.text)' has other limits than its words and settings give")
            }
            if !need.vector.isEmpty, Self.code(at: place, of: block.codes, bytes: Int(state.padded) / 2) != NeedCode(need.vector).stored {
                findings.append("need '\(need.text)' has another code than its vector gives")
            }
        }
        try view.scanRecords(prefix: scope.key(.needTerm)) { key, payload in
            entries -= try NeedWords.Block(Array(payload), from: UInt32(lastOf: key)).entries.count
            return .onward
        }
        if entries != 0 { findings.append("the lists of words have \(-entries) needs more than say the words") }
        try view.scanRecords(prefix: scope.key(.needByText)) { _, payload in
            named += payload.byteCount / 4
            return .onward
        }
        if named != used { findings.append("\(named) needs are found by their text, there are \(used)") }
        if used != Int(state.count) || used + free.count != Int(state.slots) {
            findings.append("the index counts \(state.count) needs of \(state.slots) numbers, there are \(used), and \(free.count) are free")
        }
        return findings
    }

    private static func code(at place: Int, of record: [UInt8], bytes size: Int) -> [UInt8]? {
        guard size > 0, record.count % (size + 8) == 0, place < record.count / (size + 8) else { return nil }
        let count = record.count / (size + 8)
        let (factor, rest) = (count * size + 4 * place, count * (size + 4) + 4 * place)
        return Array(record[place * size..<(place + 1) * size] + record[factor..<factor + 4] + record[rest..<rest + 4])
    }

    private func followFindings(_ names: [UInt32: Name], _ nodes: [NodeID: DocumentID], in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        try view.scanRecords(prefix: scope.key(.agentMatch)) { key, payload in
            let (number, document) = Self.pair(ofKey: key)
            let agent = names[number].map { "agent '\($0)'" } ?? "agent number \(number)"
            let matched = try Self.nodes(Array(payload))
            if names[number] == nil { findings.append("\(agent) follows document \(document), but is not there") }
            if try view.load(scope.key(.agentMatchByDocument, Self.pair(document, number))) == nil {
                findings.append("\(agent) follows document \(document), which does not know it")
            }
            if matched.isEmpty { findings.append("\(agent) follows document \(document) without a node") }
            for node in matched where nodes[node] != DocumentID(rawValue: document) {
                findings.append("\(agent) holds node \(node.rawValue) of document \(document), which is not there")
            }
            return .onward
        }
        try view.scanRecords(prefix: scope.key(.agentMatchByDocument)) { key, _ in
            let (document, agent) = Self.pair(ofKey: key)
            if try view.load(scope.key(.agentMatch, Self.pair(agent, document))) == nil {
                findings.append("document \(document) names agent number \(agent) as its follower, which does not know it")
            }
            return .onward
        }
        return findings
    }
}
