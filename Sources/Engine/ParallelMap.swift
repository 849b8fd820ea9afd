internal import Dispatch
internal import Synchronization

extension Array where Element: Sendable {
    /// `map` on all cores, for work of some microseconds an element and more, off the cooperative pool. Blocks until all are done.
    package func mapOnAllCores<T: Sendable>(_ body: @Sendable (Element) -> T) -> [T] {
        // Eight pieces a core even out what is slow here and quick there.
        let pieceCount = Swift.min(count, 64)
        guard pieceCount > 1 else { return map(body) }
        let done = Mutex([[T]](repeating: [], count: pieceCount))
        DispatchQueue.concurrentPerform(iterations: pieceCount) { piece in
            let mapped = self[piece * count / pieceCount..<(piece + 1) * count / pieceCount].map(body)
            done.withLock { $0[piece] = mapped }
        }
        return done.withLock { $0.flatMap { $0 } }
    }
}
