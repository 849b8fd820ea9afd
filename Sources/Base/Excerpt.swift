// What a stranger sent, as an answer or the log shows it: enough to recognise, never as much as was sent.

extension StringProtocol {
    /// The text, or as much of its beginning as stays under the bound with an ellipsis after it.
    /// - Complexity: O(bytes shown).
    public func excerpt(bytes: Int = Limits.echoBytes) -> String {
        let ellipsis = "\u{2026}"
        var (kept, count) = (String.UnicodeScalarView(), 0)
        for scalar in unicodeScalars {
            count += UTF8.width(scalar)
            if count <= bytes - ellipsis.utf8.count { kept.append(scalar) }
            if count > bytes { return String(kept) + ellipsis }
        }
        return String(self)
    }
}
