internal import Access
public import Base
public import Engine

extension Operations {
    public func publish(_ command: PublishCommand, by caller: Caller) async throws -> PublishReceipt {
        try await perform(.publish, project: command.project, key: command.key, by: caller) { principal in
            try await database.publish(principal.tenant, [command.published(by: principal)])[0].get()
        }
    }

    /// One outcome each, in order. A command into a project that the caller may not write to fails by itself.
    public func publishBatch(_ commands: [PublishCommand], by caller: Caller) async throws -> [Result<PublishReceipt, ContexError>] {
        try await perform(.publishBatch, project: nil, cost: 0, by: caller) { principal in
            guard commands.count <= Limits.batchItems else {
                throw ContexError(.batchTooLarge, "A batch holds at most \(Limits.batchItems) items, this one has \(commands.count)")
            }
            var outcomes: [Result<PublishReceipt, ContexError>?] = commands.map { command in
                do throws(ContexError) {
                    try authorise(principal, .publishBatch, project: command.project, key: command.key, from: caller)
                    try database.quarantine.check(principal.tenant, command.project)
                    return nil
                } catch {
                    return .failure(error)
                }
            }
            await chargeItems(.publishBatch, commands.map(\.project), &outcomes, principal, caller)
            try refuseIfAllLimited(outcomes)
            let open = commands.indices.filter { outcomes[$0] == nil }
            for (place, outcome) in zip(open, await database.publish(principal.tenant, open.map { commands[$0].published(by: principal) })) {
                outcomes[place] = outcome
            }
            let done = outcomes.compactMap { $0 }
            meetDamage(done, of: commands.map(\.project), principal)
            return done
        }
    }

    /// Counts the items of a batch that are still to be done, project by project: those of one that has no room fail, each by itself.
    private func chargeItems<T>(
        _ action: Action, _ projects: [Name], _ outcomes: inout [Result<T, ContexError>?], _ principal: Principal, _ caller: Caller
    ) async {
        var places: [Name: [Int]] = [:]
        for place in projects.indices where outcomes[place] == nil { places[projects[place], default: []].append(place) }
        for (project, places) in places.sorted(by: { $0.key < $1.key }) {
            do {
                try await charge(action, places.count, principal, project, caller)
            } catch {
                let error = ContexError(from: error)
                for place in places { outcomes[place] = .failure(error) }
            }
        }
    }

    /// A batch of which nothing is left for want of a rate is refused as a whole, as a single request is.
    private func refuseIfAllLimited<T>(_ outcomes: [Result<T, ContexError>?]) throws(ContexError) {
        guard let first = outcomes.first, case .failure(let error)? = first, error.code == .rateLimited else { return }
        let isAll = outcomes.allSatisfy { if case .failure(let error)? = $0 { error.code == .rateLimited } else { false } }
        if isAll { throw error }
    }

    /// - Throws: `.notFound`
    public func delete(_ key: Name, project: Name, by caller: Caller) async throws -> DeleteReceipt {
        try await perform(.deleteData, project: project, key: key, by: caller) {
            try await database.delete($0.tenant, project: project, key: key, by: $0.publisher)
        }
    }

    /// - Parameters:
    ///   - asOf: as the project was then; nil: now.
    ///   - render: an item and its size in bytes.
    /// - Throws: as `Database.nodes`
    public func listData<Item: Sendable>(
        project: Name, _ page: PageRequest, asOf: Moment? = nil, by caller: Caller,
        render: @escaping @Sendable (ListedNode) throws -> (item: Item, bytes: Int)
    ) async throws -> Page<Item> {
        try await perform(.listData, project: project, by: caller) {
            try await database.nodes($0.tenant, project: project, page, asOf: asOf, render: render)
        }
    }

    public func listKeysOfData(project: Name, _ page: PageRequest, asOf: Moment? = nil, by caller: Caller) async throws -> Page<String> {
        try await perform(.listData, project: project, by: caller) { try await database.keys($0.tenant, project: project, page, asOf: asOf) }
    }

    /// - Throws: `.notFound`, `.invalid` for an `asOf` in the future
    public func data(project: Name, key: Name, asOf: Moment? = nil, by caller: Caller) async throws -> HeldDocument {
        try await perform(.showData, project: project, key: key, by: caller) {
            try await database.document($0.tenant, project: project, key: key, asOf: asOf)
        }
    }

    /// The first documents of a project in the order of its keys, whole, for somebody who looks through it.
    /// - Parameters:
    ///   - countMax: at most.
    ///   - bytesMax: of their data together; the first is given however large.
    /// - Returns: with `isWhole` when there are no others.
    public func firstDocuments(
        project: Name, countMax: Int, bytesMax: Int, by caller: Caller
    ) async throws -> (documents: [HeldDocument], isWhole: Bool) {
        try await perform(.listData, project: project, by: caller) { principal in
            let keys = try await database.keys(principal.tenant, project: project, PageRequest(limit: countMax))
            var documents: [HeldDocument] = []
            var bytes = 0
            for key in keys.items {
                let document: HeldDocument
                do {
                    document = try await database.document(principal.tenant, project: project, key: Name(stored: key), asOf: nil)
                } catch let error as ContexError where error.code == .dataNotFound {
                    continue // Deleted since the keys were read.
                }
                bytes += document.dataText?.count ?? 0
                guard documents.isEmpty || bytes <= bytesMax else { return (documents, false) }
                documents.append(document)
            }
            return (documents, keys.next == nil)
        }
    }

    /// The whole document, for formats that are not written piece by piece.
    /// - Throws: `.tooLarge`
    public func export(project: Name, sections: ExportSections, by caller: Caller) async throws -> JSONValue {
        try await perform(.exportData, project: project, by: caller) { principal in
            try authoriseExport(principal, project, sections, caller)
            return try await database.export(principal.tenant, project: project, sections: sections, bytesMax: Limits.answerBytes)
        }
    }

    /// The document as JSON, to be read piece by piece.
    public func exportReader(project: Name, sections: ExportSections, by caller: Caller) async throws -> ExportReader {
        try await perform(.exportData, project: project, by: caller) { principal in
            try authoriseExport(principal, project, sections, caller)
            return database.exportReader(principal.tenant, project: project, sections: sections)
        }
    }

    /// A section shows what its listing shows, to those who may ask for it.
    private func authoriseExport(_ principal: Principal, _ project: Name, _ sections: ExportSections, _ caller: Caller) throws(ContexError) {
        if sections.events { try authorise(principal, .readEvents, project: project, from: caller) }
        if sections.agents { try authorise(principal, .listAgents, project: project, from: caller) }
    }

    /// - Throws: `.badRequest`; `.forbidden` when a section needs more than to publish
    public func importDocument(
        _ document: JSONValue, project: Name, overwrite: Bool, validateOnly: Bool, by caller: Caller
    ) async throws -> ImportReceipt {
        try await perform(.importData, project: project, by: caller) { principal in
            try await database.importDocument(
                principal.tenant, project: project, document: document, overwrite: overwrite, validateOnly: validateOnly, by: principal.publisher
            ) { permission throws(ContexError) in try self.require(permission, project, principal, caller) }
        }
    }

    public func query(_ request: QueryRequest, by caller: Caller) async throws -> QueryAnswer {
        try await perform(.query, project: request.project, by: caller) { try await database.query($0.tenant, request) }
    }

    /// One outcome each, in order, all of one moment. A query of a project that the caller may not ask fails by itself.
    public func queryBatch(_ requests: [QueryRequest], by caller: Caller) async throws -> [Result<QueryAnswer, ContexError>] {
        try await perform(.queryBatch, project: nil, cost: 0, by: caller) { principal in
            guard requests.count <= Limits.batchQueries else {
                throw ContexError(.batchTooLarge, "A batch holds at most \(Limits.batchQueries) queries, this one has \(requests.count)")
            }
            var outcomes: [Result<QueryAnswer, ContexError>?] = requests.map { request in
                do throws(ContexError) {
                    try authorise(principal, .queryBatch, project: request.project, from: caller)
                    try database.quarantine.check(principal.tenant, request.project)
                    return nil
                } catch {
                    return .failure(error)
                }
            }
            await chargeItems(.queryBatch, requests.map(\.project), &outcomes, principal, caller)
            try refuseIfAllLimited(outcomes)
            let open = requests.indices.filter { outcomes[$0] == nil }
            for (place, outcome) in zip(open, await database.query(principal.tenant, open.map { requests[$0] })) { outcomes[place] = outcome }
            let done = outcomes.compactMap { $0 }
            meetDamage(done, of: requests.map(\.project), principal)
            return done
        }
    }

    /// Vectors of texts, by the built-in model; nothing is stored.
    /// - Throws: `.invalid` for tokens that are none.
    public func embed(_ inputs: [EmbeddingInput], by caller: Caller) async throws -> Embeddings {
        try await perform(.embed, project: nil, by: caller) {
            try await database.embed(inputs, in: .key($0.holderID, of: $0.tenant))
        }
    }

    /// The projects that the caller may see, by name.
    public func projects(_ page: PageRequest = PageRequest(), by caller: Caller) async throws -> Page<ProjectSummary> {
        try await perform(.listProjects, project: nil, by: caller) { principal in
            try await database.projects(principal.tenant, page) { self.maySee(.listProjects, of: $0.text, principal, caller) }
        }
    }

    /// - Throws: `.notFound`
    public func settings(project: Name, by caller: Caller) async throws -> ProjectSettings {
        try await perform(.showSettings, project: project, by: caller) { try await database.settings($0.tenant, project: project) }
    }

    /// - Throws: `.invalid`, `.conflict` (`Database.setAnalyzer`)
    public func setAnalyzer(_ name: String, project: Name, by caller: Caller) async throws -> (settings: ProjectSettings, nodes: Int) {
        try await perform(.changeSettings, project: project, by: caller) {
            try await database.setAnalyzer($0.tenant, project: project, name)
        }
    }
}

extension PublishCommand {
    /// Whoever a command says it comes from, it comes from the caller.
    fileprivate func published(by principal: Principal) -> PublishCommand {
        var command = self
        command.publisher = principal.publisher
        return command
    }
}
