// From published data to nodes.

public import Base

public enum ContentSplitter {
    /// Splits what was published under one key.
    ///
    /// - Throws: `.invalid` for NUL in a text, nesting over `Limits.nestingDepth`, or too many nodes.
    /// - Complexity: O(size of the data).
    public static func split(_ data: JSONValue, hint: String?) throws(ContexError) -> SplitContent {
        try checkData(data, level: 0)
        guard case .string(let text) = data else {
            return SplitContent(format: .json, nodes: try StructureNodes.nodes(of: data), hintNote: nil)
        }
        if let value = try? JSONParser.parse(text: text) {
            return SplitContent(format: .json, nodes: try StructureNodes.nodes(of: value), hintNote: nil)
        }
        return SplitContent(format: .text, nodes: try TextNodes.nodes(of: text), hintNote: nil)
    }

    /// Checks data that is stored without being split.
    /// - Throws: `.invalid` for NUL in a text or nesting over `Limits.nestingDepth`.
    public static func validate(_ data: JSONValue) throws(ContexError) { try checkData(data, level: 0) }

    /// What the store refuses: NUL in any text, and depth that would make recursion over the value unsafe.
    static func checkData(_ value: JSONValue, level: Int) throws(ContexError) {
        guard level <= Limits.nestingDepth else { throw tooDeep }
        switch value {
        case .string(let text): try checkText(text)
        case .array(let items):
            for item in items { try checkData(item, level: level + 1) }
        case .object(let members):
            for member in members {
                try checkText(member.key)
                try checkData(member.value, level: level + 1)
            }
        case .null, .bool, .number: break
        }
    }

    private static func checkText(_ text: String) throws(ContexError) {
        guard text.utf8.contains(0) else { return }
        throw .invalid(field: "data", kind: "value_error", message: "Value error, data must not contain NUL characters")
    }

    static var tooDeep: ContexError {
        .invalid(
            field: "data", kind: "value_error",
            message: "Value error, data is nested deeper than \(Limits.nestingDepth) levels")
    }
}
