import Base
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite struct GoldenTests {
    /// Keys of each shape with their payloads.
    static let samples: [(key: [UInt8], payload: [UInt8])] = {
        let project = TenantScope(tenant: .standard, project: ProjectID(rawValue: 7))
        let tenant = project.registry
        let end = TenantScope(tenant: TenantID(rawValue: .max), project: ProjectID(rawValue: .max - 1))
        return [
            (project.key(.logState), []),
            (project.key(.node, UInt32(0x0102_0304)), Array(0...255)),
            (project.key(.event, UInt64(0x0102_0304_0506_0708)), [1, 2, 3]),
            (project.key(.documentVersion, UInt32(5), UInt64(6)), []),
            (end.key(.apiKeyByHash, bytes: [0, 255, 128]), Array("hash".utf8)),
            (tenant.key(.projectName, text: ""), Array("empty".utf8)),
            (tenant.key(.projectName, text: "日本"), Array("short".utf8)),
            (tenant.key(.projectName, text: String(repeating: "a", count: 480)), Array("480".utf8)),
            (tenant.key(.projectName, text: String(repeating: "a", count: 481)), Array("481".utf8)),
            (tenant.key(.projectName, text: String(repeating: "\u{1F511}", count: 255)), Array("1020".utf8)),
        ]
    }()

    @Test func goldenBytesAreWritten() throws {
        let store = try TestStore()
        try store.write { (transaction: inout WriteTransaction) throws in
            try StoreFormat.verifyOrCreate(&transaction)
            for sample in Self.samples { try transaction.store(sample.key, sample.payload) }
        }
        try GoldenRecord.rewriteIfAsked("keyspace-v1/records.txt", try store.records())
        #expect(try store.records() == GoldenRecord.file("keyspace-v1/records.txt"))
    }

    @Test func goldenBytesAreRead() throws {
        let store = try TestStore(records: try GoldenRecord.file("keyspace-v1/records.txt"))
        try store.read { (view: borrowing TransactionView) throws in
            #expect(try StoreFormat.verify(view))
            for sample in Self.samples { #expect(try view.loadBytes(sample.key) == sample.payload) }
        }
    }
}
