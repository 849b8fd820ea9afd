// LMDB copies a page as it lies in memory, with what was deleted from it: between the offsets of its nodes and the nodes themselves
// (LMDB/PageCheck.swift has the layout) are bytes of records that are gone. In a copy that somebody makes to be rid of them they must not be.

internal import Base

#if canImport(Glibc)
internal import Glibc
#endif

enum PageGaps {
    private static let pageBytes = 4_096
    private static let headerBytes = 16
    private static let metaPages = 2
    private static let (branchOrLeaf, overflow): (UInt16, UInt16) = (0x01 | 0x02, 0x04)

    /// Fills the free space of each page of a file that nobody has open with zeros, and has it on the disk when it returns.
    /// - Complexity: O(pages): a head is read of each, and of most a part is written.
    static func clear(_ file: String) throws(ContexError) {
        let descriptor = unsafe open(file, O_RDWR | O_CLOEXEC)
        func failure(_ what: String) -> ContexError { ContexError(.folderUnusable, "\(what) \(file): \(unsafe String(cString: strerror(errno)))") }
        guard descriptor >= 0 else { throw failure("cannot open") }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: pageBytes)
        var head = [UInt8](repeating: 0, count: headerBytes)
        var page = metaPages
        while true {
            let base = page * pageBytes
            let count = unsafe pread(descriptor, &head, headerBytes, base)
            guard count >= 0 else { throw failure("cannot read") }
            guard count == headerBytes else { break }
            func half(_ place: Int) -> Int { Int(head[place]) | Int(head[place + 1]) << 8 }
            let flags = UInt16(half(10))
            if flags & overflow != 0 {
                page += max(1, half(12) | half(14) << 16)
                continue
            }
            let (lower, upper) = (half(12), half(14))
            if flags & branchOrLeaf != 0, lower >= headerBytes, upper <= pageBytes, lower < upper {
                guard unsafe pwrite(descriptor, zeros, upper - lower, base + lower) == upper - lower else { throw failure("cannot write") }
            }
            page += 1
        }
        guard fsync(descriptor) == 0 else { throw failure("cannot flush") }
    }
}
