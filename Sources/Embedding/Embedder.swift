// From texts to vectors for the whole server: a cache, a queue, and threads that work through it in batches.
//
//     embed(texts) --> cached? answered at once
//                  \-> a request in the queue --> worker: takes texts of one or more requests up to a batch,
//                                                 tokenizes, runs the model, fills in the answers
//
// * Workers are serial dispatch queues of their own, never the cooperative pool, which would stall for everybody else.
//   A worker runs while there is work and holds no thread when there is none.
// * Requests take turns: a worker takes at most one batch of texts from the first request and puts the rest at the end,
//   so that a query waits for a batch and not for a publish of 10,000 nodes.
// * A batch is `batchTokens` tokens: enough rows for the matrix products, few enough for the one who waits next.
// * The queue is bounded. Over the bound a request is refused, to be tried again, instead of all getting slower.
//
// Everything shared is in one lock; the model runs outside it.

internal import Base
internal import Dispatch
internal import Synchronization
public import Tokens

/// Embeds texts for concurrent callers.
public final class Embedder: Sendable {
    /// What happened since the start.
    public struct Statistics: Sendable, Equatable {
        /// Texts answered from the cache.
        public var hits = 0
        /// Texts that went to the model.
        public var misses = 0
        public var cachedEntries = 0
        /// Runs of the model, and texts and tokens in them.
        public var batches = 0
        public var embeddedTexts = 0
        public var embeddedTokens = 0
        /// Texts that wait now.
        public var waiting = 0
        /// Requests refused because the queue was full.
        public var refused = 0
    }

    /// One call of `embed`, from its first missing text to its last vector. Guarded by the embedder's lock.
    ///
    /// `@unchecked Sendable`: mutable state is read and written under `Embedder.state` only.
    private final class Request: @unchecked Sendable {
        let texts: [ExactText]
        var vectors: [[Float]]
        /// The first text that no worker has taken yet.
        var next = 0
        var missing: Int
        var continuation: CheckedContinuation<[[Float]], any Error>?
        var cancelled = false

        init(_ texts: [ExactText]) {
            self.texts = texts
            vectors = [[Float]](repeating: [], count: texts.count)
            missing = texts.count
        }
    }

    private struct State {
        var cache: EmbeddingCache
        var waiting: [Request] = []
        var idleWorkers: [Int]
        var closed = false
        var statistics = Statistics()
    }

    private struct Piece {
        let request: Request
        let range: Range<Int>
    }

    private let model: EmbeddingModel
    private let tokenizer: WordPieceTokenizer
    private let workers: [DispatchQueue]
    private let state: Mutex<State>
    private let queueCapacity: Int

    /// Tokens of a batch, about: 128 rows are where the matrix products reach full speed; they take 30 ms.
    private static let batchTokens = 128

    /// - Parameters:
    ///   - threads: workers, each with one batch at a time; 1 or more.
    ///   - cacheCapacity: texts whose vectors are kept, 2 kB each; 0 for none.
    ///   - queueCapacity: texts that may wait. A request that finds fewer waiting is taken whole.
    public init(model: EmbeddingModel, tokenizer: WordPieceTokenizer, threads: Int, cacheCapacity: Int, queueCapacity: Int = 65_536) {
        precondition(threads >= 1 && queueCapacity >= 1, "\(threads) threads, queue of \(queueCapacity)")
        precondition(tokenizer.count <= model.tokenizer.count, "the tokenizer has more pieces than the model")
        self.model = model
        self.tokenizer = tokenizer
        self.queueCapacity = queueCapacity
        workers = (0..<threads).map { DispatchQueue(label: "contex.embedding.\($0)") }
        state = Mutex(State(cache: EmbeddingCache(capacity: cacheCapacity), idleWorkers: Array(0..<threads)))
    }

    public var statistics: Statistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.cachedEntries = state.cache.count
            return statistics
        }
    }

    /// The unit vectors of the texts, in order. Equal texts are computed once.
    ///
    /// - Throws: `.unavailable` when the queue is full or the embedder is shut down; `CancellationError`.
    public func embed(_ texts: [String]) async throws -> [[Float]] {
        var vectors = [[Float]](repeating: [], count: texts.count)
        /// The distinct texts that the cache does not have, and for each text its place among them (-1: answered).
        var missing: [ExactText] = []
        var places = [Int](repeating: -1, count: texts.count)
        state.withLock { state in
            var seen: [ExactText: Int] = [:]
            for (index, text) in texts.enumerated() {
                let key = ExactText(text: text)
                if let vector = state.cache.vector(of: key) {
                    vectors[index] = vector
                    state.statistics.hits += 1
                } else if let place = seen[key] {
                    places[index] = place
                } else {
                    seen[key] = missing.count
                    places[index] = missing.count
                    missing.append(key)
                }
            }
            state.statistics.misses += missing.count
        }
        if missing.isEmpty { return vectors }
        let computed = try await compute(Request(missing))
        for (index, place) in places.enumerated() where place >= 0 { vectors[index] = computed[place] }
        return vectors
    }

    private func compute(_ request: Request) async throws -> [[Float]] {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let refusal: (any Error)? = state.withLock { state in
                    if request.cancelled { return CancellationError() }
                    if state.closed { return ContexError(.unavailable, "the server is stopping: no more texts are embedded") }
                    if state.statistics.waiting >= queueCapacity {
                        state.statistics.refused += 1
                        return ContexError(.unavailable, "\(state.statistics.waiting) texts wait to be embedded: try again later")
                    }
                    request.continuation = continuation
                    state.waiting.append(request)
                    state.statistics.waiting += request.texts.count
                    wake(&state)
                    return nil
                }
                if let refusal { continuation.resume(throwing: refusal) }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                request.cancelled = true
                drop(request, from: &state)
                return request.continuation.take()
            }
            continuation?.resume(throwing: CancellationError())
        }
    }

    /// Takes a request out of the queue, if it is there.
    private func drop(_ request: Request, from state: inout State) {
        guard let at = state.waiting.firstIndex(where: { $0 === request }) else { return }
        state.waiting.remove(at: at)
        state.statistics.waiting -= request.texts.count - request.next
    }

    private func wake(_ state: inout State) {
        guard let worker = state.idleWorkers.popLast() else { return }
        workers[worker].async { @Sendable [self] in work(worker) }
    }

    /// Runs on the worker's own thread until nothing waits.
    private func work(_ worker: Int) {
        while true {
            let batch = state.withLock { state in
                let batch = takeBatch(&state)
                if batch.isEmpty {
                    state.idleWorkers.append(worker)
                } else if !state.waiting.isEmpty {
                    wake(&state)
                }
                return batch
            }
            if batch.isEmpty { return }
            run(batch)
        }
    }

    /// Texts of the first requests, about `batchTokens` of them; a request that has more goes to the end of the queue.
    private func takeBatch(_ state: inout State) -> [Piece] {
        var batch: [Piece] = []
        var room = Self.batchTokens
        while room > 0 && !state.waiting.isEmpty {
            let request = state.waiting.removeFirst()
            let start = request.next
            while request.next < request.texts.count && room > 0 {
                // English has more than four bytes a token; the frame adds two. An estimate is enough here.
                room -= min(model.sequenceLimit, request.texts[request.next].text.utf8.count / 4 + 2)
                request.next += 1
            }
            batch.append(Piece(request: request, range: start..<request.next))
            state.statistics.waiting -= request.next - start
            if request.next < request.texts.count { state.waiting.append(request) }
        }
        return batch
    }

    private func run(_ batch: [Piece]) {
        let keys = batch.flatMap { $0.request.texts[$0.range] }
        let tokens = keys.map { tokenizer.ids($0.text, limit: model.sequenceLimit) }
        let vectors = model.embed(tokens: tokens)
        let finished = state.withLock { state in
            state.statistics.batches += 1
            state.statistics.embeddedTexts += keys.count
            state.statistics.embeddedTokens += tokens.reduce(0) { $0 + $1.count }
            for (key, vector) in zip(keys, vectors) { state.cache.insert(key, vector) }
            var finished: [(CheckedContinuation<[[Float]], any Error>, [[Float]])] = []
            var at = 0
            for piece in batch {
                for index in piece.range {
                    piece.request.vectors[index] = vectors[at]
                    at += 1
                }
                piece.request.missing -= piece.range.count
                if piece.request.missing == 0, let continuation = piece.request.continuation.take() {
                    finished.append((continuation, piece.request.vectors))
                }
            }
            return finished
        }
        for (continuation, vectors) in finished { continuation.resume(returning: vectors) }
    }

    /// Refuses what waits and what comes; batches that run are finished. May be called more than once.
    public func shutdown() {
        let abandoned = state.withLock { state in
            state.closed = true
            let continuations = state.waiting.compactMap { $0.continuation.take() }
            state.waiting = []
            state.statistics.waiting = 0
            return continuations
        }
        for continuation in abandoned {
            continuation.resume(throwing: ContexError(.unavailable, "the server is stopping: no more texts are embedded"))
        }
    }
}
