/// Whose key a change came with: recorded in its event. Nobody's while authentication is off.
public struct Publisher: Sendable, Hashable {
    /// 16 hexadecimal digits.
    public let keyID: String
    /// The key's name when it was used.
    public let name: String

    public init(keyID: String, name: String) {
        self.keyID = keyID
        self.name = name
    }

    /// Members of answers.
    public var json: JSONValue { ["key_id": .string(keyID), "name": .string(name)] }
}

extension ByteWriter {
    /// A flag, and when it is 1 two texts.
    public mutating func publisher(_ publisher: Publisher?) {
        bool(publisher != nil)
        guard let publisher else { return }
        text(publisher.keyID)
        text(publisher.name)
    }
}

extension ByteReader {
    public mutating func publisher() throws(ByteError) -> Publisher? {
        guard try bool() else { return nil }
        return Publisher(keyID: try text(), name: try text())
    }
}
