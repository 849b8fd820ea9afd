import Base
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite struct SealTests {
    let folder = TemporaryFolder()

    func store() throws -> Environment {
        try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
    }

    @Test func whatWasStoredIsLoaded() throws {
        let env = try store()
        let key = TenantScope(tenant: .standard, project: ProjectID(rawValue: 3)).key(.event, UInt64(9))
        var write = try env.beginWrite()
        try write.store(key, [1, 2, 3])
        try write.store(TenantScope.system.key(.storeFormat), [])
        try write.commit()
        #expect(try env.read { try $0.loadBytes(key) } == [1, 2, 3])
        #expect(try env.read { try $0.loadBytes(TenantScope.system.key(.storeFormat)) } == [])
    }

    /// Every single flipped bit of a value is found, and a value under a foreign key too.
    @Test func everyFlippedBitIsFound() throws {
        let env = try store()
        let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 3))
        let (key, other) = (scope.key(.node, UInt32(1)), scope.key(.node, UInt32(2)))
        var write = try env.beginWrite()
        try write.store(key, Array("some payload".utf8))
        let sealed = try #require(try write.view.copy(key))
        try write.put(other, sealed)
        #expect(throws: ContexError.self) { _ = try write.view.loadBytes(other) }
        for bit in 0..<sealed.count * 8 {
            var damaged = sealed
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            try write.put(key, damaged)
            let error = #expect(throws: ContexError.self) { _ = try write.view.loadBytes(key) }
            #expect(error?.category == .damaged)
        }
        for length in 0..<sealed.count {
            try write.put(key, Array(sealed[..<length]))
            #expect(throws: ContexError.self) { _ = try write.view.loadBytes(key) }
        }
    }

    @Test func anotherStoreFormatIsRefused() throws {
        let env = try store()
        var write = try env.beginWrite()
        try StoreFormat.verifyOrCreate(&write)
        try StoreFormat.verifyOrCreate(&write)
        try write.store(TenantScope.system.key(.storeFormat), [0, 0, 0, 99])
        let error = #expect(throws: ContexError.self) { try StoreFormat.verifyOrCreate(&write) }
        #expect(error?.message.contains("99") == true)
    }

    @Test func keysKeepTheOrderOfTheirFields() {
        let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 0x01020304))
        #expect(scope.key(.event, UInt64(5)) == [0, 0, 0, 1, 1, 2, 3, 4, 0x21, 0, 0, 0, 0, 0, 0, 0, 5])
        var random = SeededRandom(seed: testSeed("keysKeepTheOrderOfTheirFields"))
        for _ in 0..<500 {
            let (a, b) = (random.next() >> random.next() % 64, random.next() >> random.next() % 64)
            #expect((a < b) == scope.key(.event, a).lexicographicallyPrecedes(scope.key(.event, b)))
        }
    }

    @Test func longTextsGetDistinctKeysThatFit() {
        let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))
        let stem = String(repeating: "\u{10000}", count: 200)
        let keys = (0..<100).map { scope.key(.documentByKey, text: stem + String($0)) }
        #expect(Set(keys).count == 100)
        #expect(keys.allSatisfy { $0.count <= WriteTransaction.keyBytesMax })
        #expect(scope.key(.documentByKey, text: "ab").lexicographicallyPrecedes(scope.key(.documentByKey, text: "b")))
    }
}
