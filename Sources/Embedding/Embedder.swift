// From texts to vectors for the whole server: a cache, two queues, and threads that work through them in batches.
//
//     embed(texts) --> cached for their scope? answered at once
//                  \-> a request in the queue of queries or of publishes
//                        --> worker: takes texts of one or more requests up to a batch, tokenizes, runs the model, answers
//
// * Nobody waits for company: a worker that is free starts at once with what there is, and what comes while all are busy
//   is the next batch. So batches grow with the load and a lone query waits for nothing.
// * Queries go first. One that comes while all workers run batches of publishes is served at the end of the layer that
//   one of them is in (the model calls back there): a sixth of a batch, about 4 ms, and not the rest of a document.
//   Publishes are not starved: of so many batches in a row one is theirs, and a batch that has begun goes on after at most
//   `queriesBetweenLayers` batches of queries.
// * Publishes take turns: a worker takes at most one batch of texts from the first request and puts the rest at the end, so
//   that a small document waits for a batch and not for a document of 10,000 nodes.
// * A batch is `batchTokens` tokens: enough rows for the matrix products, few enough for the one who waits next.
// * Both queues are bounded, by texts and by bytes. Over a bound a request is refused, to be tried again, instead of all
//   getting slower; queries have a bound of their own, so that publishes cannot use it up.
// * Workers are serial dispatch queues of their own, never the cooperative pool, which would stall for everybody else.
//   A worker runs while there is work and holds no thread when there is none.
//
// Everything shared is in one lock; the model runs outside it.

public import Base
internal import Dispatch
internal import Synchronization
public import Tokens

/// Embeds texts for concurrent callers.
public final class Embedder: Sendable {
    /// Who waits for the vectors.
    public enum Work: Sendable {
        /// Somebody who asked: goes first.
        case query
        /// A document on its way into the store, or cache entries made ahead.
        case publish
    }

    /// What the vectors are for, which says how exactly they are computed.
    public enum Purpose: Sendable {
        /// Asked with, or kept to ask with again (a need): in float32, since one vector is compared with all documents.
        case question
        /// Published: in the model's precision.
        case document
    }

    /// What happened since the start.
    public struct Statistics: Sendable, Equatable {
        /// Texts answered from the cache.
        public var hits = 0
        /// Texts that went to the model.
        public var misses = 0
        public var cachedEntries = 0
        public var cachedBytes = 0
        /// Runs of the model, and texts and tokens in them.
        public var batches = 0
        public var embeddedTexts = 0
        public var embeddedTokens = 0
        /// Texts that wait now, of publishes and of queries.
        public var waiting = 0
        public var waitingQueries = 0
        /// Requests refused because their queue was full.
        public var refused = 0
        /// Batches of queries that were run between the layers of a batch of publishes.
        public var interruptions = 0
    }

    /// Bounds of a queue. A request that finds less waiting is taken whole.
    public struct QueueLimits: Sendable {
        public var texts: Int
        public var bytes: Int

        public init(texts: Int, bytes: Int) {
            self.texts = texts
            self.bytes = bytes
        }
    }

    /// One call of `embed`, from its first missing text to its last vector. Guarded by the embedder's lock.
    ///
    /// `@unchecked Sendable`: mutable state is read and written under `Embedder.state` only.
    private final class Request: @unchecked Sendable {
        let texts: [ScopedText]
        let work: Work
        let precision: EmbeddingPrecision
        var vectors: [[Float]]
        /// The first text that no worker has taken yet.
        var next = 0
        var missing: Int
        var continuation: CheckedContinuation<[[Float]], any Error>?
        /// Its caller has gone; what is left of it is skipped.
        var cancelled = false

        init(_ texts: [ScopedText], _ work: Work, _ precision: EmbeddingPrecision) {
            self.texts = texts
            self.work = work
            self.precision = precision
            vectors = [[Float]](repeating: [], count: texts.count)
            missing = texts.count
        }
    }

    /// First in, first out; cancelled requests stay until their turn comes.
    private struct Queue {
        private var requests: [Request] = []
        private var first = 0
        var texts = 0
        var bytes = 0

        var isEmpty: Bool { texts == 0 }

        mutating func append(_ request: Request) { requests.append(request) }

        /// The next request that somebody still waits for.
        /// - Complexity: O(1) on average: those who left are let go when they are half of all.
        mutating func popFirst() -> Request? {
            while first < requests.count {
                let request = requests[first]
                first += 1
                if first == requests.count || (first >= 64 && first * 2 >= requests.count) {
                    requests.removeFirst(first)
                    first = 0
                }
                if !request.cancelled { return request }
            }
            return nil
        }

        mutating func count(_ texts: ArraySlice<ScopedText>, _ sign: Int) {
            self.texts += sign * texts.count
            bytes += sign * texts.reduce(0) { $0 + $1.text.utf8.count }
        }

        /// Takes everything out.
        mutating func removeAll() -> [Request] {
            defer { self = Queue() }
            return requests[first...].filter { !$0.cancelled }
        }
    }

    private struct State {
        var cache: EmbeddingCache
        var queries = Queue()
        var publishes = Queue()
        var queryBatchesInARow = 0
        var idleWorkers: [Int]
        var closed = false
        var statistics = Statistics()

        subscript(work: Work) -> Queue {
            get { work == .query ? queries : publishes }
            _modify { if work == .query { yield &queries } else { yield &publishes } }
        }
    }

    private struct Piece {
        let request: Request
        let range: Range<Int>
    }

    private let model: EmbeddingModel
    private let tokenizer: WordPieceTokenizer
    private let workers: [DispatchQueue]
    private let state: Mutex<State>
    private let publishLimits: QueueLimits
    private let queryLimits: QueueLimits
    /// Texts of queries that no worker has taken, for a look without the lock.
    private let openQueries = Atomic<Int>(0)

    /// Tokens of a batch, about: 128 rows are where the matrix products reach full speed; they take 30 ms.
    private static let batchTokens = 128
    /// Batches of queries after which publishes that wait get one.
    private static let queryBatchesInARowMax = 16
    /// Batches of queries that one worker runs between two layers of a batch of publishes.
    private static let queriesBetweenLayers = 4

    /// - Parameters:
    ///   - threads: workers, each with one batch at a time; 1 or more.
    ///   - cacheBytes: memory for vectors of texts asked for before, 1.9 kB for a short text; 0 for none.
    ///   - cacheLifetime: a vector computed longer ago is computed anew.
    ///   - publishLimits: of the texts that wait, without those of queries.
    public init(
        model: EmbeddingModel, tokenizer: WordPieceTokenizer, threads: Int, cacheBytes: Int, cacheLifetime: Duration = .seconds(3_600),
        publishLimits: QueueLimits = QueueLimits(texts: 65_536, bytes: 256 << 20),
        queryLimits: QueueLimits = QueueLimits(texts: 4_096, bytes: 64 << 20)
    ) {
        precondition(threads >= 1, "\(threads) threads")
        precondition(min(publishLimits.texts, publishLimits.bytes, queryLimits.texts, queryLimits.bytes) >= 1, "a queue that takes nothing")
        precondition(tokenizer.count <= model.tokenizer.count, "the tokenizer has more pieces than the model")
        self.model = model
        self.tokenizer = tokenizer
        self.publishLimits = publishLimits
        self.queryLimits = queryLimits
        workers = (0..<threads).map { DispatchQueue(label: "contex.embedding.\($0)") }
        state = Mutex(State(cache: EmbeddingCache(bytesMax: cacheBytes, lifetime: cacheLifetime), idleWorkers: Array(0..<threads)))
    }

    public var statistics: Statistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.cachedEntries = state.cache.count
            statistics.cachedBytes = state.cache.byteCount
            statistics.waiting = state.publishes.texts
            statistics.waitingQueries = state.queries.texts
            return statistics
        }
    }

    /// The same for texts that are the server's own.
    public func embed(_ texts: [String], for purpose: Purpose = .question, as work: Work? = nil) async throws -> [[Float]] {
        try await embed(texts.map { ScopedText($0, in: .server) }, for: purpose, as: work)
    }

    /// The unit vectors of the texts, in order. Equal texts of one scope are computed once. A text in the cache takes about a microsecond.
    /// The cache keeps the precisions apart: what a document's vector is does not depend on who asked for its words before.
    ///
    /// - Parameter work: who waits; left out, a single text is a query and several are a publish.
    /// - Throws: `.unavailable` when the queue is full or the embedder is shut down; `CancellationError`.
    public func embed(_ texts: [ScopedText], for purpose: Purpose = .question, as work: Work? = nil) async throws -> [[Float]] {
        let precision = purpose == .question ? .float32 : model.precision
        var vectors = [[Float]](repeating: [], count: texts.count)
        /// The distinct texts that the cache does not have, and for each text its place among them (-1: answered).
        var missing: [ScopedText] = []
        var places = [Int](repeating: -1, count: texts.count)
        let now = ContinuousClock.now
        state.withLock { state in
            var seen: [ScopedText: Int] = [:]
            for (index, key) in texts.enumerated() {
                if let vector = state.cache.vector(of: key, precision, now: now) {
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
        let computed = try await compute(Request(missing, work ?? (texts.count == 1 ? .query : .publish), precision))
        for (index, place) in places.enumerated() where place >= 0 { vectors[index] = computed[place] }
        return vectors
    }

    /// Puts texts into the cache before they are asked for, behind everything that waits. Failures are no matter.
    public func warm(_ texts: [ScopedText]) async { _ = try? await embed(texts, as: .publish) }

    private func compute(_ request: Request) async throws -> [[Float]] {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let refusal: (any Error)? = state.withLock { state in
                    if request.cancelled { return CancellationError() }
                    if state.closed { return Self.stopping }
                    let (queue, limits) = (state[request.work], request.work == .query ? queryLimits : publishLimits)
                    if queue.texts >= limits.texts || queue.bytes >= limits.bytes {
                        state.statistics.refused += 1
                        return ContexError(.busy, "Too many texts wait to be embedded: try again later")
                    }
                    request.continuation = continuation
                    state[request.work].append(request)
                    state[request.work].count(request.texts[...], 1)
                    openQueries.store(state.queries.texts, ordering: .relaxed)
                    wake(&state)
                    return nil
                }
                if let refusal { continuation.resume(throwing: refusal) }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                if !request.cancelled && request.continuation != nil {
                    state[request.work].count(request.texts[request.next...], -1)
                    openQueries.store(state.queries.texts, ordering: .relaxed)
                }
                request.cancelled = true
                return request.continuation.take()
            }
            continuation?.resume(throwing: CancellationError())
        }
    }

    private static var stopping: ContexError { ContexError(.stopping, "the server is stopping: no more texts are embedded") }

    private func wake(_ state: inout State) {
        guard let worker = state.idleWorkers.popLast() else { return }
        workers[worker].async { @Sendable [self] in work(worker) }
    }

    /// Runs on the worker's own thread until nothing waits.
    private func work(_ worker: Int) {
        while true {
            let (batch, kind) = state.withLock { state -> ([Piece], Work) in
                let kind = nextWork(&state)
                let batch = takeBatch(kind, &state)
                if batch.isEmpty {
                    state.idleWorkers.append(worker)
                } else if !state.queries.isEmpty || !state.publishes.isEmpty {
                    wake(&state)
                }
                return (batch, kind)
            }
            if batch.isEmpty { return }
            let betweenLayers: (() -> Void)? = kind == .publish ? { self.serveQueries() } : nil
            run(batch, betweenLayers: betweenLayers)
        }
    }

    private func nextWork(_ state: inout State) -> Work {
        if state.queries.isEmpty || (!state.publishes.isEmpty && state.queryBatchesInARow >= Self.queryBatchesInARowMax) {
            state.queryBatchesInARow = 0
            return .publish
        }
        state.queryBatchesInARow += 1
        return .query
    }

    /// On a worker's thread, in the middle of a batch of publishes.
    private func serveQueries() {
        for _ in 0..<Self.queriesBetweenLayers {
            guard openQueries.load(ordering: .relaxed) > 0 else { return }
            let batch: [Piece] = state.withLock { state in
                let batch = takeBatch(.query, &state)
                state.statistics.interruptions += batch.isEmpty ? 0 : 1
                return batch
            }
            if batch.isEmpty { return }
            run(batch, betweenLayers: nil)
        }
    }

    /// Texts of the first requests, about `batchTokens` of them; a request that has more goes to the end of its queue.
    private func takeBatch(_ work: Work, _ state: inout State) -> [Piece] {
        var batch: [Piece] = []
        var room = Self.batchTokens
        while room > 0, let request = state[work].popFirst() {
            let start = request.next
            while request.next < request.texts.count && room > 0 {
                // English has more than four bytes a token; the frame adds two. An estimate is enough here.
                room -= min(model.sequenceLimit, request.texts[request.next].text.utf8.count / 4 + 2)
                request.next += 1
            }
            batch.append(Piece(request: request, range: start..<request.next))
            state[work].count(request.texts[start..<request.next], -1)
            if request.next < request.texts.count { state[work].append(request) }
        }
        openQueries.store(state.queries.texts, ordering: .relaxed)
        return batch
    }

    private func run(_ batch: [Piece], betweenLayers: (() -> Void)?) {
        // What differs in precision is in one batch by chance only: texts of both are two runs of the model.
        let pieces = EmbeddingPrecision.allCases.map { precision in batch.filter { $0.request.precision == precision } }
        for pieces in pieces where !pieces.isEmpty { run(pieces, pieces[0].request.precision, betweenLayers) }
    }

    /// One run of the model.
    private func run(_ batch: [Piece], _ precision: EmbeddingPrecision, _ betweenLayers: (() -> Void)?) {
        let keys = batch.flatMap { $0.request.texts[$0.range] }
        let tokens = keys.map { tokenizer.ids($0.text, limit: model.sequenceLimit) }
        let vectors = model.embed(tokens: tokens, in: precision, betweenLayers: betweenLayers)
        let now = ContinuousClock.now
        let finished = state.withLock { state in
            state.statistics.batches += 1
            state.statistics.embeddedTexts += keys.count
            state.statistics.embeddedTokens += tokens.reduce(0) { $0 + $1.count }
            for (key, vector) in zip(keys, vectors) { state.cache.insert(key, precision, vector, now: now) }
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
            let requests = state.queries.removeAll() + state.publishes.removeAll()
            openQueries.store(0, ordering: .relaxed)
            for request in requests { request.cancelled = true }
            return requests.compactMap { $0.continuation.take() }
        }
        for continuation in abandoned { continuation.resume(throwing: Self.stopping) }
    }
}
