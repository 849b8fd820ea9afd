// The nodes of a JSON value (and of YAML, TOML and XML, which become one).
//
// An object without objects in it is one node. An object that has some is searched in parts: every inner object is a
// node at its own path (`a.b`, `list[0]`), and what is left, scalars and lists of scalars, is a node at the object's own
// path, `root` at the top. (The original dropped what was left.)

internal import Base

enum StructureNodes {
    static func add(_ value: JSONValue, to collector: inout NodeCollector) throws(ContexError) {
        var walk = StructureWalk(collector: collector)
        switch value {
        case .object(let object): try walk.add(object)
        case .array(let items): try walk.add(items, HeldObjects(in: items), 0)
        default:
            if case .string(let text) = value, text.isEmpty { return }
            try walk.collector.add("value", .primitive, value)
        }
        collector = walk.collector
    }
}

private struct StructureWalk {
    var collector: NodeCollector
    /// Of the value that the walk is at; empty at the top. One for the whole walk: to make each would cost its length on every level.
    private var path: [UInt8] = []

    init(collector: NodeCollector) { self.collector = collector }

    mutating func add(_ object: JSONObject) throws(ContexError) {
        guard object.contains(where: { HeldObjects.areIn($0.value) }) else { return try add(.object, .object(object)) }
        let first = collector.count
        let end = path.count
        var rest = JSONObject()
        for member in object {
            switch member.value {
            case .object(let object):
                try enter(member.key)
                try add(object)
                path.removeSubrange(end...)
            case .array(let items):
                let held = HeldObjects(in: items)
                if !held.arrays[0].holds {
                    rest[member.key] = member.value
                    continue
                }
                try enter(member.key)
                let plain = try add(items, held, 0, keepsPlain: true)
                path.removeSubrange(end...)
                if !plain.isEmpty { rest[member.key] = .array(plain) }
            default:
                rest[member.key] = member.value
            }
        }
        if !rest.isEmpty {
            // Added last, so that a member named `root` keeps its path; placed first, where a reader looks for it.
            try add(.object, .object(rest))
            collector.moveLast(to: first)
        }
    }

    /// The items of an array, each a node or more.
    /// - Parameters:
    ///   - place: of the array in `held`.
    ///   - keepsPlain: those without objects are no nodes but are given back.
    @discardableResult
    mutating func add(_ items: [JSONValue], _ held: HeldObjects, _ place: Int, keepsPlain: Bool = false) throws(ContexError) -> [JSONValue] {
        var plain: [JSONValue] = []
        var next = place + 1
        let end = path.count
        for (index, item) in items.enumerated() {
            var here = 0
            var holds = false
            switch item {
            case .object: holds = true
            case .array:
                (here, holds, next) = (next, held.arrays[next].holds, held.arrays[next].end)
            default: break
            }
            if !holds, keepsPlain {
                plain.append(item)
                continue
            }
            path += "[\(index)]".utf8
            switch item {
            case .object(let object): try add(object)
            case .array(let items) where holds: try add(items, held, here)
            default: try add(.primitive, item)
            }
            path.removeSubrange(end...)
        }
        return plain
    }

    private mutating func add(_ kind: NodeKind, _ value: JSONValue) throws(ContexError) {
        try collector.add(path.isEmpty ? "root" : String(decoding: path, as: UTF8.self), kind, value)
    }

    private mutating func enter(_ key: String) throws(ContexError) {
        let bytes = path.count + (path.isEmpty ? 0 : 1) + key.utf8.count
        guard bytes <= Limits.pathBytes else { throw NodeCollector.pathTooLong(String(decoding: path + key.utf8.prefix(Limits.pathBytes), as: UTF8.self)) }
        if !path.isEmpty { path.append(UInt8(ascii: ".")) }
        path += key.utf8
    }
}

/// Which of the arrays in an array hold objects, found in one walk. (Asked of each by itself, what lies innermost is walked once a level.)
private struct HeldObjects {
    /// For each array in the order in which a walk comes to it: whether an object is anywhere in it, and where in this list the arrays inside
    /// it end. The first is the outermost.
    private(set) var arrays: [(holds: Bool, end: Int)] = []

    init(in items: [JSONValue]) { note(items) }

    @discardableResult
    private mutating func note(_ items: [JSONValue]) -> Bool {
        let place = arrays.count
        arrays.append((false, 0))
        var holds = false
        for item in items {
            switch item {
            case .object: holds = true
            case .array(let inner): if note(inner) { holds = true }
            default: break
            }
        }
        arrays[place] = (holds, arrays.count)
        return holds
    }

    /// Whether a value is an object or holds one.
    static func areIn(_ value: JSONValue) -> Bool {
        switch value {
        case .object: true
        case .array(let items): items.contains(where: areIn)
        default: false
        }
    }
}
