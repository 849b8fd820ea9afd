public import Base
internal import Content
public import Needs
internal import Search

/// The settings of an agent's needs as members of an object, in exports and in answers.
extension NeedSettings {
    /// Those that it has.
    public var members: [(String, JSONValue)] {
        var members: [(String, JSONValue)] = []
        if let minSimilarity { members.append(("min_similarity", .double(minSimilarity))) }
        if let mode { members.append(("mode", .string(SearchMode(mode).rawValue))) }
        if let filter { members.append(("filter", (try? EventData.parsed(Array(filter.utf8))) ?? .null)) }
        if let topK { members.append(("top_k", .integer(topK))) }
        return members
    }

    /// - Throws: `.invalid` for a member of another kind; what is in them, `check` looks at.
    init(members data: JSONValue) throws(ContexError) {
        self.init()
        func member(_ name: String) -> JSONValue? { data[name].flatMap { $0.isNull ? nil : $0 } }
        func refused(_ name: String, _ what: String) -> ContexError {
            .invalid(field: name, kind: "type_error", message: "\(name): Input should be \(what)")
        }
        if let given = member("min_similarity") {
            guard let number = given.doubleValue else { throw refused("min_similarity", "a valid number") }
            minSimilarity = number
        }
        if let given = member("mode") {
            guard let mode = given.stringValue.flatMap({ SearchMode(rawValue: $0) }) else { throw refused("mode", "'hybrid', 'semantic' or 'keyword'") }
            self.mode = mode.ofNeeds
        }
        if let given = member("filter") { filter = JSONPrinter.text(given) }
        if let given = member("top_k") {
            guard let number = given.integerValue else { throw refused("top_k", "a valid integer") }
            topK = number
        }
    }
}
