// LMDB copies a page as it lies in memory, with what was deleted from it. In a copy that somebody makes to be rid of that it must not be. It can
// lie in two places (LMDB/PageCheck.swift has the layout of pages):
//
//     branch, leaf    between the offsets of the nodes and the nodes themselves: what nodes were that are gone
//     overflow        behind the value: what the memory was used for before

internal import Base

#if canImport(Glibc)
internal import Glibc
#endif

enum PageGaps {
    private static let pageBytes = 4_096
    private static let headBytes = 16
    private static let nodeHeadBytes = 8
    private static let metaPages = 2
    private static let (branch, leaf, overflow) = (0x01, 0x02, 0x04)
    /// Of a node: its value has pages of its own.
    private static let isApart = 0x01

    /// Fills what is not in use of each page of a file that nobody has open with zeros, and has it on the disk when it returns.
    /// - Complexity: O(file): every page but those of large values is read, and of most a part is written.
    static func clear(_ file: String) throws(ContexError) {
        let descriptor = unsafe open(file, O_RDWR | O_CLOEXEC)
        func failure(_ what: String) -> ContexError { ContexError(.folderUnusable, "cannot \(what) \(file): \(unsafe String(cString: strerror(errno)))") }
        guard descriptor >= 0 else { throw failure("open") }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: pageBytes)
        func clear(_ range: Range<Int>) throws(ContexError) {
            guard range.count <= pageBytes, unsafe pwrite(descriptor, zeros, range.count, range.lowerBound) == range.count else { throw failure("write") }
        }
        var bytes = [UInt8](repeating: 0, count: pageBytes)
        var page = metaPages
        while true {
            let count = unsafe pread(descriptor, &bytes, pageBytes, page * pageBytes)
            guard count >= 0 else { throw failure("read") }
            guard count == pageBytes else { break }
            let flags = number(bytes, 10, 2)
            if flags & overflow != 0 {
                page += max(1, number(bytes, 12, 4))
                continue
            }
            let (lower, upper) = (number(bytes, 12, 2), number(bytes, 14, 2))
            if flags & (branch | leaf) != 0, lower >= headBytes, upper <= pageBytes, lower <= upper {
                try clear(page * pageBytes + lower..<page * pageBytes + upper)
                for place in stride(from: headBytes, to: flags & leaf != 0 ? lower - 1 : headBytes, by: 2) {
                    if let tail = tail(of: number(bytes, place, 2), bytes) { try clear(tail) }
                }
            }
            page += 1
        }
        guard fsync(descriptor) == 0 else { throw failure("flush") }
    }

    /// Behind the value of a node that has pages of its own; nil: it has none.
    private static func tail(of node: Int, _ bytes: [UInt8]) -> Range<Int>? {
        guard node + nodeHeadBytes <= pageBytes, number(bytes, node + 4, 2) & isApart != 0 else { return nil }
        let count = number(bytes, node, 2) | number(bytes, node + 2, 2) << 16
        let place = node + nodeHeadBytes + number(bytes, node + 6, 2)
        guard place + 8 <= pageBytes else { return nil }
        let end = number(bytes, place, 8) * pageBytes + headBytes + count
        return end..<(end + pageBytes - 1) / pageBytes * pageBytes
    }

    private static func number(_ bytes: [UInt8], _ place: Int, _ count: Int) -> Int {
        (0..<count).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
    }
}
