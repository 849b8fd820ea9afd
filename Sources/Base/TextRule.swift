/// What a text of a request may be, for every door that takes one: without NUL, and no longer than its limit.
public enum TextRule {
    /// - Throws: `.invalid` naming `field`, in the words of the HTTP API.
    public static func check(_ text: String, field: String, scalarsMax: Int = .max) throws(ContexError) {
        guard !text.utf8.contains(0) else {
            throw .invalid(field: field, kind: "value_error", message: "Value error, \(field) must not contain NUL characters")
        }
        // No text has more scalars than bytes.
        guard text.utf8.count <= scalarsMax || text.unicodeScalars.count <= scalarsMax else {
            throw .invalid(field: field, kind: "string_too_long", message: "String should have at most \(scalarsMax) characters")
        }
    }

    /// - Throws: `.invalid` for too many, or for one that may not be.
    public static func check(_ texts: [String], field: String, countMax: Int, scalarsMax: Int) throws(ContexError) {
        guard texts.count <= countMax else {
            throw .invalid(
                field: field, kind: "too_long", message: "List should have at most \(countMax) items after validation, not \(texts.count)")
        }
        for text in texts { try check(text, field: field, scalarsMax: scalarsMax) }
    }
}
