/// Who shares what a model has computed: a cache that all projects had in common would tell each of them, by what it answers and how
/// fast, which texts another one has stored or asked.
public struct ModelScope: Hashable, Sendable {
    private enum Kind: Hashable { case server, project, key }
    private let kind: Kind
    private let tenant: TenantID
    private let name: ExactText

    private init(_ kind: Kind, _ tenant: TenantID, _ name: String) {
        self.kind = kind
        self.tenant = tenant
        self.name = ExactText(name)
    }

    public static func project(_ project: Name, of tenant: TenantID) -> ModelScope { ModelScope(.project, tenant, project.text) }
    /// Of a request that names no project. nil: of whoever asks while authentication is off.
    public static func key(_ keyID: String?, of tenant: TenantID) -> ModelScope { ModelScope(.key, tenant, keyID ?? "") }
    /// The server's own texts, and those of tools that work for nobody in particular.
    public static let server = ModelScope(.server, .system, "")

    /// Bytes on the heap that one text of the scope may be the only one to keep.
    package var byteCount: Int { name.text.utf8.count }
}

/// A text for a model, and whom its vector is kept for.
public struct ScopedText: Hashable, Sendable {
    public let scope: ModelScope
    public let exact: ExactText

    public init(_ text: String, in scope: ModelScope) {
        self.scope = scope
        exact = ExactText(text)
    }

    public var text: String { exact.text }
}
