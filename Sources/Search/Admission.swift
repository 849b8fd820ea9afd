// Which nodes may answer: what filters, fields and signs of a query leave of a project.

public import Base

/// The nodes that may answer: the meet of any number of selections.
public struct Admission: Sendable {
    /// nil: all that are not in `except`.
    public private(set) var only: NodeSet?
    public private(set) var except = NodeSet()

    public init() {}

    public mutating func meet(_ nodes: NodeSet) {
        if only == nil { only = nodes } else { only?.formIntersection(nodes) }
    }

    /// All but these.
    public mutating func exclude(_ nodes: NodeSet) { except.formUnion(nodes) }

    public mutating func meet(_ other: Admission) {
        if let only = other.only { meet(only) }
        except.formUnion(other.except)
    }

    public var admitsAll: Bool { only == nil && except.isEmpty }

    public func admits(_ node: NodeID) -> Bool { (only?.contains(node) ?? true) && !except.contains(node) }
}
