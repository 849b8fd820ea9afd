// Records that are not those which were written, in words.

internal import Base
internal import Documents
internal import KeySpace
internal import LMDB
internal import Tenants

enum RecordFindings {
    /// A sentence for each difference.
    /// - Complexity: O(projects) when there is one.
    static func text(of differences: [RecordTally.Difference], in view: borrowing TransactionView) throws -> [String] {
        guard !differences.isEmpty else { return [] }
        var names: [TenantScope: Name] = [:]
        for tenant in try TenantRegistry.numbers(in: view) {
            for entry in try ProjectRegistry(tenant: tenant).entries(in: view) {
                names[TenantScope(tenant: tenant, project: entry.project)] = entry.name
            }
        }
        return differences.map { difference in place(difference.scope, names) + what(difference.what) }
    }

    private static func place(_ scope: TenantScope?, _ names: [TenantScope: Name]) -> String {
        guard let scope, scope != .system else { return "the store: " }
        if scope == scope.registry { return "tenant number \(scope.tenant.rawValue): " }
        if let name = names[scope] { return "project '\(name)'\(scope.tenant == .standard ? "" : " of tenant number \(scope.tenant.rawValue)"): " }
        return "project number \(scope.project), which has no name: "
    }

    private static func what(_ what: RecordTally.Difference.What) -> String {
        switch what {
        case .count(let kind, let found, let written) where found < written:
            "\(written - found) of \(written) records of kind \(name(kind)) are gone"
        case .count(let kind, let found, let written):
            "\(found) records of kind \(name(kind)) are there, \(written) were written: what was deleted has come back"
        case .other(let kind): "of the records of kind \(name(kind)) at least one is not the one that was written last"
        case .noSums: "there are records, but the sums that are kept of them are gone"
        case .storage(let found, let counted): "its records have \(found) bytes, \(counted) are counted: 'contex reindex' counts them anew"
        case .oldSums: "the sums that are kept of records are not those that were written last"
        }
    }

    private static func name(_ kind: UInt8) -> String { KeyKind(rawValue: kind).map { "\($0)" } ?? "\(kind)" }
}
