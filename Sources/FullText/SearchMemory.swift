// What searches write to. A search of a few rare terms takes some ten microseconds: allocating and clearing half a hundred
// kilobytes for each would be a good part of it, so they are kept and handed from one search to the next.

internal import CKernels
internal import Synchronization

/// The arrays of one search, and room for its cursors.
@safe
final class SearchMemory: @unchecked Sendable {
    // Unchecked: the pool's lock hands it to one search at a time.

    static let window = Int(CK_POSTINGS_WINDOW)

    /// All 0 between searches.
    let sums: UnsafeMutablePointer<Int32>
    /// Stored lengths of the window, as `ck_window` has them.
    let lengths: UnsafeMutablePointer<UInt16>
    let wide: UnsafeMutablePointer<UInt32>
    let places: UnsafeMutablePointer<UInt32>
    let taken: UnsafeMutablePointer<Int32>

    @safe
    private struct Chunk {
        let start: UnsafeMutableRawPointer
        let count: Int

        init(_ bytes: Int) {
            count = max(bytes, SearchMemory.chunkBytes)
            unsafe start = .allocate(byteCount: count, alignment: 64)
        }
    }

    private var chunks = [Chunk(0)]
    private var chunk = 0
    private var used = 0

    /// Twenty cursors with their tables, and the blocks of a million postings.
    private static let chunkBytes = 1 << 18

    private init() {
        let words = UnsafeMutablePointer<UInt32>.allocate(capacity: Self.window * 5)
        unsafe words.initialize(repeating: 0, count: Self.window * 5)
        unsafe places = words
        unsafe wide = words + Self.window
        unsafe sums = UnsafeMutableRawPointer(words + 2 * Self.window).assumingMemoryBound(to: Int32.self)
        unsafe taken = UnsafeMutableRawPointer(words + 3 * Self.window).assumingMemoryBound(to: Int32.self)
        unsafe lengths = UnsafeMutableRawPointer(words + 4 * Self.window).assumingMemoryBound(to: UInt16.self)
    }

    deinit {
        unsafe places.deallocate()
        for chunk in chunks { unsafe chunk.start.deallocate() }
    }

    /// Room for `count` values, good until the search ends; not initialised.
    func allocate<T: BitwiseCopyable>(_ type: T.Type, _ count: Int) -> UnsafeMutablePointer<T> {
        let bytes = (count * MemoryLayout<T>.stride + 63) & ~63
        if used + bytes > chunks[chunk].count {
            chunk += 1
            used = 0
            if chunk == chunks.count || chunks[chunk].count < bytes { chunks.insert(Chunk(bytes), at: chunk) }
        }
        defer { used += bytes }
        return unsafe (chunks[chunk].start + used).bindMemory(to: type, capacity: count)
    }

    private func reset() {
        // A query of a thousand words must not keep its megabytes for ever.
        while chunks.count > 4 { unsafe chunks.removeLast().start.deallocate() }
        while let large = chunks.firstIndex(where: { $0.count > Self.chunkBytes }) { unsafe chunks.remove(at: large).start.deallocate() }
        if chunks.isEmpty { chunks.append(Chunk(0)) }
        chunk = 0
        used = 0
    }

    /// As many as are likely to search at once.
    private static let keptMax = 16
    private static let kept = Mutex<[SearchMemory]>([])

    /// Lends one to `body`. After an error it is not used again: its sums may not be 0.
    static func lend<R>(_ body: (SearchMemory) throws -> R) rethrows -> R {
        let memory = kept.withLock { $0.popLast() } ?? SearchMemory()
        let result = try body(memory)
        memory.reset()
        kept.withLock { if $0.count < keptMax { $0.append(memory) } }
        return result
    }
}
