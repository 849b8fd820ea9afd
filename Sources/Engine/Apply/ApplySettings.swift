// A change of the analyser makes the text index anew in one transaction: whoever reads sees the old one until the commit and the new one
// after it, and a process that is killed leaves the one or the other. Other writes wait meanwhile, so projects over
// `Limits.analyzerNodes` are changed by `contex reindex --analyzer`, with the server stopped.

internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB

extension Applier {
    func setAnalyzer(_ command: Command.SetAnalyzer, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let registry = ProjectRegistry(tenant: command.tenant)
        if let known = try registry.scope(of: command.project, in: transaction.view) {
            let options = try TextIndex(scope: known).options(in: transaction.view)
            if options.analyzer.kind == command.kind { return .analyzerSet(ProjectSettings(options), nodes: 0) }
            let nodes = try TextIndex(scope: known).statistics(in: transaction.view).documents
            guard nodes <= Limits.analyzerNodes else {
                throw ContexError(
                    .conflict,
                    "The project has \(nodes) nodes, the analyser of at most \(Limits.analyzerNodes) is changed while the server runs: stop it and "
                        + "run 'contex reindex --project \(command.project) --analyzer \(command.kind.name)'")
            }
        }
        let scope = try entering(command.project, command.tenant, at: command.time, &work.effects, in: &transaction)
        let index = TextIndex(scope: scope)
        var options = try index.options(in: transaction.view)
        options.analyzer = Analyzer(command.kind)
        try index.removeAll(in: &transaction)
        try index.configure(options, in: &transaction)
        var (from, nodes) = (NodeID(rawValue: 0), 0)
        while true {
            let batch = try DocumentStore(scope: scope).nodes(from: from, count: Self.analyzerBatch, in: transaction.view)
            guard let last = batch.last else { break }
            var changes: [TextChange] = []
            for unit in try IndexedUnit.units(of: batch) {
                changes += zip(unit.entries, try unit.analyzed(options.analyzer)).map { TextChange(node: $0, new: $1) }
            }
            try index.apply(changes, in: &transaction)
            nodes += batch.count
            guard last.id.rawValue < .max else { break }
            from = NodeID(rawValue: last.id.rawValue + 1)
        }
        try NeedLevels.renew(scope, in: &transaction)
        work.effects.reindexed.insert(ProjectLog(tenant: command.tenant, project: command.project))
        return .analyzerSet(ProjectSettings(options), nodes: nodes)
    }

    /// Nodes that are read and analysed at a time: what the memory of a change is for.
    private static let analyzerBatch = 8_192
}
