// Query: candidates from both indexes, every candidate scored by both, one similarity, one threshold, one choice among them.

internal import Attributes
public import Base
internal import Documents
internal import KeySpace
internal import LMDB
internal import Measures
internal import Search
internal import Synchronization
internal import Vectors

extension Database {
    /// The nodes of a project that answer a text, a vector, or both, best first: at most `topK`, all of at least the threshold,
    /// packed into `maxTokens`; pinned ones before them. An unknown project has none.
    ///
    /// With a filter, nodes that do not pass are not searched: as many come back as without it, when so many pass.
    /// - Throws: `.invalid` for a vector that is none of the model's dimension, a mode that the question does not serve, an effort that is
    ///   out of range, a filter that reads too much, and an `asOf` in the future; `.tooLarge` for a past of too many nodes; `.unavailable`;
    ///   `.damaged`.
    public func query(_ tenant: TenantID, _ request: QueryRequest) async throws -> QueryAnswer {
        let watch = Stopwatch()
        do {
            let answer = try await knownAnswer(tenant, request)
            measures.queried(request.project, .success(answer), watch)
            return answer
        } catch {
            measures.queried(request.project, .failure(ContexError(anyError: error)), watch)
            throw error
        }
    }

    private func knownAnswer(_ tenant: TenantID, _ request: QueryRequest) async throws -> QueryAnswer {
        guard let found = answers.find(tenant, request, at: now()) else { return try await answer(tenant, request) }
        if let answer = found.answer {
            // What is asked for is embedded anew when the server starts.
            if request.vector == nil, !request.text.isEmpty, request.mode ?? configuration.mode != .keyword {
                queryUse.note(request.text, in: request.project, of: tenant)
            }
            return answer
        }
        let answer = try await answer(tenant, request)
        answers.keep(answer, found.key, found.version)
        return answer
    }

    private func answer(_ tenant: TenantID, _ request: QueryRequest) async throws -> QueryAnswer {
        var search = try QuerySearch(tenant, request, configuration, models)
        let watch = QueryWatch(measures)
        search.watch = watch
        let texts = search.textsToEmbed
        if !texts.isEmpty {
            let embedding = Stopwatch()
            search.vectors = try await models.embed(questions: texts.map { ScopedText($0, in: .project(request.project, of: tenant)) })
            watch.note(.embed, embedding)
            for (text, vector) in zip(texts, search.vectors) where !vector.isEmpty { queryUse.note(text, in: request.project, of: tenant) }
        }
        let outcome: QuerySearch.Outcome
        let waiting = Stopwatch()
        if search.mode == .hybrid, request.asOf == nil {
            let side = TextSide()
            outcome = try await readers.read { [self, search] in
                watch.note(.wait, waiting)
                defer { side.withdraw() }
                return try search.run(in: $0, self, side)
            } then: { [search] in
                try search.outcome(of: $0)
            } beside: {
                side.take(in: $0)
            }
        } else {
            outcome = try await read { [self, search] in
                watch.note(.wait, waiting)
                return try search.run(in: $0, self)
            } then: { [search] in try search.outcome(of: $0) }
        }
        var answer = try await answer(search, outcome)
        answer.plan = watch.plan("\(search.mode)", answer)
        answer.lastsUntil = watch.lastsUntil
        return answer
    }

    /// Many queries on one snapshot, one outcome each, in order. The texts are embedded at once, the searches share the pool's threads, and
    /// queries of one moment of the past share the state that is made of it.
    ///
    /// Together they find at most `Limits.answerBytes`, and ask for at most `Limits.batchMoments`; those that come after that fail with `.tooLarge`.
    public func query(_ tenant: TenantID, _ requests: [QueryRequest]) async -> [Result<QueryAnswer, ContexError>] {
        var searches: [Result<QuerySearch, ContexError>] = requests.map { request in
            do throws(ContexError) {
                return .success(try QuerySearch(tenant, request, configuration, models))
            } catch {
                return .failure(error)
            }
        }
        let texts = searches.map { (try? $0.get().textsToEmbed) ?? [] }
        do {
            let scoped = texts.indices.flatMap { place in texts[place].map { ScopedText($0, in: .project(requests[place].project, of: tenant)) } }
            var vectors = scoped.isEmpty ? [] : try await models.embed(questions: scoped)[...]
            for place in texts.indices where !texts[place].isEmpty {
                let own = Array(vectors.prefix(texts[place].count))
                vectors.removeFirst(own.count)
                searches[place] = searches[place].map { search in
                    var search = search
                    search.vectors = own
                    return search
                }
                for (text, vector) in zip(texts[place], own) where !vector.isEmpty { queryUse.note(text, in: requests[place].project, of: tenant) }
            }
        } catch {
            let failure = ContexError(anyError: error)
            for place in texts.indices where !texts[place].isEmpty { searches[place] = .failure(failure) }
        }
        let batch = QueryBatch(searches)
        await withTaskGroup { group in
            for _ in 0..<min(configuration.threads, (searches.count + 3) / 4) {
                group.addTask { [self] in
                    do {
                        try await read { [self] in try batch.search(in: $0, self) } then: { batch.answer($0) }
                    } catch {
                        batch.note(ContexError(anyError: error))
                    }
                }
            }
        }
        var outcomes: [Result<QueryAnswer, ContexError>] = []
        var pasts: [QuerySearch.PastState: [(place: Int, search: QuerySearch, nodes: NodeSearch)]] = [:]
        var moments: [QuerySearch.PastState] = []
        for (place, (search, outcome)) in zip(searches, batch.outcomes).enumerated() {
            do {
                switch try outcome.get() {
                case .answer(let answer): outcomes.append(.success(answer))
                case .past(let nodes, let state):
                    if pasts[state] == nil { moments.append(state) }
                    pasts[state, default: []].append((place, try search.get(), nodes))
                    // Until it is answered.
                    outcomes.append(.failure(ContexError(.unavailable, "The batch was not searched")))
                }
            } catch {
                outcomes.append(.failure(ContexError(anyError: error)))
            }
        }
        for (number, state) in moments.enumerated() {
            let asked = pasts[state] ?? []
            do {
                guard number < Limits.batchMoments else {
                    throw ContexError(.batchTooLarge, "The batch asks for more than \(Limits.batchMoments) different moments of the past: ask in smaller ones")
                }
                guard let request = asked.first?.search.request else { continue }
                let answers = try await withPast(
                    state.scope, at: state.sequence, withVectors: asked.contains { $0.search.mode != .keyword },
                    embeddingFor: .project(request.project, of: tenant)
                ) { [self] past in
                    try await onHeavyPool { asked.map { entry in batch.bounded { try entry.search.answer(entry.nodes, among: past) } } }
                }
                for (entry, answer) in zip(asked, answers) { outcomes[entry.place] = answer }
            } catch {
                let failure = ContexError(anyError: error)
                for entry in asked { outcomes[entry.place] = .failure(entry.nodes.page?.failure(failure) ?? failure) }
            }
        }
        for (request, outcome) in zip(requests, outcomes) { measures.queried(request.project, outcome, nil) }
        return outcomes
    }

    /// Of the past, what has no vector any more is embedded first.
    private func answer(_ search: QuerySearch, _ outcome: QuerySearch.Outcome) async throws -> QueryAnswer {
        switch outcome {
        case .answer(let answer): return answer
        case .past(let nodes, let state):
            let scope = ModelScope.project(search.request.project, of: search.tenant)
            do {
                return try await withPast(state.scope, at: state.sequence, withVectors: search.mode != .keyword, embeddingFor: scope) { [self] past in
                    try await onHeavyPool { try search.answer(nodes, among: past) }
                }
            } catch let error as ContexError {
                throw nodes.page?.failure(error) ?? error
            }
        }
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
        var outcomes: [Result<QuerySearch.Outcome, ContexError>?]
        var failure = ContexError(.unavailable, "The batch was not searched")
    }
    private let searches: [Result<QuerySearch, ContexError>]
    private let state: Mutex<State>

    init(_ searches: [Result<QuerySearch, ContexError>]) {
        self.searches = searches
        state = Mutex(State(outcomes: searches.map { _ in nil }))
    }

    func search(in view: borrowing TransactionView, _ database: Database) throws -> [(place: Int, found: QuerySearch.Retrieved)] {
        let snapshot = view.state
        var all: [(place: Int, found: QuerySearch.Retrieved)] = []
        while let place = take(on: snapshot) {
            do {
                let found = try searches[place].get().run(in: view, database)
                try admit(found.bytes)
                all.append((place, found))
            } catch {
                finish(place, .failure(ContexError(anyError: error)))
            }
        }
        return all
    }

    func answer(_ all: [(place: Int, found: QuerySearch.Retrieved)]) {
        for (place, found) in all {
            do {
                finish(place, .success(try searches[place].get().outcome(of: found)))
            } catch {
                finish(place, .failure(ContexError(anyError: error)))
            }
        }
    }

    /// An answer whose bytes are known when it is there.
    func bounded(_ answer: () throws -> QueryAnswer) -> Result<QueryAnswer, ContexError> {
        do {
            let answer = try answer()
            try admit(answer.matches.reduce(0) { $0 + $1.byteCount })
            return .success(answer)
        } catch {
            return .failure(ContexError(anyError: error))
        }
    }

    /// One alone may be as large as it is.
    private func admit(_ bytes: Int) throws(ContexError) {
        let isOver = state.withLock { state in
            let isOver = state.bytes > 0 && state.bytes + bytes > Limits.answerBytes
            if !isOver { state.bytes += bytes }
            return isOver
        }
        if isOver { throw ContexError(.answerTooLarge, "The batch finds more than \(Limits.answerBytes >> 20) MiB: ask in smaller ones") }
    }

    func note(_ failure: ContexError) { state.withLock { $0.failure = failure } }

    var outcomes: [Result<QuerySearch.Outcome, ContexError>] {
        state.withLock { state in state.outcomes.map { $0 ?? .failure(state.failure) } }
    }

    private func take(on snapshot: TransactionView.State) -> Int? {
        state.withLock { state in
            if state.snapshot == nil { state.snapshot = snapshot }
            guard state.snapshot == snapshot, state.next < searches.count else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    private func finish(_ place: Int, _ outcome: Result<QuerySearch.Outcome, ContexError>) { state.withLock { $0.outcomes[place] = outcome } }
}

extension NodeSearch {
    /// Only the nodes of the project that pass.
    mutating func admit(_ filter: Filter, recordsMax: Int = Limits.filterRecords, in view: borrowing TransactionView) throws {
        let index = AttributeIndex(scope: scope)
        let entries = try index.nodes(passing: filter, recordsMax: recordsMax, in: view)
        passing = entries
        var (nodes, all, further) = (entries, try index.nodes(in: view), try index.furtherPassages(in: view))
        if !further.isEmpty {
            all.subtract(further)
            further.formIntersection(entries)
            nodes.subtract(further)
        }
        filtered = .init(passing: nodes.count, nodes: all.count)
    }

    /// None of the nodes of some documents.
    mutating func leaveOut(_ documents: Set<DocumentID>, in view: borrowing TransactionView) throws {
        var left = try passing ?? AttributeIndex(scope: scope).nodes(in: view)
        let store = DocumentStore(scope: scope)
        var gone = NodeSet()
        for id in documents {
            guard let document = try store.document(id, in: view) else { continue }
            for node in document.nodes + document.furtherPassages { gone.insert(node) }
        }
        left.subtract(gone)
        passing = left
    }

    /// Only the nodes whose documents pass, each of which is asked: a past has no index.
    mutating func admit(_ filter: Filter, among past: PastNodes) {
        var entries = NodeSet()
        var known: [Name: Bool] = [:]
        var count = 0
        for unit in past.units {
            let passes = known[unit.attributes.key] ?? filter.passes(unit.attributes)
            known[unit.attributes.key] = passes
            guard passes else { continue }
            count += unit.records.count
            for entry in unit.entries { entries.insert(PastNodes.id(entry)) }
        }
        passing = entries
        filtered = .init(passing: count, nodes: past.nodeCount)
    }
}

extension QueryRequest {
    /// What is scored: a vector has no words, and words alone have no vector of the asker's.
    func mode(standard: SearchMode) throws(ContexError) -> SearchMode {
        // Who asks for a fusion asks for hybrid mode.
        let standard = fusion == nil && weights == nil ? standard : .hybrid
        guard vector != nil else { return mode ?? standard }
        if mode == .keyword {
            throw .invalid(field: "mode", kind: "value_error", message: "Value error, mode 'keyword' compares words: it has no use for a query_vector")
        }
        if text.isEmpty {
            guard mode != .hybrid else {
                throw .invalid(field: "mode", kind: "value_error", message: "Value error, mode 'hybrid' needs the words of a query beside its query_vector")
            }
            return .semantic
        }
        return mode ?? .hybrid
    }

    func effort() throws(ContexError) -> SearchEffort? {
        switch (efSearch, recall) {
        case (nil, nil): return nil
        case (let candidates?, nil):
            guard (1...Limits.efSearch).contains(candidates) else {
                throw .invalid(field: "ef_search", kind: "value_error", message: "Value error, ef_search must be from 1 to \(Limits.efSearch)")
            }
            return .candidates(candidates)
        case (nil, let share?):
            guard share >= 0.5, share <= 0.999 else {
                throw .invalid(field: "recall", kind: "value_error", message: "Value error, recall must be from 0.5 to 0.999")
            }
            return .recall(share)
        case (_?, _?):
            throw .invalid(field: "recall", kind: "value_error", message: "Value error, recall chooses ef_search: give one of the two")
        }
    }
}
