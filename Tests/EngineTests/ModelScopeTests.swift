import Base
import Engine
import Synchronization
import TestSupport
import Testing

/// Every text goes to the model for the project that it belongs to: what the cache keeps for one is nothing to another.
@Suite struct ModelScopeTests {
    private final class Asked: Sendable {
        private let texts = Mutex<[ScopedText]>([])
        func add(_ more: [ScopedText]) { texts.withLock { $0 += more } }
        func take() -> [ScopedText] {
            texts.withLock { texts in
                defer { texts = [] }
                return texts
            }
        }
    }

    @Test func everyDoorNamesItsProject() async throws {
        let asked = Asked()
        let models = Models(
            identity: "hashed words", dimension: WordHash.dimension,
            embedScoped: { texts in
                asked.add(texts)
                return texts.map { WordHash.vector($0.text) }
            }, countTokens: { $0.utf8.count })
        let fixture = try Fixture(models: models)
        let names = ["p", "q"].map { Name(stored: $0) }
        let scopes = names.map { ModelScope.project($0, of: Fixture.tenant) }
        func expect(_ wanted: [ModelScope], _ door: String) { #expect(asked.take().map(\.scope) == wanted, "\(door)") }

        let commands = names.map { PublishCommand(project: $0, key: Name(stored: "k"), data: ["text": "one secret"]) }
        for outcome in await fixture.database.publish(Fixture.tenant, commands) { _ = try outcome.get() }
        expect(scopes, "publish")
        for name in names { _ = try await fixture.query(name.text, "one secret") }
        expect(scopes, "query")
        for outcome in await fixture.database.query(Fixture.tenant, names.map { QueryRequest(project: $0, text: "one secret") }) { _ = try outcome.get() }
        expect(scopes, "batch of queries")
        let agents = names.map { RegisterCommand(project: $0, agent: Name(stored: "a"), needs: ["one secret"]) }
        for agent in agents { _ = try await fixture.database.register(Fixture.tenant, agent) }
        expect(scopes, "registration")
        for outcome in await fixture.database.register(Fixture.tenant, agents) { _ = try outcome.get() }
        expect(scopes, "batch of registrations")
        let document = try await fixture.database.export(
            Fixture.tenant, project: names[0], sections: ExportSections(events: true, embeddings: true, agents: true))
        _ = try await fixture.database.importDocument(Fixture.tenant, project: names[0], document: document, overwrite: true, validateOnly: false)
        expect([scopes[0], scopes[0]], "import: a node and a need")
        for keyID in ["0000000000000001", nil] {
            _ = try await fixture.database.embed(["one secret"], in: .key(keyID, of: Fixture.tenant))
            expect([.key(keyID, of: Fixture.tenant)], "embeddings")
        }
        #expect(Set(scopes + [.server, .key(nil, of: Fixture.tenant), .key("p", of: Fixture.tenant)]).count == 5)
        #expect(try await fixture.closeAndCheck() == [])
    }
}
