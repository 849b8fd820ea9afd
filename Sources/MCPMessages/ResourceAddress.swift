public import Base

/// Where a document is as a resource: `contex://project/key`, each part percent-encoded, so that a slash in a name is `%2F`.
public struct ResourceAddress: Sendable, Hashable, CustomStringConvertible {
    public static let template = "contex://{project}/{key}"
    private static let scheme = "contex://"

    public let project: Name
    /// nil: the whole project, which can be subscribed to and not read.
    public let key: Name?

    public init(project: Name, key: Name?) {
        self.project = project
        self.key = key
    }

    /// - Throws: `.invalid` for any other text.
    public init(_ text: String, field: String = "uri") throws(ContexError) {
        func refused() -> ContexError {
            .invalid(field: field, kind: "value_error", message: "Value error, \(field) should be \(Self.template), each part percent-encoded")
        }
        guard text.utf8.count <= MCPLimits.addressBytes, text.hasPrefix(Self.scheme) else { throw refused() }
        let parts = text.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        // What could stand for something else in an address stands for nothing here.
        guard (1...2).contains(parts.count), !text.utf8.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }),
            let project = PercentEncoding.decode(parts[0], plusIsSpace: false),
            let key = PercentEncoding.decode(parts.count > 1 ? parts[1] : "", plusIsSpace: false)
        else { throw refused() }
        self.init(project: try Name(project, field: field), key: key.isEmpty ? nil : try Name(key, field: field))
    }

    public var description: String {
        Self.scheme + PercentEncoding.encode(project.text) + (key.map { "/" + PercentEncoding.encode($0.text) } ?? "")
    }
}
