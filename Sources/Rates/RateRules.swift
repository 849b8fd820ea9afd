// Limits that somebody has set: a record each, beside the tenant's registries, and a snapshot of all of them in memory.
//
//     rateLimit   subject's code (1), class (1), its id as text   ->   limit (4; 0xFFFFFFFF: none), the id once more (text)

public import Base
public import KeySpace
public import LMDB
internal import Synchronization

public enum RateRules {
    /// Of a tenant.
    public static let countMax = 10_000
    private static let unlimited = UInt32.max

    private static func key(_ subject: RateSubject, _ rateClass: RateClass, _ scope: TenantScope) -> [UInt8] {
        scope.registry.key(.rateLimit, text: [subject.code, rateClass.rawValue].map { String(UnicodeScalar($0)) }.joined() + (subject.id ?? ""))
    }

    /// Sets a limit.
    /// - Throws: `.invalid` for one beyond `RateAllowances.most`; `.limited` when there are `countMax` others.
    public static func set(_ rule: RateRule, in transaction: inout WriteTransaction, scope: TenantScope) throws {
        if let perMinute = rule.perMinute, !(0...RateAllowances.most).contains(perMinute) {
            throw ContexError.invalid(
                field: "limit", kind: "value_error", message: "Value error, a limit is from 0 to \(RateAllowances.most) requests a minute, or none")
        }
        let key = key(rule.subject, rule.rateClass, scope)
        if try transaction.view.loadBytes(key) == nil, try all(transaction.view, scope: scope).count >= countMax {
            throw ContexError(.limited, "There are as many limits as there may be (\(countMax)): remove one first")
        }
        var writer = ByteWriter(capacity: 64)
        writer.u32(rule.perMinute.map { UInt32($0) } ?? unlimited)
        writer.text(rule.subject.id ?? "")
        try transaction.store(key, writer.bytes)
    }

    /// Takes a limit back: the next wider one holds again.
    /// - Returns: false when there was none.
    @discardableResult
    public static func remove(_ subject: RateSubject, _ rateClass: RateClass, in transaction: inout WriteTransaction, scope: TenantScope) throws -> Bool {
        try transaction.delete(key(subject, rateClass, scope))
    }

    /// - Complexity: O(rules).
    public static func all(_ view: borrowing TransactionView, scope: TenantScope) throws -> [RateRule] {
        var rules: [RateRule] = []
        try view.scanRecords(prefix: scope.registry.key(.rateLimit)) { key, payload in
            do {
                guard key.count >= TenantScope.prefixBytes + 2, let rateClass = RateClass(rawValue: key[TenantScope.prefixBytes + 1]) else {
                    throw ByteError.malformed(at: 0)
                }
                var reader = ByteReader(Array(payload))
                let (limit, id) = (try reader.u32(), try reader.text())
                try reader.end()
                let subject: RateSubject? =
                    switch key[TenantScope.prefixBytes] {
                    case 1 where id.isEmpty: .tenant
                    case 2: .project(id)
                    case 3: .key(id)
                    default: nil
                    }
                guard let subject, limit == unlimited || limit <= RateAllowances.most else { throw ByteError.malformed(at: 0) }
                rules.append(RateRule(subject: subject, rateClass: rateClass, perMinute: limit == unlimited ? nil : Int(limit)))
            } catch let error as ByteError {
                throw ContexError.damaged("A rate limit cannot be read (\(error)): run 'contex check'.")
            }
            return .onward
        }
        return rules
    }
}

/// The limits as they are now, for whoever counts. Replaced after the commit that changed them, before that is answered.
public final class RateBook: Sendable {
    /// What holds where nobody has set anything.
    public let standard: RateAllowances
    private typealias Table = [RateSubject: [RateClass: Int?]]
    private let rules: Mutex<[TenantID: Table]>

    public init(standard: RateAllowances, rules: [RateRule] = []) {
        self.standard = standard
        self.rules = Mutex(Self.tables([.standard: rules]))
    }

    /// Puts the limits of the standard tenant in place, of a store that has no other.
    public func replace(with rules: [RateRule]) { replace(with: [.standard: rules]) }

    public func replace(with rules: [TenantID: [RateRule]]) {
        let tables = Self.tables(rules)
        self.rules.withLock { $0 = tables }
    }

    private static func tables(_ rules: [TenantID: [RateRule]]) -> [TenantID: Table] {
        rules.filter { !$0.value.isEmpty }.mapValues { rules in
            var table: Table = [:]
            for rule in rules { table[rule.subject, default: [:]][rule.rateClass] = .some(rule.perMinute) }
            return table
        }
    }

    /// The narrowest limit that was set: of the key, then of the project, then of the tenant, then the server's own. nil: none.
    public func limit(_ rateClass: RateClass, of tenant: TenantID = .standard, key: String?, project: String?) -> Int? {
        rules.withLock { rules in
            guard let rules = rules[tenant] else { return standard[rateClass] }
            if let key, let found = rules[.key(key)]?[rateClass] { return found }
            if let project, let found = rules[.project(project)]?[rateClass] { return found }
            return rules[.tenant]?[rateClass] ?? standard[rateClass]
        }
    }
}
