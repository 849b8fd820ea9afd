import Attributes
import Base
import Content
import Documents
import Engine
import KeySpace
import LMDB
import Maintenance
import Needs
import Search
import Synchronization
import TestSupport
import Testing

/// What stands anywhere in a long node, or in a few sentences together, is found as if it stood alone; answers show nodes and documents once.
@Suite struct PassageSearchTests {
    private static let project = Name(stored: "p")

    /// A paragraph about one subject: its words are in no other.
    private static func paragraph(_ subject: String, sentences: Int = 9) -> String {
        let parts = (0..<sentences).map {
            "\(subject)a\($0 % 3) and \(subject)b\($0 % 4) with \(subject)c are what this \(subject) is about in part \($0)"
        }
        return parts.joined(separator: ". ") + "."
    }

    private static func long(_ subjects: [String]) -> JSONValue {
        ["title": "Collected notes", "text": .string(subjects.map { paragraph($0) }.joined(separator: "\n\n"))]
    }

    @Test func anAnswerIsFoundWhereverItStands() async throws {
        let fixture = try Fixture()
        let subjects = (0..<12).map { "subject\($0)" }
        for number in 0..<30 { try await fixture.publish("p", "short\(number)", ["text": .string(Self.paragraph("other\(number)", sentences: 2))]) }
        try await fixture.publish("p", "long", Self.long(subjects))
        for subject in subjects {
            for mode in SearchMode.allCases {
                let match = try #require(try await fixture.query("p", "\(subject)a1 \(subject)b2 \(subject)c", mode: mode, topK: 3).first)
                #expect(match.nodeKey == "long.root", "\(subject) by \(mode)")
                let passage = try #require(match.passage)
                #expect(passage.text?.contains(subject + "a1") == true && passage.path == "text")
                let text = Array(try #require(match.data["text"]?.stringValue).unicodeScalars)
                #expect(String(String.UnicodeScalarView(text[try #require(passage.range)])) == passage.text)
            }
        }
        #expect(try await fixture.query("p", "other3c", threshold: 0.3).first?.passage == nil)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func passagesOfOneNodeHoldOnePlace() async throws {
        let fixture = try Fixture()
        // 400 passages, all nearer than anything else: more than the indexes are asked for at first.
        let text = (0..<4_000).map { "the very same matter in sentence \($0)" }.joined(separator: ". ")
        try await fixture.publish("p", "long", ["text": .string(text)])
        for number in 0..<12 { try await fixture.publish("p", "short\(number)", ["text": .string("a matter of \(number) kinds")]) }
        for mode in SearchMode.allCases {
            let matches = try await fixture.query("p", "the very same matter", mode: mode, topK: 10)
            #expect(matches.count == 10 && matches[0].nodeKey == "long.root", "\(mode)")
            #expect(Set(matches.map(\.nodeKey)).count == 10, "\(mode)")
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func sentencesAreFoundTogetherAndShownAlone() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "notes", "The build of the payment service is green. Deploys are frozen on Fridays. Ask the release manager.")
        let found = try await fixture.query("p", "deploys frozen", mode: .hybrid, threshold: 0.3)
        #expect(found.map(\.nodeKey) == ["notes.sentence_1"])
        #expect(found[0].data == ["value": "Deploys are frozen on Fridays"])
        #expect(found[0].passage?.text == "The build of the payment service is green. Deploys are frozen on Fridays. Ask the release manager.")
        #expect(found[0].passage?.nodeKeys == ["notes.sentence_0", "notes.sentence_1", "notes.sentence_2"])
        // Words of two sentences are one question's.
        #expect(try await fixture.query("p", "payment service release manager", mode: .keyword, threshold: 0.3).map(\.documentKey) == ["notes"])
        #expect(try await fixture.query("p", "path:sentence_2 build", mode: .keyword).map(\.nodeKey) == ["notes.sentence_2"])
        #expect(try await fixture.query("p", "build -path:sentence_0", mode: .keyword).map(\.nodeKey).contains("notes.sentence_0") == false)
        #expect(try await fixture.query("p", "kind:sentence build", mode: .keyword).map(\.nodeKey) == ["notes.sentence_0"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func filtersCountNodesAndNotPassages() async throws {
        let fixture = try Fixture()
        let command = PublishCommand(
            project: Self.project, key: Name(stored: "long"), data: Self.long(["one", "two", "three"]), metadata: JSONObject([("team", "core")]))
        _ = try await fixture.database.publish(Fixture.tenant, [command])[0].get()
        try await fixture.publish("p", "b", "First said. Second said. Third said.")
        var request = QueryRequest(project: Self.project, text: "threea1 threec", threshold: 0)
        request.filter = .condition(.init(field: .metadata(path: "team"), test: .exists, place: []))
        let answer = try await fixture.database.query(Fixture.tenant, request)
        #expect(answer.filtered?.passing == 1 && answer.filtered?.nodes == 4)
        #expect(answer.matches.map(\.nodeKey) == ["long.root"] && answer.matches[0].passage?.text?.contains("threea1") == true)
        request.filter = .not(request.filter!)
        let others = try await fixture.database.query(Fixture.tenant, request)
        #expect(others.filtered?.passing == 3 && others.filtered?.nodes == 4)
        #expect(others.matches.allSatisfy { $0.documentKey == "b" })
        #expect(try await fixture.closeAndCheck() == [])
    }

    // MARK: - Documents

    @Test func theWordsOfADocumentHelpItsPassages() async throws {
        let fixture = try Fixture()
        for number in 0..<20 {
            try await fixture.publish(
                "p", "other\(number)", ["head": ["title": .string("manual of engine\(number)")], "body": ["text": .string("tighten screw\(number % 5)")]])
        }
        let (whole, part) = ("quince harvest calendar", "tighten screw3")
        try await fixture.publish("p", "long", ["head": ["title": .string(whole)], "body": ["text": .string(part)]])
        for mode in [SearchMode.hybrid, .keyword] {
            var request = QueryRequest(project: Self.project, text: "quince screw3", topK: 30, threshold: 0)
            request.mode = mode
            request.explain = true
            let matches = try await fixture.database.query(Fixture.tenant, request).matches
            let body = try #require(matches.first { $0.nodeKey == "long.body" })
            let terms = try #require(body.explanation?.terms)
            #expect(terms.contains { $0.term == "(document)" && $0.score > 0 }, "\(mode)")
            #expect(abs(terms.reduce(0) { $0 + $1.score } - (body.explanation?.bm25 ?? 0)) < 1e-3)
            // Of equal words it is ahead of those whose document says nothing else of the question.
            for other in matches where other.documentKey != "long" {
                #expect(try #require(other.explanation).bm25 < #require(body.explanation).bm25, "\(mode) \(other.nodeKey)")
            }
            // A document of one node is what it was.
            #expect(matches.allSatisfy { match in match.explanation?.terms.contains { $0.term == "(document)" } != true || match.documentKey == "long" })
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// A standing need gives a passage the number that a query gives it, also when only a part of the document is new.
    @Test func needsHearOfPassagesWithTheirDocument() async throws {
        let fixture = try Fixture()
        for number in 0..<12 { try await fixture.publish("p", "other\(number)", ["head": ["title": .string("engine\(number)")], "body": ["text": "screw"]]) }
        var command = RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["quince screw3 calendar"])
        command.settings = NeedSettings(minSimilarity: 0.01)
        _ = try await fixture.database.register(Fixture.tenant, command)
        for text in ["tighten screw3", "loosen screw3 in the calendar"] {
            let document: JSONValue = ["head": ["title": "quince harvest"], "body": ["text": .string(text)]]
            let rehearsal = try await fixture.database.rehearse(
                Fixture.tenant, PublishCommand(project: Self.project, key: Name(stored: "long"), data: document))
            try await fixture.publish("p", "long", document)
            let told = try #require(rehearsal.agents.first?.matches.first { $0.nodeKey == "long.body" })
            let asked = try await fixture.query("p", "quince screw3 calendar", mode: .hybrid, topK: 40)
            let found = try #require(asked.first { $0.nodeKey == "long.body" })
            #expect(found.similarity == told.similarity && told.parts.whole > 0, "\(text)")
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func documentsHaveThePlaces() async throws {
        let fixture = try Fixture()
        for document in 0..<6 {
            let rows = (0..<12).map { "n\($0),release notes of train \(document) \($0)" }.joined(separator: "\n")
            try await fixture.publish("p", "table\(document)", .string("id,text\n" + rows), format: "csv")
        }
        var request = QueryRequest(project: Self.project, text: "release notes train 3", topK: 4, threshold: 0)
        let plain = try await fixture.database.query(Fixture.tenant, request).matches
        #expect(plain.count == 4 && plain.allSatisfy { $0.others.isEmpty })
        request.groupsByDocument = true
        let grouped = try await fixture.database.query(Fixture.tenant, request).matches
        #expect(grouped.count == 4 && Set(grouped.map(\.documentKey)).count == 4)
        #expect(grouped[0].nodeKey == plain[0].nodeKey)
        for match in grouped {
            #expect(match.others.count == Limits.nodesPerGroup - 1)
            #expect(match.others.allSatisfy { $0.documentKey == match.documentKey && $0.similarity <= match.similarity })
            #expect(Set(match.others.map(\.nodeKey) + [match.nodeKey]).count == Limits.nodesPerGroup)
        }
        request.nodesPerDocument = 1
        #expect(try await fixture.database.query(Fixture.tenant, request).matches.allSatisfy { $0.others.isEmpty })
        request.groupsByDocument = false
        request.nodesPerDocument = 2
        request.topK = 12
        let bounded = try await fixture.database.query(Fixture.tenant, request).matches
        #expect(bounded.count == 12)
        #expect(Dictionary(grouping: bounded, by: \.documentKey).values.allSatisfy { $0.count == 2 })
        // With a budget the others have what is left of it.
        request.groupsByDocument = true
        request.nodesPerDocument = 12
        request.topK = 3
        request.maxTokens = 1_000
        let packed = try await fixture.database.query(Fixture.tenant, request)
        let tokens = packed.matches.flatMap { [$0] + $0.others }.compactMap(\.tokens).reduce(0, +)
        #expect(packed.matches.count == 3 && packed.packing?.tokens == tokens && tokens <= 1_000)
        #expect(packed.matches.allSatisfy { $0.others.count == 11 && $0.others.allSatisfy { $0.tokens != nil } })
        // And so it was.
        request.maxTokens = nil
        let now = try await fixture.database.query(Fixture.tenant, request).matches
        try await fixture.publish("p", "later", ["text": "release notes train 3"])
        request.asOf = .sequence(Sequence(rawValue: 6))
        let then = try await fixture.database.query(Fixture.tenant, request).matches
        #expect(then.map(\.nodeKey) == now.map(\.nodeKey))
        #expect(then.map { $0.others.map(\.nodeKey) } == now.map { $0.others.map(\.nodeKey) })
        await fixture.database.close()
    }

    // MARK: - Changes

    /// Only what changed is embedded: a paragraph of a long document, not its neighbours.
    @Test func unitsThatStayKeepTheirEntries() async throws {
        let embedded = Mutex(0)
        let models = Models(
            identity: "counted", dimension: WordHash.dimension,
            embed: { texts in
                embedded.withLock { $0 += texts.count }
                return texts.map(WordHash.vector)
            }, countTokens: { $0.split(separator: " ").count })
        let fixture = try Fixture(models: models)
        func document(_ parts: [String]) -> JSONValue {
            .string("# Guide\n\n" + parts.map { "## \($0)\n\n\(Self.paragraph($0, sentences: 20))" }.joined(separator: "\n\n"))
        }
        try await fixture.publish("p", "guide", document(["one", "two", "three"]), format: "markdown")
        let all = embedded.withLock { $0 }
        #expect(all > 9)
        try await fixture.publish("p", "guide", document(["one", "two", "four"]), format: "markdown")
        let changed = embedded.withLock { $0 } - all
        #expect(changed > 0 && changed <= all / 2, "\(changed) of \(all)")
        #expect(try await fixture.query("p", "foura1 fourc", threshold: 0.3).first?.passage?.text?.contains("foura1") == true)
        #expect(try await fixture.query("p", "threea1 threec", mode: .keyword, threshold: 0.1).isEmpty)
        try await fixture.publish("p", "guide", ["now": "short"])
        #expect(try await fixture.query("p", "foura1", mode: .keyword, threshold: 0.1).isEmpty)
        _ = try await fixture.database.delete(Fixture.tenant, project: Self.project, key: Name(stored: "guide"))
        #expect(try await fixture.query("p", "short").isEmpty)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func anImportHasThePassagesOfItsExport() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "long", Self.long(["one", "two", "three"]))
        try await fixture.publish("p", "text", "First said of one. Second said of two. Third said of three.")
        let sections = ExportSections(events: true, embeddings: true, agents: false)
        let exported = try await fixture.database.export(Fixture.tenant, project: Self.project, sections: sections)
        var members = try #require(exported.objectValue)
        members["project_id"] = "q"
        let receipt = try await fixture.database.importDocument(
            Fixture.tenant, project: Name(stored: "q"), document: .object(members), overwrite: false, validateOnly: false)
        #expect(receipt.embeddings == 4)
        for question in ["onea1 onec", "threeb2 threec", "second said"] {
            let (there, here) = (try await fixture.query("q", question), try await fixture.query("p", question))
            #expect(there.map(\.nodeKey) == here.map(\.nodeKey) && there.map(\.similarity) == here.map(\.similarity))
            #expect(there.map { $0.passage?.text } == here.map { $0.passage?.text })
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func agentsHearOfPassages() async throws {
        let fixture = try Fixture { $0.threshold = 0.2 }
        for number in 0..<20 { try await fixture.publish("p", "short\(number)", ["text": .string(Self.paragraph("other\(number)", sentences: 2))]) }
        let agent = RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["ninea1 nineb2 ninec", "frozen deploys"])
        _ = try await fixture.database.register(Fixture.tenant, agent)
        _ = fixture.sink.take()
        try await fixture.publish("p", "long", Self.long((0..<8).map { "subject\($0)" } + ["nine", "ten"]))
        try await fixture.publish("p", "notes", "The build is green. Deploys are frozen. Ask the release manager.")
        #expect(fixture.sink.take().count == 2)
        let followed = try await fixture.database.agents(Fixture.tenant, project: Self.project)[0].nodeKeys
        // Behind what the low threshold let in before.
        #expect(followed.suffix(2) == ["long.root", "notes.sentence_1"], "\(followed)")
        // A registration finds the same, and is told it.
        _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: Self.project, agent: Name(stored: "b"), needs: agent.needs))
        let told = try #require(fixture.sink.take().first)
        guard case .initialContext(let context) = told.message else {
            Issue.record("no initial context")
            return
        }
        #expect(context.needs[0].matches.first?.nodeKey == "long.root")
        #expect(context.needs[0].matches.first?.passage?.text?.contains("ninea1") == true)
        #expect(context.needs[1].matches.first?.nodeKey == "notes.sentence_1")
        #expect(try await fixture.database.agents(Fixture.tenant, project: Self.project)[1].nodeKeys == ["long.root", "notes.sentence_1"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    // MARK: - Packing

    @Test func aBudgetIsSpentOnPassages() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "long", Self.long((0..<30).map { "subject\($0)" }))
        try await fixture.publish("p", "short", ["text": "subject7a1 subject7c in short"])
        var request = QueryRequest(project: Self.project, text: "subject7a1 subject7b2 subject7c", topK: 5, threshold: 0, maxTokens: 1_000)
        let answer = try await fixture.database.query(Fixture.tenant, request)
        let match = try #require(answer.matches.first { $0.documentKey == "long" })
        #expect(match.isPassage && match.isCut && match.data["title"] == "Collected notes")
        // As much around the passage as there is room for.
        #expect(match.data["text"]?.stringValue?.contains("subject7a1") == true && answer.packing!.tokens! > 700)
        // The data says it: the budget is not spent on it twice.
        #expect(match.passage?.text == nil && match.passage?.range != nil)
        #expect(answer.matches.count == 2 && answer.packing?.isTruncated == true)
        #expect(answer.matches.compactMap(\.tokens).reduce(0, +) == answer.packing?.tokens && answer.packing!.tokens! <= 1_000)
        // With room for it the whole is there.
        request.maxTokens = 100_000
        let whole = try await fixture.database.query(Fixture.tenant, request)
        #expect(whole.matches.allSatisfy { !$0.isPassage && !$0.isCut } && whole.packing?.isTruncated == false)
        #expect(whole.matches.compactMap(\.tokens).reduce(0, +) == whole.packing?.tokens)
        // So it is in the context of an agent.
        var agent = RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["subject7a1 subject7b2 subject7c"])
        agent.maxTokens = 1_000
        _ = try await fixture.database.register(Fixture.tenant, agent)
        guard case .initialContext(let context)? = fixture.sink.take().first?.message else {
            Issue.record("no initial context")
            return
        }
        let told = context.matches.filter { $0.documentKey == "long" }
        #expect(told.allSatisfy { $0.isPassage } && !told.isEmpty && context.isTruncated)
        await fixture.database.close()
    }

    /// What stands around a gathered sentence is counted when it is given, and left out when there is no room for it.
    @Test func aBudgetCountsWhatStandsAroundASentence() async throws {
        let fixture = try Fixture { $0.threshold = 0.01 }
        for number in 0..<30 {
            let sentences = (0..<7).map { "Train \(number) leaves from platform \($0) of the station in town \(number) at hour \($0)" }
            try await fixture.publish("p", "notes\(number)", .string(sentences.joined(separator: ". ") + "."))
        }
        var request = QueryRequest(project: Self.project, text: "train station platform 3", topK: 30, threshold: 0, maxTokens: 1_000)
        let answer = try await fixture.database.query(Fixture.tenant, request)
        let texts = answer.matches.map { $0.passage?.text }
        #expect(answer.matches.count == 30 && texts.contains(nil) && texts[0] != nil)
        #expect(answer.matches.allSatisfy { $0.passage?.nodeKeys.count ?? 0 > 1 })
        var tokens = 0
        for match in answer.matches {
            let own = WordHash.models.countTokens(JSONPrinter.text(match.data)) + (match.passage?.text.map(WordHash.models.countTokens) ?? 0)
            #expect(match.tokens == own, "\(match.nodeKey)")
            tokens += own
        }
        #expect(tokens == answer.packing?.tokens && tokens <= 1_000 && tokens > 900)
        // Documents in one answer count it too.
        request.groupsByDocument = true
        let grouped = try await fixture.database.query(Fixture.tenant, request)
        #expect(grouped.matches.flatMap { [$0] + $0.others }.compactMap(\.tokens).reduce(0, +) == grouped.packing?.tokens)
        #expect(grouped.packing!.tokens! <= 1_000)
        // And so does the context of an agent.
        var agent = RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["train station platform 3"])
        agent.maxTokens = 1_000
        _ = try await fixture.database.register(Fixture.tenant, agent)
        guard case .initialContext(let context)? = fixture.sink.take().first?.message else {
            Issue.record("no initial context")
            return
        }
        let told = context.matches.reduce(0) { $0 + $1.tokenCount + ($1.passage?.text.map(WordHash.models.countTokens) ?? 0) }
        #expect(told <= 1_000 && context.matches.contains { $0.passage?.text != nil }, "\(told)")
        await fixture.database.close()
    }

    /// A long text among short ones does not make them look short: what a question must reach stays what it was, and so does the similarity of
    /// a passage with what it has alone.
    @Test func aLongTextDoesNotMoveTheCut() async throws {
        func short(_ number: Int) -> String { "entry\(number)a of entry\(number)b" }
        func similarity(_ data: JSONValue, format: String? = nil) async throws -> (shorts: Double, cut: Double) {
            let fixture = try Fixture()
            for number in 0..<60 { try await fixture.publish("p", "short\(number)", ["text": .string(short(number))]) }
            try await fixture.publish("p", "long", data, format: format)
            var request = QueryRequest(project: Self.project, text: "entry7a entry7b", topK: 1, threshold: 0)
            request.explain = true
            let match = try #require(try await fixture.database.query(Fixture.tenant, request).matches.first)
            #expect(match.nodeKey == "short7.root")
            #expect(try await fixture.closeAndCheck() == [])
            return (match.similarity, try #require(match.explanation?.parts.first { $0.name == "bias" }?.value))
        }
        let one = try await similarity(["text": .string(Self.paragraph("subject"))])
        let words = (0..<40).map { Self.paragraph("subject\($0)") }
        for (data, format) in [
            (["text": .string(words.joined(separator: "\n\n"))], nil), (.string(words.joined(separator: "\n\n")), "markdown"),
            (.string(words.joined(separator: " ")), "text"),
        ] as [(JSONValue, String?)] {
            let many = try await similarity(data, format: format)
            #expect(many.cut > one.cut - 0.35 && many.shorts > one.shorts - 0.05, "\(one) \(many) \(format ?? "json")")
        }
    }

    // MARK: - Rebuilding

    private func configuration(_ fixture: Fixture) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(directory: fixture.folder.path)
        configuration.durability = .unsafeNoSync
        configuration.mapBytes = 4 << 30
        return configuration
    }

    /// A store whose nodes were cut by another rule is cut anew; one that is cut so already keeps every number.
    @Test func aRebuildCutsAnew() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "long", Self.long(["one", "two", "three"]))
        try await fixture.publish("p", "text", "First said of one. Second said of two. Third said of three.")
        for number in 0..<5 { try await fixture.publish("p", "k\(number)", ["text": .string("short \(number)")]) }
        let before = try await fixture.query("p", "threea1 threec").map(\.similarity)
        #expect(try await fixture.closeAndCheck() == [])
        let store = DocumentStore(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)))
        func numbers() throws -> [[NodeID]] {
            let environment = try Environment(store: configuration(fixture).storePath, options: .init(mapBytes: 4 << 30))
            return try environment.read { view in
                var found: [[NodeID]] = []
                try store.forEachDocument(in: view) { found.append($0.nodes + $0.furtherPassages) }
                return found
            }
        }
        let kept = try numbers()
        _ = try await Reindex.run(configuration: configuration(fixture), models: WordHash.models)
        #expect(try numbers() == kept)
        #expect(try IntegrityCheck.run(directory: fixture.folder.path).findings == [])

        // As a build would have left it that knows no passages.
        do {
            let environment = try Environment(store: configuration(fixture).storePath, options: .init(mapBytes: 4 << 30))
            var transaction = try environment.beginWrite()
            var documents: [DocumentRecord] = []
            try store.forEachDocument(in: transaction.view) { documents.append($0) }
            for var document in documents {
                for node in document.nodes {
                    let record = try #require(try store.node(node, in: transaction.view))
                    try store.put(
                        NodeRecord(
                            document: record.document, documentKey: record.documentKey, path: record.path, kind: record.kind, format: record.format,
                            description: record.description, data: record.data, tokenCount: record.tokenCount), as: node, in: &transaction)
                }
                document.passages = []
                try store.put(document, in: &transaction)
            }
            try transaction.commit()
        }
        #expect(try !IntegrityCheck.run(directory: fixture.folder.path).findings.isEmpty)
        _ = try await Reindex.run(configuration: configuration(fixture), models: WordHash.models)
        #expect(try IntegrityCheck.run(directory: fixture.folder.path).findings == [])
        let again = try Fixture(fixture.folder)
        #expect(try await again.query("p", "threea1 threec").map(\.similarity) == before)
        await again.database.close()
    }
}
