public import Access
public import Base
internal import Synchronization

/// For which API key a client certificate stands: its holder is the principal, with the key's role, projects, terms and end. A certificate
/// whose names are not in the list stands for nobody, whoever has signed it.
public final class CertificateKeys: Sendable {
    /// One line of the list.
    public struct Entry: Sendable, Equatable {
        /// `dns:...`, `uri:...`, `email:...` or `cn:...`
        public let name: String
        public let key: KeyID

        /// Nil unless the text is `KIND:NAME=KEY`, with one of these kinds and the id of a key.
        public init?(_ text: String) {
            guard let equals = text.lastIndex(of: "="), let key = KeyID(String(text[text.index(after: equals)...])) else { return nil }
            let name = String(text[..<equals])
            let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[1].isEmpty, ["dns", "uri", "email", "cn"].contains(parts[0]) else { return nil }
            self.name = parts[0] == "dns" ? name.lowercased() : name
            self.key = key
        }

        public var text: String { "\(name)=\(key)" }
    }

    private let keys = Mutex<[ExactText: KeyID]>([:])

    init() {}

    /// Puts another list in place of the one before.
    /// - Throws: `.invalid` for a name that is in it twice with different keys.
    public func set(_ entries: [Entry]) throws(ContexError) {
        var next: [ExactText: KeyID] = [:]
        for entry in entries {
            guard next.updateValue(entry.key, forKey: ExactText(entry.name)) ?? entry.key == entry.key else {
                throw ContexError(.invalid, "CONTEX_TLS_CLIENT_MAP: \(entry.name) stands for two keys")
            }
        }
        keys.withLock { $0 = next }
    }

    /// The one key that the names stand for; nil for none, and for names of different keys.
    /// - Complexity: O(names).
    func key(of names: [String]) -> KeyID? {
        guard !names.isEmpty else { return nil }
        let found = keys.withLock { keys in Set(names.compactMap { keys[ExactText($0)] }) }
        return found.count == 1 ? found.first : nil
    }
}
