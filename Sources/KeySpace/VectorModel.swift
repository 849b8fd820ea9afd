public import Base
public import LMDB

/// Which embedding model made the vectors of a store, of which texts, and how far a rebuild with it has come. One record, of the store itself.
///
/// Vectors of two models have nothing to say to each other, and an index gives up a node only for the text that it was given. So a store
/// is served with the model and the rule of texts that made its indexes, or they are made anew (`contex reindex`).
public struct VectorModel: Sendable, Equatable {
    /// Where a rebuild stands: every tenant before `tenant` is done; of that one, every project before `project`; of that one, every node before `node`.
    public struct Progress: Sendable, Equatable {
        public var tenant: TenantID
        public var project: UInt32
        public var node: UInt32
        /// Whether the project's old indexes are gone already.
        public var isCleared: Bool

        public init(tenant: TenantID = .standard, project: UInt32, node: UInt32, isCleared: Bool) {
            self.tenant = tenant
            self.project = project
            self.node = node
            self.isCleared = isCleared
        }
    }

    /// The model's name and a digest of what its vectors depend on.
    public let identity: String
    public let dimension: Int
    /// The version of the rule that makes a node's texts (`SearchText.version`).
    public let texts: UInt32
    /// nil: every vector is of this model.
    public var rebuild: Progress?

    public init(identity: String, dimension: Int, texts: UInt32, rebuild: Progress? = nil) {
        self.identity = identity
        self.dimension = dimension
        self.texts = texts
        self.rebuild = rebuild
    }

    /// nil: nobody has embedded anything into this store yet.
    public static func load(_ view: borrowing TransactionView) throws -> VectorModel? {
        guard let bytes = try view.loadBytes(TenantScope.system.key(.vectorModel)) else { return nil }
        var reader = ByteReader(bytes)
        let (identity, dimension, texts) = (try reader.text(), Int(try reader.u32()), try reader.u32())
        var rebuild: Progress? = nil
        if try reader.bool() { rebuild = Progress(project: try reader.u32(), node: try reader.u32(), isCleared: try reader.bool()) }
        // The standard tenant's is as it was before there were others.
        if rebuild != nil, reader.remaining > 0 { rebuild?.tenant = TenantID(rawValue: try reader.u32()) }
        try reader.end()
        return VectorModel(identity: identity, dimension: dimension, texts: texts, rebuild: rebuild)
    }

    public func store(in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.text(identity)
        writer.u32(UInt32(dimension))
        writer.u32(texts)
        writer.bool(rebuild != nil)
        if let rebuild {
            writer.u32(rebuild.project)
            writer.u32(rebuild.node)
            writer.bool(rebuild.isCleared)
            if rebuild.tenant != .standard { writer.u32(rebuild.tenant.rawValue) }
        }
        try transaction.store(TenantScope.system.key(.vectorModel), writer.bytes)
    }

    /// Marks a store that has no vectors as this model's.
    /// - Throws: `.conflict` when the vectors are of another model or the texts of another rule, or a rebuild was not finished.
    public static func verifyOrCreate(_ wanted: VectorModel, directory: String, in transaction: inout WriteTransaction) throws {
        guard let found = try load(transaction.view) else { return try wanted.store(in: &transaction) }
        if found.rebuild != nil {
            throw ContexError(
                .reindexNeeded,
                "the indexes of \(directory) are half rebuilt (with \(found.identity)): finish it with 'contex reindex --data-dir \(directory)'")
        }
        guard found.texts == wanted.texts else {
            throw ContexError(
                .reindexNeeded,
                "the indexes of \(directory) hold the texts of rule \(found.texts), this build makes those of rule \(wanted.texts): "
                    + "make them anew with 'contex reindex --data-dir \(directory)'")
        }
        guard found == wanted else {
            throw ContexError(
                .reindexNeeded,
                "the vectors in \(directory) were made by \(found.identity) (\(found.dimension) dimensions), the model folder has \(wanted.identity) "
                    + "(\(wanted.dimension)): use that model's folder (--model-dir), or make the vectors anew with 'contex reindex --data-dir \(directory)'")
        }
    }
}
