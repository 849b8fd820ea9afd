// The nodes of a JSON value (and of YAML, TOML and XML, which become one).
//
// An object without objects in it is one node. An object that has some is searched in parts: every inner object is a
// node at its own path (`a.b`, `list[0]`), and what is left, scalars and lists of scalars, is a node at the object's own
// path, `root` at the top. (The original dropped what was left.)

internal import Base

enum StructureNodes {
    static func nodes(of value: JSONValue) throws(ContexError) -> [ContentNode] {
        var collector = NodeCollector()
        switch value {
        case .object(let object):
            try add(object, path: "", to: &collector)
        case .array(let items):
            for (index, item) in items.enumerated() { try add(item: item, path: "[\(index)]", to: &collector) }
        default:
            if case .string(let text) = value, text.isEmpty { return [] }
            try collector.add("value", .primitive, value)
        }
        return collector.nodes
    }

    /// - Parameter path: empty at the top.
    private static func add(_ object: JSONObject, path: String, to collector: inout NodeCollector) throws(ContexError) {
        let own = path.isEmpty ? "root" : path
        guard object.contains(where: { holdsObject($0.value) }) else {
            return try collector.add(own, .object, .object(object))
        }
        let first = collector.count
        var rest = JSONObject()
        for member in object {
            let inner = path.isEmpty ? member.key : "\(path).\(member.key)"
            switch member.value {
            case .object(let object):
                try add(object, path: inner, to: &collector)
            case .array(let items) where holdsObject(member.value):
                var plain: [JSONValue] = []
                for (index, item) in items.enumerated() {
                    if holdsObject(item) { try add(item: item, path: "\(inner)[\(index)]", to: &collector) } else { plain.append(item) }
                }
                if !plain.isEmpty { rest[member.key] = .array(plain) }
            default:
                rest[member.key] = member.value
            }
        }
        if !rest.isEmpty {
            // Added last, so that a member named `root` keeps its path; placed first, where a reader looks for it.
            try collector.add(own, .object, .object(rest))
            collector.moveLast(to: first)
        }
    }

    private static func add(item: JSONValue, path: String, to collector: inout NodeCollector) throws(ContexError) {
        switch item {
        case .object(let object): try add(object, path: path, to: &collector)
        case .array(let items) where holdsObject(item):
            for (index, inner) in items.enumerated() { try add(item: inner, path: "\(path)[\(index)]", to: &collector) }
        default: try collector.add(path, .primitive, item)
        }
    }

    private static func holdsObject(_ value: JSONValue) -> Bool {
        switch value {
        case .object: true
        case .array(let items): items.contains(where: holdsObject)
        default: false
        }
    }
}
