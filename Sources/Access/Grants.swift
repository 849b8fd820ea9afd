// A list of rules, made ready to be asked. Compiled once for each key and account when keys are loaded.
//
//     projects:  my-app  -> allow 0b..., deny 0b..., conditional rules     (with those of * in it)
//                payroll -> ...
//     others:            -> allow 0b..., deny 0b..., conditional rules     (those of *)
//
// A question is one look-up by project and two tests of bits; rules with conditions are looked at one by one, after those without have said
// neither yes nor no.

public import Base

/// What somebody wants to do, and what is known of it.
public struct AccessQuestion: Sendable {
    public var permission: Permission
    /// nil: the request names none.
    public var project: String?
    /// nil: it names none, or it is not known yet.
    public var dataKey: String?
    /// nil: it is not known.
    public var address: String?
    public var time: Timestamp?
    /// More will be known when it is asked again: only what can no longer be allowed is refused.
    public var isPreliminary = false

    public init(
        _ permission: Permission, project: String?, dataKey: String? = nil, address: String? = nil, time: Timestamp? = nil, isPreliminary: Bool = false
    ) {
        self.permission = permission
        self.project = project
        self.dataKey = dataKey
        self.address = address
        self.time = time
        self.isPreliminary = isPreliminary
    }
}

public final class Grants: Sendable, Hashable {
    struct Conditional: Sendable {
        let rule: PermissionRule
        let number: Int
    }
    struct Cell: Sendable {
        var allow: UInt32 = 0
        var deny: UInt32 = 0
        var conditional: [Conditional] = []

        mutating func add(_ rule: PermissionRule, _ number: Int) {
            if !rule.conditions.isEmpty {
                conditional.append(Conditional(rule: rule, number: number))
            } else if rule.isDeny {
                deny |= rule.permissions.rawValue
            } else {
                allow |= rule.permissions.rawValue
            }
        }
    }

    /// As they were given, in their order.
    public let rules: [PermissionRule]
    private let cells: [ExactText: Cell]
    private let others: Cell
    /// What some rule allows somewhere, whatever the conditions.
    private let somewhere: UInt32
    /// What some rule denies somewhere.
    private let deniedSomewhere: UInt32
    private let leavesRest: Bool

    /// - Parameters:
    ///   - tenant: the name of the tenant that they are held in: rules of another say nothing.
    ///   - narrows: they only take away from what a role grants: a list that denies and allows nothing leaves the rest as it is.
    /// - Complexity: O(rules x projects that they name).
    public init(_ rules: [PermissionRule], tenant: String?, narrows: Bool = false) {
        self.rules = rules
        let leavesRest = narrows && rules.allSatisfy(\.isDeny)
        self.leavesRest = leavesRest
        let own = rules.enumerated().filter { rule in rule.element.tenant.map { ExactText($0) == tenant.map(ExactText.init) } ?? true }
        var cells: [ExactText: Cell] = [:]
        for (_, rule) in own { if let project = rule.project { cells[ExactText(project)] = Cell() } }
        var others = Cell()
        var (somewhere, denied): (UInt32, UInt32) = (0, 0)
        if leavesRest {
            (somewhere, others.allow) = (PermissionSet.all.rawValue, PermissionSet.all.rawValue)
            for name in cells.keys { cells[name]?.allow = PermissionSet.all.rawValue }
        }
        for (number, rule) in own {
            if rule.isDeny { denied |= rule.permissions.rawValue } else { somewhere |= rule.permissions.rawValue }
            if let project = rule.project {
                cells[ExactText(project)]?.add(rule, number)
            } else {
                others.add(rule, number)
                for name in cells.keys { cells[name]?.add(rule, number) }
            }
        }
        self.cells = cells
        self.others = others
        self.somewhere = somewhere
        deniedSomewhere = denied
    }

    public static func == (a: Grants, b: Grants) -> Bool { a === b || a.rules == b.rules }
    public func hash(into hasher: inout Hasher) { hasher.combine(rules) }

    /// The projects that they name, each once.
    var projects: some Swift.Sequence<ExactText> { cells.keys }

    /// The projects that they are limited to; nil: some rule allows something in all of them.
    var reach: [String]? {
        guard !leavesRest, !rules.contains(where: { !$0.isDeny && $0.project == nil }) else { return nil }
        var seen: Set<ExactText> = []
        return rules.filter { !$0.isDeny }.compactMap(\.project).filter { seen.insert(ExactText($0)).inserted }
    }

    public enum Verdict: Equatable, Sendable {
        case allowed
        /// No rule allows it.
        case unmentioned
        case denied
    }

    /// - Complexity: O(1), and O(rules with conditions) where some stand for the project. Nothing is allocated.
    public func decide(_ question: borrowing AccessQuestion) -> Verdict {
        let bit = question.permission.bit
        guard let project = question.project else {
            if question.permission.isOfTenant {
                // What is denied in one project is not allowed in all of them.
                if deniedSomewhere & bit & ~others.deny != 0, !question.isPreliminary { return .denied }
                return Self.decide(others, bit, question)
            }
            // What has a project, and does not say which: each is asked about by itself.
            if others.deny & bit != 0 { return .denied }
            return somewhere & bit != 0 ? .allowed : .unmentioned
        }
        if cells.isEmpty { return Self.decide(others, bit, question) }
        return Self.decide(cells[ExactText(project)] ?? others, bit, question)
    }

    private static func decide(_ cell: Cell, _ bit: UInt32, _ question: borrowing AccessQuestion) -> Verdict {
        if cell.deny & bit != 0 { return .denied }
        var isAllowed = cell.allow & bit != 0
        for index in cell.conditional.indices where cell.conditional[index].rule.permissions.rawValue & bit != 0 {
            let holds = cell.conditional[index].rule.conditions.hold(question)
            if cell.conditional[index].rule.isDeny {
                if holds ?? !question.isPreliminary { return .denied }
            } else if holds ?? question.isPreliminary {
                isAllowed = true
            }
        }
        return isAllowed ? .allowed : .unmentioned
    }

    /// Which rules speak of it, each with whether it holds: for whoever asks why.
    public func matching(_ question: borrowing AccessQuestion) -> [(rule: PermissionRule, holds: Bool?)] {
        let (permission, project) = (question.permission, question.project)
        var found: [(rule: PermissionRule, holds: Bool?)] = []
        for rule in rules where rule.permissions.contains(PermissionSet(permission)) {
            if let own = rule.project, let project, ExactText(own) != ExactText(project) { continue }
            found.append((rule, rule.conditions.hold(question)))
        }
        return found
    }
}
