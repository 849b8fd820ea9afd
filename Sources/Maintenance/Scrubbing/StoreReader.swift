// A whole store, or one project of it, read in steps of some pages, each on a snapshot of its own that is gone after milliseconds: what a running
// server has can be read without holding back any page of it.
//
//     a step     begin a snapshot -> its pages are held against what they must be, and its records against their seals, with `pread`: LMDB is not
//                asked, so nothing that is broken ends the process -> let it go
//     a scope    what its records add up to is held against the sums that its last commit wrote, if nobody has written there since its first
//                step. Else it is read once more in larger steps, and after that it is left to the next pass
//
// A finding is a project's where a key says whose it is. Pages that cannot be read had the keys between two others: whoever has a place there is
// concerned.

internal import Base
internal import Documents
internal import KeySpace
internal import LMDB
internal import Tenants

struct StoreReader: Sendable {
    /// Something that is not what was written.
    struct Finding: Hashable, Sendable {
        /// nil: it cannot be said whose it is.
        let scope: TenantScope?
        let text: String
    }

    /// 256 KiB of records, beside what they have on pages of their own.
    private static let leavesOfStep = 64
    /// 16 MiB, some 20 ms: a project that is written to all the time and has no more is read on one snapshot.
    private static let leavesOfRetry = 4_096

    private let end: [UInt8]?
    /// Where the next step begins; nil: there is none.
    private(set) var place: [UInt8]?
    private(set) var records = 0
    private(set) var bytes = 0
    /// Scopes that were written to while they were read, twice.
    private(set) var scopesUnsettled = 0

    // The scope that is being read, and what of it is known.
    private var scope: TenantScope?
    private var stamp: [UInt8]?
    private var tally = RecordTally()
    private var isWhole = true
    private var retried: TenantScope?

    /// - Parameter scope: only this one; nil: all of the store.
    init(_ scope: TenantScope? = nil) {
        end = scope.map { successor(of: $0.prefix) }
        place = scope?.prefix ?? []
    }

    /// How far it is with a whole store, from 0 to 1, by the projects of the standard tenant and the number of tenants: not exact.
    func share(of scopes: [TenantScope]) -> Double {
        guard let place, !scopes.isEmpty else { return place == nil ? 1 : 0 }
        return Double(scopes.count { $0.prefix.lexicographicallyPrecedes(place) }) / Double(scopes.count)
    }

    /// - Returns: what was found.
    /// - Throws: `LMDBError` when no snapshot can be begun.
    mutating func step(_ environment: Environment) throws -> [Finding] {
        guard let from = place else { return [] }
        var findings: [Finding] = []
        /// The scopes that came to an end in this step, all but the first of which began in it as well.
        var ended: [(scope: TenantScope?, tally: RecordTally)] = []
        var (current, tally) = (scope, tally)
        var (records, bytes) = (0, 0)
        var (isFirst, unsettled): (Bool, TenantScope?) = (true, nil)
        let end = end
        let leaves = retried == nil ? Self.leavesOfStep : Self.leavesOfRetry
        var next: [UInt8]?
        var me = self
        _ = try environment.inspect(from: from, leaves: leaves) { key, value in
            if let end, !key.lexicographicallyPrecedes(end) { return }
            records += 1
            bytes += key.count + value.count
            let own = TenantScope(ofKey: key)
            if own != current {
                ended.append((current, tally))
                (current, tally) = (own, RecordTally())
            }
            unsafe key.withUnsafeBytes { key in
                unsafe value.withUnsafeBytes { value in unsafe tally.add(RawSpan(_unsafeBytes: key), RawSpan(_unsafeBytes: value)) }
            }
            if !Seal.holds(key: key, value: value) {
                findings.append(Finding(scope: own, text: "the seal under key \(Self.hex(key)) is broken"))
            }
        } then: { view, part in
            // A gap's pages had their keys in one place, of which only the two ends are known.
            for gap in part.gaps {
                let fault = part.findings.first.map { "\($0)" } ?? "a page cannot be read"
                findings += Self.scopes(of: gap, in: view).map { Finding(scope: $0, text: fault) }
            }
            let isLast = part.end.map { place in end.map { !place.lexicographicallyPrecedes($0) } ?? false } ?? true
            if isLast { ended.append((current, tally)) }
            let hasGaps = !part.gaps.isEmpty
            for (scope, tally) in ended {
                defer { isFirst = false }
                guard let scope, scope != .system, !hasGaps, !isFirst || me.isWhole else { continue }
                // One that began in this step is of this snapshot.
                let began = isFirst && me.scope == scope
                guard try !began || RecordSums.stamp(of: scope, in: view) == me.stamp else {
                    if me.retried == scope { me.scopesUnsettled += 1 } else { unsettled = unsettled ?? scope }
                    continue
                }
                findings += try RecordFindings.text(of: tally.differences(of: scope, in: view), in: view).map { Finding(scope: scope, text: $0) }
            }
            if !isLast, current != me.scope || !ended.isEmpty { me.stamp = try current.flatMap { try RecordSums.stamp(of: $0, in: view) } }
            me.isWhole = !hasGaps && (ended.isEmpty ? me.isWhole : true)
            next = isLast ? nil : part.end
        }
        me.records += records
        me.bytes += bytes
        if let unsettled {
            (me.place, me.retried) = (unsettled.prefix, unsettled)
            (me.scope, me.tally, me.isWhole, me.stamp) = (nil, RecordTally(), true, nil)
        } else {
            if !ended.isEmpty, retried != nil, ended.contains(where: { $0.scope == retried }) { me.retried = nil }
            (me.place, me.scope, me.tally) = (next, current, tally)
        }
        self = me
        return findings
    }

    /// Whoever has a place between two keys.
    private static func scopes(of gap: KeyGap, in view: borrowing TransactionView) -> [TenantScope?] {
        guard let all = try? all(in: view) else { return [nil] }
        let found = all.filter { scope in
            let after = successor(of: scope.prefix)
            return gap.high.map { scope.prefix.lexicographicallyPrecedes($0) } ?? true
                && (after.isEmpty || gap.low.map { $0.lexicographicallyPrecedes(after) } ?? true)
        }
        return found.isEmpty ? [nil] : found
    }

    /// Every scope that there is: the store's own, of each tenant its registries and its projects.
    static func all(in view: borrowing TransactionView) throws -> [TenantScope] {
        var scopes: [TenantScope] = [.system]
        for tenant in try TenantRegistry.numbers(in: view) {
            scopes.append(TenantScope(tenant: tenant, project: .tenantLevel))
            scopes += try ProjectRegistry(tenant: tenant).entries(in: view).map { TenantScope(tenant: tenant, project: $0.project) }
        }
        return scopes.sorted { $0.prefix.lexicographicallyPrecedes($1.prefix) }
    }

    static func hex(_ key: ArraySlice<UInt8>) -> String { key.prefix(64).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}

extension TenantScope {
    /// Whose a key is; nil for one that is nobody's.
    init?(ofKey key: ArraySlice<UInt8>) {
        guard key.count >= TenantScope.prefixBytes else { return nil }
        func number(_ place: Int) -> UInt32 { key.dropFirst(place).prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
        self.init(tenant: TenantID(rawValue: number(0)), project: ProjectID(rawValue: number(4)))
    }
}
