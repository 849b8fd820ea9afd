/// How a graph is built and searched.
///
/// What a vector costs at 384 dimensions: 819 bytes for itself (five on a page of 4,096), 196 for its code and, with `M0` 32, at
/// most 141 bytes of links at level 0, envelope included; one node in `M` has up to 65 more for level 1, one in `M` squared as much again.
///
/// `M`, `M0` and `efConstruction` are written into the graph's state record when its first vector arrives, and that graph
/// keeps them; `efSearch` and `exactBelow` are the reader's and may change at any time.
public struct HNSWParameters: Sendable, Equatable {
    /// Links that a new node makes at each level, and the bound of a list above level 0. 4...64; the paper's M.
    public let M: Int
    /// Bound of a list at level 0. At least `M`, at most 128; the paper's Mmax0, and twice M by its advice.
    public let M0: Int
    /// Candidates kept while the neighbours of a new node are looked for. `M`...4,096: more is better and slower.
    public let efConstruction: Int
    /// Candidates kept while a query is answered, unless the query says otherwise. 1...65,536.
    public let efSearch: Int
    /// Fewer vectors than this are compared one by one: exact, and no slower. docs/decisions/0004-hnsw-in-lmdb.md has
    /// the measurement.
    public let exactBelow: Int
    /// Of a code, a dimension: 4 or 8.
    public let codeBits: Int
    /// At most so many candidates beyond those asked for are compared by their vectors at the end (and half as many as are asked for, when
    /// that is more): those whose estimate comes near enough. Many only where vectors crowd together.
    public let rerank: Int

    public init(
        M: Int = 16, M0: Int = 32, efConstruction: Int = 200, efSearch: Int = 128, exactBelow: Int = 1_000, codeBits: Int = 4, rerank: Int = 32
    ) {
        precondition(codeBits == 4 || codeBits == 8, "codes of \(codeBits) bits: 4 or 8")
        precondition((0...4_096).contains(rerank), "rerank \(rerank) is outside 0...4096")
        precondition((4...64).contains(M), "M \(M) is outside 4...64")
        precondition((M...128).contains(M0), "M0 \(M0) is outside \(M)...128")
        precondition((M...4_096).contains(efConstruction), "efConstruction \(efConstruction) is outside \(M)...4096")
        precondition((1...65_536).contains(efSearch), "efSearch \(efSearch) is outside 1...65536")
        precondition(exactBelow >= 0, "exactBelow \(exactBelow) is negative")
        self.M = M
        self.M0 = M0
        self.efConstruction = efConstruction
        self.efSearch = efSearch
        self.exactBelow = exactBelow
        self.codeBits = codeBits
        self.rerank = rerank
    }
}
