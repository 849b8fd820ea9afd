import Base
import Documents
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite struct ProjectRegistryTests {
    let store: TestStore
    let projects = ProjectRegistry(tenant: .standard)

    init() throws { store = try TestStore() }

    func create(_ text: String, at time: Int64 = 0) throws -> TenantScope {
        let name = try Name(text, field: "project_id")
        return try store.write { (transaction: inout WriteTransaction) throws in
            try projects.scopeCreating(name, at: Timestamp(rawValue: time), in: &transaction)
        }
    }

    @Test func everyNameHasOneNumberForEver() throws {
        let long = String(repeating: "\u{10000}", count: 250)
        let names = ["b", "a", " ", "e\u{301}", "é", long, long + "1", "日本"]
        for (place, name) in names.enumerated() {
            #expect(try create(name, at: Int64(place)).project.rawValue == UInt32(place + 1))
            #expect(try create(name, at: 99).project.rawValue == UInt32(place + 1), "a second time")
        }
        try store.read { (view: borrowing TransactionView) throws in
            for (place, name) in names.enumerated() {
                let name = try Name(name, field: "project_id")
                #expect(try projects.scope(of: name, in: view)?.project.rawValue == UInt32(place + 1))
            }
            #expect(try projects.scope(of: Name("nobody", field: "project_id"), in: view) == nil)
            let other = ProjectRegistry(tenant: TenantID(rawValue: 2))
            #expect(try other.scope(of: Name("a", field: "project_id"), in: view) == nil)
            let entries = try projects.entries(in: view)
            #expect(entries.count == names.count)
            #expect(entries.allSatisfy { entry in entry.createdAt.rawValue == Int64(entry.project.rawValue) - 1 })
            let short = entries.map(\.name).filter { $0.text.utf8.count <= KeyText.inlineBytes }
            #expect(short == short.sorted())
        }
    }

    @Test func damagedRecordsAreRefused() throws {
        _ = try create("shop")
        let name = try Name("shop", field: "project_id")
        #expect(try store.decoderFaults(under: store.scope.registry.key(.projectName, text: "shop")) { (view: borrowing TransactionView) throws in
            _ = try projects.scope(of: name, in: view)
        } == [])
        #expect(try store.decoderFaults(under: store.scope.registry.key(.projectName, text: "shop")) { (view: borrowing TransactionView) throws in
            _ = try projects.entries(in: view)
        } == [])
        let another = try Name("another", field: "project_id")
        for damaged in [[], [0], [0, 0, 0], [0, 0, 0, 1, 0]] as [[UInt8]] {
            var transaction = try store.environment.beginWrite()
            try transaction.store(store.scope.registry.key(.tenantState), damaged)
            #expect(throws: ByteError.self) { _ = try projects.scopeCreating(another, at: Timestamp(rawValue: 0), in: &transaction) }
        }
        var transaction = try store.environment.beginWrite()
        try transaction.store(store.scope.registry.key(.tenantState), [255, 255, 255, 255])
        let error = #expect(throws: ContexError.self) { _ = try projects.scopeCreating(another, at: Timestamp(rawValue: 0), in: &transaction) }
        #expect(error?.category == .limited)
    }
}
