// The texts by which a stored node is found, made again from its record.

internal import Base
internal import Content
package import Documents

extension NodeRecord {
    package var embeddedText: String {
        get throws(ContexError) { SearchText.embedded(key: documentKey, path: path, kind: kind, value: try EventData.parsed(data)) }
    }

    /// What the text index has of the node: it must be told the same text to give the node up.
    package var indexedText: String {
        get throws(ContexError) { SearchText.indexed(key: documentKey, path: path, kind: kind, value: try EventData.parsed(data)) }
    }
}
