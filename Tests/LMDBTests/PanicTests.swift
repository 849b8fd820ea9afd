import Base
import Glibc
import LMDB
import TestSupport
import Testing

/// What LMDB itself does when a meta page cannot be written; `Engine/OpenStore` rests on it.
@Suite struct PanicTests {
    @Test func aFailedMetaPageEndsTheEnvironmentAndNotTheStore() throws {
        let folder = TemporaryFolder()
        var env: Environment? = try Environment(path: folder.path, options: .init(mapBytes: 1 << 30))
        func put(_ value: UInt8) throws {
            var write = try env!.beginWrite()
            try write.put([1], [value])
            try write.commit()
        }
        try put(1)
        let reader = try env!.beginRead()
        func seen(_ reader: borrowing ReadTransaction) throws -> [UInt8]? { try reader.view.copy([1]) }
        #expect(MetaPages.failWrites(in: folder.path) == 1)
        let failed = #expect(throws: LMDBError.self) { try put(2) }
        #expect(failed?.code == .noSpace && failed?.isStorageFull == true)
        // A snapshot that is open stays what it was; none begins any more.
        let whileOpen = try seen(reader)
        #expect(whileOpen == [1])
        #expect(throws: LMDBError.self) { try put(3) }
        let refused = #expect(throws: LMDBError.self) { try env!.read { try $0.copy([1]) } }
        #expect(refused?.code == .panic)

        let end = env!.end
        env = nil
        #expect(!end.hasCome, "a reader is in it still")
        let whileLeaving = try seen(reader)
        #expect(whileLeaving == [1])
        _ = consume reader
        #expect(end.hasCome)
        env = try Environment(path: folder.path, options: .init(mapBytes: 1 << 30))
        #expect(try env!.read { try $0.copy([1]) } == [1])
        try put(4)
        #expect(try env!.read { try $0.copy([1]) } == [4])
    }

    @Test(arguments: [("/a/b", "/a"), ("/a", "/"), ("/", "/"), ("a", "."), ("a/b/", "a"), ("a//b", "a/"), (".", "."), ("", ".")])
    func parents(_ path: String, _ parent: String) { #expect(FolderEntries.parent(of: path) == parent) }

    @Test func namesAreFlushedWhereThereAreAny() throws {
        let folder = TemporaryFolder()
        try FolderEntries.flush(folder.path)
        let error = #expect(throws: LMDBError.self) { try FolderEntries.flush(folder.path + "/none") }
        #expect(error?.code == .noSuchFile)
    }
}
