// Query: candidates from both indexes, every candidate scored by both, one similarity, one threshold, one choice among them.

public import Base
internal import KeySpace
internal import LMDB
internal import Synchronization

extension Database {
    /// The nodes of a project that answer a text, best first: at most `topK`, all of at least the threshold, cut to
    /// `maxTokens`; pinned ones before them. An unknown project has none.
    /// - Throws: `.invalid` for an empty or over-long text; `.unavailable`; `.damaged`.
    public func query(_ tenant: TenantID, _ request: QueryRequest) async throws -> QueryAnswer {
        let isKeyword = request.mode ?? configuration.mode == .keyword
        let vector = isKeyword ? nil : try await models.embed([request.text])[0]
        if !isKeyword { queryUse.note(request.text, of: tenant) }
        let search = QuerySearch(tenant, request, vector: vector, configuration, models)
        return try await read { try search.run(in: $0) } then: { try search.answer($0) }
    }

    /// Many queries on one snapshot, one outcome each, in order. The texts are embedded at once, the searches share the pool's threads.
    ///
    /// Together they hold at most `batchBytesMax` of what they found; those that come after that fail with `.tooLarge`.
    public func query(_ tenant: TenantID, _ requests: [QueryRequest]) async -> [Result<QueryAnswer, ContexError>] {
        let worded = requests.filter { $0.mode ?? configuration.mode != .keyword }
        var vectors: ArraySlice<[Float]> = []
        do {
            if !worded.isEmpty { vectors = try await models.embed(worded.map(\.text))[...] }
        } catch {
            let failure = ContexError(anyError: error)
            return requests.map { _ in .failure(failure) }
        }
        for request in worded { queryUse.note(request.text, of: tenant) }
        let searches = requests.map { request in
            let vector = request.mode ?? configuration.mode == .keyword ? nil : vectors.popFirst()
            return QuerySearch(tenant, request, vector: vector, configuration, models)
        }
        let batch = QueryBatch(searches)
        await withTaskGroup { group in
            for _ in 0..<min(configuration.threads, (searches.count + 3) / 4) {
                group.addTask { [self] in
                    do {
                        try await read { try batch.search(in: $0) } then: { batch.answer($0) }
                    } catch {
                        batch.note(ContexError(anyError: error))
                    }
                }
            }
        }
        return batch.results
    }
}

/// The queries of one batch, taken one after another by the threads that see the snapshot of the first.
///
/// LMDB binds a read transaction to one thread at a time, so each thread begins its own; one that comes after the next commit sees
/// another state and leaves the work to those that are there already. Nobody waits for anybody: the first finishes alone
/// if need be.
private final class QueryBatch: Sendable {
    private struct State {
        var snapshot: TransactionView.State?
        var next = 0
        var bytes = 0
        var results: [Result<QueryAnswer, ContexError>?]
        var failure = ContexError(.unavailable, "The batch was not searched")
    }
    private let searches: [QuerySearch]
    private let state: Mutex<State>

    private static let batchBytesMax = 64 << 20

    init(_ searches: [QuerySearch]) {
        self.searches = searches
        state = Mutex(State(results: searches.map { _ in nil }))
    }

    func search(in view: borrowing TransactionView) throws -> [(place: Int, found: QuerySearch.Found)] {
        let snapshot = view.state
        var all: [(place: Int, found: QuerySearch.Found)] = []
        while let place = take(on: snapshot) {
            do {
                let found = try searches[place].run(in: view)
                let bytes = found.bytes
                let isOver = state.withLock { state in
                    state.bytes += bytes
                    return state.bytes > Self.batchBytesMax
                }
                guard !isOver else { throw ContexError(.tooLarge, "The batch finds more than \(Self.batchBytesMax) bytes: ask in smaller ones") }
                all.append((place, found))
            } catch {
                finish(place, .failure(ContexError(anyError: error)))
            }
        }
        return all
    }

    func answer(_ all: [(place: Int, found: QuerySearch.Found)]) {
        for (place, found) in all {
            do {
                finish(place, .success(try searches[place].answer(found)))
            } catch {
                finish(place, .failure(ContexError(anyError: error)))
            }
        }
    }

    func note(_ failure: ContexError) { state.withLock { $0.failure = failure } }

    var results: [Result<QueryAnswer, ContexError>] { state.withLock { state in state.results.map { $0 ?? .failure(state.failure) } } }

    private func take(on snapshot: TransactionView.State) -> Int? {
        state.withLock { state in
            if state.snapshot == nil { state.snapshot = snapshot }
            guard state.snapshot == snapshot, state.next < searches.count else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    private func finish(_ place: Int, _ result: Result<QueryAnswer, ContexError>) { state.withLock { $0.results[place] = result } }
}
