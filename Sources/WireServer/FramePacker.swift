internal import Codings
internal import Synchronization

/// Makes payloads small for those who asked for it. One for all connections, since its working memory is 600 kB; who finds it busy sends
/// what he has as it is: nobody waits for another's work on an event loop.
final class FramePacker: Sendable {
    private let compressor = Mutex(ZstandardCompressor(level: 1))

    @Sendable func compress(_ bytes: [UInt8]) -> [UInt8]? { compressor.withLockIfAvailable { $0.compress(bytes) } }
}
