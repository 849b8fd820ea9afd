// Which queries are asked again and again, so that after a restart their vectors are in the cache before somebody asks.
//
// Counts are kept in memory and written now and then and at the end: a hint that may be lost. When there are too many texts
// every count is halved and what comes to nothing goes, so that old favourites make room for new ones.

public import Base
internal import KeySpace
internal import LMDB
internal import Synchronization

/// A text that was asked of a project: whoever may not ask there must not find it in the cache.
struct AskedQuery: Hashable, Sendable {
    let project: Name
    let text: ExactText

    init(_ text: String, of project: Name) {
        self.project = project
        self.text = ExactText(text)
    }
}

final class QueryUse: Sendable {
    /// Texts that are counted for one tenant: 150 bytes each, usually.
    static let countedMax = 1_024
    /// Texts that the store keeps: embedded in about half a second on one core.
    static let keptMax = 128
    /// Longer texts are neither likely to come again nor cheap to keep.
    static let bytesMax = 1_024

    private struct State {
        var uses: [TenantID: [AskedQuery: UInt32]] = [:]
        var hasChanged = false
    }
    private let state = Mutex(State())

    func note(_ text: String, in project: Name, of tenant: TenantID, uses: UInt32 = 1) {
        guard text.utf8.count <= Self.bytesMax else { return }
        let asked = AskedQuery(text, of: project)
        state.withLock { state in
            state.hasChanged = true
            let count = state.uses[tenant]?[asked] ?? 0
            state.uses[tenant, default: [:]][asked] = count.addingReportingOverflow(uses).overflow ? .max : count + uses
            while state.uses[tenant]!.count > Self.countedMax {
                state.uses[tenant] = state.uses[tenant]!.compactMapValues { $0 > 1 ? $0 / 2 : nil }
            }
        }
    }

    /// Nothing was ever asked of a project.
    func forget(_ project: Name, of tenant: TenantID) {
        state.withLock { $0.uses[tenant] = $0.uses[tenant]?.filter { $0.key.project != project } }
    }

    /// The most used texts of each tenant that were asked at least twice, most used first; nil when nothing was noted since the last call.
    func changed() -> [TenantID: [(asked: AskedQuery, uses: UInt32)]]? {
        let uses = state.withLock { state in
            defer { state.hasChanged = false }
            return state.hasChanged ? state.uses : nil
        }
        return uses?.mapValues { counts in
            let often = counts.filter { $0.value > 1 }.map { (asked: $0.key, uses: $0.value) }
            return Array(often.sorted { Self.goesBefore($0, $1) }.prefix(Self.keptMax))
        }
    }

    private static func goesBefore(_ a: (asked: AskedQuery, uses: UInt32), _ b: (asked: AskedQuery, uses: UInt32)) -> Bool {
        if a.uses != b.uses { return a.uses > b.uses }
        return a.asked.text == b.asked.text ? a.asked.project < b.asked.project : a.asked.text < b.asked.text
    }
}

extension Database {
    /// Writes down which queries are asked again and again, when that has changed; to be called every few minutes.
    public func keepUsedQueries() async {
        guard let used = queryUse.changed(), used.contains(where: { !$0.value.isEmpty }) else { return }
        for (tenant, texts) in used.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            let queries = texts.map { Command.KeepQueries.Query(project: $0.asked.project, text: $0.asked.text.text, uses: $0.uses) }
            _ = try? await submit(.keepQueries(.init(tenant: tenant, queries: queries, time: now())))
        }
    }

    /// Embeds the queries that were asked again and again before the last stop. Returns how many; a record that cannot be read is none.
    @discardableResult
    public func warmUsedQueries(_ tenant: TenantID) async -> Int {
        let found = try? await read { view in
            var texts: [(AskedQuery, UInt32)] = []
            guard let bytes = try view.loadBytes(TenantScope(tenant: tenant, project: .tenantLevel).key(.usedQueries)) else { return texts }
            var reader = ByteReader(bytes)
            for _ in 0..<(try reader.count(limit: QueryUse.keptMax)) {
                let project = Name(stored: try reader.text())
                texts.append((AskedQuery(try reader.text(), of: project), try reader.u32()))
            }
            try reader.end()
            return texts
        }
        guard let found, !found.isEmpty else { return 0 }
        for (asked, uses) in found { queryUse.note(asked.text.text, in: asked.project, of: tenant, uses: uses) }
        await models.warm(found.map { ScopedText($0.0.text.text, in: .project($0.0.project, of: tenant)) })
        return found.count
    }
}
